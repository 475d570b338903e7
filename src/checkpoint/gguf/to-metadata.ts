/**
 * An architecture as the metadata of a GGUF file: the inverse of config.ts, architectures.ts and rope.ts. One list of keys for all
 * families, because a key stands for a property. What a file cannot say is found by reading it back (convert-node.ts).
 * Source: the converters of llama.cpp (conversion/*.py).
 */
import type { Architecture, Latent, Mixture, MultiHead, Norm, Rope, StateSpace } from '../../architecture/architecture.ts'
import { hasHeads } from '../../architecture/slots.ts'
import { SIGMOID } from './architectures.ts'
import { llama3Divisors } from './rope.ts'
import type { Entry } from './write-node.ts'

/** `general.architecture` by model type. */
const NAMES: Readonly<Record<string, string>> = {
  deepseek: 'deepseek',
  deepseek_v2: 'deepseek2',
  deepseek_v3: 'deepseek2',
  gemma: 'gemma',
  gemma2: 'gemma2',
  gemma3_text: 'gemma3',
  gpt2: 'gpt2',
  gpt_neox: 'gptneox',
  gpt_oss: 'gpt-oss',
  granite: 'granite',
  jamba: 'jamba',
  kimi_k2: 'deepseek2',
  llama: 'llama',
  mistral: 'llama',
  mixtral: 'llama',
  olmo: 'olmo',
  olmo2: 'olmo2',
  olmo3: 'olmo2',
  phi3: 'phi3',
  qwen2: 'qwen2',
  qwen3: 'qwen3',
  qwen3_moe: 'qwen3moe',
  qwen3_vl_text: 'qwen3',
  smollm3: 'smollm3',
}

/** The name of the architecture in GGUF files; undefined where they have none. */
export const ggufArchitecture = ({ modelType }: Architecture): string | undefined =>
  Object.hasOwn(NAMES, modelType) ? NAMES[modelType] : undefined

/** A tensor of divisors of the rotation, which GGUF files have beside the weights. */
export interface Divisors {
  readonly name: string
  readonly values: readonly number[]
}

