/**
 * The small parts of the trainer: data cut the same way every time, statistics, charts, the live line, early stopping, runs and the ladder's table.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { account, cacheBytes } from '../../src/compare/account.ts'
import { chartSvg } from '../../src/drawing/chart.ts'
import { limits, ticks } from '../../src/drawing/ticks.ts'
import { random } from '../../src/random/stream.ts'
import { stories } from '../../src/train/data/stories.ts'
import { packTask, taskData } from '../../src/train/data/task-data.ts'
import { induction } from '../../src/train/data/tasks.ts'
import { textData } from '../../src/train/data/text.ts'
import { experiments } from '../../src/train/experiments.ts'
import { completeSeeds, ladderMarkdown, ladderRuns, ladderSvg, summarise } from '../../src/train/ladder.ts'
import { clock, LiveLine } from '../../src/train/live-line.ts'
import { parameterLayout, slice } from '../../src/train/parameters.ts'
import { lossCurve } from '../../src/train/run-node.ts'
import { SMALL, smallModels, withEqualActive } from '../../src/train/small-models.ts'
import { type SmallRunResult, trainSmallRun } from '../../src/train/small-run.ts'
import { deviation, pairedDifference } from '../../src/train/statistics.ts'
import {
  DEFAULT_SETTINGS,
  FRESH,
  type LogRecord,
  type Progress,
  type TrainerHooks,
  type TrainingSettings,
  train,
} from '../../src/train/trainer.ts'
import type { TrainingWorkers } from '../../src/train/workers.ts'

const ids = Int32Array.from({ length: 1000 }, (_, i) => i % 37)

test('windows of a text: seeded for training, fixed for evaluation, never across the split', () => {
  const options = { block: 16, batch: 5, parts: 2, seed: 4 }
  const data = textData(ids, options)
  const [a, b] = [data.examples(7), textData(ids, options).examples(7)]
  assert.deepEqual(a, b)
  assert.notDeepEqual(a, data.examples(8))
  assert.equal(
    a.reduce((sum, { rows }) => sum + rows.length, 0),
    5 * 16,
  )
  for (const { batch, targets } of [...a, ...data.evaluation()])
    targets.forEach((target, t) => {
      assert.equal(target, (batch.ids[t]! + 1) % 37)
      if (batch.positions[t]! > 0) assert.equal(batch.ids[t], targets[t - 1])
    })
  assert.equal(data.training.length, 900)
  assert.equal(
    data.evaluation().reduce((sum, { rows }) => sum + rows.length, 0),
    6 * 16,
  )
  assert.throws(() => textData(ids.subarray(0, 50), options), /shorter --block/)
})

test('tasks: only marked positions count', () => {
  const task = induction(6, 3)
  const sequence = task.sample(random(3), 20)
  const { rows, targets } = packTask([sequence, sequence])
  assert.equal(rows.length, 2 * sequence.scored.reduce((a, b) => a + b, 0))
  rows.forEach((row, r) => {
    assert.equal(targets[r], sequence.ids[(row % 20) + 1])
  })
  const data = taskData(task, { length: 20, batch: 6, parts: 2, seed: 1 })
  assert.deepEqual(data.examples(3), data.examples(3))
  assert.equal(data.evaluation(), data.evaluation())
})

test('spreads and paired differences', () => {
  assert.ok(Math.abs(deviation([1, 2, 3, 4]) - Math.sqrt(5 / 3)) < 1e-12)
  assert.equal(pairedDifference([1, 2, 3], [0.5, 1.52, 2.49], 0.01).exceedsNoise, true)
  assert.equal(pairedDifference([1, 2, 3], [0.5, 1.52, 2.49], 0.4).exceedsNoise, false)
  assert.equal(pairedDifference([1], [0], 0).exceedsNoise, false)
})

test('a line that leaves the picture ends at its edge', () => {
  const points = [
    [0, 11],
    [1, 1],
    [2, 0.5],
    [3, -1.5],
  ] as const
  const svg = chartSvg({ title: 't', xTitle: 'x', yTitle: 'y', yRange: [0, 6], series: [{ name: 'a', points }] })
  // Half way from 11 to 1 it comes in at the top; a quarter of the way from 0.5 to -1.5 it leaves at the bottom.
  assert.match(svg, /d="M150 44L236 314L408 341L451 368" class="curve s0"/)
  const outside = chartSvg({
    title: 't',
    xTitle: 'x',
    yTitle: 'y',
    yRange: [0, 1],
    series: [
      {
        name: 'a',
        points: [
          [0, 5],
          [1, 6],
        ],
      },
    ],
  })
  assert.doesNotMatch(outside, /class="curve/)
})

test('charts and the live line', () => {
  assert.deepEqual(ticks(0, 10), [0, 2, 4, 6, 8, 10])
  const svg = chartSvg({
    title: 'a < b',
    xTitle: 'x',
    yTitle: 'y',
    series: [{ name: 's & t', points: Array.from({ length: 5000 }, (_, i) => [i, Math.sin(i)] as const) }],
  })
  assert.ok(svg.includes('a &lt; b') && svg.includes('s &amp; t') && !svg.includes('NaN') && svg.length < 30_000)
  assert.equal(clock(3725), '1:02:05')
  const line = new LiveLine(100)
  const record = (step: number): LogRecord => ({
    kind: 'step',
    step,
    loss: 2,
    learningRate: 1e-3,
    gradientNorm: 1,
    tokens: step * 50,
    seconds: step,
  })
  line.update(record(1))
  assert.match(line.update(record(11)), /step 11\/100 {2}loss 2\.0000 {2}50 tokens\/s {2}1:29 left/)
})

test('early stopping ends after the given number of evaluations without a better loss', async () => {
  const losses = [3, 2, 2.5, 2.4, 1]
  const workers = {
    accumulate: async () => 1,
    reduce: async () => ({ norm: 1, broken: null }),
    update: async () => {},
    evaluate: async () => ({ loss: losses.shift()!, rows: 1, correct: [Uint8Array.of(1)] }),
  } as unknown as TrainingWorkers
  const why: string[] = []
  const data = { examples: () => [], evaluation: () => [] }
  const progress = await train(
    workers,
    data,
    { ...DEFAULT_SETTINGS, steps: 50, evaluateEvery: 2, patience: 2 },
    { save: async (_, reason) => void why.push(reason) },
  )
  assert.equal(progress.step, 8)
  assert.equal(progress.bestLoss, 2)
  assert.deepEqual(why, ['best', 'best', 'last'])
})

/** A run in which the evaluation after every tenth step gives the next of six losses; the one after step `stopAt` is interrupted. */
async function interruptible(from: Progress, { stopAt = -1, hooks = {}, ...changed }: InterruptibleOptions = {}) {
  const losses = [6, 4, 4.5, 4.6, 3, 2]
  const stop = new AbortController()
  const evaluations: (readonly [number, number])[] = []
  let now = from.step
  const workers = {
    accumulate: async () => 1,
    reduce: async () => ({ norm: 1, broken: null }),
    update: async ({ step }: { step: number }) => {
      now = step
    },
    evaluate: async () => {
      if (now === stopAt) {
        stop.abort()
        return new Promise(() => {})
      }
      return { loss: losses[now / 10]!, rows: 1, correct: [Uint8Array.of(1)] }
    },
  } as unknown as TrainingWorkers
  const progress = await train(
    workers,
    { examples: () => [], evaluation: () => [] },
    { ...DEFAULT_SETTINGS, steps: 50, evaluateEvery: 10, patience: 2, ...changed },
    {
      ...hooks,
      signal: stop.signal,
      log: (record) => {
        if (record.kind === 'evaluation') evaluations.push([record.step, record.loss])
      },
    },
    // As it comes back from a file.
    from === FRESH ? FRESH : { ...JSON.parse(JSON.stringify(from)), bestLoss: from.bestLoss },
  )
  return { progress, evaluations }
}

