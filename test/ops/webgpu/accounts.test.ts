/**
 * What a decoded token costs on the device, counted on a fake device at full size: dispatches, bytes of weights (those of the meter,
 * exactly), objects, writes, readbacks, workgroups, and the memory of gpt-oss-20b. And every shader that this needs, compiled by the null
 * backend within the limits that every device has.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Mixture } from '../../../src/architecture/architecture.ts'
import { preset } from '../../../src/architecture/presets.ts'
import { readArchitecture } from '../../../src/checkpoint/load.ts'
import { fileFolder } from '../../../src/checkpoint/source-node.ts'
import { meterDecode } from '../../../src/compare/account.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import type { WeightSpec } from '../../../src/ops/backend.ts'
import type { Draw } from '../../../src/ops/draw.ts'
import { storedBytes } from '../../../src/ops/dtype.ts'
import { size } from '../../../src/ops/tensor.ts'
import { nullGpu } from './adapters.ts'
import { type Dispatch, GIB } from './counting.ts'
import { decode, decodeAhead, GREEDY, type Model, modelOf, pass } from './full-size.ts'

/** All ways of drawing at once. */
const EVERY: Draw = {
  temperature: 0.8,
  topK: 9,
  topP: 0.9,
  minP: 0.1,
  noise: 3,
  changes: { ids: Int32Array.of(1), factor: Float32Array.of(2), add: Float32Array.of(1) },
}

/** Bytes of a weight that a dispatch reads, of the bytes that it binds: the chosen experts, the rows that are looked up. */
function bytesRead({ specs, architecture }: Model, { label, bindings }: Dispatch, rows = 1): number {
  const active = architecture.layers.map(({ feedForward }) => (feedForward.kind === 'moe' ? feedForward.expertsPerToken : 0))
  return bindings.reduce((sum, binding) => {
    const spec = specs.find(({ name }) => name === binding.label || binding.label.startsWith(`${name}, rows from`))
    if (!spec) return sum
    const whole = storedBytes(spec.dtype, size(spec.shape))
    if (label.startsWith('embed')) return sum + (binding.size / Math.ceil(whole / 4) / 4) * (whole / spec.shape[0]!) * rows
    if (spec.use !== 'experts') return sum + binding.size
    return sum + (binding.size * active[Number(/\d+/.exec(spec.name)![0])]!) / spec.shape[0]!
  }, 0)
}

/** Bytes of weights that the workgroups of a dispatch of a prompt read: a matrix once per run of rows; experts as if each got as many rows. */
function bytesOfPrompt(model: Model, dispatch: Dispatch, rows: number): number {
  const { label, depth } = dispatch
  const { experts, expertsPerToken } = model.architecture.layers[0]!.feedForward as Mixture
  const together = label.startsWith('tile of experts') ? 32 : label.startsWith('grouped') ? 8 : 0
  if (label.startsWith('embed')) return bytesRead(model, dispatch, rows)
  if (together === 0) return bytesRead(model, dispatch) * depth
  return bytesRead(model, dispatch) * (experts / expertsPerToken) * Math.ceil((rows * expertsPerToken) / experts / together)
}

/** The meter's bytes of matrices and tables for one decoded token. Vectors lie in one buffer and are read in parts. */
function meteredBytes({ architecture, specs }: Model, position: number): number {
  const vectors = specs.filter(({ use }) => use === 'vector')
  const share = ({ name, shape }: WeightSpec) => {
    const { feedForward } = architecture.layers[Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0)]!
    return feedForward.kind === 'moe' && shape.length === 2 ? feedForward.expertsPerToken / feedForward.experts : 1
  }
  const ofVectors = vectors.reduce((sum, spec) => sum + storedBytes(spec.dtype, size(spec.shape)) * share(spec), 0)
  return meterDecode(architecture, position + 1).total().weightBytes - ofVectors
}

