/**
 * Training on answers that can be checked: groups of samples for each prompt, rewards normalised within the group, a clipped ratio, and a
 * divergence from the start (GRPO: Shao et al. 2024, arXiv:2402.03300; without the division by the length of an answer, as Liu et al. 2025,
 * arXiv:2503.20783). A price per token rewards short answers. The caller samples, checks and computes log-probabilities.
 */
import type { ChatFormat, RenderOptions } from '../chat/messages.ts'
import { mixSeeds } from '../random/hash.ts'
import { pack, promptAndAnswer } from './data/pack.ts'
import { groupAdvantages, type PolicyObjective } from './objectives.ts'
import type { Example } from './shard.ts'
import type { LiveData } from './trainer.ts'
import type { TrainingWorkers } from './workers.ts'

/** An answer that was drawn. */
export interface Sampled {
  /** With the id at which it stopped. */
  ids: number[]
  /** Whether it stopped by itself. */
  finished: boolean
}

/** The final text of an answer; '' where there is none. */
export function finalText(format: ChatFormat, prompt: readonly number[], { ids }: Sampled, options: RenderOptions): string {
  const parser = format.parser(prompt, options)
  const events = ids.flatMap((id) => parser.push(id))
  return events.flatMap((event) => (event.type === 'text-end' ? [event.text] : [])).join('')
}

export interface SampleOptions {
  /** 0: the likeliest ids. */
  temperature: number
  maxTokens: number
  seed: number
}

export interface Sampler {
  /** Draws an answer to every prompt, from the weights as they are at the call. */
  sample(prompts: readonly (readonly number[])[], options: SampleOptions): Promise<Sampled[]>
  close(): Promise<void>
}

/** A prompt whose answers can be checked. */
export interface CheckedPrompt {
  ids: readonly number[]
  /** The reward of an answer, before the price of its length; 1 for a right one. */
  reward(answer: Sampled): number
  /** Ids of an answer that joins the group where it earns more than the worst answer drawn, so that it is learned although it is seldom drawn. */
  alternative?: readonly number[]
}

export interface CheckableTask {
  /** The prompts of a round, always the same for the same number; counted from 0. */
  prompts(round: number, count: number): CheckedPrompt[]
  /** Prompts for measuring, never among those of a round. */
  heldOut(): CheckedPrompt[]
}

export interface ReinforceOptions {
  /** Prompts of a round, and answers to each of them. */
  prompts: number
  group: number
  /** Steps of the optimiser on the answers of a round. */
  updates: number
  clip: number
  kl: number
  /** Taken from the reward per 100 ids of an answer. */
  lengthPrice: number
  temperature: number
  maxTokens: number
  /** Least examples of a step: the number of shards. */
  parts: number
  seed: number
}

export const REINFORCE: Omit<ReinforceOptions, 'parts' | 'seed'> = {
  prompts: 16,
  group: 8,
  updates: 2,
  clip: 0.2,
  kl: 0.02,
  lengthPrice: 0,
  temperature: 1,
  maxTokens: 256,
}

type Scorer = Pick<TrainingWorkers, 'score'>

/** A prompt with an answer to it. */
interface Answered {
  prompt: readonly number[]
  answer: Sampled
}

/** An answer with what it is worth. */
interface Graded extends Answered {
  reward: number
  advantage: number
  /** Whether the policy drew it; otherwise it is the alternative. */
  drawn: boolean
}

/**
 * The steps of reinforcement learning as training data. A round begins at every `updates`-th step, so a run that is resumed there repeats
 * exactly; one resumed within a round begins a new one.
 * @param reference the weights at the start · `evaluation`: examples whose loss is logged · `rehearsal`: texts that are learned in the same
 * step, so that what the rewards do not ask for is kept (Ouyang et al. 2022, arXiv:2203.02155)
 */
export function reinforcementData(
  policy: Scorer,
  reference: Scorer,
  sampler: Sampler,
  task: CheckableTask,
  options: ReinforceOptions,
  evaluation: () => Example[],
  rehearsal: (step: number) => Example[] = () => [],
): LiveData {
  const { prompts, updates, seed, temperature, maxTokens } = options
  let steps: Example[][] = []
  let notes: Record<string, number> = {}
  const beginRound = async (round: number) => {
    const asked = task.prompts(round, prompts)
    const graded = await drawGroups(asked, sampler, options, mixSeeds(seed, round, 0x6e70))
    const learned = informative(graded)
    const shares = Array.from({ length: updates }, (_, u) => learned.filter((_, i) => i % updates === u))
    steps = []
    for (const share of shares) steps.push(await policyExamples(policy, reference, share, options))
    const answers = graded.flat().filter(({ drawn }) => drawn)
    const mean = (of: (each: Graded) => number) => answers.reduce((sum, each) => sum + of(each), 0) / answers.length
    notes = {
      reward: mean(({ reward }) => reward),
      answerTokens: mean(({ answer }) => answer.ids.length),
      divergence: divergence(steps.flat()),
      groups: learned.filter(({ drawn }) => drawn).length / options.group,
    }
  }
  return {
    async examples(step) {
      const at = (step - 1) % updates
      if (at === 0 || steps.length === 0) await beginRound(Math.floor((step - 1) / updates))
      return [...steps[at]!, ...rehearsal(step)]
    },
    evaluation,
    notes: () => notes,
    close: () => sampler.close(),
    async measure() {
      const held = task.heldOut()
      const answers = await sampler.sample(
        held.map(({ ids }) => ids),
        { temperature: 0, maxTokens, seed },
      )
      const right = answers.filter((answer, i) => held[i]!.reward(answer) >= 1).length
      const tokens = answers.reduce((sum, { ids }) => sum + ids.length, 0)
      return { heldOut: held.length, right, answerTokens: tokens / answers.length, temperature }
    },
  }
}

