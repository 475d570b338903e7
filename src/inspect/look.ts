/**
 * What happens inside a model while it reads a text: where attention goes, which experts work, how large the activations are, and what
 * each layer would answer. The text passes in pieces with a cache. Every piece is reduced to sums and to the rows of the chosen tokens
 * at once, so that attention matrices of long texts and activations of large models are never held. Slow, like the probe.
 */
import type { Architecture, Layer } from '../architecture/architecture.ts'
import { hasHeads, windowOf } from '../architecture/slots.ts'
import { cacheSpec } from '../model/cache-spec.ts'
import { forward, logits } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import type { Backend } from '../ops/backend.ts'
import { type AttentionMap, createProbe, type ExpertChoice, type Observation } from './probe.ts'
import { likeliest, SizeSum, type Sizes, topShares } from './reduce.ts'

export type { Sizes } from './reduce.ts'

export interface LookOptions {
  /** Indices of layers; negative ones count from the end. Default: all. */
  layers?: readonly number[]
  /** Indices of query heads. Default: all, without their whole rows. */
  heads?: readonly number[]
  /** Indices of tokens whose rows are shown; negative ones count from the end. Default: the last 16. */
  tokens?: readonly number[]
  /** How many tokens a list of the likeliest, or of the most attended, has. Default 3. */
  top?: number
  /** What each layer would answer; reads the output matrix once per layer. Default true. */
  lens?: boolean
  /** Also give the residual stream of the chosen tokens. Default false. */
  hidden?: boolean
  /** The text of an id; then tokens and answers have one. */
  spell?: (id: number) => string
  /** Called while it reads, and after the answers of each layer. */
  onProgress?: (progress: LookProgress) => void
  signal?: AbortSignal
}

export type LookProgress = { reading: 'tokens' | 'layers'; done: number; of: number }

export interface Share {
  /** Index of a token of the text, from 0. */
  token: number
  share: number
}

/** The attention of one token: shares of the tokens `first … first + shares.length - 1`. They sum to one with the sink's share. */
export interface AttentionRow {
  token: number
  first: number
  shares: Float64Array
  sink: number
}

/** Means over the chosen tokens, and the most attended tokens of each. */
export interface HeadLook {
  head: number
  /** Share of the learned sink; 0 where the model has none. */
  sink: number
  /** Share of the first token of the text, which many models use as a sink. */
  firstToken: number
  /** Mean distance in tokens of what is attended to. */
  distance: number
  /** Entropy of the shares in bits, with the sink as one of them. */
  entropy: number
  rows: { token: number; sink: number; top: Share[] }[]
  /** Whole rows; only of heads that were asked for. */
  map?: AttentionRow[]
}

export type AttentionLook =
  | {
      kind: 'multiHead' | 'latent'
      /** How many tokens back a token sees, itself included; null: all. */
      window: number | null
      learnedSinks: boolean
      kvHeads: number
      /** Values per token that latent attention keeps. */
      latent?: number
      heads: HeadLook[]
      /** Mean over the chosen heads. */
      mean: AttentionRow[]
    }
  /** A state-space layer has no map: every token goes into states of a fixed size. */
  | { kind: 'stateSpace'; channels: number; states: number; convolution: number }

export interface ExpertsLook {
  experts: number
  active: number
  /** [E] how many tokens of the whole text chose each expert. */
  load: number[]
  /** Tokens of the whole text. */
  tokens: number
  /** Experts that would carry an equal load with the same entropy: E where all work alike, A where always the same do. */
  effective: number
  rows: { token: number; chosen: number[]; weights: number[] }[]
}

export interface Likely {
  id: number
  text?: string
  share: number
}

/** What the final norm and the output matrix make of a layer's residual stream. */
export interface LensRow {
  token: number
  top: Likely[]
  /** The token that follows in the text, its place among all (1: the likeliest) and its share; null at the end of the text. */
  next: { id: number; rank: number; share: number } | null
}

export interface LayerLook {
  layer: number
  attention: AttentionLook
  experts?: ExpertsLook
  /** Of the whole text: the residual stream after the layer, and what its branches add to it, after their norms and factors. */
  sizes: { stream: Sizes; attention: Sizes; feedForward?: Sizes }
  lens?: LensRow[]
  /** [R, D]: the residual stream of the chosen tokens after the layer. */
  hidden?: Float32Array
}

