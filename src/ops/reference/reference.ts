/**
 * The reference: every op as plain loops in the order of its formula, sums in f64. Slow on purpose; other backends are
 * compared with it. With `precision: 'f64'` temporaries keep f64, for gradient checks.
 */
import type { Backend } from '../backend.ts'
import { cacheBytes } from '../cache-size.ts'
import { weightValues } from '../decode.ts'
import { drawRows } from '../draw.ts'
import type { Batch } from '../ops.ts'
import type { Tensor } from '../tensor.ts'
import { attention } from './attention.ts'
import { createCache } from './cache.ts'
import { add, clamp, dropout, gated, gelu, join, scale, softcap } from './elementwise.ts'
import { embed } from './embed.ts'
import { linear } from './linear.ts'
import { moe, route } from './moe.ts'
import { layerNorm, rmsNorm } from './norm.ts'
import { rope } from './rope.ts'
import { convolution, selectiveScan } from './state.ts'
import { allocator, type HostTensor, values } from './values.ts'

export interface ReferenceOptions {
  precision?: 'f32' | 'f64'
}

export function createReferenceBackend({ precision = 'f32' }: ReferenceOptions = {}): Backend {
  const allocate = allocator(precision)
  let seed = 0 // each dropout takes the next mask
  let weightBytes = 0
  let heldCaches = 0
  return {
    name: 'reference',
    scope: (_, body) => body(),
    embed: (table, index, scale) => embed(allocate, table, index, scale),
    add: (a, b, factor) => add(allocate, a, b, factor),
    linear: (x, weight, bias) => linear(allocate, x, weight, bias),
    join: (a, b, heads) => join(allocate, a, b, heads),
    layerNorm: (x, gain, bias, eps) => layerNorm(allocate, x, gain, bias, eps),
    rmsNorm: (x, gain, eps, unitOffset) => rmsNorm(allocate, x, gain, eps, unitOffset),
    rope: (x, rotation, batch: Batch) => rope(allocate, x, rotation, batch),
    attention: (q, k, v, batch, options) => attention(allocate, q, k, v, batch, options, options.dropout ? seed++ : 0),
    convolution: (x, weight, bias, batch, state) => convolution(allocate, x, weight, bias, batch, state),
    selectiveScan: (x, scan, batch, state) => selectiveScan(allocate, x, scan, batch, state),
    gelu: (x, activation) => gelu(allocate, x, activation),
    gated: (gate, up, activation) => gated(allocate, gate, up, activation),
    route: (x, weight, bias, active, router, correction) => route(allocate, x, weight, bias, active, router, correction),
    moe: (x, routing, experts, activation) => moe(allocate, x, routing, experts, activation),
    select: (x, rows) => embed(allocate, x, rows, 1),
    scale: (x, factor) => scale(allocate, x, factor),
    softcap: (x, cap) => softcap(allocate, x, cap),
    clamp: (x, limit) => clamp(allocate, x, limit),
    dropout: (x, p) => (p === 0 ? (x as HostTensor) : dropout(allocate, x, p, seed++)),

    async weight(spec, fill) {
      const data = await weightValues(spec, fill)
      weightBytes += data.byteLength
      return { name: spec.name, shape: spec.shape, dtype: spec.dtype, data } satisfies HostTensor
    },
    async cache(spec) {
      const cache = createCache(spec)
      heldCaches += cache.bytes
      return { ...cache, dispose: () => void (heldCaches -= cache.bytes) }
    },
    cacheBytes,
    upload: (data, shape) => {
      const x = allocate(shape)
      x.data.set(data)
      return x
    },
    read: async (x: Tensor) => Float32Array.from(values(x)),
    run: async (body) => Float32Array.from(values(body())),
    draw: async (logits, draws) => drawRows(Float32Array.from(values(logits)), draws),
    async settled() {},
    failed: new Promise(() => {}),
    memory: () => ({ weights: weightBytes, caches: heldCaches, temporaries: 0 }),
    dispose: async () => {},
  }
}
