/**
 * Which tensor of a GGUF file, or which part of it, is which inner weight. One table for all families, because GGUF names tensors
 * after what they do. Source: the tensor names of the `gguf` package.
 */
import type { Architecture, Latent, StateSpace } from '../../architecture/architecture.ts'
import { fused, type Names, type Recipe, type Slice } from '../../architecture/recipes.ts'
import type { TensorNames } from '../../architecture/tensor-names.ts'

const WHOLE: Readonly<Record<string, string>> = {
  embed: 'token_embd.weight',
  position: 'position_embd.weight',
  'finalNorm.gain': 'output_norm.weight',
  'finalNorm.bias': 'output_norm.bias',
  unembed: 'output.weight',
}

/** Divisors of rotations stand in config.json; the rest are tables that are computed here. */
const IGNORED = /^rope_(freqs|factors_long|factors_short)\.weight$|\.attn_rot_embd$|\.rope_freqs\.weight$/

/** The names of a GGUF checkpoint. `has` tells whether a tensor exists: some files fuse what others keep apart. */
export function ggufNames(architecture: Architecture, has: (name: string) => boolean): TensorNames {
  const stored = (tensor: string, slice?: Slice): Recipe => ({ form: 'asStored', tensor, slice })
  const layers = architecture.layers.map((_, layer) => inLayer(architecture, layer, has))
  return {
    recipes(inner) {
      const [, layer, tail] = /^layers\.(\d+)\.(.+)$/.exec(inner) ?? []
      const found = tail === undefined ? WHOLE[inner] : layers[Number(layer)]?.[tail]
      return [found ?? []].flat().map((recipe) => (typeof recipe === 'string' ? stored(recipe) : recipe))
    },
    isIgnored: (name) => IGNORED.test(name) || (architecture.tieWordEmbeddings && name === WHOLE.unembed),
  }
}

function inLayer(architecture: Architecture, layer: number, has: (name: string) => boolean): Names {
  const at = (tail: string) => `blk.${layer}.${tail}`
  const { placement, attention, feedForward } = architecture.layers[layer]!
  const both = (inner: string, name: string) => ({ [inner]: at(`${name}.weight`), [`${inner}Bias`]: at(`${name}.bias`) })
  const norm = (inner: string, name: string) => ({ [`${inner}.gain`]: at(`${name}.weight`), [`${inner}.bias`]: at(`${name}.bias`) })
  // gpt-oss has no norm after attention, but its norm before the feed-forward carries that name.
  const beforeFeedForward = placement !== 'sandwich' && !has(at('ffn_norm.weight')) ? 'post_attention_norm' : 'ffn_norm'
  return {
    ...norm('attentionNorm', 'attn_norm'),
    ...norm('attentionPostNorm', 'post_attention_norm'),
    ...norm('feedForwardNorm', beforeFeedForward),
    ...norm('feedForwardPostNorm', 'post_ffw_norm'),
    ...(has(at('attn_qkv.weight')) ? fusedAttention(architecture, layer, at) : {}),
    ...(has(at('attn_qkv.weight'))
      ? {}
      : { ...both('attention.q', 'attn_q'), ...both('attention.k', 'attn_k'), ...both('attention.v', 'attn_v') }),
    ...both('attention.o', 'attn_output'),
    'attention.qNorm': at('attn_q_norm.weight'),
    'attention.kNorm': at('attn_k_norm.weight'),
    'attention.sinks': [at('attn_sinks.weight'), at('attn_sinks')],
    ...(feedForward.kind === 'moe' ? experts(at) : both('feedForward.up', 'ffn_up')),
    ...(feedForward.kind === 'gated' ? gated(feedForward.intermediateSize, at, has) : {}),
    ...(feedForward.kind === 'moe' ? {} : both('feedForward.down', 'ffn_down')),
    ...(attention.kind === 'latent' ? latent(attention, at, has) : {}),
    ...(attention.kind === 'stateSpace' ? stateSpace(attention, at) : {}),
  }
}

/** q, k and v under one another in one tensor (GPT-2, GPT-NeoX, Phi-3). */
function fusedAttention(architecture: Architecture, layer: number, at: (tail: string) => string): Names {
  const parts = Object.entries(fused(architecture, layer)).flatMap(([part, slice]): [string, Recipe][] => [
    [`attention.${part}`, { form: 'asStored', tensor: at('attn_qkv.weight'), slice }],
    [`attention.${part}Bias`, { form: 'asStored', tensor: at('attn_qkv.bias'), slice }],
  ])
  return Object.fromEntries(parts)
}

/** Gate and up, which Phi-3 has under one another in one tensor. */
function gated(width: number, at: (tail: string) => string, has: (name: string) => boolean): Names {
  if (has(at('ffn_gate.weight'))) return { 'feedForward.gate': at('ffn_gate.weight'), 'feedForward.gateBias': at('ffn_gate.bias') }
  const half = (from: number): Recipe => ({ form: 'asStored', tensor: at('ffn_up.weight'), slice: { from, total: 2 * width } })
  return { 'feedForward.gate': half(0), 'feedForward.up': half(width) }
}

