/** All claims in order, and the run that checks them. */
import type { Backend } from '../ops/backend.ts'
import type { Claim, Measurement } from './claim.ts'
import { type Evidence, recorded } from './evidence.ts'
import { normClaims } from './norms.ts'
import { operationClaims } from './operations.ts'
import { promptClaims } from './prompts.ts'
import { simulatedClaims } from './simulations.ts'
import { sizeClaims } from './sizes.ts'
import { sourcedClaims } from './sourced.ts'
import { opinions, trainedClaims } from './trained.ts'

export type { Claim, Kind, Measurement, Verdict } from './claim.ts'

export interface Outcome {
  claim: Claim
  /** Empty where the claim has no check. */
  measurements: Measurement[]
  /** null: nothing was measured. */
  agrees: boolean | null
}

/** C1, C2, …, C58, then the figures. */
export const claims: readonly Claim[] = [
  ...sizeClaims,
  ...operationClaims,
  ...normClaims,
  ...promptClaims,
  ...simulatedClaims,
  ...trainedClaims,
  ...sourcedClaims,
  ...opinions,
].sort((a, b) => order(a) - order(b))

function order({ id }: Claim): number {
  return (id.startsWith('C') ? 0 : 1000) + Number(id.slice(1))
}

/**
 * Runs the checks one after the other. The backend is only asked for single ops, so any will do.
 * @param evidence results of trainings and times: those recorded with the project if absent
 */
export async function* verify(ops: Backend, chosen: readonly Claim[] = claims, evidence: Evidence = recorded): AsyncGenerator<Outcome> {
  for (const claim of chosen) {
    const measurements = (await claim.check?.(ops, evidence)) ?? []
    yield { claim, measurements, agrees: measurements.length ? measurements.every(({ agrees }) => agrees) : null }
  }
}
