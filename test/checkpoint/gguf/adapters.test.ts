/** Adapters of PEFT for published models on GGUF files of these models: the logits that PEFT gives. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadIds } from '../../../src/load-model-node.ts'
import { forward } from '../../../src/model/transformer.ts'
import { readTensors } from '../../model/read-golden.ts'

const fixture = (path: string) => fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url))

for (const base of ['tiny-llama', 'tiny-qwen3', 'tiny-gpt-oss'])
  test(base, async () => {
    const adapter = fixture(`adapters/lora-${base}`)
    const model = await loadIds(fixture(`gguf/${base}.gguf`), { backend: 'reference', adapters: { adapter }, context: 64, slots: 1 })
    const { ids, logits: wanted } = readTensors(`${adapter}/golden.safetensors`) as { ids: Int32Array; logits: Float32Array }
    const { backend, architecture, adapters } = model
    const batch = { ids, slots: new Int32Array(ids.length), positions: Int32Array.from(ids.keys()) }
    const logits = await backend.run(() => forward(backend, architecture, adapters.adapter!.weights, batch))
    const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - logits[i]!)), 0)
    assert.equal(logits.length, wanted.length)
    assert.ok(worst <= 1e-4 * largest, `differs by ${worst / largest} of the largest logit`)
    await model.dispose()
  })
