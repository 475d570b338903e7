/**
 * What one GPU does, in at most six minutes: `node bench/gpu/device.ts` [--small] [--seconds n]. Adapter, self-check, cost of a dispatch,
 * bandwidth of a copy, the products and experts of gpt-oss-20b, whole tokens and prompts of published sizes. Weights are a repeated
 * pattern: speed does not depend on their values. Each step has a budget; a step that fails or comes too late is a line in the result.
 * Writes JSON to $OUT/gpu.json after every step, or to standard output. --small: tiny sizes, for an adapter that computes on the CPU.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { preset } from '../../src/architecture/presets.ts'
import { readArchitecture } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { meterDecode } from '../../src/compare/account.ts'
import { adapterName } from '../../src/gpu.ts'
import { createGpuBackend } from '../../src/gpu-node.ts'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { leaves, mapWeights, weightSpecs } from '../../src/model/weights.ts'
import type { Fill, WeightSpec } from '../../src/ops/backend.ts'
import { type DType, storedBytes } from '../../src/ops/dtype.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import type { Tensor } from '../../src/ops/tensor.ts'
import { copyBandwidth, dispatchCost } from '../../src/ops/webgpu/measure.ts'
import { selfCheck } from '../../src/ops/webgpu/self-check.ts'
import { decodeAhead, GREEDY, pass } from '../../test/ops/webgpu/full-size.ts'

const { values } = parseArgs({ options: { small: { type: 'boolean', default: false }, seconds: { type: 'string', default: '360' } } })
const { small } = values
const began = performance.now()
const elapsed = () => (performance.now() - began) / 1000
const result: Record<string, unknown> = {}

const save = () => {
  const text = `${JSON.stringify({ date: new Date().toISOString(), node: process.version, small, seconds: elapsed(), ...result }, null, 2)}\n`
  if (process.env.OUT) writeFileSync(join(process.env.OUT, 'gpu.json'), text)
  return text
}

/** Runs a step unless its time is over; `budget` in seconds is told to the step. */
async function step(name: string, budget: number, body: (budget: number) => Promise<unknown>): Promise<void> {
  const from = elapsed()
  if (from + budget / 2 > Number(values.seconds)) result[name] = { skipped: `the time is over after ${from.toFixed(0)} s` }
  else
    try {
      const value = await Promise.race([
        body(budget),
        new Promise((_, reject) => setTimeout(reject, 1000 * budget, new Error(`took more than ${budget} s`)).unref()),
      ])
      result[name] = { value, seconds: elapsed() - from }
    } catch (error) {
      result[name] = { failed: (error as Error).message, seconds: elapsed() - from }
    }
  save()
  process.stderr.write(`${elapsed().toFixed(0)} s  ${name} ${JSON.stringify(result[name])}\n`)
}

/** Numbers around 0.01 in every dense dtype, codes and scales of blocks that are finite. */
const PATTERN = Uint8Array.from({ length: 1 << 20 }, (_, at) => (at & 1 ? 0x3c : Math.imul(at, 0x9e3779b1) >>> 24))
const fill: Fill = async (part, _, into) => {
  if (part === 'scales') into.fill(120)
  else
    for (let at = 0; at < into.length; at += PATTERN.length) into.set(PATTERN.subarray(0, Math.min(PATTERN.length, into.length - at)), at)
}

const backend = await createGpuBackend({ software: true, check: false })
const { device, limits, software, variants, info } = backend.device

/** Seconds of one repetition: `body` records one, and enough are run to fill the time. */
async function secondsOf(body: (n: number) => void, budget: number): Promise<number> {
  const run = async (count: number) => {
    const from = performance.now()
    backend.scope('measure', () => {
      for (let n = 0; n < count; n++) backend.scope('one', () => body(n))
    })
    await backend.settled()
    return (performance.now() - from) / 1000
  }
  const count = 16
  for (let n = 0; n < 2; n++) await run(count)
  const times = [await run(count)]
  for (let spent = times[0]!; spent < budget && times.length < 20; spent += times.at(-1)!) times.push(await run(count))
  return Math.min(...times) / count
}

const scale = small ? 32 : 1
const WIDTH = 2880 / (small ? 15 : 1)

/** GB/s of the weights of a product; so many copies of the matrix that a cache does not hold them. */
async function product(O: number, I: number, dtype: DType, rows: number, budget: number) {
  const copies = O * I * 2 > 64e6 || small ? 1 : 6
  const spec = (n: number): WeightSpec => ({ name: `w${n}`, shape: [O, I], dtype, use: 'matrix' })
  const weights = await Promise.all(Array.from({ length: copies }, (_, n) => backend.weight(spec(n), fill)))
  const x = new Float32Array(rows * I).fill(0.01)
  const seconds = await secondsOf((n) => void backend.linear(backend.upload(x, [rows, I]), weights[n % copies]!), budget)
  return { O, I, dtype, rows, microseconds: seconds * 1e6, gigabytesPerSecond: storedBytes(dtype, O * I) / seconds / 1e9 }
}

