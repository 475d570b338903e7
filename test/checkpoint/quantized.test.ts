/**
 * FP8, AWQ and GPTQ matrices of random numbers against their formulas, read whole and in pieces; and what is refused.
 * Golden values of whole models: test/model/golden.test.ts.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configFromJson, quantizationFromJson } from '../../src/architecture/config-json.ts'
import { preset } from '../../src/architecture/presets.ts'
import type { Quantization } from '../../src/architecture/quantization.ts'
import { toConfigJson } from '../../src/architecture/to-config-json.ts'
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts'
import { loadWeights, openModel } from '../../src/checkpoint/load.ts'
import { publishedTensors } from '../../src/checkpoint/published.ts'
import { unpacked } from '../../src/checkpoint/quantized/quantized.ts'
import type { PublishedDtype, TensorEntry } from '../../src/checkpoint/safetensors.ts'
import { bytesSource } from '../../src/checkpoint/source.ts'
import { planWeights } from '../../src/checkpoint/weights.ts'
import { decodeStored } from '../../src/ops/decode.ts'
import type { DType } from '../../src/ops/dtype.ts'
import { fromBf16, fromE4m3, fromF16 } from '../../src/ops/dtype.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { random } from '../../src/random/stream.ts'
import { memorySink } from './memory-sink.ts'

const latentConfig = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/quantized/tiny-deepseek-v3-fp8/config.json'), 'utf8'))

const next = random(5)
const below = (count: number) => Math.floor(next() * count)
const numbers = (count: number, below_: number) => Array.from({ length: count }, () => below(below_))
/** Positive f16 from 2^-10 on. */
const halves = (count: number) => Uint16Array.from({ length: count }, () => (5 << 10) + below(5 << 10))

const entry = (name: string, dtype: PublishedDtype, shape: number[], data: ArrayBufferView): TensorEntry => {
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength)
  return { name, dtype, shape, offset: 0, byteLength: bytes.byteLength, source: bytesSource(bytes, 'model.safetensors') }
}

const checkpointOf = (entries: TensorEntry[]): Checkpoint => ({
  name: 'test',
  tensors: new Map(entries.map((one) => [one.name, one])),
  sources: [],
  tensorBytes: 0,
  close: async () => {},
})

/** Values of a view, read in pieces of odd sizes. */
async function valuesOf(view: TensorEntry): Promise<Float32Array> {
  const bytes = new Uint8Array(view.byteLength)
  for (let at = 0, piece = 1; at < bytes.length; at += piece, piece = (piece * 7) % 1021)
    await view.source.read(at, bytes.subarray(at, at + piece))
  const whole = new Uint8Array(view.byteLength)
  await view.source.read(0, whole)
  assert.deepEqual(bytes, whole)
  const out = new Float32Array(view.shape[0]! * view.shape[1]!)
  decodeStored({ dtype: view.dtype === 'F32' ? 'f32' : (view.dtype as DType), bytes }, 0, out.length, out, 0)
  return out
}

/** Values of the packed form with its columns where they belong. */
async function valuesInOrder({ shape, ordered }: TensorEntry): Promise<Float32Array> {
  const { entry, order } = ordered!
  const [rows, columns] = shape as [number, number]
  assert.deepEqual(entry.shape, [rows, order.length])
  assert.deepEqual(
    [...order].filter((column) => column >= 0).sort((a, b) => a - b),
    Array.from({ length: columns }, (_, i) => i),
  )
  const packed = await valuesOf(entry)
  const out = new Float32Array(rows * columns)
  for (let row = 0; row < rows; row++)
    order.forEach((column, at) => {
      if (column >= 0) out[row * columns + column] = packed[row * order.length + at]!
    })
  return out
}

interface Groups {
  method: 'awq' | 'gptq'
  bits: 4 | 8
  I: number
  O: number
  groupSize: number | null
  /** GPTQ: what stored zero points lack. */
  zeroShift?: 0 | 1
  actOrder?: boolean
  scales?: 'F16' | 'BF16'
  /** The dtype that is expected. */
  held: string
}

