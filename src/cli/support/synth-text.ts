/**
 * The tokenizer files of a synthetic checkpoint: a tokenizer.json of the published vocabulary size with
 * the special tokens at their published ids. The vocabulary is artificial: one token per byte, and
 * invented words for all other ids, which decoding can produce and encoding never does.
 */

import type { Architecture } from '../../architecture/architecture.ts'
import { bpeTokenizerJson } from '../../tokenizer/build.ts'
import { byteSpelling } from '../../tokenizer/byte-level.ts'

interface AddedToken {
  readonly id: number
  readonly content: string
  /** False for tags that stay in decoded text, such as `<think>`. */
  readonly special: boolean
}

/**
 * tokenizer_config.json and tokenizer.json (name -> text, in this order) for a published architecture. The
 * chat format follows from the special tokens, as with the published files: harmony for gpt-oss, Qwen's
 * for Qwen3. The other families are base models, which continue text.
 */
export function synthTextFiles({
  modelType,
  vocabSize,
  bosTokenId,
}: Pick<Architecture, 'modelType' | 'vocabSize' | 'bosTokenId'>): Map<string, string> {
  const added = specialTokens(modelType, vocabSize).filter(({ id }) => id < vocabSize)
  // Families whose published tokenizer puts a token before every text.
  const bos = startsTexts(modelType) ? added.find(({ id }) => id === bosTokenId) : undefined
  return new Map([
    ['tokenizer_config.json', `${JSON.stringify({ add_bos_token: bos !== undefined, bos_token: bos?.content ?? null }, null, 2)}\n`],
    ['tokenizer.json', `${JSON.stringify(tokenizerJson(vocabSize, added))}\n`],
  ])
}

function tokenizerJson(vocabSize: number, added: readonly AddedToken[]): object {
  const taken = new Set(added.map(({ id }) => id))
  // In the order of GPT-2's spelling the bytes have the ids that GPT-2, gpt-oss and Qwen publish for them.
  const entries = byteSpelling.toSorted((a, b) => a.charCodeAt(0) - b.charCodeAt(0))
  const vocab: Record<string, number> = {}
  for (let id = 0, next = 0; id < vocabSize; id++) {
    if (taken.has(id)) continue
    vocab[next < entries.length ? entries[next++]! : word(id)] = id
  }
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  return bpeTokenizerJson({ vocab, added, preTokenizer: bytes, decoder: bytes })
}

/** A space and four or more letters, a different word for every id. */
function word(id: number): string {
  let letters = ''
  for (let rest = id; rest > 0 || letters.length < 4; rest = Math.floor(rest / 26))
    letters = String.fromCharCode(97 + (rest % 26)) + letters
  return `${byteSpelling[0x20]}${letters}`
}

function startsTexts(modelType: string): boolean {
  return /^(llama|mistral|mixtral|gemma)/.test(modelType)
}

function specialTokens(modelType: string, vocabSize: number): AddedToken[] {
  if (modelType === 'gpt2') return tokens({ 50256: '<|endoftext|>' })
  if (modelType === 'gpt_oss') return harmonyTokens()
  if (modelType.startsWith('qwen3')) return qwenTokens()
  if (modelType === 'olmo2') return tokens({ 100257: '<|endoftext|>', 100277: '<|pad|>' })
  if (modelType === 'gemma3_text')
    return tokens({ 0: '<pad>', 1: '<eos>', 2: '<bos>', 3: '<unk>', 105: '<start_of_turn>', 106: '<end_of_turn>' })
  if (modelType.startsWith('gemma'))
    return tokens({ 0: '<pad>', 1: '<eos>', 2: '<bos>', 3: '<unk>', 106: '<start_of_turn>', 107: '<end_of_turn>' })
  if (modelType === 'llama' && vocabSize >= 128_256)
    return tokens({
      128000: '<|begin_of_text|>',
      128001: '<|end_of_text|>',
      128006: '<|start_header_id|>',
      128007: '<|end_header_id|>',
      128008: '<|eom_id|>',
      128009: '<|eot_id|>',
    })
  return tokens({ 0: '<unk>', 1: '<s>', 2: '</s>' }) // Llama 1 and 2, Mistral, Mixtral
}

const tokens = (byId: Record<number, string>, special = true): AddedToken[] =>
  Object.entries(byId).map(([id, content]) => ({ id: Number(id), content, special }))

/** o200k_harmony as in gpt-oss's tokenizer.json: 199998 … 200018, most of them reserved. */
function harmonyTokens(): AddedToken[] {
  const named: Record<number, string> = {
    199998: '<|startoftext|>',
    199999: '<|endoftext|>',
    200002: '<|return|>',
    200003: '<|constrain|>',
    200005: '<|channel|>',
    200006: '<|start|>',
    200007: '<|end|>',
    200008: '<|message|>',
    200012: '<|call|>',
    200018: '<|endofprompt|>',
  }
  return Array.from({ length: 21 }, (_, i) => 199_998 + i).map((id) => ({ id, content: named[id] ?? `<|reserved_${id}|>`, special: true }))
}

function qwenTokens(): AddedToken[] {
  const names = ['endoftext', 'im_start', 'im_end', 'object_ref_start', 'object_ref_end', 'box_start', 'box_end', 'quad_start', 'quad_end']
  names.push('vision_start', 'vision_end', 'vision_pad', 'image_pad', 'video_pad')
  const tags = ['<tool_call>', '</tool_call>']
  tags.push(...['fim_prefix', 'fim_middle', 'fim_suffix', 'fim_pad', 'repo_name', 'file_sep'].map((name) => `<|${name}|>`))
  tags.push('<tool_response>', '</tool_response>', '<think>', '</think>')
  return [
    ...names.map((name, i) => ({ id: 151_643 + i, content: `<|${name}|>`, special: true })),
    ...tags.map((content, i) => ({ id: 151_643 + names.length + i, content, special: false })),
  ]
}
