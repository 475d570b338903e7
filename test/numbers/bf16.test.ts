/** Rounding to bf16 against its definition: the nearest of the two neighbours, the even one when both are as near. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromBf16, toBf16 } from '../../src/numbers/bf16.ts'

test('every bf16 comes back, the middle of two goes to the even one', () => {
  for (let bits = 0; bits < 0x7f80; bits++) {
    const value = fromBf16(bits)
    assert.equal(toBf16(value), bits)
    assert.equal(toBf16(-value), bits | 0x8000)
    if (bits === 0x7f7f) continue
    const above = fromBf16(bits + 1)
    assert.equal(toBf16(value + (above - value) / 2), bits & 1 ? bits + 1 : bits)
    assert.equal(toBf16(value + (above - value) / 4), bits)
  }
})

test('the largest f32 rounds to infinity, a NaN stays one', () => {
  assert.equal(fromBf16(toBf16(3.4028234e38)), Number.POSITIVE_INFINITY)
  assert.equal(fromBf16(toBf16(Number.NaN)), Number.NaN)
  assert.equal(fromBf16(toBf16(Number.NEGATIVE_INFINITY)), Number.NEGATIVE_INFINITY)
})
