/**
 * Jamba: state-space layers with an attention layer in every period, a mixture of experts in every period of its own, no rotation.
 * Lieber et al. 2024, arXiv 2403.19887; Jamba Team 2024, arXiv 2408.12570. The state-space layers are those of Mamba with norms inside.
 * The weights of the chosen experts are their shares of the softmax over all experts, as they are.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, FeedForward, StateSpace } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import {
  assemble,
  expertsPerToken,
  expertTensors,
  firstMoe,
  mixtureConfig,
  plainAttention,
  rmsNorm,
  swiglu,
  variant,
} from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import type { TensorTable } from '../recipes.ts'
import { isStateSpace } from '../slots.ts'
import { rankFrom, stateSpaceTensors } from './mamba.ts'

function read(config: Fields): Described {
  config.refuse('hidden_act', 'the activation of this model type is SiLU', 'silu')
  config.refuse('sliding_window', 'the attention of this model type sees all positions')
  config.refuse('mamba_inner_layernorms', 'step, input and output are normalised in this model type', true)
  const [layers, hiddenSize] = [config.layerCount('num_hidden_layers'), config.size('hidden_size')]
  const heads = config.size('num_attention_heads')
  const kvHeads = config.size('num_key_value_heads', heads)
  if (heads % kvHeads) config.fail('num_key_value_heads', `expected a divisor of num_attention_heads (${heads}), got ${kvHeads}`)
  if (!config.has('head_dim') && hiddenSize % heads)
    config.fail('num_attention_heads', `expected a divisor of hidden_size (${hiddenSize}) where head_dim is absent, got ${heads}`)
  const sizes = { layers, hiddenSize, heads, kvHeads, headDim: config.size('head_dim', hiddenSize / heads) }
  const [attends, isSparse] = [periodic(config, 'attn_layer', 8, 4), periodic(config, 'expert_layer', 2, 1)]
  const [norm, dense] = [rmsNorm(config), swiglu(config)]
  const attention = { ...plainAttention(config, sizes, { kind: 'none' }), qkvBias: false, outBias: false }
  const mamba = readMamba(config, hiddenSize, norm.eps)
  const mixture = readMixture(config)
  return assemble(config, sizes, (index) => ({
    placement: 'pre',
    norm,
    attention: attends(index) ? attention : mamba,
    feedForward: mixture && isSparse(index) ? mixture : dense,
  }))
}

function readMamba(config: Fields, hiddenSize: number, normEps: number): StateSpace {
  return {
    kind: 'stateSpace',
    innerSize: hiddenSize * config.size('mamba_expand', 2),
    stateSize: config.size('mamba_d_state', 16),
    convolutionSize: config.size('mamba_d_conv', 4),
    stepRank: rankFrom(config, 'mamba_dt_rank', hiddenSize),
    projectionBias: config.flag('mamba_proj_bias', false),
    convolutionBias: config.flag('mamba_conv_bias', true),
    normEps,
    position: { kind: 'none' },
  }
}

/** The mixture of experts; undefined in a model with one expert, which is a plain gated network. */
function readMixture(config: Fields): FeedForward | undefined {
  const experts = config.size(config.spelling('num_experts', 'num_local_experts'), 16)
  if (experts === 1) return undefined
  return {
    kind: 'moe',
    experts,
    expertsPerToken: expertsPerToken(config.with({ num_experts_per_tok: 2 }), experts),
    intermediateSize: config.size('intermediate_size'),
    activation: { kind: 'swiglu' },
    bias: false,
    router: { kind: 'softmaxTopk', normalize: false, bias: false, auxLossCoef: config.notNegative('router_aux_loss_coef', 0.001) },
  }
}

/** Whether a layer is one of those that `NAME_period` and `NAME_offset` name. */
function periodic(config: Fields, name: string, period: number, offset: number): (layer: number) => boolean {
  const every = config.size(`${name}_period`, period)
  const first = config.integer(`${name}_offset`, offset)
  if (first >= every) config.fail(`${name}_offset`, `expected a number below ${name}_period (${every}), got ${first}`)
  return (layer) => layer % every === first
}

/** Period and offset of the layers that are true; of none, those of a period longer than the model. */
function periodOf(layers: boolean[]): { period: number; offset: number } {
  const first = layers.indexOf(true)
  if (first < 0) return { period: layers.length + 1, offset: layers.length }
  const second = layers.indexOf(true, first + 1)
  const period = second < 0 ? layers.length : second - first
  return { period, offset: first % period }
}

