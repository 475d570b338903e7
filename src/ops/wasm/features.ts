/**
 * What this engine's WebAssembly can do, found by asking it to validate tiny modules; never by names or versions.
 * It refuses to guess: a feature whose probe does not validate is not used, and every one has a slower stand-in.
 */
import { f32x4, ModuleBuilder, v128 } from './encoder.ts'

export interface Features {
  /** Fused multiply-add, relaxed swizzle and the int8 dot product. Stand-ins give the same integers and unfused floats. */
  readonly relaxedSimd: boolean
  /** Several memories in one module: weights beyond the 4 GiB of the first memory. */
  readonly multiMemory: boolean
  /** Memory shared between threads. In a page this also needs cross-origin isolation. */
  readonly threads: boolean
}

const validates = (build: (m: ModuleBuilder) => void): boolean => {
  const m = new ModuleBuilder()
  build(m)
  return WebAssembly.validate(m.encode())
}

export function probeFeatures(): Features {
  const zero = v128.zero()
  if (!validates((m) => m.func('probe', {}, () => f32x4.add(zero, zero), 'v128')))
    throw new Error('this JavaScript engine has no WebAssembly SIMD (128-bit), which the wasm backend needs; use the reference backend')
  return {
    relaxedSimd: validates((m) => m.func('probe', {}, () => f32x4.relaxedMadd(zero, zero, zero), 'v128')),
    multiMemory: validates((m) => {
      m.memory(false)
      const second = m.memory(false)
      m.func('probe', {}, () => second.v128(0), 'v128')
    }),
    threads:
      typeof SharedArrayBuffer === 'function' &&
      (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false &&
      validates((m) => {
        const heap = m.memory(true)
        m.func('probe', {}, () => heap.atomicLoad(0), 'i32')
      }),
  }
}