export interface Look {
  model: string
  backend: string
  ids: number[]
  /** The texts of the ids, where a tokenizer was given. */
  texts?: string[]
  /** The chosen tokens, R of them. */
  tokens: number[]
  embedding: { sizes: Sizes; hidden?: Float32Array }
  layers: LayerLook[]
  /** [R, D]: after the final norm. */
  normed?: Float32Array
}

export interface LookModel {
  readonly backend: Backend
  readonly architecture: Architecture
  readonly weights: Weights
}

/** Rows per pass. */
const ROWS = 32
const SHOWN_TOKENS = 16

/**
 * Reads a text of T ids. What is given per token is given for the chosen ones alone.
 * @throws RangeError for an empty text, a text that does not fit, an unknown id, or a layer, head or token that does not exist
 */
export async function look(model: LookModel, ids: readonly number[], options: LookOptions = {}): Promise<Look> {
  const { backend, architecture, weights } = model
  const { hidden = false, top = 3, spell, onProgress, signal } = options
  checkText(architecture, ids)
  const tokens = chosen('token', ids.length, options.tokens) ?? range(Math.max(0, ids.length - SHOWN_TOKENS), ids.length)
  const layers = chosen('layer', architecture.layers.length, options.layers) ?? range(0, architecture.layers.length)
  const seen = new Map(layers.map((layer) => [layer, new LayerReader(architecture, layer, { tokens, top, heads: options.heads })]))
  const embedding = new StreamReader(tokens)
  const normed: Float32Array[] = []
  let from = 0
  const shown = new Set(tokens)
  const probe = createProbe(backend, {
    attends: (position) => shown.has(position),
    wants: (name) => name === 'embedding' || seen.has(layerOf(name)),
    each: (observation) => {
      if (observation.name !== 'embedding') seen.get(layerOf(observation.name))!.take(observation, from)
      else if (observation.kind === 'result') embedding.take(observation.values, observation.shape, from)
    },
  })
  const cache = await backend.cache(cacheSpec(architecture, 1, ids.length, ROWS))
  try {
    for (; from < ids.length; from += ROWS) {
      signal?.throwIfAborted()
      const piece = Int32Array.from(ids.slice(from, from + ROWS))
      const batch = { ids: piece, slots: new Int32Array(piece.length), positions: piece.map((_, t) => from + t) }
      const logitRows = Int32Array.from(tokens.filter((t) => t >= from && t < from + ROWS).map((t) => t - from))
      normed.push(await backend.run(() => forward(probe, architecture, weights, batch, { cache, logitRows, output: 'hidden' })))
      await probe.observations()
      onProgress?.({ reading: 'tokens', done: Math.min(from + ROWS, ids.length), of: ids.length })
    }
  } finally {
    cache.dispose()
  }
  const found: LayerLook[] = []
  for (const reader of seen.values()) {
    const lens = options.lens === false ? undefined : await lensOf(model, reader.stream.rows(), ids, tokens, { top, spell, signal })
    found.push({ ...reader.result(), lens, hidden: hidden ? reader.stream.rows() : undefined })
    if (lens) onProgress?.({ reading: 'layers', done: found.length, of: seen.size })
  }
  return {
    model: architecture.name,
    backend: backend.name,
    ids: [...ids],
    texts: spell && ids.map(spell),
    tokens,
    embedding: { sizes: embedding.sizes(), hidden: hidden ? embedding.rows() : undefined },
    layers: found,
    normed: hidden ? joined(normed) : undefined,
  }
}

function checkText({ name, vocabSize, maxPositionEmbeddings: longest }: Architecture, ids: readonly number[]): void {
  if (ids.length === 0) throw new RangeError('look: expected a text of at least one token, got none')
  if (ids.length > longest) throw new RangeError(`look: expected at most ${longest} tokens (the context of ${name}), got ${ids.length}`)
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize)
  if (wrong !== undefined) throw new RangeError(`look: expected ids below ${vocabSize} (the vocabulary of ${name}), got ${wrong}`)
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Sorted indices without repetition; undefined where nothing was chosen. */
function chosen(what: string, count: number, indices: readonly number[] | undefined): number[] | undefined {
  if (indices === undefined) return undefined
  const found = indices.map((index) => {
    const at = index < 0 ? count + index : index
    if (!Number.isInteger(at) || at < 0 || at >= count)
      throw new RangeError(`look: expected a ${what} from 0 to ${count - 1} or from -${count} to -1, got ${index}`)
    return at
  })
  return [...new Set(found)].sort((a, b) => a - b)
}

