/** What went wrong in an engine once: errors of one caller that ended others, prompts that starved, keys and ids that were taken for others. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createEngine, type Driver, type Engine, type EngineOptions, type GeneratedToken } from '../../src/engine/engine.ts'
import type { Backend } from '../../src/ops/backend.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { greedy, NEVER, someIds, tiny } from './model.ts'

describe('reported', async () => {
  const model = await tiny('tiny-llama')
  const { vocabSize } = model.architecture
  const engineOf = (options: Partial<EngineOptions> = {}): Promise<Engine> =>
    createEngine({ ...model, context: 128, slots: 2, chunk: 16, ...options })

  test('an error of onQueue ends its own generation, in the queue and at its end', async () => {
    const engine = await engineOf({ slots: 1 })
    const throwing = (when: number | undefined) => (ahead: number | undefined) => {
      if (ahead === when) throw new Error(`at ${when}`)
    }
    const first = engine.generate(someIds(5, vocabSize), { ...NEVER, maxTokens: 20 })
    const waiting = engine.generate(someIds(5, vocabSize, 2), { ...NEVER, maxTokens: 5, onQueue: throwing(0) })
    const starting = engine.generate(someIds(5, vocabSize, 3), { ...NEVER, maxTokens: 5, onQueue: throwing(undefined) })
    const last = engine.generate(someIds(5, vocabSize, 4), { ...NEVER, maxTokens: 5 })
    await Promise.all([assert.rejects(waiting.result, /at 0/), assert.rejects(starting.result, /at undefined/)])
    assert.deepEqual((await first.result).ids, await greedy(model, someIds(5, vocabSize), 20))
    assert.deepEqual((await last.result).ids, await greedy(model, someIds(5, vocabSize, 4), 5))
    await engine.close()
  })

  for (const [slots, chunk] of [
    [2, 1],
    [5, 4],
  ] as const)
    test(`a prompt goes on where ${slots - 1} running sequences fill a chunk of ${chunk}`, async () => {
      const engine = await engineOf({ slots, chunk })
      const running = Array.from({ length: slots - 1 }, (_, n) => engine.generate(someIds(2, vocabSize, n), { ...NEVER, maxTokens: 60 }))
      await running[0]![Symbol.asyncIterator]().next()
      const before = engine.load().steps
      const prompt = someIds(4, vocabSize, 9)
      const { ids } = await engine.generate(prompt, { ...NEVER, maxTokens: 3 }).result
      assert.ok(engine.load().steps - before <= 12, `${engine.load().steps - before} steps`)
      assert.deepEqual(ids, await greedy(model, prompt, 3))
      await engine.close()
    })

  test('a driver stops at a forced id, and forces more after one', async () => {
    const engine = await engineOf()
    const prompt = someIds(6, vocabSize)
    const [drawn] = await greedy(model, prompt, 1)
    const run = async (next: Record<number, 'stop' | number[]>, maxTokens = 20) => {
      const taken: string[] = []
      const driver: Driver<GeneratedToken> = {
        take({ id, forced }) {
          taken.push(forced ? `${id}` : 'drawn')
          return forced ? { next: next[id] } : { next: taken.length === 1 ? [7, 8] : 'stop' }
        },
      }
      const { ids, reason } = await engine.generate(prompt, { ...NEVER, driver, maxTokens }).result
      assert.equal(ids.length, taken.length)
      return { ids, reason, taken }
    }
    assert.deepEqual(await run({ 7: 'stop' }), { ids: [drawn, 7], reason: 'stop', taken: ['drawn', '7'] })
    const more = await run({ 7: [10, 11], 10: [12], 12: 'stop' })
    assert.deepEqual(more.taken, ['drawn', '7', '8', '10', '11', '12'])
    assert.equal(more.reason, 'stop')
    const undone = await run({ 8: [10] })
    assert.deepEqual(undone.taken, ['drawn', '7', '8', '10', 'drawn'])
    assert.deepEqual(undone.ids.slice(4), await greedy(model, [...prompt, ...undone.ids.slice(0, 4)], 1))
    assert.deepEqual((await run({ 7: [7] }, 9)).reason, 'length')
    await engine.close()
  })

  test('no cache key is taken for one of an adapter', async () => {
    const engine = await engineOf({ adapters: { a: model.weights, null: model.weights } })
    const prompt = someIds(20, vocabSize)
    const cached = async (engine: Engine, cacheKey: string) =>
      (await engine.generate(prompt, { ...NEVER, maxTokens: 1, cacheKey }).result).cachedTokens
    assert.equal(await cached(engine.withAdapter('a'), 'k'), 0)
    assert.equal(await cached(engine, 'a\0k'), 0)
    assert.equal(await cached(engine.withAdapter('null'), 'a\0k'), 0)
    assert.equal(await cached(engine, 'a\0k'), 19)
    await engine.close()
  })

  test('a model that could not be named once is named the next time', async () => {
    let broken = true
    const backend: Backend = {
      ...model.backend,
      run: (...given) => (broken ? Promise.reject(new Error('no memory now')) : model.backend.run(...given)),
    }
    const engine = await engineOf({ backend, slots: 1 })
    await engine.generate(someIds(5, vocabSize), { ...NEVER, maxTokens: 3 }).result
    const save = () => engine.slots.save(async () => {})
    await assert.rejects(save(), /no memory now/)
    broken = false
    assert.equal((await save()).positions, 7)
    await engine.close()
  })

  test('an engine that is closed twice frees its cache once', async () => {
    const backend = createReferenceBackend()
    const engine = await createEngine({ ...(await tiny('tiny-llama', backend)), context: 32, slots: 1 })
    assert.ok(backend.memory().caches > 0)
    await Promise.all([engine.close(), engine.close()])
    await engine.close()
    assert.equal(backend.memory().caches, 0)
  })
})
