/** Published configurations of every family: the resulting architectures, and the errors of wrong files. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { DType } from '../../src/architecture/architecture.ts'
import { configFromJson, modelTypes } from '../../src/architecture/config-json.ts'
import { GENERAL } from '../../src/architecture/families/general.ts'
import { findPreset, preset, unpublished } from '../../src/architecture/presets.ts'
import { multiHeadOf, windowOf } from '../../src/architecture/slots.ts'
import { toConfigJson } from '../../src/architecture/to-config-json.ts'
import { describe as describeSlots } from '../../src/compare/difference.ts'
import { embeddingScale } from '../../src/model/parts.ts'
import { leaves, weightSpecs } from '../../src/model/weights.ts'

const checkpoints = new URL('../fixtures/checkpoints/', import.meta.url)
const fixture = (name: string) => JSON.parse(readFileSync(new URL(`${name}/config.json`, checkpoints), 'utf8')) as Record<string, unknown>
const read = (json: unknown) => configFromJson(json, 'config.json')
const without = (json: Record<string, unknown>, ...keys: string[]) =>
  Object.fromEntries(Object.entries(json).filter(([key]) => !keys.includes(key)))

/** Asserts the one-line error message. */
function complains(json: unknown, message: string | RegExp) {
  assert.throws(
    () => read(json),
    (error: Error) => {
      assert.equal(error.name, 'ConfigError')
      if (typeof message === 'string') assert.equal(error.message, message)
      else assert.match(error.message, message)
      assert.ok(!error.message.includes('\n'))
      return true
    },
  )
}

test('every family of the fixtures is understood, and no other', () => {
  const found = new Set<unknown>()
  for (const name of readdirSync(checkpoints)) {
    const file = fixture(name)
    const architecture = configFromJson(file, `${name}/config.json`)
    const json = (file.text_config ?? file) as Record<string, unknown>
    found.add(file.model_type).add(json.model_type)
    assert.equal(architecture.modelType, json.model_type)
    assert.equal(architecture.layers.length, json.num_hidden_layers ?? json.n_layer)
    assert.equal(architecture.hiddenSize, json.hidden_size ?? json.n_embd)
    assert.equal(architecture.vocabSize, 512)
  }
  assert.deepEqual([...found].sort(), modelTypes.filter((type) => type !== GENERAL && type !== 'gpt3').sort())
})

