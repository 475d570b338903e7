/** A tiny published checkpoint on the reference backend, and the plain loop that every engine test compares with. */
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../../src/architecture/architecture.ts'
import type { GenerateOptions } from '../../src/engine/engine.ts'
import { forward } from '../../src/model/transformer.ts'
import type { Weights } from '../../src/model/weights.ts'
import type { Backend } from '../../src/ops/backend.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'

/** Options of a generation that no id ends. */
export const NEVER = { stopIds: [] } satisfies GenerateOptions

export interface TestModel {
  backend: Backend
  architecture: Architecture
  weights: Weights
}

export async function tiny(checkpoint: string, backend: Backend = createReferenceBackend()): Promise<TestModel> {
  const directory = fileURLToPath(new URL(`../fixtures/checkpoints/${checkpoint}`, import.meta.url))
  return { backend, ...(await loadCheckpoint(directory, backend)) }
}

/** Logits [V] after the last id, without cache, engine or batch. */
export async function lastLogits({ backend, architecture, weights }: TestModel, ids: readonly number[]): Promise<Float32Array> {
  const batch = { ids: Int32Array.from(ids), slots: new Int32Array(ids.length), positions: Int32Array.from(ids.keys()) }
  return backend.read(forward(backend, architecture, weights, batch, { logitRows: Int32Array.of(ids.length - 1) }))
}

/** Greedy continuation by recomputing everything for every id. */
export async function greedy(model: TestModel, prompt: readonly number[], count: number): Promise<number[]> {
  const ids = [...prompt]
  for (let n = 0; n < count; n++) {
    const logits = await lastLogits(model, ids)
    ids.push(logits.indexOf(Math.max(...logits)))
  }
  return ids.slice(prompt.length)
}

/** Reproducible ids. */
export function someIds(count: number, vocabSize: number, seed = 1): number[] {
  let state = seed
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state >>> 8) % vocabSize
  })
}
