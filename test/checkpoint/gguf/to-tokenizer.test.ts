/** Tokenizers written as GGUF metadata and read back: the same ids, the same ends of an answer, the same templates and sampling. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../../../src/architecture/architecture.ts'
import { preset } from '../../../src/architecture/presets.ts'
import { readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { PRE_TOKENIZERS } from '../../../src/checkpoint/gguf/pre-tokenizers.ts'
import { asMetadata, type TextFiles, textEntries } from '../../../src/checkpoint/gguf/to-tokenizer.ts'
import {
  generationFromMetadata,
  preTokenizerJson,
  tokenizerConfigFromMetadata,
  tokenizerFromMetadata,
} from '../../../src/checkpoint/gguf/tokenizer.ts'
import { fileSource } from '../../../src/checkpoint/source-node.ts'
import type { Json } from '../../../src/json/json.ts'
import { byteTokenizerJson } from '../../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../../src/tokenizer/tokenizer-json.ts'

const TEXTS = [
  'The quick brown fox jumps over 13 lazy dogs, 2024 times!',
  "I'LL say it's   spaced\n\n\tout\r\n and  done ",
  'naïve café, 中文 日本語 한국어, привет, 🙂🚀, ½²',
  'function f(x) { return x*2 + arr[0]; } // comment',
]

const plain: TextFiles = { config: {}, generation: {}, templates: new Map() }
const withSize = (vocabSize: number): Architecture => ({ ...preset('SmolLM2-135M')!, vocabSize, eosTokenIds: [], bosTokenId: null })
const json = (value: unknown) => JSON.parse(JSON.stringify(value)) as Json

/** Writes and reads; both tokenizers, with the metadata. */
function roundTrip(files: TextFiles, architecture: Architecture) {
  const published = tokenizerFromJson(files.tokenizer, 'published', {
    bos: files.config.add_bos_token === true ? String(files.config.bos_token) : undefined,
  })
  const metadata = asMetadata(textEntries(files, architecture, 'test'))
  const config = tokenizerConfigFromMetadata('test', metadata)
  const read = tokenizerFromJson(tokenizerFromMetadata('test', metadata), 'read', {
    bos: config.add_bos_token === true ? (config.bos_token as string) : undefined,
  })
  return { published, read, metadata, config }
}

function sameIds({ published, read }: Pick<ReturnType<typeof roundTrip>, 'published' | 'read'>, texts = TEXTS): void {
  for (const text of texts) {
    const normal = text.normalize('NFC')
    assert.deepEqual(read.encode(normal), published.encode(normal), text)
    assert.equal(read.decode(published.encode(normal)), published.decode(published.encode(normal)))
  }
  assert.deepEqual(read.prefix ?? [], published.prefix ?? [])
}

describe('every splitting expression is found again', () => {
  const seen = new Set<string>()
  for (const [name, rules] of Object.entries(PRE_TOKENIZERS)) {
    const spelled = JSON.stringify(preTokenizerJson(rules))
    if (rules.characters || seen.has(spelled)) continue
    seen.add(spelled)
    test(name, () => {
      const bytes = json(byteTokenizerJson(['<end>']))
      const model = bytes.model as Json & { vocab: Json }
      const joined = {
        ...model,
        ignore_merges: rules.ignoreMerges ?? false,
        vocab: { ...model.vocab, th: 257, the: 258 },
        merges: ['t h', 'th e'],
      }
      const tokenizer = { ...bytes, model: joined, pre_tokenizer: preTokenizerJson(rules) }
      const found = roundTrip({ ...plain, tokenizer }, withSize(300))
      const written = PRE_TOKENIZERS[found.metadata.get('tokenizer.ggml.pre') as string]!
      assert.deepEqual(written.patterns, rules.patterns)
      sameIds(found)
    })
  }
})

const folder = new URL('../../fixtures/tokenizer/', import.meta.url)
describe('published kinds of tokenizers', () => {
  for (const file of readdirSync(folder).filter((name) => /-like|reduced|metaspace-first/.test(name)))
    test(file, () => {
      const tokenizer = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Json
      const vocab = tokenizer.tokenizer ?? tokenizer
      let found: ReturnType<typeof roundTrip>
      try {
        found = roundTrip({ ...plain, tokenizer: vocab as Json }, withSize(200_000))
      } catch (error) {
        // What GGUF has no name for is said.
        assert.match((error as Error).message, /expected (BPE over bytes|a splitting expression|a tokenizer whose ids)/)
        return
      }
      sameIds(found)
    })
})

