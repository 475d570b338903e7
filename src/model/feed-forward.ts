/**
 * The feed-forward slot: one wide layer (GPT-2), a gated one (Llama, Qwen3), or the chosen few of many gated experts
 * (Mixtral, Qwen3 MoE, gpt-oss). Stop 8 of the walk.
 */
import type { FeedForward } from '../architecture/architecture.ts'
import type { Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import type { FeedForwardWeights } from './weights.ts'

/** x [T, D] -> [T, D]. The kind of the weights is that of the slot. */
export function feedForwardBlock(ops: Ops, slot: FeedForward, weights: FeedForwardWeights, x: Tensor, name: string): Tensor {
  return ops.scope(name, () => {
    if (slot.kind === 'mlp' && weights.kind === 'mlp') {
      const wide = ops.gelu(ops.linear(x, weights.up, weights.upBias), slot.activation) // [T, F]
      return ops.linear(wide, weights.down, weights.downBias) // [T, D]
    }
    if (slot.kind === 'gated' && weights.kind === 'gated') {
      const gate = ops.linear(x, weights.gate, weights.gateBias) // [T, F]
      const up = ops.linear(x, weights.up, weights.upBias) // [T, F]
      return ops.linear(ops.gated(gate, up, slot.activation), weights.down, weights.downBias) // [T, D]
    }
    if (slot.kind === 'moe' && weights.kind === 'moe') {
      const routing = ops.route(x, weights.router, weights.routerBias, slot.expertsPerToken, slot.router) // [T, A]
      return ops.moe(x, routing, weights, slot.activation) // [T, D]
    }
    throw new TypeError(`${name}: the architecture says ${slot.kind}, the weights say ${weights.kind}`)
  })
}
