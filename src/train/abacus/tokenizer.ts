/**
 * The embedded model's tokenizer, made from its generated dialogues. Every byte is an id, digits stay single, frequent runs of other
 * characters are merged (byte pair encoding: Gage 1994, Sennrich et al. 2016), and the fixed texts of prompts are entries of the vocabulary.
 */
import { developerText, systemText } from '../../chat/formats/harmony/prompt.ts'
import { random } from '../../random/stream.ts'
import { bpeTokenizerJson } from '../../tokenizer/build.ts'
import { byteSpelling } from '../../tokenizer/byte-level.ts'
import { CALCULATOR, drawDialogue, IDENTITY } from './dialogues.ts'
import { REFUSAL, TOO_LARGE, WHO_ANSWER } from './refusals.ts'

/** Harmony's markers in the order of their ids in o200k_harmony. */
export const MARKERS = ['return', 'constrain', 'channel', 'start', 'end', 'message', 'call', 'endoftext'].map((name) => `<|${name}|>`)

/** Digits and Chinese characters one by one, words with the blank before them, marks one by one. */
const WORDS = String.raw`\p{N}|[一-鿿]| ?[^\s\p{N}\p{P}\p{S}一-鿿]+| ?[\p{P}\p{S}]|\s+`

/** Texts that are one id each: system messages, the calculator's definition, its calls, and what the model says about itself; longest first. */
function fixedPieces(): string[] {
  const texts = [developerText('', [{ name: 'functions', tools: [CALCULATOR] }])]
  for (const effort of ['low', 'medium', 'high'])
    for (const functions of [false, true])
      texts.push(systemText({ effort, functions }), systemText({ identity: IDENTITY, knowledgeCutoff: null, effort, functions }))
  for (const each of [WHO_ANSWER, REFUSAL, TOO_LARGE]) texts.push(...Object.values(each))
  texts.push(' to=functions.calculator', '{"expression":"', '"}', 'functions.calculator to=assistant')
  const pieces = new Set(texts.flatMap((text) => text.match(/[^\p{N}]+/gu)!))
  return [...pieces].filter((piece) => piece.length > 1).sort((a, b) => b.length - a.length || (a < b ? -1 : 1))
}

const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** Text -> the printable characters that stand for its bytes in a vocabulary. */
const spell = (text: string): string => Array.from(new TextEncoder().encode(text), (byte) => byteSpelling[byte]!).join('')

/** Pieces that occur less often teach no merges: made-up words. */
const LEAST = 3

/** At most `count` merges, most frequent pair first. Of equally frequent pairs the first in byte order wins. */
function trainMerges(texts: Iterable<string>, count: number): [string, string][] {
  const frequency = new Map<string, number>()
  for (const text of texts)
    for (const piece of text.match(new RegExp(WORDS, 'gu')) ?? []) frequency.set(piece, (frequency.get(piece) ?? 0) + 1)
  const words = [...frequency]
    .filter(([, times]) => times >= LEAST)
    .map(([piece, times]) => ({ times, symbols: Array.from(new TextEncoder().encode(piece), (byte) => byteSpelling[byte]!) }))
  const merges: [string, string][] = []
  while (merges.length < count) {
    const pairs = new Map<string, number>()
    for (const { times, symbols } of words)
      for (let i = 0; i + 1 < symbols.length; i++) {
        const pair = `${symbols[i]} ${symbols[i + 1]}`
        pairs.set(pair, (pairs.get(pair) ?? 0) + times)
      }
    let best = ''
    let most = 1
    for (const [pair, times] of pairs)
      if (times > most || (times === most && pair < best)) {
        best = pair
        most = times
      }
    if (best === '') break
    const [left, right] = best.split(' ') as [string, string]
    merges.push([left, right])
    for (const word of words) {
      const { symbols } = word
      let write = 0
      for (let i = 0; i < symbols.length; i++)
        if (symbols[i] === left && symbols[i + 1] === right) {
          symbols[write++] = left + right
          i++
        } else symbols[write++] = symbols[i]!
      symbols.length = write
    }
  }
  return merges
}

/** tokenizer.json with exactly `vocabSize` ids. */
export function abacusTokenizerJson(vocabSize: number, seed = 1): object {
  const fixed = fixedPieces()
  const next = random(seed)
  const texts: string[] = []
  for (let i = 0; i < 6000; i++) {
    const { effort, instructions, tool, exchanges } = drawDialogue(next)
    texts.push(
      'analysis',
      'final',
      'commentary',
      'assistant',
      'user',
      'system',
      'developer',
      ' ',
      'json',
      effort,
      instructions,
      '\nCurrent date: ',
    )
    if (tool && tool !== CALCULATOR) texts.push(developerText('', [{ name: 'functions', tools: [tool] }]))
    // The signs of workings stay single: one token is one step.
    for (const { user, final } of exchanges) texts.push(user, final)
  }
  const pieces = `${fixed.map(literal).join('|')}|${WORDS}`
  const isFixed = new Set(fixed)
  const free = texts.flatMap((text) => text.match(new RegExp(pieces, 'gu')) ?? []).filter((piece) => !isFixed.has(piece))
  const merges = trainMerges(free, vocabSize - 256 - fixed.length - MARKERS.length)
  const entries = [...byteSpelling, ...merges.map(([a, b]) => a + b), ...fixed.map(spell)]
  return bpeTokenizerJson({
    vocab: Object.fromEntries(entries.map((token, id) => [token, id])),
    merges,
    ignoreMerges: true,
    added: MARKERS.map((content, i) => ({ id: vocabSize - MARKERS.length + i, content, special: true })),
    preTokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: pieces }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
  })
}
