/**
 * The general layout: a config.json that holds the slots of an architecture as they are, and tensors under the inner names of the weights.
 * `lineage train` saves a model in it where no published family can say what the model is, such as the steps between GPT-2 and gpt-oss.
 * Only Lineage reads it. Sizes and kinds are checked here, since the file is as untrusted as any other.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Attention, DType, FeedForward, Gated, Layer, Norm, Position, RopeScaling, Router } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import { type Names, packed, type TensorTable } from '../recipes.ts'

export const GENERAL = 'lineage'

const DTYPES: Record<string, DType> = { float32: 'f32', float16: 'f16', bfloat16: 'bf16', mxfp4: 'mxfp4' }
const dtypeName = (dtype: DType) => Object.keys(DTYPES).find((name) => DTYPES[name] === dtype)

/** One of several words, given as they are. */
const word = <T extends string>(fields: Fields, key: string, ...words: T[]): T =>
  fields.choice(key, Object.fromEntries(words.map((one) => [one, one])) as Record<string, T>)

function read(config: Fields): Described {
  const hiddenSize = config.size('hidden_size')
  const dtype = config.dtype('f32')
  const expertDtype = config.choice('expert_dtype', DTYPES)
  const embedding = config.below('embedding')
  const position = embedding.below('position')
  const layers = config.list('layers')
  if (layers.length === 0) config.fail('layers', 'expected one object per layer, got none')
  const dropout = config.below('dropout')
  return {
    hiddenSize,
    maxPositionEmbeddings: config.size('max_position_embeddings'),
    embedding: {
      scale: embedding.positive('scale'),
      ...(embedding.has('roundScale') && { roundScale: embedding.flag('roundScale') }),
      position:
        word(position, 'kind', 'learned', 'none') === 'none' ? { kind: 'none' } : { kind: 'learned', length: position.size('length') },
    },
    layers: layers.map((layer) => readLayer(layer, hiddenSize, expertDtype)),
    finalNorm: readNorm(config.below('final_norm')),
    tieWordEmbeddings: config.flag('tie_word_embeddings'),
    residualScale: config.positive('residual_scale'),
    logitDivisor: config.positive('logit_divisor'),
    finalLogitSoftcap: config.optionalPositive('final_logit_softcap'),
    dtype,
    expertDtype,
    dropout: {
      embedding: dropout.probability('embedding'),
      attention: dropout.probability('attention'),
      residual: dropout.probability('residual'),
    },
  }
}

const readLayer = (layer: Fields, hiddenSize: number, expertDtype: DType): Layer => ({
  placement: word(layer, 'placement', 'pre', 'post', 'sandwich', 'parallel'),
  norm: readNorm(layer.below('norm')),
  attention: readAttention(layer.below('attention')),
  feedForward: readFeedForward(layer.below('feedForward'), hiddenSize, expertDtype),
})

function readNorm(norm: Fields): Norm {
  const kind = word(norm, 'kind', 'layerNorm', 'plainLayerNorm', 'rmsNorm')
  const eps = norm.positive('eps')
  return kind === 'rmsNorm' ? { kind, eps, unitOffset: norm.flag('unitOffset') } : { kind, eps }
}

function readAttention(slot: Fields): Attention {
  const kind = word(slot, 'kind', 'multiHead')
  const [heads, kvHeads, headDim] = [slot.size('heads'), slot.size('kvHeads'), slot.size('headDim')]
  if (heads % kvHeads) slot.fail('kvHeads', `expected a divisor of heads (${heads}), got ${kvHeads}`)
  const norm = slot.below('qkNorm')
  const normKind = word(norm, 'kind', 'none', 'perHead', 'fullWidth')
  return {
    kind,
    heads,
    kvHeads,
    headDim,
    scale: slot.positive('scale'),
    slidingWindow: slot.optionalSize('slidingWindow'),
    position: readPosition(slot.below('position'), headDim),
    qkvBias: slot.flag('qkvBias'),
    outBias: slot.flag('outBias'),
    sinks: slot.flag('sinks'),
    qkNorm: normKind === 'none' ? { kind: normKind } : { kind: normKind, eps: norm.positive('eps'), unitOffset: norm.flag('unitOffset') },
    logitSoftcap: slot.optionalPositive('logitSoftcap'),
    ...(slot.has('qkvClip') && { qkvClip: slot.positive('qkvClip') }),
  }
}

function readPosition(position: Fields, headDim: number): Position {
  const kind = word(position, 'kind', 'none', 'rope')
  if (kind === 'none') return { kind }
  const rotaryDim = position.size('rotaryDim')
  if (rotaryDim % 2 || rotaryDim > headDim) position.fail('rotaryDim', `expected an even number up to ${headDim}, got ${rotaryDim}`)
  const pairing = word(position, 'pairing', 'halves', 'interleaved')
  const scaling = readScaling(position.below('scaling'), rotaryDim / 2)
  return { kind, ropeTheta: position.positive('ropeTheta'), rotaryDim, pairing, scaling }
}

