/** A pass in little memory: layers that run twice and examples in halves give the losses and gradients of a pass that keeps everything. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { ArenaFullError } from '../../src/ops/training/values.ts'
import { pack } from '../../src/train/data/pack.ts'
import { adapterSpecs, type LowRankTraining, withoutBalance } from '../../src/train/low-rank.ts'
import { Shard } from '../../src/train/shard.ts'
import { openStart } from '../../src/train/start-node.ts'
import { workerMemory } from '../../src/train/workers.ts'

const checkpoints = fileURLToPath(new URL('../fixtures/checkpoints/', import.meta.url))
const MIB = 2 ** 20

/** Loss and gradients of sequences of these lengths, with so many MiB of results. */
async function learned(name: string, lengths: number[], mib: number, lora: boolean, dropout = 0) {
  const start = await openStart(await fileFolder(join(checkpoints, name)))
  const drops = { embedding: dropout, attention: dropout, residual: dropout }
  const architecture: Architecture = { ...withoutBalance(start.architecture), dropout: drops }
  const targets = ['attention', 'feedForward']
  const lowRank: LowRankTraining | undefined = lora
    ? { base: await start.frozen(), adapters: adapterSpecs(architecture, { rank: 4, alpha: 8, rankStabilized: false, targets }) }
    : undefined
  const { memory, plan, modules } = workerMemory(architecture, { shards: 1, arenaBytes: Math.round(mib * MIB), seed: 3, lowRank })
  const shard = new Shard(architecture, memory, plan, 0, modules, lowRank)
  const values = new Float32Array(memory.buffer, plan.values, shard.layout.length)
  if (!lora) await start.fill(shard.layout, values)
  const sequences = lengths.map((rows, s) => ({
    ids: Int32Array.from({ length: rows + 1 }, (_, i) => (i * 37 + s * 11) % architecture.vocabSize),
    rows,
    counts: (i: number) => i % 3 !== 0,
  }))
  const example = pack(sequences)
  let products = 0
  shard.watchProducts(() => {
    products++
  })
  const evaluation = shard.evaluate([example])
  products = 0
  const loss = shard.accumulate([example], 1 / example.rows.length, 9)
  return { loss, evaluation, products, gradients: new Float32Array(memory.buffer, plan.gradients[0]!, shard.layout.length).slice() }
}

const largest = (values: Float32Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
const apart = (a: Float32Array, b: Float32Array): number => a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0)

/** Name, LoRA, MiB for layers that run twice and for halves, of four sequences of 60 rows. */
const CASES: [name: string, lora: boolean, twice: number, halves: number][] = [
  ['tiny-gpt2', false, 6, 4],
  ['tiny-llama', false, 6, 4],
  ['tiny-qwen3', true, 18, 8],
  ['tiny-gpt-oss', true, 20, 8],
  ['tiny-gemma3', false, 7, 3],
]

for (const [name, lora, twice, halves] of CASES)
  test(`${name}${lora ? ', LoRA' : ''}: little memory changes nothing but time`, async () => {
    const lengths = [60, 60, 60, 60]
    const whole = await learned(name, lengths, 64, lora)
    const recomputed = await learned(name, lengths, twice, lora)
    assert.ok(recomputed.products > whole.products, 'layers ran twice')
    assert.equal(recomputed.loss, whole.loss)
    assert.equal(apart(recomputed.gradients, whole.gradients), 0, 'the same bits')
    const parted = await learned(name, lengths, halves, lora)
    assert.ok(Math.abs(parted.evaluation.loss - whole.evaluation.loss) < 1e-5 * whole.evaluation.loss)
    assert.deepEqual(parted.evaluation.correct, whole.evaluation.correct)
    assert.ok(parted.products > recomputed.products, 'halves were passed')
    assert.ok(Math.abs(parted.loss - whole.loss) < 1e-5)
    assert.ok(apart(parted.gradients, whole.gradients) < 1e-5 * largest(whole.gradients))
  })

test('dropout of layers that run twice draws the same', async () => {
  const whole = await learned('tiny-gpt2', [60, 60, 60, 60], 64, false, 0.2)
  const recomputed = await learned('tiny-gpt2', [60, 60, 60, 60], 7.5, false, 0.2)
  assert.ok(recomputed.products > whole.products, 'layers ran twice')
  assert.equal(apart(recomputed.gradients, whole.gradients), 0)
})

test('a sequence that does not fit is refused with the options that help', async () => {
  await assert.rejects(learned('tiny-llama', [120], 1.75, false), (error) => {
    assert.ok(error instanceof ArenaFullError)
    assert.match(error.message, /--block.*--memory/)
    return true
  })
})
