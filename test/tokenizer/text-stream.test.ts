/** Incremental decoding: never broken UTF-8, never finished text held back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { mixedText, random } from './mixed-text.ts'

const tokenizer = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const whole = (ids: readonly number[]) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(Uint8Array.from(ids))

/** How many bytes at the end may still become a character: written from the table of well-formed sequences of the Unicode standard (3-7). */
function unfinished(bytes: readonly number[]): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length++) {
    const [lead = 0, second, third] = bytes.slice(bytes.length - length)
    const needed = lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0
    if (needed <= length) continue
    const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (second !== undefined && (second < low || second > high)) continue
    if (third !== undefined && (third < 0x80 || third > 0xbf)) continue
    return length
  }
  return 0
}

test('after every byte of well-formed text exactly the finished characters are out', () => {
  const text = mixedText(20_000, 7).toWellFormed()
  const stream = tokenizer.stream()
  for (const character of text) {
    const ids = tokenizer.encode(character)
    for (const id of ids.slice(0, -1)) assert.equal(stream.push(id), '')
    assert.equal(stream.push(ids.at(-1)!), character)
  }
  assert.equal(stream.end(), '')
})

test('20,000 random byte sequences: streamed = whole, and only an unfinished character is held back', () => {
  const next = random(3)
  const likely = [0x20, 0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xe0, 0xe2, 0xed, 0xef, 0xbb, 0xf0, 0xf4, 0xf5, 0xff]
  for (let round = 0; round < 20_000; round++) {
    const ids = Array.from({ length: 1 + Math.floor(next() * 10) }, () =>
      next() < 0.8 ? likely[Math.floor(next() * likely.length)]! : Math.floor(next() * 256),
    )
    const stream = tokenizer.stream()
    let out = ''
    for (let i = 0; i < ids.length; i++) {
      out += stream.push(ids[i]!)
      const seen = ids.slice(0, i + 1)
      assert.equal(out, whole(seen.slice(0, seen.length - unfinished(seen))), `bytes ${seen}`)
    }
    assert.equal(out + stream.end(), whole(ids))
    assert.equal(tokenizer.decode(ids), whole(ids))
  }
})

test('a special token ends an unfinished character, U+FEFF stays, an unknown id becomes U+FFFD', () => {
  const stream = tokenizer.stream()
  assert.equal(stream.push(0xf0) + stream.push(0x9f), '')
  assert.equal(stream.push(256), '\ufffd<|end|>')
  assert.equal(stream.push(0xef) + stream.push(0xbb) + stream.push(0xbf), '\ufeff')
  assert.equal(stream.push(9999), '\ufffd')
  assert.equal(stream.end(), '')
  assert.equal(tokenizer.decode([0xc3]), '\ufffd')
})
