/** Adapter directories that cannot be read are refused with file, tensor and reason; merged weights give what base and adapter give. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { openAdapter } from '../../src/checkpoint/adapter.ts'
import { AdapterError } from '../../src/checkpoint/adapter-config.ts'
import { openModel, readArchitecture } from '../../src/checkpoint/load.ts'
import { loadAdapter } from '../../src/checkpoint/load-adapter.ts'
import { mergedValues } from '../../src/checkpoint/merge.ts'
import { mergeAdapter } from '../../src/checkpoint/merge-node.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { forward } from '../../src/model/transformer.ts'
import { leaves } from '../../src/model/weights.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { readTensors } from '../model/read-golden.ts'
import { loadCheckpoint } from './load-directory.ts'
import { fixtures, rawTensors } from './raw-tensors.ts'
import { writeAdapter } from './write-adapter.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-adapter-'))
after(() => rmSync(temporary, { recursive: true, force: true }))
const adapters = join(import.meta.dirname, '../fixtures/adapters')
let count = 0
const fresh = () => join(temporary, String(count++))

describe('refused by name', async () => {
  const architecture = await readArchitecture(await fileFolder(join(fixtures, 'tiny-llama')))
  const q = { 'model.layers.0.self_attn.q_proj': [64, 64] as [number, number] }
  const cases: [string, () => Promise<string>, RegExp][] = [
    ['another kind of adapter', () => writeAdapter(fresh(), q, { peft_type: 'IA3' }), /adapter_config\.json.*peft_type.*"LORA".*"IA3"/],
    ['DoRA', () => writeAdapter(fresh(), q, { use_dora: true }), /use_dora.*not built/],
    ['biases of LoRA itself', () => writeAdapter(fresh(), q, { lora_bias: true }), /lora_bias.*not built/],
    ['repeated layers', () => writeAdapter(fresh(), q, { layer_replication: [[0, 2]] }), /layer_replication.*not built/],
    [
      'a start that changed the base',
      () => writeAdapter(fresh(), q, { init_lora_weights: 'pissa_niter_4' }),
      /init_lora_weights.*changed the base/,
    ],
    ['no rank', () => writeAdapter(fresh(), q, { r: 0 }), /: r: expected a positive integer/],
    ['an alpha that is no number', () => writeAdapter(fresh(), q, { lora_alpha: 'big' }), /lora_alpha: expected a number/],
    ['another rank than in the config', () => writeAdapter(fresh(), q, { r: 3 }), /q_proj\.lora_A.*expected rank 3.*got 2 rows/],
    ['a rank pattern that contradicts', () => writeAdapter(fresh(), q, { rank_pattern: { q_proj: 7 } }), /expected rank 7/],
    [
      'a pattern that is no regular expression',
      () => writeAdapter(fresh(), q, { rank_pattern: { '(': 7 } }),
      /rank_pattern\.\(: expected a regular/,
    ],
    [
      'a pattern that could take for ever',
      () => writeAdapter(fresh(), q, { alpha_pattern: { '(a+)+': 7 } }),
      /alpha_pattern.*simple pattern/,
    ],
    [
      'a module that the model lacks',
      () => writeAdapter(fresh(), { 'model.layers.9.self_attn.q_proj': [64, 64] }),
      /got "model\.layers\.9\.self_attn\.q_proj", which the model does not have/,
    ],
    [
      'an adapter of a larger model',
      () => writeAdapter(fresh(), { 'model.layers.0.self_attn.q_proj': [128, 64] }, { base_model_name_or_path: 'big' }),
      /expected lora_A \[n, 64\] with lora_B \[64, n\], got \[2, 128\] and \[64, 2\].*"big"/,
    ],
    ['a half of a pair', () => without('lora_B'), /expected both lora_A and lora_B.*only lora_A/],
    [
      'no tensors',
      async () => {
        const directory = await writeAdapter(fresh(), q)
        rmSync(join(directory, 'adapter_model.safetensors'))
        return directory
      },
      /adapter_model\.safetensors/,
    ],
    [
      'a config that is no JSON',
      async () => {
        const directory = await writeAdapter(fresh(), q)
        writeFileSync(join(directory, 'adapter_config.json'), '{')
        return directory
      },
      /adapter_config\.json: expected JSON/,
    ],
    [
      'a file that is cut',
      async () => {
        const directory = await writeAdapter(fresh(), q)
        const file = join(directory, 'adapter_model.safetensors')
        writeFileSync(file, readFileSync(file).subarray(0, 300))
        return directory
      },
      /adapter_model\.safetensors/,
    ],
  ]
  /** An adapter without the tensors of one side. */
  async function without(side: string): Promise<string> {
    const directory = await writeAdapter(fresh(), q)
    const file = join(directory, 'adapter_model.safetensors')
    const bytes = readFileSync(file)
    const end = 8 + Number(bytes.readBigUInt64LE(0))
    const header = JSON.parse(bytes.toString('utf8', 8, end)) as Record<string, { data_offsets: number[] }>
    const kept = Object.entries(header).filter(([name]) => !name.includes(side))
    const text = JSON.stringify(Object.fromEntries(kept))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(text.length))
    const data = Math.max(...kept.flatMap(([, { data_offsets }]) => data_offsets ?? 0))
    writeFileSync(file, Buffer.concat([length, Buffer.from(text), bytes.subarray(end, end + data)]))
    return directory
  }
  for (const [name, make, message] of cases)
    test(name, async () => {
      const folder = await fileFolder(await make())
      await assert.rejects(openAdapter(folder, architecture), (error: Error) => {
        assert.match(error.message, message)
        return true
      })
    })
  test('names without the prefix of PEFT are read as well', async () => {
    const plan = await openAdapter(await fileFolder(await writeAdapter(fresh(), q, {}, { prefix: '' })), architecture)
    assert.deepEqual([...plan.lowRank.keys()], ['layers.0.attention.q'])
    await plan.close()
  })
})

