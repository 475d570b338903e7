/**
 * Published vocabularies against published ids and other implementations: GPT-2 and o200k_harmony with tiktoken and js-tiktoken,
 * Qwen3 with tokenizers and @huggingface/tokenizers. The fixture is made by scripts/oracles/vocabularies.py. Qwen3's file in the repository is reduced to the entries that its vectors can use; the full one is
 * tested where LINEAGE_QWEN3_TOKENIZER names it.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Tokenizer as SecondTokenizer } from '@huggingface/tokenizers'
import gpt2Ranks from 'js-tiktoken/ranks/gpt2'
import o200kRanks from 'js-tiktoken/ranks/o200k_base'
import { tokenizerFromGpt2 } from '../../src/tokenizer/gpt2-files.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { mixedText, proseAndCode } from './mixed-text.ts'
import { merges, o200kHarmonyJson, tiktoken, vocabulary } from './ranks.ts'

const vectors = new URL('../../../shared/vectors/', import.meta.url)
const skip = existsSync(vectors) ? false : `the vectors of llama.cpp are not at ${vectors.pathname}`
const vector = (name: string) => readFileSync(new URL(name, vectors), 'utf8')

const gpt2Vocabulary = vocabulary(gpt2Ranks)
const gpt2 = tokenizerFromGpt2(
  { ...Object.fromEntries(gpt2Vocabulary), '<|endoftext|>': 50256 },
  ['#version: 0.2', ...merges(gpt2Vocabulary).map(([left, right]) => `${left} ${right}`), ''].join('\n'),
)
const harmony = tokenizerFromJson(o200kHarmonyJson(o200kRanks), 'tokenizer.json')
const reducedPath = new URL('../fixtures/tokenizer/qwen3-reduced.json', import.meta.url)
const reducedJson = JSON.parse(readFileSync(reducedPath, 'utf8'))
const qwen3 = tokenizerFromJson(reducedJson, 'qwen3-reduced.json')

/** Checks a pair of llama.cpp's .inp and .out files and returns the number of cases. */
function checkVectors(tokenizer: Tokenizer, name: string): number {
  const texts = vector(`tokenizer/${name}.inp`).split('\n__ggml_vocab_test__\n').slice(0, -1)
  const lines = vector(`tokenizer/${name}.out`).split('\n')
  texts.forEach((text, i) => {
    const ids = lines[i]!.trim() === '' ? [] : lines[i]!.trim().split(/\s+/).map(Number)
    assert.deepEqual(tokenizer.encode(text), ids, `${name} case ${i}: ${JSON.stringify(text)}`)
    assert.equal(tokenizer.decode(ids), text)
  })
  return texts.length
}

/** Names the first difference instead of printing millions of ids. */
function sameIds(ours: readonly number[], theirs: ArrayLike<number>, decode: (ids: number[]) => string): void {
  let i = 0
  while (i < ours.length && ours[i] === theirs[i]) i++
  if (i === ours.length && i === theirs.length) return
  const around = (ids: ArrayLike<number>) => Array.from(ids).slice(Math.max(0, i - 3), i + 6)
  assert.fail(`ids differ at ${i}: ${around(ours)} against ${around(theirs)}: ${JSON.stringify(decode(around(ours)))}`)
}

const published = JSON.parse(readFileSync(new URL('../fixtures/tokenizer/published.json', import.meta.url), 'utf8')) as Record<
  string,
  [text: string, ids: number[]][]
>
for (const [name, tokenizer, count] of [
  ['gpt2', gpt2, 92],
  ['o200k_harmony', harmony, 92],
  ['qwen3', qwen3, 89],
] as const)
  test(`${name}: texts of our own with the ids of tiktoken and tokenizers`, () => {
    const cases = published[name]!
    assert.equal(cases.length, count)
    for (const [text, ids] of cases) {
      assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text))
      assert.equal(tokenizer.decode(ids), name === 'qwen3' ? text.normalize('NFC') : text)
    }
  })

test('GPT-2: the vectors of llama.cpp', { skip }, () => assert.equal(checkVectors(gpt2, 'gpt2'), 46))

test('GPT-2: the vectors of tiktoken', () => {
  assert.deepEqual(gpt2.encode('hello world'), [31373, 995])
  assert.deepEqual(gpt2.encodeTemplate('hello <|endoftext|>'), [31373, 220, 50256])
  assert.ok(!gpt2.encode('hello <|endoftext|>').includes(50256))
  const zeros = [
    '15',
    '405',
    '830',
    '2388',
    '20483',
    '10535',
    '24598',
    '8269',
    '10535 830',
    '8269 405',
    '8269 830',
    '8269 2388',
    '8269 20483',
    '8269 10535',
    '8269 24598',
    '25645',
    '8269 10535 830',
  ]
  for (const [i, ids] of zeros.entries()) assert.equal(gpt2.encode('0'.repeat(i + 1)).join(' '), ids)
})

