/**
 * The typed weight tree and the shapes an architecture asks for. Inner names only; published names live in `architecture/`.
 * `weightSpecs` is the one place that knows which weights exist: loading, counting, synthesis, initialisation and saving walk it.
 */
import type { Architecture, DType, Layer, Norm } from '../architecture/architecture.ts'
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
}

export interface LayerWeights<W = Tensor> {
  /** Before attention (`pre`, `sandwich`). */
  attentionNorm?: NormWeights<W>
  attention: AttentionWeights<W>
  /** After attention (`post`, `sandwich`). */
  attentionPostNorm?: NormWeights<W>
  feedForwardNorm?: NormWeights<W>
  feedForward: FeedForwardWeights<W>
  feedForwardPostNorm?: NormWeights<W>
}

export interface NormWeights<W = Tensor> {
  /** [D] */
  gain: W
  /** [D], LayerNorm only */
  bias?: W
}

export interface AttentionWeights<W = Tensor> {
  /** [H·K, D], [G·K, D], [G·K, D], [D, H·K] */
  q: W
  k: W
  v: W
  o: W
  qBias?: W
  kBias?: W
  vBias?: W
  oBias?: W
  /** [K] per head or [H·K], [G·K] over the full width */
  qNorm?: W
  kNorm?: W
  /** [H] */
  sinks?: W
}

export type FeedForwardWeights<W = Tensor> =
  | { kind: 'mlp'; up: W; upBias?: W; down: W; downBias?: W } // up [F, D], down [D, F]
  | { kind: 'gated'; gate: W; gateBias?: W; up: W; upBias?: W; down: W; downBias?: W }
  | { kind: 'moe'; router: W; routerBias?: W; gateUp: W; gateUpBias?: W; down: W; downBias?: W } // [E, D], [E, 2F, D] interleaved, [E, D, F]

/** The tree of an architecture, each leaf with its inner name, shape, published dtype and use. */
export function weightSpecs(architecture: Architecture): Weights<WeightSpec> {
  const { vocabSize, hiddenSize, dtype, embedding } = architecture
  const specs: Weights<WeightSpec> = {
    embed: { name: 'embed', shape: [vocabSize, hiddenSize], dtype, use: architecture.tieWordEmbeddings ? 'matrix' : 'table' },
    layers: architecture.layers.map((layer, index) => layerSpecs(architecture, layer, `layers.${index}`)),
    finalNorm: normSpecs(architecture.finalNorm, 'finalNorm', hiddenSize, dtype),
  }
  if (embedding.position.kind === 'learned')
    specs.position = { name: 'position', shape: [embedding.position.length, hiddenSize], dtype, use: 'table' }
  if (!architecture.tieWordEmbeddings) specs.unembed = { name: 'unembed', shape: [vocabSize, hiddenSize], dtype, use: 'matrix' }
  return specs
}

function layerSpecs(architecture: Architecture, layer: Layer, at: string): LayerWeights<WeightSpec> {
  const { hiddenSize: D, dtype } = architecture
  const norm = (name: string) => normSpecs(layer.norm, `${at}.${name}`, D, dtype)
  const before = layer.normPlacement !== 'post'
  const after = layer.normPlacement !== 'pre'
  return {
    ...(before && { attentionNorm: norm('attentionNorm') }),
    attention: attentionSpecs(architecture, layer, `${at}.attention`),
    ...(after && { attentionPostNorm: norm('attentionPostNorm') }),
    ...(before && { feedForwardNorm: norm('feedForwardNorm') }),
    feedForward: feedForwardSpecs(architecture, layer, `${at}.feedForward`),
    ...(after && { feedForwardPostNorm: norm('feedForwardPostNorm') }),
  }
}

function normSpecs(norm: Norm, at: string, width: number, dtype: DType): NormWeights<WeightSpec> {
  const gain: WeightSpec = { name: `${at}.gain`, shape: [width], dtype, use: 'vector' }
  return norm.kind === 'layerNorm' ? { gain, bias: { name: `${at}.bias`, shape: [width], dtype, use: 'vector' } } : { gain }
}

