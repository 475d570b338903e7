/**
 * The limits of one thread of this machine, in processor time: bytes read per second and f32 multiply-adds per second. Speeds of kernels
 * are given as shares of these limits, measured alternately in the same process.
 */
import { f32x4, i32, ModuleBuilder, v128 } from '../../src/ops/wasm/encoder.ts'
import { compile } from '../../src/ops/wasm/host.ts'

const BYTES = 256 << 20
const MADDS_PER_TURN = 32
const TURNS = 400_000

const module = new ModuleBuilder()
const memory = module.memory(false)
module.func('read', { from: 'i32', bytes: 'i32' }, (f, { from, bytes }) => {
  const sums = Array.from({ length: 8 }, () => f.v128(v128.zero()))
  f.times(i32.shrU(bytes, 8), () => {
    for (let i = 0; i < 16; i++) f.set(sums[i % 8]!, v128.xor(sums[i % 8]!, memory.v128(from, i * 16)))
    f.advance(from, 256)
  })
  f.do(
    memory.storeV128(
      0,
      sums.reduce((a, b) => v128.xor(a, b) as typeof a),
    ),
  )
})
module.func('madd', { turns: 'i32' }, (f, { turns }) => {
  const sums = Array.from({ length: 16 }, (_, i) => f.v128(f32x4.splat(i)))
  const [a, b] = [f.v128(memory.splat32(0, 16)), f.v128(memory.splat32(0, 20))]
  f.times(turns, () => {
    for (let i = 0; i < MADDS_PER_TURN; i++) f.set(sums[i % 16]!, f32x4.relaxedMadd(a!, b!, sums[i % 16]!))
  })
  for (let i = 15; i >= 0; i--) f.do(memory.storeV128(1024, sums[i]!, 16 * i))
})

const heap = new WebAssembly.Memory({ initial: BYTES / 65536 + 1, maximum: BYTES / 65536 + 1 })
new Uint8Array(heap.buffer).fill(1)
new Float32Array(heap.buffer).set([1e-9, 1], 4)
const { read, madd } = new WebAssembly.Instance(await compile(module.encode(), true), { memory: { 0: heap } }).exports as Record<
  'read' | 'madd',
  (...args: number[]) => void
>

const seconds = (body: () => void) => {
  const start = process.cpuUsage().user
  body()
  return (process.cpuUsage().user - start) / 1e6
}

export interface Limits {
  readBytesPerSecond: number
  maddsPerSecond: number
}

/** About a quarter of a second. */
export function limits(): Limits {
  const middle = (times: number[]) => times.sort((a, b) => a - b)[1]!
  const reading = middle([0, 1, 2].map(() => seconds(() => read(64, BYTES))))
  const multiplying = middle([0, 1, 2].map(() => seconds(() => madd(TURNS))))
  return { readBytesPerSecond: BYTES / reading, maddsPerSecond: (TURNS * MADDS_PER_TURN * 4) / multiplying }
}
