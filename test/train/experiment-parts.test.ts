/** What the experiments about parts of a model need: a text, a task with a tool, models without norms, models cut out of larger ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { toConfigJson } from '../../src/architecture/to-config-json.ts'
import { initialize } from '../../src/model/initialize.ts'
import { forward } from '../../src/model/transformer.ts'
import { leaves, weightSpecs } from '../../src/model/weights.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { random } from '../../src/random/stream.ts'
import { cutInto } from '../../src/train/cut.ts'
import { chronicle } from '../../src/train/data/chronicle.ts'
import { lookUp } from '../../src/train/data/tasks.ts'
import { feedForward, mixture, modern } from '../../src/train/experiments/experiment.ts'
import { parameterLayout } from '../../src/train/parameters.ts'
import { shortRun, trainSmallRun } from '../../src/train/small-run.ts'

test('the text: the same for a seed, long enough, with names of one paragraph only', () => {
  const text = chronicle(random(3), 20_000)
  assert.equal(text, chronicle(random(3), 20_000))
  assert.notEqual(text.slice(0, 200), chronicle(random(4), 200).slice(0, 200))
  assert.ok(text.length >= 20_000 && text.length < 22_000)
  assert.ok(new Set(text).size < 60)
  assert.match(text, /^([A-Z][^.\n]+\.( |\n))+$/)
})

test('facts with a tool: calls and answers are scored, results are not, and unseen facts never occur among the shown', () => {
  const options = { subjects: 6, relations: 4, objects: 8, seed: 1 }
  const call = 6 + 4 + 8
  const pairs = (half: 'shown' | 'unseen') => {
    const { ids, scored } = lookUp({ ...options, tool: true, half }).sample(random(1), 70)
    const found = new Set<string>()
    for (let i = 0; i + 6 < 70 && ids[i + 2] === call; i += 7) {
      assert.deepEqual([ids[i], ids[i + 1]], [ids[i + 3], ids[i + 4]], 'the call repeats the question')
      assert.equal(ids[i + 5], ids[i + 6], 'the answer is the result')
      assert.deepEqual([...scored.subarray(i, i + 6)], [0, 1, 1, 1, 0, 1])
      found.add(`${ids[i]} ${ids[i + 1]}`)
    }
    return found
  }
  const [shown, unseen] = [pairs('shown'), pairs('unseen')]
  assert.ok(shown.size > 3 && unseen.size > 3)
  assert.ok([...shown].every((pair) => !unseen.has(pair)))
  const { ids } = lookUp({ ...options, tool: false, half: 'shown' }).sample(random(1), 30)
  assert.ok(!ids.includes(call))
})

const withoutNorms = () => {
  const model = modern(20, 16, 2, 16, 2)
  return {
    ...model,
    layers: model.layers.map((layer) => ({ ...layer, norm: { kind: 'none' } as const })),
    finalNorm: { kind: 'none' } as const,
  }
}

test('a model without norms has no norm weights, runs, and is written and read', async () => {
  const architecture = withoutNorms()
  assert.deepEqual(
    leaves(weightSpecs(architecture)).filter(({ name }) => /norm/i.test(name)),
    [],
  )
  const ops = createReferenceBackend()
  const batch = { ids: Int32Array.of(1, 2, 3), slots: new Int32Array(3), positions: Int32Array.of(0, 1, 2) }
  const weights = await initialize(architecture, ops, 1)
  const logits = await ops.run(() => forward(ops, architecture, weights, batch))
  assert.ok(logits.every(Number.isFinite))
  const json = toConfigJson({ ...architecture, modelType: 'lineage' })
  assert.deepEqual(configFromJson(json, 'again').layers[0]!.norm, { kind: 'none' })
})
test('a cut keeps whole layers and experts, and refuses what has no source', () => {
  const larger = feedForward(modern(12, 16, 3, 16, 2), mixture(4, 2, 8))
  const smaller = feedForward(modern(12, 16, 2, 16, 2), mixture(2, 2, 8))
  const of = (architecture: typeof larger) => {
    const layout = parameterLayout(architecture)
    return { layout, values: Float32Array.from({ length: layout.length }, (_, i) => i) }
  }
  const [from, to] = [of(larger), of(smaller)]
  cutInto(from, to, { layers: [0, 2], experts: [1, 3] })
  const read = ({ layout, values }: typeof from, name: string) => {
    const { at, count } = layout.parameters.find(({ spec }) => spec.name === name)!
    return values.subarray(at, at + count)
  }
  assert.deepEqual(read(to, 'layers.1.attention.q'), read(from, 'layers.2.attention.q'))
  const [mine, theirs] = [read(to, 'layers.1.feedForward.down'), read(from, 'layers.2.feedForward.down')]
  const size = mine.length / 2
  assert.deepEqual(mine.subarray(size), theirs.subarray(3 * size, 4 * size))
  assert.deepEqual(
    read(to, 'layers.0.feedForward.router'),
    Float32Array.from([
      ...read(from, 'layers.0.feedForward.router').subarray(16, 32),
      ...read(from, 'layers.0.feedForward.router').subarray(48, 64),
    ]),
  )
  assert.throws(
    () => cutInto(from, to, { layers: [0, 5], experts: [1, 3] }),
    /layers\.1\..*expected the same weight in the larger model as layers\.5\..*got none/,
  )
  assert.throws(() => cutInto(from, to, { layers: [0, 2] }), /router.*64 values for 32/)
})

test('a run that diverges ends with the step and a loss, and a cut run starts better than a fresh one', async () => {
  const ids = Int32Array.from({ length: 3000 }, (_, i) => (i * i) % 7)
  const data = { kind: 'text', ids, block: 16, batch: 4 } as const
  const wild = await trainSmallRun({
    label: 'wild',
    architecture: { ...withoutNorms(), initializerRange: 1e20 },
    data,
    settings: shortRun(10, 1e-3, 1),
  })
  assert.equal(wild.diverged, 1)
  const smaller = feedForward(modern(20, 16, 1, 16, 2), mixture(2, 2, 8))
  const cutFrom = { architecture: feedForward(modern(20, 16, 2, 16, 2), mixture(4, 2, 8)), steps: 40, layers: [0], experts: [0, 1] }
  const run = { label: 'x', architecture: smaller, data, settings: shortRun(10, 4e-3, 1) }
  const [fresh, cut] = [await trainSmallRun(run), await trainSmallRun({ ...run, cutFrom })]
  assert.ok(cut.loss < fresh.loss, `${cut.loss} against ${fresh.loss}`)
})
