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
import { median } from '../peers/visit.ts'

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

const ROUNDS = 9
/** Passes of a round before the measured ones: until then the code is compiled. */
const WARM_UP = 300
const MEASURED = 500

/**
 * Times to record and encode a decoded token on the null backend of Dawn, and to submit it and ask for the result, in ms: per architecture the
 * median of all rounds' medians, and the lowest of the fastest tenths. The architectures take turns, as the machine may be slow for a while.
 */
async function encodeTimes(architectures: readonly Architecture[]) {
  const models = await Promise.all(architectures.map(async (architecture) => modelOn(slim(await nullGpu()), architecture, 1, 1024)))
  const submissions = models.map(({ backend }) => watchSubmissions(backend.device.device.queue))
  const rounds = models.map(() => ({ medians: [] as number[], fast: [] as number[], submitting: [] as number[] }))
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, model] of models.entries()) {
      const encoding: number[] = []
      const submitting: number[] = []
      for (let n = 0; n < WARM_UP + MEASURED; n++) {
        const began = performance.now()
        const drawn = decode(model, POSITION)
        const ended = performance.now()
        encoding.push(submissions[i]!.began - began)
        submitting.push(ended - submissions[i]!.began)
        await drawn
      }
      const measured = encoding.slice(WARM_UP).sort((a, b) => a - b)
      rounds[i]!.medians.push(median(measured))
      rounds[i]!.fast.push(measured[Math.floor(MEASURED / 10)]!)
      rounds[i]!.submitting.push(median(submitting.slice(WARM_UP)))
    }
  const found = rounds.map(({ medians, fast, submitting }, i) => ({
    encodeMs: rounded(median(medians)),
    encodeFastMs: rounded(Math.min(...fast)),
    submitMs: rounded(median(submitting)),
    dispatches: models[i]!.backend.plans.last!.dispatches.length,
  }))
  for (const { backend } of models) await backend.dispose()
  return found
}

const rounded = (ms: number): number => Number(ms.toFixed(2))

/** When the newest submission to a queue began. */
function watchSubmissions(queue: GPUQueue): { began: number } {
  const watched = { began: 0 }
  const submit = queue.submit.bind(queue)
  queue.submit = (commands) => {
    watched.began = performance.now()
    submit(commands)
  }
  return watched
}

/** Bytes and dispatches of a decoded token. */
async function costOf(architecture: Architecture): Promise<{ bytes: number; dispatches: number }> {
  const model = await modelOf(architecture, 1, 1024)
  await decode(model, POSITION)
  model.counts.reset()
  await decode(model, POSITION)
  const dispatches = model.counts.dispatches.length
  await model.backend.dispose()
  return { bytes: meterDecode(architecture, POSITION + 1).total().weightBytes, dispatches }
}

if (import.meta.main) {
  const architectures = MODELS.map((name) => preset(name)!)
  const times = await encodeTimes(architectures)
  const figures: RooflineFigures[] = []
  for (const [i, architecture] of architectures.entries()) {
    const { bytes, dispatches } = await costOf(architecture)
    const { dispatches: encoded, ...host } = times[i]!
    if (encoded !== dispatches) throw new Error(`${MODELS[i]}: ${encoded} dispatches on the null backend, but ${dispatches} were counted`)
    figures.push({
      name: MODELS[i]!,
      decodeGB: Number((bytes / 1e9).toFixed(3)),
      dispatches,
      ...host,
      tokensPerSecond: DEVICES.map(([device, bandwidth]) => [
        device,
        ...DISPATCH_SECONDS.map((seconds) => Math.round(predicted(bytes, dispatches, bandwidth, seconds))),
      ]) as RooflineFigures['tokensPerSecond'],
    })
  }
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
