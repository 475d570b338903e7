/**
 * A LoRA directory as PEFT writes it (adapter_config.json, adapter_model.safetensors) -> changes of low rank of a model's inner weights, and
 * tensors that replace some of them. Finds modules by the published names of the base, checks every tensor before one is read, and
 * leaves none unused. Hu et al. 2021; the layout of expert parameters is that of peft's ParamWrapper.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { formOf } from '../architecture/families.ts'
import { type Recipe, rowOf, type Slice } from '../architecture/recipes.ts'
import { type TensorNames, tensorNames } from '../architecture/tensor-names.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import type { Fill, WeightSpec } from '../ops/backend.ts'
import { storedBytes } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import { type AdapterConfig, AdapterError, openPart, readAdapterConfig } from './adapter-config.ts'
import { decode } from './encode.ts'
import { fillFrom, MatrixCache } from './fill.ts'
import { publishedParts } from './published.ts'
import { type PublishedDtype, readHeader, type TensorEntry } from './safetensors.ts'
import type { Folder } from './source.ts'
import { INNER_DTYPE, problemOf } from './weights.ts'

type Entry = TensorEntry<PublishedDtype>

const FILE = 'adapter_model.safetensors'

/** The change of one inner weight [(E,) O, I]: scale·b·a, a [(E,) n, I] and b [(E,) O, n]. */
export interface LowRank {
  readonly spec: WeightSpec
  readonly rank: number
  readonly scale: number
  read(signal?: AbortSignal): Promise<{ a: Float32Array; b: Float32Array }>
}

/** A weight that the adapter brings whole (`modules_to_save`, biases). */
export interface Replacement extends WeightSpec {
  fill(signal?: AbortSignal): Fill
}

export interface AdapterPlan {
  readonly name: string
  readonly config: AdapterConfig
  /** By inner name. Of `embed`, which is looked up by rows, a is [V, n] and b [D, n]. */
  readonly lowRank: ReadonlyMap<string, LowRank>
  readonly replaced: ReadonlyMap<string, Replacement>
  /** Bytes of its tensors once they are loaded. */
  readonly bytes: number
  close(): Promise<void>
}

/** Where the product of a published module goes in an inner weight. */
export interface Target {
  readonly spec: WeightSpec
  /** Rows of the module's own matrix, and which of them is row `o` of the inner weight; -1: none. */
  readonly rows: number
  row(o: number): number
  /** The module is this expert; `all`: all experts in one tensor, as PEFT stores the change of a parameter [E, …]. */
  readonly expert?: number | 'all'
  /** Every head has a matrix of its own, whose rows are these of the module's; here it may lie transposed. */
  readonly heads?: { slice: Required<Slice>; transposed: boolean }
}

/** A pair of tensors of one module. */
interface Pair {
  readonly module: string
  readonly embedding: boolean
  a?: Entry
  b?: Entry
}

/** One pair with its target: `rank` rows of a from row `at` on. */
interface Piece {
  readonly target: Target
  readonly a: Entry
  readonly b: Entry
  readonly rank: number
  readonly scale: number
  readonly at: number
}

/**
 * Opens an adapter for a model and checks it. Reads no values. The caller closes the plan.
 * @throws AdapterError, FieldError that name file, tensor, what was expected and what came
 */
export async function openAdapter(folder: Folder, architecture: Architecture, signal?: AbortSignal): Promise<AdapterPlan> {
  const config = await readAdapterConfig(folder)
  const source = await openPart(folder, FILE)
  try {
    const { tensors } = await readHeader(source, signal)
    const { pairs, rest } = sort(tensors)
    const { targets, whole } = publishedModules(architecture)
    const lowRank = new Map<string, LowRank>()
    const pieces = pairs.flatMap((pair) => piecesOf(pair, targets.get(pair.module) ?? [], config, source.name))
    for (const [inner, own] of Map.groupBy(pieces, ({ target }) => target.spec.name)) lowRank.set(inner, combined(own))
    const replaced = replacements(rest, whole, source.name)
    const bytes =
      [...lowRank.values()].reduce(
        (sum, { spec, rank }) => sum + 4 * rank * (size(spec.shape.slice(0, -1)) + size(spec.shape) / spec.shape.at(-2)!),
        0,
      ) + [...replaced.values()].reduce((sum, { dtype, shape }) => sum + storedBytes(dtype, size(shape)), 0)
    return { name: folder.name, config, lowRank, replaced, bytes, close: () => source.close() }
  } catch (error) {
    await source.close()
    throw error
  }
}

