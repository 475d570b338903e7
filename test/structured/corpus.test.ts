/** Schemas as generators write them: each compiles, and what is written under it validates. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { compileSchema, matcher, tokenTrie } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { unrepresentable, zodSchemas, zodTypes } from './corpus/zod.ts'
import { randomText, validator } from './validator.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)

/** What zod checks without saying it in the schema. */
const beyondSchema = new Set(['refine', 'jwt', 'httpUrl'])

test('zod: everything that it can write compiles', () => {
  const schemas = zodSchemas()
  for (const { name, schema } of schemas) assert.doesNotThrow(() => compileSchema(schema), `${name} ${JSON.stringify(schema)}`)
  for (const type of unrepresentable) assert.throws(() => z.toJSONSchema(type))
  console.log(`${schemas.length} schemas of ${Object.keys(zodTypes).length} types`)
})

test('zod: what is written validates, under the schema and under zod itself', () => {
  const next = random(11)
  for (const [name, type] of Object.entries(zodTypes)) {
    const schema = z.toJSONSchema(type) as Record<string, unknown>
    const verdict = validator(schema)
    const grammar = compileSchema(schema)
    for (let i = 0; i < 4; i++) {
      const { text, complete } = randomText(matcher(grammar, trie), bytes, next, 300)
      if (!complete) continue
      assert.equal(verdict(text), undefined, `${name}: ${text} under ${JSON.stringify(schema)}`)
      if (!beyondSchema.has(name)) assert.ok(type.safeParse(JSON.parse(text)).success, `${name}: ${text}`)
    }
  }
})
