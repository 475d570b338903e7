/** One random answer for a reader, and what must hold of any. Also run by bench/readers.ts, with other seeds. */
import assert from 'node:assert/strict'
import type { ChatEvent, RenderOptions } from '../../../src/chat/messages.ts'
import { pick as pickFrom, random as randomNumbers } from '../../../src/random/stream.ts'
import { checkEvents, summary } from '../events.ts'
import { type Family, ids, READERS, type Reader, TOOLS } from './answers.ts'

export const FAMILIES = Object.keys(READERS) as Family[]

const PIECES = [
  '{"name": "shell", "arguments": ',
  '{"name": "f", "parameters": ',
  '{"name": ',
  '{',
  '}',
  '}}',
  '[',
  ']',
  '"',
  "'",
  ': ',
  ', ',
  '; ',
  '\n',
  '\\',
  'True',
  '12345678901234567890',
  '"a": ',
  "'a': ",
  '<function=write>',
  '<function=f',
  '\n<parameter=content>\n',
  '<parameter=x>',
  '\n</parameter>\n',
  '</function>',
  '```tool_code\n',
  '\n```',
  'shell(command=',
  ')',
  'call:f',
  '‹<tool_call>›',
  '‹</tool_call>›',
  '‹[ARGS]›',
  'ü',
  '💖',
]
const TAGS = [
  ...['<tool_call>', '</tool_call>', '<think>', '</think>', '<|im_start|>', '<|im_end|>', '</s>', '<|python_tag|>'],
  ...['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]', '<function_calls>', '</function_calls>', '<escape>', '<|"|>'],
  ...['<start_function_call>', '<end_function_call>', '<|tool_call>', '<tool_call|>', '<|tool_call|>'],
]

const OPENERS = [
  '<tool_call>',
  '[TOOL_CALLS]',
  '<|python_tag|>',
  '<function_calls>',
  '<start_function_call>',
  '<|tool_call>',
  '<|tool_call|>',
]

/** Reads an answer whose text comes in pieces of this many tokens, as from a tokenizer with longer tokens. */
function readIn(size: number, { tokenizer, format }: Reader, answer: number[], options: RenderOptions): ChatEvent[] {
  const original = tokenizer.stream
  let at = 0
  const stream = () => {
    const inner = original.call(tokenizer)
    let held = ''
    return {
      push(id: number) {
        held += inner.push(id)
        const next = answer[at + 1]
        const isHeld = (at + 1) % size !== 0 && next !== undefined && !tokenizer.isSpecial(next)
        if (isHeld && !tokenizer.isSpecial(id)) return ''
        const text = held
        held = ''
        return text
      },
      end: () => inner.end(),
    }
  }
  try {
    tokenizer.stream = stream
    const parser = format.parser([], options)
    const events: ChatEvent[] = []
    for (; at < answer.length; at++) events.push(...parser.push(answer[at]!))
    events.push(...parser.end())
    return events
  } finally {
    tokenizer.stream = original
  }
}

/** Calls, reasoning and text in their order. Text that is no call may come in several parts, and loses blanks around them. */
function parts(events: readonly ChatEvent[]): string[] {
  const all: string[] = []
  for (const line of summary(events).filter((each) => !each.startsWith('!'))) {
    const text = line.replace(/\s/g, '')
    if (text.startsWith('text:') && all.at(-1)?.startsWith('text:')) all.push(all.pop() + text.slice('text:'.length))
    else all.push(text)
  }
  return all
}

/** @throws AssertionError that names the answer */
export function randomAnswer(family: Family, seed: number): void {
  const random = randomNumbers(seed)
  const pick = <T>(items: readonly T[]): T => pickFrom(random, items)
  const reader = READERS[family]
  const words: string[] = []
  let answer = ''
  for (let n = 1 + Math.floor(random() * 14); n > 0; n--) {
    const kind = random()
    if (kind < 0.25) {
      words.push(`w${words.length}w`)
      answer += words.at(-1)
    } else if (kind < 0.4) answer += pick(TAGS.filter((tag) => reader.tokenizer.specials.has(tag)))
    else answer += pick(PIECES)
  }
  try {
    const options = random() < 0.9 ? { tools: TOOLS } : {}
    const events = readIn(1, reader, ids(reader, answer), options)
    checkEvents(events)
    for (const size of [2, 5, 100])
      assert.deepEqual(parts(readIn(size, reader, ids(reader, answer), options)), parts(events), `in pieces of ${size}`)
    const out = events
      .map((event) => {
        if (event.type === 'text-end' || event.type === 'reasoning-end') return event.text
        return event.type === 'tool-call-end' ? `${event.name} ${event.arguments}` : ''
      })
      .join(' ')
    const isClean = events.every(({ type }) => type !== 'tool-call-start' && type !== 'warning')
    assert.ok(
      !isClean || !OPENERS.some((tag) => answer.replace(/‹[^›]*›/g, '').includes(tag) && reader.tokenizer.specials.has(tag)),
      'no warning',
    )
    // The id that Mistral's models write for a call is no text.
    const said = answer.replace(/[‹›]/g, '').replace(/\[CALL_ID\]\s*[\w-]*\s*\[ARGS\]/g, '')
    for (const word of words) assert.ok(!said.includes(word) || out.includes(word), `${word} is lost in ${JSON.stringify(out)}`)
  } catch (error) {
    throw new Error(`${family}, seed ${seed}: ${JSON.stringify(answer)}`, { cause: error })
  }
}
