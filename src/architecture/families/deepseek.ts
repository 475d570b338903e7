/**
 * DeepSeek: many small experts beside shared ones (DeepSeekMoE 16B, arXiv 2401.06066), with latent attention (V2, arXiv 2405.04434; V3 and R1,
 * arXiv 2412.19437, and models in their form: Moonlight, Kimi K2). The modules of V3 that predict further tokens are skipped.
 * Sources: config.json and modeling_deepseek.py of the repositories; transformers' modeling files of deepseek_v2 and deepseek_v3.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, ExpertGroups, FeedForward, GatedMlp, Latent, Mixture, RopeScaling, Router } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import {
  assemble,
  expertsPerToken,
  expertTensors,
  firstMoe,
  llamaConfig,
  mixtureConfig,
  plainAttention,
  rmsNorm,
  sizesFromConfig,
  stackConfig,
  variant,
} from '../llama-line.ts'
import type { Preset } from '../presets.ts'
import type { Names, Slice, TensorTable } from '../recipes.ts'
import { ropeFromConfig, ropeToConfig } from '../rope-config.ts'

/** The files do not say it: the norms of the latents in the modeling files. */
const LATENT_EPS = 1e-6

function read16b(config: Fields): Described {
  const sizes = sizesFromConfig(config)
  const attention = plainAttention(config, sizes, ropeFromConfig(config, sizes.headDim, 10000))
  const feedForward = feedForwards(config, (experts) => softmaxRouter(config, experts, 1))
  const norm = rmsNorm(config)
  return assemble(config, sizes, (index) => ({ placement: 'pre', norm, attention, feedForward: feedForward(index) }))
}

const readV2 = (config: Fields): Described =>
  readLatent(config, (experts) => softmaxRouter(config, experts, config.positive('routed_scaling_factor', 1)))

const readV3 = (config: Fields): Described => readLatent(config, (experts) => sigmoidRouter(config, experts))

function readLatent(config: Fields, router: (experts: number) => Router): Described {
  const sizes = { layers: config.layerCount('num_hidden_layers'), hiddenSize: config.size('hidden_size') }
  const attention = latentAttention(config)
  const feedForward = feedForwards(config, router)
  const norm = rmsNorm(config)
  return assemble(config, sizes, (index) => ({ placement: 'pre', norm, attention, feedForward: feedForward(index) }))
}

function latentAttention(config: Fields): Latent {
  const heads = config.size('num_attention_heads')
  if (config.size('num_key_value_heads', heads) !== heads)
    config.fail(
      'num_key_value_heads',
      `expected num_attention_heads (${heads}), because all heads share one latent, got ${config.raw('num_key_value_heads')}`,
    )
  const [nope, rope] = [config.size('qk_nope_head_dim'), config.size('qk_rope_head_dim')]
  if (rope % 2) config.fail('qk_rope_head_dim', `expected an even number (rotation works on pairs), got ${rope}`)
  const plain = ropeFromConfig(config, rope, 10000)
  const mscaleAllDim = (config.inner('rope_parameters') ?? config.inner('rope_scaling'))?.notNegative('mscale_all_dim', 0) || undefined
  const scaling: RopeScaling = plain.scaling.kind === 'yarn' ? { ...plain.scaling, mscaleAllDim } : plain.scaling
  const stretch = scaling.kind === 'yarn' && mscaleAllDim && scaling.factor > 1 ? 0.1 * mscaleAllDim * Math.log(scaling.factor) + 1 : 1
  const scale = (nope + rope) ** -0.5 * stretch ** 2
  if (!Number.isFinite(scale))
    config.fail('rope_scaling', `expected a finite factor on scores, got ${scale} from factor and mscale_all_dim`)
  return {
    kind: 'latent',
    heads,
    qLoraRank: config.optionalSize('q_lora_rank'),
    kvLoraRank: config.size('kv_lora_rank'),
    qkNopeHeadDim: nope,
    qkRopeHeadDim: rope,
    vHeadDim: config.size('v_head_dim'),
    scale,
    position: { ...plain, pairing: config.flag('rope_interleave', true) ? 'interleaved' : 'halves', scaling },
    bias: config.flag('attention_bias', false),
    normEps: LATENT_EPS,
  }
}

