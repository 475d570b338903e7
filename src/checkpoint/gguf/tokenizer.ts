/**
 * The tokenizer in the metadata of a GGUF file as the tokenizer.json and tokenizer_config.json that the model was published with:
 * byte-level BPE (`gpt2`) with its splitting expression, and SentencePiece's BPE (`llama`), whose merges follow from the scores.
 */
import type { Json } from '../../json/json.ts'
import { WrongFormatError } from '../errors.ts'
import type { Metadata } from './header.ts'
import { MetadataFields } from './metadata.ts'
import { PRE_TOKENIZERS, type PreTokenizer } from './pre-tokenizers.ts'
import { endIds, TOKEN } from './special-ids.ts'

const SPACE = '▁'
/** Values of `tokenizer.ggml.model`; `gemma4` is BPE with the rules of that name. */
const KINDS = ['gpt2', 'llama', 'gemma4']

/** What the metadata say about the vocabulary. */
interface Vocabulary {
  readonly fields: MetadataFields
  readonly tokens: readonly string[]
  readonly ids: ReadonlyMap<string, number>
  /** Kind of the token with an id; normal where the file says nothing. */
  kind(id: number): number
}

const fieldsOf = (file: string, metadata: Metadata) => new MetadataFields(file, metadata, 'tokenizer.ggml.')

/**
 * The tokenizer.json. Undefined for a file without a tokenizer.
 * @throws CheckpointError for a kind of tokenizer that is not read, and malformed metadata
 */
export function tokenizerFromMetadata(file: string, metadata: Metadata): Json | undefined {
  const fields = fieldsOf(file, metadata)
  const model = fields.text('model')
  if (model === undefined || model === 'no_vocab' || model === 'none') return undefined
  if (!KINDS.includes(model)) {
    throw new WrongFormatError({
      file,
      expected: `a tokenizer of the kinds ${KINDS.join(', ')}`,
      came: `the kind "${model.slice(0, 40)}"`,
      remedy: 'No supported family has such a tokenizer: take a file that was converted from the published model.',
    })
  }
  const vocabulary = readVocabulary(fields)
  return model === 'llama' ? sentencePiece(vocabulary) : byteLevel(vocabulary)
}

function readVocabulary(fields: MetadataFields): Vocabulary {
  const tokens = (fields.texts('tokens') ?? fields.fail('tokens', 'a list of texts', undefined)).map(
    (token, id) => token || `[EMPTY_${id}]`,
  )
  const kinds = fields.numbers('token_type')
  if (kinds && kinds.length < tokens.length) fields.fail('token_type', `${tokens.length} kinds, one per token`, kinds)
  const ids = new Map<string, number>()
  tokens.forEach((token, id) => {
    if (ids.has(token)) fields.fail('tokens', 'every spelling once', `${JSON.stringify(token)} as ${ids.get(token)} and as ${id}`)
    ids.set(token, id)
  })
  return { fields, tokens, ids, kind: (id) => kinds?.[id] ?? TOKEN.normal }
}

/** Control tokens, which no text becomes, and tokens that stand as they are in every text. */
function addedTokens({ tokens, kind }: Vocabulary): Json[] {
  const added: Json[] = []
  tokens.forEach((content, id) => {
    const special = kind(id) === TOKEN.control || kind(id) === TOKEN.unknown
    if (special || kind(id) === TOKEN.userDefined)
      added.push({ id, content, special, single_word: false, lstrip: false, rstrip: false, normalized: false })
  })
  return added
}

const BYTES: Json = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false }

/** `pre_tokenizer` of tokenizer.json. */
export const preTokenizerJson = ({ patterns, characters }: PreTokenizer): Json =>
  sequence('pretokenizers', [...patterns.map(split), ...(characters ? [] : [BYTES])])

const split = (pattern: string): Json => ({ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false })

function byteLevel(vocabulary: Vocabulary): Json {
  const { fields, ids } = vocabulary
  const rules = rulesOf(fields)
  const merges: [string, string][] = []
  for (const merge of fields.texts('merges') ?? fields.fail('merges', 'a list of texts', undefined)) {
    // A space that begins a merge belongs to the left entry.
    const at = merge.indexOf(' ', 1)
    const [left, right] = [merge.slice(0, at), merge.slice(at + 1)]
    if (at > 0 && ids.has(left) && ids.has(right) && ids.has(left + right)) merges.push([left, right])
  }
  const pre_tokenizer = preTokenizerJson(rules)
  const parts = rules.characters
    ? { normalizer: REPLACE_SPACES, pre_tokenizer, decoder: characterDecoder(false) }
    : { normalizer: null, pre_tokenizer, decoder: BYTES }
  return tokenizerJson(vocabulary, merges, parts, { ignore_merges: rules.ignoreMerges ?? false, byte_fallback: rules.characters ?? false })
}

function rulesOf(fields: MetadataFields): PreTokenizer {
  const name = fields.text('model') === 'gemma4' ? 'gemma4' : (fields.text('pre') ?? 'default')
  if (Object.hasOwn(PRE_TOKENIZERS, name)) return PRE_TOKENIZERS[name]!
  return fields.fail('pre', 'the name of a known splitting expression', name)
}

