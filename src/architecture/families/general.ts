/**
 * The general layout: a config.json that holds the slots of an architecture as they are, and tensors under the inner names of the weights.
 * `lineage train` saves a model in it where no published family can say what the model is, such as the steps between GPT-2 and gpt-oss.
 * Only Lineage reads it. Sizes and kinds are checked here, since the file is as untrusted as any other.
 */
import type { Json } from '../../json/json.ts'
import type {
  Architecture,
  Attention,
  DType,
  ExpertGroups,
  FeedForward,
  Gated,
  GatedMlp,
  Latent,
  Layer,
  MultiHead,
  Norm,
  Position,
  RopeScaling,
  Router,
  StateSpace,
} from '../architecture.ts'
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

function readLayer(layer: Fields, hiddenSize: number, expertDtype: DType): Layer {
  const placement = word(layer, 'placement', 'pre', 'post', 'sandwich', 'parallel', 'alone')
  const feedForward = readFeedForward(layer.below('feedForward'), hiddenSize, expertDtype)
  if ((placement === 'alone') !== (feedForward.kind === 'none'))
    layer.fail('placement', `expected "alone" exactly where feedForward.kind is "none", got "${placement}" with "${feedForward.kind}"`)
  return { placement, norm: readNorm(layer.below('norm')), attention: readAttention(layer.below('attention')), feedForward }
}

function readNorm(norm: Fields): Norm {
  const kind = word(norm, 'kind', 'layerNorm', 'plainLayerNorm', 'rmsNorm', 'none')
  if (kind === 'none') return { kind }
  const eps = norm.positive('eps')
  return kind === 'rmsNorm' ? { kind, eps, unitOffset: norm.flag('unitOffset') } : { kind, eps }
}

function readAttention(slot: Fields): Attention {
  switch (word(slot, 'kind', 'multiHead', 'latent', 'stateSpace')) {
    case 'multiHead':
      return readMultiHead(slot)
    case 'latent':
      return readLatent(slot)
    case 'stateSpace':
      return readStateSpace(slot)
  }
}

function readMultiHead(slot: Fields): MultiHead {
  const [heads, kvHeads, headDim] = [slot.size('heads'), slot.size('kvHeads'), slot.size('headDim')]
  if (heads % kvHeads) slot.fail('kvHeads', `expected a divisor of heads (${heads}), got ${kvHeads}`)
  const norm = slot.below('qkNorm')
  const normKind = word(norm, 'kind', 'none', 'perHead', 'fullWidth')
  return {
    kind: 'multiHead',
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

function readLatent(slot: Fields): Latent {
  const qkRopeHeadDim = slot.size('qkRopeHeadDim')
  return {
    kind: 'latent',
    heads: slot.size('heads'),
    qLoraRank: slot.optionalSize('qLoraRank'),
    kvLoraRank: slot.size('kvLoraRank'),
    qkNopeHeadDim: slot.size('qkNopeHeadDim'),
    qkRopeHeadDim,
    vHeadDim: slot.size('vHeadDim'),
    scale: slot.positive('scale'),
    position: readPosition(slot.below('position'), qkRopeHeadDim),
    bias: slot.flag('bias'),
    normEps: slot.positive('normEps'),
  }
}

const readStateSpace = (slot: Fields): StateSpace => ({
  kind: 'stateSpace',
  innerSize: slot.size('innerSize'),
  stateSize: slot.size('stateSize'),
  convolutionSize: slot.size('convolutionSize'),
  stepRank: slot.size('stepRank'),
  projectionBias: slot.flag('projectionBias'),
  convolutionBias: slot.flag('convolutionBias'),
  normEps: slot.optionalPositive('normEps'),
  position: { kind: word(slot.below('position'), 'kind', 'none') },
})

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
        mscaleAllDim: scaling.optionalPositive('mscaleAllDim') ?? undefined,
        ...(scaling.has('mscaleAllDim') && { mscaleAllDim: scaling.positive('mscaleAllDim') }),
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
  const kind = word(slot, 'kind', 'mlp', 'gated', 'moe', 'none')
  if (kind === 'none') return { kind, intermediateSize: 0, bias: false }
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
  if (kind === 'gated') return readGatedMlp(slot)
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
    router: readRouter(slot.below('router'), experts, expertsPerToken),
    ...(slot.has('shared') && { shared: readGatedMlp(slot.below('shared')) }),
  }
}

const readGatedMlp = (slot: Fields): GatedMlp => ({
  kind: word(slot, 'kind', 'gated'),
  intermediateSize: slot.size('intermediateSize'),
  activation: readGated(slot.below('activation')),
  bias: slot.flag('bias'),
})

const approximation = (activation: Fields) => word(activation, 'approximation', 'tanh', 'erf')

function readGated(activation: Fields): Gated {
  const kind = word(activation, 'kind', 'swiglu', 'clampedSwiglu', 'geglu')
  if (kind === 'swiglu') return { kind }
  if (kind === 'geglu') return { kind, approximation: approximation(activation) }
  return { kind, alpha: activation.positive('alpha'), limit: activation.positive('limit') }
}

function readRouter(router: Fields, experts: number, expertsPerToken: number): Router {
  const kind = word(router, 'kind', 'topkSoftmax', 'softmaxTopk', 'sigmoidTopk')
  const rest = { bias: router.flag('bias'), auxLossCoef: router.notNegative('auxLossCoef') }
  if (kind === 'topkSoftmax') return { kind, ...rest }
  const chosen = {
    normalize: router.flag('normalize'),
    ...rest,
    ...(router.has('scale') && { scale: router.positive('scale') }),
    ...(router.has('groups') && { groups: readGroups(router.below('groups'), experts, expertsPerToken) }),
  }
  return kind === 'softmaxTopk' ? { kind, ...chosen } : { kind, correction: router.flag('correction'), ...chosen }
}

function readGroups(groups: Fields, experts: number, expertsPerToken: number): ExpertGroups {
  const [count, chosen] = [groups.size('count'), groups.size('chosen')]
  if (experts % count || chosen > count)
    groups.fail('count', `expected a divisor of ${experts} experts, of which ${chosen} groups can be chosen`)
  const best = groups.size('best', undefined, 2)
  const width = experts / count
  if (width < best || width * chosen < expertsPerToken)
    groups.fail('chosen', `expected groups that hold ${expertsPerToken} experts together, got ${chosen} groups of ${width}`)
  return { count, chosen, best: best as 1 | 2 }
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

const tensors: TensorTable = {
  prefixes: [''],
  layer: 'layers.{N}.',
  whole: { embed: 'embed', position: 'position', 'finalNorm.gain': 'finalNorm.gain', 'finalNorm.bias': 'finalNorm.bias' },
  unembed: ['unembed'],
  inLayer({ layers }, layer, at) {
    const experts = layers[layer]!.feedForward.kind === 'moe' ? ['feedForward.gateUp', 'feedForward.down'] : []
    const names: Names = {}
    return new Proxy(names, { get: (_, tail: string) => (experts.includes(tail) ? [at(tail), packed(at(tail))] : at(tail)) })
  },
}

export const general: Family = {
  modelTypes: { [GENERAL]: { read, write, tensors } },
  specialTokens: () => ({}),
  presets: [],
}