type InterruptibleOptions = Partial<TrainingSettings> & { stopAt?: number; hooks?: TrainerHooks }

test('an evaluation that was interrupted is made up for when the run goes on', async () => {
  const whole = await interruptible(FRESH)
  assert.deepEqual(whole.evaluations.at(-1), [30, 4.6])
  assert.deepEqual([whole.progress.step, whole.progress.stale, whole.progress.evaluated], [30, 2, 30])
  for (const stopAt of [10, 20, 30]) {
    const cut = await interruptible(FRESH, { stopAt })
    assert.equal(cut.progress.step, stopAt)
    const rest = await interruptible(cut.progress)
    assert.deepEqual([...cut.evaluations, ...rest.evaluations], whole.evaluations)
    assert.deepEqual({ ...rest.progress, seconds: 0 }, { ...whole.progress, seconds: 0 })
  }
  const last = await interruptible(FRESH, { stopAt: 50, patience: null })
  assert.deepEqual((await interruptible(last.progress, { patience: null })).evaluations, [[50, 2]])
  const hooks = { evaluateFirst: true }
  const first = await interruptible(FRESH, { stopAt: 0, hooks })
  assert.deepEqual((await interruptible(first.progress, { hooks })).evaluations, [[0, 6], ...whole.evaluations])
  const { progress } = await interruptible(FRESH, { steps: 0, hooks })
  assert.deepEqual((await interruptible(progress, { hooks })).evaluations, whole.evaluations, 'the first one is not made twice')
})

