/**
 * Normalisation of groups of values: RMSNorm (Zhang & Sennrich 2019) and LayerNorm (Ba et al. 2016). Two passes over a group, statistics in f32
 * with four partial sums; a group is a row, or one head of a row. Workers take groups.
 */
import { columns, rowsOf, size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { type Expr, type FunctionBuilder, f32, f32x4, type Local, type V128 } from '../encoder.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import type { KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'

/** Σ body(x) over a group; lanes that do not exist must give 0. */
function total(
  k: KernelModule,
  f: FunctionBuilder,
  x: Local<'i32'>,
  width: Local<'i32'>,
  body: (x: V128, single: boolean) => V128,
): Expr<'f32'> {
  const sums = f.v128(f32x4.splat(0))
  const p = f.i32(x)
  k.walk(f, width, [p], (s) => f.set(sums, f32x4.add(sums, body(f.v128(s.load(p)), s.single))))
  return k.sum(f, sums)
}

export const rmsNormKernel = new Kernel(
  'rmsNorm',
  { ...integers('x', 'gain', 'y', 'groups', 'width'), ...floats('eps', 'unitOffset') },
  {
    emit(k) {
      k.module.func(
        'rmsNorm',
        { x: 'i32', gain: 'i32', y: 'i32', groups: 'i32', width: 'i32', eps: 'f32', offset: 'f32' },
        (f, { x, gain, y, groups, width, eps, offset }) => {
          const shift = f.v128(f32x4.splat(offset))
          f.times(groups, () => {
            const squares = total(k, f, x, width, (v) => f32x4.mul(v, v))
            const mean = f32.div(squares, f32.convertI32(width))
            const factor = f.v128(f32x4.splat(f32.div(1, f32.sqrt(f32.add(mean, eps)))))
            const g = f.i32(gain)
            k.walk(f, width, [x, g, y], (s) => s.store(y, f32x4.mul(f32x4.mul(s.load(x), factor), f32x4.add(s.load(g), shift))))
          })
        },
      )
    },
    work: ({ groups, width }) => groups * width * 4,
    run(c, { x, gain, y, groups, width, eps, unitOffset }) {
      const [from, to] = share(c, groups)
      const at = from * width * 4
      if (from < to) c.on(0).rmsNorm!(x + at, gain, y + at, to - from, width, eps, unitOffset)
    },
  },
)

/** `gain` and `bias` may be 0. */
export const layerNormKernel = new Kernel(
  'layerNorm',
  { ...integers('x', 'gain', 'bias', 'y', 'groups', 'width'), ...floats('eps') },
  {
    emit(k) {
      for (const plain of [false, true])
        k.module.func(
          plain ? 'plainLayerNorm' : 'layerNorm',
          { x: 'i32', gain: 'i32', bias: 'i32', y: 'i32', groups: 'i32', width: 'i32', eps: 'f32' },
          (f, { x, gain, bias, y, groups, width, eps }) => {
            const count = f.f32(f32.convertI32(width))
            f.times(groups, () => {
              const sum = total(k, f, x, width, (v) => v)
              const mean = f.v128(f32x4.splat(f32.div(sum, count)))
              const only = f32x4.const([1, 0, 0, 0])
              const variance = total(k, f, x, width, (v, single) => {
                const d = f.v128(f32x4.sub(v, mean))
                return single ? f32x4.mul(f32x4.mul(d, d), only) : f32x4.mul(d, d)
              })
              const factor = f.v128(f32x4.splat(f32.div(1, f32.sqrt(f32.add(f32.div(variance, count), eps)))))
              const normed = (value: V128) => f32x4.mul(f32x4.sub(value, mean), factor)
              if (plain) return k.walk(f, width, [x, y], (s) => s.store(y, normed(s.load(x))))
              const g = f.i32(gain)
              const b = f.i32(bias)
              k.walk(f, width, [x, g, b, y], (s) => s.store(y, k.madd(normed(s.load(x)), s.load(g), s.load(b))))
            })
          },
        )
    },
    work: ({ groups, width }) => groups * width * 4,
    run(c, { x, gain, bias, y, groups, width, eps }) {
      const [from, to] = share(c, groups)
      const at = from * width * 4
      if (from < to) c.on(0)[gain ? 'layerNorm' : 'plainLayerNorm']!(x + at, gain, bias, y + at, to - from, width, eps)
    },
  },
)

export function rmsNorm({ heap, pool }: OpContext, x: Tensor, gain: Tensor, eps: number, unitOffset: 0 | 1): WasmTensor {
  const y = heap.result(x.shape, 'rmsNorm')
  const [xa, ga, width] = [heap.address(x, 'rmsNorm'), heap.address(gain, 'rmsNorm'), size(gain.shape)]
  pool.enqueue(rmsNormKernel, { x: xa, gain: ga, y: y.address, groups: size(x.shape) / width, width, eps, unitOffset })
  return y
}

export function layerNorm(
  { heap, pool }: OpContext,
  x: Tensor,
  gain: Tensor | undefined,
  bias: Tensor | undefined,
  eps: number,
): WasmTensor {
  const y = heap.result(x.shape, 'layerNorm')
  const [xa, ga, ba] = [x, gain, bias].map((tensor) => heap.address(tensor, 'layerNorm')) as [number, number, number]
  pool.enqueue(layerNormKernel, { x: xa, gain: ga, bias: ba, y: y.address, groups: rowsOf(x), width: columns(x), eps })
  return y
}
