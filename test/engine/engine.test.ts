/**
 * The engine against a plain loop: chunked, batched, cached, copied or restored, the ids and log-probabilities are the same.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isStateSpace, windowOf } from '../../src/architecture/slots.ts'
import {
  createEngine,
  type Driver,
  type Engine,
  type EngineOptions,
  type GeneratedToken,
  type GenerateOptions,
} from '../../src/engine/engine.ts'
import { logprobs } from '../../src/engine/logprobs.ts'
import { greedy, lastLogits, NEVER, someIds, type TestModel, tiny } from './model.ts'

const engineOf = (model: TestModel, options: Partial<EngineOptions> = {}): Promise<Engine> =>
  createEngine({ ...model, context: 256, slots: 3, chunk: 16, ...options })

async function collect(tokens: AsyncIterable<GeneratedToken>): Promise<GeneratedToken[]> {
  const all: GeneratedToken[] = []
  for await (const token of tokens) all.push(token)
  return all
}

for (const checkpoint of ['tiny-gpt-oss', 'tiny-gemma3', 'tiny-qwen3', 'tiny-gpt2', 'tiny-jamba']) {
  describe(checkpoint, async () => {
    const model = await tiny(checkpoint)
    const { vocabSize } = model.architecture
    const prompt = someIds(70, vocabSize)
    // Windows of these models are 12 and 16 positions: with chunks of 16, 70 positions and more wrap every ring.

    /** The whole distribution after `prompt`, from an engine, and how much of the prompt it reused. */
    const distribution = async (engine: Engine, ids: number[], options: GenerateOptions = {}) => {
      const generation = engine.generate(ids, { ...NEVER, maxTokens: 1, logprobs: vocabSize, ...options })
      const [token] = await collect(generation)
      return { top: token!.top!, cached: (await generation.result).cachedTokens }
    }
    const plain = async (ids: number[]) => logprobs(await lastLogits(model, ids), vocabSize).top

    test('chunked and cached = whole', async () => {
      const engine = await engineOf(model)
      const generation = engine.generate(prompt, { ...NEVER, maxTokens: 12 })
      const result = await generation.result
      assert.deepEqual(result.ids, await greedy(model, prompt, 12))
      assert.deepEqual(
        (await collect(generation)).map(({ id }) => id),
        result.ids,
      )
      assert.equal(result.reason, 'length')
      assert.deepEqual([result.promptTokens, result.cachedTokens, result.completionTokens], [70, 0, 12])
      await engine.close()
    })

    test('the next turn starts where the last one ended', async () => {
      const engine = await engineOf(model)
      const first = await engine.generate(prompt, { ...NEVER, maxTokens: 40 }).result
      const second = [...prompt, ...first.ids, ...someIds(9, vocabSize, 2)]
      const { top, cached } = await distribution(engine, second)
      assert.equal(cached, 70 + 39) // the last id was never computed
      assert.deepEqual(top, await plain(second))
      await engine.close()
    })

    test('a turn whose reasoning was dropped starts at the end of its prompt', async () => {
      const engine = await engineOf(model)
      const first = await engine.generate(prompt, { ...NEVER, maxTokens: 60 }).result
      const second = [...prompt, ...first.ids.slice(0, 1), ...someIds(20, vocabSize, 3)]
      const { top, cached } = await distribution(engine, second)
      assert.ok(cached >= 69, `${cached} of 71 common positions reused`)
      assert.deepEqual(top, await plain(second))
      // And back to the longer history, of which the front is still there.
      const third = [...prompt, ...first.ids]
      const again = await distribution(engine, third)
      assert.ok(again.cached >= 69)
      assert.deepEqual(again.top, await plain(third))
      await engine.close()
    })

    test('a prompt that shares only its front copies it and leaves the other conversation alone', async () => {
      const context = Math.min(1000, model.architecture.maxPositionEmbeddings)
      const engine = await engineOf(model, { context, slots: 2 })
      const [all, front] = context < 1000 ? [200, 85] : [700, 300]
      const long = someIds(all, vocabSize, 4)
      await engine.generate(long, { ...NEVER, maxTokens: 1 }).result
      const other = [...long.slice(0, front), ...someIds(5, vocabSize, 5)]
      const { top, cached } = await distribution(engine, other)
      const cut = model.architecture.layers.some((layer) => windowOf(layer) !== null || isStateSpace(layer.attention))
      assert.equal(cached, cut ? 256 : front) // sliding layers and states return to a snapshot on the way
      assert.deepEqual(top, await plain(other))
      const back = await distribution(engine, [...long, 1, 2])
      assert.ok(back.cached >= all - 1, `${back.cached} of ${all + 1}`)
      await engine.close()
    })

    test('the same prompt again computes one row; another key computes all', async () => {
      const engine = await engineOf(model)
      const first = await distribution(engine, prompt)
      const second = await distribution(engine, prompt)
      assert.deepEqual([first.cached, second.cached], [0, 69])
      assert.deepEqual(second.top, first.top)
      assert.equal((await distribution(engine, prompt, { cacheKey: 'somebody else' })).cached, 0)
      await engine.close()
    })

    test('batched = alone', async () => {
      const engine = await engineOf(model, { slots: 4 })
      const prompts = [1, 5, 17, 40, 63, 2].map((length, n) => someIds(length, vocabSize, 10 + n))
      const results = await Promise.all(prompts.map((ids, n) => engine.generate(ids, { ...NEVER, maxTokens: 3 + 2 * n }).result))
      for (const [n, { ids }] of results.entries()) assert.deepEqual(ids, await greedy(model, prompts[n]!, 3 + 2 * n), `prompt ${n}`)
      await engine.close()
    })

    test('scores = log-probabilities of the plain forward pass', async () => {
      const engine = await engineOf(model)
      const ids = prompt.slice(0, 40)
      const scores = await engine.score(ids, { top: 3 })
      assert.equal(scores.length, 39)
      for (const at of [0, 15, 31, 38]) {
        const expected = logprobs(await lastLogits(model, ids.slice(0, at + 1)), 3)
        assert.deepEqual(scores[at], { id: ids[at + 1], logprob: expected.of(ids[at + 1]!), top: expected.top })
      }
      await engine.close()
    })

    test('scores from an id on = the end of all scores; what goes before is computed once', async () => {
      const engine = await engineOf(model, { slots: 3 })
      const quiet = await engineOf(model, { slots: 1 })
      const context = prompt.slice(0, 60)
      const endings = [1, 2, 5, 3, 1].map((length, n) => someIds(length, vocabSize, 30 + n))
      const score = (ids: readonly number[]) => engine.score([...context, ...ids], { from: 60, top: 1 })
      const scores = [await score(endings[0]!), ...(await Promise.all(endings.slice(1).map(score)))]
      for (const [n, ids] of endings.entries())
        assert.deepEqual(scores[n], (await quiet.score([...context, ...ids], { top: 1 })).slice(59), `ending ${n}`)
      assert.equal(engine.load().cachedTokens, 4 * 59)
      assert.equal((await engine.score([...context, 1], { from: 60, cacheKey: 'somebody else' })).length, 1)
      assert.equal(engine.load().cachedTokens, 4 * 59)
      for (const from of [0, 61, 1.5]) await assert.rejects(engine.score([...context, 1], { from }), /from must be an integer from 1 to 60/)
      await Promise.all([engine.close(), quiet.close()])
    })
  })
}

