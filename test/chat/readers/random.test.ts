/** Random sequences of tokens through every reader: no exception, no lost word, and no text in a wrong part without a warning. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FAMILIES, randomAnswer } from './random.ts'

test('random sequences', () => {
  for (const family of FAMILIES) for (let seed = 0; seed < 500; seed++) randomAnswer(family, seed)
  assert.ok(FAMILIES.length >= 12)
})
