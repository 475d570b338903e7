/**
 * Small tokenizers of every supported make against ids and texts that the Rust crate huggingface/tokenizers 0.22.2 gave for them.
 * Each fixture holds a whole tokenizer.json and its cases.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'

interface Fixture {
  tokenizer: unknown
  cases: { text: string; ids: number[]; decoded: string; skipped: string }[]
}

const folder = new URL('../fixtures/tokenizer/', import.meta.url)
const names = readdirSync(folder).filter((name) => /-like|-first|-unknown|-byte-level/.test(name))
assert.ok(names.length >= 6, `fixtures: expected at least 6, found ${names}`)

for (const name of names) {
  const { tokenizer: json, cases } = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Fixture
  const tokenizer = tokenizerFromJson(json, name)

  test(`${name}: ids of ${cases.length} texts`, () => {
    for (const { text, ids } of cases) assert.deepEqual(tokenizer.encodeTemplate(text), ids, JSON.stringify(text))
  })

  test(`${name}: decoding, whole and streamed`, () => {
    for (const { ids, decoded, skipped } of cases) {
      assert.equal(tokenizer.decode(ids), decoded)
      assert.equal(tokenizer.decode(ids, { skipSpecials: true }), skipped)
      const stream = tokenizer.stream()
      assert.equal(ids.map((id) => stream.push(id)).join('') + stream.end(), decoded)
    }
  })

  test(`${name}: untrusted text becomes no special token`, () => {
    const unknown = tokenizer.specials.get('<unk>') // what the model has for characters outside of its vocabulary
    for (const { text } of cases) {
      const whole: [number, number] = [0, text.length]
      for (const ids of [tokenizer.encode(text), tokenizer.encodeTemplate(text, [whole])])
        for (const id of ids) assert.ok(!tokenizer.isSpecial(id) || id === unknown, `${JSON.stringify(text)} gave ${id}`)
      assert.deepEqual(tokenizer.encodeTemplate(text, [whole]), tokenizer.encode(text))
    }
  })
}
