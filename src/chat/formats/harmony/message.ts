/** What harmony's files share: a message as the format has it, and the ids of its markers. */
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts'
import { ChatError } from '../../messages.ts'

/** One message as harmony has it: header fields and text. */
export interface HarmonyMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  /** Of a tool: its full name, required. Of others: who speaks. */
  name?: string
  channel?: string
  recipient?: string
  contentType?: string
  content: string
}

/** The ids of harmony's markers in this vocabulary. */
export type Markers = Record<'start' | 'message' | 'end' | 'channel' | 'constrain' | 'call' | 'return' | 'endoftext', number>

export function harmonyMarkers(tokenizer: Tokenizer): Markers {
  const id = (name: string) => {
    const found = tokenizer.specials.get(`<|${name}|>`)
    if (found === undefined) throw new ChatError('tokenizer', `harmony needs the special token <|${name}|>, which this tokenizer lacks`)
    return found
  }
  const names = ['start', 'message', 'end', 'channel', 'constrain', 'call', 'return', 'endoftext'] as const
  return Object.fromEntries(names.map((name) => [name, id(name)])) as Markers
}
