/** y = x·Wᵀ + b, summed in f64. Contract in ops.ts. */
import { columns, matricesOf, rowsOf, type Tensor } from '../tensor.ts'
import { type Allocate, type HostTensor, type Values, values } from './values.ts'

export function linear(allocate: Allocate, x: Tensor, weight: Tensor, bias?: Tensor): HostTensor {
  const [groups, rows, I] = matricesOf(weight)
  const O = groups * rows
  const T = rowsOf(x)
  if (columns(x) !== groups * I)
    throw new RangeError(`linear ${weight.name ?? ''}: input has ${columns(x)} columns, the weight [${weight.shape}]`)
  const y = allocate([T, O])
  const b = bias && values(bias)
  for (let t = 0; t < T; t++)
    for (let g = 0; g < groups; g++)
      project(values(x), (t * groups + g) * I, I, values(weight), g * rows * I, rows, b, g * rows, y.data, t * O + g * rows)
  return y
}

/** One row times O rows of a matrix: out[o] = Σ_i x[i]·w[o, i] + bias[o]. Offsets in values. */
export function project(
  x: Values,
  xAt: number,
  I: number,
  w: Values,
  wAt: number,
  O: number,
  bias: Values | undefined,
  biasAt: number,
  out: Values,
  outAt: number,
): void {
  for (let o = 0; o < O; o++) {
    let sum = bias ? bias[biasAt + o]! : 0
    for (let i = 0; i < I; i++) sum += x[xAt + i]! * w[wAt + o * I + i]!
    out[outAt + o] = sum
  }
}
