/** Reading vocabulary and merges from the text of a tokenizer.json gives what JSON.parse gives, and the same errors. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EntryTable, parseTokenizerJson, unescaped } from '../../src/tokenizer/merge-text.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'

// biome-ignore lint/suspicious/noExplicitAny: the shape of a test file
type Json = any

/** What was read, as plain values. */
function plain(json: Json): Json {
  const { vocab, merges } = json.model ?? {}
  if (vocab instanceof Map) json.model.vocab = Object.fromEntries(vocab)
  if (merges?.ranges) {
    const { text, ranges, count } = merges
    const piece = (at: number) => unescaped(text, ranges[at], ranges[at + 1])
    json.model.merges = Array.from({ length: count }, (_, i) => [piece(4 * i), piece(4 * i + 2)])
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
      const read = plain(parseTokenizerJson(text, JSON.parse))
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
  for (const text of texts) assert.deepEqual(plain(parseTokenizerJson(text, JSON.parse)), JSON.parse(text), text)
  for (const merges of ['[["a","b"],]', '[,["a","b"]]', '[["a" "b"]]', '[["a",,"b"]]', '[["a","b"]', '["a\nb"]', '[["a","\\x"]]'])
    for (const vocab of ['{"a": 0}', '{"a": 00}', '{"a": 0,}', '{"a" 0}'])
      assert.throws(() => tokenizerFromJson(plain(parseTokenizerJson(model(vocab, merges), JSON.parse)), 'x'), SyntaxError)
})

test('entries are found in one part of a text and in two', () => {
  const table = new EntryTable(
    new Map([
      ['a', 3],
      ['ab', 4],
      ['', 5],
      ['ü😀', 6],
      ['b', 7],
      ['ba', 8],
    ]),
  ) // prettier-ignore
  const text = 'xabü😀ba'
  assert.deepEqual(
    [
      table.find(text, 1, 2),
      table.find(text, 1, 3),
      table.find(text, 0, 1),
      table.find(text, 3, 6),
      table.find(text, 2, 2),
      table.find(text, 0, 3),
    ],
    [3, 4, -1, 6, 5, -1],
  )
  for (let round = 0; round < 2; round++)
    assert.deepEqual(
      [
        table.findJoined(text, 1, 2, text, 2, 3),
        table.findJoined(text, 2, 3, text, 1, 2),
        table.findJoined(text, 3, 4, text, 4, 6),
        table.findJoined(text, 0, 1, text, 2, 3),
      ],
      [4, 8, 6, -1],
    )
})