describe('slots of the families', () => {
  test('GPT-3: bands in every other layer, and what was never published stays unknown', () => {
    const words = (name: string) => Object.fromEntries(describeSlots(preset(name)!).map(({ key, value }) => [key, value]))
    const { slidingWindow, heads, headDim, dtype, dropout } = words('GPT-3')
    assert.deepEqual(
      { slidingWindow, heads, headDim, dtype, dropout },
      { slidingWindow: 'full and band of unknown width, 1 : 1', heads: '96', headDim: '128', dtype: 'unknown', dropout: 'unknown' },
    )
    assert.equal(words('GPT-3-XL').heads, 'unknown (24 printed)')
    assert.equal(words('GPT-3-13B').headDim, 'unknown (128 printed)')
    assert.equal(words('GPT-3-13B').kvHeads, 'unknown')
    assert.match(unpublished('gpt-3')!, /never published/)
    assert.equal(unpublished('gpt2'), undefined)
  })

  test('gpt-oss: even layers slide, sinks and biases everywhere, clamped gate, MXFP4 experts', () => {
    const { layers, dtype, expertDtype, tieWordEmbeddings } = read(fixture('tiny-gpt-oss'))
    assert.deepEqual(layers.map(windowOf), [16, null, 16, null])
    assert.ok(layers.every(({ attention }) => attention.kind === 'multiHead' && attention.sinks && attention.qkvBias && attention.outBias))
    assert.deepEqual(layers[0]!.feedForward, {
      kind: 'moe',
      experts: 8,
      expertsPerToken: 4,
      intermediateSize: 96,
      activation: { kind: 'clampedSwiglu', alpha: 1.702, limit: 7 },
      bias: true,
      router: { kind: 'topkSoftmax', bias: true, auxLossCoef: 0.9 },
    })
    assert.deepEqual({ dtype, expertDtype, tieWordEmbeddings }, { dtype: 'bf16', expertDtype: 'mxfp4', tieWordEmbeddings: false })
    assert.deepEqual(layers[1]!.attention.position, {
      kind: 'rope',
      ropeTheta: 150000,
      rotaryDim: 16,
      pairing: 'halves',
      scaling: {
        kind: 'yarn',
        factor: 32,
        originalMaxPositionEmbeddings: 4096,
        betaFast: 32,
        betaSlow: 1,
        truncate: false,
        attentionFactor: null,
      },
    })
  })

  test("OpenAI's own gpt-oss file says the same as the Hugging Face one", () => {
    const original = {
      num_hidden_layers: 24,
      num_experts: 32,
      experts_per_token: 4,
      vocab_size: 201088,
      hidden_size: 2880,
      intermediate_size: 2880,
      head_dim: 64,
      num_attention_heads: 64,
      num_key_value_heads: 8,
      sliding_window: 128,
      initial_context_length: 4096,
      rope_theta: 150000,
      rope_scaling_factor: 32,
      rope_ntk_alpha: 1,
      rope_ntk_beta: 32,
    }
    const expected = preset('gpt-oss-20b')!
    const { tensorLayout, ...rest } = configFromJson(original, 'original/config.json')
    assert.equal(tensorLayout, 'gpt_oss_original')
    assert.deepEqual({ ...rest, name: expected.name, eosTokenIds: expected.eosTokenIds }, expected)
    assert.deepEqual(configFromJson({ ...original, swiglu_limit: 7 }, 'original/config.json').layers, rest.layers)
  })

  test('Gemma 3: five sliding layers of six with a rotation of their own', () => {
    const architecture = read(fixture('tiny-gemma3'))
    const { layers, embedding, tieWordEmbeddings } = architecture
    assert.deepEqual(layers.map(windowOf), [12, 12, 12, 12, 12, null, 12])
    assert.deepEqual(
      layers.map(({ attention }) => attention.position.kind === 'rope' && attention.position.ropeTheta),
      [10000, 10000, 10000, 10000, 10000, 1000000, 10000],
    )
    assert.equal(layers[0]!.placement, 'sandwich')
    assert.deepEqual(multiHeadOf(architecture).qkNorm, { kind: 'perHead', eps: 1e-6, unitOffset: true })
    assert.equal(multiHeadOf(architecture).scale, 32 ** -0.5)
    assert.equal(embedding.scale, 8)
    assert.ok(tieWordEmbeddings)
  })

  test('the embedding factor of Gemma is rounded to the dtype of the weights', () => {
    const factor = (name: string, dtype: DType) => embeddingScale({ ...preset(name)!, dtype })
    assert.equal(factor('Gemma-2B', 'bf16'), 45.25) // sqrt(2048) = 45.2548…
    assert.equal(factor('Gemma-7B', 'bf16'), 55.5) // sqrt(3072) = 55.4256…
    assert.equal(factor('Gemma-2B', 'f16'), 45.25)
    assert.equal(factor('Gemma-7B', 'f16'), 55.4375)
    assert.equal(factor('Gemma-7B', 'f32'), Math.fround(Math.sqrt(3072)))
  })

  test('OLMo 2 norms after its branches and over the full width', () => {
    const architecture = read(fixture('tiny-olmo2'))
    assert.equal(architecture.layers[0]!.placement, 'post')
    assert.equal(multiHeadOf(architecture).qkNorm.kind, 'fullWidth')
  })

  test('Qwen3 MoE: dense layers by list and by step, router over all experts', () => {
    const json = fixture('tiny-qwen3-moe')
    const kinds = (changes: object) =>
      read({ ...json, ...changes }).layers.map(({ feedForward }) => `${feedForward.kind} ${feedForward.intermediateSize}`)
    assert.deepEqual(kinds({}), ['moe 32', 'moe 32', 'moe 32'])
    assert.deepEqual(kinds({ mlp_only_layers: [1] }), ['moe 32', 'gated 128', 'moe 32'])
    assert.deepEqual(kinds({ decoder_sparse_step: 2 }), ['gated 128', 'moe 32', 'gated 128'])
    const slot = read(json).layers[0]!.feedForward
    assert.ok(slot.kind === 'moe' && slot.router.kind === 'softmaxTopk' && slot.router.normalize && !slot.router.bias)
  })

  test('Mistral: a missing window is that of the first release, null is none', () => {
    const json = fixture('tiny-mistral')
    const window = (changed: object) => windowOf(read(changed).layers[0]!)
    assert.equal(window(json), 12)
    assert.equal(window(without(json, 'sliding_window')), 4096)
    assert.equal(window({ ...json, sliding_window: null }), null)
  })

  test('Qwen3 with a window from a layer on', () => {
    const { layers } = read({ ...fixture('tiny-qwen3'), use_sliding_window: true, sliding_window: 64, max_window_layers: 2 })
    assert.deepEqual(layers.map(windowOf), [null, null, 64])
  })
})

