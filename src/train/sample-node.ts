/** Draws answers with the inference engine from weights in training: batched, seeded, in f32. */
import type { Architecture } from '../architecture/architecture.ts'
import { createEngine, type Engine } from '../engine/engine.ts'
import { leaves, mapWeights, weightSpecs } from '../model/weights.ts'
import type { Backend } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'
import { createWasmBackend } from '../ops/wasm/wasm.ts'
import { mixSeeds } from '../random/hash.ts'
import { byName, type ParameterLayout } from './parameters.ts'
import type { Sampler } from './reinforce.ts'
import { roundAsSaved } from './save-node.ts'

export interface SamplerOptions {
  /** Positions of prompt and answer together. */
  context: number
  /** Answers that are written at the same time. */
  slots?: number
  threads: number
  stopIds: readonly number[]
  /** Round the weights to the numbers that a checkpoint will hold: where training reads them so, too. */
  rounded?: boolean
}

/** Calls that share a backend. */
const CALLS = 8

/** A sampler on the flat array of weights, which it reads at every call. */
export function policySampler(architecture: Architecture, layout: ParameterLayout, values: Float32Array, options: SamplerOptions): Sampler {
  const { context, slots = 64, threads, stopIds, rounded = false } = options
  const plain: Architecture = { ...architecture, dtype: 'f32', expertDtype: 'f32' }
  const places = byName(layout)
  let backend: Backend | undefined
  let uses = 0
  const engineOf = async (): Promise<Engine> => {
    // Weights of a backend stay until it ends, so it serves a few calls only: compiling its kernels takes longer than an answer.
    if (uses++ % CALLS === 0) {
      await backend?.dispose()
      backend = await createWasmBackend({ threads })
    }
    const own = values.slice()
    if (rounded) roundAsSaved(layout, own)
    const bytes = new Uint8Array(own.buffer, own.byteOffset, own.byteLength)
    const specs = weightSpecs(plain)
    const tensors = new Map<string, Tensor>()
    for (const spec of leaves(specs)) {
      const from = 4 * places.get(spec.name)!.at
      const fill = async (_part: string, offset: number, into: Uint8Array) =>
        into.set(bytes.subarray(from + offset, from + offset + into.byteLength))
      tensors.set(spec.name, await backend!.weight(spec, fill))
    }
    const weights = mapWeights(specs, ({ name }) => tensors.get(name)!)
    return createEngine({ backend: backend!, architecture: plain, weights, context, slots })
  }
  return {
    async sample(prompts, { temperature, maxTokens, seed }) {
      const engine = await engineOf()
      const answers = await Promise.all(
        prompts.map(async (prompt, i) => {
          const sampling = { temperature, seed: mixSeeds(seed, i) >>> 0 }
          const { ids, reason } = await engine.generate(prompt, { maxTokens, sampling, stopIds }).result
          return { ids, finished: reason === 'stop' }
        }),
      )
      await engine.close()
      return answers
    },
    close: async () => backend?.dispose(),
  }
}
