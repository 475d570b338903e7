/**
 * The weight tree of an architecture. Each node carries the slot that it belongs to, so the forward
 * pass has one switch per slot. Inner names only; published names live in `architecture/`.
 * `weightSpecs` is the one place that knows which weights exist: loading, counting, synthesis,
 * initialisation and saving walk its tree.
 */
import type {
  Architecture,
  FeedForward,
  GatedMlp,
  Latent,
  Layer,
  LayerNorm,
  Mixture,
  Mlp,
  MultiHead,
  NoFeedForward,
  Norm,
  PlainLayerNorm,
  RmsNorm,
  StateSpace,
} from '../architecture/architecture.ts'
import type { WeightSpec } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'

export interface Weights<W = Tensor> {
  /** [V, D] */
  embed: W
  /** [P, D], where positions are learned */
  position?: W
  layers: LayerWeights<W>[]
  finalNorm: NormWeights<W>
  /** [V, D]; absent when tied to `embed` */
  unembed?: W
  /** Changes beside the two: of the rows that are looked up (a as a table [V, n], b [D, n]), and of the logits (a [n, D], b [V, n]). */
  embedAdapter?: Adapter<W>
  unembedAdapter?: Adapter<W>
}

/** A change of low rank n beside a weight [O, I]: scale·b·a with a [n, I], b [O, n]; of experts [E, n, I], [E, O, n]. Hu et al. 2021. */
export interface Adapter<W = Tensor> {
  a: W
  b: W
  scale: number
}

/** A linear map with what belongs to it. Letters of shapes: `ops/ops.ts`. */
export interface Projection<W = Tensor> {
  /** [O, I]; of experts [E, O, I], of heads [H, O, I] */
  weight: W
  /** [O]; of experts [E, O] */
  bias?: W
  adapter?: Adapter<W>
}

/** Gain and bias are [D], or as wide as a head. */
export type NormWeights<W = Tensor> =
  | { kind: 'layerNorm'; slot: LayerNorm; gain: W; bias: W }
  | { kind: 'plainLayerNorm'; slot: PlainLayerNorm }
  | { kind: 'rmsNorm'; slot: RmsNorm; gain: W }
  | { kind: 'none' }

export type LayerWeights<W = Tensor> = { attention: AttentionWeights<W> } & (
  | ({ placement: 'pre' | 'parallel' } & FeedForwardPart<W> & NormsBefore<W>)
  | ({ placement: 'post' } & FeedForwardPart<W> & NormsAfter<W>)
  | ({ placement: 'sandwich' } & FeedForwardPart<W> & NormsBefore<W> & NormsAfter<W>)
  | { placement: 'alone'; attentionNorm: NormWeights<W> }
)

interface FeedForwardPart<W> {
  feedForward: FeedForwardWeights<W>
}

interface NormsBefore<W> {
  attentionNorm: NormWeights<W>
  feedForwardNorm: NormWeights<W>
}

interface NormsAfter<W> {
  attentionPostNorm: NormWeights<W>
  feedForwardPostNorm: NormWeights<W>
}

export type AttentionWeights<W = Tensor> = MultiHeadWeights<W> | LatentWeights<W> | StateSpaceWeights<W>

export interface MultiHeadWeights<W = Tensor> {
  kind: 'multiHead'
  slot: MultiHead
  /** [H·K, D], [G·K, D], [G·K, D], [D, H·K] */
  q: Projection<W>
  k: Projection<W>
  v: Projection<W>
  o: Projection<W>
  /** Gains of [K] per head, or of [H·K] and [G·K] over the full width. */
  qNorm?: NormWeights<W>
  kNorm?: NormWeights<W>
  /** [H] */
  sinks?: W
}