/** Packs random codes and zero points as the two programs do, and gives the values of the matrix. */
function groups({ method, bits, I, O, groupSize, zeroShift = 1, actOrder, scales = 'F16' }: Groups) {
  const [size, perWord, limit] = [groupSize ?? I, 32 / bits, 1 << bits]
  const G = Math.ceil(I / size)
  const [codes, zeros, scaleBits] = [numbers(I * O, limit), numbers(G * O, limit - 1).map((zero) => zero + 1), halves(G * O)]
  const groupOf = Int32Array.from({ length: I }, (_, i) => (actOrder ? (i * 7 + 3) % G : Math.floor(i / size)))
  const order = method === 'awq' ? [0, 2, 4, 6, 1, 3, 5, 7] : Array.from({ length: perWord }, (_, n) => n)
  /** Neighbours along the last axis into words. */
  const pack = (values: number[], width: number) => {
    const words = new Uint32Array(values.length / perWord)
    for (let w = 0; w < words.length; w++)
      for (let n = 0; n < perWord; n++) words[w] = (words[w]! | (values[w * perWord + order[n]!]! << (n * bits))) >>> 0
    return { words, shape: [values.length / width, width / perWord] }
  }
  const stored = method === 'gptq' ? zeros.map((zero) => zero - zeroShift) : zeros
  const along = (rows: number, columns: number, at: (row: number, column: number) => number) =>
    Array.from({ length: rows * columns }, (_, n) => at(Math.floor(n / columns), n % columns))
  let qweight: { words: Uint32Array; shape: number[] }
  if (method === 'awq') qweight = pack(codes, O)
  else {
    // Packed along the inputs: transpose, pack, transpose the words back.
    const byOutput = pack(
      along(O, I, (o, i) => codes[i * O + o]!),
      I,
    )
    const words = Uint32Array.from(along(I / perWord, O, (w, o) => byOutput.words[o * (I / perWord) + w]!))
    qweight = { words, shape: [I / perWord, O] }
  }
  const qzeros = pack(stored, O)
  const tensors = [
    entry('q.qweight', 'I32', qweight.shape, qweight.words),
    entry('q.qzeros', 'I32', qzeros.shape, qzeros.words),
    entry('q.scales', scales, [G, O], scaleBits),
    ...(method === 'gptq' ? [entry('q.g_idx', 'I32', [I], groupOf)] : []),
  ]
  const scale = scales === 'F16' ? fromF16 : fromBf16
  const values = along(O, I, (o, i) => scale(scaleBits[groupOf[i]! * O + o]!) * (codes[i * O + o]! - zeros[groupOf[i]! * O + o]!))
  const quantization: Quantization =
    method === 'awq' ? { kind: 'awq', bits: 4, groupSize } : { kind: 'gptq', bits, groupSize, zeroShift, actOrder: actOrder ?? false }
  return { tensors, values: Float32Array.from(values), quantization }
}

const CASES: Groups[] = [
  { method: 'awq', bits: 4, I: 64, O: 24, groupSize: 32, held: 'int4_groups' },
  { method: 'awq', bits: 4, I: 256, O: 8, groupSize: 128, held: 'int4_groups' },
  { method: 'awq', bits: 4, I: 96, O: 16, groupSize: null, held: 'int4_groups' },
  { method: 'awq', bits: 4, I: 48, O: 16, groupSize: 16, held: 'F32' },
  { method: 'awq', bits: 4, I: 64, O: 16, groupSize: 32, scales: 'BF16', held: 'F32' },
  { method: 'gptq', bits: 4, I: 128, O: 24, groupSize: 64, held: 'int4_groups' },
  { method: 'gptq', bits: 4, I: 160, O: 8, groupSize: 64, held: 'int4_groups' }, // the last group is shorter
  { method: 'gptq', bits: 4, I: 128, O: 8, groupSize: 32, zeroShift: 0, held: 'int4_groups' },
  { method: 'gptq', bits: 4, I: 128, O: 16, groupSize: 32, actOrder: true, held: 'F32' },
  { method: 'gptq', bits: 4, I: 40, O: 8, groupSize: 40, held: 'F32' },
  { method: 'gptq', bits: 8, I: 128, O: 12, groupSize: 128, held: 'int8_groups' },
  { method: 'gptq', bits: 8, I: 64, O: 4, groupSize: null, zeroShift: 0, held: 'int8_groups' },
  { method: 'gptq', bits: 8, I: 64, O: 20, groupSize: 16, actOrder: true, held: 'F32' },
]
for (const one of CASES) {
  const { method, bits, I, O, groupSize, held, actOrder } = one
  test(`${method}, ${bits} bits, [${O}, ${I}] in groups of ${groupSize ?? 'all'}${actOrder ? ', act-order' : ''}: held as ${held}`, async () => {
    const { tensors, values, quantization } = groups(one)
    const found = (await unpacked(checkpointOf([...tensors, entry('norm', 'F16', [4], halves(4))]), quantization)).tensors
    assert.deepEqual([...found.keys()].sort(), ['norm', 'q.weight'])
    const view = found.get('q.weight')!
    assert.deepEqual([view.dtype, view.shape], [held, [O, I]])
    assert.deepEqual(await valuesOf(view), values)
    assert.equal(view.ordered !== undefined, held === 'F32' && one.scales !== 'BF16')
    if (view.ordered) assert.deepEqual(await valuesInOrder(view), values)
  })
}

