/**
 * What a model *is*: sizes and slots, nothing computed. Every slot is a discriminated union, one entry per layer
 * where layers differ; the forward pass has one `switch` per slot. No code asks for a family name:
 * it asks for one of these properties. Field names are the camelCase of the published config.json keys.
 */

/**
 * How the values of a published tensor are stored. `mxfp4`: blocks of 32 four-bit values with one shared power of two, scales apart.
 * `fp8`: rows of E4M3 bytes, every 128 of them after their f32 scale.
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'int8' | 'mxfp4' | 'fp8' | BlockDType

/**
 * Block formats (`ops/block-formats.ts`), scales inside the blocks: those of GGUF files, of which `mxfp4_gguf` is MXFP4 in the order of these
 * files, and the groups of AWQ and GPTQ.
 */
export type BlockDType =
  | 'q8_0'
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'iq4_nl'
  | 'iq4_xs'
  | 'mxfp4_gguf'
  | 'int4_groups'
  | 'int8_groups'

export interface Architecture {
  /** Preset name ('gpt-oss-20b') or whatever the configuration calls itself. For people, never for decisions. */
  name: string
  /** Published `model_type`; chooses the chat format and the spelling of a saved config.json, never the mathematics. */
  modelType: string
  vocabSize: number
  hiddenSize: number
  /** Longest context the model was published for, in tokens. */
  maxPositionEmbeddings: number
  embedding: Embedding
  layers: Layer[]
  finalNorm: Norm
  /** Whether the output matrix is the embedding table. */
  tieWordEmbeddings: boolean
  /** Factor on the result of every branch before it joins the residual stream (Granite); 1 elsewhere. */
  residualScale: number
  /** Granite: logits are divided by this; 1 elsewhere. */
  logitDivisor: number
  /** Gemma 2: logits become cap·tanh(logits / cap). */
  finalLogitSoftcap: number | null
  /** Dtype of the published dense tensors. */
  dtype: DType
  /** Dtype of the published expert matrices (equals `dtype` where there are no experts). */
  expertDtype: DType
  /** Only in a second published form: its key in the family's file, which decides spelling and tensor names. */
  tensorLayout?: string
  /** Dropout probabilities while training: after the embedding, on attention probabilities, on residual branches. */
  dropout: { embedding: number; attention: number; residual: number }
  /** Standard deviation of freshly initialised matrices. */
  initializerRange: number
  /** Ids that end a generation, and the id that begins a text; from config.json where present. */
  eosTokenIds: number[]
  bosTokenId: number | null
}

export interface Embedding {
  /** Factor on the embedded row (Gemma: sqrt(hiddenSize)), 1 elsewhere. */
  scale: number
  /** Whether the factor is rounded to the dtype of the weights, as the published code of Gemma does. */
  roundScale?: boolean
  /** A learned table of absolute positions (GPT-2) or none here (RoPE lives in the attention slot). */
  position: { kind: 'learned'; length: number } | { kind: 'none' }
}

export interface Layer {
  placement: Placement
  norm: Norm
  attention: Attention
  feedForward: FeedForward
}

/**
 * Where the norms stand and how the two branches of a layer, each an f, join the residual stream.
 * One after the other: `pre`: x + f(norm(x)); `post` (OLMo 2): x + norm(f(x)); `sandwich` (Gemma 2, 3): x + norm(f(norm(x))).
 * Side by side: `parallel` (GPT-NeoX): x + attention(norm(x)) + feedForward(norm'(x)).
 * Without a feed-forward: `alone` (Mamba): x + attention(norm(x)).
 */
export type Placement = 'pre' | 'post' | 'sandwich' | 'parallel' | 'alone'

export type Norm = LayerNorm | PlainLayerNorm | RmsNorm | NoNorm

export interface LayerNorm {
  kind: 'layerNorm'
  eps: number
}

/** LayerNorm without gain and bias (OLMo 1). */
export interface PlainLayerNorm {
  kind: 'plainLayerNorm'
  eps: number
}

/** Nothing stands in the place of a norm: only for experiments on what norms do. */
export interface NoNorm {
  kind: 'none'
  eps?: undefined
}

export interface RmsNorm {
  kind: 'rmsNorm'
  eps: number
  /** Gemma: the stored gain is w and the factor is 1 + w. */
  unitOffset: boolean
}