function readScaling(scaling: Fields, pairs: number): RopeScaling {
  const kind = word(scaling, 'kind', 'none', 'linear', 'yarn', 'longrope', 'llama3')
  if (kind === 'none') return { kind }
  if (kind === 'linear') return { kind, factor: scaling.positive('factor') }
  const originalMaxPositionEmbeddings = scaling.size('originalMaxPositionEmbeddings')
  switch (kind) {
    case 'yarn':
      return {
        kind,
        factor: scaling.positive('factor'),
        originalMaxPositionEmbeddings,
        betaFast: scaling.positive('betaFast'),
        betaSlow: scaling.positive('betaSlow'),
        truncate: scaling.flag('truncate'),
        attentionFactor: scaling.optionalPositive('attentionFactor'),
      }
    case 'longrope': {
      const factors = (key: string) => {
        const list = scaling.array(key)
        if (list.length === pairs && list.every((one) => typeof one === 'number' && Number.isFinite(one) && one > 0))
          return list as number[]
        return scaling.fail(key, `expected ${pairs} numbers above 0`)
      }
      const [shortFactor, longFactor] = [factors('shortFactor'), factors('longFactor')]
      return { kind, shortFactor, longFactor, originalMaxPositionEmbeddings, attentionFactor: scaling.positive('attentionFactor') }
    }
    case 'llama3': {
      const [lowFreqFactor, highFreqFactor] = [scaling.positive('lowFreqFactor'), scaling.positive('highFreqFactor')]
      return { kind, factor: scaling.positive('factor'), lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings }
    }
  }
}

function readFeedForward(slot: Fields, hiddenSize: number, expertDtype: DType): FeedForward {
  const kind = word(slot, 'kind', 'mlp', 'gated', 'moe')
  const intermediateSize = slot.size('intermediateSize')
  const bias = slot.flag('bias')
  const activation = slot.below('activation')
  if (kind === 'mlp')
    return {
      kind,
      intermediateSize,
      activation: { kind: word(activation, 'kind', 'gelu'), approximation: approximation(activation) },
      bias,
    }
  if (kind === 'gated') return { kind, intermediateSize, activation: readGated(activation), bias }
  if (expertDtype === 'mxfp4' && (intermediateSize % 32 || hiddenSize % 32))
    slot.fail('intermediateSize', `expected widths in multiples of 32 (MXFP4 blocks), got ${intermediateSize} and ${hiddenSize}`)
  const [experts, expertsPerToken] = [slot.size('experts'), slot.size('expertsPerToken')]
  if (expertsPerToken > experts) slot.fail('expertsPerToken', `expected at most ${experts}, got ${expertsPerToken}`)
  return {
    kind,
    experts,
    expertsPerToken,
    intermediateSize,
    activation: readGated(activation),
    bias,
    router: readRouter(slot.below('router')),
  }
}

const approximation = (activation: Fields) => word(activation, 'approximation', 'tanh', 'erf')

function readGated(activation: Fields): Gated {
  const kind = word(activation, 'kind', 'swiglu', 'clampedSwiglu', 'geglu')
  if (kind === 'swiglu') return { kind }
  if (kind === 'geglu') return { kind, approximation: approximation(activation) }
  return { kind, alpha: activation.positive('alpha'), limit: activation.positive('limit') }
}

function readRouter(router: Fields): Router {
  const kind = word(router, 'kind', 'topkSoftmax', 'softmaxTopk')
  const rest = { bias: router.flag('bias'), auxLossCoef: router.notNegative('auxLossCoef') }
  return kind === 'topkSoftmax' ? { kind, ...rest } : { kind, normalize: router.flag('normalize'), ...rest }
}

const write = (a: Architecture): Json => ({
  model_type: GENERAL,
  hidden_size: a.hiddenSize,
  max_position_embeddings: a.maxPositionEmbeddings,
  dtype: dtypeName(a.dtype),
  expert_dtype: dtypeName(a.expertDtype),
  embedding: a.embedding,
  layers: a.layers,
  final_norm: a.finalNorm,
  tie_word_embeddings: a.tieWordEmbeddings,
  residual_scale: a.residualScale,
  logit_divisor: a.logitDivisor,
  final_logit_softcap: a.finalLogitSoftcap,
  dropout: a.dropout,
  initializer_range: a.initializerRange,
  bos_token_id: a.bosTokenId,
  eos_token_id: a.eosTokenIds,
})

const NORMS = ['attentionNorm', 'attentionPostNorm', 'feedForwardNorm', 'feedForwardPostNorm'].flatMap((name) => [
  `${name}.gain`,
  `${name}.bias`,
])
const MATRICES = [
  ...['q', 'k', 'v', 'o'].map((name) => `attention.${name}`),
  ...['gate', 'up', 'down', 'router', 'gateUp'].map((name) => `feedForward.${name}`),
]
const NAMES = [...NORMS, ...MATRICES.flatMap((name) => [name, `${name}Bias`]), 'attention.qNorm', 'attention.kNorm', 'attention.sinks']

const tensors: TensorTable = {
  prefixes: [''],
  layer: 'layers.{N}.',
  whole: { embed: 'embed', position: 'position', 'finalNorm.gain': 'finalNorm.gain', 'finalNorm.bias': 'finalNorm.bias' },
  unembed: ['unembed'],
  inLayer({ layers }, layer, at) {
    const names = Object.fromEntries(NAMES.map((name) => [name, at(name)]))
    if (layers[layer]!.feedForward.kind !== 'moe') return names
    const experts = ['feedForward.gateUp', 'feedForward.down'].map((name) => [name, [at(name), packed(at(name))]])
    return { ...names, ...(Object.fromEntries(experts) as Names) }
  },
}

export const general: Family = {
  modelTypes: { [GENERAL]: { read, write, tensors } },
  specialTokens: () => ({}),
  presets: [],
}
