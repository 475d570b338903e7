/** Convolution and selective scan, one row after the other. Contracts in ops.ts. */
import type { Batch, Scan, StatePart } from '../ops.ts'
import { advance, runsOf } from '../state.ts'
import { columns, rowsOf, type Tensor } from '../tensor.ts'
import type { HostStatePart } from './cache.ts'
import { sigmoid } from './elementwise.ts'
import { type Allocate, type HostTensor, type Values, values } from './values.ts'

/** Calls `row` with every row of a batch and the state before it, which `row` changes. */
function overRows(
  allocate: Allocate,
  batch: Batch,
  size: number,
  part: StatePart | undefined,
  row: (t: number, state: Values) => void,
): void {
  if (part) advance(part, batch)
  for (const { slot, first, rows, position } of runsOf(batch)) {
    const kept = part && (part as HostStatePart).data.subarray(slot * size, (slot + 1) * size)
    const state = kept ?? allocate([size]).data
    if (position === 0) state.fill(0)
    for (let t = first; t < first + rows; t++) row(t, state)
  }
}

export function convolution(
  allocate: Allocate,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  batch: Batch,
  part?: StatePart,
): HostTensor {
  const [W, C] = weight.shape as [number, number]
  const y = allocate([rowsOf(x), C])
  const [inputs, w, b] = [values(x), values(weight), bias && values(bias)]
  overRows(allocate, batch, W * C, part, (t, state) => {
    state.copyWithin(0, C)
    state.set(inputs.subarray(t * C, (t + 1) * C), (W - 1) * C)
    for (let c = 0; c < C; c++) {
      let sum = b ? b[c]! : 0
      for (let k = 0; k < W; k++) sum += w[k * C + c]! * state[k * C + c]!
      y.data[t * C + c] = sum * sigmoid(sum)
    }
  })
  return y
}

export function selectiveScan(allocate: Allocate, x: Tensor, scan: Scan, batch: Batch, part?: StatePart): HostTensor {
  const [N, C] = scan.logRate.shape as [number, number]
  const y = allocate([rowsOf(x), columns(x)])
  const [u, step, input, output] = [values(x), values(scan.step), values(scan.input), values(scan.output)]
  const [logRate, skip] = [values(scan.logRate), values(scan.skip)]
  overRows(allocate, batch, N * C, part, (t, h) => {
    for (let c = 0; c < C; c++) {
      const delta = softplus(step[t * C + c]!)
      let sum = skip[c]! * u[t * C + c]!
      for (let n = 0; n < N; n++) {
        const decay = Math.exp(-delta * Math.exp(logRate[n * C + c]!))
        h[n * C + c] = decay * h[n * C + c]! + delta * input[t * N + n]! * u[t * C + c]!
        sum += output[t * N + n]! * h[n * C + c]!
      }
      y.data[t * C + c] = sum
    }
  })
  return y
}

/** ln(1 + e^x) */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
