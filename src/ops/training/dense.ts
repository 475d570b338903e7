/**
 * Forward and backward of the ops without routing or attention: table rows, sums, linear maps, norms, rotation, selection, dropout.
 * Derivatives by hand from the formulas in `ops.ts`; tests compare them with central differences.
 */
import { dropoutKeeps } from '../../random/hash.ts'
import type { Batch, Rotation } from '../ops.ts'
import { columns, matricesOf, rowsOf, type Tensor } from '../tensor.ts'
import { eachBand, Frozen } from './frozen.ts'
import type { Floats } from './matmul.ts'
import { address, gradientOf, outputGradient, result, type TrainingContext, type Value, value } from './values.ts'

export function embed(context: TrainingContext, table: Value, index: Int32Array, scale: number): Value {
  const D = columns(table)
  const y = result(context, [index.length, D])
  const { data } = y
  if (table instanceof Frozen) {
    for (let t = 0; t < index.length; t++) table.read(index[t]! * D, D, data, t * D)
    if (scale !== 1) for (let i = 0; i < data.length; i++) data[i]! *= scale
    return y
  }
  const rows = table.data
  for (let t = 0; t < index.length; t++) {
    const from = index[t]! * D
    for (let d = 0; d < D; d++) data[t * D + d] = rows[from + d]! * scale
  }
  return y
}

export function embedBackward(context: TrainingContext, y: Value, table: Value, index: Int32Array, scale: number): void {
  const dy = outputGradient(y)
  const dTable = gradientOf(context, table)
  if (!dy || !dTable) return
  const D = columns(table)
  for (let t = 0; t < index.length; t++) {
    const to = index[t]! * D
    for (let d = 0; d < D; d++) dTable[to + d]! += dy[t * D + d]! * scale
  }
}

export function add(context: TrainingContext, a: Value, b: Value, factor = 1): Value {
  const y = result(context, a.shape)
  const { data } = y
  const left = a.data
  const right = b.data
  if (context.kernels) context.kernels.sum(address(left), address(right), address(data), data.length, factor)
  else for (let i = 0; i < data.length; i++) data[i] = left[i]! + factor * right[i]!
  return y
}

/** into += factor·from */
export function addTo(context: TrainingContext, into: Floats | null, from: Floats, factor = 1): void {
  if (!into) return
  if (context.kernels) context.kernels.sum(address(into), address(from), address(into), from.length, factor)
  else for (let i = 0; i < from.length; i++) into[i]! += factor * from[i]!
}

export function addBackward(context: TrainingContext, y: Value, a: Value, b: Value, factor = 1): void {
  const dy = outputGradient(y)
  if (!dy) return
  addTo(context, gradientOf(context, a), dy)
  addTo(context, gradientOf(context, b), dy, factor)
}

export function linear(context: TrainingContext, x: Value, weight: Value, bias: Value | undefined): Value {
  const T = rowsOf(x)
  const width = columns(x)
  const [groups, rows, I] = matricesOf(weight)
  const O = groups * rows
  const y = result(context, [T, O])
  if (bias) for (let t = 0; t < T; t++) y.data.set(bias.data, t * O)
  for (let g = 0; g < groups; g++)
    eachBand(context, weight, g * rows, rows, I, (band, at, first, count) => {
      context.matmul(false, true, T, count, I, x.data, g * I, width, band, at, I, y.data, first, O, bias !== undefined)
    })
  return y
}

