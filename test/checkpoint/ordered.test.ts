/**
 * Whole models with matrices that keep a packed form in another order of columns: GPTQ with act-order, groups of 16, FP8 of widths that are no
 * multiples of 128. A number is made by the formula of its program, and the golden logits come from the same numbers in f32.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { forward } from '../../src/model/transformer.ts'
import type { Backend } from '../../src/ops/backend.ts'
import { E4M3_VALUES } from '../../src/ops/dtype.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { random } from '../../src/random/stream.ts'
import { loadCheckpoint } from './load-directory.ts'
import { checkpointDirectory, fixtures, type Raw, rawTensors, tensor } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-ordered-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

interface Packing {
  name: string
  model: string
  config: object
  /** The tensors of a packed matrix [O, I], and its values. */
  pack(stem: string, O: number, I: number): { tensors: Raw[]; values: Float32Array }
}

const next = random(11)
const below = (count: number) => Math.floor(next() * count)
const shuffled = (values: number[]) =>
  values
    .map((value) => [next(), value] as const)
    .sort((a, b) => a[0] - b[0])
    .map(([, value]) => value)
const bytesOf = (values: ArrayBufferView) => Buffer.from(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength)

/** GPTQ: scale·(code - zero point), inputs in the groups of `order`. */
function gptq(bits: 4 | 8, groupSize: number, order: 'shuffled' | 'sorted'): Packing['pack'] {
  return (stem, O, I) => {
    const G = Math.ceil(I / groupSize)
    const sorted = Array.from({ length: I }, (_, i) => Math.floor(i / groupSize))
    const list = Int32Array.from(order === 'shuffled' ? shuffled(sorted) : sorted)
    const [limit, perWord] = [1 << bits, 32 / bits]
    const codes = Uint8Array.from({ length: I * O }, () => below(limit))
    const zeros = Uint8Array.from({ length: G * O }, () => limit / 2 - 1 + below(3))
    const scales = Float16Array.from({ length: G * O }, () => (0.1 / limit) * (0.5 + next()))
    const qweight = new Uint32Array((I / perWord) * O)
    for (let i = 0; i < I; i++)
      for (let o = 0; o < O; o++) qweight[Math.floor(i / perWord) * O + o]! |= codes[i * O + o]! << ((i % perWord) * bits)
    const qzeros = new Uint32Array(G * (O / perWord))
    for (let g = 0; g < G; g++)
      for (let o = 0; o < O; o++) qzeros[g * (O / perWord) + Math.floor(o / perWord)]! |= (zeros[g * O + o]! - 1) << ((o % perWord) * bits)
    const values = Float32Array.from({ length: O * I }, (_, n) => {
      const [o, i] = [Math.floor(n / I), n % I]
      const g = list[i]!
      return scales[g * O + o]! * (codes[i * O + o]! - zeros[g * O + o]!)
    })
    const tensors = [
      tensor(`${stem}.qweight`, 'I32', [I / perWord, O], bytesOf(qweight)),
      tensor(`${stem}.qzeros`, 'I32', [G, O / perWord], bytesOf(qzeros)),
      tensor(`${stem}.scales`, 'F16', [G, O], bytesOf(scales)),
      tensor(`${stem}.g_idx`, 'I32', [I], bytesOf(list)),
    ]
    return { tensors, values }
  }
}

/** FP8: code·scale, scales for blocks of some rows and columns. */
function fp8(rows: number, columns: number, suffix = '_scale_inv'): Packing['pack'] {
  return (stem, O, I) => {
    const across = Math.ceil(I / columns)
    const codes = Uint8Array.from({ length: O * I }, () => below(2) * 128 + below(0x50))
    const scales = Float32Array.from({ length: Math.ceil(O / rows) * across }, () => 0.02 * (0.5 + next()))
    const values = Float32Array.from(codes, (code, n) => {
      const [o, i] = [Math.floor(n / I), n % I]
      return E4M3_VALUES[code]! * scales[Math.floor(o / rows) * across + Math.floor(i / columns)]!
    })
    const shape = columns >= I && rows === 1 ? [O, 1] : [Math.ceil(O / rows), across]
    const tensors = [
      tensor(`${stem}.weight`, 'F8_E4M3', [O, I], bytesOf(codes)),
      tensor(`${stem}.weight${suffix}`, 'F32', shape, bytesOf(scales)),
    ]
    return { tensors, values }
  }
}

