/** The change of low rank of one expert's matrix, forward and backward: y += scale·(x·aᵀ)·bᵀ. Hu et al. 2021. */
import type { ExpertsAdapter } from '../ops.ts'
import type { Floats } from './matmul.ts'
import { gradientOf, type TrainingContext, value } from './values.ts'

/** Adds the change to y [n, O]; returns scale·x·aᵀ [n, r], which the backward pass needs. Expert e; x [n, I], a [E, r, I], b [E, O, r]. */
export function adaptExpert(context: TrainingContext, adapter: ExpertsAdapter, e: number, n: number, x: Floats, y: Floats): Floats {
  const [, r, I] = adapter.a.shape as [number, number, number]
  const O = adapter.b.shape[1]!
  const low = context.arena.take(n * r)
  context.matmul(false, true, n, r, I, x, 0, I, value(adapter.a).data, e * r * I, I, low, 0, r, false)
  for (let i = 0; i < low.length; i++) low[i]! *= adapter.scale
  context.matmul(false, true, n, O, r, low, 0, r, value(adapter.b).data, e * O * r, r, y, 0, O, true)
  return low
}

/** Adds to the gradients of a and b, and to dx where it is wanted. dy [n, O], `low` from the forward pass. */
export function adaptExpertBackward(
  context: TrainingContext,
  adapter: ExpertsAdapter,
  e: number,
  n: number,
  x: Floats,
  dy: Floats,
  low: Floats,
  dx: Floats | null,
): void {
  const [, r, I] = adapter.a.shape as [number, number, number]
  const O = adapter.b.shape[1]!
  const [da, db] = [gradientOf(context, adapter.a), gradientOf(context, adapter.b)]
  const dLow = context.arena.take(n * r)
  context.matmul(false, false, n, r, O, dy, 0, O, value(adapter.b).data, e * O * r, r, dLow, 0, r, false)
  for (let i = 0; i < dLow.length; i++) dLow[i]! *= adapter.scale
  if (db) context.matmul(true, false, O, r, n, dy, 0, O, low, 0, r, db, e * O * r, r, true)
  if (da) context.matmul(true, false, r, I, n, dLow, 0, r, x, 0, I, da, e * r * I, I, true)
  if (dx) context.matmul(false, false, n, I, r, dLow, 0, r, value(adapter.a).data, e * r * I, I, dx, 0, I, true)
}