/** Every saved weight is the one that the change of the adapter gives, to half a unit of the last place of its dtype. */
async function sameWithin(base: string, place: string, out: string) {
  const [before, after] = [await openModel(await fileFolder(base)), await openModel(await fileFolder(out))]
  const plan = await openAdapter(await fileFolder(place), before.architecture)
  const unchanged = { lowRank: new Map(), replaced: new Map() }
  for (const weight of leaves(after.tree)) {
    const own = leaves(before.tree).find(({ name }) => name === weight.name) ?? { ...before.tree.embed, name: weight.name }
    const [wanted, saved] = [await mergedValues(own, plan), await mergedValues(weight, unchanged)]
    const unit = { f32: 2 ** -24, bf16: 2 ** -8, f16: 2 ** -11, mxfp4: 0, int8: 0 }[
      weight.dtype as 'f32' | 'bf16' | 'f16' | 'mxfp4' | 'int8'
    ]
    const wrong = wanted.findIndex((value, i) => Math.abs(value - saved[i]!) > unit * Math.abs(value))
    assert.equal(wrong, -1, `${weight.name}[${wrong}]: ${wanted[wrong]} became ${saved[wrong]}`)
  }
  for (const { close } of [plan, before.checkpoint, after.checkpoint]) await close()
}

describe('lineage merge', () => {
  for (const name of readdirSync(adapters))
    test(name, async () => {
      const place = join(adapters, name)
      const base = join(fixtures, JSON.parse(readFileSync(join(place, 'adapter_config.json'), 'utf8')).base_model_name_or_path)
      const out = fresh()
      await mergeAdapter(base, place, out)
      const backend = createReferenceBackend()
      const merged = await loadCheckpoint(out, backend)
      const { architecture, weights } = await loadCheckpoint(base, backend)
      const adapted = await loadAdapter(await fileFolder(place), await fileFolder(base), architecture, weights, backend)
      const ids = Int32Array.from(readTensors(join(place, 'golden.safetensors')).ids!)
      const batch = { ids, slots: new Int32Array(ids.length), positions: ids.map((_, i) => i) }
      const [wanted, found] = await Promise.all([
        backend.run(() => forward(backend, architecture, adapted.weights, batch)),
        backend.run(() => forward(backend, merged.architecture, merged.weights, batch)),
      ])
      const largest = Math.max(...wanted.map(Math.abs))
      const worst = Math.max(...wanted.map((value, i) => Math.abs(value - found[i]!)))
      // Merged weights are rounded to the dtype of the base. The 8 bits of bf16 make a router choose other experts now and then.
      const allowed = architecture.dtype === 'f32' ? 1e-5 : name === 'lora-tiny-gpt-oss' ? 0.5 : 0.1
      assert.ok(worst <= allowed * largest, `differs by ${worst / largest} of the largest value`)
      await sameWithin(base, place, out)
      const [before, after] = [await rawTensors(base), await rawTensors(out)]
      const untouched = [...before].filter(([key, { data }]) => after.get(key)?.data.equals(data)).length
      assert.ok(untouched > 0, 'what the adapter does not change is copied')
      await backend.dispose()
    })
  test('refuses to write into its inputs, and leaves nothing after an error', async () => {
    const base = join(temporary, 'base')
    cpSync(join(fixtures, 'tiny-llama'), base, { recursive: true })
    const place = join(adapters, 'patterns')
    await assert.rejects(mergeAdapter(base, place, base), AdapterError)
    const out = fresh()
    await assert.rejects(mergeAdapter(base, join(adapters, 'experts'), out), AdapterError)
    assert.throws(() => readdirSync(out), /ENOENT/)
  })
})
