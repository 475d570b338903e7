/** Schemas as generators write them: each compiles, and what is written under it validates. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { z } from 'zod'
import { readJson } from '../../src/json/lossless.ts'
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

/** The schemas of the corpus that cannot be enforced: all of them are in the list of docs/structured-output.md. */
const unsupported: Readonly<Record<string, RegExp>> = {
  'typebox regexp': /\/source: this keyword is not supported/, // no JSON value has the type RegExp
  'arktype date': /\\b is not supported in a pattern/,
}
/** Written in the dialect of OpenAPI 3.0, which the validator does not read. */
const otherDialect = new Set(['openapi nullable'])

test('pydantic, TypeBox, Valibot, ArkType and the documentation of others: compiles, and what is written validates', () => {
  const next = random(12)
  const folder = new URL('../fixtures/schemas/', import.meta.url)
  let count = 0
  for (const file of readdirSync(folder)) {
    const { schemas } = readJson(readFileSync(new URL(file, folder), 'utf8')) as { schemas: Record<string, Record<string, unknown>> }
    for (const [name, schema] of Object.entries(schemas)) {
      if (unsupported[name] !== undefined) {
        assert.throws(() => compileSchema(schema), unsupported[name])
        continue
      }
      const grammar = compileSchema(schema)
      count++
      if (otherDialect.has(name)) continue
      const verdict = validator(schema)
      for (let i = 0; i < 2; i++) {
        const { text, complete } = randomText(matcher(grammar, trie), bytes, next, 300)
        if (complete) assert.equal(verdict(text), undefined, `${name}: ${text} under ${JSON.stringify(schema)}`)
      }
    }
  }
  assert.ok(count > 250, `${count} schemas`)
})
