/**
 * The tokenizer of a checkpoint as the metadata of a GGUF file: the inverse of tokenizer.ts. Byte-level BPE becomes `gpt2` with the name of
 * a splitting expression, found by what it does to a text; SentencePiece's BPE becomes `llama`, with scores that give its merges again.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import { Fields } from '../../json/fields.ts'
import type { Json } from '../../json/json.ts'
import { preTokenizer } from '../../tokenizer/pre-tokenizer.ts'
import { idsOf, spelling } from '../../tokenizer/special-tokens.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../tokenizer/tokenizer-json.ts'
import { WrongFormatError } from '../errors.ts'
import type { Metadata } from './header.ts'
import { MetadataFields } from './metadata.ts'
import { PRE_TOKENIZERS } from './pre-tokenizers.ts'
import { END_KEYS, endIds, TOKEN } from './special-ids.ts'
import { preTokenizerJson, SAMPLING, tokenizerFromMetadata } from './tokenizer.ts'
import type { Entry } from './write-node.ts'

/** What a checkpoint says about texts. */
export interface TextFiles {
  /** tokenizer.json; absent for a model of ids. */
  readonly tokenizer?: Json | undefined
  /** tokenizer_config.json */
  readonly config: Json
  /** generation_config.json */
  readonly generation: Json
  /** Chat templates by name; `default` is the main one. */
  readonly templates: ReadonlyMap<string, string>
}

/** A text in which the known splitting expressions differ. */
const PROBE =
  "Hello hello, I'm HERE'S they'll_go snake_case camelCaseWord XMLHttp 1 22 333 4444 55555 3.14\n\n  two\t tabs \r\n\r\n   x=y+2; // note!!! (a)[b]{c} $5 #1 @me <|tag|> ...\n \n中文字符,日本語のテキスト 한국어 naïve café e\u0301 ÀÉ привет мир ١٢٣ 🙂🚀👩‍💻 ½ ² Ⅷ ～！ don't DON'T 'twas end  "

const text = (key: string, value: string): Entry => ({ key, type: 'text', value })
const whole = (key: string, value: number): Entry => ({ key, type: 'u32', value })

/**
 * @param file for error messages
 * @throws WrongFormatError for a tokenizer that GGUF has no name for, or whose ids would change
 */
export function textEntries(files: TextFiles, architecture: Architecture, file: string): Entry[] {
  const { tokenizer: json, config } = files
  const sampling = samplingEntries(files.generation)
  const ids = idsOf(files.generation.eos_token_id) ?? architecture.eosTokenIds
  if (!json) {
    const bos = architecture.bosTokenId
    const all = [text('tokenizer.ggml.model', 'no_vocab'), ...(bos === null ? [] : [whole('tokenizer.ggml.bos_token_id', bos)])]
    return [...sampling, ...all, ...endEntries(all, ids, file)]
  }
  const bosText = spelling(config.bos_token)
  const published = tokenizerFromJson(json, file, { bos: config.add_bos_token === true ? bosText : undefined })
  const vocabulary = vocabularyOf(json, published, architecture.vocabSize, file)
  const idOf = (key: string) => vocabulary.ids.get(spelling(config[key]) ?? '')
  const { prefix = [] } = published
  if (prefix.length > 1) unwritable(file, 'at most one token before every text', `${prefix.length} of them`)
  const special: [string, number | undefined | null][] = [
    ['bos', prefix[0] ?? idOf('bos_token') ?? architecture.bosTokenId],
    ['eos', idOf('eos_token') ?? ids[0]],
    ['unknown', idOf('unk_token')],
    ['padding', idOf('pad_token')],
  ]
  const entries: Entry[] = [
    ...vocabulary.entries,
    ...special.flatMap(([name, id]) => (id === undefined || id === null ? [] : [whole(`tokenizer.ggml.${name}_token_id`, id)])),
    { key: 'tokenizer.ggml.add_bos_token', type: 'bool', value: prefix.length === 1 },
  ]
  const all = [...entries, ...endEntries(entries, ids, file)]
  requireSameIds(published, all, file)
  return [...sampling, ...all, ...templateEntries(files.templates)]
}

interface Vocabulary {
  readonly entries: Entry[]
  readonly ids: ReadonlyMap<string, number>
}

