/**
 * Mixtures whose experts are quantised in every type: the logits are those of the same file with its experts dequantised to f32. Blocks are
 * random bits with small scales, so every bit of a block counts. What a block stands for is tested against the `gguf` package elsewhere.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { BlockDType } from '../../../src/architecture/architecture.ts'
import { configFromJson } from '../../../src/architecture/config-json.ts'
import { convertToGguf } from '../../../src/checkpoint/gguf/convert-node.ts'
import { readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { GGML_OF_DTYPE, type GgmlName } from '../../../src/checkpoint/gguf/types.ts'
import { alignedTo, headerBytes, placed, typeBytes } from '../../../src/checkpoint/gguf/write-node.ts'
import { bytesSource } from '../../../src/checkpoint/source.ts'
import { synthesizeCheckpoint } from '../../../src/checkpoint/synth-node.ts'
import { binary } from '../../../src/cli/support/terminal.ts'
import { load } from '../../../src/index.ts'
import { loadModel } from '../../../src/load-model-node.ts'
import { forward } from '../../../src/model/transformer.ts'
import { BLOCK_FORMATS, decodeBlocks } from '../../../src/ops/block-formats.ts'
import { random as randomOf } from '../../../src/random/stream.ts'
import { createApp } from '../../../src/server/http/app.ts'
import { byteTokenizerJson } from '../../../src/tokenizer/build.ts'
import { lineage } from '../../cli/run.ts'
import { backends } from '../../ops/backends.ts'
import { loadCheckpoint } from '../load-directory.ts'
import { memorySink } from '../memory-sink.ts'
import { fixtures } from '../raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-gguf-experts-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

/** Tiny published configurations, wide enough for blocks of 256. */
const WIDE = {
  hidden_size: 256,
  moe_intermediate_size: 256,
  intermediate_size: 256,
  num_hidden_layers: 2,
  vocab_size: 300,
  layer_types: undefined,
}
const MODELS: Record<string, object> = {
  'tiny-qwen3-moe': { num_experts: 6, num_experts_per_tok: 2 },
  'tiny-mixtral': { num_local_experts: 4, head_dim: 32 },
  'tiny-gpt-oss': { quantization_config: undefined },
  'tiny-deepseek-v3': {},
  'tiny-deepseek-moe': {},
}
const TYPES = Object.keys(BLOCK_FORMATS).filter((dtype) => !dtype.endsWith('_groups')) as BlockDType[]

/** A GGUF file with experts in f32, made once for every model. */
const plain = new Map<string, Promise<string>>()
function plainFile(name: string): Promise<string> {
  const make = async () => {
    const directory = join(temporary, name)
    const config = { ...JSON.parse(readFileSync(join(fixtures, name, 'config.json'), 'utf8')), ...WIDE, ...MODELS[name] }
    await synthesizeCheckpoint({ ...configFromJson(config, name), expertDtype: 'f32', dtype: 'f32' }, directory, { threads: 1 })
    const bytes = JSON.parse(JSON.stringify(byteTokenizerJson(['<s>', '</s>'])))
    writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify(bytes))
    writeFileSync(
      join(directory, 'tokenizer_config.json'),
      JSON.stringify({ bos_token: '<s>', eos_token: '</s>', chat_template: '{% for m in messages %}{{ m.content }}{% endfor %}' }),
    )
    const out = join(temporary, `${name}.gguf`)
    await convertToGguf(directory, out, { experts: 'keep', threads: 1 })
    return out
  }
  if (!plain.has(name)) plain.set(name, make())
  return plain.get(name)!
}

