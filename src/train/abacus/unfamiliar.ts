/**
 * Questions in unfamiliar words, for the stage after the dialogues. Declined: stories and questions in which a word that decides what is asked
 * was replaced, requests that are no calculation, and claims, lists and comparisons that ask for something else. Answered, and drawn more often
 * than in the dialogues: expressions in signs, numbers in words, numbers that end in zeros, lists, comparisons, long sums, further wordings
 * (unfamiliar-wordings.ts), and results of the calculator with runs of a digit.
 */
import type { Effort } from '../../chat/messages.ts'
import { integer, pick, type Random } from '../../random/stream.ts'
import { allowed, answerTo, type Categorised, comparison, drawExpression, refused, story, storyValues } from './dialogues.ts'
import { chain, combine, drawSign, type Expression, exactValue, numberOf, type Operator, operands, PLAIN, textOf } from './expression.ts'
import { inWords, type Language } from './number-words.ts'
import { COMPARISONS, NEGATIVE } from './question-wordings.ts'
import { hanzi, REFUSAL, spoilt, word } from './refusals.ts'
import { STORIES } from './story-wordings.ts'
import { capital, casual, fill, vary } from './templates.ts'
import {
  ASIDES,
  BETWEEN_ITEMS,
  type BySigns,
  CLAIMS,
  DIVISIONS,
  FURTHER_AROUND,
  FURTHER_COMPARISONS,
  FURTHER_OF_TWO,
  FURTHER_STORIES,
  LEVELS,
  LISTS,
  NESTED,
  OTHER_LISTS,
  STORIES_OF_THREE,
} from './unfamiliar-wordings.ts'
import { ask, drawLanguage, type Spoken, say, tell } from './wordings.ts'

const FURTHER = { around: FURTHER_AROUND, ofTwo: FURTHER_OF_TWO }

/** An exchange of this stage, or undefined for one of the dialogues. */
export function drawUnfamiliar(next: Random, effort: Effort, tool: boolean): Categorised | undefined {
  const draw = next()
  if (tool) return draw < 0.9 ? undefined : calculated(next, effort)
  if (draw < 0.22) return undefined
  if (draw < 0.25) return { category: 'refused', ...refused(next) }
  const language = drawLanguage(next)
  if (draw < 0.315) return inSigns(next, effort)
  if (draw < 0.335) return declined(strangeRequest(next), 'en')
  if (draw < 0.43) return declined(strangeStory(next, language), language)
  if (draw < 0.455) return declined(next() < 0.6 ? strangeComparison(next, language) : claim(next, language), language)
  if (draw < 0.495) {
    const known = next() < 0.3 ? comparison(next, effort, language).user : ask(next, drawExpression(next, 'pair'), language)
    return declined(spoilt(next, known, language), language)
  }
  if (draw < 0.585) {
    const from = next() < 0.6 ? FURTHER_COMPARISONS : undefined
    return { category: 'compare', ...comparison(next, effort, language, next() < 0.6, from) }
  }
  if (draw < 0.63) return next() < 0.15 ? level(next, effort, language) : storyOfThree(next, effort, language)
  if (draw < 0.765) {
    const [from, words] = [next() < 0.7 ? FURTHER_STORIES : undefined, next() < 0.3 ? drawWords(next, language) : undefined]
    return withAside(next, { category: 'story', ...story(next, effort, false, language, words, from) }, language)
  }
  if (draw < 0.785) return listed(next, effort, language)
  if (draw < 0.8) return declined(fill(vary(next, pick(next, OTHER_LISTS[language])), listValues(next, language)), language)
  if (draw < 0.812) return declined(divided(next, language), language)
  if (draw < 0.837) return nested(next, effort, language)
  const words = next() < 0.4 ? drawWords(next, language) : undefined
  const expression = allowed(() => (words && next() < 0.6 ? spokenPair(next) : drawAsked(next)))
  const question = next() < 0.35 ? askOfTwo(next, expression, language, words) : undefined
  const user = question ?? ask(next, expression, language, words, next() < 0.5 ? FURTHER : undefined)
  return { category: 'arithmetic', ...answerTo(expression, effort, false, next() < 0.02 ? user.toUpperCase() : user, language) }
}

/** A question in one of the further wordings for two numbers that are not negative; undefined for other expressions. */
function askOfTwo(next: Random, expression: Expression, language: Language, words: Spoken = String): string | undefined {
  if (typeof expression === 'number') return undefined
  const { op, left, right } = expression
  if (typeof left !== 'number' || typeof right !== 'number' || left < 0 || right < 0) return undefined
  return say(next, pick(next, FURTHER_OF_TWO[language][op]), { A: words(left), B: words(right) }, language)
}

