/**
 * Random texts under schemas of real generators and random ones: `node bench/structured-corpus.ts [SCHEMAS] [SEEDS]`, 300 and 20 without.
 * Every byte is drawn among those that the grammar allows. Prints one line of JSON, and fails at the first complete text that does not
 * parse and validate under ajv.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { readJson } from '../src/json/lossless.ts'
import { compileSchema, matcher, tokenTrie, UnsupportedSchemaError } from '../src/structured/structured.ts'
import { byteTokenizerJson } from '../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../src/tokenizer/tokenizer-json.ts'
import { zodSchemas } from '../test/structured/corpus/zod.ts'
import { enforceable } from '../test/structured/random-models.ts'
import { randomText, validator } from '../test/structured/validator.ts'
import { random } from '../test/tokenizer/mixed-text.ts'

const [count, seeds] = [Number(process.argv[2] ?? 300), Number(process.argv[3] ?? 20)]
const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)

const folder = new URL('../test/fixtures/schemas/', import.meta.url)
const stored = readdirSync(folder).flatMap((file) =>
  Object.values((readJson(readFileSync(new URL(file, folder), 'utf8')) as { schemas: Record<string, Record<string, unknown>> }).schemas),
)
// The validator does not read the dialect of OpenAPI 3.0.
const generated = zodSchemas().filter(({ name }) => !name.includes('openapi'))
const all = [...stored, ...generated.map(({ schema }) => schema), ...enforceable(1, Math.ceil(count / 3))]
const picked = all.filter((_, i) => Math.floor((i * count) / all.length) !== Math.floor(((i - 1) * count) / all.length))

let [texts, incomplete, refused] = [0, 0, 0]
for (const schema of picked) {
  let grammar: ReturnType<typeof compileSchema>
  let verdict: ReturnType<typeof validator>
  try {
    grammar = compileSchema(schema)
    verdict = validator(schema)
  } catch (error) {
    if (!(error instanceof UnsupportedSchemaError) && !/exclusiveM/.test(JSON.stringify(schema))) throw error
    refused++
    continue
  }
  for (let seed = 0; seed < seeds; seed++) {
    const { text, complete } = randomText(matcher(grammar, trie), bytes, random(seed + 1), 300)
    texts++
    if (!complete) incomplete++
    else assert.equal(verdict(text), undefined, `${text} under ${JSON.stringify(schema)}`)
  }
}
console.log(JSON.stringify({ schemas: picked.length, refused, texts, incomplete, invalid: 0 }))
