/**
 * LoRA beside a frozen base: losses and gradients are those of PEFT, the packed weights of the base stay, and what is saved can be loaded.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openAdapter } from '../../src/checkpoint/adapter.ts'
import { saveAdapter } from '../../src/checkpoint/adapter-node.ts'
import { peftAdapter } from '../../src/checkpoint/adapter-out.ts'
import { loadFolder } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { readLogits } from '../../src/engine/read-logits.ts'
import { forward } from '../../src/model/transformer.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { size } from '../../src/ops/tensor.ts'
import { referenceTraining } from '../../src/ops/training/backend.ts'
import { pack } from '../../src/train/data/pack.ts'
import {
  type AdapterSpec,
  adapterParts,
  adapterSpecs,
  fillVectors,
  type LowRankTraining,
  lowRankTree,
  vectorLength,
  withoutBalance,
} from '../../src/train/low-rank.ts'
import { parameterLayout } from '../../src/train/parameters.ts'
import { Shard } from '../../src/train/shard.ts'
import { openStart } from '../../src/train/start-node.ts'
import { Tape } from '../../src/train/tape.ts'
import { inlineWorkers, workerMemory } from '../../src/train/workers.ts'
import { readTensors } from '../model/read-golden.ts'

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url))
const base = (name: string) => fileFolder(join(fixtures, 'checkpoints', name))
const temporary = mkdtempSync(join(tmpdir(), 'lineage-lora-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const hash = ({ base }: LowRankTraining): string => {
  const sum = createHash('sha256')
  for (const { stored } of base) sum.update(stored.bytes).update(stored.scales ?? new Uint8Array())
  return sum.digest('hex')
}

/** Loss, and gradients under PEFT's names: of the fast backend, or of the one in f64. */
async function gradientsOf(name: string, precise: boolean) {
  const directory = join(fixtures, 'adapters', `lora-${name}`)
  const start = await openStart(await base(name))
  const architecture = withoutBalance(start.architecture) // PEFT trains without the load-balancing loss
  const plan = await openAdapter(await fileFolder(directory), architecture)
  const adapters: AdapterSpec[] = [...plan.lowRank.values()].map(({ spec, rank, scale }) => ({ spec, rank, scale }))
  const lowRank = { base: await start.frozen(), adapters }
  const before = hash(lowRank)
  const layout = parameterLayout(architecture, lowRank)
  const at = new Map(layout.parameters.map(({ spec, at }) => [spec.name, at]))
  const { memory, plan: places, modules } = workerMemory(architecture, { shards: 1, arenaBytes: 64 << 20, seed: 1, lowRank })
  const values = new Float32Array(memory.buffer, places.values, layout.length)
  for (const change of plan.lowRank.values()) {
    const parts = await change.read()
    for (const [i, part] of adapterParts(change).entries()) values.set(i === 0 ? parts.a : parts.b, at.get(part.name)!)
  }
  await plan.close()
  const golden = readTensors(join(directory, 'golden.safetensors'))
  const [ids, labels] = [Int32Array.from(golden.ids!), Int32Array.from(golden.labels!)]
  const rows = Int32Array.from(labels.keys().filter((t) => t + 1 < labels.length && labels[t + 1]! >= 0))
  const targets = rows.map((t) => labels[t + 1]!)
  const batch = { ids, slots: new Int32Array(ids.length), positions: ids.map((_, t) => t) }
  let loss: number
  let gradients: Float32Array | Float64Array
  if (precise) {
    const backend = referenceTraining()
    const vectors = new Float32Array(vectorLength(lowRank))
    fillVectors(lowRank, vectors)
    const all = new Float64Array(layout.length)
    const weights = lowRankTree(architecture, lowRank, backend, vectors, ({ name, shape }) => {
      const [from, to] = [at.get(name)!, at.get(name)! + size(shape)]
      return backend.tensor(shape, Float64Array.from(values.subarray(from, to)), all.subarray(from, to), name)
    })
    const tape = new Tape(backend)
    const result = tape.crossEntropy(forward(tape, architecture, weights, batch, { logitRows: rows }), targets, 1 / rows.length)
    tape.backward(result)
    ;[loss, gradients] = [backend.values(result)[0]!, all]
  } else {
    const shard = new Shard(architecture, memory, places, 0, modules, lowRank)
    loss = shard.accumulate([{ batch, rows, targets }], 1 / rows.length, 1)
    gradients = new Float32Array(memory.buffer, places.gradients[0]!, layout.length)
  }
  assert.equal(hash(lowRank), before, 'the base has changed')
  const own = adapters.map((adapter) => {
    const [a, b] = adapterParts(adapter).map((part) =>
      Float32Array.from(gradients.subarray(at.get(part.name)!, at.get(part.name)! + size(part.shape))),
    )
    return { ...adapter, a: a!, b: b! }
  })
  const { tensors } = peftAdapter(architecture, own, { base: name, alpha: 8, rankStabilized: false })
  return { loss, gradients: Object.fromEntries(tensors.map(({ name, values }) => [`grad.${name}`, values])) }
}