/** How a layer mixes positions. */
export type Attention = MultiHead | Latent | StateSpace

/** Scaled dot-product attention with grouped heads. Vaswani et al. 2017; Ainslie et al. 2023. */
export interface MultiHead {
  kind: 'multiHead'
  heads: number
  kvHeads: number
  headDim: number
  /** Factor on q·k, usually headDim^-0.5. */
  scale: number
  /** Number of keys a query sees, itself included; null: all. */
  slidingWindow: number | null
  position: Position
  qkvBias: boolean
  outBias: boolean
  /** One learned logit per query head in the denominator of the softmax (gpt-oss). */
  sinks: boolean
  /** RMSNorm of q and k before RoPE: over each head (Qwen3, Gemma 3) or over the full width (OLMo 2). */
  qkNorm: { kind: 'none' } | { kind: 'perHead'; eps: number; unitOffset: boolean } | { kind: 'fullWidth'; eps: number; unitOffset: boolean }
  /** Gemma 2: scores become cap·tanh(scores / cap). */
  logitSoftcap: number | null
  /** Values of q, k and v are held to ±qkvClip (OLMo 1, MPT, DBRX). */
  qkvClip?: number
  /** What the authors did not publish of this attention (GPT-3). Such a model can be counted and compared, not run. */
  unpublished?: Unpublished
}

export interface Unpublished {
  /** The layer sees a band of keys of unknown width. Work and cache are counted as if it saw all. */
  window?: boolean
  /** Printed heads that do not fit the width of the model. The layer is counted as one head of the whole width. */
  heads?: { printed: number; size: number }
}

/**
 * Multi-head latent attention. Keys and values of all heads are projected from one latent vector per position, which is all that the cache
 * holds, with one rotated key that the heads share. DeepSeek-AI 2024, arXiv 2405.04434, section 2.1.
 */
export interface Latent {
  kind: 'latent'
  heads: number
  /** Width of the latent of the queries; null: queries are projected from the layer's input. */
  qLoraRank: number | null
  /** Width of the latent of keys and values. */
  kvLoraRank: number
  /** A key of a head: values without position, then rotated ones that all heads share. */
  qkNopeHeadDim: number
  qkRopeHeadDim: number
  vHeadDim: number
  /** Factor on q·k: (qkNopeHeadDim + qkRopeHeadDim)^-0.5, and what YaRN adds to it. */
  scale: number
  /** Of the rotated part, as if it were a head. */
  position: Position
  /** Biases of the projections into the latents and of the output. */
  bias: boolean
  /** Of the RMSNorms of the latents. */
  normEps: number
}

/**
 * A selective state-space layer: no attention. Every channel passes a short convolution and a linear recurrence, so the past of a sequence is a
 * state of fixed size. Gu & Dao 2023, arXiv 2312.00752 (Mamba); norms inside: Lieber et al. 2024, arXiv 2403.19887 (Jamba).
 */
export interface StateSpace {
  kind: 'stateSpace'
  /** Number of channels. */
  innerSize: number
  /** Numbers that a channel remembers. */
  stateSize: number
  /** Positions that the convolution sees, the own included. */
  convolutionSize: number
  /** Rank of the projection that gives every channel its step size. */
  stepRank: number
  /** Biases of the projections into the layer and out of it. */
  projectionBias: boolean
  convolutionBias: boolean
  /** Of the RMSNorms of step, input and output (Jamba); null: these are not normalised (Mamba). */
  normEps: number | null
  /** The recurrence goes through the positions in order, so nothing marks them. */
  position: { kind: 'none' }
}

/** Su et al. 2021. The first `rotaryDim` values of a head are rotated, in pairs; the rest stay as they are. */
export interface Rope {
  kind: 'rope'
  ropeTheta: number
  /** Even, at most the head size (GPT-NeoX: a quarter of it). */
  rotaryDim: number
  pairing: Pairing
  scaling: RopeScaling
}

/** `halves`: value i with i + rotaryDim / 2 (GPT-NeoX, Llama). `interleaved`: 2i with 2i + 1 (GPT-J, DeepSeek). */
export type Pairing = 'halves' | 'interleaved'

