/** Rewards and teachers as objectives: loss and gradient against differences and the plain formula, through a whole model, and in a run that resumes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { random } from '../../src/random/stream.ts'
import { pack, promptAndAnswer } from '../../src/train/data/pack.ts'
import { distilled } from '../../src/train/distill.ts'
import { groupAdvantages, type Objective, objectiveLoss, objectiveRows } from '../../src/train/objectives.ts'
import { type CheckableTask, REINFORCE, reinforcementData, type Sampler } from '../../src/train/reinforce.ts'
import { policySampler } from '../../src/train/sample-node.ts'
import type { Example } from '../../src/train/shard.ts'
import { smallModels } from '../../src/train/small-models.ts'
import { DEFAULT_SETTINGS, FRESH, type LogRecord, train } from '../../src/train/trainer.ts'
import { inlineWorkers } from '../../src/train/workers.ts'

const [V, ROWS] = [7, 5]
const next = random(3)
const draw = (count: number, scale: number) => Float64Array.from({ length: count }, () => scale * (2 * next() - 1))
const logSoftmaxOf = (row: number[]): number[] => {
  const norm = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
  return row.map((x) => x - norm)
}
const rowsOf = (values: ArrayLike<number>): number[][] =>
  Array.from({ length: values.length / V }, (_, r) => Array.from({ length: V }, (_, i) => values[r * V + i]!))

const logits = draw(ROWS * V, 2)
const targets = Int32Array.from({ length: ROWS }, (_, r) => (3 * r + 1) % V)
const own = rowsOf(logits).map((row, r) => logSoftmaxOf(row)[targets[r]!]!)
/** Ratios within and beyond the clip, with both signs of the advantage. */
const policy: Objective = {
  kind: 'policy',
  advantages: Float32Array.of(1.5, -0.7, 1.2, -1.1, 0.3),
  old: Float32Array.from(own, (l, r) => l + [0.05, -0.4, -0.5, 0.6, 0.45][r]!),
  reference: Float32Array.from(own, (l, r) => l + 0.3 * (r - 2)),
  clip: 0.2,
  kl: 0.1,
}
const teacher = Float32Array.from(rowsOf(draw(ROWS * V, 2)).flatMap(logSoftmaxOf))
const OBJECTIVES: Record<string, Objective> = {
  'policy with clip and divergence': policy,
  'forward distillation': { kind: 'distillation', teacher, direction: 'forward', share: 1 },
  'forward distillation with targets': { kind: 'distillation', teacher, direction: 'forward', share: 0.4 },
  'reverse distillation': { kind: 'distillation', teacher, direction: 'reverse', share: 1 },
}

/** The formulas of the papers, written down again. */
function plainLoss(values: ArrayLike<number>, objective: Objective): number {
  return rowsOf(values).reduce((sum, row, r) => {
    const p = logSoftmaxOf(row)
    const l = p[targets[r]!]!
    if (objective.kind === 'policy') {
      const { advantages, old, reference, clip, kl } = objective
      const ratio = Math.exp(l) / Math.exp(old[r]!)
      const bounded = Math.max(1 - clip, Math.min(ratio, 1 + clip))
      const away = Math.exp(reference[r]!) / Math.exp(l)
      return sum - Math.min(ratio * advantages[r]!, bounded * advantages[r]!) + kl * (away - Math.log(away) - 1)
    }
    const q = rowsOf(objective.teacher)[r]!
    const forward = q.reduce((total, log, i) => total + Math.exp(log) * (log - p[i]!), 0)
    const reverse = p.reduce((total, log, i) => total + Math.exp(log) * (log - q[i]!), 0)
    return sum + objective.share * (objective.direction === 'forward' ? forward : reverse) - (1 - objective.share) * l
  }, 0)
}

for (const [name, objective] of Object.entries(OBJECTIVES))
  test(`${name}: loss and gradient`, () => {
    const scale = 0.25
    const gradient = new Float64Array(ROWS * V).fill(1)
    const loss = objectiveLoss(logits, targets, objective, scale, gradient)
    assert.ok(Math.abs(loss - scale * plainLoss(logits, objective)) < 1e-10)
    const h = 1e-5
    for (let i = 0; i < logits.length; i++) {
      const moved = (by: number) => scale * plainLoss(Object.assign(Float64Array.from(logits), { [i]: logits[i]! + by }), objective)
      const slope = (moved(h) - moved(-h)) / (2 * h)
      assert.ok(Math.abs(gradient[i]! - 1 - slope) < 1e-8, `logit ${i}: ${gradient[i]! - 1}, by differences ${slope}`)
    }
    // A part of the rows is the same rows.
    const part = new Float64Array(2 * V)
    objectiveLoss(logits.subarray(2 * V, 4 * V), targets.subarray(2, 4), objectiveRows(objective, 2, 4, V), scale, part)
    part.forEach((g, i) => {
      assert.ok(Math.abs(g - (gradient[2 * V + i]! - 1)) < 1e-12)
    })
  })