type Tensors = Record<string, ArrayLike<number>>

/** The largest difference of any tensor, as a share of its largest value. */
function worst(ours: Tensors, theirs: Tensors): number {
  const keys = Object.keys(theirs).filter((key) => key.startsWith('grad.'))
  assert.deepEqual(
    Object.keys(ours)
      .filter((key) => key.startsWith('grad.'))
      .sort(),
    keys.sort(),
  )
  return Math.max(
    ...keys.map((key) => {
      const values = Array.from(theirs[key]!)
      const largest = Math.max(...values.map(Math.abs))
      return Math.max(...values.map((one, i) => Math.abs(one - ours[key]![i]!))) / largest
    }),
  )
}

for (const name of ['tiny-llama', 'tiny-qwen3', 'tiny-gpt-oss'])
  describe(`${name}: loss and gradients of PEFT`, () => {
    const file = (tail: string) => readTensors(join(fixtures, 'adapters', `lora-${name}`, tail))
    const [single, double] = [file('golden.safetensors'), file('golden-f64.safetensors')]

    test('in f64 within 1e-5', async () => {
      const { loss, gradients } = await gradientsOf(name, true)
      assert.ok(Math.abs(loss - double.loss![0]!) < 2e-6, `${loss} against ${double.loss![0]}`)
      assert.ok(worst(gradients, double) < 1e-5, `${worst(gradients, double)}`)
    })

    test('in f32 no further away than PEFT in f32', async () => {
      const { loss, gradients } = await gradientsOf(name, false)
      const theirs = worst(single, double)
      assert.ok(Math.abs(loss - single.loss![0]!) < 2e-5, `${loss} against ${single.loss![0]}`)
      assert.ok(worst(gradients, double) < 1e-5 + 1.5 * theirs, `${worst(gradients, double)} against ${theirs}`)
    })
  })

const families = [
  'gpt2',
  'gpt-oss',
  'qwen3',
  'qwen3-moe',
  'llama',
  'mixtral',
  'gemma3',
  'olmo2',
  'phi4',
  'pythia',
  'granite',
  'deepseek-moe',
  'deepseek-v2',
  'deepseek-v3',
]
describe('trained adapters of every family are saved as PEFT does, and loaded to the same model', () => {
  const example = pack([{ ids: Int32Array.from({ length: 33 }, (_, i) => (i * i * 7) % 512), rows: 32, counts: () => true }])
  const step = { step: 1, learningRate: 0.01, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradientFactor: 1 }
  for (const name of families)
    for (const rankStabilized of [false, true])
      test(`${name}${rankStabilized ? ', rank-stabilized' : ''}`, async () => {
        const start = await openStart(await base(`tiny-${name}`))
        const { architecture } = start
        const targets = ['attention', 'feedForward', 'experts']
        const adapters = adapterSpecs(architecture, { rank: 4, alpha: 8, rankStabilized, targets })
        const lowRank = { base: await start.frozen(), adapters }
        const options = { shards: 1, arenaBytes: 64 << 20, seed: 1 }
        const workers = inlineWorkers(architecture, { ...options, lowRank })
        const plain = inlineWorkers(architecture, options)
        await start.fill(plain.layout, plain.values)
        const whole = (await plain.evaluate([example])).loss
        // b is zero at first, so the adapters change nothing.
        const first = (await workers.evaluate([example])).loss
        assert.ok(Math.abs(first - whole) < 1e-5 * whole, `${first} against ${whole}`)
        for (let n = 1; n <= 3; n++) {
          await workers.accumulate([example], 1 / 32, n)
          await workers.reduce()
          await workers.update({ ...step, step: n })
        }
        const trained = (await workers.evaluate([example])).loss
        assert.ok(trained < first - 0.1, `${first} -> ${trained}`)
        const at = new Map(workers.layout.parameters.map(({ spec, at, count }) => [spec.name, workers.values.slice(at, at + count)]))
        const own = adapters.map((adapter) => {
          const [a, b] = adapterParts(adapter)
          return { ...adapter, a: at.get(a.name)!, b: at.get(b.name)! }
        })
        const out = join(temporary, `${name}-${rankStabilized}`)
        await saveAdapter(out, architecture, own, { base: name, alpha: 8, rankStabilized })
        const plan = await openAdapter(await fileFolder(out), architecture)
        const read = { base: lowRank.base, adapters: [...plan.lowRank.values()].map(({ spec, rank, scale }) => ({ spec, rank, scale })) }
        const loaded = inlineWorkers(architecture, { ...options, lowRank: read })
        for (const change of plan.lowRank.values()) {
          const parts = await change.read()
          for (const [i, part] of adapterParts(change).entries())
            loaded.values.set(i === 0 ? parts.a : parts.b, loaded.layout.parameters.find(({ spec }) => spec.name === part.name)!.at)
        }
        await plan.close()
        assert.equal(read.adapters.length, adapters.length)
        const again = (await loaded.evaluate([example])).loss
        assert.ok(Math.abs(again - trained) < 1e-4 * trained, `${again} against ${trained}`)
      })
})

