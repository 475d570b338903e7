/** What the public forward pass promises beside its golden values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createReferenceBackend, createWasmBackend, forward, initialize, preset } from '../../src/index.ts'

const published = preset('gpt2')!
const gpt2 = { ...published, vocabSize: 300, layers: published.layers.slice(0, 1) }
const batch = { ids: Int32Array.of(5, 17, 290, 5), slots: new Int32Array(4), positions: Int32Array.of(0, 1, 2, 3) }

test('an architecture with dropout runs the same way twice and on every backend', async () => {
  assert.equal(gpt2.dropout.attention, 0.1)
  const [reference, wasm] = [createReferenceBackend(), await createWasmBackend({ threads: 0 })]
  const weights = await initialize(gpt2, reference, 1)
  const run = () => reference.read(forward(reference, gpt2, weights, batch))
  const first = await run()
  assert.deepEqual(await run(), first)
  const fast = await wasm.read(forward(wasm, gpt2, await initialize(gpt2, wasm, 1), batch))
  const largest = Math.max(...first.map(Math.abs))
  assert.ok(Math.max(...fast.map((value, i) => Math.abs(value - first[i]!))) <= 1e-4 * largest)
  // Who asks for dropout gets it where the ops have it, and an error where they do not.
  const dropped = await reference.read(forward(reference, gpt2, weights, batch, { dropout: gpt2.dropout }))
  assert.notDeepEqual(dropped, first)
  assert.throws(() => forward(wasm, gpt2, weights, batch, { dropout: gpt2.dropout }), /expected ops with dropout/)
  await wasm.dispose()
})