/** Random blocks of a type, whose values are about as large as those of weights. */
function randomBlocks(dtype: BlockDType, count: number, seed: number): Uint8Array<ArrayBuffer> {
  const { bytes, bits, scale, offset, factor, table } = BLOCK_FORMATS[dtype]
  const random = randomOf(seed)
  const blocks = Uint8Array.from({ length: count * bytes }, () => Math.floor(random() * 256))
  const view = new DataView(blocks.buffer)
  // The largest number of a code, and of a factor.
  const largest = (table ? Math.max(...table) : 2 ** (bits - 1)) * (factor ? 2 ** (dtype === 'q6_k' ? 7 : dtype === 'q2_k' ? 4 : 5) : 1)
  for (let at = 0; at < blocks.length; at += bytes) {
    if (scale.format === 'e8m0') blocks[at + scale.at] = 118 + Math.floor(random() * 4)
    else view.setFloat16(at + scale.at, (0.15 / largest) * (0.5 + random()), true)
    if (offset && offset.at !== scale.at) view.setFloat16(at + offset.at, 0.02 * (offset.of ? 2 ** -5 : 1) * (random() - 0.3), true)
  }
  return blocks
}

/** The file with other experts: in a type, and as the f32 values of that. */
async function withExperts(file: string, dtype: BlockDType): Promise<{ packed: string; dequantised: string }> {
  const bytes = readFileSync(file)
  const { tensors, metadataEnd } = await readGgufHeader(bytesSource(bytes, file))
  const type = GGML_OF_DTYPE.get(dtype)!
  const write = (path: string, expertType: GgmlName, data: (blocks: Uint8Array<ArrayBuffer>) => Uint8Array): string => {
    const isExpert = (name: string) => name.endsWith('_exps.weight')
    const all = placed(
      [...tensors.values()].map(({ name, shape, dtype }) => ({ name, shape, type: isExpert(name) ? expertType : (dtype as GgmlName) })),
    )
    const header = headerBytes(bytes.subarray(0, metadataEnd), all)
    const last = all.at(-1)!
    const out = Buffer.alloc(header.length + alignedTo(last.offset + last.byteLength, 32))
    header.copy(out)
    for (const [n, { name, shape, offset }] of all.entries()) {
      const entry = tensors.get(name)!
      const blocks = () => randomBlocks(dtype, typeBytes(type, shape) / BLOCK_FORMATS[dtype].bytes, n)
      out.set(isExpert(name) ? data(blocks()) : bytes.subarray(entry.offset, entry.offset + entry.byteLength), header.length + offset)
    }
    writeFileSync(path, out)
    return path
  }
  return {
    packed: write(file.replace('.gguf', `-${dtype}.gguf`), type, (blocks) => blocks),
    dequantised: write(file.replace('.gguf', '-values.gguf'), 'F32', (blocks) => new Uint8Array(decodeBlocks(dtype, blocks).buffer)),
  }
}

const IDS = Int32Array.from([1, 72, 5, 200, 33, 250, 17, 99, 140])

async function logitsOf(path: string, backend: Awaited<ReturnType<(typeof backends)[number]['create']>>): Promise<Float32Array> {
  const { architecture, weights } = await loadCheckpoint(path, backend)
  const batch = { ids: IDS, slots: new Int32Array(IDS.length), positions: Int32Array.from(IDS.keys()) }
  return backend.run(() => forward(backend, architecture, weights, batch, { logitRows: Int32Array.from(IDS.keys()) }))
}

/** All types on one model, and the types of common files on the others. */
const COMMON: BlockDType[] = ['q8_0', 'q5_0', 'q4_k', 'q6_k', 'mxfp4_gguf']
for (const name of Object.keys(MODELS))
  describe(name, () => {
    for (const dtype of name === 'tiny-qwen3-moe' ? TYPES : COMMON)
      test(`experts in ${dtype}`, async () => {
        const { packed, dequantised } = await withExperts(await plainFile(name), dtype)
        const reference = await backends[0]!.create()
        const wanted = await logitsOf(dequantised, reference)
        await reference.dispose()
        const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
        for (const { name: backendName, create, tolerance } of backends.slice(0, 2)) {
          const backend = await create()
          const logits = await logitsOf(packed, backend)
          const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(logits[i]! - value)), 0)
          await backend.dispose()
          assert.ok(
            worst <= tolerance * largest,
            `${backendName}: differs by ${worst / largest} of the largest logit, allowed ${tolerance}`,
          )
        }
      })
  })

