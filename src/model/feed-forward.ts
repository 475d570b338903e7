/**
 * The feed-forward slot: one wide layer (GPT-2), a gated one (Llama, Qwen3), or the chosen few of
 * many gated experts (Mixtral, Qwen3 MoE, gpt-oss). Stop 8 of the walk.
 */
import type { Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { project } from './parts.ts'
import type { FeedForwardWeights, GatedWeights } from './weights.ts'

/** x [T, D] -> [T, D] */
export function feedForwardBlock(ops: Ops, block: FeedForwardWeights, x: Tensor, name: string): Tensor {
  return ops.scope(name, () => {
    switch (block.kind) {
      case 'mlp': {
        const wide = ops.gelu(project(ops, x, block.up), block.slot.activation) // [T, F]
        return project(ops, wide, block.down) // [T, D]
      }
      case 'gated':
        return gatedBlock(ops, block, x)
      case 'moe': {
        const { slot, router, routerCorrection, gateUp, down, shared } = block
        const routing = ops.route(x, router.weight, router.bias, slot.expertsPerToken, slot.router, routerCorrection) // [T, A]
        const experts = {
          gateUp: gateUp.weight,
          gateUpBias: gateUp.bias,
          gateUpAdapter: gateUp.adapter,
          down: down.weight,
          downBias: down.bias,
          downAdapter: down.adapter,
        }
        const y = ops.moe(x, routing, experts, slot.activation) // [T, D]
        return shared ? ops.add(y, gatedBlock(ops, shared, x)) : y
      }
    }
  })
}

function gatedBlock(ops: Ops, { slot, gate, up, down }: GatedWeights, x: Tensor): Tensor {
  const wide = ops.gated(project(ops, x, gate), project(ops, x, up), slot.activation) // [T, F]
  return project(ops, wide, down) // [T, D]
}
