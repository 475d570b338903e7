/** A checkpoint as the start of a training run: its architecture, its weights as f32, and the files that go with it. */
import { existsSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { type LoadOptions, loadWeights, openModel, type WeightSink } from '../checkpoint/load.ts'
import { COMPANION } from '../checkpoint/quantize-node.ts'
import type { Folder } from '../checkpoint/source.ts'
import { asObject } from '../json/json.ts'
import { parsePythonJson } from '../json/python.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import { storedWeight, weightValues } from '../ops/decode.ts'
import type { LowRankTraining } from './low-rank.ts'
import type { ParameterLayout } from './parameters.ts'
import type { TokenizerSource } from './save-node.ts'

export interface Start {
  /** With dtypes as the files have them. */
  readonly architecture: Architecture
  /** Fills the flat array of weights with those of the checkpoint. */
  fill(layout: ParameterLayout, values: Float32Array, options?: LoadOptions): Promise<void>
  /** All weights as they are published, in memory that threads share. */
  frozen(options?: LoadOptions): Promise<LowRankTraining['base']>
}

/** Checks a checkpoint as loading does. Its files are open only while something is read. */
export async function openStart(folder: Folder): Promise<Start> {
  const { checkpoint, architecture } = await openModel(folder)
  await checkpoint.close()
  const eachWeight = async (weight: WeightSink['weight'], options?: LoadOptions) => {
    const { checkpoint, ...plan } = await openModel(folder)
    await loadWeights(plan, { weight }, options).finally(() => checkpoint.close())
  }
  return {
    architecture,
    async fill(layout, values, options) {
      const places = new Map(layout.parameters.map(({ spec, at }) => [spec.name, at]))
      await eachWeight(async (spec, fill) => {
        values.set(await weightValues(spec, fill), places.get(spec.name)!)
        return spec
      }, options)
    },
    async frozen(options) {
      const base = new Map<string, LowRankTraining['base'][number]>()
      await eachWeight(async (spec, fill) => {
        base.set(spec.name, { spec, stored: await storedWeight(spec, fill, (bytes) => new Uint8Array(new SharedArrayBuffer(bytes))) })
        return spec
      }, options)
      // In the order of the tree, not in that of the files.
      return leaves(weightSpecs(architecture)).map(({ name }) => base.get(name)!)
    },
  }
}

/** The tokenizer and chat files of a checkpoint's directory, to be copied beside what is trained from it. */
export async function companionsOf(directory: string): Promise<{ tokenizer: TokenizerSource; generation: Record<string, unknown> }> {
  const generation = join(directory, 'generation_config.json')
  const copies = (await readdir(directory)).filter((name) => COMPANION.test(name) && name !== 'generation_config.json')
  return {
    tokenizer: { json: null, copies: copies.map((name) => join(directory, name)) },
    generation: existsSync(generation) ? asObject(parsePythonJson(readFileSync(generation, 'utf8'))) : {},
  }
}
