/** What metadata say, and what holds where they leave a key out or spell it in another way: what llama.cpp and Ollama take then. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configFromJson } from '../../../src/architecture/config-json.ts'
import { configFromMetadata } from '../../../src/checkpoint/gguf/config.ts'
import { ggufFolder } from '../../../src/checkpoint/gguf/folder.ts'
import type { GgufValue } from '../../../src/checkpoint/gguf/header.ts'
import { openModel, readArchitecture } from '../../../src/checkpoint/load.ts'
import type { TensorEntry } from '../../../src/checkpoint/safetensors.ts'
import { bytesSource, type Folder } from '../../../src/checkpoint/source.ts'

const SIZES = { block_count: 6, context_length: 32768, embedding_length: 96, feed_forward_length: 64, 'attention.head_count': 4 }

/** The architecture that such metadata describe; keys without the name of the architecture. */
function architectureOf(name: string, values: Readonly<Record<string, GgufValue>>) {
  const keys = Object.entries({ ...SIZES, ...values }).map(([key, value]): [string, GgufValue] => [`${name}.${key}`, value])
  const metadata = new Map<string, GgufValue>([['general.architecture', name], ...keys])
  const embedding: TensorEntry = {
    name: 'token_embd.weight',
    dtype: 'F16',
    shape: [64, 96],
    offset: 0,
    byteLength: 64 * 96 * 2,
    source: bytesSource(new Uint8Array(0), 'm.gguf'),
  }
  return configFromJson(configFromMetadata('m.gguf', { metadata, tensors: new Map([[embedding.name, embedding]]) }, {}), 'm.gguf')
}

/** The base of the rotation of layers with and without a window. */
function bases(values: Readonly<Record<string, GgufValue>>): { local: Set<number>; full: Set<number> } {
  const gemma = { 'attention.sliding_window': 512, 'attention.layer_norm_rms_epsilon': 1e-6, ...values }
  const found = { local: new Set<number>(), full: new Set<number>() }
  for (const { attention } of architectureOf('gemma3', gemma).layers) {
    assert.ok(attention.kind === 'multiHead' && attention.position.kind === 'rope')
    found[attention.slidingWindow === null ? 'full' : 'local'].add(attention.position.ropeTheta)
  }
  return found
}

test('Gemma 3: the two bases of the rotation, in the names of llama.cpp and of Ollama, and without any', () => {
  const cases: [Record<string, number>, local: number, full: number][] = [
    [{}, 1e4, 1e6],
    [{ 'rope.freq_base': 5e5 }, 1e4, 5e5],
    [{ 'rope.freq_base': 5e5, 'rope.freq_base_swa': 2e4 }, 2e4, 5e5],
    [{ 'rope.global.freq_base': 7e5, 'rope.local.freq_base': 3e4 }, 3e4, 7e5],
    [{ 'rope.freq_base': 5e5, 'rope.global.freq_base': 7e5 }, 1e4, 5e5],
  ]
  for (const [values, local, full] of cases)
    assert.deepEqual(bases(values), { local: new Set([local]), full: new Set([full]) }, JSON.stringify(values))
})

test('a factor of the rotation without a type is linear', () => {
  const cases: [Record<string, GgufValue>, object][] = [
    [{}, { kind: 'none' }],
    [{ 'rope.scaling.factor': 4 }, { kind: 'linear', factor: 4 }],
    [{ 'rope.scale_linear': 4 }, { kind: 'linear', factor: 4 }],
    [{ 'rope.scaling.factor': 0 }, { kind: 'none' }],
    [{ 'rope.scaling.factor': 1 }, { kind: 'none' }],
    [{ 'rope.scaling.type': 'none', 'rope.scaling.factor': 4 }, { kind: 'none' }],
    [
      { 'rope.scaling.type': 'linear', 'rope.scaling.factor': 4 },
      { kind: 'linear', factor: 4 },
    ],
  ]
  for (const [values, scaling] of cases) {
    const { attention } = architectureOf('llama', { 'attention.layer_norm_rms_epsilon': 1e-5, ...values }).layers[0]!
    assert.ok(attention.kind === 'multiHead' && attention.position.kind === 'rope')
    assert.deepEqual(attention.position.scaling, scaling, JSON.stringify(values))
  }
})

test('a key that the family has a default for may be absent, for every reader alike', async () => {
  const bytes = readFileSync(join(import.meta.dirname, '../../fixtures/gguf/tiny-gemma3.gguf'))
  bytes.write('X', bytes.indexOf('attention.layer_norm_rms_epsilon'))
  const folder: Folder = {
    name: 'memory',
    list: async () => ['m.gguf'],
    open: async (name) => (name === 'm.gguf' ? bytesSource(bytes, name) : undefined),
  }
  const model = await openModel(ggufFolder(folder, 'm.gguf'))
  assert.deepEqual(model.architecture.finalNorm, { kind: 'rmsNorm', eps: 1e-6, unitOffset: true })
  assert.deepEqual((await readArchitecture(ggufFolder(folder, 'm.gguf'))).layers, model.architecture.layers)
})
