/** Questions in the wordings that only the rewards of the last stage ask. */
import type { Effort } from '../../chat/messages.ts'
import { pick, type Random } from '../../random/stream.ts'
import { allowed, answerTo, type Categorised, drawExpression, story, storyValues } from './dialogues.ts'
import { REFUSAL } from './refusals.ts'
import { REWARDED_AROUND, REWARDED_DECLINED, REWARDED_OF_TWO, REWARDED_STORIES } from './rewarded-wordings.ts'
import { capital, casual, fill } from './templates.ts'
import { ask, drawLanguage } from './wordings.ts'

const WORDINGS = { around: REWARDED_AROUND, ofTwo: REWARDED_OF_TWO }

export function drawRewarded(next: Random, effort: Effort): Categorised {
  const language = drawLanguage(next)
  const draw = next()
  if (draw < 0.5) return { category: 'story', ...story(next, effort, false, language, undefined, REWARDED_STORIES) }
  if (draw < 0.65) {
    const numbers = drawExpression(next, 'pair') as { left: number; right: number }
    const text = fill(pick(next, REWARDED_DECLINED[language]), storyValues(next, language, numbers))
    return { category: 'refused', user: casual(next, capital(text)), analysis: '', final: REFUSAL[language] }
  }
  const expression = allowed(() => drawExpression(next, next() < 0.8 ? 'pair' : pick(next, ['negative', 'sum', 'mixed'])))
  return { category: 'arithmetic', ...answerTo(expression, effort, false, ask(next, expression, language, undefined, WORDINGS), language) }
}
