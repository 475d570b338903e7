/**
 * Questions in unfamiliar words, for the stage after the dialogues: stories in which a word that decides what is asked is another one are
 * declined; numbers in words, comparisons and long sums come more often than in the dialogues.
 */
import type { Effort } from '../../chat/messages.ts'
import { integer, pick, type Random } from '../../random/stream.ts'
import { allowed, answerTo, type Categorised, comparison, drawExpression, storyValues } from './dialogues.ts'
import { chain, combine, drawSign, numberOf } from './expression.ts'
import { inWords, type Language } from './number-words.ts'
import { hanzi, REFUSAL, spoilt, word } from './refusals.ts'
import { STORIES } from './story-wordings.ts'
import { casual, fill, vary } from './templates.ts'
import { ask, drawLanguage } from './wordings.ts'

/** An exchange of this stage, or undefined for one of the dialogues. */
export function drawUnfamiliar(next: Random, effort: Effort): Categorised | undefined {
  const draw = next()
  if (draw < 0.55) return undefined
  const language = drawLanguage(next)
  if (draw < 0.71) return declined(strangeStory(next, language), language)
  if (draw < 0.76) return declined(spoilt(next, ask(next, drawExpression(next, 'pair'), language), language), language)
  if (draw < 0.82) return { category: 'compare', ...comparison(next, effort, next() < 0.5) }
  const long = draw > 0.96
  const expression = allowed(() => (long ? longSum(next) : next() < 0.8 ? smallPair(next) : drawExpression(next, 'mixed')))
  const question = ask(next, expression, language, long ? undefined : inWords(language, next() < 0.3 ? ' ' : '-'))
  return { category: 'arithmetic', ...answerTo(expression, effort, false, question, language) }
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
