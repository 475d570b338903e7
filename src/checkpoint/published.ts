/**
 * The published tensors of an architecture: names, shapes and dtypes in a checkpoint, and the inner
 * weights of each. The inverse of weights.ts. Saving, synthesis and size reports use this list.
 */
import type { Architecture, DType } from '../architecture/architecture.ts'
import { GENERAL } from '../architecture/families/general.ts'
import { type Recipe, type Slice, suits } from '../architecture/recipes.ts'
import { tensorNames } from '../architecture/tensor-names.ts'
import { toConfigJson, UnwritableArchitectureError } from '../architecture/to-config-json.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { MXFP4_BLOCK, MXFP4_BLOCK_BYTES } from '../ops/dtype.ts'
import { WeightsMismatchError } from './errors.ts'
import type { PublishedDtype, TensorShape } from './safetensors.ts'

/** A published tensor that a recipe reads, with its required shape. */
export interface PublishedPart {
  readonly name: string
  readonly shape: readonly number[]
  /** The content; `expert` is the expert's index in `perExpert` and `interleaved`. */
  readonly role: { kind: 'values' } | { kind: 'blocks' } | { kind: 'scales' } | { kind: 'expert' | 'gate' | 'up'; expert: number }
}

/** The published tensors of one recipe for an inner weight of this shape, in a fixed order. */
export function publishedParts(recipe: Recipe, shape: readonly number[]): PublishedPart[] {
  switch (recipe.form) {
    case 'asStored':
      return [{ name: recipe.tensor, shape: recipe.slice ? slicedShape(recipe.slice, shape) : shape, role: { kind: 'values' } }]
    case 'transposed': {
      const [rows, columns] = shape.slice(-2) as [number, number]
      const middle = recipe.middle ? [1] : []
      return [
        { name: recipe.tensor, shape: [...shape.slice(0, -2), columns, ...middle, recipe.slice?.total ?? rows], role: { kind: 'values' } },
      ]
    }
    case 'transposedRuns':
      return [{ name: recipe.tensor, shape: [recipe.slice.total, shape.at(-2)!], role: { kind: 'values' } }]
    case 'perExpert':
      return experts(shape).map((expert) => ({ name: recipe.tensor(expert), shape: shape.slice(1), role: { kind: 'expert', expert } }))
    case 'interleaved': {
      const half = [shape[1]! / 2, ...shape.slice(2)]
      return experts(shape).flatMap((expert): PublishedPart[] => [
        { name: recipe.gate(expert), shape: half, role: { kind: 'gate', expert } },
        { name: recipe.up(expert), shape: half, role: { kind: 'up', expert } },
      ])
    }
    case 'mxfp4': {
      const blocks = [...shape.slice(0, -1), shape.at(-1)! / MXFP4_BLOCK]
      return [
        { name: recipe.blocks, shape: [...blocks, MXFP4_BLOCK_BYTES], role: { kind: 'blocks' } },
        { name: recipe.scales, shape: blocks, role: { kind: 'scales' } },
      ]
    }
  }
}

/** How many published tensors a recipe reads: the length of `publishedParts`, without naming one. */
export function partCount({ form }: Recipe, shape: readonly number[]): number {
  switch (form) {
    case 'asStored':
    case 'transposed':
    case 'transposedRuns':
      return 1
    case 'perExpert':
      return shape[0]!
    case 'interleaved':
      return 2 * shape[0]!
    case 'mxfp4':
      return 2
  }
}

/** The fused tensor that a weight (with the matrices of all heads in one) is a part of. */
const slicedShape = ({ total }: Slice, shape: readonly number[]): number[] => [total, ...(shape.length > 1 ? [shape.at(-1)!] : [])]

const experts = (shape: readonly number[]): number[] => Array.from({ length: shape[0]! }, (_, expert) => expert)

/** A published tensor and the inner weights it is made of: several for a fused one, else one. */
export interface PublishedTensor extends TensorShape {
  readonly role: PublishedPart['role']
  readonly sources: readonly { readonly spec: WeightSpec; readonly recipe: Recipe }[]
}

export const PUBLISHED_DTYPE: Partial<Record<DType, PublishedDtype>> = { f32: 'F32', f16: 'F16', bf16: 'BF16' }

/**
 * Every tensor of the architecture's published layout in canonical form, in the order of the weight tree.
 * `has` (of an existing checkpoint) selects its name prefix.
 * @throws WeightsMismatchError when the layout has no name for one of the architecture's weights.
 */
export function publishedTensors(architecture: Architecture, has?: (published: string) => boolean): PublishedTensor[] {
  const names = tensorNames(architecture, has)
  const found = new Map<string, { shape: TensorShape; role: PublishedPart['role']; sources: { spec: WeightSpec; recipe: Recipe }[] }>()
  for (const spec of leaves(weightSpecs(architecture))) {
    const recipe = names.recipes(spec.name).find((candidate) => suits(candidate, spec.dtype))
    const dtype = recipe?.form === 'mxfp4' ? 'U8' : PUBLISHED_DTYPE[spec.dtype]
    if (!recipe || !dtype) {
      throw new WeightsMismatchError({
        file: architecture.name,
        expected: `a published name in the model type "${architecture.modelType}" for every weight`,
        came: `none for ${spec.name} in ${spec.dtype}`,
        remedy: 'This architecture cannot be saved in a published layout as it is.',
      })
    }
    for (const part of publishedParts(recipe, spec.shape)) {
      const known = found.get(part.name)
      if (known) known.sources.push({ spec, recipe })
      else found.set(part.name, { shape: { name: part.name, dtype, shape: part.shape }, role: part.role, sources: [{ spec, recipe }] })
    }
  }
  return [...found.values()].map(({ shape, role, sources }) => ({ ...shape, role, sources }))
}

/**
 * The architecture under a model type in whose layout it can be saved: its own where that can say what it is, else the general one.
 * @throws UnwritableArchitectureError when neither can
 */
export function writableForm(architecture: Architecture): Architecture {
  try {
    toConfigJson(architecture)
    publishedTensors(architecture)
    return architecture
  } catch (error) {
    if (!(error instanceof UnwritableArchitectureError || error instanceof WeightsMismatchError)) throw error
    const form = { ...architecture, modelType: GENERAL, tensorLayout: undefined }
    toConfigJson(form)
    publishedTensors(form)
    return form
  }
}
