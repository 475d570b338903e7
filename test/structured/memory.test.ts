/** A grammar that serves for long remembers no more than its bounds allow. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSchema, matcher, tokenTrie } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'

const trie = tokenTrie(tokenizerFromJson(byteTokenizerJson([]), 'bytes'))

test('texts of ever new shapes: the memory starts anew, and texts under way go on', () => {
  const grammar = compileSchema({ type: 'object' })
  const early = matcher(grammar, trie)
  const write = (at: typeof early, text: string) => [...text].every((character) => at.accept(character.charCodeAt(0)))
  assert.ok(write(early, '{"a":[1,'))
  const next = random(1)
  let largest = 0
  for (let i = 0; i < 6000; i++) {
    const at = matcher(grammar, trie)
    assert.ok(write(at, `{"":${Array.from({ length: 40 }, () => (next() < 0.5 ? '[' : '{"":')).join('')}`))
    largest = Math.max(largest, grammar.machine.size)
  }
  assert.ok(largest > 90_000 && largest < 120_000, `${largest}`)
  assert.ok(write(early, '{"b":2}]}'))
  assert.ok(early.isComplete())
})
