/**
 * The layer that is no attention: what a row hands to later rows goes through a state of fixed size. Step size, input and output of the
 * recurrence are computed from the row itself, which so chooses what is remembered. Gu & Dao 2023, arXiv 2312.00752, section 3.
 */
import type { Batch, LayerState, Ops } from '../ops/ops.ts'
import type { Tensor } from '../ops/tensor.ts'
import { normalize, project } from './parts.ts'
import type { NormWeights, Projection, StateSpaceWeights } from './weights.ts'

/** x [T, D] -> [T, C] */
export function stateSpace(ops: Ops, block: StateSpaceWeights, x: Tensor, batch: Batch, state: LayerState | undefined): Tensor {
  const [convolved, scanned] = state?.parts ?? []
  const u = ops.convolution(project(ops, x, block.x), block.kernel, block.kernelBias, batch, convolved) // [T, C]
  const of = (projection: Projection, norm: NormWeights | undefined) => {
    const y = project(ops, u, projection)
    return norm ? normalize(ops, norm, y) : y
  }
  const scan = {
    step: project(ops, of(block.stepDown, block.stepNorm), block.step), // [T, C]
    input: of(block.input, block.inputNorm), // [T, N]
    output: of(block.output, block.outputNorm), // [T, N]
    logRate: block.logRate,
    skip: block.skip,
  }
  const y = ops.selectiveScan(u, scan, batch, scanned) // [T, C]
  return ops.gated(project(ops, x, block.gate), y, { kind: 'swiglu' })
}
