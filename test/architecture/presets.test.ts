/** Every published size: the counts of the weight tree against counts made elsewhere, exactly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findPreset, nearestNames, preset, presetNames, presets } from '../../src/architecture/presets.ts'

test('names and ids are unique, found in any case, and say where the numbers were published', () => {
  const all = presets.flatMap(({ name, repositories }) => [name, ...repositories.filter((id) => id.toLowerCase() !== name.toLowerCase())])
  assert.equal(new Set(all.map((name) => name.toLowerCase())).size, all.length)
  for (const { name, source } of presets) assert.match(source, /\b(19|20)\d\d\b/, name)
  assert.equal(preset('QWEN/qwen3-30b-a3b')!.name, 'Qwen3-30B-A3B')
  assert.equal(preset('openai/gpt-oss-20b')!.name, 'gpt-oss-20b')
  assert.equal(preset('gpt-5'), undefined)
  assert.equal(preset('toString'), undefined)
  assert.deepEqual(presetNames().slice(0, 6), ['gpt2', 'gpt2-medium', 'gpt2-large', 'gpt2-xl', 'gpt-oss-20b', 'gpt-oss-120b'])
})

test('a mistyped name gives the closest names', () => {
  assert.equal(nearestNames('gpt-oss-20')[0], 'gpt-oss-20b')
  assert.equal(nearestNames('gpt2-XLL')[0], 'gpt2-xl')
  assert.equal(nearestNames('qwen/qwen3-0.6')[0], 'Qwen3-0.6B')
  assert.equal(nearestNames('abaccus', 3, ['abacus'])[0], 'abacus')
})

test('later revisions change what they published and nothing else', () => {
  const [base, revised] = [preset('Qwen3-30B-A3B')!, preset('Qwen/Qwen3-30B-A3B-Instruct-2507')!]
  assert.equal(revised.maxPositionEmbeddings, 262144)
  assert.ok(revised.layers.every(({ attention }) => attention.position.kind === 'rope' && attention.position.ropeTheta === 10000000))
  const neutral = (a: typeof base) => ({
    ...a,
    name: '',
    maxPositionEmbeddings: 0,
    layers: a.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, position: null } })),
  })
  assert.deepEqual(neutral(revised), neutral(base))
  assert.deepEqual(preset('Qwen3-4B-Base')!.eosTokenIds, [151643])
  assert.equal(findPreset('Qwen3-4B-Thinking-2507')!.config.rope_theta, 5000000)
})