/** Layers are mixtures from `first_k_dense_replace` on, every `moe_layer_freq`-th of them counted from layer 0. */
function feedForwards(config: Fields, router: (experts: number) => Router): (layer: number) => FeedForward {
  config.refuse('hidden_act', 'the gate of this model type is SiLU', 'silu')
  const bias = config.flag('mlp_bias', false)
  const gated = (intermediateSize: number): GatedMlp => ({ kind: 'gated', intermediateSize, activation: { kind: 'swiglu' }, bias })
  const experts = config.optionalSize('n_routed_experts')
  if (experts === null) return () => gated(config.size('intermediate_size'))
  const first = config.integer('first_k_dense_replace', 0)
  const frequency = config.size('moe_layer_freq', 1)
  const intermediateSize = config.size('moe_intermediate_size')
  const shared = config.optionalSize('n_shared_experts')
  const moe: Mixture = {
    kind: 'moe',
    experts,
    expertsPerToken: expertsPerToken(config, experts),
    intermediateSize,
    activation: { kind: 'swiglu' },
    bias: false,
    router: router(experts),
    shared: shared === null ? undefined : gated(intermediateSize * shared),
  }
  return (layer) => (layer >= first && layer % frequency === 0 ? moe : gated(config.size('intermediate_size')))
}

/** V2 and before. Normalised weights are not scaled, as the published code has it. */
function softmaxRouter(config: Fields, experts: number, scale: number): Router {
  config.refuse('scoring_func', 'the router of this model type is a softmax', 'softmax')
  const grouped = config.choice('topk_method', { greedy: false, group_limited_greedy: true }, 'greedy')
  const normalize = config.flag('norm_topk_prob', false)
  return {
    kind: 'softmaxTopk',
    normalize,
    scale: normalize || scale === 1 ? undefined : scale,
    groups: grouped ? expertGroups(config, experts, 1) : undefined,
    bias: false,
    auxLossCoef: config.notNegative('aux_loss_alpha', 0.001),
  }
}

/** V3 balances its experts by the correction and not by a loss. */
function sigmoidRouter(config: Fields, experts: number): Router {
  config.refuse('scoring_func', 'the router of this model type takes sigmoids', 'sigmoid')
  config.refuse('topk_method', 'the router of this model type adds a correction to choose', 'noaux_tc')
  const scale = config.positive('routed_scaling_factor', 1)
  return {
    kind: 'sigmoidTopk',
    normalize: config.flag('norm_topk_prob', true),
    correction: true,
    scale: scale === 1 ? undefined : scale,
    groups: expertGroups(config, experts, 2),
    bias: false,
    auxLossCoef: 0,
  }
}

/** `best`: how many experts of a group stand for it. One group is none. */
function expertGroups(config: Fields, experts: number, best: ExpertGroups['best']): ExpertGroups | undefined {
  const count = config.size('n_group', 1)
  if (count === 1) return undefined
  if (experts % count) config.fail('n_group', `expected a divisor of n_routed_experts (${experts}), got ${count}`)
  if (experts / count < best) config.fail('n_group', `expected groups of at least ${best} experts, got ${experts / count}`)
  const chosen = config.size('topk_group')
  if (chosen > count) config.fail('topk_group', `expected at most n_group (${count}), got ${chosen}`)
  const open = (experts / count) * chosen
  if (open < expertsPerToken(config, experts))
    config.fail('topk_group', `expected groups that hold num_experts_per_tok experts together, got ${chosen} groups of ${experts / count}`)
  return { count, chosen, best }
}

