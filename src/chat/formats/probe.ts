/**
 * Whether a built-in writer gives what the checkpoint's own template gives: both render a few conversations when the model is loaded.
 * A fine-tune may have another system prompt, another default of thinking or another syntax of tools, and its template says so.
 */
import type { ChatFormat, Message, RenderOptions } from '../messages.ts'

export interface Probe {
  messages: Message[]
  options: RenderOptions
}

const system: Message = { role: 'system', content: 'Be brief.' }
const question: Message = { role: 'user', content: 'How high is the water?' }
const next: Message = { role: 'user', content: ' And\ntomorrow? ' }
const thought: Message = {
  role: 'assistant',
  content: [
    { type: 'reasoning', text: 'Three metres.' },
    { type: 'text', text: 'High.' },
  ],
}
const tagged: Message = { role: 'assistant', content: 'a</think>\n\nb' }
const calls: Message = {
  role: 'assistant',
  content: [
    { type: 'reasoning', text: 'Look it up.' },
    { type: 'text', text: 'One moment.' },
    { type: 'tool-call', id: 'call00001', name: 'tide', arguments: '{"harbour": "Brest", "days": [1, null, true], "unit": null}' },
    { type: 'tool-call', id: 'call00002', name: 'now', arguments: '{}' },
  ],
}
const results: Message[] = [
  { role: 'tool', toolCallId: 'call00001', name: 'tide', content: '{"metres": 3.5}' },
  { role: 'tool', toolCallId: 'call00002', name: 'now', content: 'noon' },
]
const tools = [
  {
    name: 'tide',
    description: 'Height of the tide. ',
    parameters: {
      type: 'object',
      properties: {
        harbour: { type: 'string', description: 'Where.' },
        days: { type: ['array', 'null'], items: { type: 'integer' } },
        unit: { type: 'string', enum: ['m', 'ft'], default: 'm' },
      },
      required: ['harbour'],
    },
  },
  { name: 'now' },
]

/** Conversations that tell the variants of a family apart. */
export function probes(thinking: RenderOptions['thinking'][], withTools: boolean): Probe[] {
  const plain = [[question], [system, question], [question, thought, next], [system, question, tagged, next], [question, thought]]
  const calling = [[question], [system, question], [question, calls, ...results], [question, calls, ...results, thought, next]]
  return thinking.flatMap((thinking) => [
    ...plain.map((messages) => ({ messages, options: { thinking } })),
    ...(withTools ? calling.map((messages) => ({ messages, options: { thinking, tools } })) : []),
  ])
}

/** Whether both give the same ids for every probe; a template that refuses one does not. */
export function agree(native: ChatFormat, template: ChatFormat, all: readonly Probe[], same = equalIds): boolean {
  return all.every(({ messages, options }) => {
    const [one, other] = [idsOf(native, messages, options), idsOf(template, messages, options)]
    return one !== undefined && other !== undefined && same(one, other)
  })
}

function equalIds(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((id, i) => id === other[i])
}

export function idsOf(format: ChatFormat, messages: readonly Message[], options: RenderOptions): number[] | undefined {
  try {
    return format.render(messages, options)
  } catch {
    return undefined
  }
}

/** The shortest conversation. */
export const FIRST: Probe = { messages: [question], options: {} }
