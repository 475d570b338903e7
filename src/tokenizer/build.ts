/**
 * Builds tokenizer.json objects for small models of our own: one id per byte, or one id per character.
 * `tokenizerFromJson` and any other loader of the format can read them.
 */
import { byteSpelling } from './byte-level.ts'

/** A tokenizer.json as an object for JSON.stringify. */
export interface TokenizerJson {
  readonly version: '1.0'
  readonly added_tokens: readonly object[]
  readonly [field: string]: unknown
}

/** A special token by spelling; `special: false`: skipping special tokens keeps it in the text (like `<think>`). */
export type SpecialToken = string | { readonly content: string; readonly special: boolean }

/** Ids 0 … 255 are the bytes; the special tokens follow in order. */
export function byteTokenizerJson(specials: readonly SpecialToken[]): TokenizerJson {
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }
  return tokenizerJson({
    vocab: Object.fromEntries(byteSpelling.map((spelling, byte) => [spelling, byte])),
    specials,
    preTokenizer: bytes,
    decoder: bytes,
  })
}

/** One id per distinct character of `text`, by code point, then the special tokens. Other characters are a RangeError. */
export function characterTokenizerJson(text: string, specials: readonly SpecialToken[] = []): TokenizerJson {
  const characters = [...new Set(text.toWellFormed())].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  return tokenizerJson({
    vocab: Object.fromEntries(characters.map((character, id) => [character, id])),
    specials,
    preTokenizer: null,
    decoder: { type: 'Fuse' },
  })
}

interface Parts {
  vocab: Record<string, number>
  specials: readonly SpecialToken[]
  preTokenizer: object | null
  decoder: object
}

function tokenizerJson({ vocab, specials, preTokenizer, decoder }: Parts): TokenizerJson {
  const spellings = specials.map((token) => (typeof token === 'string' ? token : token.content))
  const twice = spellings.find(
    (spelling, i) => spelling === '' || spellings.indexOf(spelling) !== i || (Object.hasOwn(vocab, spelling) && spelling.length === 1),
  )
  if (twice !== undefined)
    throw new RangeError(`special tokens: expected different spellings that are no entry of the vocabulary, got ${JSON.stringify(twice)}`)
  const first = Object.keys(vocab).length
  const added = specials.map((token, i) => ({
    id: first + i,
    content: spellings[i]!,
    special: typeof token === 'string' || token.special,
  }))
  return bpeTokenizerJson({ vocab, added, preTokenizer, decoder })
}

/** A BPE model as a tokenizer.json. With `ignoreMerges` a piece that is an entry of the vocabulary needs no merges. */
export function bpeTokenizerJson(parts: {
  vocab: Record<string, number>
  merges?: readonly [string, string][]
  ignoreMerges?: boolean
  added: readonly { id: number; content: string; special: boolean }[]
  preTokenizer: object | null
  decoder: object
}): TokenizerJson {
  const { vocab, merges = [], ignoreMerges = false, added, preTokenizer, decoder } = parts
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added.map(({ id, content, special }) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special,
    })),
    normalizer: null,
    pre_tokenizer: preTokenizer,
    post_processor: null,
    decoder,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: ignoreMerges,
      vocab,
      merges,
    },
  }
}
