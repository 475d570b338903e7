/** Generated SIMD for causal attention in training: rows of scores to probabilities, and back. */
import { f32, f32x4, i32, i32x4, type Local, type Memory, type ModuleBuilder, type V128, v128 } from '../wasm/encoder.ts'
import { exponential, horizontalMax, horizontalSum, lane } from './vectors.ts'

const LANES = i32x4.const([0, 1, 2, 3])

export function attentionKernels(module: ModuleBuilder, memory: Memory): void {
  /** All bits where low <= column + lane <= t. */
  const inside = (column: Local<'i32'>, low: Local<'i32'>, t: Local<'i32'>): V128 => {
    const index = i32x4.add(i32x4.splat(column), LANES)
    return v128.andNot(i32x4.gtS(i32x4.add(i32x4.splat(t), i32x4.splat(1)), index), i32x4.gtS(i32x4.splat(low), index))
  }
  module.func(
    'softmaxCausal',
    { p: 'i32', n: 'i32', stride: 'i32', window: 'i32', scale: 'f32', sink: 'f32', hasSink: 'i32' },
    (f, { p, n, stride, window, scale, sink, hasSink }) => {
      const exp = exponential(f)
      const scales = f.v128(f32x4.splat(scale))
      const bytes = f.i32(i32.shl(stride, 2))
      f.for(0, n, 1, (t) => {
        const low = f.i32(i32.sub(i32.add(t, 1), window))
        f.set(low, i32.select(i32.ltS(low, 0), 0, low))
        const start = f.i32(i32.and(low, -4))
        const end = f.i32(i32.add(t, 1))
        const largest = f.v128(f32x4.splat(f32.select(hasSink, sink, -3e38)))
        const mask = f.v128()
        f.for(start, end, 4, (s) => {
          const at = i32.add(p, i32.shl(s, 2))
          f.set(largest, f32x4.pmax(largest, v128.bitselect(f32x4.mul(memory.v128(at), scales), largest, inside(s, low, t))))
        })
        const top = f.f32(horizontalMax(largest))
        const tops = f.v128(f32x4.splat(top))
        const sums = f.v128(v128.zero())
        f.for(start, end, 4, (s) => {
          const at = f.i32(i32.add(p, i32.shl(s, 2)))
          f.set(mask, inside(s, low, t))
          const e = f.v128(v128.and(exp(f32x4.sub(f32x4.mul(memory.v128(at), scales), tops)), mask))
          f.do(memory.storeV128(at, e))
          f.set(sums, f32x4.add(sums, e))
        })
        const total = f.f32(horizontalSum(sums))
        f.if(hasSink, () => f.set(total, f32.add(total, lane(exp(f32x4.splat(f32.sub(sink, top))), 0))))
        const inverse = f.v128(f32x4.splat(f32.div(1, total)))
        f.do(memory.fill(p, 0, i32.shl(start, 2)))
        f.for(start, end, 4, (s) => {
          const at = f.i32(i32.add(p, i32.shl(s, 2)))
          f.do(memory.storeV128(at, f32x4.mul(memory.v128(at), inverse)))
        })
        const rest = f.i32(i32.shl(i32.and(i32.add(t, 4), -4), 2))
        f.do(memory.fill(i32.add(p, rest), 0, i32.sub(bytes, rest)))
        f.advance(p, bytes)
      })
    },
  )
  module.func(
    'softmaxCausalBackward',
    { p: 'i32', d: 'i32', n: 'i32', stride: 'i32', scale: 'f32' },
    (f, { p, d, n, stride, scale }) => {
      const bytes = f.i32(i32.shl(stride, 2))
      const sink = f.f32(0)
      const zero = f.i32(0)
      const scales = f.v128(f32x4.splat(scale))
      f.for(0, n, 1, (t) => {
        const dots = f.v128(v128.zero())
        const masses = f.v128(v128.zero())
        const end = f.i32(i32.add(t, 1))
        f.for(0, end, 4, (s) => {
          const offset = f.i32(i32.shl(s, 2))
          const probability = f.v128(memory.v128(i32.add(p, offset)))
          // Columns beyond t hold whatever was there before: masked, not multiplied by zero.
          const slope = f.v128(v128.and(memory.v128(i32.add(d, offset)), inside(s, zero, t)))
          f.set(dots, f32x4.add(dots, f32x4.mul(probability, slope)))
          f.set(masses, f32x4.add(masses, probability))
          f.do(memory.storeV128(i32.add(d, offset), slope))
        })
        const dot = f.f32(horizontalSum(dots))
        f.set(sink, f32.add(sink, f32.mul(f32.sub(1, horizontalSum(masses)), dot)))
        const all = f.v128(f32x4.splat(dot))
        f.for(0, end, 4, (s) => {
          const offset = f.i32(i32.shl(s, 2))
          const at = f.i32(i32.add(d, offset))
          f.do(memory.storeV128(at, f32x4.mul(f32x4.mul(memory.v128(i32.add(p, offset)), f32x4.sub(memory.v128(at), all)), scales)))
        })
        const rest = f.i32(i32.shl(i32.and(i32.add(t, 4), -4), 2))
        f.do(memory.fill(i32.add(d, rest), 0, i32.sub(bytes, rest)))
        f.advance(p, bytes)
        f.advance(d, bytes)
      })
      return sink
    },
    'f32',
  )
}
