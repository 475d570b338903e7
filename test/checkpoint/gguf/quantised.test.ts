/**
 * Files that llama.cpp quantised: a Llama and a Qwen3 of width 256 with random weights, in twelve types. Their golden values are those of
 * transformers in float32 from the dequantised weights. Two of the files are fixtures, the others are tested where the shared vectors are.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { forward } from '../../../src/model/transformer.ts'
import { readGolden } from '../../model/read-golden.ts'
import { backends } from '../../ops/backends.ts'
import { loadCheckpoint } from '../load-directory.ts'

const folders = ['../../fixtures/gguf/', '../../../../shared/vectors/gguf/'].map((path) => fileURLToPath(new URL(path, import.meta.url)))
const files = new Map<string, string>()
for (const folder of folders.filter((path) => existsSync(path)))
  for (const file of readdirSync(folder)) {
    const name = /^(wide-.+)\.gguf$/.exec(file)?.[1]
    if (name && !files.has(name)) files.set(name, folder)
  }

assert.ok(files.size >= 2, 'the fixtures are there')
for (const { name: backendName, create, tolerance } of backends)
  describe(`golden values on ${backendName}`, async () => {
    const backend = await create()
    after(() => backend.dispose())
    for (const [name, folder] of files)
      test(name, async () => {
        const { architecture, weights } = await loadCheckpoint(`${folder}${name}.gguf`, backend)
        const golden = readGolden(`${folder}${name}.golden.safetensors`)
        assert.ok(golden.ids.length > 0)
        for (const [n, ids] of golden.ids.entries()) {
          const wanted = golden.logits[n]!
          const rows = wanted.length / architecture.vocabSize
          const batch = { ids, slots: new Int32Array(ids.length), positions: Int32Array.from(ids.keys()) }
          const logitRows = Int32Array.from({ length: rows }, (_, row) => ids.length - rows + row)
          const logits = await backend.run(() => forward(backend, architecture, weights, batch, { logitRows }))
          const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
          const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(logits[i]! - value)), 0)
          assert.ok(worst <= tolerance * largest, `prompt ${n}: differs by ${worst / largest} of the largest logit, allowed ${tolerance}`)
        }
      })
  })
