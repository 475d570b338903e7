/** A tokenizer for tests: one id per byte, and the markers of harmony and Qwen3 above them. Small vocabulary, no files. */
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'

const MARKERS = [
  '<|start|>',
  '<|message|>',
  '<|end|>',
  '<|channel|>',
  '<|constrain|>',
  '<|call|>',
  '<|return|>',
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<think>',
  '</think>',
  '<tool_call>',
  '</tool_call>',
]

/** @param more further markers */
export function byteTokenizer(more: readonly string[] = []): Tokenizer {
  const markers = [...MARKERS, ...more]
  const specials = new Map(markers.map((text, i) => [text, 256 + i]))
  const spelled = new Map(markers.map((text, i) => [256 + i, text]))
  const utf8 = new TextEncoder()
  const encode = (text: string) => [...utf8.encode(text)]
  const bytes = (id: number) => {
    const marker = spelled.get(id)
    if (marker !== undefined) return utf8.encode(marker)
    if (!Number.isInteger(id) || id < 0 || id > 255) throw new RangeError(`token id ${id} is not in the vocabulary`)
    return Uint8Array.of(id)
  }
  const pattern = new RegExp(markers.map((text) => text.replace(/[|/[\]]/g, '\\$&')).join('|'), 'g')
  return {
    vocabSize: 256 + markers.length,
    specials,
    encode,
    encodeTemplate(text, untrusted = []) {
      const ids: number[] = []
      let at = 0
      for (const match of text.matchAll(pattern)) {
        const end = match.index + match[0].length
        if (untrusted.some(([start, stop]) => match.index < stop && end > start)) continue
        ids.push(...encode(text.slice(at, match.index)), specials.get(match[0])!)
        at = end
      }
      return [...ids, ...encode(text.slice(at))]
    },
    decode: (ids, options = {}) => {
      const all = [...ids]
        .filter((id) => !(options.skipSpecials && id >= 256))
        .flatMap((id) => (id < 256 + markers.length ? [...bytes(id)] : []))
      return new TextDecoder().decode(Uint8Array.from(all))
    },
    bytes,
    isSpecial: (id) => id >= 256,
    stream() {
      const decoder = new TextDecoder()
      return { push: (id) => decoder.decode(bytes(id), { stream: true }), end: () => decoder.decode() }
    },
  }
}