function drawAsked(next: Random): Expression {
  const kind = next()
  return kind < 0.1 ? longSum(next) : kind < 0.3 ? mixed(next) : kind < 0.55 ? withZeros(next) : smallPair(next)
}

/** Two numbers as they are said in words: with hundreds, and often round. */
function spokenPair(next: Random): Expression {
  const one = () => {
    const draw = next()
    return draw < 0.35 ? integer(next, 1, 99) : draw < 0.6 ? integer(next, 1, 9) * (next() < 0.8 ? 100 : 1000) : integer(next, 100, 999)
  }
  const [a, b] = [one(), next() < 0.15 ? 10 * integer(next, 10, 999) : one()]
  const op = pick(next, ['+', '-'] as const)
  return next() < 0.8 ? combine(op, Math.max(a, b), Math.min(a, b)) : combine(op, a, b)
}

/** Two signs, and the wordings for them. */
function drawSigns(next: Random, from: BySigns): { ops: [Operator, Operator]; wordings: string[] } {
  const [signs, wordings] = pick(next, Object.entries(from))
  return { ops: Array.from(signs) as [Operator, Operator], wordings }
}

export function storyOfThree(next: Random, effort: Effort, language: Language, from = STORIES_OF_THREE): Categorised {
  const { ops, wordings } = drawSigns(next, from[language])
  const expression = allowed(() => {
    const digits = ops.includes('*') ? 1 : integer(next, 1, 2)
    const one = () => numberOf(next, integer(next, 1, digits))
    const [b, c] = [one(), one()]
    if (ops[0] === '*') {
      const [a, most] = [numberOf(next, next() < 0.4 ? 2 : 1), ops[1] === '-' ? 0 : 99]
      return chain([a, b, integer(next, 0, Math.min(a * b + most, 99))], ops)
    }
    const least = (ops[0] === '-' ? b : 0) + (ops[1] === '-' ? c : 0)
    return chain([least + one(), b, c], ops)
  })
  const [left, right, third] = operands(expression) as [number, number, number]
  const number = next() < 0.2 ? drawWords(next, language) : String
  const values = { ...storyValues(next, language, { left, right }, number), C: number(third) }
  const user = tell(next, wordings, values)
  return withAside(next, { category: 'story', ...answerTo(expression, effort, false, user, language) }, language)
}

/** What is now where it was, perhaps below zero, and has risen or fallen. */
function level(next: Random, effort: Effort, language: Language): Categorised {
  const op = pick(next, ['+', '-'] as const)
  const expression = allowed(() =>
    combine(op, numberOf(next, integer(next, 1, 2)) * (next() < 0.6 ? -1 : 1), numberOf(next, integer(next, 1, 2))),
  )
  const [start, by] = operands(expression) as [number, number]
  const S = start < 0 ? `${pick(next, ['-', pick(next, NEGATIVE[language])])}${-start}` : String(start)
  const user = tell(next, LEVELS[language][op], { S, B: String(by) })
  return { category: 'story', ...answerTo(expression, effort, false, user, language) }
}

/** Sometimes with a sentence first that changes nothing. */
function withAside(next: Random, story: Categorised, language: Language): Categorised {
  if (next() < 0.88) return story
  const aside = capital(fill(vary(next, pick(next, ASIDES[language])), storyValues(next, language, { left: 0, right: 0 })))
  return { ...story, user: `${aside}${language === 'zh' ? '' : ' '}${story.user}` }
}

/** What is done with two numbers, and then with the third. */
function nested(next: Random, effort: Effort, language: Language): Categorised {
  const { ops, wordings } = drawSigns(next, NESTED[language])
  const [first, second] = ops
  const [most, least] = ops.includes('*') ? [1, 1] : [3, 2]
  const one = (digits: number) => numberOf(next, integer(next, 1, digits))
  const expression = allowed(() => combine(second, combine(first, one(most + (first === '*' ? 1 : 0)), one(least)), one(least)))
  const number = next() < 0.15 ? drawWords(next, language) : String
  const [A, B, C] = operands(expression).map(number) as [string, string, string]
  const user = say(next, pick(next, wordings), { A, B, C }, language)
  return { category: 'arithmetic', ...answerTo(expression, effort, false, user, language) }
}

