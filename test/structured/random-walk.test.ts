/** Random schemas times random models: everything that is called complete parses and validates. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import gpt2Ranks from 'js-tiktoken/ranks/gpt2'
import { compileSchema, constraint, matcher, tokenTrie, UnsupportedSchemaError } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromGpt2 } from '../../src/tokenizer/gpt2-files.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { merges, vocabulary } from '../tokenizer/ranks.ts'
import { randomRoot } from './schemas.ts'
import { allowedIds, randomText, validator } from './validator.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const gpt2Vocabulary = vocabulary(gpt2Ranks)
const gpt2 = tokenizerFromGpt2(
  Object.fromEntries(gpt2Vocabulary),
  merges(gpt2Vocabulary)
    .map((pair) => pair.join(' '))
    .join('\n'),
)

/** Schemas that can be enforced; the generator makes a few that no value satisfies. */
function* schemas(seed: number, count: number): Generator<{ schema: Record<string, unknown>; refused: number }> {
  const next = random(seed)
  let refused = 0
  for (let made = 0; made < count; ) {
    const schema = randomRoot(next)
    try {
      compileSchema(schema)
    } catch (error) {
      if (!(error instanceof UnsupportedSchemaError)) throw error
      assert.match(
        error.message,
        /no finite value|greater than|no string matches|no (integer|number)|exclude each other/,
        `${error.message} of ${JSON.stringify(schema)}`,
      )
      refused++
      continue
    }
    made++
    yield { schema, refused }
  }
}

function walk(tokenizer: Tokenizer, seed: number, count: number, texts: number, budget: number): void {
  const next = random(seed + 1)
  let written = 0
  let incomplete = 0
  let refused = 0
  for (const { schema, refused: before } of schemas(seed, count)) {
    refused = before
    const verdict = validator(schema)
    const compiled = constraint({ schema }, tokenizer)
    for (let i = 0; i < texts; i++) {
      const { text, complete } = randomText(compiled.matcher(), tokenizer, next, budget)
      written++
      if (!complete) incomplete++
      else assert.equal(verdict(text), undefined, `${JSON.stringify(schema)}\n${text}`)
    }
  }
  console.log(`${written} texts of ${count} schemas, all valid; ${incomplete} incomplete, ${refused} schemas refused`)
  assert.ok(incomplete < written / 50)
  assert.ok(refused < count / 5)
}

test('the validator of these tests finds errors', () => {
  const verdict = validator({
    type: 'object',
    properties: { a: { type: 'string', format: 'date', maxLength: 10 } },
    additionalProperties: false,
  })
  assert.equal(verdict('{"a":"2024-02-28"}'), undefined)
  for (const text of ['{"a":"2024-02-30"}', '{"b":1}', '{"a":1}', '[]', '{"a"']) assert.notEqual(verdict(text), undefined, text)
})

test('300 schemas over bytes', () => walk(bytes, 1, 300, 3, 400))
test('60 schemas over GPT-2', () => walk(gpt2, 2, 40, 3, 200))

test('the mask is exactly what can be accepted, at every step', () => {
  for (const [tokenizer, count, stride] of [
    [bytes, 60, 1],
    [gpt2, 12, 37],
  ] as const) {
    const next = random(9)
    const trie = tokenTrie(tokenizer)
    for (const { schema } of schemas(5, count)) {
      const at = matcher(compileSchema(schema), trie)
      for (let step = 0; step < 40; step++) {
        const mask = at.mask().slice()
        const allowed = allowedIds(mask)
        for (let id = step % stride; id < trie.vocabSize; id += stride) {
          const isAllowed = ((mask[id >> 5]! >>> (id & 31)) & 1) === 1
          assert.equal(at.clone().accept(id), isAllowed, `${JSON.stringify(tokenizer.decode([id]))} under ${JSON.stringify(schema)}`)
        }
        if (allowed.length === 0) {
          assert.ok(at.isComplete())
          break
        }
        assert.ok(at.accept(allowed[Math.floor(next() * allowed.length)]!))
      }
    }
  }
})

test('a budget that fits the shortest value is always kept, to the token', () => {
  const next = random(21)
  for (const { schema } of schemas(31, 100)) {
    const grammar = compileSchema(schema)
    for (const budget of [grammar.start.cost, grammar.start.cost + 3, grammar.start.cost + 40]) {
      const { complete, tokens } = randomText(matcher(grammar, tokenTrie(bytes)), bytes, next, budget)
      assert.ok(complete && tokens <= budget, `${budget} tokens under ${JSON.stringify(schema)}`)
    }
  }
})

test('without a budget a text is cut off incomplete, never called complete', () => {
  const next = random(3)
  let cut = 0
  for (const { schema } of schemas(41, 100)) {
    const verdict = validator(schema)
    const { text, complete } = randomText(constraint({ schema }, bytes).matcher(), bytes, next, 12, false)
    if (complete) assert.equal(verdict(text), undefined)
    else cut++
  }
  assert.ok(cut > 20)
})
