/**
 * Harmony, the prompt format of gpt-oss: conversation -> token ids. Stop 2 of the walk.
 * `renderHarmony` gives the same ids as openai/harmony 0.0.8. history.ts decides what of a conversation is rendered.
 * Markers are appended as ids and everything else is encoded as plain text, so no text can ever become a marker.
 */
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts'
import {
  type AssistantMessage,
  ChatError,
  type ChatFormat,
  type Effort,
  effortOf,
  type Message,
  offeredTools,
  partsOf,
  type RenderOptions,
  type SamplingOptions,
} from '../../messages.ts'
import { toolNames } from '../tool-names.ts'
import { fromConversation, withAllAnalysis } from './history.ts'
import { type HarmonyMessage, harmonyMarkers } from './message.ts'
import { HarmonyParser } from './parser.ts'

/** Messages -> ids, nothing appended. */
export function renderHarmony(tokenizer: Tokenizer, messages: readonly HarmonyMessage[]): number[] {
  const marker = harmonyMarkers(tokenizer)
  const ids: number[] = []
  const text = (piece: string) => {
    for (const id of tokenizer.encode(piece)) ids.push(id)
  }
  for (const { role, name, channel, recipient, contentType, content } of messages) {
    if (role === 'tool' && !name) throw new ChatError('name', 'a tool message needs the name of its tool')
    ids.push(marker.start)
    text(role === 'tool' ? name! : name ? `${role}:${name}` : role)
    if (recipient && recipient !== 'all') text(` to=${recipient}`)
    if (channel) {
      ids.push(marker.channel)
      text(channel)
    }
    if (contentType?.startsWith('<|constrain|>')) {
      text(' ')
      ids.push(marker.constrain)
      text(contentType.slice('<|constrain|>'.length))
    } else if (contentType) text(` ${contentType}`)
    ids.push(marker.message)
    text(content)
    ids.push(role === 'assistant' && recipient ? marker.call : marker.end)
  }
  return ids
}

/** As a training example: the end of a final answer in last place is the token that ends generation. */
export function renderHarmonyForTraining(tokenizer: Tokenizer, messages: readonly HarmonyMessage[]): number[] {
  const ids = renderHarmony(tokenizer, messages)
  const last = messages.at(-1)
  if (last?.role === 'assistant' && last.channel === 'final') ids[ids.length - 1] = harmonyMarkers(tokenizer).return
  return ids
}

/** The ids of the last message of a conversation, an assistant's, after the `<|start|>assistant` that the prompt ends with. */
export function harmonyAnswer(tokenizer: Tokenizer, messages: readonly Message[], options: RenderOptions): number[] {
  const parts = partsOf(messages.at(-1) as AssistantMessage).length
  const names = toolNames(offeredTools(options).map((tool) => tool.name))
  const own = withAllAnalysis(messages, options, names, 'medium').slice(-parts)
  return renderHarmonyForTraining(tokenizer, own).slice(1 + tokenizer.encode('assistant').length)
}

export interface HarmonySource {
  /** Published sampling defaults. */
  sampling?: SamplingOptions
  /** The effort when none is asked for: what the published chat template says. Default medium, as for gpt-oss. */
  effort?: Effort
}

export function harmonyFormat(tokenizer: Tokenizer, { sampling, effort = 'medium' }: HarmonySource = {}): ChatFormat {
  const marker = harmonyMarkers(tokenizer)
  const assistant = tokenizer.encode('assistant')
  const namesOf = (options: RenderOptions) => toolNames(offeredTools(options).map((tool) => tool.name))
  return {
    name: 'harmony',
    stopIds: [marker.return, marker.call, marker.endoftext],
    capabilities: { reasoning: 'levels', defaultEffort: effort, tools: true, parallelToolCalls: false },
    sampling: () => sampling ?? { temperature: 1, topP: 1 },
    render(messages, options) {
      const ids = renderHarmony(
        tokenizer,
        fromConversation(messages, options, namesOf(options), options.thinking === false ? 'low' : (effortOf(options.thinking) ?? effort)),
      )
      ids.push(marker.start, ...assistant)
      if (options.prefill === undefined) return ids
      const message = (channel: string, text: string) => [
        marker.channel,
        ...tokenizer.encode(channel),
        marker.message,
        ...tokenizer.encode(text),
      ]
      const { prefillReasoning: thought } = options
      if (thought !== undefined) ids.push(...message('analysis', thought), marker.end, marker.start, ...assistant)
      return [...ids, ...message('final', options.prefill)]
    },
    parser(prompt, options) {
      // What stands after the last <|start|> and the role is the beginning of the answer.
      const opening = prompt.slice(prompt.lastIndexOf(marker.start) + 1 + assistant.length)
      return new HarmonyParser(tokenizer, marker, namesOf(options), options, opening)
    },
  }
}
