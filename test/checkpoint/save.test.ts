import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { decode, encode } from '../../src/checkpoint/encode.ts'
import { CheckpointError, WeightsMismatchError } from '../../src/checkpoint/errors.ts'
import { packMxfp4, relativeError } from '../../src/checkpoint/quantize.ts'
import { QuantizeError, quantizeModel } from '../../src/checkpoint/quantize-node.ts'
import { saveCheckpoint } from '../../src/checkpoint/save-node.ts'
import { forward } from '../../src/model/transformer.ts'
import type { WeightSpec } from '../../src/ops/backend.ts'
import { FP4_VALUES, packMxfp4Block } from '../../src/ops/dtype.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { loadCheckpoint } from './load-directory.ts'
import { type Held, memorySink } from './memory-sink.ts'
import { checkpointDirectory, dequantisedGptOss, fixtures, mxfp4Values, rawTensors, tensor } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-save-'))
after(() => rmSync(temporary, { recursive: true, force: true }))
const out = (name: string) => mkdtempSync(join(temporary, `${name}-`))

/** Published tensors that are no weights: masks and frequencies. */
const BUFFER = /\.(attn|attention)\.(bias|masked_bias|rotary_emb\.inv_freq)$/

/** A weight as f32, whatever it is stored as. */
function floats({ spec, bytes }: Held): Float32Array {
  if (spec.dtype !== 'mxfp4') return decode(bytes, ({ f32: 'F32', f16: 'F16', bf16: 'BF16' } as const)[spec.dtype as 'f32'])
  const blockBytes = (bytes.byteLength / 17) * 16
  return mxfp4Values(Buffer.from(bytes.subarray(0, blockBytes)), Buffer.from(bytes.subarray(blockBytes)))
}

async function load(directory: string) {
  const sink = memorySink()
  const loaded = await loadCheckpoint(directory, sink)
  return { ...loaded, held: sink.held, read: (spec: WeightSpec) => floats(sink.held.get(spec.name)!) }
}

/** The language model of a multimodal file under the names that it has alone. */
function textPart<T>(tensors: Map<string, T>): Map<string, T> {
  if (![...tensors.keys()].some((name) => name.includes('language_model.'))) return tensors
  const text = [...tensors].filter(([name]) => name.includes('language_model.') || name === 'lm_head.weight')
  return new Map(
    text.map(([name, tensor]) => [name.replace(/^(model\.)?language_model\.(model\.)?/, name.includes('lm_head') ? '' : 'model.'), tensor]),
  )
}

