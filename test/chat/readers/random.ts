/** One random answer for a reader, and what must hold of any. Also run by bench/readers.ts, with other seeds. */
import assert from 'node:assert/strict'
import { pick as pickFrom, random as randomNumbers } from '../../../src/random/stream.ts'
import { checkEvents } from '../events.ts'
import { type Family, ids, READERS, TOOLS } from './answers.ts'

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
    const parser = reader.format.parser([], random() < 0.9 ? { tools: TOOLS } : {})
    const events = ids(reader, answer).flatMap((id) => parser.push(id))
    events.push(...parser.end())
    checkEvents(events)
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
    for (const word of words) assert.ok(out.includes(word), `${word} is lost in ${JSON.stringify(out)}`)
  } catch (error) {
    throw new Error(`${family}, seed ${seed}: ${JSON.stringify(answer)}`, { cause: error })
  }
}
