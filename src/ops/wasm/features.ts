/**
 * What this engine's WebAssembly can do, found by validating tiny modules or by timing one; never by names or versions.
 * A feature whose probe fails is not used; every feature has a slower stand-in.
 */
import { f32x4, ModuleBuilder, v128 } from './encoder.ts'
import { canSetFlags, compileNow } from './host.ts'
import { createMemory, PAGE } from './memories.ts'

export interface Features {
  /** Fused multiply-add, relaxed swizzle and the int8 dot product. Stand-ins give the same integers and unfused floats. */
  readonly relaxedSimd: boolean
  /** Several memories in one module: weights beyond the 4 GiB of the first memory. */
  readonly multiMemory: boolean
  /** Memory shared between threads. In a page this also needs cross-origin isolation. */
  readonly threads: boolean
  /** Pairs of neighbouring 128-bit operations run as one of 256 bits. The same results to the last bit, up to twice as fast. */
  readonly wide: boolean
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
  const relaxedSimd = validates((m) => m.func('probe', {}, () => f32x4.relaxedMadd(zero, zero, zero), 'v128'))
  return {
    relaxedSimd,
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
    wide: relaxedSimd && canSetFlags && probeWide(),
  }
}

/**
 * A loop of multiply-adds in neighbouring pairs, compiled with and without the flag that joins pairs. V8 does not report whether it joined
 * them, so both are timed: joined pairs take half of the time. The best of several runs of some microseconds counts, which a busy machine
 * does not disturb.
 */
function probeWide(): boolean {
  const run = (wide: boolean) => {
    const m = new ModuleBuilder()
    const memory = m.memory(false)
    // Different names: the engine caches modules by their bytes and would return the first one twice.
    const name = wide ? 'joined' : 'single'
    m.func(name, { count: 'i32' }, (f, { count }) => {
      const sums = Array.from({ length: 16 }, () => f.v128(f32x4.splat(0)))
      const a = f.v128(memory.splat32(0, 16))
      f.times(count, () => {
        for (let i = 0; i < 32; i++) f.set(sums[i % 16]!, f32x4.relaxedMadd(a, a, sums[i % 16]!))
      })
      for (let i = 15; i >= 0; i--) f.do(memory.storeV128(0, sums[i]!, i * 16))
      return undefined
    })
    const imports = { memory: { 0: createMemory(PAGE, false) } }
    const instance = new WebAssembly.Instance(compileNow(m.encode(), wide), imports)
    return instance.exports[name] as (count: number) => void
  }
  const [single, joined] = [run(false), run(true)]
  const best: [number, number] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]
  for (let i = 0; i < 24; i++) {
    const start = performance.now()
    ;(i % 2 ? joined : single)(1000)
    best[i % 2] = Math.min(best[i % 2]!, performance.now() - start)
  }
  return best[1] < best[0] / 1.3
}