async function experts(rows: number, budget: number) {
  const [E, A, F] = [small ? 4 : 32, small ? 2 : 4, WIDTH]
  const make = (name: string, shape: number[], dtype: DType, use: WeightSpec['use']) => backend.weight({ name, shape, dtype, use }, fill)
  const router = await make('router', [E, WIDTH], 'bf16', 'matrix')
  const gateUp = await make('gateUp', [E, 2 * F, WIDTH], 'mxfp4', 'experts')
  const down = await make('down', [E, WIDTH, F], 'mxfp4', 'experts')
  const x = new Float32Array(rows * WIDTH).fill(0.01)
  const seconds = await secondsOf(() => {
    const input = backend.upload(x, [rows, WIDTH])
    const routing = backend.route(input, router, undefined, A, { kind: 'topkSoftmax', bias: false, auxLossCoef: 0 })
    backend.moe(input, routing, { gateUp, down }, { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 })
  }, budget)
  const read = (storedBytes('mxfp4', E * 3 * F * WIDTH) * Math.min(E, A * rows)) / E
  return { experts: E, rows, microseconds: seconds * 1e6, gigabytesPerSecond: read / seconds / 1e9 }
}

/** Tokens that are timed together where one is begun before the other has ended. */
const TOGETHER = 8

/** Tokens per second of one answer, waiting for each id and running ahead; of four answers; and of a prompt. */
async function model(name: string, budget: number) {
  const fixture = fileURLToPath(new URL('../../test/fixtures/checkpoints/tiny-gpt-oss', import.meta.url))
  const architecture = small ? await readArchitecture(await fileFolder(fixture)) : preset(name)!
  const tree = weightSpecs(architecture)
  const made = new Map<WeightSpec, Tensor>()
  const loading = performance.now()
  for (const spec of leaves(tree)) made.set(spec, await backend.weight(spec, fill))
  await backend.settled()
  const loadSeconds = (performance.now() - loading) / 1000
  const prompt = small ? 16 : 512
  const cache = await backend.cache(cacheSpec(architecture, 4, 4 * prompt, prompt))
  const given = { architecture, weights: mapWeights(tree, (spec: WeightSpec) => made.get(spec)!), backend, cache }
  const run = (rows: number, positions: (row: number) => number, slots: (row: number) => number, drawn: number[]) => {
    const numbers = (of: (row: number) => number) => Int32Array.from({ length: rows }, (_, row) => of(row))
    const batch = { ids: numbers(() => 1), slots: numbers(slots), positions: numbers(positions) }
    return pass(
      given,
      batch,
      Int32Array.from(drawn),
      drawn.map(() => GREEDY),
    )
  }
  const read = () =>
    run(
      prompt,
      (row) => row,
      () => 0,
      [prompt - 1],
    )
  const decodeAt = (slots: number, position: number) =>
    run(
      slots,
      () => position,
      (row) => row,
      Array.from({ length: slots }, (_, row) => row),
    )
  const fastest = async (body: (n: number) => Promise<unknown>, seconds: number) => {
    await body(0)
    await body(1)
    const times: number[] = []
    for (let spent = 0, n = 2; spent < seconds && n < 202; n++) {
      const from = performance.now()
      await body(n)
      times.push((performance.now() - from) / 1000)
      spent += times.at(-1)!
    }
    return times.sort((a, b) => a - b)[times.length >> 1]!
  }
  const share = budget / 8
  const token = await fastest((n) => decodeAt(1, 20 + (n % 100) * (small ? 0 : 1)), share)
  const ahead = (await fastest(() => decodeAhead(given, 20, TOGETHER), share)) / TOGETHER
  const four = await fastest(() => decodeAt(4, 20), share)
  const chunk = await fastest(read, share)
  const bytes = meterDecode(architecture, 21).total().weightBytes
  cache.dispose()
  return {
    loadSeconds,
    tokensPerSecond: 1 / token,
    gigabytesPerSecond: bytes / token / 1e9,
    runningAheadTokensPerSecond: 1 / ahead,
    runningAheadGigabytesPerSecond: bytes / ahead / 1e9,
    fourAnswersTokensPerSecond: 4 / four,
    promptTokensPerSecond: prompt / chunk,
    plan: backend.plans.last?.dispatches.length,
    memory: backend.memory(),
  }
}

await step('adapter', 5, async () => ({
  name: adapterName(backend),
  vendor: info.vendor,
  software,
  variants,
  features: [...device.features],
  binding: limits.maxStorageBufferBindingSize,
}))
await step('self-check', small ? 120 : 30, async () =>
  (await selfCheck(backend, createReferenceBackend())).filter(({ problem }) => problem),
)
await step('dispatch', 15, () => dispatchCost(device, small ? [5, 50] : [50, 800], 2))
await step('copy', 15, () => copyBandwidth(device, small ? 4 << 20 : 1 << 30, 3))
const PRODUCTS: [O: number, I: number][] = [
  [5120, WIDTH],
  [WIDTH, 4096 / (small ? 16 : 1)],
  [201_088, WIDTH],
]
for (const [O, I] of PRODUCTS)
  for (const rows of [1, 8])
    await step(`product ${O} x ${I}, ${rows} rows`, 10, (budget) => product(Math.ceil(O / scale), I, 'bf16', rows, budget / 5))
for (const rows of [1, 8]) await step(`experts, ${rows} rows`, 15, (budget) => experts(rows, budget / 5))
for (const [name, budget] of [
  ['Qwen3-0.6B', 40],
  ['gpt-oss-20b', 110],
  ['Qwen3-8B', 80],
] as const) {
  if (small && name !== 'gpt-oss-20b') continue
  await step(name, budget, (budget) => model(name, budget))
}
await backend.dispose()
if (process.env.OUT) save()
else process.stdout.write(save())
