/** Answers of models with each syntax of tool calls, read by the format that a template of this syntax gets. */
import assert from 'node:assert/strict'
import { formatFor } from '../../../src/chat/formats/format.ts'
import { qwenFormat } from '../../../src/chat/formats/qwen/qwen.ts'
import type { ChatEvent, ChatFormat, RenderOptions, ToolDefinition } from '../../../src/chat/messages.ts'
import type { Tokenizer } from '../../../src/tokenizer/tokenizer.ts'
import { byteTokenizer, qwenSpecials } from '../byte-tokenizer.ts'
import { checkEvents, summary } from '../events.ts'

export interface Reader {
  tokenizer: Tokenizer
  format: ChatFormat
}

/** A template that says how calls are written, in as few words as the family's own. */
const template = (syntax: string) => `{% if tools %}{{ tools }}${syntax}{% endif %}{{ messages[0].content }}`

function byTemplate(specials: string[], syntax: string): Reader {
  const tokenizer = byteTokenizer([...specials, '</s>'])
  return { tokenizer, format: formatFor({ tokenizer, chatTemplate: template(syntax), eosToken: '</s>' }) }
}

const qwen = byteTokenizer(qwenSpecials)

export const READERS = {
  qwen: { tokenizer: qwen, format: qwenFormat(qwen, { thinking: 'never', tools: 'json' }) },
  coder: { tokenizer: qwen, format: qwenFormat(qwen, { thinking: 'never', tools: 'xml' }) },
  hermes: byTemplate([], `<tool_call>{"name": "f", "arguments": {}}</tool_call>`),
  llama: byTemplate(['<|python_tag|>'], `Respond in the format {"name": function name, "parameters": dictionary}.`),
  mistral: byTemplate(['[TOOL_CALLS]'], '[TOOL_CALLS][{"name": "f", "arguments": {}, "id": "x"}]'),
  mistralNamed: byTemplate(['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]'], '[TOOL_CALLS]f[CALL_ID]x[ARGS]{}'),
  devstral: byTemplate(['[TOOL_CALLS]', '[ARGS]'], '[TOOL_CALLS]f[ARGS]{}'),
  olmo: byTemplate(['<function_calls>', '</function_calls>'], '<function_calls>f(a=1)</function_calls>'),
  gemma: byTemplate([], '```tool_code f(a=1) ```'),
  functionGemma: byTemplate(
    ['<start_function_call>', '<end_function_call>', '<escape>'],
    '<start_function_call>call:f{a:1}<end_function_call>',
  ),
  gemma4: byTemplate(['<|tool_call>', '<tool_call|>', '<|"|>'], '<|tool_call>call:f{a:1}<tool_call|>'),
  granite: byTemplate(['<|tool_call|>'], '<|tool_call|>[{"name": "f", "arguments": {}}]'),
} satisfies Record<string, Reader>

export type Family = keyof typeof READERS

export const TOOLS: ToolDefinition[] = [
  { name: 'shell', parameters: { type: 'object', properties: { command: { type: 'string' } } } },
  {
    name: 'write',
    parameters: { type: 'object', properties: { path: { type: 'string' }, content: { type: 'string' }, mode: { type: 'string' } } },
  },
  {
    name: 'f',
    parameters: {
      type: 'object',
      properties: { a: { type: 'string' }, n: { type: 'integer' }, o: { type: 'object' }, b: { type: 'boolean' }, l: { type: 'array' } },
    },
  },
  { name: 'now' },
]

/** @param plain texts whose tags are no tokens, as a model may spell them, marked by `‹…›` in the answer */
export function ids({ tokenizer }: Reader, answer: string): number[] {
  return answer
    .split(/(‹[^›]*›)/)
    .flatMap((piece) => (piece.startsWith('‹') ? tokenizer.encode(piece.slice(1, -1)) : tokenizer.encodeTemplate(piece)))
}

export function events(family: Family, answer: string, options: RenderOptions = { tools: TOOLS }): ChatEvent[] {
  const reader = READERS[family]
  const parser = reader.format.parser([], options)
  const all = ids(reader, answer).flatMap((id) => parser.push(id))
  all.push(...parser.end())
  checkEvents(all)
  return all
}

export type Row = [answer: string, expected: string[], tools?: ToolDefinition[]]

/** Reads every answer of a table and compares; a call whose arguments are JSON is compared as it is spelled. */
export function compare(family: Family, rows: readonly Row[]): void {
  for (const [answer, expected, tools = TOOLS] of rows)
    assert.deepEqual(summary(events(family, answer, { tools })), expected, `${family}: ${answer}`)
}
