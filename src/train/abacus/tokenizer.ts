/**
 * The embedded model's tokenizer, made from its generated dialogues. Every byte is an id, digits stay single, frequent runs of other
 * characters are merged (byte pair encoding: Gage 1994, Sennrich et al. 2016), and the fixed texts of prompts are entries of the vocabulary.
 */
import { developerText, systemText } from '../../chat/formats/harmony/prompt.ts'
import { random } from '../../random/stream.ts'
import { bpeTokenizerJson } from '../../tokenizer/build.ts'
import { byteSpelling } from '../../tokenizer/byte-level.ts'
import { CALCULATOR, drawDialogue, IDENTITY, REFUSAL, TOO_LARGE, WHO_ANSWER } from './dialogues.ts'

/** Harmony's markers in the order of their ids in o200k_harmony. */
export const MARKERS = ['return', 'constrain', 'channel', 'start', 'end', 'message', 'call', 'endoftext'].map((name) => `<|${name}|>`)

const PIECES = /\p{N}|[^\p{N}]+/gu

/** Pieces of the fixed texts: system messages, the calculator's definition, and what the model says about itself. */
function fixedPieces(): string[] {
  const texts = [developerText('', [{ name: 'functions', tools: [CALCULATOR] }]), WHO_ANSWER, REFUSAL, TOO_LARGE]
  for (const effort of ['low', 'medium', 'high'])
    for (const functions of [false, true])
      texts.push(systemText({ effort, functions }), systemText({ identity: IDENTITY, knowledgeCutoff: null, effort, functions }))
  return [...new Set(texts.flatMap((text) => text.match(PIECES)!))].filter((piece) => piece.length > 1)
}

/** Text -> the printable characters that stand for its bytes in a vocabulary. */
const spell = (text: string): string => Array.from(new TextEncoder().encode(text), (byte) => byteSpelling[byte]!).join('')

/** At most `count` merges, most frequent pair first. Of equally frequent pairs the first in byte order wins. */
export function trainMerges(texts: Iterable<string>, count: number): [string, string][] {
  const frequency = new Map<string, number>()
  for (const text of texts) for (const piece of text.match(PIECES) ?? []) frequency.set(piece, (frequency.get(piece) ?? 0) + 1)
  const words = [...frequency].map(([piece, times]) => ({
    times,
    symbols: Array.from(new TextEncoder().encode(piece), (byte) => byteSpelling[byte]!),
  }))
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
    const dialogue = drawDialogue(next)
    texts.push('analysis', 'final', 'commentary', 'assistant', 'user', 'system', 'developer')
    texts.push(dialogue.effort, dialogue.instructions, '\nCurrent date: ')
    if (dialogue.tool && dialogue.tool !== CALCULATOR) texts.push(developerText('', [{ name: 'functions', tools: [dialogue.tool] }]))
    for (const { user, analysis, final, call } of dialogue.exchanges) {
      texts.push(user)
      if (!fixed.includes(final)) texts.push(final)
      // Signs of the working stay single: one token is one step.
      for (const sign of analysis.match(/[^0-9]/g) ?? []) texts.push(sign)
      if (!call) continue
      texts.push(' to=functions.calculator', ' ', 'json', `{"expression":"${call.expression}"}`)
      texts.push('functions.calculator to=assistant', call.result)
    }
  }
  const merges = trainMerges(texts, vocabSize - 256 - fixed.length - MARKERS.length)
  const entries = [...byteSpelling, ...merges.map(([a, b]) => a + b), ...fixed.map(spell)]
  return bpeTokenizerJson({
    vocab: Object.fromEntries(entries.map((token, id) => [token, id])),
    merges,
    ignoreMerges: true,
    added: MARKERS.map((content, i) => ({ id: vocabSize - MARKERS.length + i, content, special: true })),
    preTokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: String.raw`\p{N}|[^\p{N}]+` }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
      ],
    },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false },
  })
}