function write(a: Architecture): Json {
  const { attention } = a.layers[0]!
  const moe = firstMoe(a)
  const router = moe?.router
  const dense = a.layers.map(({ feedForward }) => feedForward).find((slot) => slot.kind === 'gated')
  return {
    ...(attention.kind === 'latent' ? latentConfig(a, attention) : llamaConfig(a)),
    ...mixtureConfig(a),
    ...layersOfExperts(a),
    mlp_bias: (moe?.shared ?? dense)?.bias ?? false,
    moe_intermediate_size: moe?.intermediateSize,
    n_routed_experts: moe?.experts,
    n_shared_experts: moe?.shared && moe.shared.intermediateSize / moe.intermediateSize,
    ...(router && routerConfig(router)),
    router_aux_loss_coef: undefined,
  }
}

function latentConfig(a: Architecture, slot: Latent): Json {
  return {
    ...stackConfig(a),
    ...ropeToConfig(slot),
    attention_bias: slot.bias,
    kv_lora_rank: slot.kvLoraRank,
    num_attention_heads: slot.heads,
    num_key_value_heads: slot.heads,
    num_nextn_predict_layers: 0,
    q_lora_rank: slot.qLoraRank,
    qk_nope_head_dim: slot.qkNopeHeadDim,
    qk_rope_head_dim: slot.qkRopeHeadDim,
    rope_interleave: slot.position.kind === 'rope' && slot.position.pairing === 'interleaved',
    v_head_dim: slot.vHeadDim,
  }
}

/** The first mixture, and the distance to the next. */
function layersOfExperts({ layers }: Architecture): Json {
  const [first = layers.length, second = first + 1] = layers.flatMap(({ feedForward }, index) =>
    feedForward.kind === 'moe' ? [index] : [],
  )
  return { first_k_dense_replace: first, moe_layer_freq: second - first }
}

function routerConfig(router: Router): Json {
  if (router.kind === 'topkSoftmax') return {}
  const sigmoid = router.kind === 'sigmoidTopk'
  return {
    ...(!sigmoid && { aux_loss_alpha: router.auxLossCoef }),
    n_group: router.groups?.count ?? 1,
    norm_topk_prob: router.normalize,
    routed_scaling_factor: router.scale ?? 1,
    scoring_func: sigmoid ? 'sigmoid' : 'softmax',
    topk_group: router.groups?.chosen ?? 1,
    topk_method: sigmoid ? 'noaux_tc' : router.groups ? 'group_limited_greedy' : 'greedy',
  }
}

const withExperts = expertTensors('mlp', ['gate_proj', 'up_proj', 'down_proj'])

const tensors: TensorTable = {
  ...withExperts,
  predictionModules: true,
  inLayer(architecture, layer, at) {
    const { attention, feedForward } = architecture.layers[layer]!
    const matrix = (key: string, name: string) => ({ [key]: at(`${name}.weight`), [`${key}Bias`]: at(`${name}.bias`) })
    return {
      ...withExperts.inLayer(architecture, layer, at),
      ...(attention.kind === 'latent' && latentNames(attention, at)),
      ...(feedForward.kind === 'moe' && {
        'feedForward.routerCorrection': at('mlp.gate.e_score_correction_bias'),
        ...matrix('feedForward.shared.gate', 'mlp.shared_experts.gate_proj'),
        ...matrix('feedForward.shared.up', 'mlp.shared_experts.up_proj'),
        ...matrix('feedForward.shared.down', 'mlp.shared_experts.down_proj'),
      }),
    }
  },
}

