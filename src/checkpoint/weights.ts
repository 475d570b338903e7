/**
 * Published tensors -> the weight tree of an architecture, by name. Everything is checked before a
 * backend allocates memory; missing, surplus and wrongly shaped tensors are reported together. Converts
 * no numbers; dtypes are those of the files.
 */
import type { Architecture, DType } from '../architecture/architecture.ts'
import { type Recipe, suits } from '../architecture/recipes.ts'
import { tensorNames } from '../architecture/tensor-names.ts'
import { abbreviate } from '../json/json.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from '../model/weights.ts'
import type { Fill, ReadRow, WeightSpec } from '../ops/backend.ts'
import { isBlocks, storedBytes } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import type { Checkpoint } from './checkpoint.ts'
import { WeightsMismatchError } from './errors.ts'
import { fillFrom, MatrixCache } from './fill.ts'
import { GGML_BY_NAME } from './gguf/types.ts'
import { partCount, publishedParts } from './published.ts'
import type { TensorEntry } from './safetensors.ts'

/** One inner weight: the dtype of the file (which may differ from the architecture's) and the place of its bytes. */
export interface PlannedWeight extends WeightSpec {
  readonly byteLength: number
  readonly form: Recipe['form']
  /** The published tensors it is read from, in the order of its recipe. */
  readonly entries: readonly TensorEntry[]
  /** Reads its bytes; `signal` aborts the reading. */
  fill(signal?: AbortSignal): Fill
  /** The weight packed, for a backend that orders columns. */
  readonly ordered?: OrderedForm
  /** Reads one row of a table directly from its file, if the source can read synchronously. */
  readonly readRow?: ReadRow
}

/** A packed form of a matrix whose columns lie in another order; `shape` has the columns of the form. */
export interface OrderedForm extends Pick<WeightSpec, 'shape' | 'dtype'> {
  readonly order: NonNullable<WeightSpec['order']>
  readonly byteLength: number
  fill(signal?: AbortSignal): Fill
}

/** A checkpoint that matches its architecture. */
export interface WeightPlan {
  /** The given architecture with dtypes and tying as the files have them. */
  readonly architecture: Architecture
  readonly tree: Weights<PlannedWeight>
  /** Bytes of all inner weights. The files may hold more (a tied output matrix, masks). */
  readonly weightBytes: number
}

/** The types of GGUF include the dtypes of safetensors files that hold weights. */
export const INNER_DTYPE: Partial<Record<TensorEntry['dtype'], DType>> = {
  ...Object.fromEntries([...GGML_BY_NAME.values()].map(({ name, dtype }) => [name, dtype])),
  fp8: 'fp8',
  int4_groups: 'int4_groups',
  int8_groups: 'int8_groups',
}

/** How many problems one error lists. */
const LISTED = 12

type Tensors = ReadonlyMap<string, TensorEntry>

/**
 * Finds the published tensors of every weight of the architecture.
 * @throws WeightsMismatchError that lists missing, surplus, wrongly shaped and wrongly typed tensors
 * (at most LISTED)
 */
export function planWeights(configured: Architecture, checkpoint: Checkpoint): WeightPlan {
  const { tensors } = checkpoint
  const has = (name: string) => tensors.has(name)
  // Without an output matrix in the files the model is tied, whatever the configuration says.
  const namesOf = (architecture: Architecture) => checkpoint.names?.(architecture, has) ?? tensorNames(architecture, has)
  const hasUnembed = namesOf(configured)
    .recipes('unembed')
    .some((recipe) => exists(recipe, tensors))
  const architecture = configured.tieWordEmbeddings || hasUnembed ? configured : { ...configured, tieWordEmbeddings: true }
  const names = namesOf(architecture)
  const problems: string[] = []
  const used = new Set<string>()
  const cache = new MatrixCache()
  const planned = mapWeights(weightSpecs(architecture), (spec): PlannedWeight | undefined => {
    const recipes = names.recipes(spec.name)
    const recipe = recipes.find((candidate) => exists(candidate, tensors)) ?? recipes.find((one) => suits(one, spec.dtype)) ?? recipes[0]
    if (!recipe) {
      problems.push(`the model type "${architecture.modelType}" has no published name for the weight ${spec.name}`)
      return undefined
    }
    // A wrong number of experts could ask for millions of tensors: they are named only if the checkpoint can have so many.
    const count = partCount(recipe, spec.shape)
    if (count > tensors.size) {
      problems.push(
        `missing: tensors of ${spec.name} [${spec.shape.join(', ')}], which should be ${count}; the checkpoint has ${tensors.size} in all`,
      )
      return undefined
    }
    const before = problems.length
    const entries: TensorEntry[] = []
    for (const part of publishedParts(recipe, spec.shape)) {
      used.add(part.name)
      const stored = tensors.get(part.name)
      const entry = isTransposed(recipe) ? (stored?.plain ?? stored) : stored
      const problem = entry ? problemOf(entry, part.shape, recipe, entries[0]) : `missing: ${part.name} [${part.shape.join(', ')}]`
      if (problem === undefined) entries.push(entry!)
      else problems.push(problem)
    }
    if (problems.length > before) return undefined
    const dtype = recipe.form === 'mxfp4' ? 'mxfp4' : INNER_DTYPE[entries[0]!.dtype]!
    const byteLength = storedBytes(dtype, size(spec.shape))
    const fill = (signal?: AbortSignal) => fillFrom(recipe, spec.shape, entries, cache, signal)
    const readRow = spec.use === 'table' ? rowReader(recipe, entries[0]!) : undefined
    const ordered = orderedForm(spec, recipe, entries[0]!, cache)
    return { ...spec, dtype, byteLength, form: recipe.form, entries, fill, ...(ordered && { ordered }), ...(readRow && { readRow }) }
  })
  for (const [name, entry] of tensors) {
    if (!used.has(name) && !names.isIgnored(name)) problems.push(`surplus: ${abbreviate(name)} [${entry.shape.slice(0, 8).join(', ')}]`)
  }
  if (problems.length > 0) throw mismatch(configured, checkpoint, problems)
  const tree = planned as Weights<PlannedWeight>
  const all = leaves(tree)
  const dtype = checkpoint.names ? mainDtype(all) : tree.embed.dtype
  return {
    architecture: { ...architecture, dtype, expertDtype: all.find((weight) => weight.use === 'experts')?.dtype ?? dtype },
    tree,
    weightBytes: all.reduce((sum, weight) => sum + weight.byteLength, 0),
  }
}