describe('spellings', () => {
  test('dtype and torch_dtype, rope_parameters and rope_scaling, type and rope_type', () => {
    const json = fixture('tiny-llama')
    const old = read(json)
    const { rope_theta, rope_scaling } = json
    const rest = without(json, 'rope_theta', 'rope_scaling', 'torch_dtype')
    assert.deepEqual(read({ ...rest, dtype: 'bfloat16', rope_parameters: { rope_theta, ...(rope_scaling as object) } }), old)
    const { rope_type, ...scaling } = rope_scaling as Record<string, unknown>
    assert.deepEqual(read({ ...json, rope_scaling: { ...scaling, type: rope_type } }), old)
    assert.deepEqual(read({ ...json, rope_scaling: { rope_type: 'default' } }), read(without(json, 'rope_scaling')))
  })

  test('layer_types and patterns say the same', () => {
    const gemma2 = fixture('tiny-gemma2')
    const types = ['sliding_attention', 'full_attention', 'sliding_attention', 'full_attention']
    assert.deepEqual(read({ ...gemma2, layer_types: types }), read(gemma2))
    assert.deepEqual(read(without(fixture('tiny-gpt-oss'), 'layer_types')), read(fixture('tiny-gpt-oss')))
    const gemma3 = fixture('tiny-gemma3')
    const seven = Array.from({ length: 7 }, (_, index) => (index === 5 ? 'full_attention' : 'sliding_attention'))
    const byType = {
      full_attention: { rope_type: 'default', rope_theta: 1000000 },
      sliding_attention: { rope_type: 'default', rope_theta: 10000 },
    }
    const newer = {
      ...without(gemma3, 'sliding_window_pattern', 'rope_theta', 'rope_local_base_freq', 'rope_scaling'),
      layer_types: seven,
      rope_parameters: byType,
    }
    assert.deepEqual(read(newer), read(gemma3))
  })

  test('YaRN on Qwen3 as its documentation switches it on', () => {
    const { config } = findPreset('Qwen3-8B')!
    const yarn = { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 32768 }
    const { position } = read({ ...config, rope_scaling: yarn, max_position_embeddings: 131072 }).layers[0]!.attention
    assert.deepEqual(position, {
      kind: 'rope',
      ropeTheta: 1000000,
      rotaryDim: 128,
      pairing: 'halves',
      scaling: {
        kind: 'yarn',
        factor: 4,
        originalMaxPositionEmbeddings: 32768,
        betaFast: 32,
        betaSlow: 1,
        truncate: true,
        attentionFactor: null,
      },
    })
  })

  test('end tokens: one id, several, none', () => {
    assert.deepEqual(read(fixture('tiny-gemma3')).eosTokenIds, [1, 106])
    assert.deepEqual(read(fixture('tiny-gpt2')).eosTokenIds, [511])
    assert.deepEqual(read(without(fixture('tiny-gpt2'), 'eos_token_id')).eosTokenIds, [])
  })

  test('GPT-2: the inner width and the tie are defaults', () => {
    const json = fixture('tiny-gpt2')
    const architecture = read(json)
    assert.equal(architecture.layers[0]!.feedForward.intermediateSize, 192)
    assert.equal(read({ ...json, n_inner: 100 }).layers[0]!.feedForward.intermediateSize, 100)
    assert.equal(architecture.tieWordEmbeddings, true)
    assert.equal(architecture.dtype, 'f32')
    assert.deepEqual(architecture.dropout, { embedding: 0.1, attention: 0.1, residual: 0.1 })
  })
})