export type Position = { kind: 'none' } | Rope

export type RopeScaling =
  | { kind: 'none' }
  | { kind: 'linear'; factor: number }
  | {
      kind: 'yarn'
      factor: number
      originalMaxPositionEmbeddings: number
      betaFast: number
      betaSlow: number
      truncate: boolean
      /** Factor on cos and sin; null: 0.1·ln(factor) + 1. */
      attentionFactor: number | null
      /** Only where `scale` of the attention contains (0.1·mscaleAllDim·ln(factor) + 1)² (DeepSeek). */
      mscaleAllDim?: number
    }
  /** Ding et al. 2024, arXiv 2402.13753: one divisor per pair, the short ones for contexts up to the original one. */
  | {
      kind: 'longrope'
      shortFactor: number[]
      longFactor: number[]
      originalMaxPositionEmbeddings: number
      /** Factor on cos and sin. */
      attentionFactor: number
    }
  | { kind: 'llama3'; factor: number; lowFreqFactor: number; highFreqFactor: number; originalMaxPositionEmbeddings: number }

export type FeedForward = Mlp | GatedMlp | Mixture | NoFeedForward

/** Only with the placement `alone`: no width, no biases. */
export interface NoFeedForward {
  kind: 'none'
  /** 0 */
  intermediateSize: number
  /** false */
  bias: boolean
}

/** down(activation(up(x))) */
export interface Mlp {
  kind: 'mlp'
  intermediateSize: number
  activation: Gelu
  bias: boolean
}

/** down(gated(gate(x), up(x))) */
export interface GatedMlp {
  kind: 'gated'
  intermediateSize: number
  activation: Gated
  bias: boolean
}

/** The `expertsPerToken` best of `experts` gated networks, weighted by the router, and one that serves every token. */
export interface Mixture {
  kind: 'moe'
  experts: number
  expertsPerToken: number
  intermediateSize: number
  activation: Gated
  /** Bias of the expert matrices. */
  bias: boolean
  router: Router
  /** Added for every token. Several shared experts are one, as wide as all together. DeepSeekMoE, arXiv 2401.06066. */
  shared?: GatedMlp
}

/** `tanh` is GPT-2's gelu_new and PyTorch's gelu_pytorch_tanh; `erf` the exact form. */
export type Gelu = { kind: 'gelu'; approximation: 'tanh' | 'erf' }

export type Gated =
  /** silu(gate)·up */
  | { kind: 'swiglu' }
  /** g·σ(alpha·g)·(u + 1) with g = min(gate, limit), u = clamp(up, ±limit) (gpt-oss). */
  | { kind: 'clampedSwiglu'; alpha: number; limit: number }
  /** gelu(gate)·up (Gemma). */
  | { kind: 'geglu'; approximation: 'tanh' | 'erf' }

/** How the logits of the router choose experts and weigh them. `auxLossCoef`: weight of the load-balancing loss while training. */
export type Router = { bias: boolean; auxLossCoef: number } & (TopkSoftmax | (SoftmaxTopk & GroupedChoice) | (SigmoidTopk & GroupedChoice))

/** The k best logits, then softmax over them (gpt-oss, Mixtral). */
interface TopkSoftmax {
  kind: 'topkSoftmax'
}

/** Softmax over all, then the k best, with `normalize` divided by their sum (Qwen3), times `scale` (DeepSeek-V2). */
interface SoftmaxTopk {
  kind: 'softmaxTopk'
  normalize: boolean
}

/**
 * The sigmoid of every logit is its score. With `correction` a learned number per expert is added to choose the k best, and not to weigh them.
 * With `normalize` divided by their sum, times `scale` (DeepSeek-V3, arXiv 2412.19437, section 2.1.2).
 */
interface SigmoidTopk {
  kind: 'sigmoidTopk'
  normalize: boolean
  correction: boolean
}

interface GroupedChoice {
  /** Factor on the weights of the chosen; 1 if absent. */
  scale?: number
  /** Only experts of the best groups can be chosen; all of them if absent. */
  groups?: ExpertGroups
}

/** Experts in `count` groups of equal size. The `chosen` groups with the largest sums of their `best` best experts stay. */
export interface ExpertGroups {
  count: number
  chosen: number
  best: 1 | 2
}
