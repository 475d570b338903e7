/** Attention at the shapes of published models, in one thread (processor time): node bench/kernels/attention.ts [fast]; keys and values are bf16 in fast precision, f32 else. */
import type { Batch, LayerCache } from '../../src/ops/ops.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'

const backend = await createWasmBackend({ threads: 0, precision: process.argv[2] === 'fast' ? 'fast' : 'faithful' })
const cpu = () => process.cpuUsage().user / 1e3
const shapes = [
  { name: 'gpt-oss', heads: 64, kvHeads: 8, headDim: 64, window: null },
  { name: 'gpt-oss, window', heads: 64, kvHeads: 8, headDim: 64, window: 128 },
  { name: 'Qwen3-0.6B', heads: 16, kvHeads: 8, headDim: 128, window: null },
  { name: 'GPT-2', heads: 12, kvHeads: 12, headDim: 64, window: null },
]
for (const { name, heads, kvHeads, headDim, window } of shapes) {
  const cache = await backend.cache({
    layers: [{ kvHeads, keyDim: headDim, valueDim: headDim, window }],
    slots: 1,
    capacity: 8192,
    maxRows: 512,
  })
  for (const [rows, position] of [
    [1, 1023],
    [1, 8191],
    [512, 0],
    [512, 3584],
  ] as const) {
    const normals = (count: number) => Float32Array.from({ length: count }, () => Math.random() - 0.5)
    const q = backend.upload(normals(rows * heads * headDim), [rows, heads * headDim])
    const [k, v] = [0, 1].map(() => backend.upload(normals(rows * kvHeads * headDim), [rows, kvHeads * headDim]))
    const positions = Int32Array.from({ length: rows }, (_, i) => position + i)
    const batch: Batch = { ids: positions, slots: new Int32Array(rows), positions }
    const keys = positions.reduce((sum, p) => sum + Math.min(p + 1, window ?? p + 1), 0)
    const macs = 2 * keys * heads * headDim
    const repeats = Math.max(1, Math.ceil(3e8 / macs))
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 4; round++) {
      const start = cpu()
      for (let i = 0; i < repeats; i++)
        backend.scope('bench', () => {
          const options = {
            heads,
            kvHeads,
            keyDim: headDim,
            valueDim: headDim,
            scale: headDim ** -0.5,
            window,
            softcap: null,
            cache: cache.layers[0] as LayerCache,
          }
          backend.attention(q, k!, v!, batch, options)
        })
      best = Math.min(best, (cpu() - start) / repeats)
    }
    const g = (macs / best / 1e6).toFixed(1)
    console.log(
      `${name.padEnd(16)} ${String(rows).padStart(4)} rows from ${String(position).padStart(4)}: ${best.toFixed(3).padStart(9)} ms ${g.padStart(6)} GMAC/s`,
    )
  }
}