function vocabularyOf(json: Json, published: Tokenizer, count: number, file: string): Vocabulary {
  const model = json.model as Json
  const added = Array.isArray(json.added_tokens) ? (json.added_tokens as Json[]) : []
  const ids = new Map(Object.entries(model.vocab as Record<string, number>))
  for (const { content, id } of added) ids.set(content as string, id as number)
  const largest = Math.max(published.vocabSize, ...added.map(({ id }) => (id as number) + 1))
  if (largest > count) unwritable(file, `at most the model's ${count} ids`, `${largest} of them`)
  const root = new Fields(json, file)
  const split = preTokenizer(root.inner('pre_tokenizer'))
  if (!split.byteLevel && model.byte_fallback !== true)
    unwritable(file, 'BPE over bytes, or SentencePiece with tokens for bytes', 'BPE over characters')
  const tokens = Array.from({ length: count }, (_, id) => `[PAD${id}]`)
  const kinds = new Array<number>(count).fill(TOKEN.unused)
  for (const [token, id] of ids) {
    tokens[id] = token
    const isByte = !split.byteLevel && /^<0x[0-9A-F]{2}>$/.test(token)
    kinds[id] = isByte ? TOKEN.byte : token === `[PAD${id}]` ? TOKEN.unused : TOKEN.normal
  }
  for (const { id, special } of added) kinds[id as number] = special === true ? TOKEN.control : TOKEN.userDefined
  const unknown = typeof model.unk_token === 'string' ? ids.get(model.unk_token) : undefined
  if (unknown !== undefined) kinds[unknown] = TOKEN.unknown
  const merges = (model.merges as (string | [string, string])[]).map((merge) => (typeof merge === 'string' ? merge.split(' ') : merge)) as [
    string,
    string,
  ][]
  const common: Entry[] = [
    { key: 'tokenizer.ggml.tokens', type: 'texts', value: tokens },
    { key: 'tokenizer.ggml.token_type', type: 'i32s', value: kinds },
  ]
  const entries: Entry[] = split.byteLevel
    ? [
        text('tokenizer.ggml.model', 'gpt2'),
        // Without merges every way to split gives the same ids.
        text('tokenizer.ggml.pre', merges.length === 0 ? 'gpt-2' : preName(root, model.ignore_merges === true, file)),
        ...common,
        { key: 'tokenizer.ggml.merges', type: 'texts', value: merges.map((pair) => pair.join(' ')) },
      ]
    : [
        text('tokenizer.ggml.model', 'llama'),
        text('tokenizer.ggml.pre', 'default'),
        ...common,
        { key: 'tokenizer.ggml.scores', type: 'f32s', value: scoresOf(tokens, kinds, merges) },
        {
          key: 'tokenizer.ggml.add_space_prefix',
          type: 'bool',
          value: tokens[published.encode('a')[0]!]!.startsWith('▁'),
        },
      ]
  return { entries, ids }
}

/** The name of a splitting expression that cuts the probe as the published one does; one with the same rule for whole pieces comes first. */
function preName(root: Fields, ignoreMerges: boolean, file: string): string {
  const pieces = (fields: Fields | undefined) => {
    const found: string[] = []
    preTokenizer(fields).stage(PROBE, true, (piece) => found.push(piece))
    return found.join('\0')
  }
  const wanted = pieces(root.inner('pre_tokenizer'))
  const fitting = Object.entries(PRE_TOKENIZERS).filter(
    ([, rules]) => !rules.characters && pieces(new Fields(preTokenizerJson(rules), file)) === wanted,
  )
  const [name] = fitting.find(([, rules]) => (rules.ignoreMerges ?? false) === ignoreMerges) ?? fitting[0] ?? []
  return name ?? unwritable(file, 'a splitting expression that llama.cpp has a name for', 'another one')
}

/** Scores that order the entries as their merges do. Characters, which no merge makes, come last. */
function scoresOf(tokens: readonly string[], kinds: readonly number[], merges: readonly [string, string][]): number[] {
  const rank = new Map<string, number>()
  for (const [left, right] of merges) if (!rank.has(left + right)) rank.set(left + right, rank.size)
  return tokens.map((token, id) => {
    if (kinds[id] !== TOKEN.normal && kinds[id] !== TOKEN.userDefined) return 0
    return -(rank.get(token) ?? rank.size + id)
  })
}

/** Ids that end an answer and follow neither from the end of texts nor from a known spelling. */
function endEntries(entries: readonly Entry[], ids: readonly number[], file: string): Entry[] {
  const known = new Set(endIds(new MetadataFields(file, asMetadata(entries))))
  const keys = END_KEYS.map((key) => `tokenizer.ggml.${key}`).filter((key) => !entries.some((entry) => entry.key === key))
  const missing = ids.filter((id) => !known.has(id))
  if (missing.length > keys.length) unwritable(file, `at most ${keys.length} further ids that end an answer`, missing.join(', '))
  return missing.map((id, n) => whole(keys[n]!, id))
}

function templateEntries(templates: ReadonlyMap<string, string>): Entry[] {
  const named = [...templates].filter(([name]) => name !== 'default')
  const main = templates.get('default')
  return [
    ...(main === undefined ? [] : [text('tokenizer.chat_template', main)]),
    ...named.map(([name, template]) => text(`tokenizer.chat_template.${name}`, template)),
    ...(named.length > 0 ? [{ key: 'tokenizer.chat_templates', type: 'texts', value: named.map(([name]) => name) } as const] : []),
  ]
}

function samplingEntries(generation: Json): Entry[] {
  if (generation.do_sample === false) return [{ key: 'general.sampling.temp', type: 'f32', value: 0 }]
  return Object.entries(SAMPLING).flatMap(([published, key]): Entry[] => {
    const value = generation[published]
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0) return []
    return [{ key: `general.sampling.${key}`, type: key === 'top_k' ? 'u32' : 'f32', value }]
  })
}

/** The metadata as the reader would find them. */
export const asMetadata = (entries: readonly Entry[]): Metadata =>
  new Map(entries.map(({ key, type, value }) => [key, type === 'f32' ? Math.fround(value) : value]))

/** What is written is read back, and both tokenizers encode the same text. */
function requireSameIds(published: Tokenizer, entries: readonly Entry[], file: string): void {
  const read = tokenizerFromJson(tokenizerFromMetadata(file, asMetadata(entries)), file)
  const normal = PROBE.normalize('NFC')
  const [wanted, found] = [published.encode(normal), read.encode(normal)]
  const at = wanted.findIndex((id, n) => found[n] !== id)
  if (at >= 0 || found.length !== wanted.length)
    unwritable(file, 'a tokenizer whose ids a GGUF file gives again', `other ids from place ${Math.max(at, 0)} of a text on`)
}

function unwritable(file: string, expected: string, came: string): never {
  throw new WrongFormatError({ file, expected, came, remedy: 'Write safetensors files: give a directory as the output.' })
}
