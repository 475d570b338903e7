/** A question in words: language, numbers, signs and wording are drawn, and how people type. */
import { integer, pick, type Random } from '../../random/stream.ts'
import { type Expression, operands, type Spelling, textOf } from './expression.ts'
import { inWords, type Language } from './number-words.ts'
import { AFTER, AROUND, BEFORE, NEGATIVE, OF_THREE, OF_TWO, SPELLINGS } from './question-wordings.ts'
import { capital, casual, fill, vary } from './templates.ts'

export const drawLanguage = (next: Random): Language => {
  const draw = next()
  return draw < 0.64 ? 'en' : draw < 0.83 ? 'de' : 'zh'
}

/** How numbers are written. */
export type Spoken = (n: number) => string

/** Digits, seldom words or leading zeros. */
export function drawNumbers(next: Random, language: Language): Spoken {
  const draw = next()
  if (draw < 0.12) return inWords(language, draw < 0.04 ? ' ' : '-')
  return draw < 0.14 ? (n) => `${'0'.repeat(integer(next, 1, 3))}${n}` : String
}

/** As people type: with a word before or after, with a capital first, without capitals, without the mark at the end. */
function typed(next: Random, text: string, language: Language): string {
  let made = text
  if (next() < 0.08) made = `${pick(next, BEFORE[language])}${language === 'zh' ? '' : ' '}${made}`
  if (next() < 0.06) made = made.replace(/[?.!？。]?$/, (mark) => pick(next, AFTER[language]) + mark)
  if (next() < 0.3) made = capital(made)
  return casual(next, made)
}

/** A wording with its values, as people type it. Blanks before a mark go only where words are chosen. */
export function say(next: Random, wording: string, values: Readonly<Record<string, string>>, language: Language): string {
  return typed(next, fill(wording.includes('{') ? vary(next, wording) : wording, values), language)
}

/** One of these stories with its values, as people type it. */
export const tell = (next: Random, stories: readonly string[], values: Readonly<Record<string, string | (() => string)>>): string =>
  casual(next, capital(fill(vary(next, pick(next, stories)), values)))

/** What the dialogues ask: around any expression, and of two numbers. */
const TAUGHT = { around: AROUND, ofTwo: OF_TWO }

/** A question for the value of an expression. `number`: how numbers are written; drawn if absent. `from`: the wordings. */
export function ask(next: Random, expression: Expression, language: Language, number = drawNumbers(next, language), from = TAUGHT): string {
  const numbers = operands(expression)
  const plain = numbers.every((n) => n >= 0)
  if (typeof expression !== 'number' && plain && next() < 0.35) {
    const [A, B, C] = numbers.map(number)
    if (numbers.length === 2) return say(next, pick(next, from.ofTwo[language][expression.op]), { A: A!, B: B! }, language)
    const isSum = numbers.length === 3 && expression.op === '+' && typeof expression.left !== 'number' && expression.left.op === '+'
    if (isSum) return say(next, pick(next, OF_THREE[language]), { A: A!, B: B!, C: C! }, language)
  }
  const sign = pick(next, SPELLINGS[language])
  const words = /[a-z]/.test(sign['+'])
  const space = words || (language !== 'zh' && next() < 0.65) || sign['*'] === 'x' ? ' ' : ''
  const spelled = words || sign['+'].startsWith('加')
  const negative = spelled && next() < 0.7 ? pick(next, NEGATIVE[language]) : '-'
  const spelling: Spelling = { sign, space, number, negative, bare: negative !== '-' || next() < 0.25 }
  return say(next, pick(next, from.around[language]), { E: textOf(expression, spelling) }, language)
}