/** Three published matrices hold two of ours each: head by head, or one part after the other. */
function latentNames(slot: Latent, at: (tail: string) => string): Names {
  const { heads: H, qkNopeHeadDim: N, qkRopeHeadDim: P, vHeadDim: U, kvLoraRank: R } = slot
  const byHead = (from: number, run: number, every: number): Required<Slice> => ({ from, total: H * every, run, every })
  const part = (tail: string, slice: Slice) => ({ form: 'asStored', tensor: at(`self_attn.${tail}`), slice }) as const
  const query = slot.qLoraRank === null ? 'q_proj' : 'q_b_proj'
  const down = (slice: Slice, key: string): Names => ({
    [key]: part('kv_a_proj_with_mqa.weight', slice),
    [`${key}Bias`]: part('kv_a_proj_with_mqa.bias', slice),
  })
  return {
    'attention.qDown': at('self_attn.q_a_proj.weight'),
    'attention.qDownBias': at('self_attn.q_a_proj.bias'),
    'attention.qNorm': at('self_attn.q_a_layernorm.weight'),
    'attention.q': part(`${query}.weight`, byHead(0, N, N + P)),
    'attention.qRope': part(`${query}.weight`, byHead(N, P, N + P)),
    ...down({ from: 0, total: R + P }, 'attention.kvDown'),
    'attention.kvNorm': at('self_attn.kv_a_layernorm.weight'),
    ...down({ from: R, total: R + P }, 'attention.kRope'),
    'attention.kUp': { form: 'transposedRuns', tensor: at('self_attn.kv_b_proj.weight'), slice: byHead(0, N, N + U) },
    'attention.vUp': part('kv_b_proj.weight', byHead(N, U, N + U)),
  }
}

const common = {
  attention_bias: false,
  attention_dropout: 0,
  hidden_act: 'silu',
  initializer_range: 0.02,
  moe_layer_freq: 1,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
  torch_dtype: 'bfloat16',
}
const latent = { kv_lora_rank: 512, qk_nope_head_dim: 128, qk_rope_head_dim: 64, v_head_dim: 128 }
const yarn = (mscale: number) => ({
  type: 'yarn',
  factor: 40,
  original_max_position_embeddings: 4096,
  beta_fast: 32,
  beta_slow: 1,
  mscale,
  mscale_all_dim: mscale,
})

const moe16b: Preset = {
  name: 'DeepSeekMoE-16B',
  repositories: ['deepseek-ai/deepseek-moe-16b-base', 'deepseek-ai/deepseek-moe-16b-chat'],
  config: {
    ...common,
    model_type: 'deepseek',
    aux_loss_alpha: 0.001,
    bos_token_id: 100000,
    eos_token_id: 100001,
    first_k_dense_replace: 1,
    hidden_size: 2048,
    intermediate_size: 10944,
    max_position_embeddings: 4096,
    moe_intermediate_size: 1408,
    n_routed_experts: 64,
    n_shared_experts: 2,
    norm_topk_prob: false,
    num_attention_heads: 16,
    num_experts_per_tok: 6,
    num_hidden_layers: 28,
    num_key_value_heads: 16,
    scoring_func: 'softmax',
    vocab_size: 102400,
  },
  source: 'Dai et al. 2024, arXiv 2401.06066; config.json of the repository',
}

const v2Lite: Preset = {
  name: 'DeepSeek-V2-Lite',
  repositories: ['deepseek-ai/DeepSeek-V2-Lite', 'deepseek-ai/DeepSeek-V2-Lite-Chat'],
  config: {
    ...moe16b.config,
    ...latent,
    model_type: 'deepseek_v2',
    max_position_embeddings: 163840,
    n_group: 1,
    num_hidden_layers: 27,
    q_lora_rank: null,
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: the number of the file
    rope_scaling: yarn(0.707),
    routed_scaling_factor: 1,
    topk_group: 1,
    topk_method: 'greedy',
  },
  source: 'DeepSeek-AI 2024, arXiv 2405.04434, appendix B; config.json of the repository',
}

const v2 = variant(
  v2Lite,
  'DeepSeek-V2',
  ['deepseek-ai/DeepSeek-V2', 'deepseek-ai/DeepSeek-V2-Chat'],
  {
    hidden_size: 5120,
    intermediate_size: 12288,
    moe_intermediate_size: 1536,
    n_group: 8,
    n_routed_experts: 160,
    num_attention_heads: 128,
    num_hidden_layers: 60,
    num_key_value_heads: 128,
    q_lora_rank: 1536,
    rope_scaling: yarn(1),
    routed_scaling_factor: 16,
    topk_group: 3,
    topk_method: 'group_limited_greedy',
  },
  'DeepSeek-AI 2024, arXiv 2405.04434, section 3.1.2; config.json of the repository',
)

