/** Generated SIMD for sums, exponentials of rows, rotations and AdamW. */
import { type FunctionBuilder, f32, f32x4, i32, type Local, type Memory, type ModuleBuilder, v128 } from '../wasm/encoder.ts'
import { constant, eachVector, exponential, horizontalMax, horizontalSum, lane, vectorsOf } from './vectors.ts'

export function sumKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put } = vectorsOf(memory)
  const whole = (f: FunctionBuilder, count: Local<'i32'>) => f.i32(i32.shl(i32.and(count, -4), 2))
  const all = (f: FunctionBuilder, count: Local<'i32'>) => f.i32(i32.shl(count, 2))
  module.func(
    'rowMax',
    { x: 'i32', count: 'i32' },
    (f, p) => {
      const largest = constant(f, -3e38)
      const bytes = whole(f, p.count)
      f.for(0, bytes, 16, (offset) => f.set(largest, f32x4.pmax(largest, at(p.x, offset))))
      const top = f.f32(horizontalMax(largest))
      f.for(bytes, all(f, p.count), 4, (offset) => f.set(top, f32.max(top, memory.f32(i32.add(p.x, offset)))))
      return top
    },
    'f32',
  )
  module.func(
    'expRow',
    { x: 'i32', out: 'i32', count: 'i32', max: 'f32' },
    (f, p) => {
      const exp = exponential(f)
      const tops = f.v128(f32x4.splat(p.max))
      const sums = f.v128(v128.zero())
      const bytes = whole(f, p.count)
      f.for(0, bytes, 16, (offset) => {
        const e = exp(f32x4.sub(at(p.x, offset), tops))
        f.do(put(p.out, offset, e))
        f.set(sums, f32x4.add(sums, e))
      })
      const total = f.f32(horizontalSum(sums))
      f.for(bytes, all(f, p.count), 4, (offset) => {
        const e = f.f32(lane(exp(f32x4.splat(f32.sub(memory.f32(i32.add(p.x, offset)), p.max))), 0))
        f.do(memory.storeF32(i32.add(p.out, offset), e))
        f.set(total, f32.add(total, e))
      })
      return total
    },
    'f32',
  )
  module.func('sum', { a: 'i32', b: 'i32', out: 'i32', count: 'i32', factor: 'f32' }, (f, p) => {
    const factors = f.v128(f32x4.splat(p.factor))
    const bytes = whole(f, p.count)
    eachVector(f, bytes, [p.a, p.b, p.out], (shift) => [
      memory.storeV128(p.out, f.v128(f32x4.add(memory.v128(p.a, shift), f32x4.mul(factors, memory.v128(p.b, shift)))), shift),
    ])
    f.times(i32.and(p.count, 3), () => {
      f.do(memory.storeF32(p.out, f32.add(memory.f32(p.a), f32.mul(p.factor, memory.f32(p.b)))))
      for (const pointer of [p.a, p.b, p.out]) f.advance(pointer, 4)
    })
  })
  module.func('sumRows', { from: 'i32', into: 'i32', rows: 'i32', width: 'i32' }, (f, p) => {
    const stride = f.i32(i32.shl(p.width, 2))
    const bytes = whole(f, p.width)
    f.for(0, bytes, 16, (offset) => {
      const total = f.v128(at(p.into, offset))
      const row = f.i32(i32.add(p.from, offset))
      f.times(p.rows, () => {
        f.set(total, f32x4.add(total, memory.v128(row)))
        f.advance(row, stride)
      })
      f.do(put(p.into, offset, total))
    })
    f.for(bytes, stride, 4, (offset) => {
      const total = f.f32(memory.f32(i32.add(p.into, offset)))
      const row = f.i32(i32.add(p.from, offset))
      f.times(p.rows, () => {
        f.set(total, f32.add(total, memory.f32(row)))
        f.advance(row, stride)
      })
      f.do(memory.storeF32(i32.add(p.into, offset), total))
    })
  })
}

export function rotateKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put, addAt } = vectorsOf(memory)
  const build = (name: 'rotate' | 'rotateBack') =>
    module.func(name, { x: 'i32', y: 'i32', cos: 'i32', sin: 'i32', rows: 'i32', heads: 'i32', half: 'i32' }, (f, p) => {
      const bytes = f.i32(i32.shl(p.half, 2))
      f.times(p.rows, () => {
        f.times(p.heads, () => {
          f.for(0, bytes, 16, (o) => {
            const high = f.i32(i32.add(o, bytes))
            const [a, b] = [f.v128(at(p.x, o)), f.v128(at(p.x, high))]
            const [c, s] = [f.v128(at(p.cos, o)), f.v128(at(p.sin, o))]
            if (name === 'rotate') {
              f.do(put(p.y, o, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s))))
              f.do(put(p.y, high, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s))))
            } else {
              f.do(addAt(f, f.i32(i32.add(p.y, o)), f32x4.add(f32x4.mul(a, c), f32x4.mul(b, s))))
              f.do(addAt(f, f.i32(i32.add(p.y, high)), f32x4.sub(f32x4.mul(b, c), f32x4.mul(a, s))))
            }
          })
          f.advance(p.x, i32.shl(bytes, 1))
          f.advance(p.y, i32.shl(bytes, 1))
        })
        f.advance(p.cos, bytes)
        f.advance(p.sin, bytes)
      })
    })
  build('rotate')
  build('rotateBack')
}

export function adamwKernel(module: ModuleBuilder, memory: Memory): void {
  const scalars = { keep: 'f32', rate: 'f32', beta1: 'f32', beta2: 'f32', correction2: 'f32', eps: 'f32', factor: 'f32' } as const
  module.func('adamw', { values: 'i32', gradients: 'i32', first: 'i32', second: 'i32', count: 'i32', ...scalars }, (f, p) => {
    const all = (value: Local<'f32'>) => f.v128(f32x4.splat(value))
    const [keep, rate, beta1, beta2] = [all(p.keep), all(p.rate), all(p.beta1), all(p.beta2)]
    const [correction2, eps, factor] = [all(p.correction2), all(p.eps), all(p.factor)]
    const [one, zero] = [constant(f, 1), constant(f, 0)]
    const rest1 = f.v128(f32x4.sub(one, beta1))
    const rest2 = f.v128(f32x4.sub(one, beta2))
    eachVector(f, i32.shl(p.count, 2), [p.values, p.gradients, p.first, p.second], (shift) => {
      const at = (pointer: Local<'i32'>) => memory.v128(pointer, shift)
      const g = f.v128(f32x4.mul(at(p.gradients), factor))
      const m = f.v128(f32x4.add(f32x4.mul(beta1, at(p.first)), f32x4.mul(rest1, g)))
      const v = f.v128(f32x4.add(f32x4.mul(beta2, at(p.second)), f32x4.mul(rest2, f32x4.mul(g, g))))
      const step = f32x4.div(f32x4.mul(rate, m), f32x4.add(f32x4.sqrt(f32x4.div(v, correction2)), eps))
      const next = f.v128(f32x4.sub(f32x4.mul(at(p.values), keep), step))
      const results = [
        [p.first, m],
        [p.second, v],
        [p.values, next],
        [p.gradients, zero],
      ] as const
      return results.map(([pointer, value]) => memory.storeV128(pointer, value, shift))
    })
  })
}
