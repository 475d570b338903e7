/**
 * The vocabulary of differentiation: the backward step of every op in `ops.ts`, and the loss.
 * `train/tape.ts` records a forward pass and calls these in reverse order.
 *
 * A backward op takes the result `y` of the forward call and that call's arguments. It reads the
 * gradient of y and ADDS to the gradients of the arguments that have one. Results and whatever a
 * backend keeps with them stay alive until `reset`.
 */
import type { Gated, Gelu, Router } from '../architecture/architecture.ts'
import type { AttentionOptions, Batch, Experts, Ops, Rotation, Routing, Scan } from './ops.ts'
import type { Tensor } from './tensor.ts'

export interface GradientOps extends Ops {
  dropout(x: Tensor, p: number): Tensor
  /** Sum of -log softmax(logits[r])[targets[r]]·scale over the rows, as [1]. `scale` is usually 1 / rows. */
  crossEntropy(logits: Tensor, targets: Int32Array, scale: number): Tensor
  /**
   * E·Σ_e f_e·P_e with f_e the share of rows sent to e (summed over the A choices) and P_e the mean
   * router probability; A when balanced. Fedus et al. 2021. [1]
   */
  balanceLoss(routing: Routing): Tensor
  /** Σ_i factors[i]·terms[i] of [1] tensors. */
  combine(terms: readonly Tensor[], factors: readonly number[]): Tensor

  /**
   * Runs `body`, whose one input with a gradient is `input`, and keeps its result alone. `again` runs it again with the same random draws, then
   * `work`, which finds the gradient of the result in place and adds to that of `input`; nothing else stays. Chen et al. 2016.
   */
  recomputed(input: Tensor, body: () => Tensor): { y: Tensor; again(work: () => void): void }
  /** Sets the gradient of a [1] tensor to 1: where going backward starts. */
  seed(loss: Tensor): void
  /** Frees every result since the last reset, not the gradients of weights. `randomSeed`: dropout of the next pass. */
  reset(randomSeed: number): void

  embedBackward(y: Tensor, table: Tensor, index: Int32Array, scale: number): void
  addBackward(y: Tensor, a: Tensor, b: Tensor, factor?: number): void
  linearBackward(y: Tensor, x: Tensor, weight: Tensor, bias?: Tensor): void
  joinBackward(y: Tensor, a: Tensor, b: Tensor, heads: number): void
  layerNormBackward(y: Tensor, x: Tensor, gain: Tensor | undefined, bias: Tensor | undefined, eps: number): void
  rmsNormBackward(y: Tensor, x: Tensor, gain: Tensor, eps: number, unitOffset: 0 | 1): void
  ropeBackward(y: Tensor, x: Tensor, rotation: Rotation, batch: Batch): void
  attentionBackward(y: Tensor, q: Tensor, k: Tensor, v: Tensor | undefined, batch: Batch, options: AttentionOptions): void
  convolutionBackward(y: Tensor, x: Tensor, weight: Tensor, bias: Tensor | undefined, batch: Batch): void
  selectiveScanBackward(y: Tensor, x: Tensor, scan: Scan, batch: Batch): void
  geluBackward(y: Tensor, x: Tensor, activation: Gelu): void
  gatedBackward(y: Tensor, gate: Tensor, up: Tensor, activation: Gated): void
  /** The correction of a router takes part in the choice only, so it has no gradient. */
  routeBackward(y: Routing, x: Tensor, weight: Tensor, bias: Tensor | undefined, active: number, router: Router, correction?: Tensor): void
  moeBackward(y: Tensor, x: Tensor, routing: Routing, experts: Experts, activation: Gated): void
  scaleBackward(y: Tensor, x: Tensor, factor: number): void
  selectBackward(y: Tensor, x: Tensor, rows: Int32Array): void
  softcapBackward(y: Tensor, x: Tensor, cap: number): void
  clampBackward(y: Tensor, x: Tensor, limit: number): void
  dropoutBackward(y: Tensor, x: Tensor, p: number): void
  crossEntropyBackward(y: Tensor, logits: Tensor, targets: Int32Array, scale: number): void
  balanceLossBackward(y: Tensor, routing: Routing): void
  combineBackward(y: Tensor, terms: readonly Tensor[], factors: readonly number[]): void
}
