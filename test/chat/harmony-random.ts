/**
 * Random conversations and chat requests against openai-harmony: one line of the files that scripts/oracles/harmony_random.py writes,
 * rendered here in the same ways. Requests go through the readers of the HTTP endpoint.
 */
import { createHash } from 'node:crypto'
import { toldBy } from '../../src/answer/plan.ts'
import { harmonyFormat, renderHarmony, renderHarmonyForTraining } from '../../src/chat/formats/harmony/harmony.ts'
import { autoDropAnalysis } from '../../src/chat/formats/harmony/history.ts'
import { type HarmonyMessage, harmonyMarkers } from '../../src/chat/formats/harmony/message.ts'
import { developerText, systemText } from '../../src/chat/formats/harmony/prompt.ts'
import { readJson } from '../../src/json/lossless.ts'
import { chatAsk } from '../../src/server/chat-completions/chat-completions.ts'
import { validate } from '../../src/server/http/body.ts'
import { chatRequest } from '../../src/server/schemas/chat.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'

// biome-ignore lint/suspicious/noExplicitAny: the shape of a test file
type Json = any

/** A message of the test files in our shape; structured contents become text. */
export function fromVector(message: Json, all: Json[]): HarmonyMessage {
  const { role, name, channel, recipient, content_type: contentType, content } = message
  let text = content
  if (content.type === 'system_content') {
    const functions = all.some((other) => other.role === 'developer' && other.content.tools?.functions?.tools.length > 0)
    text = systemText({
      identity: content.model_identity,
      knowledgeCutoff: content.knowledge_cutoff,
      currentDate: content.conversation_start_date ?? undefined,
      effort: content.reasoning_effort,
      channels: content.channel_config.valid_channels,
      builtins: Object.values(content.tools ?? {}) as Json[],
      functions,
    })
    if (content.channel_config.channel_required !== true) throw new Error('a conversation without required channels has no counterpart')
  } else if (content.type === 'developer_content')
    text = developerText(content.instructions ?? '', Object.values(content.tools ?? {}) as Json[])
  const fields = Object.entries({ role, name, channel, recipient, contentType, content: text }).filter(([, value]) => value !== undefined)
  return Object.fromEntries(fields) as unknown as HarmonyMessage
}

export interface RandomCase {
  /** What the package rendered, markers spelled out; for people. */
  text: string
  /** Way of rendering -> SHA-256 of the ids. */
  hashes: Record<string, string>
  /** The ids of ours for each way. */
  ids: Record<string, number[]>
}

export function randomCase(line: string, tokenizer: Tokenizer): RandomCase {
  const { request, messages: given, text, hashes } = readJson(line) as Json
  if (request !== undefined) {
    const { messages, ask } = chatAsk(validate(readJson(request), chatRequest), () => undefined)
    const format = harmonyFormat(tokenizer)
    return { text, hashes, ids: { prompt: format.render(messages, toldBy(ask, format)) } }
  }
  const messages = given.map((message: Json) => fromVector(message, given))
  const drop = renderHarmony(tokenizer, autoDropAnalysis(messages))
  const ids = {
    keep: renderHarmony(tokenizer, messages),
    drop,
    completion: [...drop, harmonyMarkers(tokenizer).start, ...tokenizer.encode('assistant')],
    training: renderHarmonyForTraining(tokenizer, autoDropAnalysis(messages)),
  }
  return { text, hashes, ids }
}

export const hashOf = (ids: readonly number[]): string => createHash('sha256').update(ids.join()).digest('hex')