const LOW_RANK = /^(.+?)((?:\.base_layer)*)\.lora_(embedding_)?([AB])(?:\.(?!weight$)[^.]+)?(?:\.weight)?$/

/** Splits the tensors into pairs of a and b, and tensors under their published names. */
function sort(tensors: ReadonlyMap<string, Entry>): { pairs: Pair[]; rest: Map<string, Entry> } {
  const pairs = new Map<string, Pair>()
  const rest = new Map<string, Entry>()
  for (const [name, entry] of tensors) {
    const plain = name.replace(/^base_model\.model\./, '')
    const [, module, depth, embedding, side] = LOW_RANK.exec(plain) ?? []
    if (module === undefined) rest.set(plain.replace(/\.modules_to_save(\.default)?\.|\.base_layer\./, '.'), entry)
    else {
      const key = module + depth
      const pair = pairs.get(key) ?? { module, embedding: embedding !== undefined }
      pair[side === 'A' ? 'a' : 'b'] = entry
      pairs.set(key, pair)
    }
  }
  return { pairs: [...pairs.values()], rest }
}

/** The modules of an architecture under every accepted prefix, and its tensors that can be replaced whole. */
function publishedModules(architecture: Architecture) {
  const targets = new Map<string, Target[]>()
  const whole = new Map<string, { spec: WeightSpec; recipe: Recipe }[]>()
  const add = (module: string, target: Target) => {
    const known = targets.get(module) ?? []
    if (!known.some(({ spec, expert }) => spec === target.spec && expert === target.expert)) targets.set(module, [...known, target])
  }
  const specs = leaves(weightSpecs({ ...architecture, tieWordEmbeddings: false }))
  // PEFT names modules as transformers does, also where the base lies in another layout.
  for (const form of [architecture, { ...architecture, tensorLayout: undefined }]) {
    for (const prefix of formOf(form)?.tensors.prefixes ?? []) {
      const names = tensorNames(form, (name) => name === prefix + formOf(form)!.tensors.whole.embed)
      for (const spec of specs) {
        for (const recipe of names.recipes(spec.name))
          for (const { name } of publishedParts(recipe, spec.shape)) whole.set(name, [...(whole.get(name) ?? []), { spec, recipe }])
        for (const [module, target] of modulesUnder(names, spec)) add(module, target)
      }
    }
  }
  return { targets, whole }
}

/** The modules that PEFT knows an inner weight as; none for a vector. */
export function* modulesUnder(names: TensorNames, spec: WeightSpec): Generator<[string, Target]> {
  if (spec.use === 'vector') return
  const recipes = names.recipes(spec.name)
  const stackedApart = recipes.some(({ form }) => form === 'interleaved')
  for (const recipe of recipes)
    for (const [module, target] of modulesOf(recipe, spec, stackedApart)) {
      const renamed = module.replace('.block_sparse_moe.', '.mlp.') // Mixtral's block since transformers 5
      if (renamed !== module) yield [renamed, target]
      yield [module, target]
    }
}

/** `stackedApart`: transformers puts gate and up of all experts one after the other, not in turn. */
function* modulesOf(recipe: Recipe, spec: WeightSpec, stackedApart: boolean): Generator<[string, Target]> {
  const rows = spec.shape.at(-2)!
  const half = rows / 2
  const same = (o: number) => o
  const module = (tensor: string) => tensor.replace(/\.weight$/, '')
  const parent = (tensor: string) => tensor.slice(0, Math.max(0, tensor.lastIndexOf('.')))
  const ofExperts = (tensor: string) => tensor.replace(/\.0\.[^.]+\.weight$/, '')
  switch (recipe.form) {
    case 'transposedRuns':
      yield [module(recipe.tensor), { spec, rows: recipe.slice.total, row: same, heads: { slice: recipe.slice, transposed: true } }]
      return
    case 'asStored':
    case 'transposed': {
      if (recipe.slice?.run && spec.shape.length > 2) {
        const slice = recipe.slice as Required<Slice>
        yield [module(recipe.tensor), { spec, rows: slice.total, row: same, heads: { slice, transposed: false } }]
        return
      }
      if (spec.shape.length > 2) {
        if (!stackedApart) yield [parent(recipe.tensor), { spec, rows, row: same, expert: 'all' }]
        return
      }
      const slice = recipe.slice ?? { from: 0, total: rows }
      yield [module(recipe.tensor), { spec, rows: slice.total, row: (o) => rowOf(slice, o) }]
      return
    }
    case 'mxfp4':
      if (!stackedApart) yield [parent(recipe.blocks.replace(/[._]blocks$/, '')), { spec, rows, row: same, expert: 'all' }]
      return
    case 'perExpert':
      yield [ofExperts(recipe.tensor(0)), { spec, rows, row: same, expert: 'all' }]
      for (let expert = 0; expert < spec.shape[0]!; expert++) yield [module(recipe.tensor(expert)), { spec, rows, row: same, expert }]
      return
    case 'interleaved':
      yield [ofExperts(recipe.gate(0)), { spec, rows, row: (o) => Math.floor(o / 2) + (o % 2) * half, expert: 'all' }]
      for (let expert = 0; expert < spec.shape[0]!; expert++) {
        yield [module(recipe.gate(expert)), { spec, rows: half, row: (o) => (o % 2 === 0 ? o / 2 : -1), expert }]
        yield [module(recipe.up(expert)), { spec, rows: half, row: (o) => (o % 2 === 1 ? (o - 1) / 2 : -1), expert }]
      }
  }
}