test('a run that patience has ended does not go on, unless it gets more patience', async () => {
  const { progress } = await interruptible(FRESH)
  const again = await interruptible(progress)
  assert.deepEqual([again.progress.step, again.evaluations], [30, []])
  assert.deepEqual((await interruptible(progress, { patience: 3 })).evaluations, [
    [40, 3],
    [50, 2],
  ])
})

test('a state of an older version goes on: the evaluation of its step counts as done', async () => {
  const { evaluated: _, ...old } = { ...FRESH, step: 20, bestLoss: 4, stale: 0 }
  const { progress, evaluations } = await interruptible(old)
  assert.equal(progress.step, 50)
  assert.deepEqual(evaluations, [
    [30, 4.6],
    [40, 3],
    [50, 2],
  ])
})

test('a run of more steps than a call takes arguments can be drawn', () => {
  const values = Float64Array.from({ length: 300_000 }, (_, i) => Math.sin(i))
  values[7] = -3
  values[250_000] = 5
  assert.deepEqual(limits([...values]), [-3, 5])
  assert.deepEqual(limits([2]), [1.5, 2.5])
  const records = [...values].map((loss, i) => ({ kind: 'step', step: i + 1, loss }) as LogRecord)
  assert.match(lossCurve('long', records), /<svg.*300k/s)
})

test('small models: counts, cache bytes, slices', () => {
  const models = smallModels({ ...SMALL, vocabSize: 65 })
  const gpt2 = models[0]!.architecture
  assert.equal(parameterLayout(gpt2).count, 65 * 128 + 64 * 128 + 4 * (12 * 128 * 128 + 13 * 128) + 2 * 128)
  assert.equal(cacheBytes(gpt2, 100), 4 * 2 * 2 * 128 * 100)
  const moe = models.find(({ name }) => name === 'moe')!.architecture
  const { total, activeWithEmbeddings: active } = account(moe, { context: 1 }).parameters
  const dense = parameterLayout(models.find(({ name }) => name === 'sliding-window')!.architecture).count
  assert.ok(total > 2 * active && Math.abs(active / dense - 1) < 0.08, `${total} ${active} ${dense}`)
  const layout = parameterLayout(moe)
  assert.equal(slice(layout, 0, 3)[0], 0)
  for (let i = 0; i < 2; i++) assert.equal(slice(layout, i, 3)[1], slice(layout, i + 1, 3)[0])
  assert.equal(slice(layout, 2, 3)[1], layout.length)
})