/** N, P: values of a key without and with rotation; R, Q: widths of the latents of keys and values, and of queries. */
export interface LatentWeights<W = Tensor> {
  kind: 'latent'
  slot: Latent
  /** [Q, D] and its norm's gain [Q], where queries have a latent */
  qDown?: Projection<W>
  qNorm?: NormWeights<W>
  /** [H·N, Q or D], [H·P, Q or D] */
  q: Projection<W>
  qRope: Projection<W>
  /** [R, D] with the gain [R] of its norm, [P, D] */
  kvDown: Projection<W>
  kvNorm: NormWeights<W>
  kRope: Projection<W>
  /** The keys of every head from the latent, transposed: [H, R, N]. The values: [H, U, R]. */
  kUp: Projection<W>
  vUp: Projection<W>
  /** [D, H·U] */
  o: Projection<W>
}

/** C: channels, W: positions of the convolution, N: values of a channel's state, R: rank of the step sizes. */
export interface StateSpaceWeights<W = Tensor> {
  kind: 'stateSpace'
  slot: StateSpace
  /** [C, D], [C, D] */
  x: Projection<W>
  gate: Projection<W>
  /** [W, C], [C] */
  kernel: W
  kernelBias?: W
  /** [R, C], [N, C], [N, C] with the gains [R], [N], [N] of their norms */
  stepDown: Projection<W>
  input: Projection<W>
  output: Projection<W>
  stepNorm?: NormWeights<W>
  inputNorm?: NormWeights<W>
  outputNorm?: NormWeights<W>
  /** [C, R] */
  step: Projection<W>
  /** [N, C], [C] */
  logRate: W
  skip: W
  /** [D, C] */
  o: Projection<W>
}

export type FeedForwardWeights<W = Tensor> =
  /** up [F, D], down [D, F] */
  { kind: 'mlp'; slot: Mlp; up: Projection<W>; down: Projection<W> } | GatedWeights<W> | MixtureWeights<W>

export interface GatedWeights<W = Tensor> {
  kind: 'gated'
  slot: GatedMlp
  /** [F, D], [F, D], [D, F] */
  gate: Projection<W>
  up: Projection<W>
  down: Projection<W>
}

export interface MixtureWeights<W = Tensor> {
  kind: 'moe'
  slot: Mixture
  /** [E, D], and what is added to its scores to choose [E] */
  router: Projection<W>
  routerCorrection?: W
  /** [E, 2F, D] interleaved, [E, D, F] */
  gateUp: Projection<W>
  down: Projection<W>
  shared?: GatedWeights<W>
}

/** The tree of an architecture, each leaf with its inner name, shape, published dtype and use. */
export function weightSpecs(architecture: Architecture): Weights<WeightSpec> {
  const { vocabSize: V, hiddenSize: D, tieWordEmbeddings, embedding, finalNorm } = architecture
  const at = specsAt(architecture, '')
  const learned = embedding.position.kind === 'learned' ? embedding.position : undefined
  return {
    embed: at.spec('embed', [V, D], tieWordEmbeddings ? 'matrix' : 'table'),
    layers: architecture.layers.map((layer, index) => layerSpecs(architecture, layer, `layers.${index}.`)),
    finalNorm: at.norm('finalNorm', finalNorm, D),
    position: learned && at.spec('position', [learned.length, D], 'table'),
    unembed: tieWordEmbeddings ? undefined : at.spec('unembed', [V, D], 'matrix'),
  }
}

/** Makers of specs whose names begin with `prefix`. */
function specsAt({ dtype, expertDtype }: Architecture, prefix: string) {
  const spec = (name: string, shape: number[], use: WeightSpec['use']): WeightSpec => {
    return { name: prefix + name, shape, dtype: use === 'experts' ? expertDtype : dtype, use }
  }
  const vector = (name: string, ...shape: number[]) => spec(name, shape, 'vector')
  return {
    spec,
    vector,
    projection: (name: string, O: number, I: number, bias: boolean): Projection<WeightSpec> => {
      return { weight: spec(name, [O, I], 'matrix'), bias: bias ? vector(`${name}Bias`, O) : undefined }
    },
    experts: (name: string, E: number, O: number, I: number, bias: boolean): Projection<WeightSpec> => {
      return { weight: spec(name, [E, O, I], 'experts'), bias: bias ? vector(`${name}Bias`, E, O) : undefined }
    },
    norm: (name: string, slot: Norm, width: number): NormWeights<WeightSpec> => {
      const gain = vector(`${name}.gain`, width)
      switch (slot.kind) {
        case 'layerNorm':
          return { kind: slot.kind, slot, gain, bias: vector(`${name}.bias`, width) }
        case 'plainLayerNorm':
          return { kind: slot.kind, slot }
        case 'none':
          return slot
        case 'rmsNorm':
          return { kind: slot.kind, slot, gain }
      }
    },
  }
}

