/** Who gets a slot and who gets rows: keys take turns, readers before those that do not read, prompts in the order in which they came. */
import assert from 'node:assert/strict'
import { describe, mock, test } from 'node:test'
import { createEngine, type EngineOptions, type Generation } from '../../src/engine/engine.ts'
import { greedy, NEVER, someIds, tiny } from './model.ts'

const CHECKPOINTS = ['tiny-gpt-oss', 'tiny-qwen3'] // with sliding layers and without
const ANSWER = 270 // more than may wait for a reader

for (const checkpoint of CHECKPOINTS) {
  describe(checkpoint, async () => {
    const model = await tiny(checkpoint)
    const { vocabSize } = model.architecture
    const prompt = someIds(20, vocabSize)
    const engineOf = (options: Partial<EngineOptions> = {}) => createEngine({ ...model, context: 700, slots: 2, chunk: 16, ...options })

    test('answers that nobody reads give their slots to others, and continue with the same ids', async () => {
      const engine = await engineOf()
      const unread = [1, 2].map((seed) => engine.generate([...prompt, seed], { ...NEVER, maxTokens: ANSWER }))
      const iterators = unread.map((generation) => generation[Symbol.asyncIterator]())
      await Promise.all(iterators.map((iterator) => iterator.next()))
      const others = [3, 4, 5].map((seed) => engine.generate(someIds(9, vocabSize, seed), { ...NEVER, maxTokens: 6 }))
      for (const [n, other] of others.entries())
        assert.deepEqual((await other.result).ids, await greedy(model, someIds(9, vocabSize, n + 3), 6))
      for (const iterator of iterators) while (!(await iterator.next()).done);
      const alone = await engineOf()
      for (const [n, generation] of unread.entries()) {
        const { ids, reason, promptTokens } = await generation.result
        assert.deepEqual([reason, ids.length, promptTokens], ['length', ANSWER, 21])
        assert.deepEqual(ids, (await alone.generate([...prompt, n + 1], { ...NEVER, maxTokens: ANSWER }).result).ids)
      }
      assert.equal(engine.load().promptTokens, 2 * 21 + 3 * 9) // a continued answer is counted once
      await Promise.all([engine.close(), alone.close()])
    })
  })
}

