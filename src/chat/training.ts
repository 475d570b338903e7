/**
 * A conversation as a model learns it: the prompt before an answer, as inference renders it, and the ids with which the model writes the
 * answer, its stop id included. Reasoning and calls are part of the answer.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { harmonyAnswer } from './formats/harmony/harmony.ts'
import { type AssistantMessage, ChatError, type ChatFormat, type Message, partsOf, type RenderOptions } from './messages.ts'

export interface Turn {
  readonly prompt: number[]
  readonly answer: number[]
}

/**
 * The turn of the last message, which is the assistant's.
 * @throws ChatError where the format cannot render the conversation, or would not ask for this answer with this prompt
 */
export function turnOf(format: ChatFormat, tokenizer: Tokenizer, messages: readonly Message[], options: RenderOptions): Turn {
  const before = messages.slice(0, -1)
  const prompt = format.render(before, options)
  const field = `messages[${before.length}]`
  if (format.name === 'harmony') return { prompt, answer: harmonyAnswer(tokenizer, messages, options) }
  if (format.name === 'plain') {
    const text = partsOf(messages.at(-1) as AssistantMessage).map((part) => (part.type === 'text' ? part.text : ''))
    return { prompt, answer: [...tokenizer.encode(`\n${text.join('')}`), ...format.stopIds.slice(0, 1)] }
  }
  // The next prompt holds this turn as the model's template writes it; no text can become a stop id, so the first one ends the answer.
  const after = format.render(messages, options)
  if (!prompt.every((id, i) => after[i] === id))
    throw new ChatError(
      field,
      'the chat template writes this answer differently from how it asks for one, so nothing can be learned from it',
    )
  const end = after.findIndex((id, i) => i >= prompt.length && format.stopIds.includes(id))
  if (end < 0) throw new ChatError(field, 'the chat template ends no answer with a stop token, so the model would not learn to stop')
  return { prompt, answer: after.slice(prompt.length, end + 1) }
}

/** Ids of which only some are to be learned. */
export interface Lesson {
  ids: number[]
  /** `counts[i]`: whether ids[i] is the model's. */
  counts: boolean[]
}

/**
 * All answers of a conversation. Turns whose prompt goes on where the turn before ended share one sequence; where a format drops the
 * thinking of finished turns, each turn is a sequence of its own.
 * @param learns whether the model should learn the answer at this index; default all
 */
export function lessonsOf(
  format: ChatFormat,
  tokenizer: Tokenizer,
  messages: readonly Message[],
  options: RenderOptions,
  learns: (index: number) => boolean = () => true,
): Lesson[] {
  const lessons: Lesson[] = []
  messages.forEach(({ role }, i) => {
    if (role !== 'assistant' || !learns(i)) return
    const { prompt, answer } = turnOf(format, tokenizer, messages.slice(0, i + 1), options)
    const last = lessons.at(-1)
    const continues = last !== undefined && last.ids.length <= prompt.length && last.ids.every((id, n) => prompt[n] === id)
    const lesson = continues ? last : { ids: [], counts: [] }
    if (!continues) lessons.push(lesson)
    for (const id of prompt.slice(lesson.ids.length)) lesson.counts[lesson.ids.push(id) - 1] = false
    for (const id of answer) lesson.counts[lesson.ids.push(id) - 1] = true
  })
  return lessons
}
