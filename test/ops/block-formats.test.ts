/** Every block format of GGUF files against the values that the `gguf` package of llama.cpp decodes from random blocks, bit for bit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { BLOCK_FORMATS, decodeBlocks } from '../../src/ops/block-formats.ts'
import { type BlockDType, dtypeName, fromBf16, fromF16, requirePublished, storedBytes } from '../../src/ops/dtype.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { readTensors } from '../model/read-golden.ts'

const vectors = readTensors(fileURLToPath(new URL('../fixtures/gguf/types.safetensors', import.meta.url)))
const bytesOf = (name: string) => new Uint8Array(vectors[`${name}.bytes`]!.buffer)
const bitsOf = (values: ArrayLike<number>) => new Uint32Array(Float32Array.from(values).buffer)

for (const dtype of Object.keys(BLOCK_FORMATS) as BlockDType[]) {
  const name = dtypeName(dtype)
  // The groups of AWQ and GPTQ are no types of GGUF files: test/checkpoint/quantized.test.ts.
  if (!dtype.endsWith('_groups'))
    test(`${name} decodes bit for bit`, async () => {
      const [bytes, values] = [bytesOf(name), vectors[`${name}.values`]!]
      assert.equal(storedBytes(dtype, values.length), bytes.length)
      assert.deepEqual(bitsOf(decodeBlocks(dtype, bytes)), bitsOf(values))
      const reference = createReferenceBackend()
      const shape = [values.length / 768, 768]
      const weight = await reference.weight({ name, shape, dtype, use: 'matrix' }, async (_, offset, into) =>
        into.set(bytes.subarray(offset, offset + into.length)),
      )
      assert.deepEqual(bitsOf(await reference.read(weight)), bitsOf(values))
    })

  test(`${name}: every bit of a block is used once`, () => {
    const { length, bytes, code, bits, span, scale, factor, offset } = BLOCK_FORMATS[dtype]
    const taken = new Uint8Array(bytes)
    const take = (at: number, mask: number) => {
      assert.equal(taken[at]! & mask, 0, `byte ${at} is used twice`)
      taken[at]! |= mask
    }
    const runs = Array.from({ length: length / span }, (_, s) => s)
    const codes = Array.from({ length }, (_, i) => code(i))
    for (const fields of codes)
      assert.equal(
        fields.reduce((sum, field) => sum + field.bits, 0),
        bits,
      )
    for (const { at, shift, bits } of [...codes, ...runs.map((s) => factor?.of(s) ?? []), ...runs.map((s) => offset?.of?.(s) ?? [])].flat())
      take(at, ((1 << bits) - 1) << shift)
    const halves = [
      ...(scale.format === 'f16' ? [scale.at, scale.at + 1] : [scale.at]),
      ...(offset && offset.at !== scale.at ? [offset.at, offset.at + 1] : []),
    ]
    for (const at of halves) take(at, 255)
    assert.ok(taken.every((byte) => byte === 255))
  })
}

test('F16 and BF16 decode bit for bit', () => {
  for (const [name, decode] of [
    ['F16', fromF16],
    ['BF16', fromBf16],
  ] as const) {
    const words = new Uint16Array(vectors[`${name}.bytes`]!.buffer)
    assert.deepEqual(bitsOf(Array.from(words, decode)), bitsOf(vectors[`${name}.values`]!), name)
  }
})

test('weights that are no whole blocks are refused by name', () => {
  const weight = (dtype: BlockDType | 'mxfp4', width: number, use = 'matrix') => ({ name: 'layers.3.down', shape: [4, width], dtype, use })
  for (const [spec, message] of [
    [weight('q4_k', 576), /layers\.3\.down: rows of Q4_K must be a multiple of 256 long, got 576/],
    [weight('q8_0', 48), /multiple of 32 long, got 48/],
    [weight('mxfp4_gguf', 31), /rows of MXFP4 must be a multiple of 32/],
    [weight('q6_k', 256, 'vector'), /a vector cannot be Q6_K/],
  ] as const)
    assert.throws(() => requirePublished(spec), message)
  for (const spec of [weight('q4_k', 512), weight('q5_0', 96), weight('mxfp4', 64)]) requirePublished(spec)
  assert.throws(() => decodeBlocks('q4_0', new Uint8Array(19)), /q4_0: expected whole blocks of 18 bytes, got 19 bytes/)
})