describe('a saved model is the published one', () => {
  for (const name of readdirSync(fixtures)) {
    test(`${name}: same names, shapes, dtypes and bytes`, async () => {
      const { architecture, read } = await load(join(fixtures, name))
      const directory = out(name)
      const progress: number[][] = []
      const files = await saveCheckpoint(directory, architecture, read, { onProgress: (...seen) => progress.push(seen) })
      assert.deepEqual([...files].sort(), readdirSync(directory).sort())
      const published = textPart(await rawTensors(join(fixtures, name)))
      const saved = await rawTensors(directory)
      if (architecture.tieWordEmbeddings) published.delete('lm_head.weight')
      const skipped = (key: string) => BUFFER.test(key) || (name === 'tiny-deepseek-v3' && key.includes('.layers.3.')) // predicts a further token
      assert.deepEqual([...saved.keys()].sort(), [...published.keys()].filter((key) => !skipped(key)).sort())
      let bytes = 0
      for (const [key, { dtype, shape, data }] of saved) {
        const original = published.get(key)!
        assert.deepEqual([dtype, shape], [original.dtype, original.shape], key)
        bytes += data.byteLength
        if (key.endsWith('_scales')) continue
        // Packed values may be written with another scale; the decoded values must not change.
        if (!key.endsWith('_blocks')) assert.ok(data.equals(original.data), key)
        else {
          const scales = key.replace('_blocks', '_scales')
          assert.deepEqual(mxfp4Values(data, saved.get(scales)!.data), mxfp4Values(original.data, published.get(scales)!.data))
        }
      }
      assert.deepEqual(progress.at(-1), [bytes, bytes])
      const again = await load(directory)
      assert.deepEqual(again.architecture, architecture)
    })
  }

  test('in shards with an index, and never half', async () => {
    const { architecture, read } = await load(join(fixtures, 'tiny-qwen3-moe'))
    const directory = out('shards')
    const seen: number[] = []
    await saveCheckpoint(directory, architecture, read, { shardBytes: 200_000, onProgress: (bytes) => seen.push(bytes) })
    assert.ok(existsSync(join(directory, 'model.safetensors.index.json')))
    const tensors = [...(await rawTensors(directory)).values()]
    assert.equal(
      seen.at(-1),
      tensors.reduce((sum, { data }) => sum + data.byteLength, 0),
    )
    const again = await load(directory)
    for (const [name, { bytes }] of again.held) assert.ok(bytes.byteLength > 0, name)

    const stopped = out('stopped')
    const stop = new AbortController()
    const onProgress = (bytes: number) => bytes > 300_000 && stop.abort(new Error('enough'))
    await assert.rejects(saveCheckpoint(stopped, architecture, read, { shardBytes: 200_000, signal: stop.signal, onProgress }), /enough/)
    assert.ok(!existsSync(join(stopped, 'config.json')))
    assert.ok(readdirSync(stopped).every((file) => file.endsWith('.safetensors')))
  })

  test('in another dtype: f32 is exact, bf16 is rounded to nearest', async () => {
    const { architecture, read, held } = await load(join(fixtures, 'tiny-gpt2'))
    const directory = out('bf16')
    await saveCheckpoint(directory, { ...architecture, dtype: 'bf16', expertDtype: 'bf16' }, read)
    const { held: rounded } = await load(directory)
    for (const [name, { spec, bytes }] of rounded) {
      assert.equal(spec.dtype, 'bf16')
      const exact = floats(held.get(name)!)
      decode(bytes, 'BF16').forEach((value, i) => {
        assert.ok(Math.abs(value - exact[i]!) <= Math.abs(exact[i]!) * 2 ** -8)
      })
    }
    const wide = out('f32')
    const qwen = await load(join(fixtures, 'tiny-qwen3'))
    await saveCheckpoint(wide, { ...qwen.architecture, dtype: 'f32', expertDtype: 'f32' }, qwen.read)
    const { held: exact } = await load(wide)
    for (const [name, one] of exact) assert.deepEqual(floats(one), floats(qwen.held.get(name)!))
  })

  test('weights of another size are refused by name', async () => {
    const { architecture, read } = await load(join(fixtures, 'tiny-llama'))
    const wrong = (spec: WeightSpec) => (spec.name === 'layers.1.attention.k' ? new Float32Array(7) : read(spec))
    await assert.rejects(saveCheckpoint(out('wrong'), architecture, wrong), (error: Error) => {
      assert.ok(error instanceof WeightsMismatchError)
      assert.match(error.message, /layers\.1\.attention\.k".*expected 2048 values for \[32, 64\], got 7/)
      return true
    })
  })
})

test('encoding: ties to even, NaN stays NaN, infinities stay infinities', () => {
  const values = Float32Array.of(1, 1 + 2 ** -8, 1 + 3 * 2 ** -8, Number.NaN, Number.POSITIVE_INFINITY, -0, 3.4e38)
  const bf16 = decode(encode(values, 'BF16'), 'BF16')
  assert.deepEqual([...bf16], [1, 1, 1 + 2 ** -6, Number.NaN, Number.POSITIVE_INFINITY, -0, Number.POSITIVE_INFINITY])
  const f16 = decode(encode(Float32Array.of(1, 65504, 1e-7, 1e6), 'F16'), 'F16')
  assert.deepEqual([...f16], [1, 65504, 2 * 2 ** -24, Number.POSITIVE_INFINITY])
})

describe('packing MXFP4', () => {
  const unpack = ({ blocks, scales }: { blocks: Uint8Array; scales: Uint8Array }) => mxfp4Values(Buffer.from(blocks), Buffer.from(scales))
  let state = 12345
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return state / 2 ** 32
  }
  const normal = () => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random())

  test('values that MXFP4 can hold come back exactly, at every scale', () => {
    for (const exponent of [-120, -60, -7, 0, 30, 120]) {
      const values = Float32Array.from({ length: 64 }, () => FP4_VALUES[Math.floor(random() * 16)]! * 2 ** exponent)
      const packed = packMxfp4(values)
      assert.equal(packed.error.squaredError, 0)
      unpack(packed).forEach((value, i) => {
        assert.equal(value, values[i])
      })
    }
  })

  test("no block errs more than with the standard's scale, and some err less", () => {
    const values = Float32Array.from({ length: 32 * 500 }, () => normal() * 0.02)
    const decoded = unpack(packMxfp4(values))
    let better = 0
    for (let at = 0; at < values.length; at += 32) {
      const bytes = new Uint8Array(16)
      const scale = packMxfp4Block(values, at, bytes, 0)
      const standard = mxfp4Values(Buffer.from(bytes), Buffer.of(scale))
      const error = (found: Float32Array, from: number) => {
        let sum = 0
        for (let i = 0; i < 32; i++) sum += (found[from + i]! - values[at + i]!) ** 2
        return sum
      }
      const [ours, theirs] = [error(decoded, at), error(standard, 0)]
      assert.ok(ours <= theirs)
      if (ours < theirs) better++
    }
    assert.ok(better > 20, `${better} of 500`)
    const { error } = packMxfp4(values)
    assert.equal(error.count, values.length)
    const direct = values.reduce((sum, value, i) => sum + (decoded[i]! - value) ** 2, 0)
    assert.ok(Math.abs(error.squaredError - direct) < 1e-9)
    assert.ok(relativeError(error) > 0.05 && relativeError(error) < 0.13, String(relativeError(error)))
  })

  test('every value gets its nearest code', () => {
    const values = Float32Array.from({ length: 3200 }, () => (random() - 0.5) * 10)
    const { blocks, scales } = packMxfp4(values)
    const decoded = unpack({ blocks, scales })
    values.forEach((value, i) => {
      const factor = 2 ** (scales[i >> 5]! - 127)
      const best = Math.min(...FP4_VALUES.map((code) => Math.abs(code * factor - value)))
      assert.ok(Math.abs(decoded[i]! - value) <= best + 1e-9)
    })
  })

  test('zeros, the smallest and the largest numbers', () => {
    assert.deepEqual(unpack(packMxfp4(new Float32Array(32))), new Float32Array(32))
    for (const value of [1e-45, 1e-40, 3.4e38, -3.4e38]) {
      const decoded = unpack(packMxfp4(new Float32Array(32).fill(value)))
      assert.ok(decoded.every(Number.isFinite))
      assert.ok(Math.abs(decoded[0]! - value) <= Math.max(Math.abs(value) * 0.26, 2 ** -127))
    }
    assert.throws(() => packMxfp4(new Float32Array(32).with(5, Number.NaN)), /value 5 is NaN/)
    assert.throws(() => packMxfp4(new Float32Array(32).with(5, Number.NEGATIVE_INFINITY)), RangeError)
    assert.throws(() => packMxfp4(new Float32Array(33)), /multiple of 32/)
  })
})

