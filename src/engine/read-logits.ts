/** One forward pass from ids to logits on the host. */
import type { Architecture } from '../architecture/architecture.ts'
import { type ForwardOptions, forward } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import type { Backend } from '../ops/backend.ts'
import type { Batch } from '../ops/ops.ts'

export interface Model {
  readonly backend: Backend
  readonly architecture: Architecture
  readonly weights: Weights
}

/** Runs the pass and returns its logits, in `into` if they fit; the backend keeps only the cache. -> [R, V] */
export function readLogits(
  { backend, architecture, weights }: Model,
  batch: Batch,
  options: ForwardOptions,
  into?: Float32Array,
): Promise<Float32Array> {
  return backend.run(() => forward(backend, architecture, weights, batch, options), into)
}