function attentionSpecs(architecture: Architecture, layer: Layer, at: string): AttentionWeights<WeightSpec> {
  const { hiddenSize: D, dtype } = architecture
  const { heads, kvHeads, headDim, qkvBias, outBias, qkNorm, sinks } = layer.attention
  const query = heads * headDim
  const keyValue = kvHeads * headDim
  const matrix = (name: string, rows: number, columns: number): WeightSpec => ({
    name: `${at}.${name}`,
    shape: [rows, columns],
    dtype,
    use: 'matrix',
  })
  const vector = (name: string, length: number): WeightSpec => ({ name: `${at}.${name}`, shape: [length], dtype, use: 'vector' })
  return {
    q: matrix('q', query, D),
    k: matrix('k', keyValue, D),
    v: matrix('v', keyValue, D),
    o: matrix('o', D, query),
    ...(qkvBias && { qBias: vector('qBias', query), kBias: vector('kBias', keyValue), vBias: vector('vBias', keyValue) }),
    ...(outBias && { oBias: vector('oBias', D) }),
    ...(qkNorm.kind === 'perHead' && { qNorm: vector('qNorm', headDim), kNorm: vector('kNorm', headDim) }),
    ...(qkNorm.kind === 'fullWidth' && { qNorm: vector('qNorm', query), kNorm: vector('kNorm', keyValue) }),
    ...(sinks && { sinks: vector('sinks', heads) }),
  }
}

function feedForwardSpecs(architecture: Architecture, layer: Layer, at: string): FeedForwardWeights<WeightSpec> {
  const { hiddenSize: D, dtype, expertDtype } = architecture
  const slot = layer.feedForward
  const F = slot.intermediateSize
  const matrix = (name: string, rows: number, columns: number): WeightSpec => ({
    name: `${at}.${name}`,
    shape: [rows, columns],
    dtype,
    use: 'matrix',
  })
  const vector = (name: string, ...shape: number[]): WeightSpec => ({ name: `${at}.${name}`, shape, dtype, use: 'vector' })
  switch (slot.kind) {
    case 'mlp':
      return {
        kind: 'mlp',
        up: matrix('up', F, D),
        down: matrix('down', D, F),
        ...(slot.bias && { upBias: vector('upBias', F), downBias: vector('downBias', D) }),
      }
    case 'gated':
      return {
        kind: 'gated',
        gate: matrix('gate', F, D),
        up: matrix('up', F, D),
        down: matrix('down', D, F),
        ...(slot.bias && { gateBias: vector('gateBias', F), upBias: vector('upBias', F), downBias: vector('downBias', D) }),
      }
    case 'moe': {
      const E = slot.experts
      const experts = (name: string, rows: number, columns: number): WeightSpec => ({
        name: `${at}.${name}`,
        shape: [E, rows, columns],
        dtype: expertDtype,
        use: 'experts',
      })
      return {
        kind: 'moe',
        router: matrix('router', E, D),
        ...(slot.router.bias && { routerBias: vector('routerBias', E) }),
        gateUp: experts('gateUp', 2 * F, D),
        down: experts('down', D, F),
        ...(slot.bias && { gateUpBias: vector('gateUpBias', E, 2 * F), downBias: vector('downBias', E, D) }),
      }
    }
  }
}

/** Visits every leaf in a fixed order and builds the tree of the results.. */
export function mapWeights<A, B>(tree: Weights<A>, visit: (leaf: A) => B): Weights<B> {
  return mapTree(tree, visit) as Weights<B>
}

/** Every leaf in a fixed order. */
export function leaves<A>(tree: Weights<A>): A[] {
  const found: A[] = []
  mapTree(tree, (leaf) => found.push(leaf as A))
  return found
}

// A leaf is whatever carries a `shape` (a spec, a tensor) or is not an object; `kind` is the only string in the tree.
function mapTree(node: unknown, visit: (leaf: never) => unknown): unknown {
  if (Array.isArray(node)) return node.map((child) => mapTree(child, visit))
  if (typeof node !== 'object' || node === null || 'shape' in node) return typeof node === 'string' ? node : visit(node as never)
  return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, mapTree(child, visit)]))
}