/** Entries under the prefix of an architecture. Absent values are left out. */
class Entries {
  readonly list: Entry[] = []
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  whole(key: string, value: number | null | undefined): void {
    if (value !== null && value !== undefined) this.list.push({ key: this.#prefix + key, type: 'u32', value })
  }

  real(key: string, value: number | null | undefined): void {
    if (value !== null && value !== undefined) this.list.push({ key: this.#prefix + key, type: 'f32', value })
  }

  add(key: string, entry: DistributiveOmit<Entry, 'key'>): void {
    this.list.push({ key: this.#prefix + key, ...entry } as Entry)
  }
}
type DistributiveOmit<T, K extends keyof T> = T extends unknown ? Omit<T, K> : never

/** The metadata but for tokenizer and `general.` keys. @param name of `ggufArchitecture` */
export function metadataOf(architecture: Architecture, name: string): Entry[] {
  const to = new Entries(`${name}.`)
  const { layers, hiddenSize } = architecture
  const slots = layers.map(({ attention }) => attention)
  const feedForwards = layers.map(({ feedForward }) => feedForward)
  const moe = feedForwards.find((slot): slot is Mixture => slot.kind === 'moe')
  const dense = feedForwards.find((slot) => slot.kind !== 'moe')
  to.whole('vocab_size', architecture.vocabSize)
  to.whole('block_count', layers.length)
  to.whole('context_length', architecture.maxPositionEmbeddings)
  to.whole('embedding_length', hiddenSize)
  to.whole('feed_forward_length', dense?.intermediateSize ?? moe!.intermediateSize)
  norm(to, layers[0]!.norm)
  const multiHead = slots.find((slot): slot is MultiHead => slot.kind === 'multiHead')
  const latent = slots.find((slot): slot is Latent => slot.kind === 'latent')
  const states = slots.find((slot): slot is StateSpace => slot.kind === 'stateSpace')
  if (latent) latentAttention(to, latent)
  else if (multiHead) heads(to, architecture, multiHead, name)
  if (states) stateSpace(to, states)
  if (moe) mixture(to, architecture, moe, name.startsWith('deepseek'))
  rotation(to, architecture)
  if (layers[0]!.placement === 'parallel') to.add('use_parallel_residual', { type: 'bool', value: true })
  if (name === 'granite') {
    to.real('attention.scale', multiHead!.scale)
    to.real('embedding_scale', architecture.embedding.scale)
    to.real('residual_scale', architecture.residualScale)
    to.real('logit_scale', architecture.logitDivisor)
  }
  to.real('attn_logit_softcapping', multiHead?.logitSoftcap)
  to.real('final_logit_softcapping', architecture.finalLogitSoftcap)
  return to.list
}

function norm(to: Entries, { kind, eps }: Norm): void {
  to.real(kind === 'rmsNorm' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon', eps)
}

function heads(to: Entries, { layers, hiddenSize }: Architecture, slot: MultiHead, name: string): void {
  to.whole('attention.head_count', slot.heads)
  const kvHeads = layers.map(({ attention }) => (attention.kind === 'multiHead' ? attention.kvHeads : 0))
  if (kvHeads.every((count) => count === slot.kvHeads)) to.whole('attention.head_count_kv', slot.kvHeads)
  else to.add('attention.head_count_kv', { type: 'i32s', value: kvHeads })
  if (slot.headDim * slot.heads !== hiddenSize) {
    to.whole('attention.key_length', slot.headDim)
    to.whole('attention.value_length', slot.headDim)
  }
  to.real('attention.clamp_kqv', slot.qkvClip)
  const windows = layers.map(({ attention }) => (attention.kind === 'multiHead' ? attention.slidingWindow : null))
  const window = windows.find((size) => size !== null)
  // Files of LLaMA's architecture, which Mistral's are too, have no windows.
  if (window === undefined || name === 'llama') return
  to.whole('attention.sliding_window', window)
  const patterned = name === 'olmo2' || (name === 'gemma3' && windows.some((size, layer) => (size === null) !== ((layer + 1) % 6 === 0)))
  if (patterned) to.add('attention.sliding_window_pattern', { type: 'bools', value: windows.map((size) => size !== null) })
}

/** Lengths of the latent as one shared key and value, and those of the heads under `…_mla`. */
function latentAttention(to: Entries, slot: Latent): void {
  to.whole('attention.head_count', slot.heads)
  to.whole('attention.head_count_kv', 1)
  to.whole('attention.q_lora_rank', slot.qLoraRank)
  to.whole('attention.kv_lora_rank', slot.kvLoraRank)
  to.whole('attention.key_length', slot.kvLoraRank + slot.qkRopeHeadDim)
  to.whole('attention.value_length', slot.kvLoraRank)
  to.whole('attention.key_length_mla', slot.qkNopeHeadDim + slot.qkRopeHeadDim)
  to.whole('attention.value_length_mla', slot.vHeadDim)
}

function stateSpace(to: Entries, slot: StateSpace): void {
  to.whole('ssm.conv_kernel', slot.convolutionSize)
  to.whole('ssm.inner_size', slot.innerSize)
  to.whole('ssm.state_size', slot.stateSize)
  to.whole('ssm.time_step_rank', slot.stepRank)
}

function mixture(to: Entries, { layers }: Architecture, slot: Mixture, deepseek: boolean): void {
  to.whole('expert_count', slot.experts)
  to.whole('expert_used_count', slot.expertsPerToken)
  to.whole('expert_feed_forward_length', slot.intermediateSize)
  if (!deepseek) return
  const { router, shared } = slot
  to.whole(
    'leading_dense_block_count',
    layers.findIndex(({ feedForward }) => feedForward.kind === 'moe'),
  )
  to.whole('expert_shared_count', shared && shared.intermediateSize / slot.intermediateSize)
  to.whole('expert_gating_func', router.kind === 'sigmoidTopk' ? SIGMOID : 1)
  if (router.kind === 'topkSoftmax') return
  to.real('expert_weights_scale', router.scale ?? 1)
  to.add('expert_weights_norm', { type: 'bool', value: router.normalize })
  to.whole('expert_group_count', router.groups?.count)
  to.whole('expert_group_used_count', router.groups?.chosen)
}

/** The rotation of the layers that see everything, and the base of those with a window where it is another. */
function rotations({ layers }: Architecture): { rope?: Rope; windowed?: Rope } {
  const rotated = layers.flatMap(({ attention }) =>
    hasHeads(attention) && attention.position.kind === 'rope' ? [{ slot: attention, rope: attention.position }] : [],
  )
  const isWindowed = ({ slot }: (typeof rotated)[number]) => slot.kind === 'multiHead' && slot.slidingWindow !== null
  const main = rotated.find((one) => !isWindowed(one)) ?? rotated[0]
  return { rope: main?.rope, windowed: rotated.find(isWindowed)?.rope }
}

function rotation(to: Entries, architecture: Architecture): void {
  const { rope, windowed } = rotations(architecture)
  if (!rope) return
  to.whole('rope.dimension_count', rope.rotaryDim)
  to.real('rope.freq_base', rope.ropeTheta)
  if (windowed && JSON.stringify(windowed) !== JSON.stringify(rope)) to.real('rope.freq_base_swa', windowed.ropeTheta)
  const { scaling } = rope
  const key = 'rope.scaling.'
  switch (scaling.kind) {
    case 'linear':
      to.add(`${key}type`, { type: 'text', value: 'linear' })
      to.real(`${key}factor`, scaling.factor)
      return
    case 'longrope':
      to.real(`${key}attn_factor`, scaling.attentionFactor)
      to.whole(`${key}original_context_length`, scaling.originalMaxPositionEmbeddings)
      return
    case 'yarn': {
      to.add(`${key}type`, { type: 'text', value: 'yarn' })
      to.real(`${key}factor`, scaling.factor)
      to.whole(`${key}original_context_length`, scaling.originalMaxPositionEmbeddings)
      to.real(`${key}yarn_beta_fast`, scaling.betaFast)
      to.real(`${key}yarn_beta_slow`, scaling.betaSlow)
      // Below 1 the key multiplies the factor that follows from the stretch, as rope.ts reads it.
      const usual = scaling.factor <= 1 ? 1 : 0.1 * Math.log(scaling.factor) + 1
      const attention = scaling.attentionFactor
      if (scaling.mscaleAllDim !== undefined) to.real(`${key}yarn_log_multiplier`, scaling.mscaleAllDim / 10)
      else if (attention !== null) to.real(`${key}yarn_attn_factor`, attention > 1 ? attention : attention / usual)
    }
  }
}

/** The tensors of divisors: the rule of Llama 3, and LongRoPE's. */
export function divisorsOf(architecture: Architecture): Divisors[] {
  const { rope } = rotations(architecture)
  if (rope?.scaling.kind === 'longrope')
    return [
      { name: 'rope_factors_long.weight', values: rope.scaling.longFactor },
      { name: 'rope_factors_short.weight', values: rope.scaling.shortFactor },
    ]
  if (rope?.scaling.kind !== 'llama3') return []
  return [{ name: 'rope_freqs.weight', values: llama3Divisors(rope.rotaryDim / 2, rope.ropeTheta, rope.scaling) }]
}
