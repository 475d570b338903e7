/**
 * GELU in its two published forms: 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) and 0.5·x·(1 + erf(x/√2)).
 * Hendrycks & Gimpel 2016. Elementwise; workers take runs of 64.
 */
import type { Gelu } from '../../../architecture/architecture.ts'
import { size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { type FunctionBuilder, f32x4, type V128 } from '../encoder.ts'
import { integers, Kernel, share } from '../kernel.ts'
import type { KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'

export const GELU_FORMS = ['tanh', 'erf'] as const

/** `x` must be cheap to repeat (a local). */
export function emitGelu(k: KernelModule, f: FunctionBuilder, form: (typeof GELU_FORMS)[number], x: V128): V128 {
  const splat = (number: number) => k.splat(number)
  const bell =
    form === 'erf'
      ? k.erf(f, f32x4.mul(x, splat(Math.SQRT1_2)))
      : k.tanh(f, f32x4.mul(f32x4.mul(x, splat(Math.sqrt(2 / Math.PI))), k.madd(f32x4.mul(x, x), splat(0.044715), splat(1))))
  return f32x4.mul(f32x4.mul(x, splat(0.5)), f32x4.add(bell, splat(1)))
}

/** `form`: index of GELU_FORMS. */
export const geluKernel = new Kernel('gelu', integers('x', 'y', 'count', 'form'), {
  emit(k) {
    for (const form of GELU_FORMS)
      k.module.func(`gelu_${form}`, { x: 'i32', y: 'i32', count: 'i32' }, (f, { x, y, count }) => {
        k.walk(f, count, [x, y], (s) => s.store(y, emitGelu(k, f, form, f.v128(s.load(x)))))
      })
  },
  work: ({ count }) => 32 * count,
  run(c, { x, y, count, form }) {
    const [from, to] = share(c, count, 64)
    if (from < to) c.on(0)[`gelu_${GELU_FORMS[form]}`]!(x + from * 4, y + from * 4, to - from)
  },
})

export function gelu({ heap, pool }: OpContext, x: Tensor, { approximation }: Gelu): WasmTensor {
  const y = heap.result(x.shape, 'gelu')
  const form = GELU_FORMS.indexOf(approximation)
  pool.enqueue(geluKernel, { x: heap.address(x, 'gelu'), y: y.address, count: size(x.shape), form })
  return y
}
