/** Tokenizers made from scores, against SentencePiece's rule written out: the best-scored union first, of equal ones the leftmost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GgufValue } from '../../../src/checkpoint/gguf/header.ts'
import { tokenizerFromMetadata } from '../../../src/checkpoint/gguf/tokenizer.ts'
import { tokenizerFromJson } from '../../../src/tokenizer/tokenizer-json.ts'

const LETTERS = ['▁', 'a', 'b', 'c', 'd']
const CONTROL = 3
const BYTE = 6

/** A random vocabulary: control tokens, bytes, letters, and unions of earlier entries with scores that repeat. */
function vocabulary(random: () => number): { tokens: string[]; scores: number[]; types: number[] } {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...LETTERS]
  const scores = tokens.map(() => -1000)
  const types = tokens.map((_, id) => (id === 0 ? 2 : id < 3 ? CONTROL : id < 259 ? BYTE : 1))
  while (tokens.length < 259 + 60) {
    const pick = () => tokens[259 + (random() % (tokens.length - 259))]!
    const union = pick() + pick()
    if (tokens.includes(union) || union.length > 6) continue
    tokens.push(union)
    scores.push(-(random() % 12))
    types.push(1)
  }
  return { tokens, scores, types }
}

/** The rule itself, one union at a time. */
function encode(text: string, tokens: readonly string[], scores: readonly number[]): number[] {
  const symbols = [...`▁${text.replaceAll(' ', '▁')}`]
  for (;;) {
    let [best, bestScore] = [-1, Number.NEGATIVE_INFINITY]
    for (let i = 0; i + 1 < symbols.length; i++) {
      const id = tokens.indexOf(symbols[i]! + symbols[i + 1]!)
      if (id >= 0 && scores[id]! > bestScore) [best, bestScore] = [i, scores[id]!]
    }
    if (best < 0) break
    symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!)
  }
  return symbols.flatMap((symbol) => {
    const id = tokens.indexOf(symbol)
    return id >= 0 ? [id] : [...new TextEncoder().encode(symbol)].map((byte) => 3 + byte)
  })
}

for (const seed of [1, 2, 3])
  test(`random vocabulary ${seed}: the ids of the rule, and back to the text`, () => {
    let state = seed
    const random = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >>> 8
    const { tokens, scores, types } = vocabulary(random)
    const metadata = new Map<string, GgufValue>([
      ['tokenizer.ggml.model', 'llama'],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.scores', scores],
      ['tokenizer.ggml.token_type', types],
    ])
    const tokenizer = tokenizerFromJson(JSON.parse(JSON.stringify(tokenizerFromMetadata('x', metadata))), 'x')
    const characters = ['a', 'b', 'c', 'd', ' ', 'é', '<', '\n', '日']
    for (let n = 0; n < 400; n++) {
      const length = 1 + (random() % (n % 20 === 0 ? 90 : 14))
      const text = Array.from({ length }, () => characters[random() % (n % 3 === 0 ? characters.length : 5)]).join('')
      assert.deepEqual(tokenizer.encode(text), encode(text, tokens, scores), JSON.stringify(text))
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text)
    }
  })