/** One tensor per expert, as `expertEntries` of checkpoint.ts names them. */
function experts(at: (tail: string) => string): Names {
  const of = (name: string, kind: string) => (expert: number) => at(`${name}.${expert}.${kind}`)
  const gateUp = (kind: string): Recipe => ({ form: 'interleaved', gate: of('ffn_gate', kind), up: of('ffn_up', kind) })
  return {
    'feedForward.router': at('ffn_gate_inp.weight'),
    'feedForward.routerBias': at('ffn_gate_inp.bias'),
    'feedForward.gateUp': gateUp('weight'),
    'feedForward.gateUpBias': gateUp('bias'),
    'feedForward.down': { form: 'perExpert', tensor: of('ffn_down', 'weight') },
    'feedForward.downBias': at('ffn_down_exps.bias'),
    'feedForward.routerCorrection': [at('exp_probs_b.bias'), at('exp_probs_b')],
    'feedForward.shared.gate': at('ffn_gate_shexp.weight'),
    'feedForward.shared.up': at('ffn_up_shexp.weight'),
    'feedForward.shared.down': at('ffn_down_shexp.weight'),
  }
}

/** Latent attention. Newer files hold the matrices for keys and values apart, the one for keys transposed; older ones as published. */
function latent(slot: Latent, at: (tail: string) => string, has: (name: string) => boolean): Names {
  const { heads: H, qkNopeHeadDim: N, qkRopeHeadDim: P, vHeadDim: U, kvLoraRank: R, qLoraRank } = slot
  const byHead = (from: number, run: number, every: number): Required<Slice> => ({ from, total: H * every, run, every })
  const part = (tail: string, slice: Slice): Recipe => ({ form: 'asStored', tensor: at(tail), slice })
  const query = qLoraRank === null ? 'attn_q.weight' : 'attn_q_b.weight'
  const both = at('attn_kv_b.weight')
  const biases: Names = {
    'attention.qDownBias': at('attn_q_a.bias'),
    'attention.kvDownBias': part('attn_kv_a_mqa.bias', { from: 0, total: R + P }),
    'attention.kRopeBias': part('attn_kv_a_mqa.bias', { from: R, total: R + P }),
  }
  const apart = has(at('attn_k_b.weight')) || !has(both)
  return {
    'attention.qDown': at('attn_q_a.weight'),
    'attention.qNorm': at('attn_q_a_norm.weight'),
    'attention.q': part(query, byHead(0, N, N + P)),
    'attention.qRope': part(query, byHead(N, P, N + P)),
    'attention.kvDown': part('attn_kv_a_mqa.weight', { from: 0, total: R + P }),
    'attention.kRope': part('attn_kv_a_mqa.weight', { from: R, total: R + P }),
    'attention.kvNorm': at('attn_kv_a_norm.weight'),
    ...biases,
    'attention.kUp': apart ? at('attn_k_b.weight') : { form: 'transposedRuns', tensor: both, slice: byHead(0, N, N + U) },
    'attention.vUp': apart ? at('attn_v_b.weight') : part('attn_kv_b.weight', byHead(N, U, N + U)),
  }
}

/** State-space layers. Files hold the rates themselves and not their logarithms; views.ts turns them. */
function stateSpace({ innerSize: C, stateSize: N, stepRank: R }: StateSpace, at: (tail: string) => string): Names {
  const rows = (tail: string, from: number, total: number): Recipe => ({ form: 'asStored', tensor: at(tail), slice: { from, total } })
  return {
    'attention.x': rows('ssm_in.weight', 0, 2 * C),
    'attention.xBias': rows('ssm_in.bias', 0, 2 * C),
    'attention.gate': rows('ssm_in.weight', C, 2 * C),
    'attention.gateBias': rows('ssm_in.bias', C, 2 * C),
    'attention.kernel': { form: 'transposed', tensor: at('ssm_conv1d.weight') },
    'attention.kernelBias': at('ssm_conv1d.bias'),
    'attention.stepDown': rows('ssm_x.weight', 0, R + 2 * N),
    'attention.input': rows('ssm_x.weight', R, R + 2 * N),
    'attention.output': rows('ssm_x.weight', R + N, R + 2 * N),
    'attention.stepNorm': at('ssm_dt_norm.weight'),
    'attention.inputNorm': at('ssm_b_norm.weight'),
    'attention.outputNorm': at('ssm_c_norm.weight'),
    'attention.step': at('ssm_dt.weight'),
    'attention.stepBias': at('ssm_dt.bias'),
    'attention.logRate': { form: 'transposed', tensor: at('ssm_a') },
    'attention.skip': at('ssm_d'),
    'attention.o': at('ssm_out.weight'),
    'attention.oBias': at('ssm_out.bias'),
  }
}
