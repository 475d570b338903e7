import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { preset, presetNames } from '../../src/architecture/presets.ts'
import { toConfigJson, UnwritableArchitectureError } from '../../src/architecture/to-config-json.ts'

const fixtures = join(import.meta.dirname, '../fixtures/checkpoints')
const reread = (value: unknown) => configFromJson(JSON.parse(JSON.stringify(value)), 'config.json')

describe('a written config.json is read back as the same architecture', () => {
  for (const name of presetNames()) {
    test(name, () => {
      const architecture = preset(name)!
      assert.deepEqual(reread(toConfigJson(architecture)), architecture)
    })
  }
  for (const name of readdirSync(fixtures)) {
    test(name, () => {
      const architecture = configFromJson(JSON.parse(readFileSync(join(fixtures, name, 'config.json'), 'utf8')), name)
      assert.deepEqual(reread(toConfigJson(architecture)), architecture)
    })
  }
})

test('the published keys of gpt-oss are all there with the published values', () => {
  const published = JSON.parse(readFileSync(join(fixtures, 'tiny-gpt-oss/config.json'), 'utf8'))
  const written: Record<string, unknown> = toConfigJson(configFromJson(published, 'config.json'))
  const without = new Set(['pad_token_id', 'transformers_version']) // not part of what a model is
  for (const [key, value] of Object.entries(published)) if (!without.has(key)) assert.deepEqual(written[key], value, key)
})

test("OpenAI's own layout keeps its own file", () => {
  const original = { ...preset('gpt-oss-20b')!, tensorLayout: 'gpt_oss_original', eosTokenIds: [], name: 'gpt_oss' }
  const written = toConfigJson(original)
  assert.equal(written.rope_ntk_beta, 32)
  assert.equal(reread(written).tensorLayout, 'gpt_oss_original')
})

test('fewer layers, other dtypes and windows are written', () => {
  for (const name of ['gpt-oss-120b', 'Qwen3-30B-A3B', 'Gemma-3-1B', 'Mistral-7B-v0.1', 'gpt2']) {
    const architecture = preset(name)!
    const short = { ...architecture, layers: architecture.layers.slice(0, 3) }
    assert.deepEqual(reread(toConfigJson(short)), short)
  }
  const oss = { ...preset('gpt-oss-20b')!, expertDtype: 'bf16' as const }
  assert.deepEqual(reread(toConfigJson(oss)), oss)
})

test('an architecture that the model type cannot express is refused with the field', () => {
  const llama = preset('Llama-3-8B')!
  const sinks = { ...llama, layers: llama.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, sinks: true } })) }
  assert.throws(
    () => toConfigJson(sinks),
    (error: Error) => {
      assert.ok(error instanceof UnwritableArchitectureError)
      assert.match(error.message, /Llama-3-8B.*"llama" cannot say layers\.0\.attention\.sinks: true/)
      return true
    },
  )
  const gpt2 = preset('gpt2')!
  const rms = { ...gpt2, finalNorm: { kind: 'rmsNorm' as const, eps: 1e-5, unitOffset: false } }
  assert.throws(() => toConfigJson(rms), /finalNorm/)
  assert.throws(() => toConfigJson({ ...gpt2, modelType: 'rwkv' }), /no config\.json is known/)
})
