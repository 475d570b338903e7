/**
 * Questions with answers that can be checked, for reinforcement learning: what the dialogues and unfamiliar wordings ask, and questions to
 * decline. The reward of a right answer is 1. Declining a question that can be answered earns less, and a wrong answer earns nothing, so that
 * the model does not guess.
 */
import { harmonyFormat } from '../../chat/formats/harmony/harmony.ts'
import type { Effort } from '../../chat/messages.ts'
import { mixSeeds } from '../../random/hash.ts'
import { random } from '../../random/stream.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { type CheckableTask, type CheckedPrompt, finalText, type Sampled } from '../reinforce.ts'
import { workingOf } from './arithmetic.ts'
import { drawDialogue, IDENTITY } from './dialogues.ts'
import { heldOutProblems, isDeclined, KINDS, problemsPerKind, withAnswer } from './evaluate.ts'
import { leakIn } from './split.ts'
import { drawUnfamiliar } from './unfamiliar.ts'

/** Efforts and their shares. */
export type Efforts = readonly (readonly [effort: Effort, share: number])[]

export interface CheckableOptions {
  efforts: Efforts
  /** Whether questions to decline, stories and unfamiliar wordings are among the prompts; otherwise arithmetic alone. */
  declines?: boolean
  /** Held-out problems for measuring, all at the first effort. */
  heldOut: number
  seed: number
}

/** The reward for declining a question that can be answered. */
const DECLINED = 0.25

/** The efforts at which a working is written. */
const WORKED: readonly Effort[] = ['medium', 'high']

export function abacusTask(tokenizer: Tokenizer, { efforts, heldOut, seed, declines = true }: CheckableOptions): CheckableTask {
  const format = harmonyFormat(tokenizer)
  const checked = (question: string, effort: Effort, expected: string, own: boolean): CheckedPrompt => {
    const identity = own ? { identity: IDENTITY, knowledgeCutoff: null } : {}
    const ids = format.render([{ role: 'user', content: question }], { thinking: effort, ...identity })
    const reward = (answer: Sampled) => {
      const text = answer.finished ? finalText(format, ids, answer, {}).trim() : ''
      return text === expected ? 1 : isDeclined(text) ? DECLINED : 0
    }
    return { ids, reward }
  }
  const problems = problemsPerKind(heldOut).flatMap((count, i) => heldOutProblems(KINDS[i]!, count, seed))
  const held = problems.map(withAnswer).map(({ question, expected }) => checked(question, efforts[0]![0], expected, false))
  return {
    prompts(round, count) {
      const next = random(mixSeeds(seed, round, 0xc4ec))
      return Array.from({ length: count }, () => {
        for (;;) {
          const { exchanges, tool, category } = drawDialogue(next, declines && next() < 0.5 ? drawUnfamiliar : undefined)
          if (tool || exchanges.length > 1 || category === 'who') continue
          if (!declines && category !== 'arithmetic') continue
          const { user, final, about } = exchanges[0]!
          // Nothing is held out in the right working of any effort.
          if (about && WORKED.some((effort) => leakIn(workingOf(about.expression, effort).text, true))) continue
          return checked(user, chosen(efforts, next()), final, next() < 0.5)
        }
      })
    },
    heldOut: () => held,
  }
}

function chosen(efforts: Efforts, draw: number): Effort {
  let sum = 0
  return (efforts.find(([, share]) => draw < (sum += share)) ?? efforts[0]!)[0]
}