function layerSpecs(architecture: Architecture, layer: Layer, prefix: string): LayerWeights<WeightSpec> {
  const norm = (name: string) => specsAt(architecture, prefix).norm(name, layer.norm, architecture.hiddenSize)
  const attention = attentionSpecs(architecture, layer, `${prefix}attention.`)
  const { placement, feedForward: slot } = layer
  if (placement === 'alone') return { placement, attentionNorm: norm('attentionNorm'), attention }
  if (slot.kind === 'none') throw new RangeError(`${prefix}feedForward: expected a feed-forward with the placement ${placement}, got none`)
  const feedForward = feedForwardSpecs(architecture, slot, `${prefix}feedForward.`)
  switch (placement) {
    case 'pre':
    case 'parallel':
      return { placement, attentionNorm: norm('attentionNorm'), attention, feedForwardNorm: norm('feedForwardNorm'), feedForward }
    case 'post':
      return {
        placement,
        attention,
        attentionPostNorm: norm('attentionPostNorm'),
        feedForward,
        feedForwardPostNorm: norm('feedForwardPostNorm'),
      }
    case 'sandwich':
      return {
        placement,
        attentionNorm: norm('attentionNorm'),
        attention,
        attentionPostNorm: norm('attentionPostNorm'),
        feedForwardNorm: norm('feedForwardNorm'),
        feedForward,
        feedForwardPostNorm: norm('feedForwardPostNorm'),
      }
  }
}

function attentionSpecs(architecture: Architecture, { attention: slot }: Layer, prefix: string): AttentionWeights<WeightSpec> {
  const { hiddenSize: D } = architecture
  const { spec, vector, projection } = specsAt(architecture, prefix)
  switch (slot.kind) {
    case 'multiHead': {
      const { heads, kvHeads, headDim, qkvBias, outBias, qkNorm, sinks } = slot
      const [query, keyValue] = [heads * headDim, kvHeads * headDim]
      const gain = (name: string, width: number): NormWeights<WeightSpec> | undefined => {
        if (qkNorm.kind === 'none') return undefined
        const { eps, unitOffset } = qkNorm
        const own = vector(name, qkNorm.kind === 'perHead' ? headDim : width)
        return { kind: 'rmsNorm', slot: { kind: 'rmsNorm', eps, unitOffset }, gain: own }
      }
      return {
        kind: slot.kind,
        slot,
        q: projection('q', query, D, qkvBias),
        k: projection('k', keyValue, D, qkvBias),
        v: projection('v', keyValue, D, qkvBias),
        o: projection('o', D, query, outBias),
        qNorm: gain('qNorm', query),
        kNorm: gain('kNorm', keyValue),
        sinks: sinks ? vector('sinks', heads) : undefined,
      }
    }
    case 'latent': {
      const { heads: H, qLoraRank, kvLoraRank: R, qkNopeHeadDim: N, qkRopeHeadDim: P, vHeadDim: U, bias, normEps } = slot
      const Q = qLoraRank ?? D
      const gain = (name: string, width: number): NormWeights<WeightSpec> => {
        return { kind: 'rmsNorm', slot: { kind: 'rmsNorm', eps: normEps, unitOffset: false }, gain: vector(name, width) }
      }
      return {
        kind: slot.kind,
        slot,
        qDown: qLoraRank === null ? undefined : projection('qDown', Q, D, bias),
        qNorm: qLoraRank === null ? undefined : gain('qNorm', Q),
        q: projection('q', H * N, Q, false),
        qRope: projection('qRope', H * P, Q, false),
        kvDown: projection('kvDown', R, D, bias),
        kvNorm: gain('kvNorm', R),
        kRope: projection('kRope', P, D, bias),
        kUp: { weight: { ...spec('kUp', [H, R, N], 'matrix'), exact: true } },
        vUp: { weight: { ...spec('vUp', [H, U, R], 'matrix'), exact: true } },
        o: projection('o', D, H * U, bias),
      }
    }
    case 'stateSpace': {
      const { innerSize: C, stateSize: N, convolutionSize, stepRank: R, projectionBias, convolutionBias, normEps } = slot
      const gain = (name: string, width: number): NormWeights<WeightSpec> | undefined => {
        if (normEps === null) return undefined
        return { kind: 'rmsNorm', slot: { kind: 'rmsNorm', eps: normEps, unitOffset: false }, gain: vector(name, width) }
      }
      return {
        kind: slot.kind,
        slot,
        x: projection('x', C, D, projectionBias),
        gate: projection('gate', C, D, projectionBias),
        kernel: vector('kernel', convolutionSize, C),
        kernelBias: convolutionBias ? vector('kernelBias', C) : undefined,
        stepDown: projection('stepDown', R, C, false),
        input: projection('input', N, C, false),
        output: projection('output', N, C, false),
        stepNorm: gain('stepNorm', R),
        inputNorm: gain('inputNorm', N),
        outputNorm: gain('outputNorm', N),
        step: { weight: { ...spec('step', [C, R], 'matrix'), exact: true }, bias: vector('stepBias', C) },
        logRate: vector('logRate', N, C),
        skip: vector('skip', C),
        o: projection('o', D, C, projectionBias),
      }
    }
  }
}