interface Fp8 {
  shape: [number, number]
  block?: [number, number]
  scaleShape: number[]
  suffix?: string
  held: string
}
for (const { shape, block, scaleShape, suffix = '_scale_inv', held } of [
  { shape: [256, 384], block: [128, 128], scaleShape: [2, 3], held: 'fp8' },
  { shape: [200, 256], block: [128, 128], scaleShape: [2, 2], held: 'fp8' },
  { shape: [96, 136], block: [128, 128], scaleShape: [1, 2], held: 'F32' },
  { shape: [64, 512], block: [32, 256], scaleShape: [2, 2], held: 'fp8' },
  { shape: [64, 256], block: [64, 64], scaleShape: [1, 4], held: 'F32' },
  { shape: [40, 128], scaleShape: [], suffix: '_scale', held: 'fp8' },
  { shape: [40, 128], scaleShape: [1], suffix: '_scale', held: 'fp8' },
  { shape: [40, 256], scaleShape: [40, 1], suffix: '_scale', held: 'fp8' },
  { shape: [40, 96], scaleShape: [40], suffix: '_scale', held: 'F32' },
] as Fp8[])
  test(`FP8 [${shape}], scales [${scaleShape}]: held as ${held}`, async () => {
    const [O, I] = shape
    const codes = Uint8Array.from(numbers(O * I, 254), (code) => (code < 127 ? code : code + 1)) // without the two NaN
    const scales = Float32Array.from({ length: scaleShape.reduce((a, b) => a * b, 1) }, () => next() / 100)
    const tensors = [
      entry('q.weight', 'F8_E4M3', [O, I], codes),
      entry(`q.weight${suffix}`, 'F32', scaleShape, scales),
      entry('q.input_scale', 'F32', [], new Float32Array(1)),
    ]
    const found = (await unpacked(checkpointOf(tensors), { kind: 'fp8', block })).tensors
    assert.deepEqual([...found.keys()], ['q.weight'])
    const [rows, columns] = block ?? (scales.length > 1 ? [1, I] : [O, I])
    const values = Float32Array.from(codes, (code, n) => {
      const place = Math.floor(Math.floor(n / I) / rows) * Math.ceil(I / columns) + Math.floor((n % I) / columns)
      return fromE4m3(code) * scales[place]!
    })
    assert.equal(found.get('q.weight')!.dtype, held)
    const view = found.get('q.weight')!
    assert.deepEqual(await valuesOf(view), values)
    assert.equal(view.ordered !== undefined, held === 'F32')
    if (view.ordered) assert.deepEqual(await valuesInOrder(view), values)
  })

