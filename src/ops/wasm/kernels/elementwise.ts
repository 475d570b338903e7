/** y = f(x, p) for single values with one parameter p: scaling, soft cap (Gemma 2), clamp. Workers take runs of 64. */
import { size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { type FunctionBuilder, f32, f32x4, type Local, type V128 } from '../encoder.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import type { KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'

/** `prepare` is called once per function and returns what is done to four values; `cost` is the work of one value. */
function elementwise(name: string, cost: number, prepare: (k: KernelModule, f: FunctionBuilder, p: Local<'f32'>) => (x: V128) => V128) {
  const kernel = new Kernel(
    name,
    { ...integers('x', 'y', 'count'), ...floats('p') },
    {
      emit(k) {
        k.module.func(name, { x: 'i32', y: 'i32', count: 'i32', p: 'f32' }, (f, { x, y, count, p }) => {
          const formula = prepare(k, f, p)
          k.walk(f, count, [x, y], (s) => s.store(y, formula(s.load(x))))
        })
      },
      work: ({ count }) => cost * count,
      run(c, { x, y, count, p }) {
        const [from, to] = share(c, count, 64)
        if (from < to) c.on(0)[name]!(x + from * 4, y + from * 4, to - from, p)
      },
    },
  )
  const op = ({ heap, pool }: OpContext, x: Tensor, p: number): WasmTensor => {
    const y = heap.result(x.shape, name)
    pool.enqueue(kernel, { x: heap.address(x, name), y: y.address, count: size(x.shape), p })
    return y
  }
  return { kernel, op }
}

export const { kernel: scaleKernel, op: scale } = elementwise('scale', 1, (_k, _f, factor) => (x) => f32x4.mul(x, f32x4.splat(factor)))

export const { kernel: softcapKernel, op: softcap } = elementwise('softcap', 24, (k, f, cap) => {
  const inverse = f.v128(f32x4.splat(f32.div(1, cap)))
  return (x) => f32x4.mul(k.tanh(f, f32x4.mul(x, inverse)), f32x4.splat(cap))
})

export const { kernel: clampKernel, op: clamp } = elementwise('clamp', 1, (_k, f, limit) => {
  const [low, high] = [f.v128(f32x4.splat(f32.neg(limit))), f.v128(f32x4.splat(limit))]
  return (x) => f32x4.pmin(f32x4.pmax(x, low), high)
})
