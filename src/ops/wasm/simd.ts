/**
 * Instructions that depend on the engine's features, and the small vector idioms the kernels share: exponentials, sums
 * over lanes, loops with a tail. Polynomials for exp and tanh are those of Cephes (Moshier 1992), accurate to about two
 * units in the last place of f32; erf is Abramowitz & Stegun 7.1.26 (absolute error 1.5e-7).
 */
import {
  type Expr,
  type FunctionBuilder,
  f32,
  f32x4,
  type Int,
  i8x16,
  i16x8,
  i32,
  i32x4,
  type Local,
  type Memory,
  type ModuleBuilder,
  type V128,
  v128,
} from './encoder.ts'
import type { Features } from './features.ts'
import { CONSTANT_BYTES } from './layout.ts'

/** Everything a kernel needs to emit itself: the module, its two memories and the instructions available. */
export class KernelModule {
  readonly module: ModuleBuilder
  readonly features: Features
  /** Memory of activations, results and scratch. */
  readonly heap: Memory
  /** Memory that holds the weight (or cache) of the call; the same as `heap` for weights that live there. */
  readonly weights: Memory
  /** Address of its vector constants in the heap. */
  readonly #constantsAt: number

  /** `weightsFirst`: the weights are the first memory. Only in that one the engine joins neighbouring loads and stores (`wide`). */
  constructor(module: ModuleBuilder, features: Features, shared: boolean, constantsAt: number, weightsFirst = false) {
    this.#constantsAt = constantsAt
    this.module = module
    this.features = features
    const first = module.memory(shared)
    const second = features.multiMemory ? module.memory(shared) : first
    this.heap = weightsFirst ? second : first
    this.weights = weightsFirst ? first : second
  }

  readonly #pool: number[] = []

