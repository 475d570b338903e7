/**
 * Training data from conversations: a JSONL file with one OpenAI request per line (messages, tools), rendered in the model's own format.
 * The loss counts the assistant's ids only. Conversations are packed, each with positions of its own; the last ones are held out.
 */

import {
  type AssistantPart,
  ChatError,
  type ChatFormat,
  type Effort,
  type Message,
  type RenderOptions,
  type ToolDefinition,
} from '../../chat/messages.ts'
import { lessonsOf } from '../../chat/training.ts'
import { type Fields, objectLines } from '../../json/fields.ts'
import { mixSeeds } from '../../random/hash.ts'
import { integer, random } from '../../random/stream.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import type { Example } from '../shard.ts'
import type { TrainingData } from '../trainer.ts'
import { type Packable, pack } from './pack.ts'

export interface Conversation {
  /** File and line, for errors. */
  place: string
  messages: Message[]
  options: RenderOptions
  /** Indices of answers with `"weight": 0`, which are context only. */
  unlearned: ReadonlySet<number>
}

export interface ConversationOptions {
  /** Most tokens of a conversation, and of a pack of short ones. */
  block: number
  /** Packs per step. */
  batch: number
  /** Examples that share the packs of a step: a multiple of the number of shards. */
  parts: number
  seed: number
  /** Share of the conversations kept for evaluation. */
  heldOut?: number
}

export interface ConversationData extends TrainingData {
  /** Sequences to learn from, and those kept for evaluation. */
  readonly counts: { training: number; heldOut: number; tooLong: number }
}

/** @throws FieldError that names the line and the field */
export const readConversations = (text: string, file: string): Conversation[] => objectLines(text, file).map(readConversation)

function readConversation(line: Fields): Conversation {
  const unlearned = new Set<number>()
  const messages = line.list('messages').map((message, i) => {
    if (message.has('weight') && message.notNegative('weight') === 0) unlearned.add(i)
    return readMessage(message)
  })
  if (!messages.some(({ role }, i) => role === 'assistant' && !unlearned.has(i)))
    line.fail('messages', 'expected an answer of the assistant to learn from, found none')
  const kwargs = line.inner('chat_template_kwargs')
  const effort = line.has('reasoning_effort') ? line.choice('reasoning_effort', EFFORTS) : undefined
  const thinking = effort ?? (kwargs?.has('enable_thinking') ? kwargs.flag('enable_thinking') : undefined)
  const tools = line.has('tools') ? line.list('tools').map(readTool) : undefined
  return { place: line.file, messages, options: { tools, thinking }, unlearned }
}

/** For `Fields.choice`. */
export const EFFORTS: Record<Effort, Effort> = { low: 'low', medium: 'medium', high: 'high' }

function readTool(tool: Fields): ToolDefinition {
  const described = tool.has('function') ? tool.below('function') : tool
  return {
    name: described.string('name'),
    description: described.has('description') ? described.string('description') : undefined,
    parameters: described.inner('parameters')?.object,
  }
}

function readMessage(message: Fields): Message {
  const role = message.choice('role', {
    system: 'system',
    developer: 'developer',
    user: 'user',
    assistant: 'assistant',
    tool: 'tool',
  } as const)
  const name = message.has('name') ? message.string('name') : undefined
  if (role === 'system' || role === 'developer') return { role, content: textOf(message) }
  if (role === 'user') return { role, content: textOf(message), name }
  if (role === 'tool') return { role, content: textOf(message), toolCallId: message.string('tool_call_id'), name }
  const parts: AssistantPart[] = []
  const reasoning = ['reasoning', 'reasoning_content', 'thinking'].find((key) => message.has(key))
  if (reasoning) parts.push({ type: 'reasoning', text: message.string(reasoning) })
  const calls = message.has('tool_calls') ? message.list('tool_calls') : []
  const text = message.has('content') ? textOf(message) : ''
  if (text !== '' || calls.length === 0) parts.push({ type: 'text', text, phase: calls.length > 0 ? 'commentary' : undefined })
  for (const call of calls) {
    const called = call.below('function')
    // Some files hold the arguments as an object.
    const args =
      typeof called.raw('arguments') === 'object' ? JSON.stringify(called.below('arguments').object) : called.string('arguments', '{}')
    parts.push({ type: 'tool-call', id: call.string('id', called.string('name')), name: called.string('name'), arguments: args })
  }
  return { role, content: parts }
}