export function linearBackward(context: TrainingContext, y: Value, x: Value, weight: Value, bias: Value | undefined): void {
  const dy = outputGradient(y)
  if (!dy) return
  const T = rowsOf(x)
  const width = columns(x)
  const [groups, rows, I] = matricesOf(weight)
  const O = groups * rows
  const dx = gradientOf(context, x)
  const dWeight = gradientOf(context, weight)
  for (let g = 0; g < groups; g++) {
    const at = g * rows
    if (dx)
      eachBand(context, weight, at, rows, I, (band, from, first, count) => {
        context.matmul(false, false, T, I, count, dy, first, O, band, from, I, dx, g * I, width, true)
      })
    if (dWeight) context.matmul(true, false, rows, I, T, dy, at, O, x.data, g * I, width, dWeight, at * I, I, true)
  }
  const dBias = bias && gradientOf(context, bias)
  if (dBias) sumRows(context, dy, 0, T, O, dBias, 0)
}

/** Columns of a and b side by side for each head. */
export function join(context: TrainingContext, a: Value, b: Value, heads: number): Value {
  const y = result(context, [rowsOf(a), columns(a) + columns(b)])
  eachJoined(a, b, heads, (value, part, at, of) => {
    y.data.set(value.data.subarray(of, of + part), at)
  })
  return y
}

export function joinBackward(context: TrainingContext, y: Value, a: Value, b: Value, heads: number): void {
  const dy = outputGradient(y)
  if (!dy) return
  eachJoined(a, b, heads, (value, part, at, of) => {
    const into = gradientOf(context, value)
    if (into) for (let i = 0; i < part; i++) into[of + i]! += dy[at + i]!
  })
}

/** Every part of a joined row: its tensor, its width, and where it lies in y and in the tensor. */
function eachJoined(a: Value, b: Value, heads: number, visit: (value: Value, width: number, inJoined: number, at: number) => void): void {
  const [K, U] = [columns(a) / heads, columns(b) / heads]
  for (let n = 0; n < rowsOf(a) * heads; n++) {
    visit(a, K, n * (K + U), n * K)
    visit(b, U, n * (K + U) + K, n * U)
  }
}

/** into[at + o] += Σ_t from[start + t·O + o] */
export function sumRows(context: TrainingContext, from: Floats, start: number, T: number, O: number, into: Floats, at: number): void {
  if (context.kernels) {
    context.kernels.sumRows(address(from, start), address(into, at), T, O)
    return
  }
  for (let t = 0; t < T; t++) for (let o = 0; o < O; o++) into[at + o]! += from[start + t * O + o]!
}

export function layerNorm(context: TrainingContext, x: Value, gain: Value | undefined, bias: Value | undefined, eps: number): Value {
  const D = columns(x)
  const y = result(context, x.shape)
  if (context.kernels && D % 4 === 0 && gain && bias) {
    context.kernels.layerNorm(address(x.data), address(gain.data), address(bias.data), address(y.data), rowsOf(x), D, eps)
    return y
  }
  for (let at = 0; at < x.data.length; at += D) {
    const { mean, inverse } = moments(x.data, at, D, eps)
    for (let d = 0; d < D; d++) y.data[at + d] = (x.data[at + d]! - mean) * inverse * (gain?.data[d] ?? 1) + (bias?.data[d] ?? 0)
  }
  return y
}

function moments(x: Floats, at: number, D: number, eps: number): { mean: number; inverse: number } {
  let mean = 0
  for (let d = 0; d < D; d++) mean += x[at + d]!
  mean /= D
  let variance = 0
  for (let d = 0; d < D; d++) variance += (x[at + d]! - mean) ** 2
  return { mean, inverse: 1 / Math.sqrt(variance / D + eps) }
}