describe('one engine', async () => {
  const model = await tiny('tiny-gpt-oss')
  const { vocabSize } = model.architecture
  const prompt = someIds(20, vocabSize)
  const expected = await greedy(model, prompt, 12)

  test('random load: every answer as if alone, also when others are aborted', async () => {
    const engine = await engineOf(model, { slots: 3, context: 128 })
    const quiet = await engineOf(model, { slots: 1, context: 128 })
    const random = someIds(400, 1000, 77)
    const draw = (limit: number) => random.pop()! % limit
    const system = someIds(30, vocabSize, 6)
    const jobs = Array.from({ length: 24 }, async (_, n) => {
      const ids = [...(n % 2 ? system : system.slice(0, 12)), ...someIds(1 + draw(40), vocabSize, 100 + n)]
      const maxTokens = 1 + draw(10)
      await new Promise((resolve) => setTimeout(resolve, draw(60)))
      if (n % 5 === 4) {
        const signal = AbortSignal.timeout(1 + draw(30))
        const { reason } = await engine.generate(ids, { ...NEVER, maxTokens: 60, signal }).result
        assert.ok(reason === 'abort' || reason === 'length')
        return
      }
      const { ids: answer } = await engine.generate(ids, { ...NEVER, maxTokens }).result
      return { n, answer, alone: () => quiet.generate(ids, { ...NEVER, maxTokens, cacheKey: `${n}` }).result }
    })
    for (const job of await Promise.all(jobs)) if (job) assert.deepEqual(job.answer, (await job.alone()).ids, `job ${job.n}`)
    const { running, waiting, cachedTokens } = engine.load()
    assert.deepEqual([running, waiting], [0, 0])
    assert.ok(cachedTokens > 0)
    await engine.close()
    await quiet.close()
  })

  test('the same prompt several times at once is computed once', async () => {
    const engine = await engineOf(model, { slots: 4 })
    const ids = someIds(100, vocabSize, 8)
    const results = await Promise.all([1, 2, 3, 4].map(() => engine.generate(ids, { ...NEVER, maxTokens: 2 }).result))
    // The others join once at most 32 rows are missing, at the end of a chunk of 16.
    const [first, ...others] = results.map(({ cachedTokens }) => cachedTokens)
    assert.equal(first, 0)
    for (const cached of others) assert.ok(cached >= 99 - 32, `${cached} of 99`)
    assert.equal(new Set(results.map(({ ids }) => ids.join())).size, 1)
    await engine.close()
  })

  test('a long prompt does not stall a running answer', async () => {
    const engine = await engineOf(model, { chunk: 64, context: 600, maxStallMs: 0 })
    const short = engine.generate(prompt, { ...NEVER, maxTokens: 30 })
    const tokens = short[Symbol.asyncIterator]()
    await tokens.next()
    const before = engine.load().steps
    const long = engine.generate(someIds(500, vocabSize, 9), { ...NEVER, maxTokens: 1 })
    await Promise.all([short.result, tokens.return!()])
    // 29 more ids, one per step, each beside a piece of at least 16 rows of the long prompt.
    assert.ok(engine.load().steps - before <= 31, `${engine.load().steps - before} steps`)
    assert.equal((await long.result).completionTokens, 1)
    await engine.close()
  })

  test('a long prompt does not stall a short one', async () => {
    const engine = await engineOf(model, { chunk: 32, context: 900 })
    const long = engine.generate(someIds(800, vocabSize, 9), { ...NEVER, maxTokens: 1 })
    while (engine.load().steps < 2) await new Promise((resolve) => setImmediate(resolve))
    const before = engine.load().steps
    const short = await engine.generate(prompt, { ...NEVER, maxTokens: 2 }).result
    assert.deepEqual(short.ids, expected.slice(0, 2))
    assert.ok(engine.load().steps - before <= 4, `${engine.load().steps - before} steps`)
    assert.equal((await long.result).completionTokens, 1)
    await engine.close()
  })

  test('stop ids, limits and the context end a generation with their reason', async () => {
    const engine = await engineOf(model, { context: 26 })
    const stop = expected.findIndex((id, n) => n > 0 && expected.indexOf(id) === n)
    const stopped = await engine.generate(prompt, { stopIds: [expected[stop]!] }).result
    assert.deepEqual([stopped.reason, stopped.ids], ['stop', expected.slice(0, stop + 1)])
    const limited = await engine.generate(prompt, { ...NEVER, maxTokens: 2 }).result
    assert.deepEqual([limited.reason, limited.ids], ['length', expected.slice(0, 2)])
    const full = await engine.generate(prompt, NEVER).result
    assert.deepEqual([full.reason, full.ids], ['context', expected.slice(0, 6)])
    await engine.close()
  })

  test('a driver may stop and may force ids, which go through the model like a prompt', async () => {
    const engine = await engineOf(model)
    const counting = (next: (drawn: number) => 'stop' | number[] | undefined): Driver<GeneratedToken> => {
      let drawn = 0
      return { take: (token) => ({ events: [token], next: token.forced ? undefined : next(++drawn) }) }
    }
    const stopped = await engine.generate(prompt, { ...NEVER, driver: counting((drawn) => (drawn === 3 ? 'stop' : undefined)) }).result
    assert.deepEqual([stopped.reason, stopped.ids], ['stop', expected.slice(0, 3)])
    const force = [7, 8, 9, 10]
    const tokens = await collect(
      engine.generate(prompt, {
        ...NEVER,
        maxTokens: 8,
        driver: counting((drawn) => (drawn === 2 ? force : undefined)),
      }),
    )
    const ids = tokens.map(({ id }) => id)
    assert.deepEqual(ids.slice(0, 6), [...expected.slice(0, 2), ...force])
    assert.deepEqual(
      tokens.map(({ forced }) => forced ?? false),
      [false, false, true, true, true, true, false, false],
    )
    assert.deepEqual(ids.slice(6), await greedy(model, [...prompt, ...ids.slice(0, 6)], 2))
    await engine.close()
  })

  test('masks see every id before the next draw', async () => {
    const engine = await engineOf(model)
    const seen: number[] = []
    let taken = 0
    const driver: Driver<never> = {
      mask() {
        seen.push(taken)
        const mask = new Uint32Array(Math.ceil(vocabSize / 32))
        for (const id of [3 * taken, 3 * taken + 200]) mask[id >> 5]! |= 1 << (id & 31)
        return mask
      },
      take() {
        taken++
        return {}
      },
    }
    const { ids } = await engine.generate(prompt, { ...NEVER, maxTokens: 6, sampling: { temperature: 1, seed: 5 }, driver }).result
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5])
    for (const [n, id] of ids.entries()) assert.ok(id === 3 * n || id === 3 * n + 200)
    const nothing = engine.generate(prompt, {
      driver: { mask: () => new Uint32Array(1), take: (token: GeneratedToken) => ({ events: [token] }) },
    })
    await assert.rejects(nothing.result, /no id can be drawn/)
    await assert.rejects(collect(nothing), /no id can be drawn/)
    await engine.close()
  })

  test('a driver masks, forces and stops; the iteration yields its events, and forced ids are taken too', async () => {
    const engine = await engineOf(model)
    const left: number[] = []
    const driver: Driver<string> = {
      mask(tokensLeft) {
        left.push(tokensLeft)
        return undefined
      },
      take: ({ id, forced }) => ({
        events: forced ? [`forced ${id}`, 'and more'] : left.length === 2 ? [] : [`drew ${id}`],
        next: forced ? undefined : left.length === 1 ? [7, 8] : left.length === 3 ? 'stop' : [],
      }),
    }
    const generation = engine.generate(prompt, { ...NEVER, maxTokens: 9, driver })
    const events: string[] = []
    for await (const event of generation) events.push(event)
    const { ids, reason } = await generation.result
    assert.deepEqual([reason, ids.slice(0, 3), ids.length], ['stop', [expected[0], 7, 8], 5])
    assert.deepEqual(events, [`drew ${ids[0]}`, 'forced 7', 'and more', 'forced 8', 'and more', `drew ${ids[4]}`])
    assert.deepEqual(left, [9, 6, 5])
    left.length = 0
    await engine.generate(someIds(250, vocabSize), { stopIds: [], driver: { ...driver, take: () => ({}) } }).result
    assert.deepEqual(left, [6, 5, 4, 3, 2, 1]) // what a context of 256 leaves
    await engine.close()
  })

  test('a failing driver ends its own generation only', async () => {
    const engine = await engineOf(model)
    const bad = engine.generate(prompt, {
      driver: {
        take: () => {
          throw new Error('no more')
        },
      },
    })
    const good = engine.generate(prompt, { ...NEVER, maxTokens: 12 })
    await assert.rejects(bad.result, /no more/)
    assert.deepEqual((await good.result).ids, expected)
    await engine.close()
  })

  test('a waiting generation learns how many are ahead, and when it gets a slot', async () => {
    const engine = await engineOf(model, { slots: 1 })
    const reports: (number | undefined)[][] = [[], [], []]
    const leaving = new AbortController()
    const all = reports.map((own, i) =>
      engine.generate(someIds(20 + i, vocabSize), {
        ...NEVER,
        maxTokens: 3,
        onQueue: (ahead) => {
          own.push(ahead)
          if (i === 2 && ahead === 1) leaving.abort()
        },
        signal: i === 1 ? leaving.signal : undefined,
      }),
    )
    const reasons = await Promise.all(all.map(async ({ result }) => (await result).reason))
    assert.deepEqual(reasons, ['length', 'abort', 'length'])
    assert.deepEqual(reports, [[undefined], [0], [1, 0, undefined]])
    await engine.close()
  })

  test('same seed, same ids, whatever runs beside and whatever is cached', async () => {
    const engine = await engineOf(model)
    const options: GenerateOptions = { ...NEVER, maxTokens: 10, sampling: { temperature: 1.5, topP: 0.95, seed: 42 } }
    const alone = await engine.generate(prompt, options).result
    const others = [1, 2, 3].map((seed) =>
      engine.generate(someIds(33, vocabSize, seed), { ...options, sampling: { temperature: 1, seed } }),
    )
    assert.deepEqual((await engine.generate(prompt, options).result).ids, alone.ids)
    assert.equal(alone.seed, 42)
    for (const other of others) await other.result
    const unseeded = await engine.generate(prompt, { ...options, sampling: { temperature: 1.5 } }).result
    const repeated = await engine.generate(prompt, { ...options, sampling: { temperature: 1.5, seed: unseeded.seed } }).result
    assert.deepEqual(repeated.ids, unseeded.ids)
    await engine.close()
  })

  test('an aborted generation keeps its ids and frees its slot within a step', async () => {
    const engine = await engineOf(model, { slots: 1 })
    const controller = new AbortController()
    const running = engine.generate(prompt, { ...NEVER, signal: controller.signal })
    const waiting = engine.generate(prompt, { ...NEVER, signal: controller.signal })
    const patient = engine.generate(prompt, { ...NEVER, maxTokens: 12 })
    const tokens: number[] = []
    for await (const { id } of running) {
      tokens.push(id)
      if (tokens.length === 3) {
        assert.deepEqual([engine.load().running, engine.load().waiting], [1, 2])
        controller.abort()
      }
    }
    const result = await running.result
    assert.equal(result.reason, 'abort')
    assert.deepEqual(result.ids, expected.slice(0, result.ids.length))
    assert.deepEqual(tokens, result.ids)
    assert.ok(tokens.length <= 4)
    assert.deepEqual([(await waiting.result).reason, (await waiting.result).ids], ['abort', []])
    assert.deepEqual((await patient.result).ids, expected)
    await engine.close()
  })

  test('abort during a long prompt ends it at the next chunk', async () => {
    const engine = await engineOf(model, { slots: 1, context: 1000 })
    const controller = new AbortController()
    const generation = engine.generate(someIds(900, vocabSize), { signal: controller.signal })
    while (engine.load().steps < 3) await new Promise((resolve) => setImmediate(resolve))
    controller.abort()
    assert.equal((await generation.result).reason, 'abort')
    const steps = engine.load().steps
    await engine.generate(prompt, { maxTokens: 1 }).result
    assert.ok(engine.load().steps <= steps + 3)
    await engine.close()
  })

  test('leaving the iteration aborts; a slow reader pauses its own generation only', async () => {
    const engine = await engineOf(model, { context: 600, slots: 2 })
    const left = engine.generate(prompt, NEVER)
    for await (const _ of left) break
    assert.equal((await left.result).reason, 'abort')
    const slow = engine.generate(prompt, { ...NEVER, maxTokens: 300 })
    const iterator = slow[Symbol.asyncIterator]()
    await iterator.next()
    assert.equal((await engine.generate(someIds(5, vocabSize), { ...NEVER, maxTokens: 400 }).result).ids.length, 400)
    assert.equal(engine.load().running, 1)
    const steps = engine.load().steps
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.equal(engine.load().steps, steps) // asleep, not spinning
    let count = 1
    while (!(await iterator.next()).done) count++
    assert.equal(count, 300)
    await engine.close()
  })

  test('a full queue refuses; closing ends everything', async () => {
    const engine = await engineOf(model, { slots: 1, maxWaiting: 1 })
    const running = engine.generate(prompt, NEVER)
    const waiting = engine.generate(prompt, NEVER)
    assert.throws(() => engine.generate(prompt), { name: 'BusyError' })
    const score = engine.score(prompt)
    await assert.rejects(score, { name: 'BusyError' })
    await engine.close()
    assert.deepEqual([(await running.result).reason, (await waiting.result).reason], ['abort', 'abort'])
    assert.throws(() => engine.generate(prompt), /closed/)
  })

  test('a failing step rejects the generations in it; the next generation works', async () => {
    let broken = true
    const backend = Object.create(model.backend, {
      draw: {
        value: async (...given: Parameters<NonNullable<typeof model.backend.draw>>) => {
          if (broken) throw new Error('device lost')
          return model.backend.draw!(...given)
        },
      },
    })
    const engine = await engineOf({ ...model, backend })
    await assert.rejects(engine.generate(prompt).result, /device lost/)
    broken = false
    assert.deepEqual((await engine.generate(prompt, { ...NEVER, maxTokens: 12 }).result).ids, expected)
    await engine.close()
  })

  test('the error of an impossible request names the reason', async () => {
    const engine = await engineOf(model)
    assert.throws(() => engine.generate([]), /number of ids must be an integer from 1 to 255/)
    assert.throws(() => engine.generate(someIds(256, vocabSize)), /context of 256 positions/)
    assert.throws(() => engine.generate([1, vocabSize]), /prompt\[1\] is 512; ids go from 0 to 511/)
    assert.throws(() => engine.generate([1.5]), RangeError)
    assert.throws(() => engine.generate(prompt, { maxTokens: 0 }), RangeError)
    assert.throws(() => engine.generate(prompt, { sampling: { temperature: Number.NaN } }), /sampling.temperature/)
    assert.throws(() => engine.generate(prompt, { sampling: { topP: 0 } }), /topP/)
    assert.throws(() => engine.generate(prompt, { sampling: { seed: 0.5 } }), /sampling.seed must be an integer/)
    await assert.rejects(async () => engineOf(model, { context: 1e6 }), /longest context/)
    await engine.close()
  })
})
