/**
 * Every matrix kernel of the wasm backend at the shapes of published models, as a share of the machine's limits measured in the same run,
 * interleaved: node bench/kernels/kernels.ts [--only REGEXP] [--rounds N] [--precision fast]
 */
import { parseArgs } from 'node:util'
import type { WeightSpec } from '../../src/ops/backend.ts'
import { BLOCK_FORMATS } from '../../src/ops/block-formats.ts'
import { type BlockDType, storedBytes } from '../../src/ops/dtype.ts'
import { size, type Tensor } from '../../src/ops/tensor.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { type Limits, limits } from './probe.ts'
import { fillRandom } from './random-weight.ts'

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: '.' },
    rounds: { type: 'string', default: '6' },
    precision: { type: 'string', default: 'faithful' },
  },
})

interface Case {
  name: string
  dtype: WeightSpec['dtype']
  shape: readonly number[]
  /** Rows of x. */
  T: number
  /** Chosen experts per row, for expert weights. */
  active?: number
}

const cases: Case[] = [
  { name: 'bf16 decode (head of 20b)', dtype: 'bf16', shape: [50272, 2880], T: 1 },
  { name: 'bf16 decode 4096 rows', dtype: 'bf16', shape: [4096, 2880], T: 1 },
  { name: 'f32 decode (GPT-2)', dtype: 'f32', shape: [50257, 768], T: 1 },
  { name: 'bf16 prefill 64', dtype: 'bf16', shape: [4096, 2880], T: 64 },
  { name: 'bf16 prefill 512', dtype: 'bf16', shape: [4096, 2880], T: 512 },
  { name: 'f32 prefill 512', dtype: 'f32', shape: [3072, 768], T: 512 },
  { name: 'bf16 batch 8', dtype: 'bf16', shape: [16384, 2880], T: 8 },
  { name: 'mxfp4 moe decode (20b)', dtype: 'mxfp4', shape: [32, 2880, 2880], T: 1, active: 4 },
  { name: 'mxfp4 moe batch 8', dtype: 'mxfp4', shape: [32, 2880, 2880], T: 8, active: 4 },
  { name: 'mxfp4 moe prefill 128', dtype: 'mxfp4', shape: [32, 2880, 2880], T: 128, active: 4 },
  { name: 'mxfp4 moe prefill 512', dtype: 'mxfp4', shape: [32, 2880, 2880], T: 512, active: 4 },
  // The block formats of GGUF at a width of Qwen3-8B; the matrix of decode is larger than caches.
  ...(Object.keys(BLOCK_FORMATS) as BlockDType[]).flatMap((dtype): Case[] => [
    { name: `${dtype} decode`, dtype, shape: [24576, 4096], T: 1 },
    { name: `${dtype} batch 4`, dtype, shape: [4096, 4096], T: 4 },
    { name: `${dtype} batch 16`, dtype, shape: [4096, 4096], T: 16 },
    { name: `${dtype} prefill 128`, dtype, shape: [2048, 4096], T: 128 },
  ]),
]

// Processor time of one thread, which other processes do not change.
const now = () => process.cpuUsage().user / 1e3

const backend = await createWasmBackend({ threads: 0, precision: flags.precision as 'faithful' | 'fast' })
const randomWeight = (name: string, dtype: Case['dtype'], shape: readonly number[], use: WeightSpec['use']): Promise<Tensor> =>
  backend.weight({ name, shape, dtype, use }, async (part, _, into) => fillRandom(dtype, part, into))

const normals = (count: number) => Float32Array.from({ length: count }, () => Math.random() * 2 - 1)

for (const { name, dtype, shape, T, active } of cases.filter((c) => new RegExp(flags.only).test(c.name))) {
  const width = shape.at(-1)!
  const weights: Tensor[] = []
  let run: () => Tensor
  let macs: number
  let bytes: number
  if (active) {
    const [E, , F] = shape as [number, number, number]
    const gateUp = await randomWeight('gateUp', dtype, [E, 2 * F, width], 'experts')
    const down = await randomWeight('down', dtype, [E, width, F], 'experts')
    const router = await randomWeight('router', 'bf16', [E, width], 'matrix')
    weights.push(gateUp, down)
    const x = backend.upload(normals(T * width), [T, width])
    // Decode visits other experts every time, as a model does: more than the caches hold.
    let turn = 0
    const inputs = Array.from({ length: 8 }, () => backend.upload(normals(T * width), [T, width]))
    run = () => {
      const input = T === 1 ? inputs[turn++ % 8]! : x
      const routing = backend.route(input, router, undefined, active, {
        kind: 'topkSoftmax',
        bias: false,
        auxLossCoef: 0,
      })
      return backend.moe(input, routing, { gateUp, down }, { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 })
    }
    macs = T * active * 3 * F * width
    bytes = storedBytes(dtype, 3 * F * width) * Math.min(E, T * active)
  } else {
    const weight = await randomWeight(name, dtype, shape, 'matrix')
    weights.push(weight)
    const x = backend.upload(normals(T * width), [T, width])
    run = () => backend.linear(x, weight)
    macs = T * size(shape)
    bytes = storedBytes(dtype, size(shape))
  }
  const times: number[] = []
  const probed: Limits[] = []
  const repeats = Math.max(1, Math.ceil(2e8 / macs))
  const once = async () => {
    let done: Promise<Float32Array> | undefined
    const start = now()
    backend.scope('bench', () => {
      for (let i = 1; i < repeats; i++) backend.scope('bench', run)
      const y = run()
      done = backend.read(y)
      return y
    })
    await done
    return (now() - start) / repeats / 1e3
  }
  for (let i = 0; i < 3; i++) await once()
  for (let i = 0; i < Number(flags.rounds); i++) {
    times.push(await once())
    probed.push(limits())
  }
  report(name, times, macs, bytes, probed, T)
}
await backend.dispose()

function report(name: string, times: number[], macs: number, bytes: number, probed: Limits[], T: number) {
  const sorted = [...times].sort((a, b) => a - b)
  const [best, median] = [sorted[0]!, sorted[sorted.length >> 1]!]
  const read = Math.max(...probed.map((l) => l.readBytesPerSecond))
  const madds = Math.max(...probed.map((l) => l.maddsPerSecond))
  const g = (value: number) => (value / 1e9).toFixed(1).padStart(6)
  const share = (value: number, of: number) => `${((100 * value) / of).toFixed(0).padStart(3)} %`
  const line = T === 1 ? `${g(bytes / best)} GB/s best ${g(bytes / median)} median ${share(bytes / best, read)} of ${g(read)}` : ''
  console.log(
    `${name.padEnd(28)} ${(median * 1e3).toFixed(2).padStart(8)} ms ${line} ${g(macs / best)} GMAC/s best ${g(macs / median)} median ${share(macs / best, madds)} of f32 ${g(madds)}`,
  )
}
