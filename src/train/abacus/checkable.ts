/**
 * Questions with answers that can be checked, for reinforcement learning: those of the dialogues, and wordings that no text of the training
 * shows. The reward of a right answer is 1, that of a wrong answer 0. In unknown wordings declining earns as much as the right answer, so that
 * the model does not guess.
 */
import { harmonyFormat, renderHarmonyForTraining } from '../../chat/formats/harmony/harmony.ts'
import type { Effort } from '../../chat/messages.ts'
import { mixSeeds } from '../../random/hash.ts'
import { random } from '../../random/stream.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { type CheckableTask, type CheckedPrompt, finalText, type Sampled } from '../reinforce.ts'
import { workingOf } from './arithmetic.ts'
import { drawDialogue, IDENTITY } from './dialogues.ts'
import { heldOutProblems, isDeclined, KINDS, problemsPerKind, withAnswer } from './evaluate.ts'
import { REFUSAL } from './refusals.ts'
import { drawRewarded } from './rewarded.ts'
import { leakIn } from './split.ts'

export interface CheckableOptions {
  /** At which arithmetic is asked. */
  effort: Effort
  /**
   * Whether stories, unknown wordings and questions to decline are among the prompts, too; otherwise arithmetic alone. Unknown wordings are
   * asked at high effort, which is the model's default.
   */
  declines?: boolean
  /** Held-out problems for measuring. */
  heldOut: number
  seed: number
}

/**
 * The reward for declining a question that can be answered: little where training shows such wordings, as much as for the right answer where it
 * shows none.
 */
const DECLINED = { known: 0.4, unknown: 1 }

/** Share of the prompts in wordings that are only rewarded. */
const REWARDED = 0.5

/** Ids of an answer that the prompt ends with: <|start|>assistant. */
const START = 2

/** The efforts at which a working is written. */
const WORKED: readonly Effort[] = ['medium', 'high']

export function abacusTask(tokenizer: Tokenizer, { effort, heldOut, seed, declines = true }: CheckableOptions): CheckableTask {
  const format = harmonyFormat(tokenizer)
  const checked = (question: string, effort: Effort, expected: string, own: boolean, worth = DECLINED.known): CheckedPrompt => {
    const identity = own ? { identity: IDENTITY, knowledgeCutoff: null } : {}
    const ids = format.render([{ role: 'user', content: question }], { thinking: effort, ...identity })
    const reward = (answer: Sampled) => {
      const text = answer.finished ? finalText(format, ids, answer, {}).trim() : ''
      return text === expected ? 1 : isDeclined(text) ? worth : 0
    }
    return { ids, reward }
  }
  const problems = problemsPerKind(heldOut).flatMap((count, i) => heldOutProblems(KINDS[i]!, count, seed))
  const held = problems.map(withAnswer).map(({ question, expected }) => checked(question, effort, expected, false))
  const said = (content: string) => renderHarmonyForTraining(tokenizer, [{ role: 'assistant', channel: 'final', content }]).slice(START)
  return {
    prompts(round, count) {
      const next = random(mixSeeds(seed, round, 0xc4ec))
      return Array.from({ length: count }, () => {
        for (;;) {
          const rewarded = declines && next() < REWARDED
          const { exchanges, tool, category } = drawDialogue(next, rewarded ? drawRewarded : undefined)
          if (tool || exchanges.length > 1 || category === 'who') continue
          if (!declines && category !== 'arithmetic') continue
          const { user, final, about, language = about?.language } = exchanges[0]!
          // Nothing is held out in the right working of any effort.
          if (about && WORKED.some((effort) => leakIn(workingOf(about.expression, effort).text, true))) continue
          const own = next() < 0.5
          if (!rewarded) return checked(user, effort, final, own)
          return { ...checked(user, 'high', final, own, DECLINED.unknown), alternative: said(language ? REFUSAL[language] : final) }
        }
      })
    },
    heldOut: () => held,
  }
}
