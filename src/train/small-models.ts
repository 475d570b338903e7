/** Small models of every step from GPT-2 to gpt-oss, at sizes that train in minutes on a laptop. The steps are the published ones. */
import type { Architecture } from '../architecture/architecture.ts'
import { type Step, type StepSizes, stepsWith, walkSteps } from '../architecture/steps.ts'
import { parameterLayout } from './parameters.ts'

export interface SmallSizes {
  vocabSize: number
  /** Context in tokens. */
  block: number
  layers: number
  heads: number
  width: number
  /** Dropout of the first model, in GPT-2's three places alike. */
  dropout: number
}

export const SMALL: Omit<SmallSizes, 'vocabSize'> = { block: 64, layers: 4, heads: 4, width: 128, dropout: 0.1 }

/** Sizes of the later steps in proportion to a small model. */
export const SMALL_STEPS: StepSizes = { headsPerGroup: 2, slidingWindow: 16, experts: 8, expertsPerToken: 2, contextFactor: 4 }

/** Weight of the load-balancing loss; gpt-oss's file says 0.9 but never uses it, Qwen3 uses 0.001. */
const BALANCE = 0.01

/**
 * Deviation of fresh matrices: 0.02 at GPT-2's width of 1024, larger in narrower models (SmallInit: Nguyen & Salazar 2019,
 * arXiv:1910.05895). With 0.02 at a width of 128 the outputs of the layers begin close to zero, and a short run cannot make up for that.
 */
const deviation = (width: number): number => Math.sqrt(2 / (5 * width))

/** GPT-2 as published, only smaller. Radford et al. 2019. */
export function smallGpt2({ vocabSize, block, layers, heads, width, dropout }: SmallSizes): Architecture {
  if (width % heads !== 0) throw new RangeError(`a width of ${width} cannot be shared by ${heads} heads`)
  const norm = { kind: 'layerNorm', eps: 1e-5 } as const
  const headDim = width / heads
  return {
    name: 'gpt2',
    modelType: 'gpt2',
    vocabSize,
    hiddenSize: width,
    maxPositionEmbeddings: block,
    embedding: { scale: 1, position: { kind: 'learned', length: block } },
    layers: Array.from({ length: layers }, () => ({
      normPlacement: 'pre',
      norm,
      attention: {
        heads,
        kvHeads: heads,
        headDim,
        scale: headDim ** -0.5,
        slidingWindow: null,
        position: { kind: 'none' },
        qkvBias: true,
        outBias: true,
        sinks: false,
        qkNorm: { kind: 'none' },
        logitSoftcap: null,
      },
      feedForward: { kind: 'mlp', intermediateSize: 4 * width, activation: { kind: 'gelu', approximation: 'tanh' }, bias: true },
    })),
    finalNorm: norm,
    tieWordEmbeddings: true,
    finalLogitSoftcap: null,
    dtype: 'f32',
    expertDtype: 'f32',
    tensorLayout: 'gpt2',
    dropout: { embedding: dropout, attention: dropout, residual: dropout },
    initializerRange: deviation(width),
    eosTokenIds: [],
    bosTokenId: null,
  }
}

export interface SmallModel {
  /** 'gpt2', then the name of the last step taken. */
  name: string
  title: string
  step: Step | null
  architecture: Architecture
}

/** GPT-2 and the model after every step, in order. */
export function smallModels(sizes: SmallSizes, stepSizes: Partial<StepSizes> = {}): SmallModel[] {
  const steps = stepsWith({ ...SMALL_STEPS, ...stepSizes })
  return walkSteps(smallGpt2(sizes), steps).map((architecture, i) => {
    const step = i === 0 ? null : steps[i - 1]!
    return { name: step?.name ?? 'gpt2', title: step?.title ?? 'GPT-2', step, architecture: balanced(architecture, step?.name ?? 'gpt2') }
  })
}

/**
 * The same models with feed-forward layers widened or narrowed until a token passes through as many parameters as in the first,
 * so that a difference in loss is not one of size. Equal up to whole columns, or whole blocks of 32 where experts are mxfp4.
 */
export function withEqualActive(models: readonly SmallModel[]): SmallModel[] {
  const activeOf = (architecture: Architecture) => parameterCounts(architecture, parameterLayout(architecture).count).active
  const wanted = activeOf(models[0]!.architecture)
  return models.map((model) => {
    const { architecture } = model
    const unit = architecture.expertDtype === 'mxfp4' ? 32 : 4
    const widened = (more: number): Architecture => ({
      ...architecture,
      layers: architecture.layers.map((layer) => ({
        ...layer,
        feedForward: { ...layer.feedForward, intermediateSize: layer.feedForward.intermediateSize + more },
      })),
    })
    const perUnit = activeOf(widened(unit)) - activeOf(architecture)
    return { ...model, architecture: widened(unit * Math.round((wanted - activeOf(architecture)) / perUnit)) }
  })
}

const balanced = (architecture: Architecture, name: string): Architecture => ({
  ...architecture,
  name,
  layers: architecture.layers.map((layer) =>
    layer.feedForward.kind === 'moe'
      ? { ...layer, feedForward: { ...layer.feedForward, router: { ...layer.feedForward.router, auxLossCoef: BALANCE } } }
      : layer,
  ),
})

/** Parameters in all, and those a token passes through. */
export function parameterCounts(architecture: Architecture, total: number): { total: number; active: number } {
  let idle = 0
  for (const { feedForward } of architecture.layers)
    if (feedForward.kind === 'moe') {
      const { experts, expertsPerToken, intermediateSize: F, bias } = feedForward
      const each = 3 * F * architecture.hiddenSize + (bias ? 2 * F + architecture.hiddenSize : 0)
      idle += (experts - expertsPerToken) * each
    }
  return { total, active: total - idle }
}

/** Bytes of keys and values of one sequence of `length` tokens in 16 bits. */
export function kvBytes(architecture: Architecture, length: number): number {
  return architecture.layers.reduce((sum, { attention: { kvHeads, headDim, slidingWindow } }) => {
    return sum + 2 * 2 * kvHeads * headDim * Math.min(length, slidingWindow ?? length)
  }, 0)
}