describe('turns', async () => {
  const model = await tiny('tiny-qwen3')
  const { vocabSize } = model.architecture
  const engineOf = (options: Partial<EngineOptions> = {}) => createEngine({ ...model, context: 700, slots: 2, chunk: 64, ...options })

  /** The names in the order in which their generations ended. */
  async function order(generations: Record<string, Generation>): Promise<string[]> {
    const names: string[] = []
    await Promise.all(Object.entries(generations).map(([name, { result }]) => result.then(() => names.push(name))))
    return names
  }

  for (const waiting of [3, 12])
    test(`a key that comes behind ${waiting} answers of another key is next`, async () => {
      const engine = await engineOf({ slots: 1 })
      const ask = (cacheKey: string, n: number) => engine.generate(someIds(8, vocabSize, n), { ...NEVER, cacheKey, maxTokens: 4 })
      const first = Object.fromEntries(Array.from({ length: waiting }, (_, n) => [`a${n}`, ask('a', n)]))
      const ahead: (number | undefined)[] = []
      const late = engine.generate(someIds(8, vocabSize, 50), {
        ...NEVER,
        cacheKey: 'b',
        maxTokens: 4,
        onQueue: (place) => ahead.push(place),
      })
      const ended = await order({ ...first, b0: late, b1: ask('b', 51) })
      assert.deepEqual(ended.slice(0, 4), ['a0', 'b0', 'a1', 'b1'])
      assert.deepEqual([ahead[0], ahead.at(-1)], [0, undefined]) // from the start only the running one is before it
      await engine.close()
    })

  test('a key without slots gets one of a key that has had its turn on several', async () => {
    const engine = await engineOf({ context: 40_000 })
    const started = performance.now()
    const greedyKey = [1, 2, 3].map((n) => engine.generate(someIds(8, vocabSize, n), { ...NEVER, cacheKey: 'a', maxTokens: 39_000 }))
    const other = await engine.generate(someIds(8, vocabSize, 9), { ...NEVER, cacheKey: 'b', maxTokens: 4 }).result
    assert.deepEqual(other.ids, await greedy(model, someIds(8, vocabSize, 9), 4))
    assert.ok(performance.now() - started < 8000)
    assert.ok(engine.load().running + engine.load().waiting >= 3) // none of the others has ended
    await engine.close()
    for (const generation of greedyKey) assert.equal((await generation.result).reason, 'abort')
  })

  for (const slots of [1, 2])
    test(`a key without slots gets one in its turn where ${slots} others have one each, and their answers stay the same`, async () => {
      const now = performance.now.bind(performance)
      const clock = mock.method(performance, 'now', () => 100 * now()) // eight seconds of a turn are 0.08 s
      const engine = await engineOf({ slots })
      const lengths = [400, 450].slice(0, slots)
      const long = lengths.map((maxTokens, n) =>
        engine.generate(someIds(8, vocabSize, n), { ...NEVER, cacheKey: `key ${n}`, maxTokens, sampling: { seed: n } }),
      )
      const ended: string[] = []
      for (const { result } of long) void result.then(() => ended.push('long'))
      const others = [7, 8].map((n) => engine.generate(someIds(8, vocabSize, n), { ...NEVER, cacheKey: `key ${n}`, maxTokens: 4 }))
      for (const [n, { result }] of others.entries())
        assert.deepEqual((await result).ids, await greedy(model, someIds(8, vocabSize, 7 + n), 4))
      assert.ok(ended.length < slots, 'not after all the others')
      const got = await Promise.all(long.map(async ({ result }) => (await result).ids))
      clock.mock.restore()
      const alone = await engineOf({ slots: 1 })
      for (const [n, maxTokens] of lengths.entries()) {
        const { ids } = await alone.generate(someIds(8, vocabSize, n), { ...NEVER, maxTokens, sampling: { seed: n } }).result
        assert.deepEqual(got[n], ids)
      }
      await Promise.all([engine.close(), alone.close()])
    })

  for (const count of [4, 8])
    test(`prompts of a burst of ${count} end one after another, those that came first before`, async () => {
      const engine = await engineOf({ slots: count })
      const steps: number[] = []
      const all = Array.from({ length: count }, (_, n) => engine.generate(someIds(100, vocabSize, n + 1), { ...NEVER, maxTokens: 1 }))
      const ended = await Promise.all(
        all.map(async ({ result }, n) => {
          await result
          steps[n] = engine.load().steps
        }),
      )
      assert.equal(ended.length, count)
      assert.deepEqual(
        steps,
        steps.toSorted((a, b) => a - b),
      )
      const total = steps.at(-1)!
      assert.ok(steps[0]! <= 2 && steps[count / 2 - 1]! <= Math.ceil(total / 2) + 1, steps.join(' '))
      await engine.close()
    })

  test('a step ends with the first prompt that it completes, so that its id does not wait for the rows of others', async () => {
    const engine = await engineOf({ slots: 4, chunk: 512 })
    const steps: number[] = []
    const all = [1, 2, 3, 4].map((n) => engine.generate(someIds(150, vocabSize, n), { ...NEVER, maxTokens: 1 }))
    await Promise.all(all.map(({ result }, n) => result.then(() => (steps[n] = engine.load().steps))))
    assert.deepEqual(steps, [1, 2, 3, 4])
    await engine.close()
  })

  test('a short prompt behind a long one does not wait for it, and the long one goes on', async () => {
    const engine = await engineOf({ slots: 3 })
    const long = engine.generate(someIds(650, vocabSize, 1), { ...NEVER, maxTokens: 1 })
    const short = engine.generate(someIds(30, vocabSize, 2), { ...NEVER, maxTokens: 1 })
    await short.result
    assert.ok(engine.load().steps <= 5, `${engine.load().steps} steps`)
    await long.result
    assert.ok(engine.load().steps <= 12, `${engine.load().steps} steps`)
    await engine.close()
  })
})
