/** A Tokenizer with gpt-oss's vocabulary for tests: js-tiktoken's o200k ranks, an independent implementation, plus harmony's special tokens. */
import { Tiktoken } from 'js-tiktoken/lite'
import ranks from 'js-tiktoken/ranks/o200k_base'
import type { TextStream, Tokenizer } from '../../src/tokenizer/tokenizer.ts'

const named: Record<number, string> = {
  199998: 'startoftext',
  199999: 'endoftext',
  200002: 'return',
  200003: 'constrain',
  200005: 'channel',
  200006: 'start',
  200007: 'end',
  200008: 'message',
  200012: 'call',
  200018: 'endofprompt',
}

export function o200kHarmony(): Tokenizer {
  const specials = new Map<string, number>()
  for (let id = 199998; id < 201088; id++) specials.set(`<|${named[id] ?? `reserved_${id}`}|>`, id)
  const bytesOf = new Map<number, Uint8Array>()
  for (const line of ranks.bpe_ranks.split('\n')) {
    const [, offset, ...tokens] = line.split(' ')
    tokens.forEach((token, i) => {
      bytesOf.set(Number(offset) + i, Buffer.from(token, 'base64'))
    })
  }
  for (const [text, id] of specials) bytesOf.set(id, Buffer.from(text))
  const special = new Set(specials.values())
  const tiktoken = new Tiktoken(ranks) // knows its own two specials only
  const encode = (text: string) => tiktoken.encode(text, [], [])
  const bytes = (id: number) => {
    const found = bytesOf.get(id)
    if (!found) throw new RangeError(`token id ${id} is not in the vocabulary`)
    return found
  }
  return {
    vocabSize: 201088,
    specials,
    encode,
    encodeTemplate: (text) => text.split(/(<\|\w+\|>)/).flatMap((piece) => (specials.has(piece) ? [specials.get(piece)!] : encode(piece))),
    decode: (ids, options = {}) => {
      const pieces = [...ids].filter((id) => !(options.skipSpecials && special.has(id))).map(bytes)
      return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(pieces))
    },
    bytes,
    isSpecial: (id) => special.has(id),
    stream(): TextStream {
      const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
      return { push: (id) => decoder.decode(bytes(id), { stream: true }), end: () => decoder.decode() }
    },
  }
}
