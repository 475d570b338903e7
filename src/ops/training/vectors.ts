/**
 * Parts of generated kernels: the exponential of four lanes, sums over lanes, loops over vectors of a row.
 * The exponential is a polynomial good to 2 units in the last place of f32. Cody & Waite 1980 (range reduction), Cephes expf (coefficients).
 */
import {
  type FunctionBuilder,
  f32,
  f32x4,
  type I32,
  i32,
  i32x4,
  type Local,
  type Memory,
  type Statement,
  type V128,
} from '../wasm/encoder.ts'

/** The same number in all lanes. Made before a loop it stays in a register; V8 makes constants inside of a loop anew in every turn. */
export const constant = (f: FunctionBuilder, value: number): Local<'v128'> => f.v128(f32x4.splat(value))

/** 1.5·2^23: a float of this size has no fraction, so adding it rounds, and the lowest bits are the integer. */
const ROUNDS = 12582912

/** Makes the constants of e^x, lanes of f32, and returns the function. Below -87.3 it is 0 or nearly so, above 88 it saturates. */
export function exponential(f: FunctionBuilder): (x: V128) => Local<'v128'> {
  const make = (value: number) => constant(f, value)
  const [most, least, perOctave, rounds, one] = [make(88), make(-87.3), make(Math.LOG2E), make(ROUNDS), make(1)]
  const [high, low] = [make(-0.693359375), make(2.1219444e-4)]
  const first = make(1.98756915e-4)
  const rest = [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1].map(make)
  const oneBits = f.v128(i32x4.splat(127 << 23))
  return (x) => {
    const clamped = f.v128(f32x4.pmax(f32x4.pmin(x, most), least))
    const shifted = f.v128(f32x4.add(f32x4.mul(clamped, perOctave), rounds))
    const n = f.v128(f32x4.sub(shifted, rounds))
    const r = f.v128(f32x4.relaxedMadd(n, low, f32x4.relaxedMadd(n, high, clamped)))
    let p = first
    for (const c of rest) p = f.v128(f32x4.relaxedMadd(p, r, c))
    const value = f.v128(f32x4.add(f32x4.relaxedMadd(p, f32x4.mul(r, r), r), one))
    return f.v128(f32x4.mul(value, i32x4.add(i32x4.shl(shifted, 23), oneBits)))
  }
}

/** Makes the constants of 1 / (1 + e^-z) and returns the function. */
export function logistic(f: FunctionBuilder): (z: V128) => Local<'v128'> {
  const exp = exponential(f)
  const one = constant(f, 1)
  return (z) => f.v128(f32x4.div(one, f32x4.add(one, exp(f32x4.neg(z)))))
}

export const lane = (x: V128, i: number) => f32x4.extractLane(x, i)
export const horizontalSum = (x: V128) => f32.add(f32.add(lane(x, 0), lane(x, 1)), f32.add(lane(x, 2), lane(x, 3)))
export const horizontalMax = (x: V128) => f32.max(f32.max(lane(x, 0), lane(x, 1)), f32.max(lane(x, 2), lane(x, 3)))

/**
 * Visits vectors that lie at `pointers`, `bytes` of them, and moves the pointers behind them. Neighbouring pairs are visited together, so that
 * V8 may join them (ops/wasm/features.ts, `wide`). `body` computes at `shift` bytes behind the pointers and returns what stores the results.
 */
export function eachVector(
  f: FunctionBuilder,
  bytes: I32,
  pointers: readonly Local<'i32'>[],
  body: (shift: 0 | 16) => readonly Statement[],
): void {
  const advance = (step: number) => {
    for (const pointer of pointers) f.advance(pointer, step)
  }
  f.times(f.i32(i32.shrU(bytes, 5)), () => {
    const low = body(0)
    const high = body(16)
    for (const [i, statement] of low.entries()) f.do(high[i]!, statement) // the upper one first: so they may be joined
    advance(32)
  })
  f.if(i32.and(bytes, 16), () => {
    f.do(...body(0))
    advance(16)
  })
}

/** Reads, writes and sums of a vector at a byte offset from a pointer. */
export const vectorsOf = (memory: Memory) => ({
  at: (base: Local<'i32'>, offset: Local<'i32'>): V128 => memory.v128(i32.add(base, offset)),
  put: (base: Local<'i32'>, offset: Local<'i32'>, value: V128): Statement => memory.storeV128(i32.add(base, offset), value),
  /** What adds to memory; the sum is computed here. */
  addAt(f: FunctionBuilder, to: Local<'i32'>, value: V128, shift = 0): Statement {
    return memory.storeV128(to, f.v128(f32x4.add(memory.v128(to, shift), value)), shift)
  },
})