export function layerNormBackward(
  context: TrainingContext,
  y: Value,
  x: Value,
  gain: Value | undefined,
  bias: Value | undefined,
  eps: number,
): void {
  const dy = outputGradient(y)
  if (!dy) return
  const D = columns(x)
  const dx = gradientOf(context, x)
  const dGain = gain && gradientOf(context, gain)
  const dBias = bias && gradientOf(context, bias)
  if (context.kernels && D % 4 === 0 && dx && gain && dGain && dBias) {
    const [from, to] = [address(x.data), address(dx)]
    context.kernels.layerNormBackward(from, address(gain.data), address(dy), to, address(dGain), address(dBias), rowsOf(x), D, eps)
    return
  }
  const values = x.data
  const factor = (d: number) => gain?.data[d] ?? 1
  for (let at = 0; at < values.length; at += D) {
    const { mean, inverse } = moments(values, at, D, eps)
    let sum = 0
    let product = 0
    for (let d = 0; d < D; d++) {
      const normed = (values[at + d]! - mean) * inverse
      const slope = dy[at + d]!
      if (dGain) dGain[d]! += slope * normed
      if (dBias) dBias[d]! += slope
      sum += slope * factor(d)
      product += slope * factor(d) * normed
    }
    if (!dx) continue
    sum /= D
    product /= D
    for (let d = 0; d < D; d++) dx[at + d]! += inverse * (dy[at + d]! * factor(d) - sum - (values[at + d]! - mean) * inverse * product)
  }
}

export function rmsNorm(context: TrainingContext, x: Value, gain: Value, eps: number, unitOffset: 0 | 1): Value {
  const D = gain.data.length
  const y = result(context, x.shape)
  const { data } = y
  const values = x.data
  const factors = gain.data
  if (context.kernels && D % 4 === 0) {
    context.kernels.rmsNorm(address(values), address(factors), address(data), values.length / D, D, eps, unitOffset)
    return y
  }
  for (let at = 0; at < values.length; at += D) {
    let square = 0
    for (let d = 0; d < D; d++) square += values[at + d]! * values[at + d]!
    const inverse = 1 / Math.sqrt(square / D + eps)
    for (let d = 0; d < D; d++) data[at + d] = values[at + d]! * inverse * (factors[d]! + unitOffset)
  }
  return y
}

export function rmsNormBackward(context: TrainingContext, y: Value, x: Value, gain: Value, eps: number, unitOffset: 0 | 1): void {
  const dy = outputGradient(y)
  if (!dy) return
  const D = gain.data.length
  const dx = gradientOf(context, x)
  const dGain = gradientOf(context, gain)
  const values = x.data
  const factors = gain.data
  if (context.kernels && D % 4 === 0 && dx && dGain) {
    const rows = values.length / D
    context.kernels.rmsNormBackward(address(values), address(factors), address(dy), address(dx), address(dGain), rows, D, eps, unitOffset)
    return
  }
  for (let at = 0; at < values.length; at += D) {
    let square = 0
    for (let d = 0; d < D; d++) square += values[at + d]! * values[at + d]!
    const inverse = 1 / Math.sqrt(square / D + eps)
    let product = 0
    for (let d = 0; d < D; d++) product += dy[at + d]! * (factors[d]! + unitOffset) * values[at + d]!
    if (dGain) for (let d = 0; d < D; d++) dGain[d]! += dy[at + d]! * values[at + d]! * inverse
    if (!dx) continue
    const pull = (product * inverse * inverse) / D
    for (let d = 0; d < D; d++) dx[at + d]! += inverse * (dy[at + d]! * (factors[d]! + unitOffset) - values[at + d]! * pull)
  }
}

/** cos and sin of all rows and frequencies, times the amplitude. */
export interface RotationTable {
  cos: Floats
  sin: Floats
}

export function rotationTable(context: TrainingContext, rotation: Rotation, batch: Batch): RotationTable {
  const half = rotation.rotaryDim / 2
  const T = batch.positions.length
  const cos = context.arena.take(T * half)
  const sin = context.arena.take(T * half)
  for (let t = 0; t < T; t++)
    for (let i = 0; i < half; i++) {
      const angle = batch.positions[t]! * rotation.inverseFrequencies[i]!
      cos[t * half + i] = Math.cos(angle) * rotation.amplitude
      sin[t * half + i] = Math.sin(angle) * rotation.amplitude
    }
  return { cos, sin }
}

