/**
 * Adapters of modules whose rows are matrices of the heads (DeepSeek's kv_b_proj), one of them transposed here: merged they are the published
 * matrix plus scale·B·A, and beside the base they give the logits of the merged model.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { decode } from '../../src/checkpoint/encode.ts'
import { loadAdapter } from '../../src/checkpoint/load-adapter.ts'
import { mergeAdapter } from '../../src/checkpoint/merge-node.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { forward } from '../../src/model/transformer.ts'
import type { Weights } from '../../src/model/weights.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { readTensors } from '../model/read-golden.ts'
import { loadCheckpoint } from './load-directory.ts'
import { rawTensors } from './raw-tensors.ts'
import { writeAdapter } from './write-adapter.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-heads-'))
after(() => rmSync(temporary, { recursive: true, force: true }))
const ids = Int32Array.from({ length: 21 }, (_, t) => (t * 37 + 5) % 120)
const batch = { ids, slots: new Int32Array(21), positions: Int32Array.from(ids.keys()) }

for (const base of ['deepseek/v3-one-expert', 'deepseek/v3-no-query-rank', 'deepseek/v2-one-group-of-many', 'checkpoints/tiny-deepseek-v3'])
  test(base, async () => {
    const directory = join(import.meta.dirname, '../fixtures', base)
    const published = await rawTensors(directory)
    const modules: Record<string, [number, number]> = {}
    for (const [name, { shape }] of published)
      if (/layers\.1\.self_attn\..*_(proj|mqa)\.weight$|shared_experts\..*\.weight$/.test(name) && !name.includes('layers.3.'))
        modules[name.replace(/\.weight$/, '')] = [shape[1]!, shape[0]!]
    const adapter = await writeAdapter(join(temporary, base), modules, { lora_alpha: 6 }, { rank: 3 })
    const out = join(temporary, `${base}-merged`)
    await mergeAdapter(directory, adapter, out)
    const [merged, changes] = [await rawTensors(out), readTensors(join(adapter, 'adapter_model.safetensors'))]
    for (const [module, [I, O]] of Object.entries(modules)) {
      const [was, is] = [published, merged].map((all) => decode(all.get(`${module}.weight`)!.data, all.get(`${module}.weight`)!.dtype))
      const [a, b] = ['A', 'B'].map((side) => changes[`base_model.model.${module}.lora_${side}.weight`]!)
      for (let o = 0; o < O; o++)
        for (let i = 0; i < I; i++) {
          let change = 0
          for (let r = 0; r < 3; r++) change += b![o * 3 + r]! * a![r * I + i]!
          const wanted = was![o * I + i]! + 2 * change
          assert.ok(
            Math.abs(is![o * I + i]! - wanted) <= Math.abs(wanted) / 256 + 1e-6,
            `${module} [${o}, ${i}]: ${is![o * I + i]} for ${wanted}`,
          )
        }
    }
    const backend = await createWasmBackend({ threads: 0 })
    const { architecture, weights } = await loadCheckpoint(directory, backend)
    const logits = (own: Weights) => backend.run(() => forward(backend, architecture, own, batch))
    const beside = await logits(
      (await loadAdapter(await fileFolder(adapter), await fileFolder(directory), architecture, weights, backend)).weights,
    )
    const whole = await logits((await loadCheckpoint(out, backend)).weights)
    const plain = await logits(weights)
    const distance = (x: Float32Array) => Math.sqrt(x.reduce((sum, v, i) => sum + (v - whole[i]!) ** 2, 0))
    // The merged weights are rounded to the dtype of the base.
    const allowed = architecture.dtype === 'f32' ? 1e-4 : 0.05
    assert.ok(distance(beside) <= allowed * distance(plain), `${distance(beside)} of ${distance(plain)}`)
    await backend.dispose()
  })
