/**
 * Endless text in an invented language, without copyright: rich enough that a small model can overfit a little of it, and with names that
 * occur in one paragraph only, so that looking back helps. The experiments about loss read it unless a file is given.
 */
import { integer, pick, type Random, random } from '../../random/stream.ts'

const ONSETS = [
  'b',
  'br',
  'c',
  'd',
  'dr',
  'f',
  'g',
  'gl',
  'h',
  'k',
  'l',
  'm',
  'n',
  'p',
  'pl',
  'r',
  's',
  'sh',
  'st',
  't',
  'th',
  'tr',
  'v',
  'w',
]
const VOWELS = ['a', 'e', 'i', 'o', 'u', 'ai', 'ea', 'ou']
const CODAS = ['', '', '', 'n', 'r', 's', 'l', 'm', 't', 'nd', 'st', 'ck']
const LITTLE = ['and', 'but', 'while', 'because', 'until', 'when']

const syllable = (next: Random): string => pick(next, ONSETS) + pick(next, VOWELS) + pick(next, CODAS)
const word = (next: Random): string => Array.from({ length: integer(next, 1, 2) }, () => syllable(next)).join('')

/** A lexicon of the kind of words that one place in a sentence takes; the same in every text. */
function lexicon(seed: number, count: number): string[] {
  const next = random(seed)
  const words = new Set<string>()
  while (words.size < count) words.add(word(next))
  return [...words]
}

const NOUNS = lexicon(101, 160)
const VERBS = lexicon(102, 100).map((verb) => `${verb}ed`)
const QUALITIES = lexicon(103, 80).map((quality) => `${quality}y`)

/** Frequent words first: rank r has a weight of about 1/r. */
const frequent = (next: Random, words: readonly string[]): string => words[Math.floor(words.length ** next()) - 1]!

/** One paragraph: a subject of its own, two or three invented names, and sentences about them. */
export function paragraph(next: Random): string {
  const topic = Array.from({ length: 12 }, () => pick(next, NOUNS))
  const names = Array.from({ length: integer(next, 2, 3) }, () => {
    const name = syllable(next) + syllable(next)
    return name[0]!.toUpperCase() + name.slice(1)
  })
  const thing = (): string => {
    const noun = next() < 0.6 ? pick(next, topic) : frequent(next, NOUNS)
    return next() < 0.4 ? `the ${frequent(next, QUALITIES)} ${noun}` : `the ${noun}`
  }
  const clause = (): string =>
    `${next() < 0.75 ? pick(next, names) : thing()} ${frequent(next, VERBS)} ${next() < 0.3 ? pick(next, names) : thing()}`
  const sentence = (): string => {
    const text = clause() + (next() < 0.4 ? ` ${pick(next, LITTLE)} ${clause()}` : '')
    return `${text[0]!.toUpperCase()}${text.slice(1)}.`
  }
  return Array.from({ length: integer(next, 4, 8) }, sentence).join(' ')
}

/** Paragraphs separated by line ends, at least `length` characters. */
export function chronicle(next: Random, length: number): string {
  const parts: string[] = []
  for (let size = 0; size < length; size += parts.at(-1)!.length + 1) parts.push(paragraph(next))
  return `${parts.join('\n')}\n`
}
