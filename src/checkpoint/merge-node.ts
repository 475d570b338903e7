/**
 * Writes a model with an adapter merged into its weights: what the adapter changes is computed in f32 and rounded to the dtype of the base,
 * all else is copied byte for byte. MXFP4 experts that change are written in the base's dense dtype: rounded to 4 bits again, most of
 * the change would be lost.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { leaves } from '../model/weights.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { type AdapterPlan, openAdapter } from './adapter.ts'
import { AdapterError } from './adapter-config.ts'
import { requirePublished } from './checkpoint.ts'
import { Encoder } from './encode.ts'
import { type OpenModel, openModel } from './load.ts'
import { mergedValues } from './merge.ts'
import { claimDirectory, isSameDirectory, madeBy } from './output-node.ts'
import { publishedTensors } from './published.ts'
import { copyCompanions, copyEntry } from './quantize-node.ts'
import { isPublished, type TensorShape } from './safetensors.ts'
import { isWrapped, type SaveOptions, saveTensors } from './save-node.ts'
import type { Folder } from './source.ts'
import { fileFolder } from './source-node.ts'
import type { PlannedWeight } from './weights.ts'
import type { OutgoingTensor } from './write-node.ts'

const MADE = madeBy('lineage merge')

export interface MergeOptions extends SaveOptions {
  /** Replaces another model in `out`. */
  readonly force?: boolean | undefined
}

export interface MergeResult {
  readonly files: readonly string[]
  /** Inner names of the weights that changed. */
  readonly changed: readonly string[]
  /** The model has images or sound too, and only its language model was written. */
  readonly textOnly: boolean
}

/**
 * @param directory of the base
 * @param adapter directory that PEFT wrote
 * @param out directory to write
 * @throws AdapterError, CheckpointError, ConfigError before anything is written
 */
export async function mergeAdapter(directory: string, adapter: string, out: string, options: MergeOptions = {}): Promise<MergeResult> {
  for (const input of [directory, adapter])
    if (await isSameDirectory(input, out))
      throw new AdapterError({
        file: out,
        expected: 'a directory of its own',
        came: 'one of the inputs',
        remedy: 'Choose another directory.',
      })
  const model = await openModel(await fileFolder(directory), options.signal)
  try {
    requirePublished(model.checkpoint)
    return await merge(model, directory, await fileFolder(adapter), out, options)
  } finally {
    await model.checkpoint.close()
  }
}

async function merge(model: OpenModel, directory: string, adapter: Folder, out: string, options: MergeOptions): Promise<MergeResult> {
  const plan = await openAdapter(adapter, model.architecture, options.signal)
  try {
    const target = targetOf(model, plan)
    const planned = new Map(leaves(model.tree).map((weight) => [weight.name, weight]))
    const baseOf = ({ name }: WeightSpec): PlannedWeight => planned.get(name) ?? { ...planned.get('embed')!, name }
    const isChanged = (spec: WeightSpec) => plan.lowRank.has(spec.name) || plan.replaced.has(spec.name) || !planned.has(spec.name)
    const encoder = new Encoder((spec) => mergedValues(baseOf(spec), plan, options.signal))
    const all = publishedTensors(target, (name) => model.checkpoint.tensors.has(name))
    const tensors = all.flatMap((tensor): (OutgoingTensor & TensorShape)[] => {
      const specs = tensor.sources.map(({ spec }) => spec)
      if (specs.some(isChanged) || specs.some((spec) => spec.use === 'experts' && baseOf(spec).dtype !== spec.dtype))
        return [{ ...tensor, bytes: () => encoder.bytes(tensor) }]
      return specs
        .flatMap((spec) => baseOf(spec).entries.filter(isPublished))
        .map((entry) => ({ ...entry, bytes: () => copyEntry(entry, options.signal) }))
    })
    const unique = [...new Map(tensors.map((tensor) => [tensor.name, tensor])).values()]
    await claimDirectory(out, MADE, { force: options.force })
    const files = await saveTensors(out, target, unique, { ...options, metadata: MADE })
    await copyCompanions(directory, out)
    const changed = [...new Set([...plan.lowRank.keys(), ...plan.replaced.keys()])]
    return { files, changed, textOnly: isWrapped(model.checkpoint) }
  } finally {
    await plan.close()
  }
}

/** The base's architecture, untied where only one of the two uses of a tied matrix changes, and with dense experts where packed ones change. */
function targetOf({ architecture }: OpenModel, { lowRank, replaced }: AdapterPlan): Architecture {
  const changes = (name: RegExp) => [...lowRank.keys(), ...replaced.keys()].some((inner) => name.test(inner))
  const expertsChange = changes(/\.(gateUp|down)$/) && architecture.layers.some(({ feedForward }) => feedForward.kind === 'moe')
  return {
    ...architecture,
    tieWordEmbeddings: architecture.tieWordEmbeddings && !changes(/^(un)?embed$/),
    expertDtype: architecture.expertDtype === 'mxfp4' && expertsChange ? architecture.dtype : architecture.expertDtype,
  }
}