/** Claims a value of an expression, right or wrong, and asks whether it is right. */
function claim(next: Random, language: Language): string {
  const expression = next() < 0.7 ? smallPair(next) : mixed(next)
  const value = Number(exactValue(expression)) + (next() < 0.5 ? 0 : integer(next, -12, 12))
  const text = textOf(expression, { ...PLAIN, space: next() < 0.7 ? ' ' : '' })
  return say(next, pick(next, CLAIMS[language]), { E: text, C: String(value) }, language)
}

/** A comparison in which a number is negative, or an expression stands in its place. */
function strangeComparison(next: Random, language: Language): string {
  const { text } = pick(next, (next() < 0.5 ? COMPARISONS : FURTHER_COMPARISONS)[language])
  const number = () => String(numberOf(next, integer(next, 1, 3)))
  const strange = () => (next() < 0.4 ? `-${number()}` : textOf(smallPair(next), { ...PLAIN, space: next() < 0.6 ? ' ' : '' }))
  const both = next() < 0.4
  const [a, b] = both ? [strange(), strange()] : next() < 0.5 ? [strange(), number()] : [number(), strange()]
  return say(next, text, { A: a, B: b }, language)
}

/** A list of numbers that are added. */
function listed(next: Random, effort: Effort, language: Language): Categorised {
  const tens = next() < 0.3
  const digits = integer(next, 1, 3)
  const one = () => (tens ? 10 * integer(next, 1, 40) : numberOf(next, next() < 0.7 ? digits : integer(next, 1, digits)))
  const numbers = operands(allowed(() => sumOf(Array.from({ length: pick(next, [2, 3, 3, 3, 4, 5]) }, one))))
  const [between, last] = pick(next, BETWEEN_ITEMS[language])
  const words = next() < 0.15 ? drawWords(next, language) : String
  const list = numbers.slice(0, -1).map(words).join(between) + last + words(numbers.at(-1)!)
  const user = say(next, pick(next, LISTS[language]), { L: list }, language)
  return { category: 'arithmetic', ...answerTo(sumOf(numbers), effort, false, user, language) }
}

/** A division in words. */
function divided(next: Random, language: Language): string {
  const b = integer(next, 2, 12)
  const numbers = { left: next() < 0.5 ? b * integer(next, 2, 12) : numberOf(next, integer(next, 1, 3)), right: b }
  return casual(next, capital(fill(vary(next, pick(next, DIVISIONS[language])), storyValues(next, language, numbers))))
}

/** A list, and the ends of a range. */
function listValues(next: Random, language: Language) {
  const digits = integer(next, 1, 3)
  const numbers = Array.from({ length: integer(next, 2, 7) }, () => numberOf(next, digits))
  const first = numberOf(next, integer(next, 1, 2))
  return { L: numbers.join(pick(next, BETWEEN_ITEMS[language])[0]), F: String(first), U: String(first + integer(next, 2, 99)) }
}

const sumOf = (numbers: readonly number[]): Expression =>
  chain(
    numbers,
    numbers.slice(1).map(() => '+'),
  )

/** Two numbers, of which at least one ends in zeros. */
export function withZeros(next: Random): Expression {
  const ending = () => (next() < 0.6 ? integer(next, 1, 9) * 10 ** integer(next, 1, 3) : 10 * integer(next, 1, 999))
  const a = ending()
  if (next() < 0.12) return combine('*', 10 * integer(next, 1, 9), numberOf(next, integer(next, 1, 2)))
  const b = next() < 0.4 ? ending() : next() < 0.2 ? Math.abs(a + integer(next, -9, 9)) : numberOf(next, integer(next, 1, 4))
  const op = pick(next, ['+', '-', '-'] as const)
  return next() < 0.7 ? combine(op, Math.max(a, b), Math.min(a, b)) : combine(op, Math.min(a, b), Math.max(a, b))
}

/** Numbers in words, often with a capital, as at the beginning of a sentence. */
export function drawWords(next: Random, language: Language): Spoken {
  const plain = inWords(language, next() < 0.3 ? ' ' : '-', next() < 0.3 ? 100 : 9999)
  const other = next() < 0.5
  const words = other ? (n: number) => OTHERWISE[language].reduce((text, [from, to]) => text.replace(from, to), plain(n)) : plain
  return next() < 0.35 ? (n) => capital(words(n)) : words
}

/** Other ways to say some numbers. */
const OTHERWISE: Record<Language, (readonly [RegExp, string])[]> = {
  en: [
    [/hundred (?=.)/, 'hundred and '],
    [/^one (?=hundred|thousand)/, 'a '],
  ],
  de: [[/^(?=hundert|tausend)/, 'ein']],
  zh: [[/二(?=[百千])/g, '两']],
}