describe('complaints name the file, the field, what was expected and what came', () => {
  const llama = fixture('tiny-llama')
  const gptOss = fixture('tiny-gpt-oss')
  test('not an object', () => {
    complains([], 'config.json: (whole file): expected a JSON object, got an array of 0')
    complains(null, 'config.json: (whole file): expected a JSON object, got null')
    complains('x', 'config.json: (whole file): expected a JSON object, got "x"')
  })
  test('unknown and missing model types', () => {
    complains({ model_type: 'bert' }, `config.json: model_type: expected one of ${modelTypes.join(', ')}, got "bert"`)
    complains({}, /^config\.json: model_type: missing; expected one of gpt2, /)
    complains({ model_type: 'constructor' }, /got "constructor"$/)
    complains({ model_type: 7 }, /got 7$/)
  })
  test('sizes', () => {
    complains({ ...llama, hidden_size: 64.5 }, 'config.json: hidden_size: expected a positive integer up to 67108864, got 64.5')
    complains({ ...llama, hidden_size: '64' }, 'config.json: hidden_size: expected a positive integer up to 67108864, got "64"')
    complains({ ...llama, hidden_size: Number.NaN }, /^config\.json: hidden_size: expected a positive integer/)
    complains({ ...llama, vocab_size: 0 }, /^config\.json: vocab_size: expected a positive integer up to 67108864, got 0$/)
    complains({ ...llama, vocab_size: 1e300 }, /^config\.json: vocab_size: /)
    complains(
      { ...llama, num_hidden_layers: 1e9 },
      'config.json: num_hidden_layers: expected a positive integer up to 4096, got 1000000000',
    )
    complains(without(llama, 'intermediate_size'), 'config.json: intermediate_size: missing; expected a positive integer up to 67108864')
    complains({ ...llama, rms_norm_eps: -1 }, 'config.json: rms_norm_eps: expected a number above 0, got -1')
    complains({ ...llama, tie_word_embeddings: 'yes' }, 'config.json: tie_word_embeddings: expected true or false, got "yes"')
  })
  test('contradictions', () => {
    complains(
      { ...llama, num_key_value_heads: 3 },
      'config.json: num_key_value_heads: expected a divisor of num_attention_heads (4), got 3',
    )
    complains(
      { ...without(llama, 'head_dim'), num_attention_heads: 3, num_key_value_heads: 3 },
      /num_attention_heads: expected a divisor of hidden_size \(64\)/,
    )
    complains({ ...llama, head_dim: 15 }, 'config.json: head_dim: expected an even number (rotation works on pairs), got 15')
    complains({ ...gptOss, experts_per_token: 2 }, 'config.json: experts_per_token: contradicts num_experts_per_tok: 2 against 4')
    complains({ ...gptOss, num_experts_per_tok: 9, experts_per_token: 9 }, /expected at most the number of experts \(8\), got 9$/)
    complains({ ...gptOss, layer_types: ['full_attention'] }, 'config.json: layer_types: expected 4 entries (one per layer), got 1')
    complains(
      { ...gptOss, layer_types: ['full_attention', 'linear', 'full_attention', 'full_attention'] },
      /^config\.json: layer_types\[1\]: .*got "linear"$/,
    )
    complains({ ...gptOss, intermediate_size: 100 }, 'config.json: intermediate_size: expected a multiple of 32 (MXFP4 blocks), got 100')
    complains({ ...llama, dtype: 'float32' }, 'config.json: torch_dtype: contradicts dtype: "bfloat16" against "float32"')
  })
  test('unsupported mathematics', () => {
    complains(
      { ...llama, rope_scaling: { rope_type: 'dynamic' } },
      'config.json: rope_scaling.rope_type: expected "default" or "linear" or "yarn" or "llama3" or "longrope" or "su", got "dynamic"',
    )
    const phi = fixture('tiny-phi4-mini')
    const longrope = (changes: object) => ({ ...phi, rope_scaling: { ...(phi.rope_scaling as object), ...changes } })
    complains(
      longrope({ long_factor: [1, 2] }),
      /^config\.json: rope_scaling\.long_factor: expected 6 numbers above 0, one per rotated pair, got /,
    )
    complains(longrope({ short_factor: [1, 2, 3, 4, 5, 0] }), /^config\.json: rope_scaling\.short_factor: expected 6 numbers above 0/)
    complains(
      { ...fixture('tiny-smollm3'), no_rope_layers: [1, 0] },
      'config.json: no_rope_layers: expected 4 entries (one per layer), got 2',
    )
    complains(
      { ...fixture('tiny-smollm3'), no_rope_layers: [1, 0, 2, 1] },
      'config.json: no_rope_layers[2]: expected 1 (rotates) or 0, got 2',
    )
    complains({ ...fixture('tiny-gemma3-wrapped'), text_config: null }, 'config.json: text_config: missing; expected an object')
    complains(
      { ...fixture('tiny-mistral3'), text_config: { model_type: 'ministral3' } },
      /^config\.json: text_config\.model_type: expected .*, got "ministral3"/,
    )
    complains({ ...llama, rope_scaling: { rope_type: 'yarn' } }, 'config.json: rope_scaling.factor: missing; expected a number above 0')
    complains({ ...llama, hidden_act: 'relu' }, 'config.json: hidden_act: expected "silu", got "relu"; the gate of this model type is SiLU')
    complains({ ...llama, quantization_config: { quant_method: 'hqq' } }, /^config\.json: quantization_config\.quant_method: .*got "hqq"/)
    complains(
      { ...gptOss, quantization_config: { quant_method: 'fp8' } },
      'config.json: quantization_config.quant_method: expected "mxfp4", got "fp8"',
    )
    complains(
      { ...fixture('tiny-gpt2'), scale_attn_by_inverse_layer_idx: true },
      /scale_attn_by_inverse_layer_idx: expected false or nothing, got true/,
    )
    complains(
      { ...llama, partial_rotary_factor: 1.5 },
      /^config\.json: partial_rotary_factor: expected an even part of a head of \d+ .*got \d+ values/,
    )
  })
})

