/**
 * The weights of a model in training: all in one flat array, with their gradients and moments in equal ones.
 * So an optimiser step, a sum over threads or a checkpoint is one pass over a range.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { initialValues } from '../model/initialize.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from '../model/weights.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { size } from '../ops/tensor.ts'
import { adapterParts, initialAdapter, type LowRankTraining } from './low-rank.ts'

export interface Parameter {
  readonly spec: WeightSpec
  /** First value in the flat arrays; a multiple of 32, so that MXFP4 blocks never straddle a slice. */
  readonly at: number
  readonly count: number
  /** Whether weight decay applies: matrices, tables and experts, not gains, biases and sinks. */
  readonly decays: boolean
}

export interface ParameterLayout {
  readonly parameters: Parameter[]
  /** Values of the flat arrays, padding included. */
  readonly length: number
  /** Weights of the model, padding not counted. */
  readonly count: number
}

const ALIGN = 32

/** Of all weights, or with `lowRank` of the adapters alone. */
export function parameterLayout(architecture: Architecture, lowRank?: LowRankTraining): ParameterLayout {
  const parameters: Parameter[] = []
  let at = 0
  let count = 0
  const specs = lowRank ? lowRank.adapters.flatMap(adapterParts) : leaves(weightSpecs(architecture))
  for (const spec of specs) {
    const values = size(spec.shape)
    parameters.push({ spec, at, count: values, decays: spec.use !== 'vector' })
    at += Math.ceil(values / ALIGN) * ALIGN
    count += values
  }
  return { parameters, length: at, count }
}

/** The parameters by the names of their weights. */
export const byName = ({ parameters }: ParameterLayout): ReadonlyMap<string, Parameter> =>
  new Map(parameters.map((parameter) => [parameter.spec.name, parameter]))

/** Slice i of n of the flat arrays, [from, to), aligned to blocks. */
export function slice(layout: ParameterLayout, i: number, n: number): [number, number] {
  const blocks = layout.length / ALIGN
  return [Math.floor((blocks * i) / n) * ALIGN, Math.floor((blocks * (i + 1)) / n) * ALIGN]
}

/** Fresh weights, or fresh adapters. */
export function initializeParameters(
  architecture: Architecture,
  layout: ParameterLayout,
  values: Float32Array,
  seed: number,
  lowRank?: LowRankTraining,
): void {
  for (const { spec, at } of layout.parameters)
    values.set(lowRank ? initialAdapter(spec, seed) : initialValues(architecture, spec, seed), at)
}

/** The weight tree with `make` at every leaf. */
export function buildWeights<W>(architecture: Architecture, layout: ParameterLayout, make: (parameter: Parameter) => W): Weights<W> {
  const places = byName(layout)
  return mapWeights(weightSpecs(architecture), (spec) => make(places.get(spec.name)!))
}