/** Matrices whose columns are whole blocks, so that they are held packed wherever the model does not need them transposed. */
for (const kind of ['FP8', 'AWQ', 'GPTQ'] as const)
  test(`latent attention, ${kind}: the keys of every head are transposed in f32, the values stay packed`, async () => {
    const [H, N, U, R] = [4, 128, 128, 256]
    const architecture = configFromJson(
      { ...latentConfig, num_hidden_layers: 1, vocab_size: 32, kv_lora_rank: R, qk_nope_head_dim: N, v_head_dim: U },
      'config.json',
    )
    const name = 'model.layers.0.self_attn.kv_b_proj.weight'
    const rest = publishedTensors(architecture).filter((tensor) => tensor.name !== name)
    const zeros = rest.map(({ name, dtype, shape }) => {
      const count = shape.reduce((a, b) => a * b, 1)
      return entry(name, dtype, [...shape], dtype === 'F32' ? new Float32Array(count) : new Uint16Array(count))
    })
    const O = H * (N + U)
    const { tensors, values, quantization } =
      kind === 'FP8'
        ? fp8Matrix(O, R)
        : groups({ method: kind === 'AWQ' ? 'awq' : 'gptq', bits: 4, I: R, O, groupSize: 128, held: 'int4_groups' })
    const named = tensors.map((one) => ({ ...one, name: one.name.replace('q.', name.replace('weight', '')) }))
    const plan = planWeights(architecture, await unpacked(checkpointOf([...zeros, ...named]), quantization))
    const sink = memorySink(10_007)
    await loadWeights(plan, sink)
    const held = (weight: string) => {
      const { spec, bytes } = sink.held.get(`layers.0.attention.${weight}`)!
      const out = new Float32Array(spec.shape.reduce((a, b) => a * b, 1))
      decodeStored({ dtype: spec.dtype, bytes }, 0, out.length, out, 0)
      return { dtype: spec.dtype, shape: spec.shape, values: out }
    }
    const published = (row: number, column: number) => values[row * R + column]!
    const keys = Float32Array.from({ length: H * R * N }, (_, i) => {
      const [head, r, n] = [Math.floor(i / (R * N)), Math.floor(i / N) % R, i % N]
      return published(head * (N + U) + n, r)
    })
    const lasts = Float32Array.from({ length: H * U * R }, (_, i) => {
      const [head, u, r] = [Math.floor(i / (U * R)), Math.floor(i / R) % U, i % R]
      return published(head * (N + U) + N + u, r)
    })
    assert.deepEqual(held('kUp'), { dtype: 'f32', shape: [H, R, N], values: keys })
    assert.deepEqual(held('vUp'), { dtype: kind === 'FP8' ? 'fp8' : 'int4_groups', shape: [H, U, R], values: lasts })
    const backend = createReferenceBackend()
    await loadWeights(plan, backend)
    await backend.dispose()
    // A packed matrix without its form in f32 is refused before anything is loaded.
    const packed = await unpacked(checkpointOf([...zeros, ...named]), quantization)
    const bare = new Map([...packed.tensors].map(([key, { plain, ...one }]) => [key, one]))
    assert.throws(
      () => planWeights(architecture, { ...packed, tensors: bare }),
      /kv_b_proj\.weight is (fp8|int4_groups), expected F32, F16 or BF16, because its columns become rows/,
    )
  })

/** A matrix of random codes with scales for blocks of 128 × 128. */
function fp8Matrix(O: number, I: number): { tensors: TensorEntry[]; values: Float32Array; quantization: Quantization } {
  const codes = Uint8Array.from(numbers(O * I, 254), (code) => (code < 127 ? code : code + 1))
  const scales = Float32Array.from({ length: (O / 128) * (I / 128) }, () => next() / 100)
  const scaleAt = (n: number) => scales[Math.floor(n / I / 128) * (I / 128) + Math.floor((n % I) / 128)]!
  return {
    tensors: [entry('q.weight', 'F8_E4M3', [O, I], codes), entry('q.weight_scale_inv', 'F32', [O / 128, I / 128], scales)],
    values: Float32Array.from(codes, (code, n) => fromE4m3(code) * scaleAt(n)),
    quantization: { kind: 'fp8', block: [128, 128] },
  }
}

test('E4M3 has the published values', () => {
  const cases = [
    [0x00, 0],
    [0x80, -0],
    [0x01, 2 ** -9],
    [0x07, 7 * 2 ** -9],
    [0x08, 2 ** -6],
    [0x38, 1],
    [0xb8, -1],
    [0x7e, 448],
    [0xfe, -448],
    [0x7f, Number.NaN],
  ] as const // prettier-ignore
  for (const [code, value] of cases) assert.ok(Object.is(fromE4m3(code), value), `code ${code}`)
})

