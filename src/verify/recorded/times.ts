/** Times of ops and small models, written by scripts/record-evidence.ts. */
import type { DatedTimes } from '../evidence.ts'

export const RECORDED_TIMES: DatedTimes = {
  date: '2026-11-29',
  machine: 'two cores, WebAssembly SIMD, one thread',
  ops: {
    geluErf: 0.0001547712500000671,
    geluTanh: 0.00019613099999992302,
    geglu: 0.00021024725000006584,
    swiglu: 0.00009777250000001913,
    layerNorm: 0.00004631900000003953,
    rmsNorm: 0.00002525474999993094,
  },
  wide: { parameters: 9520200, prompt: 0.034893103999998856, token: 0.005087800000001153 },
  deep: { parameters: 9476352, prompt: 0.08895828799999982, token: 0.004068458000001556 },
}