describe('quantising a checkpoint', () => {
  const config = (name: string) => JSON.parse(readFileSync(join(fixtures, name, 'config.json'), 'utf8'))

  test('dequantised gpt-oss becomes the published form again without any loss', async () => {
    const { quantization_config: _, ...plain } = config('tiny-gpt-oss')
    const source = await checkpointDirectory(temporary, 'tiny-gpt-oss', await dequantisedGptOss(), plain)
    writeFileSync(join(source, 'tokenizer.json'), '{}')
    const directory = out('packed')
    const { errors, bytesAfter } = await quantizeModel(source, directory)
    assert.equal(errors.length, 8)
    assert.ok(errors.every(({ error }) => error.squaredError === 0))
    const published = await rawTensors(join(fixtures, 'tiny-gpt-oss'))
    const packed = await rawTensors(directory)
    assert.deepEqual([...packed.keys()].sort(), [...published.keys()].sort())
    for (const [name, { dtype, shape, data }] of packed) {
      assert.deepEqual([dtype, shape], [published.get(name)!.dtype, published.get(name)!.shape])
      if (!/_(blocks|scales)$/.test(name)) assert.ok(data.equals(published.get(name)!.data))
    }
    assert.equal(
      bytesAfter,
      [...published.values()].reduce((sum, { data }) => sum + data.byteLength, 0),
    )
    assert.equal(readFileSync(join(directory, 'tokenizer.json'), 'utf8'), '{}')
    const [a, b] = [await load(directory), await load(join(fixtures, 'tiny-gpt-oss'))]
    assert.deepEqual(a.architecture, b.architecture)
    for (const [name, one] of a.held) assert.deepEqual(floats(one), floats(b.held.get(name)!), name)
  })

  for (const name of ['tiny-qwen3-moe', 'tiny-mixtral']) {
    test(`${name}: one tensor per expert becomes stacked MXFP4 that loads and runs`, async () => {
      const directory = out(name)
      const { errors, bytesBefore, bytesAfter } = await quantizeModel(join(fixtures, name), directory, { shardBytes: 150_000 })
      assert.equal(errors.length, 6)
      for (const { name, error } of errors)
        assert.ok(relativeError(error) > 0.05 && relativeError(error) < 0.13, `${name} ${relativeError(error)}`)
      assert.ok(bytesAfter < bytesBefore)
      const [before, after] = [await load(join(fixtures, name)), await load(directory)]
      assert.equal(after.architecture.expertDtype, 'mxfp4')
      assert.deepEqual({ ...after.architecture, expertDtype: 'bf16' }, before.architecture)
      for (const [inner, one] of after.held) {
        const exact = floats(before.held.get(inner)!)
        const expected =
          one.spec.dtype === 'mxfp4'
            ? (({ blocks, scales }) => mxfp4Values(Buffer.from(blocks), Buffer.from(scales)))(packMxfp4(exact))
            : exact
        assert.deepEqual(floats(one), expected, inner)
      }
      const backend = createReferenceBackend()
      const batch = { ids: Int32Array.of(3, 7, 11), slots: new Int32Array(3), positions: Int32Array.of(0, 1, 2) }
      const logits = async (path: string) => {
        const { architecture, weights } = await loadCheckpoint(path, backend)
        return backend.read(forward(backend, architecture, weights, batch))
      }
      const [exact, packed] = [await logits(join(fixtures, name)), await logits(directory)]
      const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
      const apart = norm(exact.map((value, i) => value - packed[i]!)) / norm(exact)
      // Random routers send some tokens to other experts, so this is a check of order only.
      assert.ok(apart > 0 && apart < 1, `logits differ by ${apart}`)
    })
  }

  test('what cannot be quantised is refused before anything is written', async () => {
    const rejects = async (source: string, target: string, message: RegExp) => {
      await assert.rejects(quantizeModel(source, target), (error: Error) => {
        assert.ok(error instanceof QuantizeError, String(error))
        assert.match(error.message, message)
        return true
      })
    }
    const empty = join(temporary, 'nothing')
    await rejects(join(fixtures, 'tiny-qwen3'), empty, /no experts/)
    await rejects(join(fixtures, 'tiny-gpt-oss'), empty, /in MXFP4 already/)
    const copy = out('copy')
    cpSync(join(fixtures, 'tiny-mixtral'), copy, { recursive: true })
    await rejects(copy, `${copy}/.`, /the model itself/)
    assert.ok(!existsSync(empty))
  })

  test('a NaN among the experts names the tensor', async () => {
    const raw = await rawTensors(join(fixtures, 'tiny-mixtral'))
    const bad = raw.get('model.layers.1.block_sparse_moe.experts.2.w2.weight')!
    const data = Buffer.from(bad.data)
    data.writeUInt16LE(0x7fc0, 100)
    raw.set(bad.name, tensor(bad.name, bad.dtype, bad.shape, data))
    const source = await checkpointDirectory(temporary, 'tiny-mixtral', raw.values())
    await assert.rejects(quantizeModel(source, out('nan')), (error: Error) => {
      assert.ok(error instanceof CheckpointError, String(error))
      assert.match(error.message, /model\.layers\.1\.block_sparse_moe\.experts\..*finite numbers.*NaN/)
      return true
    })
  })
})