const v3: Preset = {
  name: 'DeepSeek-V3',
  repositories: ['deepseek-ai/DeepSeek-V3', 'deepseek-ai/DeepSeek-V3-Base', 'deepseek-ai/DeepSeek-V3-0324'],
  config: {
    ...common,
    ...latent,
    model_type: 'deepseek_v3',
    bos_token_id: 0,
    eos_token_id: 1,
    first_k_dense_replace: 3,
    hidden_size: 7168,
    intermediate_size: 18432,
    max_position_embeddings: 163840,
    moe_intermediate_size: 2048,
    n_group: 8,
    n_routed_experts: 256,
    n_shared_experts: 1,
    norm_topk_prob: true,
    num_attention_heads: 128,
    num_experts_per_tok: 8,
    num_hidden_layers: 61,
    num_key_value_heads: 128,
    num_nextn_predict_layers: 1,
    q_lora_rank: 1536,
    quantization_config: { activation_scheme: 'dynamic', fmt: 'e4m3', quant_method: 'fp8', weight_block_size: [128, 128] },
    rope_scaling: yarn(1),
    routed_scaling_factor: 2.5,
    scoring_func: 'sigmoid',
    topk_group: 4,
    topk_method: 'noaux_tc',
    vocab_size: 129280,
  },
  source: 'DeepSeek-AI 2024, arXiv 2412.19437, section 4.2; config.json of the repository',
}

const moonlight = variant(
  v3,
  'Moonlight-16B-A3B',
  ['moonshotai/Moonlight-16B-A3B', 'moonshotai/Moonlight-16B-A3B-Instruct'],
  {
    bos_token_id: 163584,
    eos_token_id: 163585,
    first_k_dense_replace: 1,
    hidden_size: 2048,
    intermediate_size: 11264,
    max_position_embeddings: 8192,
    moe_intermediate_size: 1408,
    n_group: 1,
    n_routed_experts: 64,
    n_shared_experts: 2,
    num_attention_heads: 16,
    num_experts_per_tok: 6,
    num_hidden_layers: 27,
    num_key_value_heads: 16,
    num_nextn_predict_layers: 0,
    q_lora_rank: null,
    quantization_config: undefined,
    rms_norm_eps: 1e-5,
    rope_scaling: null,
    rope_theta: 50000,
    routed_scaling_factor: 2.446,
    topk_group: 1,
    vocab_size: 163840,
  },
  'Liu et al. 2025, arXiv 2502.16982; config.json of the repository',
)

const r1 = variant(
  v3,
  'DeepSeek-R1',
  ['deepseek-ai/DeepSeek-R1', 'deepseek-ai/DeepSeek-R1-0528', 'deepseek-ai/DeepSeek-R1-Zero'],
  {},
  'DeepSeek-AI 2025, arXiv 2501.12948; config.json of the repository',
)

export const deepseek: Family = {
  modelTypes: {
    deepseek: { read: read16b, write, tensors, className: 'DeepseekForCausalLM' },
    deepseek_v2: { read: readV2, write, tensors, className: 'DeepseekV2ForCausalLM' },
    deepseek_v3: { read: readV3, write, tensors, className: 'DeepseekV3ForCausalLM' },
    // The same form under a name of its own, so that programs can tell the model.
    kimi_k2: { read: readV3, write, tensors, className: 'DeepseekV3ForCausalLM' },
  },
  specialTokens({ modelType, vocabSize }): Record<number, string> {
    const [begin, end] = ['<｜begin▁of▁sentence｜>', '<｜end▁of▁sentence｜>']
    if (modelType !== 'deepseek_v3') return vocabSize === 102400 ? { 100000: begin, 100001: end } : {}
    if (vocabSize === 163840) return { 163584: '[BOS]', 163585: '[EOS]' } // Moonlight
    return vocabSize === 129280 ? { 0: begin, 1: end } : {}
  },
  beginsTexts: true,
  presets: [moe16b, v2Lite, v2, v3, r1, moonlight],
}