const gptqConfig = (bits: number, group_size: number, desc_act: boolean) => ({ quant_method: 'gptq', bits, group_size, desc_act })
const PACKINGS: Packing[] = [
  { name: 'GPTQ, 4 bits, act-order', model: 'tiny-qwen3', config: gptqConfig(4, 32, true), pack: gptq(4, 32, 'shuffled') },
  { name: 'GPTQ, 8 bits, act-order', model: 'tiny-llama', config: gptqConfig(8, 32, true), pack: gptq(8, 32, 'shuffled') },
  { name: 'GPTQ, 4 bits, groups of 16', model: 'tiny-qwen2', config: gptqConfig(4, 16, false), pack: gptq(4, 16, 'sorted') },
  { name: 'GPTQ, 4 bits, groups of 16, act-order', model: 'tiny-qwen3', config: gptqConfig(4, 16, true), pack: gptq(4, 16, 'shuffled') },
  { name: 'GPTQ, 4 bits, groups of 48, act-order', model: 'tiny-phi4', config: gptqConfig(4, 48, true), pack: gptq(4, 48, 'shuffled') },
  {
    name: 'FP8, blocks of 128 × 128, widths of 64 to 192',
    model: 'tiny-qwen3',
    config: { quant_method: 'fp8', weight_block_size: [128, 128] },
    pack: fp8(128, 128),
  },
  { name: 'FP8, blocks of 48 × 96', model: 'tiny-llama', config: { quant_method: 'fp8', weight_block_size: [48, 96] }, pack: fp8(48, 96) },
  {
    name: 'FP8, a scale for each row',
    model: 'tiny-qwen2',
    config: { quant_method: 'compressed-tensors', format: 'float-quantized' },
    pack: fp8(1, 1 << 20, '_scale'),
  },
]

/** The fixture with packed projections, and the same with their values in f32. */
async function pair({ model, config, pack }: Packing): Promise<{ packed: string; plain: string }> {
  const published = JSON.parse(readFileSync(join(fixtures, model, 'config.json'), 'utf8'))
  const [packed, plain]: [Raw[], Raw[]] = [[], []]
  for (const one of (await rawTensors(join(fixtures, model))).values()) {
    const [, stem] = /^(.+_proj)\.weight$/.exec(one.name) ?? []
    if (stem === undefined) {
      packed.push(one)
      plain.push(one)
      continue
    }
    const [O, I] = one.shape as [number, number]
    const { tensors, values } = pack(stem, O, I)
    packed.push(...tensors)
    plain.push(tensor(one.name, 'F32', [O, I], bytesOf(values)))
  }
  return {
    packed: await checkpointDirectory(temporary, model, packed, { ...published, quantization_config: config }),
    plain: await checkpointDirectory(temporary, model, plain, published),
  }
}

const IDS = Int32Array.from([1, 72, 5, 200, 33, 250, 17, 99, 140, 410, 7])

async function logitsOf(path: string, backend: Backend, ids = IDS): Promise<Float32Array> {
  const { architecture, weights } = await loadCheckpoint(path, backend)
  const batch = { ids, slots: new Int32Array(ids.length), positions: Int32Array.from(ids.keys()) }
  return backend.run(() => forward(backend, architecture, weights, batch, { logitRows: Int32Array.from(ids.keys()) }))
}

for (const packing of PACKINGS)
  describe(packing.name, async () => {
    const { packed, plain } = await pair(packing)
    const reference = createReferenceBackend()
    const golden = await logitsOf(plain, reference)
    const largest = golden.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const distance = (logits: Float32Array) => logits.reduce((most, value, i) => Math.max(most, Math.abs(value - golden[i]!)), 0) / largest

    test('reference', async () => assert.ok(distance(await logitsOf(packed, createReferenceBackend())) <= 1e-4))

    for (const threads of [0, 3])
      test(`wasm, ${threads} threads: packed in memory, and a row alone as among others`, async () => {
        const [backend, whole] = [await createWasmBackend({ threads }), await createWasmBackend({ threads: 0 })]
        const logits = await logitsOf(packed, backend)
        assert.ok(distance(logits) <= 1e-3, `differs by ${distance(logits)} of the largest logit`)
        await logitsOf(plain, whole)
        assert.ok(backend.memory().weights < whole.memory().weights, 'fewer bytes than in f32')
        const vocabulary = golden.length / IDS.length
        const first = await logitsOf(packed, backend, IDS.subarray(0, 1))
        assert.deepEqual(first, logits.subarray(0, vocabulary))
        await backend.dispose()
        await whole.dispose()
      })

    test('wasm, fast', async () => {
      const backend = await createWasmBackend({ threads: 0, precision: 'fast' })
      assert.ok(distance(await logitsOf(packed, backend)) <= 0.1)
      await backend.dispose()
    })
  })
