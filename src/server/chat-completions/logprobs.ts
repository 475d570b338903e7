/** Log-probabilities of the final text in the form of the chat and responses APIs. */
import type { TextToken } from '../../chat/messages.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'

export interface LogprobEntry {
  token: string
  logprob: number
  bytes: number[]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** JSON has no -Infinity; OpenAI writes this for an impossible token. */
const IMPOSSIBLE = -9999

/** The text of a token; bytes that are no whole characters are spelled as OpenAI does: `\xf0\x9f`. */
export function spelled(bytes: Uint8Array): { text: string; isWhole: boolean } {
  try {
    return { text: utf8.decode(bytes), isWhole: true }
  } catch {
    return { text: [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''), isWhole: false }
  }
}

export function entryOf(tokenizer: Tokenizer, id: number, logprob: number): LogprobEntry {
  const bytes = tokenizer.bytes(id)
  return { token: spelled(bytes).text, logprob: finite(logprob), bytes: [...bytes] }
}

export function logprobsOf(tokenizer: Tokenizer, token: TextToken, alternatives: number): LogprobEntry & { top_logprobs: LogprobEntry[] } {
  return {
    ...entryOf(tokenizer, token.id, token.logprob),
    top_logprobs: token.top.slice(0, alternatives).map(({ id, logprob }) => entryOf(tokenizer, id, logprob)),
  }
}

/** Never positive (rounding can make it so) and always a number. */
export const finite = (logprob: number): number => (Number.isFinite(logprob) ? Math.min(0, logprob) : IMPOSSIBLE)