test('experts in tensors of their own, as old files have them, are the same weights; another number of them is a named error', async () => {
  const stacked = fileURLToPath(new URL('../../fixtures/gguf/tiny-mixtral.gguf', import.meta.url))
  const bytes = readFileSync(stacked)
  const { tensors, metadataEnd } = await readGgufHeader(bytesSource(bytes, stacked))
  const apart = [...tensors.values()].flatMap(({ name, shape, dtype, offset, byteLength }) => {
    const [, part] = /^(.*)_exps\.weight$/.exec(name) ?? []
    const count = part === undefined ? 1 : shape[0]!
    return Array.from({ length: count }, (_, expert) => ({
      name: part === undefined ? name : `${part}.${expert}.weight`,
      shape: part === undefined ? shape : shape.slice(1),
      type: dtype as GgmlName,
      data: bytes.subarray(offset + (expert * byteLength) / count, offset + ((expert + 1) * byteLength) / count),
    }))
  })
  const metadata = Buffer.from(bytes.subarray(0, metadataEnd))
  metadata.writeBigUInt64LE(BigInt(apart.length), 8)
  const all = placed(apart)
  const header = headerBytes(metadata, all)
  const last = all.at(-1)!
  const old = Buffer.alloc(header.length + alignedTo(last.offset + last.byteLength, 32))
  header.copy(old)
  for (const { data, offset } of all) old.set(data, header.length + offset)
  const path = join(temporary, 'apart.gguf')
  writeFileSync(path, old)
  const [wanted, found] = [memorySink(), memorySink()]
  await loadCheckpoint(stacked, wanted)
  await loadCheckpoint(path, found)
  assert.deepEqual([...found.held.keys()].sort(), [...wanted.held.keys()].sort())
  for (const [name, { bytes }] of wanted.held) assert.deepEqual(found.held.get(name)!.bytes, bytes, name)
  const key = Buffer.from('expert_count')
  old.writeUInt32LE(13_434_888, old.indexOf(key) + key.length + 4)
  writeFileSync(path, old)
  await assert.rejects(
    loadCheckpoint(path, memorySink()),
    /expected 6, as blk\.N\.ffn_down\.E\.weight has, in the metadata "llama\.expert_count", got 13434888/,
  )
})

for (const [name, dtype, shown] of [
  ['tiny-qwen3-moe', 'q4_k', 'Q4_K'],
  ['tiny-mixtral', 'q6_k', 'Q6_K'],
  ['tiny-deepseek-v3', 'q5_0', 'Q5_0'],
] as const)
  test(`${name} with experts in ${shown}: inspect counts them, serve answers as the library does`, async () => {
    const { packed } = await withExperts(await plainFile(name), dtype)
    const { code, out } = lineage(['inspect', packed])
    assert.equal(code, 0)
    assert.match(out, new RegExp(`expert weights +${shown}`))
    const { tensors } = await readGgufHeader(bytesSource(readFileSync(packed), packed))
    const bytes = [...tensors.values()].filter((one) => one.dtype === shown).reduce((sum, one) => sum + one.byteLength, 0)
    assert.ok(out.includes(`${binary(bytes)} ${shown}`), `expected ${binary(bytes)} of ${shown}`)

    await using model = await load(packed, { threads: 1, context: 128 })
    const generation = model.generate('Experts', { maxTokens: 6, sampling: { temperature: 0 } })
    const text = (await Array.fromAsync(generation)).join('')
    const app = createApp({ models: [{ id: name, load: () => loadModel(packed, { threads: 1, context: 128 }) }] })
    const body = JSON.stringify({ model: name, prompt: 'Experts', max_tokens: 6, temperature: 0 })
    const headers = { 'content-type': 'application/json' }
    const answer = await app.fetch(new Request('http://localhost/v1/completions', { method: 'POST', headers, body }))
    assert.equal(answer.status, 200)
    assert.equal(((await answer.json()) as { choices: { text: string }[] }).choices[0]!.text, text)
    await app.close()
  })
