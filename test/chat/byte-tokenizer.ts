/** Small tokenizers with the markers of each format: one id per byte, then the markers. */
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'

export const harmonySpecials = ['start', 'message', 'end', 'channel', 'constrain', 'call', 'return', 'endoftext'].map(
  (name) => `<|${name}|>`,
)

const marker = (content: string) => ({ content, special: false })
export const qwenSpecials = [
  '<|im_start|>',
  '<|im_end|>',
  '<|endoftext|>',
  ...['<think>', '</think>', '<tool_call>', '</tool_call>', '<tool_response>', '</tool_response>'].map(marker),
]

export function byteTokenizer(specials: Parameters<typeof byteTokenizerJson>[0]): Tokenizer {
  return tokenizerFromJson(JSON.parse(JSON.stringify(byteTokenizerJson(specials))), 'tokenizer.json')
}
