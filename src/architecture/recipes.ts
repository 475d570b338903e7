/**
 * How weights lie in published tensors: recipes, and the tables of names that families make of them. Data and string templates
 * only: nothing is read, no shape is checked here. `checkpoint/` reads and writes through these tables.
 */
import type { Architecture, DType } from './architecture.ts'
import { multiHeadOf } from './slots.ts'

/**
 * How an inner weight, row-major with its input axis last, lies in published tensors.
 * A `slice` is the weight's part of `total` output rows of a fused tensor.
 */
export type Recipe =
  /** The same bytes in the same order. */
  | { form: 'asStored'; tensor: string; slice?: Slice }
  /** Published [.., I, O] (GPT-2's Conv1D, dequantised gpt-oss experts) for inner [.., O, I]; with `middle` [.., I, 1, O] (depthwise convolutions). */
  | { form: 'transposed'; tensor: string; slice?: Slice; middle?: boolean }
  /** Every run of published rows [N, I] for one matrix of inner [H, I, N] (keys of every head from a latent). */
  | { form: 'transposedRuns'; tensor: string; slice: Required<Slice> }
  /** One published tensor per expert for inner [E, ..]. */
  | { form: 'perExpert'; tensor: (expert: number) => string }
  /** Two published tensors [F, D] per expert for inner [E, 2F, D]: row 2j is gate j, row 2j + 1 is up j. */
  | { form: 'interleaved'; gate: (expert: number) => string; up: (expert: number) => string }
  /** Blocks U8 [.., O, I/32, 16] and scales U8 [.., O, I/32] for inner mxfp4 [.., O, I]. */
  | { form: 'mxfp4'; blocks: string; scales: string }

/** Whether a recipe is for weights of this dtype: the packed form for mxfp4, the others for everything else. */
export const suits = (recipe: Recipe, dtype: DType): boolean => (recipe.form === 'mxfp4') === (dtype === 'mxfp4')

/** Rows [from, from + own rows); with `every`, runs of `run` rows, each that many rows after the one before (GPT-NeoX: q, k, v of a head in turn). */
export interface Slice {
  from: number
  total: number
  run?: number
  every?: number
}

/** The row of a fused tensor that is row `row` of the weight. */
export const rowOf = ({ from, run, every }: Slice, row: number): number =>
  run === undefined || every === undefined ? from + row : from + Math.floor(row / run) * every + (row % run)

/** q, k and v of head after head, as GPT-NeoX fuses them. */
export function fusedByHead(architecture: Architecture, layer: number): { q: Slice; k: Slice; v: Slice } {
  const { heads, headDim: run } = multiHeadOf(architecture, layer)
  const at = (part: number): Slice => ({ from: part * run, total: 3 * heads * run, run, every: 3 * run })
  return { q: at(0), k: at(1), v: at(2) }
}

/** Published by inner names. A string is a tensor that is stored as the weight is. Of several forms the canonical one is first. */
export type Names = Readonly<Record<string, string | Recipe | (string | Recipe)[]>>

/** The published names of one model type. */
export interface TensorTable {
  /** Accepted prefixes of everything but the output matrix, the canonical one first. */
  readonly prefixes: readonly string[]
  /** Prefix of layer N, `{N}` standing for its number. */
  readonly layer: string
  /** Tensors that carry no weight of the model. */
  readonly ignored?: RegExp
  /** Layers behind the last one are modules that predict further tokens, and are skipped. */
  readonly predictionModules?: boolean
  /** Names outside of layers, after the prefix. */
  readonly whole: Readonly<Record<string, string>>
  readonly unembed: readonly string[]
  /** Names of a layer's weights. `at` puts the layer's prefix before a name. */
  inLayer(architecture: Architecture, layer: number, at: (tail: string) => string): Names
}

/** Published [.., I, O] for inner [.., O, I], whole or as a part of a fused tensor. */
export const transposed = (tensor: string, slice?: Slice): Recipe => ({ form: 'transposed', tensor, slice })

/** Blocks and scales of MXFP4 experts in the spelling of gpt-oss, the one published layout of them. */
export const packed = (tensor: string): Recipe => ({ form: 'mxfp4', blocks: `${tensor}_blocks`, scales: `${tensor}_scales` })

/** Where q, k and v lie among the output rows of a fused projection, in this order. */
export function fused(architecture: Architecture, layer: number): { q: Slice; k: Slice; v: Slice } {
  const { heads, kvHeads, headDim } = multiHeadOf(architecture, layer)
  const query = heads * headDim
  const keyValue = kvHeads * headDim
  const total = query + 2 * keyValue
  return { q: { from: 0, total }, k: { from: query, total }, v: { from: query + keyValue, total } }
}