/** Sums and products of several numbers; what is not multiplied may have three digits. */
function mixed(next: Random): Expression {
  if (next() < 0.4) return drawExpression(next, 'mixed')
  const small = () => numberOf(next, integer(next, 1, 2))
  const large = () => (next() < 0.3 ? 10 * integer(next, 1, 20) : numberOf(next, integer(next, 1, 3)))
  const sign = drawSign(next)
  const form = next()
  if (form < 0.5) return combine(drawSign(next), large(), combine(sign, large(), large()))
  const product = combine('*', small(), numberOf(next, 1))
  if (next() < 0.12) return combine('*', combine('*', numberOf(next, 1), numberOf(next, 1)), numberOf(next, 1))
  return form < 0.75 ? combine(sign, product, large()) : combine(sign, large(), product)
}

const FUNCTIONS: Readonly<Record<string, Operator>> = {
  sum: '+',
  add: '+',
  plus: '+',
  sub: '-',
  subtract: '-',
  minus: '-',
  mul: '*',
  multiply: '*',
  product: '*',
}
const OTHER_FUNCTIONS = ['max', 'min', 'div', 'divide', 'pow', 'mod', 'avg', 'gcd', 'sqrt', 'log']

/** The same expression with one of its numbers negative. */
function oneNegative(next: Random, expression: Expression): Expression {
  if (typeof expression === 'number') return -expression
  const { op, left, right } = expression
  return next() < 0.6 ? combine(op, oneNegative(next, left), right) : combine(op, left, oneNegative(next, right))
}

/** Blanks beside a sign in a carelessly typed expression. */
const SPACES = ['', '', ' ', ' ', '  ']

/** Words that change nothing before an expression in signs. */
const ORDINARY =
  'about again all also and any as at but can could do even for from have here how I if in is it just let like look may me my need next now of on please say see should so such tell that the then there they this to try want was we well what when which will with would you'.split(
    ' ',
  )

/**
 * Expressions in signs: after ordinary words, as calls of functions, with uneven blanks, with more parentheses than are needed. Declined: other
 * functions, and expressions in which a parenthesis is missing.
 */
function inSigns(next: Random, effort: Effort): Categorised {
  const answered = (expression: Expression, user: string) => ({
    category: 'arithmetic',
    ...answerTo(expression, effort, false, casual(next, user), 'en'),
  })
  if (next() < 0.25) {
    const { left, right } = allowed(() => smallPair(next)) as { left: number; right: number }
    const name = next() < 0.6 ? pick(next, Object.keys(FUNCTIONS)) : next() < 0.6 ? pick(next, OTHER_FUNCTIONS) : word(next)
    const op = FUNCTIONS[name]
    const user = `${name}(${left},${next() < 0.7 ? ' ' : ''}${right})`
    return op ? answered(combine(op, left, right), user) : declined(user, 'en')
  }
  const kind = next()
  const expression = allowed(() =>
    kind < 0.4
      ? smallPair(next)
      : kind < 0.7
        ? mixed(next)
        : kind < 0.85
          ? oneNegative(next, mixed(next))
          : drawExpression(next, 'negative'),
  )
  const spelling = { ...PLAIN, space: next() < 0.6 ? ' ' : '' }
  const text = textOf(expression, spelling)
  const parts = typeof expression === 'number' ? [] : [expression.left, expression.right]
  if (parts.some((part) => typeof part !== 'number') && next() < 0.3) {
    // Every part but a single number stands in parentheses, whether it needs them or not.
    const [left, right] = parts.map((part) => (typeof part === 'number' && part >= 0 ? String(part) : `(${textOf(part, spelling)})`))
    const { op } = expression as Exclude<Expression, number>
    return answered(expression, `${left}${spelling.space}${op}${spelling.space}${right}`)
  }
  if (next() < 0.1) return answered(expression, oddSigns(next, text))
  if (next() < 0.2)
    return answered(
      expression,
      text.replace(/[-+*()]/g, (sign) => `${pick(next, SPACES)}${sign}${pick(next, SPACES)}`),
    )
  if (next() < 0.45) {
    const lead = Array.from({ length: integer(next, 1, 3) }, () => pick(next, ORDINARY)).join(' ')
    return answered(expression, `${next() < 0.4 ? capital(lead) : lead} ${text}${next() < 0.6 ? '?' : ''}`)
  }
  const numbers = [...text.matchAll(/\d+/g)]
  const { index, 0: digits } = pick(next, numbers)
  const [before, after] = [text.slice(0, index), text.slice(index + digits.length)]
  const draw = next()
  if (draw < 0.25) return answered(expression, `(${text})`)
  if (draw < 0.5) return answered(expression, `${before}(${digits})${after}`)
  const [open, close] = next() < 0.5 ? ['(', ')'] : ['', '']
  return declined(`${open}${before}${draw < 0.75 ? `(${digits}` : `${digits})`}${after}${close}`, 'en')
}

