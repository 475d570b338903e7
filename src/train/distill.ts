/**
 * Distillation: a student learns the whole distribution of a teacher with the same tokenizer, on given texts (off policy: Hinton et al. 2015,
 * arXiv:1503.02531) or on what the student itself writes (on policy: Agarwal et al. 2024, arXiv:2306.13649).
 */
import { mixSeeds } from '../random/hash.ts'
import type { DistillationObjective } from './objectives.ts'
import { answerExamples, type Sampler } from './reinforce.ts'
import type { Example } from './shard.ts'
import type { LiveData, TrainingData } from './trainer.ts'
import type { TrainingWorkers } from './workers.ts'

export interface DistillOptions {
  direction: DistillationObjective['direction']
  /** Share of the divergence in the loss; the rest is the cross-entropy of the texts. */
  share: number
}

type Teacher = Pick<TrainingWorkers, 'score'>

async function taught(examples: readonly Example[], teacher: Teacher, { direction, share }: DistillOptions): Promise<Example[]> {
  const scores = await teacher.score(examples, true)
  return examples.map((example, i) => ({ ...example, objective: { kind: 'distillation', teacher: scores[i]!, direction, share } }))
}

/** The same texts, learned from the teacher. The held-out loss stays that of the texts. */
export const distilled = (data: TrainingData, teacher: Teacher, options: DistillOptions): LiveData => ({
  ...data,
  examples: async (step) => taught(data.examples(step), teacher, options),
})

export interface OnPolicyOptions {
  /** Prompts of a step. */
  prompts: number
  maxTokens: number
  temperature: number
  parts: number
  seed: number
}

/** What the student writes after these prompts, learned from the teacher's view of it. */
export function onPolicyDistillation(
  teacher: Teacher,
  sampler: Sampler,
  prompts: (step: number, count: number) => readonly (readonly number[])[],
  evaluation: () => Example[],
  { prompts: count, maxTokens, temperature, parts, seed }: OnPolicyOptions,
): LiveData {
  let answerTokens = 0
  return {
    async examples(step) {
      const asked = prompts(step, count)
      const answers = await sampler.sample(asked, { temperature, maxTokens, seed: mixSeeds(seed, step, 0x0d15) >>> 0 })
      answerTokens = answers.reduce((sum, { ids }) => sum + ids.length, 0) / answers.length
      const pairs = asked.map((prompt, i) => ({ prompt, answer: answers[i]! }))
      return taught(answerExamples(pairs, parts), teacher, { direction: 'reverse', share: 1 })
    },
    evaluation,
    notes: () => ({ answerTokens }),
    close: () => sampler.close(),
  }
}