async function drawGroups(asked: readonly CheckedPrompt[], sampler: Sampler, options: ReinforceOptions, seed: number): Promise<Graded[][]> {
  const { group, lengthPrice, temperature, maxTokens } = options
  const each = asked.flatMap((prompt) => Array.from({ length: group }, () => prompt))
  const answers = await sampler.sample(
    each.map(({ ids }) => ids),
    { temperature, maxTokens, seed: seed >>> 0 },
  )
  return asked.map((prompt, p) => {
    const grade = (answer: Sampled) => prompt.reward(answer) - (lengthPrice * answer.ids.length) / 100
    const own = answers.slice(p * group, (p + 1) * group)
    const rewards = own.map(grade)
    if (prompt.alternative) {
      const alternative = { ids: [...prompt.alternative], finished: true }
      const reward = grade(alternative)
      if (reward > Math.min(...rewards)) {
        own.push(alternative)
        rewards.push(reward)
      }
    }
    const advantages = groupAdvantages(rewards)
    return own.map((answer, i) => ({ prompt: prompt.ids, answer, reward: rewards[i]!, advantage: advantages[i]!, drawn: i < group }))
  })
}

/** The answers of the groups in which the rewards differ; where they differ in none, the first group, which the divergence moves. */
function informative(groups: readonly Graded[][]): Graded[] {
  const some = groups.filter((group) => group.some(({ advantage }) => advantage !== 0))
  return (some.length > 0 ? some : groups.slice(0, 1)).flat()
}

/** Examples of at most so many tokens, however long the answers become: the results of a pass must fit into the memory of a shard. */
const PACK_TOKENS = 2048

/** The examples of a step with their objectives. */
async function policyExamples(
  policy: Scorer,
  reference: Scorer,
  graded: readonly Graded[],
  { parts, clip, kl }: ReinforceOptions,
): Promise<Example[]> {
  const packs = packsOf(graded, parts)
  const plain = packs.map(packed)
  const [old, start] = [await policy.score(plain), await reference.score(plain)]
  return plain.map((example, i) => {
    const advantages = Float32Array.from(packs[i]!.flatMap(({ answer, advantage }) => answer.ids.map(() => advantage)))
    const objective: PolicyObjective = { kind: 'policy', advantages, old: old[i]!, reference: start[i]!, clip, kl }
    return { ...example, objective }
  })
}

/** At least `parts` packs, where there are so many answers. */
function packsOf<A extends Answered>(answers: readonly A[], parts: number): A[][] {
  const tokens = ({ prompt, answer }: A) => prompt.length + answer.ids.length
  const most = Math.min(PACK_TOKENS, answers.reduce((sum, each) => sum + tokens(each), 0) / parts)
  const packs: A[][] = []
  let room = 0
  for (const each of answers) {
    if (packs.length === 0 || tokens(each) > room) {
      packs.push([])
      room = Math.max(most, tokens(each))
    }
    packs.at(-1)!.push(each)
    room -= tokens(each)
  }
  return packs
}

/** Answers as one example. */
const packed = (answers: readonly Answered[]): Example => pack(answers.map(({ prompt, answer }) => promptAndAnswer(prompt, answer.ids)))

/** Mean over ids of the estimated divergence of the policy from the start, in nats. */
function divergence(examples: readonly Example[]): number {
  let sum = 0
  let rows = 0
  for (const { objective } of examples) {
    if (objective?.kind !== 'policy') continue
    objective.old.forEach((l, r) => {
      const d = objective.reference[r]! - l
      sum += Math.exp(d) - d - 1
    })
    rows += objective.old.length
  }
  return rows === 0 ? 0 : sum / rows
}

/** Answers as examples, for other objectives than rewards. */
export const answerExamples = (answers: readonly Answered[], parts: number): Example[] => packsOf(answers, parts).map(packed)
