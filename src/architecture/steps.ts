/**
 * The steps from GPT-2 to gpt-oss as patches of an Architecture, in the order of the ladder. A patch changes one idea and leaves
 * every size alone that the idea is not about, so the steps can be applied at any scale. Data and citations, nothing computed.
 */
import type { Architecture, FeedForward, Gated, Latent, Layer, MultiHead, Norm, Rope, RopeScaling } from './architecture.ts'
import { multiHeadOf } from './slots.ts'

export interface Step {
  name: string
  /** For people: 'RMSNorm instead of LayerNorm'. */
  title: string
  /** Returns a new architecture; the given one stays as it is. */
  patch: (architecture: Architecture) => Architecture
  source: { paper: string; year: number; link: string }
  /** What it buys, in one sentence. */
  buys: string
  /** The claims of the article *From GPT-2 to gpt-oss* that are about this step, numbered as `lineage verify` numbers them. */
  claims: string[]
}

/** A change that other models made and gpt-oss did not, at the place where it belongs: after a step, or at the start ('gpt2'). */
export interface SideRoad extends Step {
  after: string
}

/** Sizes that some steps introduce; the defaults are those of gpt-oss-20b. */
export interface StepSizes {
  /** Query heads that share one key/value head. */
  headsPerGroup: number
  /** Keys seen by a sliding layer. */
  slidingWindow: number
  experts: number
  expertsPerToken: number
  /** Factor by which YaRN stretches the context. */
  contextFactor: number
}

const PUBLISHED: StepSizes = { headsPerGroup: 8, slidingWindow: 128, experts: 32, expertsPerToken: 4, contextFactor: 32 }
/** Expert matrices are stored in blocks of 32 columns, so expert widths are multiples of it. */
const BLOCK = 32

const everyLayer = (architecture: Architecture, change: (layer: Layer, index: number) => Layer): Architecture => ({
  ...architecture,
  layers: architecture.layers.map(change),
})
const everyAttention = (architecture: Architecture, change: (slot: MultiHead, index: number) => Partial<MultiHead>): Architecture =>
  everyLayer(architecture, (layer, index) => {
    const slot = multiHeadOf(architecture, index)
    return { ...layer, attention: { ...slot, ...change(slot, index) } }
  })
const everyFeedForward = (architecture: Architecture, change: (slot: FeedForward) => FeedForward): Architecture =>
  everyLayer(architecture, (layer) => ({ ...layer, feedForward: change(layer.feedForward) }))
const withActivation = (slot: FeedForward, activation: Gated): FeedForward =>
  slot.kind === 'mlp' || slot.kind === 'none' ? slot : { ...slot, activation }
const fullRope = (rotaryDim: number, ropeTheta: number, scaling: RopeScaling): Rope => ({
  kind: 'rope',
  ropeTheta,
  rotaryDim,
  pairing: 'halves',
  scaling,
})
const toBlock = (width: number): number => Math.max(BLOCK, Math.round(width / BLOCK) * BLOCK)

/** The divisor of `heads` nearest to heads / perGroup, the larger of two equally near. */
function groups(heads: number, perGroup: number): number {
  const wanted = heads / perGroup
  let best = heads
  for (let divisor = heads; divisor >= 1; divisor--) {
    if (heads % divisor === 0 && Math.abs(divisor - wanted) < Math.abs(best - wanted)) best = divisor
  }
  return best
}