/** Checks the pair against the modules of its name. Several weights may share a module (q, k, v); stacked ones are told apart by shape. */
function piecesOf({ module, embedding, a, b }: Pair, targets: readonly Target[], config: AdapterConfig, file: string): Piece[] {
  const entry = (a ?? b)!
  const fail = (expected: string, came: string, tensor = entry.name): never => {
    const remedy = `The adapter says that it belongs to ${config.base ? `"${config.base}"` : 'no model'}: load it beside that one.`
    throw new AdapterError({ file, tensor, expected, came, remedy })
  }
  if (!a || !b) return fail('both lora_A and lora_B of a module', `only ${a ? 'lora_A' : 'lora_B'}`)
  for (const one of [a, b]) {
    if (one.shape.length !== 2) return fail('a matrix', `the shape [${one.shape.slice(0, 8).join(', ')}]`, one.name)
    if (!INNER_DTYPE[one.dtype]) return fail('F32, F16 or BF16', one.dtype, one.name)
  }
  if (targets.length === 0) return fail('a module of the model', `"${module}", which the model does not have`)
  const ofTable = ({ spec }: Target) => spec.name === 'embed'
  const inputs = (target: Target) => target.spec.shape.at(ofTable(target) ? 0 : target.heads?.transposed ? -2 : -1)!
  const outputs = (target: Target) => (ofTable(target) ? target.spec.shape[1]! : target.rows)
  const fits = (target: Target) => a.shape[1] === inputs(target) && b.shape[0] === outputs(target) && a.shape[0] === b.shape[1]
  const found = targets.filter((target) => ofTable(target) === embedding && fits(target))
  if (found.length === 0) {
    const wanted = targets.map((target) => `lora_A [n, ${inputs(target)}] with lora_B [${outputs(target)}, n]`)
    return fail([...new Set(wanted)].join(' or '), `[${a.shape.join(', ')}] and [${b.shape.join(', ')}]`)
  }
  return found.map((target) => {
    const stacked = target.expert === 'all' ? target.spec.shape[0]! : 1
    const name = target.expert === 'all' ? `${module}.${target.spec.name.endsWith('down') ? 'down_proj' : 'gate_up_proj'}` : module
    const rank = config.rank(name)
    if (a.shape[0] !== rank * stacked)
      return fail(`rank ${rank}${stacked > 1 ? ` for each of ${stacked} experts` : ''}, as adapter_config.json says`, `${a.shape[0]} rows`)
    return { target, a, b, rank, scale: config.scale(name), at: 0 }
  })
}