const layerOf = (name: string): number => Number(/^layers\.(\d+)/.exec(name)?.[1] ?? -1)

/** The residual stream at one place: sums over all tokens, and the rows of the chosen ones. */
class StreamReader {
  readonly #tokens: readonly number[]
  readonly #sum = new SizeSum()
  #kept: Float32Array[] = []

  constructor(tokens: readonly number[]) {
    this.#tokens = tokens
  }

  take(values: Float32Array, shape: readonly number[], from: number): void {
    const width = shape.at(-1)!
    this.#sum.add(values, width, from)
    for (const token of this.#tokens) {
      const row = token - from
      if (row >= 0 && row * width < values.length) this.#kept.push(values.slice(row * width, (row + 1) * width))
    }
  }

  sizes(): Sizes {
    return this.#sum.result()
  }

  /** [R, D] */
  rows(): Float32Array {
    if (this.#kept.length !== 1) this.#kept = [joined(this.#kept)]
    return this.#kept[0]!
  }
}

interface Chosen {
  tokens: readonly number[]
  top: number
  heads: readonly number[] | undefined
}

/** Takes what the probe sees of one layer, piece by piece. */
class LayerReader {
  readonly stream: StreamReader
  readonly #slot: Layer
  readonly #layer: number
  /** Names of the results that the branches add: after their own norms where they have some. */
  readonly #added: { attention: string; feedForward: string }
  readonly #residualScale: number
  readonly #tokens: ReadonlySet<number>
  readonly #top: number
  readonly #heads: HeadLook[] = []
  readonly #mean: AttentionRow[] = []
  readonly #attention = new SizeSum()
  readonly #feedForward = new SizeSum()
  #experts: ExpertsLook | undefined

  constructor({ layers, residualScale }: Architecture, layer: number, { tokens, top, heads }: Chosen) {
    const slot = layers[layer]!
    const end = slot.placement === 'post' || slot.placement === 'sandwich' ? 'PostNorm' : ''
    this.#added = { attention: `layers.${layer}.attention${end}`, feedForward: `layers.${layer}.feedForward${end}` }
    this.#residualScale = residualScale
    this.stream = new StreamReader(tokens)
    this.#slot = slot
    this.#layer = layer
    this.#tokens = new Set(tokens)
    this.#top = top
    if (!hasHeads(slot.attention)) return
    for (const head of chosen('head', slot.attention.heads, heads) ?? range(0, slot.attention.heads))
      this.#heads.push({ head, sink: 0, firstToken: 0, distance: 0, entropy: 0, rows: [], map: heads && [] })
  }

