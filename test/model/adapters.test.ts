/** LoRA directories that PEFT wrote, against logits of transformers with PEFT, on every backend; and adapters of other shapes against merged weights. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadAdapter } from '../../src/checkpoint/load-adapter.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { forward } from '../../src/model/transformer.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'
import { backends } from '../ops/backends.ts'
import { readTensors } from './read-golden.ts'

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url))

for (const { name, create, tolerance } of backends) {
  describe(name, async () => {
    const backend = await create()
    after(() => backend.dispose())
    for (const name of readdirSync(`${fixtures}adapters`))
      test(name, async () => {
        const place = `${fixtures}adapters/${name}`
        const { base_model_name_or_path: base } = JSON.parse(readFileSync(`${place}/adapter_config.json`, 'utf8'))
        const directory = `${fixtures}checkpoints/${base}`
        const { architecture, weights } = await loadCheckpoint(directory, backend)
        const golden = readTensors(`${place}/golden.safetensors`)
        const adapter = await fileFolder(place)
        const adapted = await loadAdapter(adapter, await fileFolder(directory), architecture, weights, backend)
        const ids = Int32Array.from(golden.ids!)
        const batch = { ids, slots: new Int32Array(ids.length), positions: ids.map((_, i) => i) }
        const logits = await backend.run(() => forward(backend, architecture, adapted.weights, batch))
        near(logits, golden.logits!, tolerance)
      })
  })
}

function near(actual: Float32Array, expected: ArrayLike<number>, tolerance: number) {
  const largest = Math.max(...Array.from(expected, Math.abs))
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)))
  assert.ok(worst <= tolerance * largest, `differs by ${worst / largest} of the largest value, allowed ${tolerance}`)
}
