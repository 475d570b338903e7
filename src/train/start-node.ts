/** A checkpoint as the start of a training run: its architecture, its weights as f32, and the files that go with it. */
import type { Architecture } from '../architecture/architecture.ts'
import { type LoadOptions, loadWeights, openModel, type WeightSink } from '../checkpoint/load.ts'
import { type Folder, readText } from '../checkpoint/source.ts'
import { asObject } from '../json/json.ts'
import { parsePythonJson } from '../json/python.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import { storedWeight, weightValues } from '../ops/decode.ts'
import { tokenizerFileNames } from '../tokenizer/files.ts'
import type { LowRankTraining } from './low-rank.ts'
import { byName, type ParameterLayout } from './parameters.ts'
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
      const places = byName(layout)
      await eachWeight(async (spec, fill) => {
        values.set(await weightValues(spec, fill), places.get(spec.name)!.at)
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

/** The files beside the weights that a fine-tuned model keeps, but for generation_config.json. */
const COMPANIONS = [
  ...tokenizerFileNames,
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'additional_chat_templates/tool_use.jinja',
]

/** The tokenizer and chat files of a checkpoint, also those in the metadata of a GGUF file, for what is trained from it. */
export async function companionsOf(folder: Folder): Promise<{ tokenizer: TokenizerSource; generation: Record<string, unknown> }> {
  const read = async (name: string) => {
    const source = await folder.open(name)
    return source && readText(source).finally(() => source.close())
  }
  const files: Record<string, string> = {}
  for (const name of COMPANIONS) {
    const text = await read(name)
    if (text !== undefined) files[name] = text
  }
  const generation = await read('generation_config.json')
  return { tokenizer: { json: null, files }, generation: generation === undefined ? {} : asObject(parsePythonJson(generation)) }
}