if (existsSync(vectors))
  test('o200k_harmony: the ids that openai/harmony publishes', () => {
    const files = JSON.parse(vector('harmony-tokens.json')) as Record<string, { tokens: number[]; text?: string }>
    assert.equal(Object.keys(files).length, 23)
    for (const [path, { tokens, text }] of Object.entries(files)) {
      const expected = text ?? vector(path.replace('test-data/', 'harmony/')).replaceAll('\r\n', '\n').trimEnd()
      assert.deepEqual(harmony.encodeTemplate(expected), tokens, path)
      assert.equal(harmony.decode(tokens), expected, path)
    }
  })

test('o200k_harmony: single vectors', () => {
  assert.deepEqual(harmony.encode('hello world'), [24912, 2375])
  assert.deepEqual(harmony.encode('<|start|>'), [27, 91, 5236, 91, 29])
  assert.deepEqual(harmony.encodeTemplate('<|start|>'), [200006])
  assert.deepEqual(harmony.encode('💖'), [31446, 244])
  for (const [text, id] of Object.entries({
    assistant: 173781,
    user: 1428,
    system: 17360,
    developer: 77944,
    analysis: 35644,
    final: 17196,
    functions: 44580,
    ' to': 316,
    ' json': 5701,
  }))
    assert.deepEqual(harmony.encode(text), [id], text)
  assert.deepEqual([...harmony.bytes(9552)], [0x20, 0xf0, 0x9f])
  assert.equal(harmony.vocabSize, 200019)
  for (const [spelling, id] of harmony.specials) assert.ok(id >= 199998 && harmony.isSpecial(id) && harmony.decode([id]) === spelling)
})

test('Qwen3: the vectors of llama.cpp', { skip }, () => assert.equal(checkVectors(qwen3, 'qwen2'), 46))

test('Qwen3: vectors of transformers.js and the specials', () => {
  assert.deepEqual(qwen3.encode('Hello World'), [9707, 4337])
  assert.deepEqual(qwen3.encode('How are you doing?'), [4340, 525, 498, 3730, 30])
  assert.deepEqual(qwen3.encode('333'), [18, 18, 18])
  assert.deepEqual(qwen3.encodeTemplate('<|im_start|>user\n<think>'), [151644, 872, 198, 151667])
  assert.ok(qwen3.encode('<|im_start|><think></tool_call>').every((id) => id < 151643))
  assert.equal(qwen3.decode([151645, 151668], { skipSpecials: true }), '</think>')
})

test('GPT-2 and o200k_base equal js-tiktoken on 5 MB of mixed text', () => {
  const text = mixedText(5_000_000)
  assert.ok(new TextEncoder().encode(text).length > 5_000_000)
  for (const [ours, ranks] of [
    [gpt2, gpt2Ranks],
    [harmony, o200kRanks],
  ] as const) {
    const ids = ours.encode(text)
    sameIds(ids, tiktoken(ranks).encode(text, [], []), (part) => ours.decode(part))
    assert.equal(ours.decode(ids), text.toWellFormed())
    assert.ok(ids.every((id) => !ours.isSpecial(id)))
  }
})

test('Qwen3 equals @huggingface/tokenizers on mixed text', () => {
  const full = process.env.LINEAGE_QWEN3_TOKENIZER
  if (!full) console.log('Qwen3: the reduced vocabulary only; LINEAGE_QWEN3_TOKENIZER=/path/to/tokenizer.json tests the published one')
  const json = full ? JSON.parse(readFileSync(full, 'utf8')) : reducedJson
  const ours = full ? tokenizerFromJson(json, full) : qwen3
  const theirs = new SecondTokenizer(json, {})
  // In small parts, because the second implementation is quadratic; added tokens are recognised, because it can't help it.
  for (let seed = 1; seed <= 40; seed++) {
    const text = mixedText(20_000, seed).toWellFormed()
    sameIds(ours.encodeTemplate(text), theirs.encode(text, { add_special_tokens: false }).ids, (part) => ours.decode(part))
    assert.equal(ours.decode(ours.encode(text)), text.normalize('NFC'))
  }
})

test('encoding takes time in proportion to the text, also for a million equal characters', () => {
  const time = (text: string) => {
    const start = performance.now()
    harmony.encode(text)
    return performance.now() - start
  }
  for (const character of ['a', ' ', '\n', 'A', '中', '-', '💖', '\u0301', '1']) {
    time(character.repeat(30_000))
    const small = Math.min(time(character.repeat(100_000)), time(character.repeat(100_000)))
    const large = time(character.repeat(1_000_000))
    assert.ok(
      large < 25 * small + 500,
      `${JSON.stringify(character)}: ${small.toFixed(0)} ms for 100,000, ${large.toFixed(0)} ms for 1,000,000`,
    )
  }
  const prose = proseAndCode().prose.slice(0, 200_000)
  time(prose)
  const ms = time(prose.repeat(5))
  console.log(`o200k_harmony: ${((prose.length * 5) / ms / 1000).toFixed(1)} MB/s of prose`)
})