/** Up to 2,048 positions the pieces of a row are joined in their workgroup; beyond that a dispatch of each full layer joins them. */
const DECODED: [name: string, dispatches: number, beyond: readonly (readonly [position: number, dispatches: number])[]][] = [
  ['gpt2', 70, [[1020, 70]]],
  [
    'Qwen3-0.6B',
    150,
    [
      [600, 150],
      [3000, 180],
    ],
  ],
  [
    'gpt-oss-20b',
    170,
    [
      [600, 170],
      [3000, 170],
    ],
  ],
]
const AT_LEAST = 1000
/** Weight-reading dispatches of gpt-oss-20b with fewer workgroups, and why. */
const FEW_WORKGROUPS: [RegExp, string][] = [
  [/^embed/, 'one row of a table'],
  [/router/, '32 rows of the router: 0.4 MB of 3.7 GB'],
]

describe('a decoded token', () => {
  for (const [name, most, beyond] of DECODED)
    test(`${name}: at most ${most} dispatches, the meter's bytes, nothing created, one write, one readback`, async () => {
      const model = await modelOf(preset(name)!, 4, name === 'gpt2' ? 1024 : 4096)
      const { counts } = model
      for (const slots of [1, 4]) {
        await decode(model, 100, slots)
        await decode(model, 101, slots)
        counts.reset()
        await decode(model, 102, slots)
        const { createCommandEncoder, ...objects } = counts.created
        assert.deepEqual(objects, {})
        assert.equal(createCommandEncoder, 1)
        const dispatches = counts.dispatches.length
        const { submissions, writes, readbacks, readBytes } = counts
        assert.deepEqual({ submissions, writes, readbacks, readBytes }, { submissions: 1, writes: 1, readbacks: 1, readBytes: 4 * slots })
        assert.ok(dispatches <= most, `${dispatches} dispatches`)
        if (slots > 1) continue
        const read = counts.dispatches.reduce((sum, dispatch) => sum + bytesRead(model, dispatch), 0)
        assert.equal(Math.round(read), meteredBytes(model, 102))
        if (name !== 'gpt-oss-20b') continue
        const few = counts.dispatches.filter((each) => bytesRead(model, each) > 0 && each.workgroups < AT_LEAST)
        const names = ({ label, bindings }: Dispatch) => [label, ...bindings.map((binding) => binding.label)].join(' ')
        const unlisted = few.filter((each) => !FEW_WORKGROUPS.some(([listed]) => listed.test(names(each))))
        assert.deepEqual([...new Set(unlisted.map(({ label, workgroups }) => `${label}: ${workgroups} workgroups`))], [])
      }
      for (const [position, allowed] of beyond) {
        await decode(model, position)
        counts.reset()
        await decode(model, position + 1)
        assert.ok(counts.dispatches.length <= allowed, `${counts.dispatches.length} dispatches at position ${position}`)
        assert.deepEqual(Object.keys(counts.created), ['createCommandEncoder'])
      }
      await model.backend.dispose()
    })

  for (const slots of [1, 4])
    test(`${slots} answers of the engine: the next pass is submitted before an id is told; the same accounts`, async () => {
      const model = await modelOf(preset('gpt2')!, 1, 16)
      const { backend, counts } = model
      const engine = await createEngine({ ...model, context: 64, slots })
      const told: Record<string, number>[] = []
      const watching = {
        take() {
          const { submissions, writes, readbacks, readBytes, created } = counts
          const objects = Object.values(created).reduce((a, b) => a + b, 0)
          told.push({ submissions, writes, readbacks, readBytes, objects })
          return {}
        },
      }
      const answer = (n: number) =>
        engine.generate([1, 2, 3 + n], { stopIds: [], maxTokens: 12, driver: n === 0 ? watching : undefined }).result
      await Promise.all(Array.from({ length: slots }, (_, n) => answer(n)))
      const since = (n: number) => Object.fromEntries(Object.entries(told[n]!).map(([name, count]) => [name, count - told[n - 1]![name]!]))
      // The prompts end alone, because what they leave in the cache is kept for others first. Then two passes are under way at a time.
      assert.equal(since(1).submissions, 2)
      // A pass makes an encoder and nothing else. No pass comes after that of the last id.
      const pass = { submissions: 1, writes: 1, readbacks: 1, readBytes: 4 * slots, objects: 1 }
      for (let n = 2; n < 11; n++) assert.deepEqual(since(n), pass, `id ${n}`)
      assert.equal(since(11).submissions, 0)
      await engine.close()
      await backend.dispose()
    })

  test('gpt-oss-20b: no buffer and no binding above 1 GiB, and at most 100 MB beside weights and cache', async () => {
    const model = await modelOf(preset('gpt-oss-20b')!, 4, 8192)
    const { backend, cache, counts, specs } = model
    const prompt = Int32Array.from({ length: 512 }, (_, i) => i)
    const batch = { ids: prompt, slots: new Int32Array(512), positions: prompt }
    counts.reset()
    await pass(model, batch, Int32Array.of(511), [EVERY])
    const few = counts.dispatches.filter((each) => bytesRead(model, each) > 0 && each.workgroups < AT_LEAST)
    assert.deepEqual([...new Set(few.map(({ label, workgroups }) => `${label}: ${workgroups} workgroups`))], [])
    const perRow = counts.dispatches.reduce((sum, dispatch) => sum + bytesOfPrompt(model, dispatch, 512), 0) / 512
    assert.ok(perRow < 85e6, `${(perRow / 1e6).toFixed(1)} MB of weights read per row of the prompt`)
    await decode(model, 512, 4, EVERY)
    const published = specs.reduce((sum, { dtype, shape }) => sum + storedBytes(dtype, size(shape)), 0)
    assert.ok(published > 13.7e9)
    assert.ok(counts.largestBuffer <= GIB && counts.largestBinding <= GIB)
    const beside = counts.bufferBytes - published - cache.bytes
    assert.ok(beside <= 100e6, `${(beside / 1e6).toFixed(1)} MB beside ${published} of weights and ${cache.bytes} of the cache`)
    await backend.dispose()
  })
})

