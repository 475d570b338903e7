/** Reading vocabulary and merges from the text of a tokenizer.json gives what JSON.parse gives, and the same errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTokenizerJson, unescaped } from '../../src/tokenizer/merge-text.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { hashOf, Vocabulary, writeEntry } from '../../src/tokenizer/vocabulary.ts'

// biome-ignore lint/suspicious/noExplicitAny: the shape of a test file
type Json = any

const utf8 = new TextEncoder()
const vocabularyOf = (ids: Map<string, number>) => new Vocabulary([...ids.keys()], [...ids.values()])

/** What was read, as plain values. */
function plain(json: Json): Json {
  const { vocab, merges } = json.model ?? {}
  if (vocab instanceof Vocabulary) json.model.vocab = Object.fromEntries(vocab)
  if (merges?.pieces) {
    const { bytes, pieces, count } = merges
    const piece = (at: number) => unescaped(bytes, pieces[at], pieces[at + 1])
    json.model.merges = Array.from({ length: count }, (_, i) => [piece(6 * i), piece(6 * i + 3)])
  }
  return json
}

const model = (vocab: string, merges: string, rest = '') =>
  `{"version": "1.0", ${rest} "model": {"type": "BPE", "vocab": ${vocab}, "merges": ${merges}}}`
const VOCAB =
  '{"a": 0, "b": 1, "\\"": 2, "]": 3, ",": 4, "ab": 5, "\\"]": 6, "Ġ": 7, "merges": 8, "vocab": 9, "\\u0061\\\\": 10, "\\\\": 11, "ü😀": 12}'

test('usual lists are read from the text', () => {
  for (const merges of [
    '[]',
    '[["a","b"]]',
    '[\n  [\n "a",\n\t"b" ],\r\n["\\"", "]"] ]',
    '[["a", "\\\\"],["a","b"]]',
    '["a b", "\\u0061 b"]',
    '["a b"]',
  ])
    for (const vocab of [VOCAB, '{"a":0}', VOCAB.replaceAll(' ', '\n  ')]) {
      const text = model(vocab, merges)
      const expected = JSON.parse(text)
      expected.model.merges = expected.model.merges.map((merge: Json) => (typeof merge === 'string' ? merge.split(' ') : merge))
      const read = plain(parseTokenizerJson(utf8.encode(text), JSON.parse))
      read.model.merges = read.model.merges.map((merge: Json) => (typeof merge === 'string' ? merge.split(' ') : merge))
      assert.deepEqual(read, expected, text)
    }
})

test('unusual texts are what JSON.parse makes of them', () => {
  const texts = [
    model('{}', '[["a","b","c"]]'),
    model('{"a": 1.5, "b": -1, "c": "x", "d": 01e1}'.replace('01e1', '1e1'), '[["a"],[],[1,2],{"a":1},"a  b","ab",null]'),
    model('{"a": 0, "a": 1}', '[]'),
    model('{"a": 12345678901}', '[[["a","b"]]]'),
    '{"merges": [["a","b"]], "vocab": {"a": 0}}',
    '{"model": {"inner": {"merges": [["a","b"]], "vocab": {"a": 0}}}}',
    '[{"merges": [["a","b"]]}]',
    '{"model": null, "other": {"vocab": {"a": 0}}}',
    model(VOCAB, '[["a","b"]]', '"post": {"merges": [1], "vocab": {"x": 1}},'),
    model('{"x": "\\"merges\\": [", "y": 1}', '[["a","b"]]'),
  ]
  for (const text of texts) assert.deepEqual(plain(parseTokenizerJson(utf8.encode(text), JSON.parse)), JSON.parse(text), text)
  for (const merges of ['[["a","b"],]', '[,["a","b"]]', '[["a" "b"]]', '[["a",,"b"]]', '[["a","b"]', '["a\nb"]', '[["a","\\x"]]'])
    for (const vocab of ['{"a": 0}', '{"a": 00}', '{"a": 0,}', '{"a" 0}'])
      assert.throws(() => tokenizerFromJson(plain(parseTokenizerJson(utf8.encode(model(vocab, merges)), JSON.parse)), 'x'), SyntaxError)
})

