/** Mixed text from a fixed random source: prose, code, CJK, emoji, combining marks, lone surrogates, control characters, long runs. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)
const shakespeare = new URL('../shared/data/tinyshakespeare.txt', root)

/** A generator of numbers in [0, 1) that is the same everywhere. */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Prose and code that is at hand: the repository's licence and sources, and a public-domain text where there is one. */
export function proseAndCode(): { prose: string; code: string } {
  const sources = new URL('src/tokenizer/', root)
  const code = readdirSync(sources).map((name) => readFileSync(new URL(name, sources), 'utf8'))
  const prose = [readFileSync(new URL('LICENSE', root), 'utf8')]
  if (existsSync(shakespeare)) prose.push(readFileSync(shakespeare, 'utf8'))
  return { prose: prose.join('\n'), code: code.join('\n') }
}

/** Pieces of text of about `characters` UTF-16 code units in all. Runs stay short enough for implementations that are quadratic in them. */
export function mixedText(characters: number, seed = 1): string {
  const next = random(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const { prose, code } = proseAndCode()
  const slice = (text: string, most: number) => {
    const start = below(text.length)
    return text.slice(start, start + 1 + below(most))
  }
  const from = (first: number, count: number, most: number) =>
    Array.from({ length: 1 + below(most) }, () => String.fromCodePoint(first + below(count))).join('')
  const one = (list: readonly string[]) => list[below(list.length)]!
  const odd = [
    '\u0085',
    '\ufeff',
    '\u00a0',
    '\u2028',
    '\u3000',
    '\u200b',
    '\u200d',
    '\ufe0f',
    'ſ',
    "'ſ",
    "'S",
    "'LL",
    '’s',
    'İ',
    'ß',
    'ǅ',
    'K',
    '\ud800',
    '\udfff',
    '\ud83d',
    "'ve",
  ]
  const marked = ['<|endoftext|>', '<|start|>', '<|im_end|>', '<think>', '<s>', '<0x0A>', '▁']
  const kinds: (() => string)[] = [
    () => slice(prose, 4000),
    () => slice(code, 4000),
    () => slice(prose, 60),
    () => from(0x4e00, 20000, 10),
    () => from(0x3041, 80, 8),
    () => from(0xac00, 11000, 6),
    () => from(0x0400, 250, 12),
    () => from(0x0620, 60, 12),
    () => from(0x0904, 100, 8),
    () => from(0x1f300, 700, 6),
    () => slice(prose, 8) + from(0x300, 112, 3),
    () => from(0, 32, 5),
    () => one(odd).repeat(1 + below(3)),
    () => one(marked),
    () => one([' ', 'a', '\n', '\r\n', '\t', '0', '-', '=', '中', '!', 'A']).repeat(1 + below(next() < 0.05 ? 200 : 30)),
    () => String(below(1e9)),
    () => String.fromCodePoint(below(0xd800)),
  ]
  const pieces: string[] = []
  for (let length = 0; length < characters; ) {
    const text = kinds[below(kinds.length)]!()
    pieces.push(text)
    length += text.length
  }
  return pieces.join('')
}
