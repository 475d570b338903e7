/** What is special about single families: files of transformers 5, multimodal files, stretched rotations, neighbours that cannot be read. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { configFromJson, modelTypes } from '../../src/architecture/config-json.ts'
import { findPreset, preset, presets } from '../../src/architecture/presets.ts'
import { multiHeadOf, windowOf } from '../../src/architecture/slots.ts'
import { account } from '../../src/compare/account.ts'
import type { Json } from '../../src/json/json.ts'
import { engineCacheSpec } from '../../src/model/cache-spec.ts'
import { rotations, shortContext } from '../../src/model/rope.ts'

const fixtures = new URL('../fixtures/', import.meta.url)
const json = (path: string) => JSON.parse(readFileSync(new URL(path, fixtures), 'utf8')) as Json
const names = readdirSync(new URL('checkpoints/', fixtures))
const published = (name: string) => json(`checkpoints/${name}/config.json`)
const read = (config: unknown) => configFromJson(config, 'config.json')
const rope = ({ layers }: Architecture, layer: number) => {
  const { position } = layers[layer]!.attention
  assert.ok(position.kind === 'rope')
  return position
}

describe('a config.json as transformers 5 writes it reads like the old one', () => {
  const written = json('configs-transformers-5.json') as Record<string, Json>
  test('of every fixture', () => assert.deepEqual(Object.keys(written).sort(), names))
  for (const name of names) {
    test(name, () => {
      const text = (written[name]!.text_config ?? written[name]!) as Json
      for (const old of ['rope_theta', 'rope_scaling', 'rope_local_base_freq', 'torch_dtype']) assert.ok(!(old in text), old)
      assert.deepEqual(read(written[name]), read(published(name)))
    })
  }
})

describe('multimodal files', () => {
  const wrapped = (text: object, outer: object = {}) => ({
    model_type: 'gemma3',
    text_config: { model_type: 'gemma3_text', ...text },
    vision_config: {},
    ...outer,
  })

  // The files of 4B, 12B and 27B say little more than this; transformers fills in the rest.
  for (const [name, text, total] of [
    ['Gemma-3-4B', { hidden_size: 2560, intermediate_size: 10240, num_hidden_layers: 34, sliding_window: 1024 }, 3_880_263_168],
    [
      'Gemma-3-12B',
      {
        hidden_size: 3840,
        intermediate_size: 15360,
        num_attention_heads: 16,
        num_hidden_layers: 48,
        num_key_value_heads: 8,
        sliding_window: 1024,
      },
      11_766_034_176,
    ],
    [
      'Gemma-3-27B',
      {
        head_dim: 128,
        hidden_size: 5376,
        intermediate_size: 21504,
        num_attention_heads: 32,
        num_hidden_layers: 62,
        num_key_value_heads: 16,
        query_pre_attn_scalar: 168,
        sliding_window: 1024,
      },
      27_009_346_304,
    ],
  ] as const) {
    test(`${name}: what the file leaves out is what transformers takes`, () => {
      const rope_scaling = { factor: 8, rope_type: 'linear' }
      const architecture = read(wrapped({ ...text, rope_scaling }, { torch_dtype: 'bfloat16', eos_token_id: [1, 106] }))
      const expected = preset(name)!
      assert.equal(account(architecture).parameters.total, total)
      assert.equal(account(expected).parameters.total, total)
      assert.deepEqual({ ...architecture, name, bosTokenId: 2 }, expected)
    })
  }

  test('fields of the whole file hold for the text part unless it has its own', () => {
    const file = published('tiny-mistral3')
    const text = file.text_config as Json
    const { tie_word_embeddings: _, torch_dtype: __, ...bare } = text
    assert.deepEqual(read({ ...file, text_config: bare }), read(file))
    assert.equal(read({ ...file, tie_word_embeddings: true, text_config: bare }).tieWordEmbeddings, true)
    assert.equal(read({ ...file, tie_word_embeddings: true }).tieWordEmbeddings, false)
    assert.equal(read({ ...file, torch_dtype: 'float32', text_config: bare }).dtype, 'f32')
    assert.equal(read({ ...file, torch_dtype: 'float32' }).dtype, 'bf16')
    assert.throws(() => read({ ...file, quantization_config: { quant_method: 'hqq' } }), /quantization_config\.quant_method/)
    assert.throws(
      () => read({ ...file, text_config: { ...text, hidden_size: 0 } }),
      /^ConfigError: config\.json: text_config\.hidden_size: expected a positive integer/,
    )
  })

  test('the text part alone has the same architecture', () => {
    for (const name of ['tiny-mistral3', 'tiny-qwen3-vl', 'tiny-gemma3-wrapped']) {
      const file = published(name)
      const alone = { ...(file.text_config as Json), eos_token_id: (file.text_config as Json).eos_token_id ?? file.eos_token_id }
      assert.deepEqual(read(alone), read(file), name)
    }
  })
})

describe('stretched rotations', () => {
  test('LongRoPE divides by the short factors up to the original context and by the long ones beyond it', () => {
    const architecture = read(published('tiny-phi4-mini'))
    const [short, long] = [4096, 4097].map((reach) => rotations(architecture, () => reach)[0]!)
    const plain = (pair: number) => 10000 ** (-pair / 6)
    for (const [pair, factors] of [
      [1, 1],
      [1.02, 1.5],
      [1.04, 3],
      [1.06, 8],
      [1.08, 20],
      [1.1, 40],
    ].entries()) {
      assert.ok(Math.abs(short!.inverseFrequencies[pair]! / (plain(pair) / factors[0]!) - 1) < 1e-12)
      assert.ok(Math.abs(long!.inverseFrequencies[pair]! / (plain(pair) / factors[1]!) - 1) < 1e-12)
    }
    assert.equal(short!.amplitude, Math.sqrt(1 + Math.log(32) / Math.log(4096)))
    assert.equal(long!.amplitude, short!.amplitude)
    assert.deepEqual([short!.headDim, short!.rotaryDim], [16, 12])
  })

  test('an engine keeps the short factors unless a longer context is asked for', () => {
    const phi = preset('Phi-4-mini')!
    assert.equal(shortContext(phi), 4096)
    assert.equal(engineCacheSpec(phi, {}).capacity, 4096)
    assert.equal(engineCacheSpec(phi, { context: 16384 }).capacity, 16384)
    assert.equal(shortContext(preset('Phi-4')!), Number.POSITIVE_INFINITY)
  })

  test('the spellings su and longrope, in rope_scaling or beside it, and attention_factor', () => {
    const file = published('tiny-phi4-mini')
    const scaling = file.rope_scaling as Json
    assert.deepEqual(read({ ...file, rope_scaling: { ...scaling, type: 'su' } }), read(file))
    const { original_max_position_embeddings, ...rest } = file
    assert.deepEqual(read({ ...rest, rope_scaling: { ...scaling, original_max_position_embeddings } }), read(file))
    const { scaling: own } = rope(read({ ...file, rope_scaling: { ...scaling, attention_factor: 1.5 } }), 0)
    assert.ok(own.kind === 'longrope' && own.attentionFactor === 1.5)
  })

  test("YaRN's attn_factor multiplies the factor on cos and sin: 1 in DeepSeek-R1-0528-Qwen3-8B", () => {
    const architecture = preset('deepseek-ai/DeepSeek-R1-0528-Qwen3-8B')!
    assert.ok(Math.abs(rotations(architecture, () => 1)[0]!.amplitude - 1) < 1e-12)
    const { config } = findPreset('DeepSeek-R1-0528-Qwen3-8B')!
    const amplitude = (changes: object) => {
      return rotations(
        read({ ...config, rope_scaling: { ...(config.rope_scaling as Json), attn_factor: undefined, ...changes } }),
        () => 1,
      )[0]!.amplitude
    }
    const plain = 0.1 * Math.log(4) + 1
    assert.equal(amplitude({}), plain)
    assert.equal(amplitude({ attn_factor: 2 }), 2 * plain)
    assert.equal(amplitude({ attention_factor: 1.25, attn_factor: 2 }), 1.25)
  })

  test('keys that would change the rotation and are not read are refused', () => {
    const file = published('tiny-llama')
    for (const key of ['alpha', 'llama_4_scaling_beta', 'long_mscale', 'short_mscale']) {
      const expected = new RegExp(`rope_scaling\\.${key}: expected false or nothing, got 0\\.1; it changes the rotation`)
      assert.throws(() => read({ ...file, rope_scaling: { ...(file.rope_scaling as Json), [key]: 0.1 } }), expected)
    }
  })

  test('OLMo 3 stretches the full layers only', () => {
    const architecture = preset('OLMo-3-7B')!
    const kinds = architecture.layers.map((layer, index) => `${windowOf(layer)} ${rope(architecture, index).scaling.kind}`)
    assert.deepEqual(kinds.slice(0, 4), ['4096 none', '4096 none', '4096 none', 'null yarn'])
    assert.deepEqual(kinds, Array.from({ length: 8 }, () => kinds.slice(0, 4)).flat())
  })
})

test('SmolLM3: by list or by interval, a 1 rotates', () => {
  const { no_rope_layers: _, ...file } = published('tiny-smollm3')
  const rotates = (changes: object) =>
    read({ ...file, ...changes }).layers.map(({ attention }) => (attention.position.kind === 'none' ? 0 : 1))
  assert.deepEqual(rotates({}), [1, 1, 1, 0])
  assert.deepEqual(rotates({ no_rope_layer_interval: 2 }), [1, 0, 1, 0])
  assert.deepEqual(rotates({ no_rope_layers: [0, 1, 0, 1] }), [0, 1, 0, 1])
})

test('Granite: four factors', () => {
  const architecture = preset('ibm-granite/granite-3.3-8b-instruct')!
  const { embedding, residualScale, logitDivisor } = architecture
  assert.deepEqual([embedding.scale, residualScale, logitDivisor, multiHeadOf(architecture).scale], [12, 0.22, 16, 1 / 128])
})

test('an early LLaMA file without a context has one of 2,048', () => {
  const { max_position_embeddings: _, ...file } = findPreset('Llama-1-7B')!.config as Json
  assert.deepEqual(read({ ...file, _name_or_path: 'Llama-1-7B' }), preset('Llama-1-7B'))
})

test('a model type that is not read names those of its family', () => {
  for (const [type, near] of [
    ['qwen2_moe', 'qwen2, qwen3, qwen3_vl_text, qwen3_moe, qwen3_vl'],
    ['gemma4', 'gemma, gemma2, gemma3_text, gemma3'],
    ['llama4_text', 'llama'],
    ['olmoe', 'olmo, olmo2, olmo3'],
    ['phi', 'phi3'],
    ['granitemoehybrid', 'granite'],
    ['smollm4', 'smollm3'],
  ] as const) {
    assert.throws(() => read({ model_type: type }), {
      message: `config.json: model_type: expected one of ${modelTypes.join(', ')}, got "${type}"; of its family these are read: ${near}`,
    })
  }
  for (const type of ['rwkv', 'bloom', 'gptj', 'dbrx'])
    assert.throws(() => read({ model_type: type }), {
      message: `config.json: model_type: expected one of ${modelTypes.join(', ')}, got "${type}"`,
    })
})

test('every preset can be read and says where its numbers come from', () => {
  for (const { name, config, source } of presets) {
    assert.ok(read(config).layers.length > 0, name)
    assert.match(source, /config\.json|Table/, name)
  }
})
