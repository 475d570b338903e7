/**
 * Mamba: state-space layers and nothing else, each with one norm and no feed-forward. Gu & Dao 2023, arXiv 2312.00752.
 * The output matrix is the embedding. A file names no longest context, because a recurrence has none.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, StateSpace } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { assemble } from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import type { Names, Recipe, TensorTable } from '../recipes.ts'
import { isStateSpace } from '../slots.ts'

/** Stands for a context without end. */
const ENDLESS = 2 ** 20

function read(file: Fields): Described {
  const config = file.with({ max_position_embeddings: ENDLESS })
  config.refuse('hidden_act', 'the activation of this model type is SiLU', 'silu')
  const [layers, hiddenSize] = [config.layerCount('num_hidden_layers'), config.size('hidden_size')]
  const norm = { kind: 'rmsNorm', eps: config.positive('layer_norm_epsilon', 1e-5), unitOffset: false } as const
  const innerSize = hiddenSize * config.size('expand', 2)
  if (config.size('intermediate_size', innerSize) !== innerSize)
    config.fail('intermediate_size', `expected expand · hidden_size (${innerSize}), got ${config.raw('intermediate_size')}`)
  const attention: StateSpace = {
    kind: 'stateSpace',
    innerSize,
    stateSize: config.size('state_size', 16),
    convolutionSize: config.size('conv_kernel', 4),
    stepRank: rankFrom(config, 'time_step_rank', hiddenSize),
    projectionBias: config.flag('use_bias', false),
    convolutionBias: config.flag('use_conv_bias', true),
    normEps: null,
    position: { kind: 'none' },
  }
  const sizes = { layers, hiddenSize, heads: 1, kvHeads: 1, headDim: 1 }
  const layer = () => ({ placement: 'alone', norm, attention, feedForward: { kind: 'none', intermediateSize: 0, bias: false } }) as const
  return { ...assemble(config, sizes, layer, norm), tieWordEmbeddings: config.flag('tie_word_embeddings', true) }
}

/** The rank of the step sizes: a number, or "auto" for a sixteenth of the width. */
export const rankFrom = (config: Fields, key: string, hiddenSize: number): number =>
  (config.raw(key) ?? 'auto') === 'auto' ? Math.ceil(hiddenSize / 16) : config.size(key)

function write(a: Architecture): Json {
  const slot = a.layers.map(({ attention }) => attention).find(isStateSpace)
  return {
    conv_kernel: slot?.convolutionSize,
    expand: slot && slot.innerSize / a.hiddenSize,
    hidden_act: 'silu',
    hidden_size: a.hiddenSize,
    intermediate_size: slot?.innerSize,
    layer_norm_epsilon: a.finalNorm.eps,
    num_hidden_layers: a.layers.length,
    state_size: slot?.stateSize,
    time_step_rank: slot?.stepRank,
    use_bias: slot?.projectionBias,
    use_conv_bias: slot?.convolutionBias,
    ...(a.maxPositionEmbeddings !== ENDLESS && { max_position_embeddings: a.maxPositionEmbeddings }),
  }
}

const tensors: TensorTable = {
  prefixes: ['backbone.', ''],
  layer: 'layers.{N}.',
  whole: { embed: 'embeddings.weight', 'finalNorm.gain': 'norm_f.weight' },
  unembed: ['lm_head.weight'],
  inLayer(architecture, layer, at) {
    const { attention } = architecture.layers[layer]!
    return {
      'attentionNorm.gain': at('norm.weight'),
      ...(isStateSpace(attention) && stateSpaceTensors(attention, (tail) => at(`mixer.${tail}`))),
    }
  },
}

/** The tensors of a state-space layer. The norms are Jamba's. */
export function stateSpaceTensors({ innerSize: C, stateSize: N, stepRank: R }: StateSpace, at: (tail: string) => string): Names {
  const rows = (tensor: string, from: number, total: number): Recipe => ({ form: 'asStored', tensor: at(tensor), slice: { from, total } })
  const [projected, total] = ['x_proj.weight', R + 2 * N]
  return {
    'attention.x': rows('in_proj.weight', 0, 2 * C),
    'attention.xBias': rows('in_proj.bias', 0, 2 * C),
    'attention.gate': rows('in_proj.weight', C, 2 * C),
    'attention.gateBias': rows('in_proj.bias', C, 2 * C),
    'attention.kernel': { form: 'transposed', tensor: at('conv1d.weight'), middle: true },
    'attention.kernelBias': at('conv1d.bias'),
    'attention.stepDown': rows(projected, 0, total),
    'attention.input': rows(projected, R, total),
    'attention.output': rows(projected, R + N, total),
    'attention.stepNorm': at('dt_layernorm.weight'),
    'attention.inputNorm': at('b_layernorm.weight'),
    'attention.outputNorm': at('c_layernorm.weight'),
    'attention.step': at('dt_proj.weight'),
    'attention.stepBias': at('dt_proj.bias'),
    'attention.logRate': { form: 'transposed', tensor: at('A_log') },
    'attention.skip': at('D'),
    'attention.o': at('out_proj.weight'),
    'attention.oBias': at('out_proj.bias'),
  }
}

const preset = (b: string, hidden: number, layers: number): Preset => ({
  name: `Mamba-${b}`,
  repositories: [`state-spaces/mamba-${b.toLowerCase()}-hf`],
  config: {
    model_type: 'mamba',
    bos_token_id: 0,
    conv_kernel: 4,
    eos_token_id: 0,
    expand: 2,
    hidden_act: 'silu',
    hidden_size: hidden,
    initializer_range: 0.1,
    intermediate_size: 2 * hidden,
    layer_norm_epsilon: 1e-5,
    num_hidden_layers: layers,
    state_size: 16,
    time_step_rank: hidden / 16,
    torch_dtype: 'float32',
    use_bias: false,
    use_conv_bias: true,
    vocab_size: 50280,
  },
  source: 'Gu & Dao 2023, arXiv 2312.00752, Table 12; config.json of the repository',
})

export const mamba: Family = {
  modelTypes: { mamba: { read, write, tensors, className: 'MambaForCausalLM' } },
  specialTokens: () => ({ 0: '<|endoftext|>', 1: '<|padding|>' }),
  presets: [
    preset('130M', 768, 24),
    preset('370M', 1024, 48),
    preset('790M', 1536, 48),
    preset('1.4B', 2048, 48),
    preset('2.8B', 2560, 64),
  ],
}
