/** Generated SIMD for GELU and the gated activations, with their slopes. */
import { type FunctionBuilder, f32x4, i8x16, i32, type Local, type Memory, type ModuleBuilder, type V128, v128 } from '../wasm/encoder.ts'
import { constant, eachVector, logistic, vectorsOf } from './vectors.ts'

export function activationKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put, addAt } = vectorsOf(memory)
  const form = { alpha: 'f32', limit: 'f32', plus: 'f32' } as const
  /** Makes the constants of a gated activation and returns its value and its slopes, times d. */
  const gated = (f: FunctionBuilder, p: { alpha: Local<'f32'>; limit: Local<'f32'>; plus: Local<'f32'> }) => {
    const sigmoid = logistic(f)
    const [alpha, limit, plus] = [f.v128(f32x4.splat(p.alpha)), f.v128(f32x4.splat(p.limit)), f.v128(f32x4.splat(p.plus))]
    const least = f.v128(f32x4.neg(limit))
    const one = constant(f, 1)
    const clampUp = (up: V128) => f.v128(f32x4.pmax(f32x4.pmin(up, limit), least))
    const value = (gate: V128, up: V128): Local<'v128'> => {
      const g = f.v128(f32x4.pmin(gate, limit))
      const sigma = sigmoid(f32x4.mul(alpha, g))
      return f.v128(f32x4.mul(f32x4.mul(g, sigma), f32x4.add(clampUp(up), plus)))
    }
    const slopes = (gate: V128, up: V128, d: V128) => {
      const g = f.v128(f32x4.pmin(gate, limit))
      const u = clampUp(up)
      const sigma = sigmoid(f32x4.mul(alpha, g))
      const inner = f32x4.add(one, f32x4.mul(f32x4.mul(alpha, g), f32x4.sub(one, sigma)))
      const dGate = f.v128(v128.and(f32x4.mul(f32x4.mul(d, f32x4.add(u, plus)), f32x4.mul(sigma, inner)), f32x4.le(gate, limit)))
      const dUp = f.v128(v128.and(f32x4.mul(f32x4.mul(d, g), sigma), f32x4.eq(u, up)))
      return { dGate, dUp }
    }
    return { value, slopes }
  }
  const EVEN = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
  const ODD = EVEN.map((i) => i + 4)
  const LOW = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
  const HIGH = LOW.map((i) => i + 8)
  const shuffle = i8x16.shuffle
  const unmix = (f: FunctionBuilder, mixed: Local<'i32'>, offset: Local<'i32'>) => {
    const from = f.i32(i32.add(mixed, i32.shl(offset, 1)))
    const a = f.v128(memory.v128(from))
    const b = f.v128(memory.v128(from, 16))
    return { gate: f.v128(shuffle(a, b, EVEN)), up: f.v128(shuffle(a, b, ODD)) }
  }

  const pointers = { gate: 'i32', up: 'i32', dOut: 'i32', dGate: 'i32', dUp: 'i32' } as const
  module.func('gatedSplit', { gate: 'i32', up: 'i32', out: 'i32', count: 'i32', ...form }, (f, p) => {
    const { value } = gated(f, p)
    eachVector(f, i32.shl(p.count, 2), [p.gate, p.up, p.out], (shift) => {
      const [gate, up] = [f.v128(memory.v128(p.gate, shift)), f.v128(memory.v128(p.up, shift))]
      return [memory.storeV128(p.out, value(gate, up), shift)]
    })
  })
  module.func('gatedSplitBackward', { ...pointers, count: 'i32', ...form }, (f, p) => {
    const { slopes } = gated(f, p)
    eachVector(f, i32.shl(p.count, 2), [p.gate, p.up, p.dOut, p.dGate, p.dUp], (shift) => {
      const [gate, up] = [f.v128(memory.v128(p.gate, shift)), f.v128(memory.v128(p.up, shift))]
      const { dGate, dUp } = slopes(gate, up, f.v128(memory.v128(p.dOut, shift)))
      return [addAt(f, p.dGate, dGate, shift), addAt(f, p.dUp, dUp, shift)]
    })
  })
  module.func('gatedInterleaved', { gate: 'i32', up: 'i32', out: 'i32', count: 'i32', ...form }, (f, p) => {
    const { value } = gated(f, p)
    f.for(0, f.i32(i32.shl(p.count, 2)), 16, (o) => {
      const { gate, up } = unmix(f, p.gate, o)
      f.do(put(p.out, o, value(gate, up)))
    })
  })
  module.func('gatedInterleavedBackward', { ...pointers, count: 'i32', ...form }, (f, p) => {
    const { slopes } = gated(f, p)
    f.for(0, f.i32(i32.shl(p.count, 2)), 16, (o) => {
      const { gate, up } = unmix(f, p.gate, o)
      const { dGate, dUp } = slopes(gate, up, f.v128(at(p.dOut, o)))
      const to = f.i32(i32.add(p.dGate, i32.shl(o, 1)))
      f.do(memory.storeV128(to, shuffle(dGate, dUp, LOW)), memory.storeV128(to, shuffle(dGate, dUp, HIGH), 16))
    })
  })

  // gelu(x) = x·σ(2·sqrt(2/π)·(x + 0.044715·x³)), the tanh form rewritten.
  const ROOT = 2 * Math.sqrt(2 / Math.PI)
  const CUBE = 0.044715
  const gelu = (f: FunctionBuilder) => {
    const sigmoid = logistic(f)
    const [root, cube, slopeCube, one] = [constant(f, ROOT), constant(f, CUBE), constant(f, 3 * CUBE), constant(f, 1)]
    /** root·(1 + factor·x²) */
    const inner = (x: V128, factor: V128) => f32x4.mul(root, f32x4.add(one, f32x4.mul(factor, f32x4.mul(x, x))))
    const sigma = (x: V128) => sigmoid(f32x4.mul(f32x4.mul(root, x), f32x4.add(one, f32x4.mul(cube, f32x4.mul(x, x)))))
    const slope = (x: V128): V128 => {
      const s = sigma(x)
      return f32x4.add(s, f32x4.mul(f32x4.mul(x, inner(x, slopeCube)), f32x4.mul(s, f32x4.sub(one, s))))
    }
    return { sigma, slope }
  }
  module.func('geluTanh', { x: 'i32', out: 'i32', count: 'i32' }, (f, p) => {
    const { sigma } = gelu(f)
    eachVector(f, i32.shl(p.count, 2), [p.x, p.out], (shift) => {
      const x = f.v128(memory.v128(p.x, shift))
      return [memory.storeV128(p.out, f.v128(f32x4.mul(x, sigma(x))), shift)]
    })
  })
  module.func('geluTanhBackward', { x: 'i32', dOut: 'i32', dx: 'i32', count: 'i32' }, (f, p) => {
    const { slope } = gelu(f)
    eachVector(f, i32.shl(p.count, 2), [p.x, p.dOut, p.dx], (shift) => {
      const x = f.v128(memory.v128(p.x, shift))
      return [addAt(f, p.dx, f32x4.mul(memory.v128(p.dOut, shift), slope(x)), shift)]
    })
  })
}