test('a clipped ratio has no gradient, and advantages are those of the group', () => {
  const gradient = new Float64Array(ROWS * V)
  objectiveLoss(logits, targets, { ...policy, kl: 0 } as Objective, 1, gradient)
  const moves = rowsOf(gradient).map((row) => row.some((g) => Math.abs(g) > 1e-9))
  // Rows 1 (above, punished) and 4 (below, rewarded) count; 2 (above, rewarded) and 3 (below, punished) are clipped.
  assert.deepEqual(moves, [true, true, false, false, true])
  const [a, b, c, d] = groupAdvantages([1, 0, 0, 1])
  assert.ok(Math.abs(a! - 1) < 1e-3 && Math.abs(b! + 1) < 1e-3 && a === d && b === c)
  assert.deepEqual(groupAdvantages([1, 1, 1]), [0, 0, 0])
})

const architecture = smallModels({ vocabSize: 12, block: 16, layers: 1, heads: 2, width: 16, dropout: 0 }).find(
  ({ name }) => name === 'no-biases',
)!.architecture
const makeWorkers = (seed = 1) => inlineWorkers(architecture, { shards: 1, arenaBytes: 2 ** 24, seed })
const example = (): Example => ({
  batch: { ids: Int32Array.of(1, 2, 3, 4, 5), slots: new Int32Array(5), positions: Int32Array.of(0, 1, 2, 3, 4) },
  rows: Int32Array.of(1, 2, 3, 4),
  targets: Int32Array.of(3, 4, 5, 6),
})

test('the gradient of an objective reaches the weights', async () => {
  const workers = makeWorkers()
  const [old] = await workers.score([example()])
  const objective: Objective = {
    kind: 'policy',
    advantages: Float32Array.of(1, 1, -1, 0.5),
    old: old!.map((l, r) => l + 0.05 * (r - 1)),
    reference: old!.map((l) => l - 0.2),
    clip: 0.2,
    kl: 0.3,
  }
  const lossOf = () => workers.accumulate([{ ...example(), objective }], 0.25, 1)
  await lossOf()
  const { at, count } = workers.layout.parameters.find(({ spec }) => spec.name.includes('attention.v'))!
  // The gradient by one step of plain descent: AdamW's first moment after a fresh step is 0.1 of it.
  const before = workers.values.slice(at, at + count)
  await workers.reduce()
  await workers.update({ step: 1, learningRate: 0, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradientFactor: 1 })
  const gradient = workers.first.slice(at, at + count).map((m) => m * 10)
  for (const i of [0, 7, 33]) {
    const loss = async (by: number) => {
      workers.values[at + i] = before[i]! + by
      return lossOf()
    }
    const slope = ((await loss(2e-2)) - (await loss(-2e-2))) / 4e-2
    workers.values[at + i] = before[i]!
    assert.ok(Math.abs(slope - gradient[i]!) < 2e-4 + 2e-2 * Math.abs(slope), `${gradient[i]}, by differences ${slope}`)
  }
})

/** Whoever answers 7 is right. */
const SEVEN: CheckableTask = {
  prompts: (_round, count) => Array.from({ length: count }, (_, i) => ({ ids: [1, i % 4], reward: ({ ids }) => (ids[0] === 7 ? 1 : 0) })),
  heldOut: () => [{ ids: [1, 2], reward: ({ ids }) => (ids[0] === 7 ? 1 : 0) }],
}
const OPTIONS = { ...REINFORCE, prompts: 8, group: 8, maxTokens: 3, kl: 0, parts: 1, seed: 1 }
const settings = {
  ...DEFAULT_SETTINGS,
  steps: 24,
  warmup: 1,
  learningRate: 2e-2,
  finalLearningRate: 2e-2,
  weightDecay: 0,
  evaluateEvery: 24,
}

async function reinforced(steps: number, halfway?: number) {
  let workers = makeWorkers()
  const records: LogRecord[] = []
  const go = async (until: number, from = FRESH) => {
    const sampler = policySampler(architecture, workers.layout, workers.values, { context: 8, slots: 16, threads: 1, stopIds: [7] })
    const data = reinforcementData(workers, makeWorkers(), sampler, SEVEN, OPTIONS, () => [example()])
    const progress = await train(workers, data, { ...settings, steps: until }, { log: (record) => records.push(record) }, from)
    await data.close!()
    return progress
  }
  if (halfway !== undefined) {
    const progress = await go(halfway)
    const { values, first, second } = workers
    workers = makeWorkers(2)
    for (const [into, from] of [
      [workers.values, values],
      [workers.first, first],
      [workers.second, second],
    ] as const)
      into.set(from)
    await go(steps, progress)
  } else await go(steps)
  return { values: workers.values.slice(), records }
}