/** Adds the rotated heads of x to `out`; direction -1 rotates back (the transpose). */
function rotate(
  x: Floats,
  out: Floats,
  T: number,
  width: number,
  { headDim, rotaryDim, pairing }: Rotation,
  { cos, sin }: RotationTable,
  direction: 1 | -1,
): void {
  const half = rotaryDim / 2
  const [step, apart] = pairing === 'halves' ? [1, half] : [2, 1]
  for (let t = 0; t < T; t++)
    for (let head = t * width; head < (t + 1) * width; head += headDim) {
      for (let i = 0; i < half; i++) {
        const c = cos[t * half + i]!
        const s = sin[t * half + i]! * direction
        const at = head + i * step
        const a = x[at]!
        const b = x[at + apart]!
        out[at]! += a * c - b * s
        out[at + apart]! += b * c + a * s
      }
      for (let i = head + rotaryDim; i < head + headDim; i++) out[i]! += x[i]!
    }
}

/** The kernels know pairs of halves over the whole head; other rotations take the loops. */
const hasKernel = ({ headDim, rotaryDim, pairing }: Rotation): boolean => headDim % 8 === 0 && rotaryDim === headDim && pairing === 'halves'

export function rope(context: TrainingContext, x: Value, rotation: Rotation, table: RotationTable): Value {
  const y = result(context, x.shape)
  const { headDim } = rotation
  if (context.kernels && hasKernel(rotation)) {
    const [T, heads] = [rowsOf(x), columns(x) / headDim]
    context.kernels.rotate(address(x.data), address(y.data), address(table.cos), address(table.sin), T, heads, headDim / 2)
    return y
  }
  rotate(x.data, y.data.fill(0), rowsOf(x), columns(x), rotation, table, 1)
  return y
}

export function ropeBackward(context: TrainingContext, y: Value, x: Value, rotation: Rotation, table: RotationTable): void {
  const dy = outputGradient(y)
  const dx = gradientOf(context, x)
  if (!dy || !dx) return
  const { headDim } = rotation
  if (context.kernels && hasKernel(rotation)) {
    const [T, heads] = [rowsOf(x), columns(x) / headDim]
    context.kernels.rotateBack(address(dy), address(dx), address(table.cos), address(table.sin), T, heads, headDim / 2)
  } else rotate(dy, dx, rowsOf(x), columns(x), rotation, table, -1)
}

export function select(context: TrainingContext, x: Value, rows: Int32Array): Value {
  const D = columns(x)
  const y = result(context, [rows.length, D])
  for (let r = 0; r < rows.length; r++) y.data.set(x.data.subarray(rows[r]! * D, (rows[r]! + 1) * D), r * D)
  return y
}

export function selectBackward(context: TrainingContext, y: Value, x: Value, rows: Int32Array): void {
  const dy = outputGradient(y)
  const dx = gradientOf(context, x)
  if (!dy || !dx) return
  const D = columns(x)
  for (let r = 0; r < rows.length; r++) for (let d = 0; d < D; d++) dx[rows[r]! * D + d]! += dy[r * D + d]!
}

export function scale(context: TrainingContext, x: Value, factor: number): Value {
  const y = result(context, x.shape)
  for (let i = 0; i < y.data.length; i++) y.data[i] = factor * x.data[i]!
  return y
}

export function scaleBackward(context: TrainingContext, y: Value, x: Value, factor: number): void {
  const dy = outputGradient(y)
  if (dy) addTo(context, gradientOf(context, x), dy, factor)
}

export function clamp(context: TrainingContext, x: Value, limit: number): Value {
  const y = result(context, x.shape)
  for (let i = 0; i < y.data.length; i++) y.data[i] = Math.min(Math.max(x.data[i]!, -limit), limit)
  return y
}