const shared = fileURLToPath(new URL('../../../shared/', import.meta.url))
const packed = [
  ...['gguf/wide-llama-Q4_K_M.gguf', 'gguf/wide-llama-Q3_K_M.gguf', 'gguf/tiny-gpt-oss.gguf'].map((name) => fixtures + name),
  ...['fp8', 'awq', 'gptq'].map((kind) => `${fixtures}quantized/tiny-qwen3-${kind}`),
  // More types where their files are.
  ...['wide-llama-Q8_0', 'wide-qwen3-Q5_1', 'wide-llama-IQ4_XS']
    .map((name) => `${shared}vectors/gguf/${name}.gguf`)
    .filter((file) => existsSync(file)),
]
describe('adapters beside packed weights', () => {
  for (const place of packed)
    test(place.slice(place.lastIndexOf('/') + 1), async () => {
      const folder = await fileFolder(place)
      const start = await openStart(folder)
      const adapters = adapterSpecs(start.architecture, { rank: 4, alpha: 8, rankStabilized: false, targets: ['attention', 'feedForward'] })
      const lowRank = { base: await start.frozen(), adapters }
      const before = hash(lowRank)
      const V = start.architecture.vocabSize
      const example = pack([{ ids: Int32Array.from({ length: 33 }, (_, i) => (i * i * 7) % V), rows: 32, counts: () => true }])
      const workers = inlineWorkers(start.architecture, { shards: 1, arenaBytes: 128 << 20, seed: 1, lowRank })
      const first = (await workers.evaluate([example])).loss
      const backend = createReferenceBackend()
      const { architecture, weights } = await loadFolder(folder, backend)
      const logits = await readLogits({ backend, architecture, weights }, example.batch, { logitRows: example.rows })
      let expected = 0
      example.targets.forEach((target, r) => {
        const z = Array.from(logits.subarray(r * V, (r + 1) * V))
        const top = Math.max(...z)
        expected += top + Math.log(z.reduce((sum, one) => sum + Math.exp(one - top), 0)) - z[target]!
      })
      assert.ok(Math.abs(first - expected) < 1e-5 * expected, `${first} against ${expected}`)
      for (let n = 1; n <= 3; n++) {
        await workers.accumulate([example], 1 / 32, n)
        await workers.reduce()
        await workers.update({ step: n, learningRate: 0.003, beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0, gradientFactor: 1 })
      }
      assert.ok((await workers.evaluate([example])).loss < first)
      assert.equal(hash(lowRank), before)
    })
})

test('targets that do not exist are refused by name', async () => {
  const { architecture } = await openStart(await base('tiny-llama'))
  const options = { rank: 4, alpha: 8, rankStabilized: false }
  assert.throws(
    () => adapterSpecs(architecture, { ...options, targets: ['lm_head'] }),
    /"lm_head" is no target of LoRA \(the output matrix stays as published\): expected some of q, k/,
  )
  assert.throws(() => adapterSpecs(architecture, { ...options, targets: ['experts'] }), /no matrices called experts/)
  for (const name of ['kv_b_proj', 'router', 'embed_tokens'])
    assert.throws(() => adapterSpecs(architecture, { ...options, targets: [name] }), new RegExp(`"${name}" is no target of LoRA \\(`))
  const names = (targets: string[]) => adapterSpecs(architecture, { ...options, targets }).map(({ spec }) => spec.name)
  assert.deepEqual(names(['q_proj', 'down_proj']), names(['q', 'down']))
})
