/**
 * Loads a published tokenizer.json: byte-level BPE (GPT-2, gpt-oss, Qwen, Llama 3) and SentencePiece-style
 * BPE (Llama 2, Mistral, Gemma). An unsupported setting that would change ids is refused with its path.
 * Format: the Rust crate huggingface/tokenizers.
 */
import { Fields, isInteger } from '../json/fields.ts'
import { isObject } from '../json/json.ts'
import type { AddedToken } from './added-tokens.ts'
import { MergeTable } from './bpe.ts'
import { BpeTokenizer } from './bpe-tokenizer.ts'
import { byteSpelling } from './byte-level.ts'
import { decoder } from './decoder.ts'
import { type MergePieces, unescaped } from './merge-text.ts'
import { normalizer } from './normalizer.ts'
import { preTokenizer } from './pre-tokenizer.ts'
import { cutter, spellBytes, spellCharacters } from './spelling.ts'
import type { Tokenizer } from './tokenizer.ts'
import { hashOf, Vocabulary, writeEntry } from './vocabulary.ts'

/** The largest id that a file may use. It limits the memory that a hostile file can claim. */
const LARGEST_ID = 2 ** 23

/**
 * The tokenizer that a parsed tokenizer.json describes.
 * @param file name for error messages
 * @param options.bos spelling of the token before every text (`bos_token` of tokenizer_config.json),
 * used if the file has no template
 * @throws TypeError naming file and field on anything malformed or unsupported
 */
export function tokenizerFromJson(json: unknown, file: string, options: { bos?: string | undefined } = {}): Tokenizer {
  const root = new Fields(json, file)
  const model = root.inner('model') ?? root.expected('model', 'an object', undefined)
  const type = model.string('type', 'BPE')
  if (type !== 'BPE') model.expected('type', 'BPE', type)
  if (model.raw('dropout') !== undefined && model.raw('dropout') !== 0) model.expected('dropout', 'null', model.raw('dropout'))
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix'])
    if (model.string(name, '') !== '') model.expected(name, 'nothing', model.raw(name))

  const all = readVocabulary(model)
  const added = readAdded(root, all)
  const special = new Set<number>()
  for (const token of added) if (token.special && all.has(token.content)) special.add(token.id)
  const pre = preTokenizer(root.inner('pre_tokenizer'))
  const unknownToken = model.string('unk_token', '')
  const unknown =
    unknownToken === '' ? undefined : (all.get(unknownToken) ?? model.expected('unk_token', 'an entry of the vocabulary', unknownToken))
  const fuse = model.flag('fuse_unk', false)
  const { merges, pairs } = readMerges(model, all, special, !pre.byteLevel)
  const vocabulary = all
  for (const token of added) if (token.special) vocabulary.delete(token.content)
  const bytes = model.flag('byte_fallback', false) ? fallbackBytes(vocabulary) : undefined
  const keepTogether = fuse ? (left: string, right: string) => !vocabulary.has(left) && !vocabulary.has(right) : undefined
  return new BpeTokenizer({
    vocabulary,
    merges,
    added,
    normalize: normalizer(root.inner('normalizer')),
    preTokenizer: pre,
    decoder: decoder(root.inner('decoder')),
    spell: pre.byteLevel ? spellBytes(vocabulary, unknown, file) : spellCharacters(vocabulary, bytes, unknown, fuse, file),
    cut: pre.byteLevel ? undefined : cutter(pairs, keepTogether),
    whole: model.flag('ignore_merges', false) ? wholePieces(vocabulary, pre.byteLevel) : undefined,
    prefix: readPrefix(root, added) ?? added.filter((token) => token.content === options.bos).map((token) => token.id),
  })
}

/** From an object, or as merge-text.ts has read it. */
function readVocabulary(model: Fields): Vocabulary {
  const given = model.raw('vocab')
  const fields = model.inner('vocab') ?? model.expected('vocab', 'an object', undefined)
  const vocabulary =
    given instanceof Vocabulary ? given : new Vocabulary(Object.keys(fields.object), Object.values(fields.object as Record<string, number>))
  const { entries, ids } = vocabulary
  const taken = new Uint8Array(LARGEST_ID + 1)
  for (let index = 0; index < entries.length; index++) {
    const id = ids[index]!
    if (!Number.isInteger(id) || id < 0 || id > LARGEST_ID)
      fields.expected(JSON.stringify(entries[index]), `an id from 0 to ${LARGEST_ID}`, id)
    if (taken[id] === 1) fields.expected(JSON.stringify(entries[index]), 'an id of its own', id)
    taken[id] = 1
  }
  return vocabulary
}

function readAdded(root: Fields, vocabulary: Vocabulary): AddedToken[] {
  if (root.raw('added_tokens') === undefined) return []
  const owner: (string | undefined)[] = []
  for (let index = 0; index < vocabulary.entries.length; index++) owner[vocabulary.ids[index]!] = vocabulary.entries[index]
  return root.list('added_tokens').map((fields) => {
    const content = fields.string('content')
    const id = fields.integer('id')
    if (content === '') fields.expected('content', 'a spelling', content)
    if (id > LARGEST_ID) fields.expected('id', `at most ${LARGEST_ID}`, id)
    if ((vocabulary.get(content) ?? id) !== id)
      fields.expected('id', `the id ${vocabulary.get(content)} of ${JSON.stringify(content)} in model.vocab`, id)
    if ((owner[id] ?? content) !== content) fields.expected('id', `an id of its own (${JSON.stringify(owner[id])} has it)`, id)
    owner[id] = content
    const hidden = fields.flag('special', false)
    return {
      id,
      content,
      special: hidden || !vocabulary.has(content),
      hidden,
      lstrip: fields.flag('lstrip', false),
      rstrip: fields.flag('rstrip', false),
      singleWord: fields.flag('single_word', false),
    }
  })
}

