/**
 * Convolution and selective scan with their derivatives, in plain loops. The states of all rows are kept for the backward pass, which
 * goes through the rows of a sequence from the last to the first.
 */
import type { Batch, Scan } from '../ops.ts'
import { runsOf } from '../state.ts'
import { rowsOf, type Tensor } from '../tensor.ts'
import type { Floats } from './matmul.ts'
import { gradientOf, outputGradient, result, type TrainingContext, type Value, value } from './values.ts'

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** What the backward pass of a convolution needs: its sums before SiLU. */
export function convolution(context: TrainingContext, x: Value, weight: Value, bias: Value | undefined, batch: Batch) {
  const [W, C] = weight.shape as [number, number]
  const [y, sums] = [result(context, x.shape), context.arena.take(x.data.length)]
  for (const { first, rows } of runsOf(batch))
    for (let t = first; t < first + rows; t++)
      for (let c = 0; c < C; c++) {
        let sum = bias ? bias.data[c]! : 0
        for (let k = Math.max(0, W - 1 - (t - first)); k < W; k++) sum += weight.data[k * C + c]! * x.data[(t - W + 1 + k) * C + c]!
        sums[t * C + c] = sum
        y.data[t * C + c] = sum * sigmoid(sum)
      }
  return { y, memory: sums }
}

export function convolutionBackward(
  context: TrainingContext,
  y: Value,
  x: Value,
  weight: Value,
  bias: Value | undefined,
  batch: Batch,
  sums: Floats,
): void {
  const dy = outputGradient(y)
  if (!dy) return
  const [W, C] = weight.shape as [number, number]
  const [dx, dWeight, dBias] = [gradientOf(context, x), gradientOf(context, weight), bias && gradientOf(context, bias)]
  for (const { first, rows } of runsOf(batch))
    for (let t = first; t < first + rows; t++)
      for (let c = 0; c < C; c++) {
        const gate = sigmoid(sums[t * C + c]!)
        const dSum = dy[t * C + c]! * gate * (1 + sums[t * C + c]! * (1 - gate))
        if (dBias) dBias[c]! += dSum
        for (let k = Math.max(0, W - 1 - (t - first)); k < W; k++) {
          const at = (t - W + 1 + k) * C + c
          if (dx) dx[at]! += dSum * weight.data[k * C + c]!
          if (dWeight) dWeight[k * C + c]! += dSum * x.data[at]!
        }
      }
}

/** `memory`: the states after every row, [T, N·C]. */
export function selectiveScan(context: TrainingContext, x: Value, scan: Scan, batch: Batch) {
  const [N, C] = scan.logRate.shape as [number, number]
  const [y, states] = [result(context, x.shape), context.arena.take(rowsOf(x) * N * C)]
  const [step, input, output, logRate, skip] = valuesOf(scan)
  for (const { first, rows } of runsOf(batch))
    for (let t = first; t < first + rows; t++)
      for (let c = 0; c < C; c++) {
        const u = x.data[t * C + c]!
        const delta = softplus(step[t * C + c]!)
        let sum = skip[c]! * u
        for (let n = 0; n < N; n++) {
          const before = t > first ? states[((t - 1) * N + n) * C + c]! : 0
          const h = Math.exp(-delta * Math.exp(logRate[n * C + c]!)) * before + delta * input[t * N + n]! * u
          states[(t * N + n) * C + c] = h
          sum += output[t * N + n]! * h
        }
        y.data[t * C + c] = sum
      }
  return { y, memory: states }
}

export function selectiveScanBackward(context: TrainingContext, y: Value, x: Value, scan: Scan, batch: Batch, states: Floats): void {
  const dy = outputGradient(y)
  if (!dy) return
  const [N, C] = scan.logRate.shape as [number, number]
  const [step, input, output, logRate, skip] = valuesOf(scan)
  const gradient = (of: Tensor) => gradientOf(context, of) ?? context.arena.take(value(of).data.length) // of constants: not used
  const dx = gradient(x)
  const [dStep, dInput, dOutput] = [gradient(scan.step), gradient(scan.input), gradient(scan.output)]
  const [dLogRate, dSkip] = [gradient(scan.logRate), gradient(scan.skip)]
  /** The derivative by the state after a row, from all later rows. */
  const dState = context.arena.take(N * C)
  for (const { first, rows } of runsOf(batch)) {
    dState.fill(0)
    for (let t = first + rows - 1; t >= first; t--)
      for (let c = 0; c < C; c++) {
        const [at, u, g] = [t * C + c, x.data[t * C + c]!, dy[t * C + c]!]
        const delta = softplus(step[at]!)
        let [dDelta, du] = [0, g * skip[c]!]
        dSkip[c]! += g * u
        for (let n = 0; n < N; n++) {
          const rate = -Math.exp(logRate[n * C + c]!)
          const decay = Math.exp(delta * rate)
          const before = t > first ? states[((t - 1) * N + n) * C + c]! : 0
          const dh = dState[n * C + c]! + g * output[t * N + n]!
          const dExponent = dh * before * decay
          dOutput[t * N + n]! += g * states[(t * N + n) * C + c]!
          dInput[t * N + n]! += dh * delta * u
          dLogRate[n * C + c]! += dExponent * delta * rate
          dDelta += dExponent * rate + dh * input[t * N + n]! * u
          du += dh * delta * input[t * N + n]!
          dState[n * C + c] = dh * decay
        }
        dStep[at]! += dDelta * sigmoid(step[at]!)
        dx[at]! += du
      }
  }
}

const valuesOf = ({ step, input, output, logRate, skip }: Scan) =>
  [step, input, output, logRate, skip].map((one) => value(one).data) as Five
type Five = [Floats, Floats, Floats, Floats, Floats]
