/**
 * Gated activations, elementwise: silu(gate)·up, gpt-oss's clamped form g·σ(α·g)·(u + 1), and gelu(gate)·up. Shazeer 2020.
 * Gate and up come as two arrays, or interleaved as the expert matrices give them (gate 0, up 0, gate 1, up 1 …).
 */
import type { Gated } from '../../../architecture/architecture.ts'
import { size, type Tensor } from '../../tensor.ts'
import type { OpContext } from '../context.ts'
import { type F32, type FunctionBuilder, f32x4, i8x16, type V128 } from '../encoder.ts'
import { floats, integers, Kernel, share } from '../kernel.ts'
import type { KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'
import { emitGelu } from './gelu.ts'

export const GATED_FORMS = ['swiglu', 'clampedSwiglu', 'gegluTanh', 'gegluErf'] as const
export type GatedForm = (typeof GATED_FORMS)[number]

/** `gate` and `up` must be cheap to repeat. */
export function emitGated(k: KernelModule, f: FunctionBuilder, form: GatedForm, gate: V128, up: V128, alpha: F32, limit: F32): V128 {
  const one = k.splat(1)
  const silu = (x: V128, slope: V128) => f32x4.div(x, f32x4.add(one, k.exp(f, f32x4.neg(slope))))
  switch (form) {
    case 'swiglu':
      return f32x4.mul(silu(gate, gate), up)
    case 'clampedSwiglu': {
      const top = f.v128(f32x4.splat(limit))
      const g = f.v128(f32x4.pmin(gate, top))
      const u = f.v128(f32x4.pmax(f32x4.neg(top), f32x4.pmin(up, top)))
      return f32x4.mul(silu(g, f32x4.mul(g, f32x4.splat(alpha))), f32x4.add(u, one))
    }
    case 'gegluTanh':
      return f32x4.mul(emitGelu(k, f, 'tanh', gate), up)
    case 'gegluErf':
      return f32x4.mul(emitGelu(k, f, 'erf', gate), up)
  }
}

/** `form`: index of GATED_FORMS. */
export const gatedKernel = new Kernel(
  'gated',
  { ...integers('gate', 'up', 'y', 'count', 'form'), ...floats('alpha', 'limit') },
  {
    emit(k) {
      for (const form of GATED_FORMS)
        k.module.func(
          `gated_${form}`,
          { gate: 'i32', up: 'i32', y: 'i32', count: 'i32', alpha: 'f32', limit: 'f32' },
          (f, { gate, up, y, count, alpha, limit }) => {
            k.walk(f, count, [gate, up, y], (s) =>
              s.store(y, emitGated(k, f, form, f.v128(s.load(gate)), f.v128(s.load(up)), alpha, limit)),
            )
          },
        )
    },
    work: ({ count }) => 24 * count,
    run(c, { gate, up, y, count, form, alpha, limit }) {
      const [from, to] = share(c, count, 64)
      if (from >= to) return
      c.on(0)[`gated_${GATED_FORMS[form]}`]!(gate + from * 4, up + from * 4, y + from * 4, to - from, alpha, limit)
    },
  },
)

/** The same for `count` interleaved pairs. */
export const gatedPairsKernel = new Kernel(
  'gatedPairs',
  { ...integers('gateUp', 'y', 'count', 'form'), ...floats('alpha', 'limit') },
  {
    emit(k) {
      for (const form of GATED_FORMS)
        k.module.func(
          `gatedPairs_${form}`,
          { x: 'i32', y: 'i32', count: 'i32', alpha: 'f32', limit: 'f32' },
          (f, { x, y, count, alpha, limit }) => {
            k.walk(f, count, [y], (s) => {
              const first = f.v128(s.single ? k.heap.zero64(x) : k.heap.v128(x))
              const second = s.single ? first : f.v128(k.heap.v128(x, 16))
              const gate = f.v128(i8x16.shuffle(first, second, [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]))
              const up = f.v128(i8x16.shuffle(first, second, [4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31]))
              s.store(y, emitGated(k, f, form, gate, up, alpha, limit))
              f.advance(x, s.single ? 8 : 32)
            })
          },
        )
    },
    work: ({ count }) => 24 * count,
    run(c, { gateUp, y, count, form, alpha, limit }) {
      const [from, to] = share(c, count, 64)
      if (from < to) c.on(0)[`gatedPairs_${GATED_FORMS[form]}`]!(gateUp + from * 8, y + from * 4, to - from, alpha, limit)
    },
  },
)

/** An activation as the words of both kernels. */
export function formOf(activation: Gated): { form: number; alpha: number; limit: number } {
  const { kind } = activation
  const form = kind === 'geglu' ? (activation.approximation === 'tanh' ? 'gegluTanh' : 'gegluErf') : kind
  const { alpha, limit } = kind === 'clampedSwiglu' ? activation : { alpha: 0, limit: 0 }
  return { form: GATED_FORMS.indexOf(form), alpha, limit }
}

export function gated({ heap, pool }: OpContext, gate: Tensor, up: Tensor, activation: Gated): WasmTensor {
  const y = heap.result(gate.shape, 'gated')
  const [g, u] = [heap.address(gate, 'gated'), heap.address(up, 'gated')]
  pool.enqueue(gatedKernel, { gate: g, up: u, y: y.address, count: size(gate.shape), ...formOf(activation) })
  return y
}
