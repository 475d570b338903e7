/**
 * The tokenizer files of a synthetic checkpoint: a tokenizer.json of the published vocabulary size with
 * the special tokens at their published ids. The vocabulary is artificial: one token per byte, and
 * invented words for all other ids, which decoding can produce and encoding never does.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import { familyOf } from '../../architecture/families.ts'
import { bpeTokenizerJson } from '../../tokenizer/build.ts'
import { byteSpelling } from '../../tokenizer/byte-level.ts'

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
  const family = familyOf(modelType)
  const tokens = (byId: Record<number, string> | undefined, special: boolean) =>
    Object.entries(byId ?? {}).map(([id, content]) => ({ id: Number(id), content, special }))
  const added = [...tokens(family?.specialTokens({ modelType, vocabSize }), true), ...tokens(family?.textTokens, false)].filter(
    ({ id }) => id < vocabSize,
  )
  // Families whose published tokenizer puts a token before every text.
  const bos = family?.beginsTexts ? added.find(({ id }) => id === bosTokenId) : undefined
  return new Map([
    ['tokenizer_config.json', `${JSON.stringify({ add_bos_token: bos !== undefined, bos_token: bos?.content ?? null }, null, 2)}\n`],
    ['tokenizer.json', `${JSON.stringify(tokenizerJson(vocabSize, added))}\n`],
  ])
}

function tokenizerJson(vocabSize: number, added: readonly { id: number; content: string; special: boolean }[]): object {
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