export function clampBackward(context: TrainingContext, y: Value, x: Value, limit: number): void {
  const dy = outputGradient(y)
  const dx = gradientOf(context, x)
  if (!dy || !dx) return
  for (let i = 0; i < dy.length; i++) if (Math.abs(x.data[i]!) <= limit) dx[i]! += dy[i]!
}

export function softcap(context: TrainingContext, x: Value, cap: number): Value {
  const y = result(context, x.shape)
  for (let i = 0; i < y.data.length; i++) y.data[i] = cap * Math.tanh(x.data[i]! / cap)
  return y
}

export function softcapBackward(context: TrainingContext, y: Value, x: Value, cap: number): void {
  const dy = outputGradient(y)
  const dx = gradientOf(context, x)
  if (!dy || !dx) return
  for (let i = 0; i < dy.length; i++) dx[i]! += dy[i]! * (1 - (y.data[i]! / cap) ** 2)
}

export function dropout(context: TrainingContext, x: Value, p: number, seed: number): Value {
  const y = result(context, x.shape)
  const keep = 1 / (1 - p)
  for (let i = 0; i < y.data.length; i++) y.data[i] = dropoutKeeps(seed, i, p) ? x.data[i]! * keep : 0
  return y
}

export function dropoutBackward(context: TrainingContext, y: Value, x: Value, p: number, seed: number): void {
  const dy = outputGradient(y)
  const dx = gradientOf(context, x)
  if (!dy || !dx) return
  const keep = 1 / (1 - p)
  for (let i = 0; i < dy.length; i++) if (dropoutKeeps(seed, i, p)) dx[i]! += dy[i]! * keep
}

/** -log softmax at the targets, summed with `scale`; `probabilities` [R, V] is kept for the backward pass. */
export function crossEntropy(
  context: TrainingContext,
  logits: Value,
  targets: Int32Array,
  scale: number,
): { y: Value; probabilities: Floats } {
  const V = columns(logits)
  const z = logits.data
  const probabilities = context.arena.take(z.length)
  let total = 0
  for (let r = 0; r < targets.length; r++) {
    const at = r * V
    let largest = Number.NEGATIVE_INFINITY
    let sum = 0
    if (context.kernels) {
      largest = context.kernels.rowMax(address(z, at), V)
      sum = context.kernels.expRow(address(z, at), address(probabilities, at), V, largest)
    } else {
      for (let i = at; i < at + V; i++) if (z[i]! > largest) largest = z[i]!
      for (let i = at; i < at + V; i++) {
        const e = Math.exp(z[i]! - largest)
        probabilities[i] = e
        sum += e
      }
    }
    const inverse = 1 / sum
    for (let i = at; i < at + V; i++) probabilities[i]! *= inverse
    total += Math.log(sum) + largest - z[at + targets[r]!]!
  }
  const y = result(context, [1])
  y.data[0] = total * scale
  return { y, probabilities }
}

export function crossEntropyBackward(
  context: TrainingContext,
  y: Value,
  logits: Value,
  targets: Int32Array,
  scale: number,
  probabilities: Floats,
): void {
  const dy = outputGradient(y)
  const dLogits = gradientOf(context, logits)
  if (!dy || !dLogits) return
  const V = columns(logits)
  const factor = dy[0]! * scale
  addTo(context, dLogits, probabilities, factor)
  for (let r = 0; r < targets.length; r++) dLogits[r * V + targets[r]!]! -= factor
}

export function combine(context: TrainingContext, terms: readonly Tensor[], factors: readonly number[]): Value {
  const y = result(context, [1])
  y.data[0] = terms.reduce((sum, term, i) => sum + value(term).data[0]! * factors[i]!, 0)
  return y
}

export function combineBackward(context: TrainingContext, y: Value, terms: readonly Tensor[], factors: readonly number[]): void {
  const dy = outputGradient(y)
  if (!dy) return
  terms.forEach((term, i) => {
    const d = gradientOf(context, term)
    if (d) d[0]! += dy[0]! * factors[i]!
  })
}
