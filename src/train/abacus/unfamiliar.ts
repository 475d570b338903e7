/**
 * Questions in unfamiliar words, for the stage after the dialogues. Declined: stories and questions in which a word that decides what is asked
 * was replaced, and requests that are no calculation. Answered, and drawn more often than in the dialogues: expressions in signs, numbers in
 * words, comparisons, long sums, and results of the calculator with runs of a digit.
 */
import type { Effort } from '../../chat/messages.ts'
import { integer, pick, type Random } from '../../random/stream.ts'
import { allowed, answerTo, type Categorised, comparison, drawExpression, story, storyValues } from './dialogues.ts'
import { chain, combine, drawSign, type Expression, numberOf, type Operator, PLAIN, textOf } from './expression.ts'
import { inWords, type Language } from './number-words.ts'
import { hanzi, REFUSAL, spoilt, word } from './refusals.ts'
import { STORIES } from './story-wordings.ts'
import { capital, casual, fill, vary } from './templates.ts'
import { ask, drawLanguage, type Spoken } from './wordings.ts'

/** An exchange of this stage, or undefined for one of the dialogues. */
export function drawUnfamiliar(next: Random, effort: Effort, tool: boolean): Categorised | undefined {
  const draw = next()
  if (tool) return draw < 0.9 ? undefined : calculated(next, effort)
  if (draw < 0.37) return undefined
  const language = drawLanguage(next)
  if (draw < 0.43) return inSigns(next, effort)
  if (draw < 0.45) return declined(strangeRequest(next), 'en')
  if (draw < 0.57) return declined(strangeStory(next, language), language)
  if (draw < 0.62) {
    const known = next() < 0.3 ? comparison(next, effort, language).user : ask(next, drawExpression(next, 'pair'), language)
    return declined(spoilt(next, known, language), language)
  }
  if (draw < 0.74) return { category: 'compare', ...comparison(next, effort, language, next() < 0.6) }
  const words = drawWords(next, language)
  if (draw < 0.83) return { category: 'story', ...story(next, effort, false, language, next() < 0.5 ? words : undefined) }
  const kind = next()
  const expression = allowed(() => (kind < 0.2 ? longSum(next) : kind < 0.55 ? mixed(next) : smallPair(next)))
  const question = ask(next, expression, language, kind < 0.5 ? undefined : words)
  return { category: 'arithmetic', ...answerTo(expression, effort, false, question, language) }
}

/** Numbers in words, often with a capital, as at the beginning of a sentence. */
function drawWords(next: Random, language: Language): Spoken {
  const words = inWords(language, next() < 0.3 ? ' ' : '-')
  return next() < 0.35 ? (n) => capital(words(n)) : words
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

/** Words that change nothing before an expression in signs. */
const ORDINARY =
  'about again all also and any as at but can could do even for from have here how I if in is it just let like look may me my need next now of on please say see should so such tell that the then there they this to try want was we well what when which will with would you'.split(
    ' ',
  )

/**
 * Expressions in signs: after ordinary words, as calls of functions, with more parentheses than are needed. Declined: other functions, and
 * expressions in which a parenthesis is missing.
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
  const expression = allowed(() => (next() < 0.6 ? smallPair(next) : mixed(next)))
  const text = textOf(expression, { ...PLAIN, space: next() < 0.6 ? ' ' : '' })
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
const ENGLISH = Object.values(STORIES.en).flat().join(' ').match(LATIN)!

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
  let text = vary(next, pick(next, STORIES[language][pick(next, ['+', '-', '*'] as const)]))
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
