/**
 * A decoded token of a slice of DeepSeek-V3 (one dense layer, one mixture, smaller widths) reads the bytes that the meter counts: matrices,
 * chosen experts, and latents of the cache once per layer. Counted in the commands that the kernels get.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Architecture, Layer } from '../../../src/architecture/architecture.ts'
import { preset } from '../../../src/architecture/presets.ts'
import { account, cacheBytes, meterDecode } from '../../../src/compare/account.ts'
import { cacheSpec } from '../../../src/model/cache-spec.ts'
import { initialize } from '../../../src/model/initialize.ts'
import { forward } from '../../../src/model/transformer.ts'
import { attentionKernel } from '../../../src/ops/wasm/kernels/attention.ts'
import { denseKernel } from '../../../src/ops/wasm/kernels/dense.ts'
import { expertLinearKernel } from '../../../src/ops/wasm/kernels/moe.ts'
import { createWasmBackend } from '../../../src/ops/wasm/wasm.ts'

function slice(): Architecture {
  const base = preset('DeepSeek-V3')!
  const layers = [base.layers[0]!, base.layers[3]!].map((layer): Layer => {
    const { attention, feedForward } = layer
    assert.ok(attention.kind === 'latent' && feedForward.kind !== 'mlp')
    const moe = feedForward.kind === 'moe'
    const shared = moe ? { ...feedForward.shared!, intermediateSize: 96 } : undefined
    return {
      ...layer,
      attention: { ...attention, heads: 6, qLoraRank: 96, kvLoraRank: 128, qkNopeHeadDim: 32, qkRopeHeadDim: 64, vHeadDim: 32 },
      feedForward: moe
        ? { ...feedForward, experts: 16, expertsPerToken: 3, intermediateSize: 96, router: { ...feedForward.router }, shared }
        : { ...feedForward, intermediateSize: 320 },
    }
  })
  return { ...base, vocabSize: 300, hiddenSize: 128, dtype: 'f32', expertDtype: 'f32', layers }
}

test('a decoded token reads what the meter counts', async () => {
  const architecture = slice()
  const backend = await createWasmBackend({ threads: 0 })
  const weights = await initialize(architecture, backend, 5)
  const read = { matrices: 0, experts: 0, cache: 0 }
  const [dense, experts, attention] = [denseKernel.run, expertLinearKernel.run, attentionKernel.run]
  denseKernel.run = function (c, command) {
    read.matrices += 4 * command.rows * command.columns
    dense.call(this, c, command)
  }
  expertLinearKernel.run = function (c, command) {
    const starts = c.words.subarray(command.starts / 4, command.starts / 4 + command.experts + 1)
    for (let e = 0; e < command.experts; e++) if (starts[e + 1]! > starts[e]!) read.experts += 4 * command.rows * command.columns
    experts.call(this, c, command)
  }
  attentionKernel.run = function (c, command) {
    assert.equal(command.values, command.keys, 'values are read where the keys are')
    read.cache += 4 * command.visible * command.kvHeads * command.keyDim
    attention.call(this, c, command)
  }
  try {
    const context = 70
    const rows = (count: number, first: number) => ({
      ids: Int32Array.from({ length: count }, (_, t) => (first + t * 7) % 300),
      slots: new Int32Array(count),
      positions: Int32Array.from({ length: count }, (_, t) => first + t),
    })
    const cache = await backend.cache(cacheSpec(architecture, 1, context, context))
    await backend.run(() => forward(backend, architecture, weights, rows(context - 1, 0), { cache, logitRows: Int32Array.of(0) }))
    Object.assign(read, { matrices: 0, experts: 0, cache: 0 })
    await backend.run(() => forward(backend, architecture, weights, rows(1, context - 1), { cache, logitRows: Int32Array.of(0) }))
    const { readings } = meterDecode(architecture, context, 4)
    const bytes = (op: string, key: 'weightBytes' | 'cacheReadBytes') =>
      readings.filter((reading) => reading.op === op).reduce((sum, reading) => sum + reading[key], 0)
    // The meter counts the correction of the router with its matrix.
    assert.equal(read.matrices, bytes('linear', 'weightBytes') + bytes('route', 'weightBytes') - 4 * 16)
    assert.equal(read.experts, bytes('moe', 'weightBytes'))
    assert.equal(read.cache, bytes('attention', 'cacheReadBytes'))
    assert.equal(read.cache, 2 * context * (128 + 64) * 4)
    assert.equal(cache.bytes, 2 * context * (128 + 64) * 4)
  } finally {
    Object.assign(denseKernel, { run: dense })
    Object.assign(expertLinearKernel, { run: experts })
    Object.assign(attentionKernel, { run: attention })
    await backend.dispose()
  }
})

test("DeepSeek-V3's cache holds 576 values per layer and token", async () => {
  const architecture = preset('DeepSeek-V3')!
  assert.equal(account(architecture).kvCache.bytesPerTokenWithinWindow, 70_272)
  assert.equal(cacheBytes(architecture, 131_072), 9_210_691_584)
  const backend = await createWasmBackend({ threads: 0, precision: 'fast' })
  assert.equal(backend.cacheBytes(cacheSpec(architecture, 1, 131_072, 512)), 9_210_691_584)
  await backend.dispose()
})