/** The dtype that holds most bytes of the matrices: GGUF files mix types, and the embedding has another one than most. */
function mainDtype(weights: readonly PlannedWeight[]): DType {
  const bytes = new Map<DType, number>()
  for (const { dtype, byteLength, use } of weights) if (use === 'matrix') bytes.set(dtype, (bytes.get(dtype) ?? 0) + byteLength)
  return [...bytes].reduce((most, one) => (one[1] > most[1] ? one : most))[0]
}

function orderedForm(
  { shape, use, exact }: WeightSpec,
  recipe: Recipe,
  { ordered }: TensorEntry,
  cache: MatrixCache,
): OrderedForm | undefined {
  if (!ordered || recipe.form !== 'asStored' || use !== 'matrix' || exact || shape.length !== 2) return undefined
  const { entry, order } = ordered
  const dtype = INNER_DTYPE[entry.dtype]!
  const packed = [shape[0]!, order.length]
  return {
    shape: packed,
    dtype,
    order: { columns: order, inputs: shape[1]! },
    byteLength: storedBytes(dtype, size(packed)),
    fill: (signal) => fillFrom(recipe, packed, [entry], cache, signal),
  }
}

function rowReader(recipe: Recipe, { source, offset }: TensorEntry): ReadRow | undefined {
  if (recipe.form !== 'asStored' || recipe.slice || !source.readNow) return undefined
  return (row, into) => source.readNow!(offset + row * into.byteLength, into)
}

export function problemOf(
  entry: TensorEntry,
  shape: readonly number[],
  recipe: Recipe,
  sibling: TensorEntry | undefined,
): string | undefined {
  const name = abbreviate(entry.name)
  if (entry.shape.length !== shape.length || entry.shape.some((length, axis) => length !== shape[axis])) {
    return `wrong shape: ${name} is [${entry.shape.slice(0, 8).join(', ')}], expected [${shape.join(', ')}]`
  }
  const inner = INNER_DTYPE[entry.dtype]
  if (isTransposed(recipe) && inner !== undefined && (isBlocks(inner) || inner === 'fp8'))
    return `wrong dtype: ${name} is ${entry.dtype}, expected F32, F16 or BF16, because its columns become rows`
  const wanted = recipe.form === 'mxfp4' ? 'U8' : (sibling?.dtype ?? 'F32, F16 or BF16')
  const fits = recipe.form === 'mxfp4' || sibling ? entry.dtype === wanted : inner !== undefined
  return fits ? undefined : `wrong dtype: ${name} is ${entry.dtype}, expected ${wanted}`
}

/** Whether columns of the published tensor become rows of the weight. */
const isTransposed = ({ form }: Recipe): boolean => form === 'transposed' || form === 'transposedRuns'

/** Whether the first published tensor of a recipe exists. If others are missing, they are reported. */
function exists(recipe: Recipe, tensors: Tensors): boolean {
  switch (recipe.form) {
    case 'asStored':
    case 'transposed':
    case 'transposedRuns':
      return tensors.has(recipe.tensor)
    case 'perExpert':
      return tensors.has(recipe.tensor(0))
    case 'interleaved':
      return tensors.has(recipe.gate(0))
    case 'mxfp4':
      return tensors.has(recipe.blocks) || tensors.has(recipe.scales)
  }
}

function mismatch(architecture: Architecture, checkpoint: Checkpoint, problems: readonly string[]): WeightsMismatchError {
  const more = problems.length > LISTED ? `; and ${problems.length - LISTED} more` : ''
  const lines = problems.slice(0, LISTED).join('; ')
  return new WeightsMismatchError({
    file: checkpoint.name,
    expected: `the tensors of ${architecture.name} of the model type "${architecture.tensorLayout ?? architecture.modelType}"`,
    came: `${problems.length} ${problems.length === 1 ? 'difference' : 'differences'}: ${lines}${more}`,
    remedy: 'Check that config.json and the safetensors files belong together.',
  })
}
