/** Turns js-tiktoken's ranks into the published file layouts, so that our loaders read what OpenAI's encodings contain. */
import type { TiktokenBPE } from 'js-tiktoken'
import { Tiktoken } from 'js-tiktoken/lite'
import { byteSpelling } from '../../src/tokenizer/byte-level.ts'

/** Entry (GPT-2's spelling of bytes) -> id, in order of rank. */
export function vocabulary(ranks: TiktokenBPE): Map<string, number> {
  const entries: string[] = []
  for (const line of ranks.bpe_ranks.split('\n')) {
    const [, first, ...tokens] = line.split(' ')
    tokens.forEach((token, i) => {
      entries[Number(first) + i] = Array.from(atob(token), (byte) => byteSpelling[byte.charCodeAt(0)]).join('')
    })
  }
  const vocab = new Map<string, number>()
  entries.forEach((entry, id) => {
    vocab.set(entry, id)
  })
  return vocab
}

/** Every way to put an entry together from two others, in order of the entry's rank: what tiktoken's ranks mean, written as merges. */
export function merges(vocab: ReadonlyMap<string, number>): [string, string][] {
  const result: [string, string][] = []
  for (const entry of vocab.keys())
    for (let cut = 1; cut < entry.length; cut++) {
      const [left, right] = [entry.slice(0, cut), entry.slice(cut)]
      if (vocab.has(left) && vocab.has(right)) result.push([left, right])
    }
  return result
}

/** The tokenizer.json of gpt-oss, as published but for the spelling of the expression. */
export function o200kHarmonyJson(ranks: TiktokenBPE): object {
  const vocab = vocabulary(ranks)
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
  const added = Array.from({ length: 21 }, (_, i) => ({
    id: 199998 + i,
    content: named[199998 + i] ?? `<|reserved_${199998 + i}|>`,
    special: true,
  }))
  const contraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
  const expression = [
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` + contraction,
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` + contraction,
    String.raw`\p{N}{1,3}`,
    String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*`,
    String.raw`\s*[\r\n]+`,
    String.raw`\s+(?!\S)`,
    String.raw`\s+`,
  ].join('|')
  return {
    version: '1.0',
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      unk_token: null,
      byte_fallback: false,
      ignore_merges: true,
      vocab: Object.fromEntries(vocab),
      merges: merges(vocab),
    },
  }
}

/**
 * js-tiktoken as the second implementation. Its expressions say `\s` in JavaScript's meaning, which counts U+FEFF as white space and
 * U+0085 not; tiktoken and the published files mean Unicode's White_Space, and so the class is written out here.
 */
export function tiktoken(ranks: TiktokenBPE): Tiktoken {
  const space = String.raw`\p{White_Space}`
  let inClass = false
  const pattern = ranks.pat_str.replace(/\\[sS]|\\.|[[\]]/g, (found) => {
    if (found === '[') inClass = true
    else if (found === ']') inClass = false
    else if (found === '\\s') return inClass ? space : `[${space}]`
    else if (found === '\\S') return `[^${space}]`
    return found
  })
  return new Tiktoken({ ...ranks, pat_str: pattern })
}
