/**
 * Text to the ids that a model is given: the one way for raw prompts, base models and measurements. It puts the BOS in front where the
 * tokenizer's files ask for one. Conversations with a chat template go through the chat formats, whose templates write their own BOS.
 */
import type { TextStream, Tokenizer } from './tokenizer.ts'

export interface PromptOptions {
  /**
   * Spellings of added tokens (`<|im_end|>`, `<fim_prefix>`) become these tokens, as other servers read raw prompts. Default true.
   * False for text of people, tools and models.
   */
  special?: boolean
  /** Put in front what the tokenizer's files put before every text, unless the text begins with it. Default true. */
  bos?: boolean
}

/** The ids of a text. Empty only for an empty text of a tokenizer without BOS, or with `bos: false`. */
export function promptIds(tokenizer: Tokenizer, text: string, { special = true, bos = true }: PromptOptions = {}): number[] {
  const ids = special ? written(tokenizer, text) : tokenizer.encode(text)
  const { prefix = [] } = tokenizer
  return !bos || prefixLength(tokenizer, ids) === prefix.length ? ids : [...prefix, ...ids]
}

/**
 * Text with special tokens. SentencePiece's tokenizers put a blank in front of each piece of text between special tokens, and decoding
 * shows it. Where the text is what decoding writes, the ids that it was written from are meant, not ids with one blank more.
 */
function written(tokenizer: Tokenizer, text: string): number[] {
  const ids = tokenizer.encodeTemplate(text)
  const spellings = new Set(ids.filter((id) => tokenizer.isSpecial(id)).map((id) => tokenizer.decode([id])))
  if (spellings.size === 0 || tokenizer.decode(ids) === text) return ids
  let without = text
  for (const spelling of spellings) without = without.replaceAll(`${spelling} `, spelling)
  const meant = tokenizer.encodeTemplate(without)
  return tokenizer.decode(meant) === text ? meant : ids
}

/** How many ids of a prompt are the BOS that the tokenizer puts in front. */
export function prefixLength({ prefix = [] }: Tokenizer, ids: readonly number[]): number {
  return prefix.every((id, i) => ids[i] === id) ? prefix.length : 0
}

/** So many ids of a prompt say how its text goes on: whether a blank before the next word, or the rest of a character, is part of it. */
export const LAST_IDS = 8

/** The stream in which the text of a prompt goes on. */
export function streamAfter(tokenizer: Tokenizer, ids: readonly number[]): TextStream {
  const stream = tokenizer.stream()
  for (const id of ids.slice(prefixLength(tokenizer, ids)).slice(-LAST_IDS)) stream.push(id)
  return stream
}

/** The text of a prompt without its BOS. A character that it leaves unfinished is left out: it comes with the ids that finish it. */
export function promptText(tokenizer: Tokenizer, ids: readonly number[]): string {
  const stream = tokenizer.stream()
  let text = ''
  for (const id of ids.slice(prefixLength(tokenizer, ids))) text += stream.push(id)
  return text
}

/** The text of single ids, with the blank that begins a word. A part of a character is U+FFFD, and so is an id without a token. */
export function speller(tokenizer: Tokenizer): (id: number) => string {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  return (id) => {
    try {
      return decoder.decode(tokenizer.bytes(id))
    } catch (error) {
      // Embeddings have more rows than tokenizers have ids.
      if (error instanceof RangeError) return '\ufffd'
      throw error
    }
  }
}