/** The shaders of all tiny checkpoints: prompts in tiles, decoding, every way of drawing. */
async function shadersOf(features: readonly string[]): Promise<Set<string>> {
  const directory = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))
  const shaders = new Set<string>()
  for (const name of readdirSync(directory)) {
    const architecture = await readArchitecture(await fileFolder(directory + name))
    const model = await modelOf(architecture, 2, 512, features)
    const { backend, counts } = model
    for (const length of [20, 40]) {
      const prompt = Int32Array.from({ length }, (_, i) => i)
      await pass(model, { ids: prompt, slots: new Int32Array(length), positions: prompt }, Int32Array.of(length - 1), [GREEDY])
      // A row that is decoded beside the prompt.
      const mixed = {
        ids: new Int32Array(length + 1),
        slots: Int32Array.from([1, ...new Int32Array(length)]),
        positions: Int32Array.from([0, ...prompt]),
      }
      await pass(model, mixed, Int32Array.of(0, length), [GREEDY, GREEDY])
    }
    await decode(model, 40, 1, EVERY)
    await decodeAhead(model, 41, 2)
    // A long row. A state cannot skip positions.
    const skips = architecture.layers.every(({ attention }) => attention.kind !== 'stateSpace')
    if (skips && architecture.maxPositionEmbeddings > 300) await decode(model, 300)
    for (const shader of counts.shaders) shaders.add(shader)
    await backend.dispose()
  }
  return shaders
}

for (const features of [['subgroups'], []])
  test(`shaders ${features.length ? 'with' : 'without'} subgroups compile within the limits that every device has`, async () => {
    const shaders = await shadersOf(features)
    assert.ok(shaders.size > 20, `${shaders.size} shaders`)
    const adapter = await (await nullGpu()).requestAdapter()
    // Without wanted limits a device has those that all have: 8 storage buffers, 16 KiB of a workgroup, 256 invocations.
    const device = await adapter!.requestDevice({ requiredFeatures: features as GPUFeatureName[] })
    const { maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup } = device.limits
    assert.deepEqual([maxStorageBuffersPerShaderStage, maxComputeWorkgroupStorageSize, maxComputeInvocationsPerWorkgroup], [8, 16384, 256])
    const problems: string[] = []
    for (const code of shaders) {
      assert.ok([...code.matchAll(/var<storage/g)].length <= 8)
      device.pushErrorScope('validation')
      const module = device.createShaderModule({ code })
      await device.createComputePipelineAsync({ layout: 'auto', compute: { module } }).catch((error) => problems.push(String(error)))
      const error = await device.popErrorScope()
      if (error) problems.push(error.message)
    }
    assert.deepEqual(problems, [])
    device.destroy()
  })