test('special ids, ends of an answer, templates and sampling come back', () => {
  const tokenizer = json(byteTokenizerJson(['<s>', '<eos>', '<stop>', '<halt>', { content: '<think>', special: false }]))
  const files: TextFiles = {
    tokenizer,
    config: { bos_token: '<s>', eos_token: { content: '<eos>' }, pad_token: '<s>', add_bos_token: true },
    generation: { eos_token_id: [258, 257, 259], temperature: 0.6, top_k: 20, top_p: 0.95, repetition_penalty: 1.1 },
    templates: new Map([
      ['default', 'main {{ messages }}'],
      ['tool_use', 'tools {{ tools }}'],
    ]),
  }
  const { metadata, config, read } = roundTrip(files, withSize(512))
  assert.equal(metadata.get('tokenizer.ggml.eos_token_id'), 257)
  const generation = generationFromMetadata('test', metadata)
  assert.deepEqual(new Set(generation.eos_token_id as number[]), new Set([257, 258, 259]))
  assert.deepEqual([generation.temperature, generation.top_k, generation.top_p, generation.repetition_penalty], [0.6, 20, 0.95, 1.1])
  assert.deepEqual(config.chat_template, [
    { name: 'default', template: 'main {{ messages }}' },
    { name: 'tool_use', template: 'tools {{ tools }}' },
  ])
  assert.deepEqual([config.bos_token, config.eos_token, config.pad_token, config.add_bos_token], ['<s>', '<eos>', '<s>', true])
  assert.deepEqual(read.prefix, [256])
  assert.equal(read.decode([258, 104, 260], { skipSpecials: true }), 'h<think>')
  assert.equal((metadata.get('tokenizer.ggml.tokens') as string[]).length, 512)
})

test('what GGUF cannot say is refused with what it is', () => {
  const bytes = json(byteTokenizerJson(['<s>']))
  const refused = (files: Partial<TextFiles>, architecture: Architecture, problem: RegExp) =>
    assert.throws(() => textEntries({ ...plain, ...files }, architecture, 'test'), problem)
  refused({ tokenizer: bytes }, withSize(200), /expected at most the model's 200 ids, .* 257 of them/)
  const lettered = { type: 'Split', pattern: { Regex: '[a-c]' }, behavior: 'Isolated', invert: false }
  const own = { type: 'Sequence', pretokenizers: [lettered, bytes.pre_tokenizer] }
  const joined = { ...(bytes.model as Json), vocab: { ...((bytes.model as Json).vocab as Json), ab: 257 }, merges: [['a', 'b']] }
  refused(
    { tokenizer: { ...bytes, model: joined, pre_tokenizer: own } },
    withSize(300),
    /a splitting expression that llama\.cpp has a name for/,
  )
  refused({ tokenizer: { ...bytes, pre_tokenizer: null } }, withSize(300), /BPE over characters/)
  const ends = { eos_token_id: [1, 2, 3, 4, 5] }
  refused(
    { tokenizer: { ...bytes, pre_tokenizer: preTokenizerJson(PRE_TOKENIZERS.qwen2!) }, generation: ends },
    withSize(300),
    /further ids that end/,
  )
})

const vocabularies = fileURLToPath(new URL('../../../../shared/vectors/gguf/vocab/', import.meta.url))
if (!existsSync(vocabularies)) test('real vocabularies', { skip: `no vectors in ${vocabularies}` }, () => {})
else
  for (const file of readdirSync(vocabularies).filter((name) => /(gpt-2|spm|phi-3)\.gguf$/.test(name)))
    test(`${file} as tokenizer.json and back`, async () => {
      const source = (await fileSource(vocabularies + file))!
      const { metadata } = await readGgufHeader(source)
      await source.close()
      const tokenizer = tokenizerFromMetadata(file, metadata)!
      const { config, ...found } = roundTrip(
        { ...plain, tokenizer, config: tokenizerConfigFromMetadata(file, metadata) },
        withSize((metadata.get('tokenizer.ggml.tokens') as string[]).length),
      )
      const texts = readFileSync(join(vocabularies, `${file}.inp`), 'utf8').split('\n__ggml_vocab_test__\n')
      sameIds(found, [...TEXTS, ...texts])
      for (const key of ['model', 'tokens', 'token_type']) {
        const [a, b] = [found.metadata, metadata].map((one) => one.get(`tokenizer.ggml.${key}`))
        // Tokens for what is unknown, and those that fill the table, have several kinds in published files.
        const tokens = metadata.get('tokenizer.ggml.tokens') as string[]
        const at = Array.isArray(a)
          ? a.findIndex((one, id) => one !== (b as unknown[])[id] && !/^<unk>$|^\[PAD/.test(tokens[id]!))
          : a === b
            ? -1
            : 0
        assert.equal(at, -1, `${key}: ${JSON.stringify(tokens[at])}`)
      }
      assert.equal(config.bos_token, tokenizerConfigFromMetadata(file, metadata).bos_token)
    })
