/** Packing dense matrices into 4 and 8 bits: codes, scales and errors, models that load and run, and what is refused. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { packBlocks } from '../../src/checkpoint/pack-blocks.ts'
import { relativeError } from '../../src/checkpoint/quantize.ts'
import { quantizeModel } from '../../src/checkpoint/quantize-node.ts'
import { forward } from '../../src/model/transformer.ts'
import { decodeBlocks } from '../../src/ops/block-formats.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { normals, random } from '../../src/random/stream.ts'
import { loadCheckpoint } from './load-directory.ts'
import { fixtures, rawTensors } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-pack-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const FORMATS = [
  ['q4_0', 'q4_0'],
  ['q8_0', 'q8_0'],
  ['mxfp4', 'mxfp4_gguf'],
] as const

describe('blocks', () => {
  const next = normals(random(3))
  const values = Float32Array.from({ length: 32 * 500 }, (_, i) => next() * 10 ** (((i >> 5) % 7) - 3))
  for (const [format, dtype] of FORMATS)
    test(`${format}: the error is that of the decoded blocks`, () => {
      const { blocks, error } = packBlocks(values, format)
      const decoded = decodeBlocks(dtype, blocks)
      let [squaredError, largestError] = [0, 0]
      for (const [i, value] of values.entries()) {
        squaredError += (value - decoded[i]!) ** 2
        largestError = Math.max(largestError, Math.abs(value - decoded[i]!))
      }
      assert.equal(error.count, values.length)
      assert.ok(Math.abs(error.squaredError / squaredError - 1) < 1e-6 && Math.abs(error.largestError / largestError - 1) < 1e-6)
      // Normal numbers, blocks of 32: what 4 and 8 bits can do.
      const [least, most] = { q4_0: [0.07, 0.085], q8_0: [0.003, 0.006], mxfp4: [0.1, 0.125] }[format] as [number, number]
      assert.ok(relativeError(error) > least && relativeError(error) < most, `relative error ${relativeError(error)}`)
    })

  test('q4_0: the search beats the rule that the value with the largest magnitude becomes -8', () => {
    let rule = 0
    for (let block = 0; block < values.length; block += 32) {
      const x = values.subarray(block, block + 32)
      const scale = Math.f16round(x.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0) / -8)
      for (const value of x) rule += (value - scale * Math.max(-8, Math.min(7, Math.round(value / scale)))) ** 2
    }
    const ratio = packBlocks(values, 'q4_0').error.squaredError / rule
    assert.ok(ratio < 0.9, `squared errors are ${ratio} of those of the rule`)
  })

  test('numbers of the format stay as they are', () => {
    for (const [format, dtype] of FORMATS) {
      const exact = decodeBlocks(dtype, packBlocks(values.subarray(0, 320), format).blocks)
      assert.deepEqual(decodeBlocks(dtype, packBlocks(exact, format).blocks), exact, format)
      const zeros = decodeBlocks(dtype, packBlocks(new Float32Array(32), format).blocks)
      assert.ok(zeros.every((value) => value === 0))
    }
  })

  test('what cannot be packed is an error that says where', () => {
    const bad = Float32Array.from({ length: 64 }, (_, i) => (i === 40 ? Number.NaN : 1))
    for (const [format] of FORMATS) assert.throws(() => packBlocks(bad, format), /value 40 is NaN/)
    for (const format of ['q4_0', 'q8_0'] as const)
      assert.throws(() => packBlocks(new Float32Array(64).fill(1e9), format), /values 0 to 31 are too large for a 16-bit scale/)
    assert.throws(() => packBlocks(new Float32Array(31), 'q4_0'), /expected a multiple of 32 values, got 31/)
  })
})

describe('models', () => {
  const positions = Int32Array.from({ length: 8 }, (_, i) => i)
  const batch = { ids: Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6), slots: new Int32Array(8), positions }
  for (const [name, dense] of [
    ['tiny-qwen3', 'q4_0'],
    ['tiny-llama', 'mxfp4'],
    ['tiny-qwen3-moe', 'q4_0'],
    ['tiny-gpt-oss', 'q4_0'],
    ['tiny-pythia', 'q4_0'],
    ['tiny-phi4', 'mxfp4'],
  ] as const)
    test(`${name} with ${dense} matrices loads, and wasm agrees with the reference`, async () => {
      const out = join(temporary, `${name}-${dense}`)
      const { errors, bytesBefore, bytesAfter } = await quantizeModel(join(fixtures, name), out, { dense, shardBytes: 300_000 })
      assert.ok(bytesAfter < bytesBefore && errors.length > 0)
      const source = await rawTensors(join(fixtures, name))
      const packed = await rawTensors(out)
      for (const { name: tensor, error } of errors) {
        if (!source.has(tensor)) continue // stacked experts
        assert.ok(!packed.has(tensor) && relativeError(error) < 0.14, tensor)
      }
      for (const [tensor, { data }] of source)
        if (packed.has(tensor)) assert.ok(packed.get(tensor)!.data.equals(data), `${tensor} is unchanged`)
      assert.ok(![...packed.keys()].some((tensor) => /(router|mlp\.gate\.weight|norm|embed.*)_(q4_0|mxfp4)$/.test(tensor)))
      const logits: Float32Array[] = []
      for (const backend of [createReferenceBackend(), await createWasmBackend({ threads: 0 })]) {
        const { architecture, weights } = await loadCheckpoint(out, backend)
        logits.push(await backend.run(() => forward(backend, architecture, weights, batch)))
        await backend.dispose()
      }
      const [wanted, found] = logits
      const largest = wanted!.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      assert.ok(found!.every((value, i) => Math.abs(value - wanted![i]!) < 1e-3 * largest))
    })

  test('config.json says who packed the matrices', () => {
    const config = JSON.parse(readFileSync(join(temporary, 'tiny-qwen3-q4_0/config.json'), 'utf8'))
    assert.deepEqual(config.quantization_config, { quant_method: 'lineage', format: 'q4_0' })
  })

  test('what cannot be done is said before anything is written', async () => {
    const out = join(temporary, 'nothing')
    const complains = (name: string, options: Parameters<typeof quantizeModel>[2], message: RegExp) =>
      assert.rejects(quantizeModel(join(fixtures, name), out, options), message)
    await complains('tiny-qwen3', {}, /has no experts; give a format of its dense matrices \(--dense q4_0 or mxfp4\)/)
    await complains('tiny-qwen3', { experts: 'keep' }, /nothing to do/)
    await complains('tiny-gpt2', { dense: 'q4_0' }, /attention\.q is published transposed; matrices of this model type are not packed/)
    await assert.rejects(quantizeModel(join(temporary, 'tiny-qwen3-q4_0'), out, { dense: 'q4_0' }), /weights packed as blocks/)
  })
})
