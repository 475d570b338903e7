/**
 * What a GPU should reach when it decodes one sequence: the time to read the weights of a token at 80 % of its memory bandwidth, and
 * the time of its dispatches. Bytes are the meter's, dispatches are counted on a device that computes nothing, at full size.
 * Predictions, filed before a GPU was measured: `node bench/gpu/roofline.ts` writes bench/results/gpu-predicted.json.
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { preset } from '../../src/architecture/presets.ts'
import { meterDecode } from '../../src/compare/account.ts'
import { nullGpu } from '../../test/ops/webgpu/adapters.ts'
import { decode, modelOf, modelOn, slim } from '../../test/ops/webgpu/full-size.ts'
import type { RooflineFigures } from '../figures.ts'

const MODELS = ['gpt-oss-20b', 'Qwen3-0.6B', 'Qwen3-8B', 'gpt2']
const POSITION = 100
const SHARE_OF_BANDWIDTH = 0.8
/** Seconds of one more dependent dispatch, at best and at worst: figures of other engines. */
export const DISPATCH_SECONDS = [3e-6, 10e-6] as const
/** Published bandwidths in bytes per second. */
export const DEVICES: readonly (readonly [name: string, bytesPerSecond: number])[] = [
  ['M2', 100e9],
  ['M4 Max', 546e9],
  ['RTX 4090', 1008e9],
  ['H200', 4800e9],
]

/** Tokens per second of one sequence. */
export const predicted = (bytes: number, dispatches: number, bandwidth: number, dispatchSeconds: number): number =>
  1 / (bytes / (SHARE_OF_BANDWIDTH * bandwidth) + dispatches * dispatchSeconds)

/** Passes before the measured ones: until then the code is compiled. */
const WARM_UP = 500
const MEASURED = 500

/** Median time, and that of the fastest tenth, to record, encode and submit a decoded token on the null backend of Dawn, in ms. */
async function encodeTimes(architecture: Architecture, dispatches: number): Promise<[median: number, fast: number]> {
  const model = await modelOn(slim(await nullGpu()), architecture, 1, 1024)
  const times: number[] = []
  for (let n = 0; n < WARM_UP + MEASURED; n++) {
    const began = performance.now()
    const drawn = decode(model, POSITION)
    times.push(performance.now() - began)
    await drawn
  }
  const planned = model.backend.plans.last!.dispatches.length
  if (planned !== dispatches) throw new Error(`${planned} dispatches on the null backend, but ${dispatches} were counted`)
  await model.backend.dispose()
  const sorted = times.slice(WARM_UP).sort((a, b) => a - b)
  return [sorted[MEASURED >> 1]!, sorted[Math.floor(MEASURED / 10)]!]
}

/** Bytes and dispatches of a decoded token, and the time to record and encode it. */
async function costOf(name: string): Promise<RooflineFigures> {
  const architecture = preset(name)!
  const model = await modelOf(architecture, 1, 1024)
  await decode(model, POSITION)
  model.counts.reset()
  await decode(model, POSITION)
  const dispatches = model.counts.dispatches.length
  await model.backend.dispose()
  const bytes = meterDecode(architecture, POSITION + 1).total().weightBytes
  const [median, fast] = await encodeTimes(architecture, dispatches)
  return {
    name,
    decodeGB: Number((bytes / 1e9).toFixed(3)),
    dispatches,
    encodeMs: Number(median.toFixed(2)),
    encodeFastMs: Number(fast.toFixed(2)),
    tokensPerSecond: DEVICES.map(([device, bandwidth]) => [
      device,
      ...DISPATCH_SECONDS.map((seconds) => Math.round(predicted(bytes, dispatches, bandwidth, seconds))),
    ]) as RooflineFigures['tokensPerSecond'],
  }
}

if (import.meta.main) {
  const figures: RooflineFigures[] = []
  for (const name of MODELS) figures.push(await costOf(name))
  const results = {
    kind: 'roofline',
    date: new Date().toISOString().slice(0, 10),
    cpu: `${cpus()[0]?.model}`,
    node: process.version,
    figures,
  }
  writeFileSync(new URL('../results/gpu-predicted.json', import.meta.url), `${JSON.stringify(results, null, 2)}\n`)
  console.table(
    figures.map(({ tokensPerSecond, ...rest }) => ({
      ...rest,
      ...Object.fromEntries(tokensPerSecond.map(([d, a, b]) => [d, `${a} / ${b}`])),
    })),
  )
}
