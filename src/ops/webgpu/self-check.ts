/**
 * Whether a device computes what it should: small problems of every kernel, next to a backend that is trusted. Drivers have given
 * wrong numbers without an error, so a device is checked before a model runs on it.
 */
import type { Backend, WeightSpec } from '../backend.ts'
import { BLOCK_FORMATS } from '../block-formats.ts'
import { drawRows } from '../draw.ts'
import type { DType } from '../dtype.ts'
import { DRAWS, Numbers, OPS, ofExperts, ofMatrices, type Problem } from './self-check-problems.ts'

export interface Check {
  readonly name: string
  /** How the results differ; undefined: they agree. */
  readonly problem: string | undefined
}

/** Formats of weights, by the ops that read them. */
export interface Formats {
  readonly matrices: readonly DType[]
  readonly experts: readonly DType[]
}

/** Formats of the checkpoints that most people run. */
export const USUAL_FORMATS: Formats = { matrices: ['f32', 'bf16'], experts: ['mxfp4'] }
const ALL: readonly DType[] = ['f32', 'bf16', 'mxfp4', 'f16', 'fp8', ...(Object.keys(BLOCK_FORMATS) as DType[])]
export const ALL_FORMATS: Formats = { matrices: ALL, experts: ALL }

/** The formats of some weights. Vectors are kept in f32, which is always among them. */
export function formatsOf(specs: Iterable<Pick<WeightSpec, 'dtype' | 'use'>>): Formats {
  const [matrices, experts] = [new Set<DType>(['f32']), new Set<DType>()]
  for (const { dtype, use } of specs) if (use !== 'vector') (use === 'experts' ? experts : matrices).add(dtype)
  return { matrices: [...matrices], experts: [...experts] }
}

/** Allowed difference, relative to the largest value. */
const TOLERANCE = 1e-5
/** Ids of the draws. */
const VOCABULARY = 2000

/**
 * Every problem on both backends.
 * @param trusted for example the reference
 */
export async function selfCheck(backend: Backend, trusted: Backend, formats: Formats = USUAL_FORMATS): Promise<Check[]> {
  const logits = new Numbers(99).values(DRAWS.length * VOCABULARY, 6)
  const expected = Float32Array.from(drawRows(logits.slice(), DRAWS))
  const drawn = () => backend.scope('self-check', () => backend.draw!(backend.upload(logits, [DRAWS.length, VOCABULARY]), DRAWS))
  const draw = { name: 'draw', problem: await difference(expected, async () => Float32Array.from(await drawn())) }
  return [...(await checkFormats(backend, trusted, formats)), ...(await solve(OPS, backend, trusted)), draw]
}

/** The problems of weight formats alone. */
export const checkFormats = (backend: Backend, trusted: Backend, { matrices, experts }: Formats): Promise<Check[]> =>
  solve([...matrices.flatMap(ofMatrices), ...experts.flatMap(ofExperts)], backend, trusted)

async function solve(problems: Iterable<readonly [string, Problem]>, backend: Backend, trusted: Backend): Promise<Check[]> {
  const checks: Check[] = []
  for (const [name, problem] of problems) {
    const seed = checks.length + 1
    const expected = await problem(trusted, new Numbers(seed))
    checks.push({ name, problem: await difference(expected, () => problem(backend, new Numbers(seed))) })
  }
  return checks
}

async function difference(expected: Float32Array, compute: () => Promise<Float32Array>): Promise<string | undefined> {
  try {
    const actual = await compute()
    const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-30)
    const worst = expected.reduce((a, value, i) => Math.max(a, Math.abs(actual[i]! - value) || (actual[i]! === value ? 0 : Infinity)), 0)
    return worst <= TOLERANCE * largest ? undefined : `differs by ${(worst / largest).toExponential(1)} of the largest value`
  } catch (error) {
    return (error as Error).message
  }
}