/**
 * Merges are "left right" in old files and lists of two in new ones, or still bytes of the file (merge-text.ts). A merge whose result is a special
 * token is skipped: text never becomes special.
 * @param special ids that no text may become
 * @param keepPairs whether the [left, right] entries are wanted too
 */
function readMerges(
  model: Fields,
  all: Vocabulary,
  special: ReadonlySet<number>,
  keepPairs: boolean,
): { merges: MergeTable; pairs: [string, string][] } {
  const given = model.raw('merges')
  const scanned = isObject(given) && given.pieces instanceof Int32Array ? (given as unknown as MergePieces) : undefined
  const list = scanned ? [] : model.array('merges')
  const count = scanned?.count ?? list.length
  if (count > LARGEST_ID) model.expected('merges', `at most ${LARGEST_ID} merges`, count)
  const ranks = readRanks(model, count)
  const known = new Int32Array(count * 4) // left, right, rank, merged
  let used = 0
  const pairs: [string, string][] = []
  const add = (rank: number, bytes: Uint8Array, from: number, to: number, hash: number, from2: number, to2: number, hash2: number) => {
    const text = (from: number, to: number) => new TextDecoder().decode(bytes.subarray(from, to))
    const left = all.find(bytes, from, to, hash)
    const right = all.find(bytes, from2, to2, hash2)
    const merged = all.findJoined(bytes, from, to, hash, from2, to2, hash2)
    if (left < 0 || right < 0 || merged < 0) {
      const entry = left < 0 ? text(from, to) : right < 0 ? text(from2, to2) : text(from, to) + text(from2, to2)
      model.expected(`merges[${rank}]`, 'entries of the vocabulary', entry)
    }
    if (special.size > 0 && special.has(merged)) return
    known[used++] = left
    known[used++] = right
    known[used++] = ranks?.[rank] ?? rank
    known[used++] = merged
    if (keepPairs) pairs.push([text(from, to), text(from2, to2)])
  }
  let buffer = new Uint8Array(256)
  const addTexts = (rank: number, left: string, right: string) => {
    if ((left.length + right.length) * 3 > buffer.length) buffer = new Uint8Array((left.length + right.length) * 3)
    const middle = writeEntry(left, buffer, 0)
    const end = writeEntry(right, buffer, middle)
    add(rank, buffer, 0, middle, hashOf(buffer, 0, middle), middle, end, hashOf(buffer, middle, end))
  }
  if (scanned) {
    const { bytes, pieces } = scanned
    for (let rank = 0, at = 0; rank < count; rank++, at += 6) {
      const [from, to, from2, to2] = [pieces[at]!, pieces[at + 1]!, pieces[at + 3]!, pieces[at + 4]!]
      if (from >= 0 && from2 >= 0) add(rank, bytes, from, to, pieces[at + 2]!, from2, to2, pieces[at + 5]!)
      else addTexts(rank, unescaped(bytes, from, to), unescaped(bytes, from2, to2))
    }
  }
  for (const [rank, merge] of list.entries()) {
    const pair: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : []
    const [left, right] = pair
    if (pair.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
      return model.expected(`merges[${rank}]`, 'two entries', merge)
    addTexts(rank, left, right)
  }
  const merges = new MergeTable(used / 4)
  merges.setAll(known.subarray(0, used))
  return { merges, pairs }
}

/**
 * `merge_ranks`, which only vocabularies with scores have (GGUF): merges of the same rank are done from left to right. In other files
 * the order of the merges is their rank.
 */
function readRanks(model: Fields, count: number): number[] | undefined {
  if (model.raw('merge_ranks') === undefined) return undefined
  const ranks = model.array('merge_ranks')
  const fits = ranks.length === count && ranks.every((rank) => isInteger(rank, 0, LARGEST_ID))
  return fits ? (ranks as number[]) : model.expected('merge_ranks', `${count} ranks, one per merge`, ranks)
}

/** The ids of `<0x00>` … `<0xFF>`; some files lack a few. */
function fallbackBytes(vocabulary: Vocabulary): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`))
}

function wholePieces(vocabulary: Vocabulary, byteLevel: boolean): (piece: string) => number | undefined {
  if (!byteLevel) return (piece) => vocabulary.get(piece)
  const encoder = new TextEncoder()
  let longest = 0
  for (const entry of vocabulary.entries) if (entry.length > longest) longest = entry.length
  return (piece) => {
    if (piece.length > longest) return undefined
    let entry = ''
    for (const byte of encoder.encode(piece)) entry += byteSpelling[byte]!
    return vocabulary.get(entry)
  }
}

/** The special tokens that the post-processor's template puts before the text; undefined without a template. */
function readPrefix(root: Fields, added: readonly AddedToken[]): number[] | undefined {
  const post = root.inner('post_processor')
  if (post === undefined) return undefined
  const steps = post.string('type') === 'Sequence' ? post.list('processors') : [post]
  let prefix: number[] | undefined
  for (const step of steps) {
    if (step.string('type') !== 'TemplateProcessing') continue
    prefix = []
    for (const part of step.list('single')) {
      if (part.inner('Sequence') !== undefined) break
      const name = part.inner('SpecialToken')?.string('id')
      const token = added.find((token) => token.content === name)
      if (token === undefined) return part.expected('SpecialToken', 'an added token', name)
      prefix.push(token.id)
    }
  }
  return prefix
}