const sequence = (key: string, steps: Json[]): Json => ({ type: 'Sequence', [key]: steps })
const REPLACE_SPACES: Json = { type: 'Replace', pattern: { String: ' ' }, content: SPACE }

const characterDecoder = (prefix: boolean): Json =>
  sequence('decoders', [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
    ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
  ])

function sentencePiece(vocabulary: Vocabulary): Json {
  const { fields } = vocabulary
  const prefix = fields.flag('add_space_prefix') ?? true
  const normalizer = prefix ? sequence('normalizers', [{ type: 'Prepend', prepend: SPACE }, REPLACE_SPACES]) : REPLACE_SPACES
  const parts = { normalizer, pre_tokenizer: null, decoder: characterDecoder(prefix) }
  const unknown = vocabulary.tokens[fields.number('unknown_token_id') ?? 0]
  const { merges, ranks } = mergesFromScores(vocabulary)
  return tokenizerJson(vocabulary, merges, parts, { byte_fallback: true, fuse_unk: true, unk_token: unknown, merge_ranks: ranks })
}

/**
 * SentencePiece joins the neighbours whose union has the highest score, of equal ones the leftmost. As merges: every way to cut an entry
 * into two others, in the order of the scores; equal scores have equal ranks. Some converters write one score for all, which says
 * nothing: then the order of the ids counts, in which such vocabularies are learned.
 */
function mergesFromScores({ fields, tokens, ids, kind }: Vocabulary): { merges: [string, string][]; ranks: number[] } {
  const scores = fields.numbers('scores') ?? fields.fail('scores', 'a list of numbers', undefined)
  if (scores.length < tokens.length) fields.fail('scores', `${tokens.length} scores, one per token`, scores)
  const order = tokens.map((_, id) => id).filter((id) => kind(id) === TOKEN.normal || kind(id) === TOKEN.userDefined)
  order.sort((a, b) => scores[b]! - scores[a]! || a - b)
  const merges: [string, string][] = []
  const ranks: number[] = []
  const placeholders = scores[order[0]!] === scores[order.at(-1)!]
  let rank = 0
  for (const [n, id] of order.entries()) {
    if (n > 0 && (placeholders || scores[id] !== scores[order[n - 1]!])) rank++
    const token = tokens[id]!
    for (let at = token.length - 1; at > 0; at--) {
      const [left, right] = [token.slice(0, at), token.slice(at)]
      if (!ids.has(left) || !ids.has(right)) continue
      merges.push([left, right])
      ranks.push(rank)
    }
  }
  return { merges, ranks }
}

function tokenizerJson(vocabulary: Vocabulary, merges: [string, string][], parts: Json, model: Json): Json {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens(vocabulary),
    post_processor: null,
    ...parts,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      ...model,
      vocab: Object.fromEntries(vocabulary.ids),
      merges,
    },
  }
}

/** The tokenizer_config.json: special tokens by their spellings, whether texts begin with one, chat templates. */
export function tokenizerConfigFromMetadata(file: string, metadata: Metadata): Json {
  const fields = fieldsOf(file, metadata)
  const tokens = fields.texts('tokens') ?? []
  const spelling = (key: string, otherwise?: number) => tokens[fields.number(key) ?? otherwise ?? -1]
  const llama = fields.text('model') === 'llama'
  return {
    add_bos_token: fields.flag('add_bos_token') ?? (llama || (tokens.length > 0 && rulesOf(fields).addBos === true)),
    bos_token: spelling('bos_token_id', llama ? 1 : undefined),
    eos_token: spelling('eos_token_id', llama ? 2 : undefined),
    unk_token: spelling('unknown_token_id', llama ? 0 : undefined),
    pad_token: spelling('padding_token_id'),
    chat_template: templates(new MetadataFields(file, metadata, 'tokenizer.'), metadata),
  }
}

/** One template, or the default one with the others by name. */
function templates(fields: MetadataFields, metadata: Metadata): Json[] | string | undefined {
  const main = fields.text('chat_template')
  const others = [...metadata.keys()].flatMap((key) => /^tokenizer\.chat_template\.(.+)$/.exec(key)?.[1] ?? [])
  if (others.length === 0) return main
  const named = others.map((name) => ({ name, template: fields.text(`chat_template.${name}`) }))
  return main === undefined ? named : [{ name: 'default', template: main }, ...named]
}

/** Settings of sampling: keys of generation_config.json, and of the metadata behind `general.sampling.`. */
export const SAMPLING = {
  temperature: 'temp',
  top_k: 'top_k',
  top_p: 'top_p',
  min_p: 'min_p',
  repetition_penalty: 'penalty_repeat',
} as const

/** The generation_config.json: the ids that end an answer, and the sampling that the file recommends. */
export function generationFromMetadata(file: string, metadata: Metadata): Json {
  const fields = new MetadataFields(file, metadata)
  const sampling = Object.entries(SAMPLING).map(([published, key]) => [published, fields.number(`general.sampling.${key}`)])
  return { eos_token_id: endIds(fields), ...Object.fromEntries(sampling) }
}