  take(observation: Observation, from: number): void {
    if (observation.kind === 'attention') this.#takeAttention(observation)
    else if (observation.kind === 'experts') this.#takeExperts(observation, from)
    else {
      const { name, values, shape } = observation
      if (name === `layers.${this.#layer}`) this.stream.take(values, shape, from)
      else if (name === this.#added.attention) this.#attention.add(this.#scaled(values), shape.at(-1)!, from)
      else if (name === this.#added.feedForward) this.#feedForward.add(this.#scaled(values), shape.at(-1)!, from)
    }
  }

  #scaled(branch: Float32Array): Float32Array {
    return this.#residualScale === 1 ? branch : branch.map((x) => x * this.#residualScale)
  }

  #takeAttention({ positions, rows, sinkMass }: AttentionMap): void {
    positions.forEach((token, t) => {
      if (!this.#tokens.has(token)) return
      const { first, p } = rows[t]![0]!
      const mean = { token, first, shares: new Float64Array(p.length), sink: 0 }
      for (const look of this.#heads) {
        const [{ p: shares }, sink] = [rows[t]![look.head]!, sinkMass[t]![look.head]!]
        const row = { token, first, shares, sink }
        addRow(look, row, this.#tokens.size)
        look.rows.push({ token, sink, top: topShares(shares, first, this.#top) })
        look.map?.push(row)
        shares.forEach((share, i) => {
          mean.shares[i]! += share / this.#heads.length
        })
        mean.sink += sink / this.#heads.length
      }
      this.#mean.push(mean)
    })
  }

  #takeExperts({ experts, chosen, weights, load }: ExpertChoice, from: number): void {
    const active = chosen[0]!.length
    this.#experts ??= { experts, active, load: new Array<number>(experts).fill(0), tokens: 0, effective: 0, rows: [] }
    const { rows } = this.#experts
    this.#experts.tokens += chosen.length
    for (const [expert, count] of load.entries()) this.#experts.load[expert]! += count
    chosen.forEach((row, t) => {
      if (this.#tokens.has(from + t)) rows.push({ token: from + t, chosen: row, weights: weights[t]! })
    })
  }

  result(): Pick<LayerLook, 'layer' | 'attention' | 'experts' | 'sizes'> {
    const experts = this.#experts
    if (experts) {
      const total = experts.load.reduce((a, b) => a + b, 0)
      experts.effective = 2 ** entropyOf(experts.load.map((count) => count / total))
    }
    const feedForward = this.#slot.feedForward.kind === 'none' ? undefined : this.#feedForward.result()
    const sizes = { stream: this.stream.sizes(), attention: this.#attention.result(), feedForward }
    return { layer: this.#layer, attention: this.#attentionLook(), experts, sizes }
  }

  #attentionLook(): AttentionLook {
    const { attention } = this.#slot
    const [heads, mean] = [this.#heads, this.#mean]
    switch (attention.kind) {
      case 'stateSpace': {
        const { innerSize: channels, stateSize: states, convolutionSize: convolution } = attention
        return { kind: 'stateSpace', channels, states, convolution }
      }
      case 'latent': {
        const latent = attention.kvLoraRank + attention.qkRopeHeadDim
        return { kind: 'latent', window: null, learnedSinks: false, kvHeads: 1, latent, heads, mean }
      }
      case 'multiHead':
        return { kind: 'multiHead', window: windowOf(this.#slot), learnedSinks: attention.sinks, kvHeads: attention.kvHeads, heads, mean }
    }
  }
}

const entropyOf = (shares: ArrayLike<number>): number =>
  Array.from(shares).reduce((sum, share) => (share > 0 ? sum - share * Math.log2(share) : sum), 0)

/** Adds one of `count` rows to the means of a head. */
function addRow(head: HeadLook, { token, first, shares, sink }: AttentionRow, count: number): void {
  head.sink += sink / count
  if (first === 0) head.firstToken += shares[0]! / count
  const mass = 1 - sink
  if (mass > 0) head.distance += shares.reduce((sum, share, i) => sum + (share / mass) * (token - first - i), 0) / count
  head.entropy += (entropyOf(shares) + entropyOf([sink])) / count
}

/** Rows of the residual stream [R, D] through final norm and output matrix; a few rows at a time, since each takes V values. */
async function lensOf(
  { backend, architecture, weights }: LookModel,
  stream: Float32Array,
  ids: readonly number[],
  tokens: readonly number[],
  { top, spell, signal }: { top: number; spell: LookOptions['spell']; signal: AbortSignal | undefined },
): Promise<LensRow[]> {
  const { hiddenSize: D, vocabSize: V } = architecture
  const perPass = 8
  const found: LensRow[] = []
  for (let from = 0; from < tokens.length; from += perPass) {
    signal?.throwIfAborted()
    const rows = stream.subarray(from * D, (from + perPass) * D)
    const values = await backend.run(() => logits(backend, architecture, weights, backend.upload(rows, [rows.length / D, D])))
    for (const [i, token] of tokens.slice(from, from + perPass).entries()) {
      const { top: likely, next } = likeliest(values.subarray(i * V, (i + 1) * V), top, ids[token + 1])
      found.push({ token, top: spell ? likely.map((each) => ({ ...each, text: spell(each.id) })) : likely, next })
    }
  }
  return found
}
