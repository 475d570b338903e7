/**
 * Which published tensor, or which part of it, is which inner weight of an architecture. The tables stand in the files of the families.
 * Sources: the published safetensors headers and transformers' modeling files of each family; openai/gpt-oss torch/weights.py.
 */
import type { Architecture } from './architecture.ts'
import { formOf } from './families.ts'
import type { Names, Recipe } from './recipes.ts'

/** The names of one checkpoint: the table of its family under one of the accepted prefixes. */
export interface TensorNames {
  /** Published forms of an inner weight ('layers.3.attention.q'), the canonical one first. Empty without a name for it. */
  recipes(inner: string): Recipe[]
  /** Tensors that carry no weight of the model: causal masks, rotary tables, an output matrix although it is tied. */
  isIgnored(published: string): boolean
}

/**
 * The names of an architecture's checkpoint. `has` tells whether a published tensor exists, to find the prefix in use.
 * @throws RangeError for a model type of no family
 */
export function tensorNames(architecture: Architecture, has: (published: string) => boolean = () => false): TensorNames {
  const table = formOf(architecture)?.tensors
  if (!table) throw new RangeError(`${architecture.name}: no tensor names are known for the model type "${architecture.modelType}"`)
  const prefix = table.prefixes.find((candidate) => has(candidate + table.whole.embed!)) ?? table.prefixes[0]!
  const ofLayers = new Map<number, Names>()
  const ofLayer = (layer: number): Names => {
    let names = ofLayers.get(layer)
    if (!names) {
      const start = prefix + table.layer.replace('{N}', String(layer))
      names = table.inLayer(architecture, layer, (tail) => start + tail)
      ofLayers.set(layer, names)
    }
    return names
  }
  return {
    recipes(inner) {
      if (inner === 'unembed') return table.unembed.map(asStored)
      const [, layer, tail] = /^layers\.(\d+)\.(.+)$/.exec(inner) ?? []
      if (tail !== undefined) return [ofLayer(Number(layer))[tail] ?? []].flat().map(asStored)
      const name = table.whole[inner]
      return name === undefined ? [] : [asStored(prefix + name)]
    },
    isIgnored(published) {
      const [, layer] = /(?:^|\.)layers\.(\d+)\./.exec(published) ?? []
      if (table.predictionModules && layer !== undefined && Number(layer) >= architecture.layers.length) return true
      return table.ignored?.test(published) || (architecture.tieWordEmbeddings && table.unembed.includes(published))
    },
  }
}

const asStored = (recipe: string | Recipe): Recipe => (typeof recipe === 'string' ? { form: 'asStored', tensor: recipe } : recipe)
