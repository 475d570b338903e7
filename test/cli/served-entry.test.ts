import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { servedEntries } from '../../src/cli/support/served-entry.ts'

const models = join(import.meta.dirname, '../../models')
const fixtures = join(import.meta.dirname, '../fixtures/checkpoints')

describe("the bytes of a model's KV cache are known before it is loaded", () => {
  for (const [directory, options] of [
    [join(models, 'abacus'), { parallel: 3 }],
    [join(models, 'abacus'), { parallel: 1, context: 200 }],
    [join(models, 'abacus'), { parallel: 2, precision: 'fast' }],
  ] as const) {
    test(`${directory.slice(directory.lastIndexOf('/') + 1)}, ${JSON.stringify(options)}`, async () => {
      for (const backend of ['wasm', 'reference'] as const) {
        const entry = (await servedEntries(directory, { ...options, backend, threads: 1 }))[0]!
        const model = await entry.load()
        const { caches } = (model as unknown as { backend: { memory(): { caches: number } } }).backend.memory()
        assert.ok(caches > 0)
        assert.equal(entry.cacheBytes, caches, backend)
        assert.ok(model.memoryBytes!() > caches)
        await model.engine.close()
        await model.dispose()
      }
    })
  }
  test('sliding windows are rings', async () => {
    const bytes = async (context: number) =>
      (await servedEntries(join(fixtures, 'tiny-gpt-oss'), { parallel: 1, context, backend: 'wasm' }))[0]!.cacheBytes!
    assert.ok((await bytes(2048)) < 2 * (await bytes(1024)))
  })
})
