/**
 * Fresh weights of an architecture, as GPT-2 started: matrices N(0, initializerRange), the two
 * projections that write to the residual stream narrower by sqrt(2L), gains one, biases and sinks
 * zero. Radford et al. 2019, section 2.3. Every tensor has its own seeded stream, so that a change in
 * one leaves the others as they were.
 */
import type { Architecture } from '../architecture/architecture.ts'
import type { Backend, WeightSpec } from '../ops/backend.ts'
import { size, type Tensor } from '../ops/tensor.ts'
import { fnv1a } from '../random/hash.ts'
import { normals, type Random, random } from '../random/stream.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from './weights.ts'

/** f32 weights on a backend. Same seed, same values on every backend. */
export async function initialize(architecture: Architecture, backend: Pick<Backend, 'weight'>, seed: number): Promise<Weights> {
  const specs = mapWeights(weightSpecs(architecture), (spec): WeightSpec => ({ ...spec, dtype: 'f32' }))
  const made = new Map<string, Tensor>()
  for (const spec of leaves(specs)) {
    const bytes = new Uint8Array(initialValues(architecture, spec, seed).buffer)
    made.set(spec.name, await backend.weight(spec, async (_, offset, into) => into.set(bytes.subarray(offset, offset + into.length))))
  }
  return mapWeights(specs, (spec) => made.get(spec.name)!)
}

/** The first values of one weight. */
export function initialValues(architecture: Architecture, { name, shape, use }: WeightSpec, seed: number): Float32Array<ArrayBuffer> {
  const values = new Float32Array(size(shape))
  const role = name.slice(name.lastIndexOf('.') + 1)
  const uniform = random(fnv1a(name) ^ Math.imul(seed + 1, 0x9e3779b1))
  const first = firstOfStateSpace(role, shape, uniform)
  if (first) return values.map((_, index) => first(index))
  if (use === 'vector') return isGain(role) && !hasUnitOffset(architecture) ? values.fill(1) : values
  const toResidual = role === 'o' || role === 'down'
  const deviation = architecture.initializerRange / (toResidual ? Math.sqrt(2 * architecture.layers.length) : 1)
  const next = normals(uniform)
  return values.map(() => deviation * next())
}

/** Of the vectors of a state-space layer: rates 1…N, steps from 0.001 to 0.1 before softplus. Gu & Dao 2023, sections 3.6 and E.2. */
function firstOfStateSpace(role: string, [rows, columns]: readonly number[], uniform: Random): ((index: number) => number) | undefined {
  switch (role) {
    case 'logRate':
      return (index) => Math.log(Math.floor(index / columns!) + 1)
    case 'skip':
      return () => 1
    case 'kernel':
      return () => (2 * uniform() - 1) / Math.sqrt(rows!)
    case 'stepBias':
      return () => Math.log(Math.expm1(0.001 * 100 ** uniform()))
  }
}

const isGain = (role: string) => role === 'gain' || role.endsWith('Norm')
const hasUnitOffset = ({ finalNorm }: Architecture) => finalNorm.kind === 'rmsNorm' && finalNorm.unitOffset