function write(a: Architecture): Json {
  const slots = a.layers.map(({ attention }) => attention)
  const [mamba, heads] = [slots.find(isStateSpace), slots.find((slot) => slot.kind === 'multiHead')]
  const attention = periodOf(slots.map((slot) => !isStateSpace(slot)))
  const experts = periodOf(a.layers.map(({ feedForward }) => feedForward.kind === 'moe'))
  return {
    attention_dropout: a.dropout.attention,
    attn_layer_offset: attention.offset,
    attn_layer_period: attention.period,
    expert_layer_offset: experts.offset,
    expert_layer_period: experts.period,
    hidden_act: 'silu',
    hidden_size: a.hiddenSize,
    intermediate_size: a.layers[0]!.feedForward.intermediateSize,
    mamba_conv_bias: mamba?.convolutionBias,
    mamba_d_conv: mamba?.convolutionSize,
    mamba_d_state: mamba?.stateSize,
    mamba_dt_rank: mamba?.stepRank,
    mamba_expand: mamba && mamba.innerSize / a.hiddenSize,
    mamba_proj_bias: mamba?.projectionBias,
    max_position_embeddings: a.maxPositionEmbeddings,
    // Without attention layers these say nothing.
    head_dim: heads?.headDim,
    num_attention_heads: heads?.heads ?? 1,
    num_key_value_heads: heads?.kvHeads ?? 1,
    num_experts: firstMoe(a)?.experts ?? 1,
    num_hidden_layers: a.layers.length,
    rms_norm_eps: a.finalNorm.eps,
    ...mixtureConfig(a),
  }
}

const EXPERTS = expertTensors('feed_forward', ['gate_proj', 'up_proj', 'down_proj'])

const tensors: TensorTable = {
  ...EXPERTS,
  whole: { ...EXPERTS.whole, 'finalNorm.gain': 'final_layernorm.weight' },
  inLayer(architecture, layer, at) {
    const { attention, feedForward } = architecture.layers[layer]!
    const matrix = (key: string) => ({ [`feedForward.${key}`]: at(`feed_forward.${key}_proj.weight`) })
    return {
      ...EXPERTS.inLayer(architecture, layer, at),
      'feedForwardNorm.gain': at('pre_ff_layernorm.weight'),
      ...(feedForward.kind === 'moe'
        ? { 'feedForward.router': at('feed_forward.router.weight') }
        : { ...matrix('gate'), ...matrix('up'), ...matrix('down') }),
      ...(isStateSpace(attention) && stateSpaceTensors(attention, (tail) => at(`mamba.${tail}`))),
    }
  },
}

const mini: Preset = {
  name: 'Jamba-v0.1',
  repositories: ['ai21labs/Jamba-v0.1'],
  config: {
    model_type: 'jamba',
    attn_layer_offset: 4,
    attn_layer_period: 8,
    bos_token_id: 1,
    eos_token_id: 2,
    expert_layer_offset: 1,
    expert_layer_period: 2,
    hidden_act: 'silu',
    hidden_size: 4096,
    intermediate_size: 14336,
    mamba_conv_bias: true,
    mamba_d_conv: 4,
    mamba_d_state: 16,
    mamba_dt_rank: 256,
    mamba_expand: 2,
    mamba_proj_bias: false,
    max_position_embeddings: 262144,
    num_attention_heads: 32,
    num_experts: 16,
    num_experts_per_tok: 2,
    num_hidden_layers: 32,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-6,
    router_aux_loss_coef: 0.001,
    tie_word_embeddings: false,
    torch_dtype: 'bfloat16',
    vocab_size: 65536,
  },
  source: 'Lieber et al. 2024, arXiv 2403.19887; config.json of the repository',
}

const V1_5 = 'Jamba Team 2024, arXiv 2408.12570; config.json of the repository'
const LARGE = { hidden_size: 8192, intermediate_size: 24576, num_hidden_layers: 72, num_attention_heads: 64, mamba_dt_rank: 512 }

export const jamba: Family = {
  modelTypes: { jamba: { read, write, tensors, className: 'JambaForCausalLM' } },
  specialTokens: () => ({ 0: '<|pad|>', 1: '<|startoftext|>', 2: '<|endoftext|>', 3: '<|unk|>' }),
  beginsTexts: true,
  presets: [
    mini,
    variant(mini, 'Jamba-1.5-Mini', ['ai21labs/AI21-Jamba-1.5-Mini'], {}, V1_5),
    variant(mini, 'Jamba-1.5-Large', ['ai21labs/AI21-Jamba-1.5-Large'], LARGE, V1_5),
  ],
}