test('desc_act and the list of groups must agree', async () => {
  const one = { method: 'gptq', bits: 4, I: 64, O: 8, groupSize: 16, held: '' } as const
  const [sorted, mixed] = [groups(one), groups({ ...one, actOrder: true })]
  const read = (tensors: TensorEntry[], actOrder: boolean) =>
    unpacked(checkpointOf(tensors), { kind: 'gptq', bits: 4, groupSize: 16, zeroShift: 1, actOrder })
  await assert.rejects(
    read(mixed.tensors, false),
    /q\.g_idx": expected groups in order, since "desc_act" of config\.json is false, got inputs/,
  )
  const without = mixed.tensors.filter(({ name }) => name !== 'q.g_idx')
  await assert.rejects(read(without, true), /q\.qweight": expected the list g_idx, since "desc_act" of config\.json is true, got none/)
  // Groups of all inputs, and inputs that happen to be sorted, have nothing to list.
  await read(sorted.tensors, true)
  await read(
    sorted.tensors.filter(({ name }) => name !== 'q.g_idx'),
    false,
  )
})

test('damaged and incomplete tensors are errors that name them', async () => {
  const fp8: Quantization = { kind: 'fp8', block: [128, 128] }
  const codes = entry('q.weight', 'F8_E4M3', [2, 128], new Uint8Array(256))
  const nan = entry(
    'q.weight',
    'F8_E4M3',
    [2, 128],
    Uint8Array.from({ length: 256 }, (_, i) => (i === 200 ? 0xff : 1)),
  )
  const one = entry('q.weight_scale_inv', 'F32', [1, 1], Float32Array.of(1))
  const read = async (tensors: TensorEntry[], quantization: Quantization) =>
    valuesOf((await unpacked(checkpointOf(tensors), quantization)).tensors.get('q.weight')!)
  await assert.rejects(read([codes], fp8), /model\.safetensors: tensor "q\.weight": expected its scales q\.weight_scale_inv, got none/)
  await assert.rejects(read([nan, one], fp8), /q\.weight": expected numbers, got NaN in row 1/)
  const infinite = entry('q.weight_scale_inv', 'F32', [1, 1], Float32Array.of(Infinity))
  await assert.rejects(read([codes, infinite], fp8), /q\.weight_scale_inv": expected finite scales, got Infinity at 0/)
  const wide = entry('q.weight_scale_inv', 'F32', [1, 2], new Float32Array(2))
  await assert.rejects(read([codes, wide], fp8), /q\.weight_scale_inv": expected F32 or BF16 scales \[1, 1\] .* got F32 \[1, 2\]/)

  const whole = groups({ method: 'gptq', bits: 4, I: 64, O: 8, groupSize: 32, held: '' })
  const without = (name: string) => whole.tensors.filter((tensor) => tensor.name !== name)
  await assert.rejects(read(without('q.qzeros'), whole.quantization), /q\.qzeros": expected it beside q\.qweight, got none/)
  const list = entry(
    'q.g_idx',
    'I32',
    [64],
    Int32Array.from({ length: 64 }, () => 2),
  )
  await assert.rejects(read([...without('q.g_idx'), list], whole.quantization), /q\.g_idx": expected groups from 0 to 1, got 2 for input 0/)
  const short = entry('q.scales', 'F16', [1, 8], halves(8))
  await assert.rejects(read([...without('q.scales'), short], whole.quantization), /q\.scales": expected F16 \[2, 8\].*got F16 \[1, 8\]/)
  await assert.rejects(read(whole.tensors, { ...whole.quantization, bits: 8 } as Quantization), /qzeros": expected I32 \[1, 2\]/)
})

test('packings that are not read say what to take instead', async () => {
  const config = toConfigJson(preset('Qwen3-0.6B')!)
  const complains = (quantization_config: object, message: RegExp) => {
    assert.throws(() => quantizationFromJson({ ...config, quantization_config }, 'config.json'), message)
    assert.throws(() => configFromJson({ ...config, quantization_config }, 'config.json'), message)
  }
  for (const quant_method of ['bitsandbytes', 'modelopt', 'nvfp4', 'hqq', undefined])
    complains(
      { quant_method },
      /quantization_config\.quant_method: expected "fp8", "awq", "gptq" or "mxfp4", got .*; take the published checkpoint/,
    )
  complains({ quant_method: 'fp8', fmt: 'e5m2' }, /fmt: expected "e4m3", got "e5m2"; take/)
  complains({ quant_method: 'awq', bits: 4, version: 'gemv' }, /version: expected "gemm", got "gemv"/)
  complains({ quant_method: 'awq', bits: 8 }, /bits: expected 4, got 8/)
  complains({ quant_method: 'gptq', bits: 3 }, /bits: expected 4 or 8, got 3/)
  complains({ quant_method: 'gptq', bits: 4, checkpoint_format: 'marlin' }, /checkpoint_format: expected "gptq" or "gptq_v2", got "marlin"/)
  complains(
    { quant_method: 'compressed-tensors', format: 'nvfp4-pack-quantized' },
    /format: expected "float-quantized" \(FP8\), got "nvfp4-pack/,
  )
  complains({ quant_method: 'fp8', weight_block_size: [128] }, /weight_block_size: expected two sizes/)
  const dense = { ...config, quantization_config: { quant_method: 'mxfp4' } }
  assert.throws(() => configFromJson(dense, 'config.json'), /expected no "mxfp4" in a model without experts/)

  const json = bytesSource(new TextEncoder().encode(JSON.stringify(config)), 'config.json')
  const list = async () => ['config.json', 'hf_quant_config.json', 'model.safetensors']
  const folder = { name: 'model', list, open: async (file: string) => (file === 'config.json' ? json : undefined) }
  await assert.rejects(
    openModel(folder),
    /a checkpoint of ModelOpt \(hf_quant_config\.json\)\. Take the authors' own FP8 or bf16 checkpoint/,
  )
})
