/**
 * GPT-2's own files: vocab.json (OpenAI's encoder.json) and merges.txt (vocab.bpe). They do not
 * describe normalization, the splitting expression or special tokens; GPT-2's are used.
 */
import { isObject, type Json } from '../json/json.ts'
import { gpt2Pattern } from './pre-tokenizer.ts'
import type { Tokenizer } from './tokenizer.ts'
import { tokenizerFromJson } from './tokenizer-json.ts'

/**
 * @param vocab the parsed vocab.json: entry -> id
 * @param merges the text of merges.txt: one "left right" a line, lowest rank first, after an optional
 * `#version` line
 */
export const tokenizerFromGpt2 = (vocab: unknown, merges: string, file = 'vocab.json and merges.txt'): Tokenizer =>
  tokenizerFromJson(gpt2TokenizerJson(vocab, merges), file)

/** The tokenizer.json that says what the two files say. */
export function gpt2TokenizerJson(vocab: unknown, merges: string): Json {
  const lines = merges.split(/\r?\n/)
  if (lines[0]?.startsWith('#version')) lines.shift()
  const end = '<|endoftext|>'
  const id = isObject(vocab) && Object.hasOwn(vocab, end) ? vocab[end] : undefined
  return {
    added_tokens: id === undefined ? [] : [{ id, content: end, special: true }],
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: gpt2Pattern }, behavior: 'Isolated' },
        { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
      ],
    },
    decoder: { type: 'ByteLevel' },
    model: { type: 'BPE', vocab, merges: lines.filter((line) => line !== '') },
  }
}
