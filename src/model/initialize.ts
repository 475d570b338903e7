/**
 * Fresh weights of an architecture, as GPT-2 started: matrices N(0, initializerRange), the two projections that write to
 * the residual stream narrower by sqrt(2L), gains one, biases and sinks zero. Radford et al. 2019, section 2.3.
 * Every tensor has its own seeded stream, so that a change in one leaves the others as they were.
 */
import type { Architecture } from '../architecture/architecture.ts'
import type { Backend, WeightSpec } from '../ops/backend.ts'
import { size, type Tensor } from '../ops/tensor.ts'
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
  if (use === 'vector') return isGain(role) && !hasUnitOffset(architecture) ? values.fill(1) : values
  const toResidual = role === 'o' || role === 'down'
  const deviation = architecture.initializerRange / (toResidual ? Math.sqrt(2 * architecture.layers.length) : 1)
  const next = normals(hash(name) ^ Math.imul(seed + 1, 0x9e3779b1))
  return values.map(() => deviation * next())
}

const isGain = (role: string) => role === 'gain' || role === 'qNorm' || role === 'kNorm'
const hasUnitOffset = ({ finalNorm }: Architecture) => finalNorm.kind === 'rmsNorm' && finalNorm.unitOffset

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h
}

/** Standard normal numbers: SplitMix32 (Steele et al. 2014, 32-bit form) through the polar method (Marsaglia & Bray 1964). */
function normals(state: number): () => number {
  const uniform = () => {
    state = (state + 0x9e3779b9) | 0
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    return ((z ^ (z >>> 15)) >>> 0) / 2147483648 - 1 // [-1, 1)
  }
  let spare: number | undefined
  return () => {
    if (spare !== undefined) {
      const value = spare
      spare = undefined
      return value
    }
    for (;;) {
      const [u, v] = [uniform(), uniform()]
      const s = u * u + v * v
      if (s > 0 && s < 1) {
        const factor = Math.sqrt((-2 * Math.log(s)) / s)
        spare = v * factor
        return u * factor
      }
    }
  }
}
