/** Questions in the wordings that only the rewards of the last stage ask. */
import type { Effort } from '../../chat/messages.ts'
import { pick, type Random } from '../../random/stream.ts'
import { allowed, answerTo, type Categorised, comparison, drawExpression, story, storyValues } from './dialogues.ts'
import { REFUSAL } from './refusals.ts'
import {
  REWARDED_AROUND,
  REWARDED_COMPARISONS,
  REWARDED_DECLINED,
  REWARDED_OF_THREE,
  REWARDED_OF_TWO,
  REWARDED_STORIES,
} from './rewarded-wordings.ts'
import { capital, casual, fill } from './templates.ts'
import { drawWords, storyOfThree, withZeros } from './unfamiliar.ts'
import { ask, drawLanguage } from './wordings.ts'

const WORDINGS = { around: REWARDED_AROUND, ofTwo: REWARDED_OF_TWO }

export function drawRewarded(next: Random, effort: Effort): Categorised {
  const language = drawLanguage(next)
  const draw = next()
  const words = next() < 0.2 ? drawWords(next, language) : undefined
  if (draw < 0.4) return { category: 'story', ...story(next, effort, false, language, words, REWARDED_STORIES) }
  if (draw < 0.47) return storyOfThree(next, effort, language, REWARDED_OF_THREE)
  if (draw < 0.61) {
    const numbers = drawExpression(next, 'pair') as { left: number; right: number }
    const text = fill(pick(next, REWARDED_DECLINED[language]), storyValues(next, language, numbers))
    return { category: 'refused', user: casual(next, capital(text)), analysis: '', final: REFUSAL[language] }
  }
  if (draw < 0.72) return { category: 'compare', ...comparison(next, effort, language, next() < 0.5, REWARDED_COMPARISONS) }
  const kind = next()
  const expression = allowed(() =>
    kind < 0.25 ? withZeros(next) : drawExpression(next, kind < 0.85 ? 'pair' : pick(next, ['negative', 'sum', 'mixed'])),
  )
  return { category: 'arithmetic', ...answerTo(expression, effort, false, ask(next, expression, language, words, WORDINGS), language) }
}