/** The steps with other sizes for windows, groups and experts, as small models need them. */
export function stepsWith(sizes: Partial<StepSizes> = {}): Step[] {
  const { headsPerGroup, slidingWindow, experts, expertsPerToken, contextFactor } = { ...PUBLISHED, ...sizes }
  return [
    {
      name: 'no-dropout',
      title: 'no dropout',
      patch: (architecture) => ({ ...architecture, dropout: { embedding: 0, attention: 0, residual: 0 } }),
      source: { paper: 'Liu et al., Drop Dropout on Single-Epoch Language Model Pretraining', year: 2025, link: 'arXiv:2505.24788' },
      buys: 'A model that sees every token once does not overfit, so nothing has to be hidden from it.',
      claims: ['C6', 'C7'],
    },
    {
      name: 'rmsnorm',
      title: 'RMSNorm instead of LayerNorm',
      patch: (architecture) => {
        const root = (norm: Norm): Norm => ({ kind: 'rmsNorm', eps: norm.eps ?? 1e-5, unitOffset: false })
        return { ...everyLayer(architecture, (layer) => ({ ...layer, norm: root(layer.norm) })), finalNorm: root(architecture.finalNorm) }
      },
      source: { paper: 'Zhang and Sennrich, Root Mean Square Layer Normalization', year: 2019, link: 'arXiv:1910.07467' },
      buys: 'One reduction instead of two and no bias, at the same quality.',
      claims: ['C23', 'C25', 'C27', 'C28', 'C30'],
    },
    {
      name: 'rope',
      title: 'rotary instead of learned positions',
      patch: (architecture) => ({
        ...everyAttention(architecture, ({ headDim }) => ({ position: fullRope(headDim, 10000, { kind: 'none' }) })),
        embedding: { ...architecture.embedding, position: { kind: 'none' } },
      }),
      source: { paper: 'Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding', year: 2021, link: 'arXiv:2104.09864' },
      buys: 'Distances between tokens instead of absolute places, and no table that ends at the last trained position.',
      claims: ['C8', 'C9', 'C10'],
    },
    {
      name: 'swiglu',
      title: 'a gated feed-forward at two thirds of the width',
      patch: (architecture) =>
        everyFeedForward(architecture, (slot) =>
          slot.kind === 'mlp'
            ? { kind: 'gated', intermediateSize: toBlock((slot.intermediateSize * 2) / 3), activation: { kind: 'swiglu' }, bias: false }
            : slot,
        ),
      source: { paper: 'Shazeer, GLU Variants Improve Transformer', year: 2020, link: 'arXiv:2002.05202' },
      buys: 'A multiplicative interaction between two projections for the same number of parameters: three matrices of two thirds.',
      claims: ['C11', 'C14', 'C15'],
    },
    {
      name: 'no-biases',
      title: 'no biases in attention',
      patch: (architecture) => everyAttention(architecture, () => ({ qkvBias: false, outBias: false })),
      source: { paper: 'Chowdhery et al., PaLM: Scaling Language Modeling with Pathways', year: 2022, link: 'arXiv:2204.02311' },
      buys: 'Fewer vectors to store and steadier training of large models; gpt-oss later takes the biases back.',
      claims: ['C42'],
    },
    {
      name: 'gqa',
      title: 'grouped queries',
      patch: (architecture) => everyAttention(architecture, ({ heads }) => ({ kvHeads: groups(heads, headsPerGroup) })),
      source: { paper: 'Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models', year: 2023, link: 'arXiv:2305.13245' },
      buys: 'Several query heads read one key/value head: the cache and its traffic shrink by the size of the group.',
      claims: ['C18'],
    },
    {
      name: 'sliding-window',
      title: 'a window in every other layer',
      patch: (architecture) => everyAttention(architecture, (_, index) => ({ slidingWindow: index % 2 === 0 ? slidingWindow : null })),
      source: { paper: 'Beltagy et al., Longformer: The Long-Document Transformer', year: 2020, link: 'arXiv:2004.05150' },
      buys: 'Half of the layers stop growing with the context, in memory and in work.',
      claims: ['C19', 'C20', 'C21'],
    },
    {
      name: 'moe',
      title: 'a mixture of experts of equal active width',
      patch: (architecture) =>
        everyFeedForward(architecture, (slot) =>
          slot.kind === 'gated'
            ? {
                kind: 'moe',
                experts,
                expertsPerToken,
                intermediateSize: toBlock(slot.intermediateSize / expertsPerToken),
                activation: slot.activation,
                bias: false,
                router: { kind: 'topkSoftmax', bias: false, auxLossCoef: 0.9 },
              }
            : slot,
        ),
      source: {
        paper: 'Shazeer et al., Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer',
        year: 2017,
        link: 'arXiv:1701.06538',
      },
      buys: 'Many times the parameters for the work of a few: a router sends each token to the experts it needs.',
      claims: ['C16', 'C17', 'C36', 'C37'],
    },
    {
      name: 'clamped-swiglu',
      title: 'a clamped gate',
      patch: (architecture) =>
        everyFeedForward(architecture, (slot) => withActivation(slot, { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 })),
      source: { paper: 'OpenAI, gpt-oss-120b and gpt-oss-20b Model Card', year: 2025, link: 'arXiv:2508.10925' },
      buys: 'Bounded activations, which four-bit expert weights and bf16 sums tolerate better.',
      claims: ['C11'],
    },
    {
      name: 'biases-and-sinks',
      title: 'biases again, and one sink per head',
      patch: (architecture) =>
        everyFeedForward(
          everyAttention(architecture, () => ({ qkvBias: true, outBias: true, sinks: true })),
          (slot) => (slot.kind === 'moe' ? { ...slot, bias: true, router: { ...slot.router, bias: true } } : { ...slot, bias: true }),
        ),
      source: { paper: 'Xiao et al., Efficient Streaming Language Models with Attention Sinks', year: 2023, link: 'arXiv:2309.17453' },
      buys: 'A head may attend to nothing: its learned logit takes the probability that would otherwise fall on the first token.',
      claims: ['C42', 'C43', 'C44'],
    },
    {
      name: 'untied',
      title: 'an output matrix of its own',
      patch: (architecture) => ({ ...architecture, tieWordEmbeddings: false }),
      source: { paper: 'Touvron et al., LLaMA: Open and Efficient Foundation Language Models', year: 2023, link: 'arXiv:2302.13971' },
      buys: 'Reading a word and predicting it are different tasks; large models can afford two tables.',
      claims: [],
    },
    {
      name: 'yarn',
      title: 'a longer context through YaRN',
      patch: (architecture) => ({
        ...everyAttention(architecture, ({ headDim }) => ({
          position: fullRope(headDim, 150000, {
            kind: 'yarn',
            factor: contextFactor,
            originalMaxPositionEmbeddings: architecture.maxPositionEmbeddings,
            betaFast: 32,
            betaSlow: 1,
            truncate: false,
            attentionFactor: null,
          }),
        })),
        maxPositionEmbeddings: architecture.maxPositionEmbeddings * contextFactor,
      }),
      source: {
        paper: 'Peng et al., YaRN: Efficient Context Window Extension of Large Language Models',
        year: 2023,
        link: 'arXiv:2309.00071',
      },
      buys: 'Slow rotations are slowed further and fast ones kept, so a model trained on short texts reads long ones.',
      claims: ['C10'],
    },
    {
      name: 'mxfp4',
      title: 'bf16, and experts in four bits',
      patch: (architecture) => ({
        ...architecture,
        modelType: 'gpt_oss',
        dtype: 'bf16',
        expertDtype: 'mxfp4',
      }),
      source: {
        paper: 'Open Compute Project, OCP Microscaling Formats (MX) Specification',
        year: 2023,
        link: 'opencompute.org, version 1.0',
      },
      buys: 'Expert weights in 4.25 bits: the largest part of the model at little more than a quarter of its bf16 size.',
      claims: ['C51', 'C52', 'C53'],
    },
  ]
}