/** A text, or text parts joined. */
function textOf(message: Fields): string {
  if (!Array.isArray(message.raw('content'))) return message.string('content')
  return message
    .list('content')
    .map((part) => {
      part.choice('type', { text: 'text', input_text: 'text', output_text: 'text' })
      return part.string('text')
    })
    .join('')
}

function atPlace<T>(place: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof ChatError ? new Error(`${place}: ${error.message}`, { cause: error }) : error
  }
}

/** @throws Error with line and field where the model's format cannot render a conversation; RangeError where too few are left */
export function conversationData(
  conversations: readonly Conversation[],
  format: ChatFormat,
  tokenizer: Tokenizer,
  options: ConversationOptions,
): ConversationData {
  const { block, heldOut = 0.1, seed } = options
  const fits: Packable[][] = []
  let tooLong = 0
  for (const { place, messages, options: asked, unlearned } of conversations) {
    const lessons = atPlace(place, () => lessonsOf(format, tokenizer, messages, asked, (i) => !unlearned.has(i)))
    const own = lessons.filter(({ ids }) => ids.length - 1 <= block)
    tooLong += lessons.length - own.length
    if (own.length > 0) fits.push(own.map(({ ids, counts }) => ({ ids, rows: ids.length - 1, counts: (row) => counts[row + 1] })))
  }
  const kept = Math.max(1, Math.round(fits.length * heldOut))
  const training = fits.slice(0, -kept).flat()
  if (training.length === 0)
    throw new RangeError(
      `${fits.length} conversations of at most ${block} tokens are too few: one is held out, and at least one more is needed to learn from${tooLong > 0 ? `; ${tooLong} are longer than --block ${block}` : ''}`,
    )
  const held = fits.slice(-kept).flat()
  const evaluation = packsOf(held, block).map(pack)
  const packs = endlessPacks(training, block, seed)
  return {
    counts: { training: training.length, heldOut: held.length, tooLong },
    examples: (step) => shared(packs, step, options),
    evaluation: () => evaluation,
  }
}

/** The packs of a step in examples of about equal size. */
function shared(packs: (index: number) => Packable[], step: number, { batch, parts }: ConversationOptions): Example[] {
  const first = (step - 1) * batch
  return Array.from({ length: parts }, (_, part) => {
    const [from, to] = [Math.floor((part * batch) / parts), Math.floor(((part + 1) * batch) / parts)]
    return pack(Array.from({ length: to - from }, (_, i) => packs(first + from + i)).flat())
  }).filter(({ rows }) => rows.length > 0)
}

/** Packs 0, 1, … over as many passes as are asked for; every pass has its own order, and each sequence once. */
function endlessPacks(sequences: readonly Packable[], block: number, seed: number): (index: number) => Packable[] {
  const packs: Packable[][] = []
  let passes = 0
  return (index) => {
    while (packs.length <= index) {
      const next = random(mixSeeds(seed, passes++, 0x9ac5))
      const order = [...sequences]
      for (let i = order.length - 1; i > 0; i--) {
        const j = integer(next, 0, i)
        ;[order[i], order[j]] = [order[j]!, order[i]!]
      }
      packs.push(...packsOf(order, block))
    }
    return packs[index]!
  }
}

/** Sequences in their order, as many to a pack as `block` tokens hold. */
function packsOf(sequences: readonly Packable[], block: number): Packable[][] {
  const packs: Packable[][] = []
  let room = 0
  for (const sequence of sequences) {
    if (sequence.rows > room) {
      packs.push([])
      room = block
    }
    packs.at(-1)!.push(sequence)
    room -= sequence.rows
  }
  return packs
}