/** All pieces of one inner weight as one product: of the experts with their own ranks, or of gate and up, which share the rows of a. */
function combined(pieces: readonly Piece[]): LowRank {
  const { spec } = pieces[0]!.target
  const { scale } = pieces[0]!
  const [experts, O, I] = spec.shape.length > 2 ? (spec.shape as [number, number, number]) : [1, ...(spec.shape as [number, number])]
  const used = new Map<number, number>()
  const placed = pieces.map((piece) => {
    const expert = typeof piece.target.expert === 'number' ? piece.target.expert : 0
    const at = used.get(expert) ?? 0
    used.set(expert, at + piece.rank)
    return { ...piece, at }
  })
  const n = Math.max(...used.values())
  return {
    spec,
    rank: n,
    scale,
    async read(signal) {
      if (spec.name === 'embed') return { a: transposed(await valuesOf(pieces[0]!.a, signal), n), b: await valuesOf(pieces[0]!.b, signal) }
      const [a, b] = [new Float32Array(experts * n * I), new Float32Array(experts * O * n)]
      for (const { target, rank, at, ...piece } of placed) {
        const [from, to] = [await valuesOf(piece.a, signal), await valuesOf(piece.b, signal)]
        const factor = piece.scale / scale
        if (target.heads) {
          changeHeads(target.heads, rank, from, to, [a, b], [experts, O, I])
          continue
        }
        const stacked = target.expert === 'all' ? experts : 1
        const first = typeof target.expert === 'number' ? target.expert : 0
        for (let e = 0; e < stacked; e++) {
          const expert = first + e
          a.set(from.subarray(e * rank * I, (e + 1) * rank * I), (expert * n + at) * I)
          for (let o = 0; o < O; o++) {
            const row = target.row(o)
            if (row < 0) continue
            // Columns of a stacked b: rank by rank, and in each the experts.
            for (let r = 0; r < rank; r++) b[(expert * O + o) * n + at + r] = factor * to[row * rank * stacked + r * stacked + e]!
          }
        }
      }
      return { a, b }
    },
  }
}

/**
 * The change b·a of a module [total, I] as one change per head, into a [H, n, I] and b [H, O, n]. The rows of a head meet b; transposed the
 * change of a head is aᵀ·bᵀ. One pair of tensors fills the whole of both.
 */
function changeHeads(
  { slice, transposed: turned }: NonNullable<Target['heads']>,
  n: number,
  from: Float32Array,
  to: Float32Array,
  [a, b]: [Float32Array, Float32Array],
  [heads, O, I]: [number, number, number],
): void {
  for (let h = 0; h < heads; h++) {
    const first = slice.from + h * slice.every
    for (let r = 0; r < n; r++) {
      for (let i = 0; i < I; i++) a[(h * n + r) * I + i] = turned ? to[(first + i) * n + r]! : from[r * I + i]!
      for (let o = 0; o < O; o++) b[(h * O + o) * n + r] = turned ? from[r * O + o]! : to[(first + o) * n + r]!
    }
  }
}

/** [rows, columns] -> [columns, rows] */
function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows
  return values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!)
}

/** The weights that tensors of the adapter replace; a fused one needs all its parts. */
function replacements(
  tensors: ReadonlyMap<string, Entry>,
  whole: ReadonlyMap<string, readonly { spec: WeightSpec; recipe: Recipe }[]>,
  file: string,
): Map<string, Replacement> {
  const replaced = new Map<string, Replacement>()
  const cache = new MatrixCache()
  for (const [published, entry] of tensors) {
    const owners = whole.get(published) ?? []
    const remedy = 'Only LoRA tensors, and whole tensors of the base (modules_to_save, biases) are read.'
    if (owners.length === 0)
      throw new AdapterError({
        file,
        tensor: entry.name,
        expected: 'a tensor of the model',
        came: `"${published}", which the model does not have`,
        remedy,
      })
    for (const { spec, recipe } of owners) {
      const parts = publishedParts(recipe, spec.shape)
      const entries = parts.map(({ name }) => tensors.get(name))
      const problem = parts.flatMap(({ name, shape }, n) => {
        const found = entries[n]
        return found ? (problemOf(found, shape, recipe, entries[0]) ?? []) : `missing: ${name}`
      })[0]
      if (problem) throw new AdapterError({ file, tensor: entry.name, expected: 'a tensor as the base has it', came: problem, remedy })
      const dtype = recipe.form === 'mxfp4' ? 'mxfp4' : INNER_DTYPE[entry.dtype]!
      const fill = (signal?: AbortSignal) => fillFrom(recipe, spec.shape, entries as Entry[], cache, signal)
      replaced.set(spec.name, { ...spec, dtype, fill })
    }
  }
  return replaced
}

async function valuesOf(entry: Entry, signal: AbortSignal | undefined): Promise<Float32Array> {
  const bytes = new Uint8Array(entry.byteLength)
  await entry.source.read(entry.offset, bytes, signal)
  return decode(bytes, entry.dtype)
}
