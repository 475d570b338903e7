/** The engine on the wasm backend: reuse, batches and chunks change no answer, and no memory leaks. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { createEngine } from '../../src/engine/engine.ts'
import { logprobs } from '../../src/engine/logprobs.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { greedy, lastLogits, NEVER, someIds, tiny } from './model.ts'

describe('wasm', async () => {
  const backend = await createWasmBackend({ threads: 1 })
  after(() => backend.dispose())
  for (const checkpoint of ['tiny-gpt-oss', 'tiny-gemma3', 'tiny-qwen3', 'tiny-deepseek-v3']) {
    const model = await tiny(checkpoint, backend)
    const reference = await tiny(checkpoint)
    const { vocabSize } = model.architecture
    const prompt = someIds(70, vocabSize)

    test(`${checkpoint}: log-probabilities with reuse = those of the reference`, async () => {
      const engine = await createEngine({ ...model, context: 256, slots: 2, chunk: 16 })
      const first = await engine.generate(prompt, { ...NEVER, maxTokens: 60 }).result
      const turns = [
        [...prompt, ...first.ids, 3, 4, 5], // goes on
        [...prompt, ...first.ids.slice(0, 1), ...someIds(20, vocabSize, 3)], // drops most of the answer
        [...prompt.slice(0, 40), ...someIds(20, vocabSize, 4)], // shares the front
        prompt,
      ]
      for (const [n, ids] of turns.entries()) {
        const generation = engine.generate(ids, { ...NEVER, maxTokens: 1, logprobs: vocabSize })
        const wanted = logprobs(await lastLogits(reference, ids), 0)
        for await (const { top } of generation)
          for (const { id, logprob } of top!)
            assert.ok(Math.abs(logprob - wanted.of(id)) < 5e-3, `turn ${n}: ${logprob} for ${wanted.of(id)}`)
        if (n !== 2) assert.ok((await generation.result).cachedTokens >= 69, `turn ${n}`)
      }
      await engine.close()
    })

    test(`${checkpoint}: batched = alone`, async () => {
      const engine = await createEngine({ ...model, context: 128, slots: 4, chunk: 32 })
      const prompts = [1, 5, 40, 63, 2].map((length, n) => someIds(length, vocabSize, 10 + n))
      const results = await Promise.all(prompts.map((ids) => engine.generate(ids, { ...NEVER, maxTokens: 8 }).result))
      for (const [n, { ids }] of results.entries()) assert.deepEqual(ids, await greedy(reference, prompts[n]!, 8), `prompt ${n}`)
      await engine.close()
    })
  }

  test('a thousand turns leave no temporaries and no caches', async () => {
    const backend = await createWasmBackend({ threads: 0 })
    const model = await tiny('tiny-gpt-oss', backend)
    const before = backend.memory()
    const engine = await createEngine({ ...model, context: 64, slots: 2, chunk: 16 })
    const turn = (n: number) => engine.generate(someIds(3 + (n % 5), 512, n), { ...NEVER, maxTokens: 2 }).result
    for (let n = 0; n < 50; n++) await turn(n)
    const settled = backend.memory().temporaries
    for (let n = 0; n < 950; n++) await turn(n)
    assert.ok(backend.memory().temporaries <= settled + 65536, `${backend.memory().temporaries} after ${settled}`)
    await engine.close()
    assert.equal(backend.memory().caches, before.caches)
    await backend.dispose()
  })
})
