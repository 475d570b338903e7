/** Times of ops and small models, written by scripts/record-evidence.ts. */
import type { DatedTimes } from '../evidence.ts'

export const RECORDED_TIMES: DatedTimes = {
  date: '2026-11-29',
  machine: 'two shared cores of an x86-64 server, WebAssembly SIMD, one thread',
  ops: {
    geluErf: 0.00015425,
    geluTanh: 0.000197671,
    geglu: 0.000210523,
    swiglu: 0.0000999465,
    layerNorm: 0.000047,
    rmsNorm: 0.0000262365,
  },
  wide: {
    parameters: 9520200,
    prompt: 0.0178202,
    token: 0.00360152,
  },
  deep: {
    parameters: 9476352,
    prompt: 0.0200116,
    token: 0.00399313,
  },
}