test('a rotation of a part of each head is read and written back', () => {
  const architecture = read({ ...fixture('tiny-llama'), partial_rotary_factor: 0.5 })
  const { position, headDim } = multiHeadOf(architecture)
  assert.ok(position.kind === 'rope' && position.rotaryDim === headDim / 2)
  assert.deepEqual(read(toConfigJson(architecture)), architecture)
})

test('hostile values in any field: an architecture of finite sizes or a ConfigError, nothing else', () => {
  const hostile = [
    undefined,
    null,
    -1,
    0,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    1e308,
    'x',
    '',
    [],
    [[]],
    {},
    { a: 1 },
    true,
    false,
    [-1],
    ['sliding_attention'],
  ]
  let refused = 0
  let accepted = 0
  const attempt = (json: unknown) => {
    let architecture: ReturnType<typeof configFromJson>
    try {
      architecture = configFromJson(json, 'config.json')
    } catch (error) {
      assert.equal((error as Error).name, 'ConfigError', String((error as Error).stack))
      assert.match((error as Error).message, /^config\.json: [^\n]+$/)
      refused++
      return
    }
    accepted++
    for (const { shape } of leaves(weightSpecs(architecture))) assert.ok(shape.every((n) => Number.isSafeInteger(n) && n > 0))
    for (const { attention } of architecture.layers) {
      assert.ok(attention.kind === 'stateSpace' || (Number.isFinite(attention.scale) && attention.scale > 0))
      assert.ok(attention.position.kind === 'none' || Number.isFinite(attention.position.ropeTheta))
    }
  }
  for (const name of readdirSync(checkpoints)) {
    const json = fixture(name)
    for (const [key, value] of Object.entries(json)) {
      for (const wrong of hostile) attempt({ ...json, [key]: wrong })
      attempt(without(json, key))
      if (typeof value !== 'object' || value === null || Array.isArray(value)) continue
      for (const inner of Object.keys(value)) for (const wrong of hostile) attempt({ ...json, [key]: { ...value, [inner]: wrong } })
    }
  }
  assert.ok(refused > 1000 && accepted > 1000, `${refused} refused, ${accepted} accepted`)
})