  /**
   * A vector constant that lies in the heap. V8 builds a constant anew at every use, also in loops (three instructions, one of them a slow move
   * between register files); loading it is one instruction.
   */
  constant(words: readonly [number, number, number, number]): V128 {
    let index = 0
    while (index < this.#pool.length && !words.every((word, i) => this.#pool[index + i] === word)) index += 4
    if (index === this.#pool.length) this.#pool.push(...words)
    if (this.#pool.length * 4 > CONSTANT_BYTES) throw new RangeError('the kernels have too many constants; raise CONSTANT_BYTES')
    return this.heap.v128(0, this.#constantsAt + index * 4)
  }

  /** Four times the same number. */
  splat(value: number): V128 {
    const word = new Int32Array(Float32Array.of(value).buffer)[0]!
    return this.constant([word, word, word, word])
  }

  splatInteger(value: number): V128 {
    return this.constant([value | 0, value | 0, value | 0, value | 0])
  }

  /** Sixteen bytes. */
  bytes(values: readonly number[]): V128 {
    const [a, b, c, d] = new Int32Array(Int8Array.from(values).buffer)
    return this.constant([a!, b!, c!, d!])
  }

  /** What has to lie at `constantsAt` before a kernel runs. */
  constants(): Int32Array {
    return Int32Array.from(this.#pool)
  }

  /** a·b + c, fused where the engine can. */
  madd(a: V128, b: V128, c: V128): V128 {
    return this.features.relaxedSimd ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
  }

  /** Table look-up; every index must be 0…15, or 128…255 for a zero. */
  lookup(table: V128, index: V128): V128 {
    return this.features.relaxedSimd ? i8x16.relaxedSwizzle(table, index) : i8x16.swizzle(table, index)
  }

  /** The 32-bit lane `lane` in all four lanes. */
  broadcast(a: V128, lane: number): V128 {
    const bytes = [0, 1, 2, 3].map((i) => 4 * lane + i)
    return i8x16.shuffle(a, a, [...bytes, ...bytes, ...bytes, ...bytes])
  }

  /** Eight sums of two neighbouring products: signed bytes of `a` times bytes of `b`, which must lie in 0…127. `a` and `b` must be cheap to repeat. */
  dotPairs(a: V128, b: V128): V128 {
    if (this.features.relaxedSimd) return i16x8.relaxedDotI8x16I7x16S(a, b)
    const even = i16x8.mul(i16x8.shrS(i16x8.shl(a, 8), 8), v128.and(b, i16x8.splat(0xff)))
    return i16x8.add(even, i16x8.mul(i16x8.shrS(a, 8), i16x8.shrU(b, 8)))
  }

  /** sum += product, or sum = product if it is the first. */
  accumulate(f: FunctionBuilder, sum: Local<'v128'>, product: V128, first: boolean): void {
    f.set(sum, first ? product : i32x4.add(sum, product))
  }

  /** Truncation of values known to fit into i32. */
  truncate(a: V128): V128 {
    return this.features.relaxedSimd ? i32x4.relaxedTruncF32x4S(a) : i32x4.truncSatF32x4S(a)
  }

  /** e^x; below -87.3 zero, above 88 e^88. */
  exp(f: FunctionBuilder, value: V128): Local<'v128'> {
    const splat = (number: number) => this.splat(number)
    const x = f.v128(value)
    const y = f.v128(f32x4.pmin(splat(88), f32x4.pmax(splat(-87.3), x)))
    const n = f.v128(f32x4.nearest(f32x4.mul(y, splat(Math.LOG2E))))
    f.set(y, this.madd(n, splat(-0.693359375), y))
    f.set(y, this.madd(n, splat(2.1219444e-4), y))
    const p = f.v128(splat(1.98756915e-4))
    for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])
      f.set(p, this.madd(p, y, splat(c)))
    f.set(p, f32x4.add(this.madd(p, f32x4.mul(y, y), y), splat(1)))
    const power = i32x4.shl(i32x4.add(this.truncate(n), this.splatInteger(127)), 23)
    f.set(p, v128.and(f32x4.mul(p, power), f32x4.gt(x, splat(-87.3))))
    return p
  }

  tanh(f: FunctionBuilder, value: V128): Local<'v128'> {
    const splat = (number: number) => this.splat(number)
    const x = f.v128(value)
    const z = f.v128(f32x4.mul(x, x))
    const small = f.v128(splat(-5.70498872745e-3))
    for (const c of [2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]) f.set(small, this.madd(small, z, splat(c)))
    f.set(small, this.madd(f32x4.mul(small, z), x, x))
    const e = this.exp(f, f32x4.mul(f32x4.abs(x), splat(2)))
    f.set(e, f32x4.sub(splat(1), f32x4.div(splat(2), f32x4.add(e, splat(1)))))
    f.set(e, v128.bitselect(x, e, this.splatInteger(0x80000000)))
    f.set(e, v128.bitselect(small, e, f32x4.lt(f32x4.abs(x), splat(0.625))))
    return e
  }

  erf(f: FunctionBuilder, value: V128): Local<'v128'> {
    const splat = (number: number) => this.splat(number)
    const x = f.v128(value)
    const size = f.v128(f32x4.abs(x))
    const t = f.v128(f32x4.div(splat(1), this.madd(size, splat(0.3275911), splat(1))))
    const p = f.v128(splat(1.061405429))
    for (const c of [-1.453152027, 1.421413741, -0.284496736, 0.254829592]) f.set(p, this.madd(p, t, splat(c)))
    const e = this.exp(f, f32x4.neg(f32x4.mul(size, size)))
    f.set(e, f32x4.sub(splat(1), f32x4.mul(f32x4.mul(p, t), e)))
    f.set(e, v128.bitselect(x, e, this.splatInteger(0x80000000)))
    return e
  }

  /** Stores vectors one behind the other, the last one first: the engine can join pairs that are stored in this order (features.ts, `wide`). */
  storeRun(f: FunctionBuilder, to: Int, vectors: readonly V128[], offset = 0, memory = this.heap): void {
    for (let i = vectors.length - 1; i >= 0; i--) f.do(memory.storeV128(to, vectors[i]!, offset + i * 16))
  }

  /** Sum of the four lanes. */
  sum(f: FunctionBuilder, value: V128): Expr<'f32'> {
    const a = f.v128(value)
    f.set(a, f32x4.add(a, i8x16.shuffle(a, a, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])))
    return f32.add(f32x4.extractLane(a, 0), f32x4.extractLane(a, 1))
  }

  /** [Σa, Σb, Σc, Σd] of four vectors. */
  sum4(vectors: readonly V128[]): V128 {
    const [a, b, c, d] = vectors
    const low = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
    const high = low.map((lane) => lane + 8)
    const pair = (p: V128, q: V128) => f32x4.add(i8x16.shuffle(p, q, low), i8x16.shuffle(p, q, high))
    const ab = pair(a!, b!)
    const cd = pair(c!, d!)
    const lower = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
    return f32x4.add(
      i8x16.shuffle(ab, cd, lower),
      i8x16.shuffle(
        ab,
        cd,
        lower.map((lane) => lane + 8),
      ),
    )
  }

  /** Largest lane, in all lanes. */
  max(f: FunctionBuilder, value: V128): Local<'v128'> {
    const a = f.v128(value)
    f.set(a, f32x4.pmax(a, i8x16.shuffle(a, a, [8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7])))
    f.set(a, f32x4.pmax(a, i8x16.shuffle(a, a, [4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11])))
    return a
  }

  /**
   * Walks `count` f32 values along several pointers: four at a time, then one at a time. The body loads with `load(pointer)`
   * and stores with `store(pointer, value)`; lanes beyond the first are zero in single steps. Pointers end behind the last value.
   */
  walk(f: FunctionBuilder, count: Int, pointers: readonly Local<'i32'>[], body: (step: Step) => void): void {
    const step = (bytes: 4 | 16): Step => ({
      single: bytes === 4,
      load: (p, memory = this.heap) => (bytes === 16 ? memory.v128(p) : memory.zero32(p)),
      store: (p, value, memory = this.heap) => f.do(bytes === 16 ? memory.storeV128(p, value) : memory.storeLow32(p, value)),
    })
    f.times(i32.shrU(count, 2), () => {
      body(step(16))
      for (const p of pointers) f.advance(p, 16)
    })
    f.times(i32.and(count, 3), () => {
      body(step(4))
      for (const p of pointers) f.advance(p, 4)
    })
  }
}

export interface Step {
  readonly single: boolean
  load(pointer: Local<'i32'>, memory?: Memory): V128
  store(pointer: Local<'i32'>, value: V128, memory?: Memory): void
}

/**
 * The two halves of eight bf16 values as f32, in order. `zero` should be a local read from memory (`f.v128(k.splat(0))`): a constant would be made anew
 * at every use.
 */
export const bf16Low = (w: V128, zero: V128): V128 => i8x16.shuffle(zero, w, [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23])
export const bf16High = (w: V128, zero: V128): V128 =>
  i8x16.shuffle(zero, w, [8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31])

/** Pieces of `bytes` bytes, alternately from a and b: from their lower or their upper halves. */
export function interleave(a: V128, b: V128, bytes: 2 | 4 | 8, half: 'low' | 'high'): V128 {
  const start = half === 'low' ? 0 : 8
  const lanes = Array.from({ length: 16 }, (_, i) => {
    const piece = Math.floor(i / bytes)
    return start + Math.floor(piece / 2) * bytes + (i % bytes) + (piece % 2) * 16
  })
  return i8x16.shuffle(a, b, lanes)
}

/** 4 × 4 words of four vectors, transposed. */
export function transpose(f: FunctionBuilder, rows: readonly V128[]): V128[] {
  const low = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
  const high = low.map((lane) => lane + 8)
  const first = [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]
  const second = first.map((lane) => lane + 8)
  const [a, b, c, d] = rows as [V128, V128, V128, V128]
  const [ab, abHigh, cd, cdHigh] = [
    f.v128(i8x16.shuffle(a, b, low)),
    f.v128(i8x16.shuffle(a, b, high)),
    f.v128(i8x16.shuffle(c, d, low)),
    f.v128(i8x16.shuffle(c, d, high)),
  ]
  return [
    i8x16.shuffle(ab, cd, first),
    i8x16.shuffle(ab, cd, second),
    i8x16.shuffle(abHigh, cdHigh, first),
    i8x16.shuffle(abHigh, cdHigh, second),
  ]
}

/** 8 × 8 halves of 32-bit words, transposed. */
export function transpose8(f: FunctionBuilder, rows: readonly V128[]): V128[] {
  let from = rows
  for (const bytes of [2, 4, 8] as const) {
    const distance = bytes / 2
    const to: V128[] = []
    for (let i = 0; i < 8; i++)
      if ((i & distance) === 0) {
        to[i] = f.v128(interleave(from[i]!, from[i + distance]!, bytes, 'low'))
        to[i + distance] = f.v128(interleave(from[i]!, from[i + distance]!, bytes, 'high'))
      }
    from = to
  }
  // Each round split by one bit of the index, so that the bits are in reverse order now.
  return [0, 4, 2, 6, 1, 5, 3, 7].map((i) => from[i]!)
}
