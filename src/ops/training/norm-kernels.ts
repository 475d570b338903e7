/** Generated SIMD for LayerNorm and RMSNorm, forward and backward. */
import { type FunctionBuilder, f32, f32x4, i32, type Local, type Memory, type ModuleBuilder, v128 } from '../wasm/encoder.ts'
import { horizontalSum, vectorsOf } from './vectors.ts'

export function normKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put, addAt } = vectorsOf(memory)
  /** 1 / sqrt(Σ squares / width + eps), in all lanes. */
  const inverseRoot = (f: FunctionBuilder, squares: Local<'v128'>, width: Local<'f32'>, eps: Local<'f32'>) =>
    f.v128(f32x4.splat(f32.div(1, f32.sqrt(f32.add(f32.div(horizontalSum(squares), width), eps)))))

  module.func('layerNorm', { x: 'i32', gain: 'i32', bias: 'i32', y: 'i32', rows: 'i32', width: 'i32', eps: 'f32' }, (f, p) => {
    const bytes = f.i32(i32.shl(p.width, 2))
    const width = f.f32(f32.convertI32(p.width))
    f.times(p.rows, () => {
      const { mean, inverse } = moments(f, p.x, bytes, width, p.eps)
      f.for(0, bytes, 16, (o) => {
        const normed = f32x4.mul(f32x4.sub(at(p.x, o), mean), inverse)
        f.do(put(p.y, o, f32x4.add(f32x4.mul(normed, at(p.gain, o)), at(p.bias, o))))
      })
      f.advance(p.x, bytes)
      f.advance(p.y, bytes)
    })
  })
  function moments(f: FunctionBuilder, x: Local<'i32'>, bytes: Local<'i32'>, width: Local<'f32'>, eps: Local<'f32'>) {
    const sums = f.v128(v128.zero())
    f.for(0, bytes, 16, (o) => f.set(sums, f32x4.add(sums, at(x, o))))
    const mean = f.v128(f32x4.splat(f32.div(horizontalSum(sums), width)))
    const squares = f.v128(v128.zero())
    f.for(0, bytes, 16, (o) => {
      const away = f.v128(f32x4.sub(at(x, o), mean))
      f.set(squares, f32x4.add(squares, f32x4.mul(away, away)))
    })
    return { mean, inverse: inverseRoot(f, squares, width, eps) }
  }
  module.func(
    'layerNormBackward',
    { x: 'i32', gain: 'i32', dy: 'i32', dx: 'i32', dGain: 'i32', dBias: 'i32', rows: 'i32', width: 'i32', eps: 'f32' },
    (f, p) => {
      const bytes = f.i32(i32.shl(p.width, 2))
      const width = f.f32(f32.convertI32(p.width))
      f.times(p.rows, () => {
        const { mean, inverse } = moments(f, p.x, bytes, width, p.eps)
        const sums = f.v128(v128.zero())
        const products = f.v128(v128.zero())
        f.for(0, bytes, 16, (o) => {
          const normed = f.v128(f32x4.mul(f32x4.sub(at(p.x, o), mean), inverse))
          const slope = f.v128(at(p.dy, o))
          f.do(addAt(f, f.i32(i32.add(p.dGain, o)), f32x4.mul(slope, normed)), addAt(f, f.i32(i32.add(p.dBias, o)), slope))
          const scaled = f.v128(f32x4.mul(slope, at(p.gain, o)))
          f.set(sums, f32x4.add(sums, scaled))
          f.set(products, f32x4.add(products, f32x4.mul(scaled, normed)))
        })
        const sum = f.v128(f32x4.splat(f32.div(horizontalSum(sums), width)))
        const product = f.v128(f32x4.splat(f32.div(horizontalSum(products), width)))
        f.for(0, bytes, 16, (o) => {
          const normed = f32x4.mul(f32x4.sub(at(p.x, o), mean), inverse)
          const inner = f32x4.sub(f32x4.sub(f32x4.mul(at(p.dy, o), at(p.gain, o)), sum), f32x4.mul(normed, product))
          f.do(addAt(f, f.i32(i32.add(p.dx, o)), f32x4.mul(inverse, inner)))
        })
        f.advance(p.x, bytes)
        f.advance(p.dy, bytes)
        f.advance(p.dx, bytes)
      })
    },
  )
  const meanSquare = (f: FunctionBuilder, x: Local<'i32'>, bytes: Local<'i32'>) => {
    const squares = f.v128(v128.zero())
    f.for(0, bytes, 16, (o) => {
      const value = f.v128(at(x, o))
      f.set(squares, f32x4.add(squares, f32x4.mul(value, value)))
    })
    return squares
  }
  module.func('rmsNorm', { x: 'i32', gain: 'i32', y: 'i32', rows: 'i32', width: 'i32', eps: 'f32', unitOffset: 'f32' }, (f, p) => {
    const bytes = f.i32(i32.shl(p.width, 2))
    const width = f.f32(f32.convertI32(p.width))
    const unit = f.v128(f32x4.splat(p.unitOffset))
    f.times(p.rows, () => {
      const inverse = inverseRoot(f, meanSquare(f, p.x, bytes), width, p.eps)
      f.for(0, bytes, 16, (o) => f.do(put(p.y, o, f32x4.mul(f32x4.mul(at(p.x, o), inverse), f32x4.add(at(p.gain, o), unit)))))
      f.advance(p.x, bytes)
      f.advance(p.y, bytes)
    })
  })
  module.func(
    'rmsNormBackward',
    { x: 'i32', gain: 'i32', dy: 'i32', dx: 'i32', dGain: 'i32', rows: 'i32', width: 'i32', eps: 'f32', unitOffset: 'f32' },
    (f, p) => {
      const bytes = f.i32(i32.shl(p.width, 2))
      const width = f.f32(f32.convertI32(p.width))
      const unit = f.v128(f32x4.splat(p.unitOffset))
      f.times(p.rows, () => {
        const inverse = inverseRoot(f, meanSquare(f, p.x, bytes), width, p.eps)
        const products = f.v128(v128.zero())
        f.for(0, bytes, 16, (o) => {
          const slope = f.v128(at(p.dy, o))
          const value = f.v128(at(p.x, o))
          f.do(addAt(f, f.i32(i32.add(p.dGain, o)), f32x4.mul(f32x4.mul(slope, value), inverse)))
          f.set(products, f32x4.add(products, f32x4.mul(f32x4.mul(slope, f32x4.add(at(p.gain, o), unit)), value)))
        })
        const pull = f.v128(f32x4.mul(f32x4.mul(inverse, inverse), f32x4.splat(f32.div(horizontalSum(products), width))))
        f.for(0, bytes, 16, (o) => {
          const inner = f32x4.sub(f32x4.mul(at(p.dy, o), f32x4.add(at(p.gain, o), unit)), f32x4.mul(at(p.x, o), pull))
          f.do(addAt(f, f.i32(i32.add(p.dx, o)), f32x4.mul(inverse, inner)))
        })
        f.advance(p.x, bytes)
        f.advance(p.dy, bytes)
        f.advance(p.dx, bytes)
      })
    },
  )
}
