/** Differences of architectures in words. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preset, presetNames } from '../../src/architecture/presets.ts'
import { describe, difference, GROUPS } from '../../src/compare/difference.ts'

const between = (...names: string[]) => difference(names.map((name) => preset(name)!)).map(({ key, values }) => [key, ...values])

test('gpt-oss-20b and 120b differ in layers and experts only', () => {
  assert.deepEqual(between('gpt-oss-20b', 'gpt-oss-120b'), [
    ['layers', '24', '36'],
    ['experts', '32', '128'],
  ])
})

test('gpt-oss-20b and Qwen3-30B-A3B, field by field', () => {
  assert.deepEqual(between('gpt-oss-20b', 'Qwen3-30B-A3B'), [
    ['layers', '24', '48'],
    ['hiddenSize', '2,880', '2,048'],
    ['vocabSize', '201,088', '151,936'],
    ['maxPositionEmbeddings', '131,072', '40,960'],
    ['position', 'RoPE θ 150,000, YaRN × 32 from 4,096', 'RoPE θ 1,000,000'],
    ['norm', 'RMSNorm, eps 1e-5', 'RMSNorm, eps 1e-6'],
    ['heads', '64', '32'],
    ['kvHeads', '8', '4'],
    ['headDim', '64', '128'],
    ['slidingWindow', '128 and full, 1 : 1', '–'],
    ['qkNorm', '–', 'per head'],
    ['sinks', 'one per head', '–'],
    ['attentionBias', 'q, k, v, o', '–'],
    ['activation', 'SwiGLU clamped at 7', 'SwiGLU'],
    ['intermediateSize', '2,880', '768'],
    ['feedForwardBias', 'all', '–'],
    ['experts', '32', '128'],
    ['expertsPerToken', '4', '8'],
    ['router', 'top k, then softmax; bias', 'softmax, then top k, normalised'],
    ['expertDtype', 'MXFP4', 'BF16'],
  ])
})

test('a model does not differ from itself; three are compared at once', () => {
  assert.deepEqual(between('Gemma-3-1B', 'Gemma-3-1B'), [])
  assert.deepEqual(between('Llama-3-8B', 'Llama-3-8B', 'Llama-3.1-8B'), [
    ['maxPositionEmbeddings', '8,192', '8,192', '131,072'],
    ['position', 'RoPE θ 500,000', 'RoPE θ 500,000', 'RoPE θ 500,000, smoothed × 8 from 8,192'],
  ])
})

test('layers that repeat a pattern are described by it, whatever their number', () => {
  const say = (name: string, key: string) => describe(preset(name)!).find((feature) => feature.key === key)!.value
  assert.equal(say('Gemma-3-1B', 'slidingWindow'), '512 and full, 5 : 1')
  assert.equal(say('Gemma-3-1B', 'position'), '5 × RoPE θ 10,000, RoPE θ 1,000,000')
  assert.equal(say('Mistral-7B-v0.1', 'slidingWindow'), '4,096 in every layer')
  assert.equal(say('Gemma-2-27B', 'scale'), '1/√144')
  assert.equal(say('Jamba-v0.1', 'stateSpace'), '4 × state space, attention, 3 × state space')
  assert.equal(say('Jamba-v0.1', 'heads'), '32')
  assert.equal(say('Jamba-v0.1', 'experts'), '16')
  assert.equal(say('Mamba-130M', 'stateSpace'), 'in every layer')
  assert.equal(say('Mamba-130M', 'normPlacement'), 'before the one branch')
  for (const key of ['heads', 'slidingWindow', 'position', 'intermediateSize']) assert.equal(say('Mamba-130M', key), '–', key)
})

test('every model has every feature in the same order', () => {
  const keys = describe(preset('gpt2')!).map(({ key }) => key)
  for (const name of presetNames()) {
    const features = describe(preset(name)!)
    assert.deepEqual(
      features.map(({ key }) => key),
      keys,
      name,
    )
    assert.ok(
      features.every(({ value, group }) => value !== '' && GROUPS.includes(group)),
      name,
    )
  }
})