function feedForwardSpecs(
  architecture: Architecture,
  slot: Exclude<FeedForward, NoFeedForward>,
  prefix: string,
): FeedForwardWeights<WeightSpec> {
  const { hiddenSize: D } = architecture
  const { vector, projection, experts } = specsAt(architecture, prefix)
  const { intermediateSize: F, bias } = slot
  switch (slot.kind) {
    case 'mlp':
      return { kind: slot.kind, slot, up: projection('up', F, D, bias), down: projection('down', D, F, bias) }
    case 'gated':
      return gatedSpecs(architecture, slot, prefix)
    case 'moe': {
      const { experts: E, router, shared } = slot
      const [gateUp, down] = [experts('gateUp', E, 2 * F, D, bias), experts('down', E, D, F, bias)]
      return {
        kind: slot.kind,
        slot,
        router: projection('router', E, D, router.bias),
        routerCorrection:
          router.kind === 'sigmoidTopk' && router.correction ? { ...vector('routerCorrection', E), dtype: 'f32' } : undefined,
        gateUp,
        down,
        shared: shared && gatedSpecs(architecture, shared, `${prefix}shared.`),
      }
    }
  }
}

function gatedSpecs(architecture: Architecture, slot: GatedMlp, prefix: string): GatedWeights<WeightSpec> {
  const { hiddenSize: D } = architecture
  const { projection } = specsAt(architecture, prefix)
  const { intermediateSize: F, bias } = slot
  const [gate, up] = [projection('gate', F, D, bias), projection('up', F, D, bias)]
  return { kind: slot.kind, slot, gate, up, down: projection('down', D, F, bias) }
}

/** Visits every leaf in a fixed order and builds the tree of the results. */
export function mapWeights<A extends object, B>(tree: Weights<A>, visit: (leaf: A) => B): Weights<B> {
  return mapTree(tree, visit) as Weights<B>
}

/** Every leaf in a fixed order. */
export function leaves<A extends object>(tree: Weights<A>): A[] {
  const found: A[] = []
  mapTree(tree, (leaf) => found.push(leaf as A))
  return found
}

/** A leaf is an object that carries a `shape` (a spec, a tensor). Slots and plain values stay as they are. */
function mapTree(node: unknown, visit: (leaf: never) => unknown): unknown {
  if (Array.isArray(node)) return node.map((child) => mapTree(child, visit))
  if (typeof node !== 'object' || node === null) return node
  if ('shape' in node) return visit(node as never)
  return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, key === 'slot' ? child : mapTree(child, visit)]))
}