/** x for times, or the wide signs of a Chinese keyboard. */
const oddSigns = (next: Random, text: string): string =>
  next() < 0.5 ? text.replaceAll('*', pick(next, ['x', 'X', '×'])) : text.replace(/[-+*()]/g, (sign) => WIDE[sign]!)

const WIDE: Readonly<Record<string, string>> = { '+': '＋', '-': '－', '*': '×', '(': '（', ')': '）' }

/** Results of the calculator in which a digit comes again and again, to be copied. */
function calculated(next: Random, effort: Effort): Categorised {
  const language = drawLanguage(next)
  const expression = allowed(() => {
    let digits = ''
    for (let length = integer(next, 3, 9); digits.length < length; )
      digits += String(integer(next, digits === '' ? 1 : 0, 9)).repeat(integer(next, 1, next() < 0.3 ? 9 : 4))
    const sum = Number(digits.slice(0, 9))
    const part = integer(next, 1, sum - 1)
    return next() < 0.6 ? combine('+', part, sum - part) : combine('-', sum + part, part)
  })
  return { category: 'tool', ...answerTo(expression, effort, true, ask(next, expression, language), language) }
}

const declined = (user: string, language: Language) => ({ category: 'refused', user, analysis: '', final: REFUSAL[language] })

const smallPair = (next: Random) =>
  combine(pick(next, ['+', '-', '*'] as const), numberOf(next, integer(next, 1, 2)), numberOf(next, integer(next, 1, 2)))

/** Often the same number again and again. */
function longSum(next: Random) {
  const same = numberOf(next, integer(next, 1, 2))
  const numbers = Array.from({ length: integer(next, 3, 5) }, () => (next() < 0.6 ? same : numberOf(next, integer(next, 1, 2))))
  return chain(
    numbers,
    numbers.slice(1).map(() => (next() < 0.7 ? '+' : drawSign(next))),
  )
}

/** The words of a story that are no names, things or places. */
const LATIN = /(?<![\p{L}'])\p{L}{3,}/gu
const OWN_WORDS: Record<Language, RegExp> = { en: LATIN, de: LATIN, zh: /[一-鿿]+/gu }
const ENGLISH = [STORIES.en, FURTHER_STORIES.en]
  .flatMap((from) => Object.values(from).flat())
  .join(' ')
  .match(LATIN)!

const VERBS =
  'bend bind blend boil carry close copy cover cut drag draw drop fill fold hide join keep knock lift link melt mix move open pack paint pick pour press print pull push send share shift sort stack swap throw tie trade turn twist wash watch weigh wrap'.split(
    ' ',
  )
const BETWEEN = ['and', 'with', 'to', 'by', 'from', 'into', 'over', 'against', 'for']

/** Numbers with which something is done that is no calculation. */
function strangeRequest(next: Random): string {
  const [a, b] = [numberOf(next, integer(next, 1, 3)), numberOf(next, integer(next, 1, 3))]
  const verb = next() < 0.8 ? pick(next, VERBS) : word(next)
  const draw = next()
  const text =
    draw < 0.7
      ? `${verb} ${a} ${pick(next, BETWEEN)} ${b}`
      : draw < 0.85
        ? `${a} ${verb} ${b}`
        : `What is ${a} ${verb}ed ${pick(next, BETWEEN)} ${b}?`
  return casual(next, capital(text))
}

function strangeStory(next: Random, language: Language): string {
  const from = next() < 0.5 ? STORIES : FURTHER_STORIES
  let text = vary(next, pick(next, from[language][pick(next, ['+', '-', '*'] as const)]))
  for (let count = integer(next, 1, 3); count > 0; count--) {
    const words = [...text.matchAll(OWN_WORDS[language])]
    if (words.length === 0) break
    const { index, 0: known } = pick(next, words)
    const other = language === 'zh' ? hanzi(next) : next() < 0.5 ? word(next) : pick(next, ENGLISH).toLowerCase()
    text = `${text.slice(0, index)}${other}${text.slice(index + known.length)}`
  }
  const numbers = { left: numberOf(next, integer(next, 1, 3)), right: numberOf(next, integer(next, 1, 3)) }
  return casual(next, fill(text, storyValues(next, language, numbers)))
}
