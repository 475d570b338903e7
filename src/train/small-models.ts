/** Small models of every step from GPT-2 to gpt-oss, at sizes that train in minutes on a laptop. The steps are the published ones. */
import type { Architecture } from '../architecture/architecture.ts'
import { configFromJson } from '../architecture/config-json.ts'
import { type SideRoad, type Step, type StepSizes, sideRoadsWith, stepsWith, walkSteps } from '../architecture/steps.ts'
import { account } from '../compare/account.ts'

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

/** GPT-2 as published, only smaller. */
export function smallGpt2({ vocabSize, block, layers, heads, width, dropout }: SmallSizes): Architecture {
  const sizes = { vocab_size: vocabSize, n_positions: block, n_layer: layers, n_head: heads, n_embd: width }
  const dropouts = { embd_pdrop: dropout, attn_pdrop: dropout, resid_pdrop: dropout }
  const rest = { activation_function: 'gelu_new', layer_norm_epsilon: 1e-5, initializer_range: deviation(width) }
  return configFromJson({ model_type: 'gpt2', ...sizes, ...dropouts, ...rest }, 'gpt2')
}

export interface SmallModel {
  /** 'gpt2', then the name of the last step taken. */
  name: string
  title: string
  step: Step | SideRoad | null
  architecture: Architecture
}

/** GPT-2 and the model after every step, in order. */
export function smallModels(sizes: SmallSizes, stepSizes: Partial<StepSizes> = {}): SmallModel[] {
  const steps = stepsWith({ ...SMALL_STEPS, ...stepSizes })
  return walkSteps(smallGpt2(sizes), steps).map((architecture, i) => smallModel(architecture, steps[i - 1] ?? null))
}

/** The model of every side road. */
export function smallSideRoads(sizes: SmallSizes, stepSizes: Partial<StepSizes> = {}): SmallModel[] {
  const models = smallModels(sizes, stepSizes)
  const start = (road: SideRoad) => models.find(({ name }) => name === road.after)!.architecture
  return sideRoadsWith({ ...SMALL_STEPS, ...stepSizes }).map((road) => smallModel(road.patch(start(road)), road))
}

function smallModel(architecture: Architecture, step: Step | null): SmallModel {
  const name = step?.name ?? 'gpt2'
  return { name, title: step?.title ?? 'GPT-2', step, architecture: balanced(architecture, name) }
}

/** The name of the model that this one is compared with; undefined: the one before. */
export const branchesFrom = ({ step }: SmallModel): string | undefined => (step && 'after' in step ? step.after : undefined)

/**
 * The same models with feed-forward layers widened or narrowed until a token passes through as many parameters as in the first,
 * so that a difference in loss is not one of size. Equal up to whole columns, or whole blocks of 32 where experts are mxfp4.
 */
export function withEqualActive(models: readonly SmallModel[]): SmallModel[] {
  const activeOf = (architecture: Architecture) => account(architecture, { context: 1 }).parameters.activeWithEmbeddings
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