/** The steps at the published sizes of gpt-oss-20b. */
export const steps: readonly Step[] = stepsWith()

/** What the article's other models changed instead. */
export function sideRoadsWith(sizes: Partial<StepSizes> = {}): SideRoad[] {
  const { slidingWindow } = { ...PUBLISHED, ...sizes }
  return [
    {
      name: 'banded-window',
      after: 'gpt2',
      title: 'a band in every other layer (GPT-3)',
      patch: (architecture) => everyAttention(architecture, (_, index) => ({ slidingWindow: index % 2 === 1 ? slidingWindow : null })),
      source: { paper: 'Child et al., Generating Long Sequences with Sparse Transformers', year: 2019, link: 'arXiv:1904.10509' },
      buys: 'Half of the layers see only the last keys, five years before gpt-oss. GPT-3 never published how many.',
      claims: ['C19'],
    },
    {
      name: 'plain-layernorm',
      after: 'no-dropout',
      title: 'LayerNorm without gain and bias (OLMo 1)',
      patch: (architecture) => {
        const plain = (norm: Norm): Norm => (norm.kind === 'none' ? norm : { kind: 'plainLayerNorm', eps: norm.eps })
        return { ...everyLayer(architecture, (layer) => ({ ...layer, norm: plain(layer.norm) })), finalNorm: plain(architecture.finalNorm) }
      },
      source: { paper: 'Groeneveld et al., OLMo: Accelerating the Science of Language Models', year: 2024, link: 'arXiv:2402.00838' },
      buys: 'A norm with nothing to learn, which its authors found the safest and fastest.',
      claims: ['C27'],
    },
    {
      name: 'parallel-residual',
      after: 'rope',
      title: 'both branches side by side (Pythia)',
      patch: (architecture) => everyLayer(architecture, (layer) => ({ ...layer, placement: 'parallel' })),
      source: { paper: 'Wang and Komatsuzaki, GPT-J-6B; Black et al., GPT-NeoX-20B', year: 2022, link: 'arXiv:2204.06745' },
      buys: 'Attention and feed-forward read the same input, so their matrices can run at once.',
      claims: [],
    },
    {
      name: 'latent-attention',
      after: 'no-biases',
      title: 'one latent for the keys and values of all heads (DeepSeek-V2)',
      patch: (architecture) =>
        everyLayer(architecture, (layer, index) => ({ ...layer, attention: latentOf(multiHeadOf(architecture, index)) })),
      source: { paper: 'DeepSeek-AI, DeepSeek-V2', year: 2024, link: 'arXiv:2405.04434' },
      buys: 'The cache holds one vector of four and a half heads per position, and every query head still has keys and values of its own.',
      claims: ['C18'],
    },
    {
      name: 'shared-expert',
      after: 'moe',
      title: 'one expert that serves every token (DeepSeekMoE)',
      patch: (architecture) =>
        everyFeedForward(architecture, (slot) => {
          if (slot.kind !== 'moe') return slot
          const { intermediateSize, activation, bias } = slot
          return { ...slot, expertsPerToken: slot.expertsPerToken - 1, shared: { kind: 'gated', intermediateSize, activation, bias } }
        }),
      source: { paper: 'Dai et al., DeepSeekMoE', year: 2024, link: 'arXiv:2401.06066' },
      buys: 'What all tokens need is learned once, so the chosen experts can differ more; the work stays the same.',
      claims: ['C38'],
    },
  ]
}

/** The proportions of DeepSeek-V2, section 2.1: a latent of four heads, half of a head rotated beside a head that is not. */
function latentOf({ heads, headDim, position }: MultiHead): Latent {
  const rotated = 2 * Math.ceil(headDim / 4)
  return {
    kind: 'latent',
    heads,
    qLoraRank: null,
    kvLoraRank: 4 * headDim,
    qkNopeHeadDim: headDim,
    qkRopeHeadDim: rotated,
    vHeadDim: headDim,
    scale: (headDim + rotated) ** -0.5,
    position: position.kind === 'rope' ? { ...position, rotaryDim: rotated, pairing: 'interleaved' } : position,
    bias: false,
    normEps: 1e-6,
  }
}

/** The architecture after each step, the start first: steps.length + 1 entries. */
export function walkSteps(start: Architecture, list: readonly Step[] = steps): Architecture[] {
  const models = [start]
  for (const { name, patch } of list) models.push({ ...patch(models.at(-1)!), name: `${start.name} + ${name}` })
  return models
}