test('entries are found in one part of a text and in two', () => {
  const table = vocabularyOf(
    new Map([
      ['a', 3],
      ['ab', 4],
      ['', 5],
      ['ü😀', 6],
      ['b', 7],
      ['ba', 8],
    ]),
  ) // prettier-ignore
  const bytes = utf8.encode('xabü😀ba') // ü stands at 3, 😀 at 5, the last b at 9
  const find = (from: number, to: number) => table.find(bytes, from, to, hashOf(bytes, from, to))
  assert.deepEqual([find(1, 2), find(1, 3), find(0, 1), find(3, 9), find(2, 2), find(0, 3)], [3, 4, -1, 6, 5, -1])
  const join = (from: number, to: number, from2: number, to2: number) =>
    table.findJoined(bytes, from, to, hashOf(bytes, from, to), from2, to2, hashOf(bytes, from2, to2))
  for (let round = 0; round < 2; round++)
    assert.deepEqual([join(1, 2, 2, 3), join(2, 3, 1, 2), join(3, 5, 5, 9), join(0, 1, 2, 3)], [4, 8, 6, -1])
})

test('long entries join, and entries are UTF-8 with half pairs kept apart', () => {
  const long = 'xyz'.repeat(100)
  const table = vocabularyOf(
    new Map([
      [long, 1],
      ['\ud800', 2],
      ['\udfff', 3],
      ['\ufffd', 4],
    ]),
  ) // prettier-ignore
  const bytes = utf8.encode(long)
  for (const cut of [0, 1, 100, 299, 300])
    assert.equal(table.findJoined(bytes, 0, cut, hashOf(bytes, 0, cut), cut, 300, hashOf(bytes, cut, 300)), 1)
  for (const [entry, id] of [
    ['\ud800', 2],
    ['\udfff', 3],
    ['\ufffd', 4],
    ['\udc00', -1],
  ] as const) {
    const own = new Uint8Array(3)
    assert.equal(table.find(own, 0, writeEntry(entry, own, 0), hashOf(own, 0, 3)), id)
  }
  for (const text of ['', 'aé€😀', '\u07ff\u0800\uffff\u{10000}\u{10ffff}']) {
    const own = new Uint8Array(3 * text.length)
    assert.deepEqual(own.subarray(0, writeEntry(text, own, 0)), utf8.encode(text))
  }
})

test('a vocabulary is a map of its entries; deleted ones are still parts of merges', () => {
  const long = 'x'.repeat(200)
  const vocabulary = vocabularyOf(
    new Map([
      ['a', 3],
      ['', 4],
      ['ab', 5],
      ['<end>', 6],
      [long, 7],
      ['€', 8],
      ['\ud800', 9],
    ]),
  ) // prettier-ignore
  for (const [entry, id] of vocabulary) assert.equal(vocabulary.get(entry), id)
  for (const entry of ['b', 'abc', '<END>', `${long}x`, '\udfff', '\ufffd']) assert.equal(vocabulary.has(entry), false)
  for (const entry of ['a', '<end>']) {
    vocabulary.delete(entry)
    const bytes = utf8.encode(entry)
    assert.equal(vocabulary.get(entry), undefined)
    assert.ok(vocabulary.find(bytes, 0, bytes.length, hashOf(bytes, 0, bytes.length)) > 0)
  }
  assert.deepEqual(
    [...vocabulary].map(([, id]) => id),
    [4, 5, 7, 8, 9],
  )
  assert.equal(vocabulary.repeats, false)
  assert.equal(new Vocabulary(['a', 'b', 'a'], [0, 1, 2]).repeats, true)
})