test('the ladder’s table says which differences exceed the noise', () => {
  const models = smallModels({ ...SMALL, vocabSize: 65 }).slice(0, 3)
  const options = { steps: 8, seeds: 3, block: 64, batch: 12, ids, learningRate: 1e-3 }
  assert.equal(ladderRuns(models, options).length, 9)
  const result = (label: string, seed: number, loss: number): SmallRunResult => ({
    label,
    seed,
    parameters: 1,
    curve: [{ step: 8, loss, accuracy: 0 }],
    loss,
    bestLoss: loss,
    accuracy: 0,
    tokensPerSecond: 1000,
  })
  const results = [1, 2, 3].flatMap((seed) => [
    result('gpt2', seed, 2 + seed / 1000),
    result('no-dropout', seed, 1.8 + seed / 1000),
    result('rmsnorm', seed, 1.8 + seed / 900),
  ])
  const ladder = summarise(models, results, options, 1024)
  assert.deepEqual(
    ladder.rows.map(({ difference }) => difference?.exceedsNoise),
    [undefined, true, false],
  )
  assert.match(ladderMarkdown(ladder), /no-dropout: no dropout \| 1\.802 ± 0\.001 .* yes, better/)
  assert.ok(ladderSvg(ladder).includes('rmsnorm'))
  assert.deepEqual(
    [9, 8, 5, 3, 2, 0].map((count) => completeSeeds(results.slice(0, count), 3)),
    [3, 2, 1, 1, 0, 0],
    'seeds that all models have',
  )
})

test('a run trains and measures; every experiment can be concluded', async () => {
  const text = stories(random(2), 6000)
  const alphabet = [...new Set(text)].sort()
  const texts = { ids: Int32Array.from(text, (c) => alphabet.indexOf(c)), vocabSize: alphabet.length }
  const all = experiments(texts)
  const sinks = all.find(({ name }) => name === 'sinks')!
  const runs = sinks.runs(0.012, 1)
  const results: SmallRunResult[] = []
  for (const run of runs) results.push(await trainSmallRun(run))
  assert.ok(
    results.every(({ attention, loss }) => attention!.length === 2 && attention!.every(({ first }) => first > 0 && first < 1) && loss > 0),
  )
  const lost = (label: string) => results.find((result) => result.label === label)!.attention!.map(({ sink }) => sink)
  assert.ok(lost('without sinks').every((share) => Math.abs(share) < 1e-5))
  assert.ok(lost('sinks from 0').every((share, i) => share > 0.01 && share < lost('sinks from 4')[i]!))
  assert.ok(['as expected', 'not visible', 'opposite'].includes(sinks.conclude(results).verdict))
  for (const experiment of all) {
    const made = experiment.runs(0.01, 2).map(
      ({ label, settings }, i): SmallRunResult => ({
        label,
        seed: settings.seed,
        parameters: 1,
        curve: [],
        loss: 1 + i / 10,
        bestLoss: 1,
        accuracy: 0.5,
        tokensPerSecond: 1,
        attention: [
          { first: 0.5, sink: 0 },
          { first: 0.1, sink: 0.2 },
        ],
      }),
    )
    assert.ok(
      experiment.conclude(made).findings.every(({ value }) => !value.includes('NaN')),
      experiment.name,
    )
  }
  assert.equal(all.find(({ name }) => name === 'key-bias')!.conclude([]).verdict, 'as expected')
})

test('a ladder at equal active parameters', () => {
  const models = smallModels({ vocabSize: 65, ...SMALL })
  const activeOf = ({ architecture }: (typeof models)[number]) => account(architecture, { context: 1 }).parameters.activeWithEmbeddings
  const wanted = activeOf(models[0]!)
  assert.ok(
    models.some((model) => Math.abs(activeOf(model) / wanted - 1) > 0.04),
    'the steps alone do not keep them equal',
  )
  for (const model of withEqualActive(models)) {
    const allowed = model.architecture.expertDtype === 'mxfp4' ? 0.07 : 0.01
    assert.ok(Math.abs(activeOf(model) / wanted - 1) < allowed, `${model.name}: ${activeOf(model)} for ${wanted}`)
  }
})