test('reinforcement raises the reward, says so in the log, and resumes exactly between rounds', async () => {
  const { values, records } = await reinforced(24)
  const rewards = records.flatMap((record) => (record.kind === 'step' ? [record.notes!.reward!] : []))
  assert.ok(rewards[0]! < 0.4 && rewards.at(-1)! > 0.9, rewards.map((r) => r.toFixed(2)).join(' '))
  assert.deepEqual(records.findLast(({ kind }) => kind === 'evaluation')!.notes, { heldOut: 1, right: 1, answerTokens: 1, temperature: 1 })
  const again = await reinforced(24, 12)
  assert.deepEqual(again.values, values)
})

test('a price per token makes answers shorter', async () => {
  const free: CheckableTask = {
    ...SEVEN,
    prompts: (round, count) => SEVEN.prompts(round, count).map(({ ids }) => ({ ids, reward: () => 1 })),
  }
  const workers = makeWorkers()
  const sampler = policySampler(architecture, workers.layout, workers.values, { context: 12, slots: 16, threads: 1, stopIds: [7] })
  const options = { ...OPTIONS, maxTokens: 8, lengthPrice: 5 }
  const data = reinforcementData(workers, makeWorkers(), sampler, free, options, () => [example()])
  const lengths: number[] = []
  await train(workers, data, settings, { log: (record) => record.kind === 'step' && lengths.push(record.notes!.answerTokens!) })
  await data.close!()
  assert.ok(lengths.at(-1)! < 0.7 * lengths[0]!, lengths.map((n) => n.toFixed(1)).join(' '))
})

test('an alternative that earns more than what is drawn becomes likely, and one that earns less does not', async () => {
  const likelihood = async (worth: number) => {
    const workers = makeWorkers()
    // Always the same answer is drawn; it earns 0.5.
    const sampler: Sampler = { sample: async (prompts) => prompts.map(() => ({ ids: [5], finished: true })), close: async () => {} }
    const reward = ({ ids }: { ids: number[] }) => (ids[0] === 3 ? worth : 0.5)
    const task: CheckableTask = {
      ...SEVEN,
      prompts: (round, count) => SEVEN.prompts(round, count).map(({ ids }) => ({ ids, reward, alternative: [3] })),
    }
    const data = reinforcementData(workers, makeWorkers(), sampler, task, OPTIONS, () => [example()])
    const notes: Record<string, number>[] = []
    await train(workers, data, settings, { log: (record) => record.kind === 'step' && notes.push(record.notes!) })
    assert.ok(notes.every(({ reward, answerTokens }) => reward === 0.5 && answerTokens === 1))
    const { ids } = SEVEN.prompts(0, 1)[0]!
    const [scores] = await workers.score([pack([promptAndAnswer(ids, [3])])])
    return Math.exp(scores!.at(-1)!)
  }
  const [better, worse] = [await likelihood(1), await likelihood(0.2)]
  assert.ok(better > 0.8 && worse < 0.3, `${better} ${worse}`)
})

test('texts that are rehearsed are learned in the same steps', async () => {
  const lossAfter = async (rehearsal?: () => Example[]) => {
    const workers = makeWorkers()
    const sampler = policySampler(architecture, workers.layout, workers.values, { context: 8, slots: 16, threads: 1, stopIds: [7] })
    const data = reinforcementData(workers, makeWorkers(), sampler, SEVEN, OPTIONS, () => [example()], rehearsal)
    const rewards: number[] = []
    await train(workers, data, settings, { log: (record) => record.kind === 'step' && rewards.push(record.notes!.reward!) })
    await data.close!()
    const { loss, rows } = await workers.evaluate([example()])
    return { loss: loss / rows, reward: rewards.at(-1)! }
  }
  const [alone, beside] = [await lossAfter(), await lossAfter(() => [example()])]
  assert.ok(beside.loss < 0.8 * alone.loss, `${alone.loss} ${beside.loss}`)
  assert.ok(beside.reward > 0.6, String(beside.reward))
})

test('a student that is distilled moves to its teacher', async () => {
  const [student, teacher] = [makeWorkers(1), makeWorkers(5)]
  const away = async () => {
    const [s, t] = [(await student.score([example()], true))[0]!, (await teacher.score([example()], true))[0]!]
    return t.reduce((sum, q, i) => sum + Math.exp(q) * (q - s[i]!), 0)
  }
  const before = await away()
  const data = distilled({ examples: () => [example()], evaluation: () => [example()] }, teacher, { direction: 'forward', share: 1 })
  await train(student, data, { ...settings, steps: 40 })
  assert.ok((await away()) < 0.1 * before, `${before} -> ${await away()}`)
})
