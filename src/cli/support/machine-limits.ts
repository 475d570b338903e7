/**
 * The limits of this machine, measured in WebAssembly with all threads at once: bytes read from memory per
 * second, and multiply-adds per second on registers. Speeds of models are given as shares of them.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { type FunctionBuilder, f32x4, i8x16, i16x8, ModuleBuilder, type V128, v128 } from '../../ops/wasm/encoder.ts'
import { type Features, probeFeatures } from '../../ops/wasm/features.ts'
import { compileNow } from '../../ops/wasm/host.ts'

export interface MachineLimits {
  threads: number
  /** Best and median of the rounds, summed over the threads. */
  readBytesPerSecond: { best: number; median: number }
  /** Multiply-adds per second in f32, and in int8 where the machine has a dot product. */
  f32PerSecond: number
  int8PerSecond: number | null
}

/** Far larger than any CPU cache. */
const MEMORY_BYTES = 1 << 30
const WARM_UPS = 3
const ROUNDS = 8
const TURNS = 1 << 21
/** Independent sums that hide the latency of a multiply-add, also where the compiler joins two vectors. */
const chainsOf = (features: Features) => (features.wide ? 16 : 8)

const here = fileURLToPath(import.meta.url)

/** Takes about two seconds and 1 GiB of memory, in a separate process that releases the memory. */
export async function machineLimits(threads: number): Promise<MachineLimits> {
  const { stdout } = await promisify(execFile)(process.execPath, [here, String(threads)])
  return JSON.parse(stdout)
}

async function measure(threads: number): Promise<MachineLimits> {
  const features = probeFeatures()
  const memory = new WebAssembly.Memory({ initial: MEMORY_BYTES / 65536, maximum: MEMORY_BYTES / 65536, shared: true })
  const module = compileNow(probeModule(features), features.wide)
  const chains = chainsOf(features)
  const barrier = new SharedArrayBuffer(8)
  const share = Math.floor(MEMORY_BYTES / threads / 128) * 128
  const task = { memory, module, barrier, threads, share, turns: TURNS, warmUps: WARM_UPS, rounds: ROUNDS }
  const measured = await Promise.all(
    Array.from({ length: threads }, (_, index) => {
      const worker = new Worker(here.replace(/\.(ts|js)$/, '-worker.$1'), { workerData: { ...task, index } })
      return new Promise<Record<'read' | 'f32' | 'int8', number[]>>((resolve, reject) => {
        worker.once('message', resolve)
        worker.once('error', reject)
      }).finally(() => worker.terminate())
    }),
  )
  /** Work per second of every round, summed over all threads, ascending. */
  const rates = (kind: 'read' | 'f32' | 'int8', work: number) =>
    Array.from({ length: ROUNDS }, (_, round) => measured.reduce((sum, times) => sum + (1000 * work) / times[kind][round]!, 0)).sort(
      (a, b) => a - b,
    )
  const read = rates('read', 2 * share)
  return {
    threads,
    readBytesPerSecond: { best: read.at(-1)!, median: read[ROUNDS / 2]! },
    f32PerSecond: rates('f32', TURNS * chains * 4).at(-1)!,
    int8PerSecond: features.relaxedSimd ? rates('int8', TURNS * chains * 16).at(-1)! : null,
  }
}

const all = (sums: readonly V128[]): V128 => sums.reduce((a, b) => v128.xor(a, b))

/** read(from, to): loads every byte. f32(turns), int8(turns): multiply-adds in registers. */
function probeModule(features: Features): Uint8Array<ArrayBuffer> {
  const { relaxedSimd: relaxed } = features
  const length = chainsOf(features)
  const module = new ModuleBuilder()
  const memory = module.memory(true)
  /** Stores the sums, so that no compiler removes them, in the order in which pairs can be joined. */
  const keep = (f: FunctionBuilder, sums: readonly V128[]) => {
    for (let i = sums.length - 1; i >= 0; i--) f.do(memory.storeV128(0, sums[i]!, 16 * i))
  }
  module.func(
    'read',
    { from: 'i32', to: 'i32' },
    (f, { from, to }) => {
      const sums = Array.from({ length: 8 }, () => f.v128(v128.zero()))
      f.for(from, to, 128, (at) => {
        for (const [n, sum] of sums.entries()) f.set(sum, v128.xor(sum, memory.v128(at, 16 * n)))
      })
      return v128.anyTrue(all(sums))
    },
    'i32',
  )
  module.func('f32', { turns: 'i32' }, (f, { turns }) => {
    const x = f.v128(f32x4.splat(1))
    const sums = Array.from({ length }, () => f.v128(v128.zero()))
    f.times(turns, () => {
      for (const sum of sums) f.set(sum, relaxed ? f32x4.relaxedMadd(x, x, sum) : f32x4.add(sum, f32x4.mul(x, x)))
    })
    keep(f, sums)
  })
  if (!relaxed) return module.encode()
  module.func('int8', { turns: 'i32' }, (f, { turns }) => {
    // The factors differ between turns and chains: a compiler could move equal products out of the loop.
    const left = [1, 2].map((first) => f.v128(i8x16.splat(first)))
    const right = [3, 5, 7, 9].map((value) => f.v128(i8x16.splat(value)))
    const sums = Array.from({ length }, () => f.v128(v128.zero()))
    f.times(turns, () => {
      for (const x of left) f.set(x, v128.xor(x, right[0]!))
      for (const [n, sum] of sums.entries()) f.set(sum, i16x8.add(sum, i16x8.relaxedDotI8x16I7x16S(left[n >> 3]!, right[(n >> 1) & 3]!)))
    })
    keep(f, sums)
  })
  return module.encode()
}

if (process.argv[1] === here) process.stdout.write(JSON.stringify(await measure(Number(process.argv[2]))))
