/**
 * The engine on a model whose layers have states: what is reused, what a cancelled or displaced answer leaves, and that answers do not
 * depend on any of it. Ids and log-probabilities are compared with the plain forward pass to the last bit.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { createEngine, type Engine, type EngineOptions, type GeneratedToken, type GenerateOptions } from '../../src/engine/engine.ts'
import { logprobs } from '../../src/engine/logprobs.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { lastLogits, someIds, tiny } from './model.ts'

for (const checkpoint of ['tiny-jamba', 'tiny-jamba-odd', 'tiny-mamba'])
  describe(checkpoint, async () => {
    const backend = await createWasmBackend({ threads: 2 })
    after(() => backend.dispose())
    const model = await tiny(checkpoint, backend)
    const { vocabSize } = model.architecture
    const ids = (count: number, seed: number) => someIds(count, vocabSize, seed)
    const system = ids(90, 1)
    const engineOf = (options: Partial<EngineOptions> = {}): Promise<Engine> =>
      createEngine({ ...model, context: 256, slots: 3, chunk: 256, ...options })

    /** The distribution after a prompt must be that of the plain pass; gives how many positions came from the cache. */
    async function ask(engine: Engine, prompt: number[], options: GenerateOptions = {}): Promise<number> {
      const generation = engine.generate(prompt, { stopIds: [], maxTokens: 1, logprobs: vocabSize, ...options })
      const tokens: GeneratedToken[] = []
      for await (const token of generation) tokens.push(token)
      assert.deepEqual(tokens[0]!.top, logprobs(await lastLogits(model, prompt), vocabSize).top)
      return (await generation.result).cachedTokens
    }

    test('a conversation, the same prompt again, another ending', async () => {
      const engine = await engineOf()
      assert.equal(await ask(engine, system), 0)
      assert.equal(await ask(engine, system), 89)
      const first = await engine.generate(system, { stopIds: [], maxTokens: 20 }).result
      const turn = [...system, ...first.ids, ...ids(10, 2)]
      assert.equal(await ask(engine, turn), 90 + 19)
      assert.equal(await ask(engine, turn), 90 + 20 + 9, 'the same turn again')
      assert.equal(await ask(engine, [...system, ...ids(30, 3)]), 89)
      await engine.close()
    })

    test('prompts with a common beginning: the second one shows where it ends', async () => {
      const engine = await engineOf()
      const cached: number[] = []
      for (let n = 0; n < 4; n++) cached.push(await ask(engine, [...system, ...ids(20 + n, 10 + n)]))
      assert.deepEqual(cached, [0, 0, 90, 90])
      await engine.close()
    })

    test('a burst of prompts with a common beginning computes it once', async () => {
      const engine = await engineOf({ slots: 4 })
      const cached = await Promise.all([5, 12, 7, 9].map((length, n) => ask(engine, [...system, ...ids(length, 20 + n)])))
      assert.deepEqual(cached, [0, 90, 90, 90])
      await engine.close()
    })

    test('several answers to one prompt share it', async () => {
      const engine = await engineOf({ slots: 4 })
      const answers = await Promise.all(
        [1, 2, 3, 4].map((seed) => engine.generate(system, { stopIds: [], maxTokens: 8, sampling: { seed, temperature: 1 } }).result),
      )
      assert.deepEqual(
        answers.map(({ cachedTokens }) => cachedTokens),
        [0, 89, 89, 89],
      )
      const quiet = await engineOf({ slots: 1 })
      for (const [n, { ids }] of answers.entries()) {
        const alone = await quiet.generate(system, {
          stopIds: [],
          maxTokens: 8,
          sampling: { seed: n + 1, temperature: 1 },
          cacheKey: `${n}`,
        }).result
        assert.deepEqual(ids, alone.ids)
      }
      await engine.close()
      await quiet.close()
    })

    test('a cancelled answer leaves no state behind', async () => {
      for (const when of ['in the prompt', 'in the answer']) {
        const engine = await engineOf({ slots: 1, chunk: 16 })
        const stop = new AbortController()
        const prompt = ids(150, 30)
        const generation = engine.generate(prompt, { stopIds: [], maxTokens: 50, signal: stop.signal })
        if (when === 'in the prompt') setTimeout(() => stop.abort(), 1)
        else for await (const _ of generation) stop.abort()
        assert.equal((await generation.result).reason, 'abort')
        // Another prompt in the same slot begins from nothing; the same one may continue what was right.
        assert.equal(await ask(engine, ids(40, 31)), 0)
        await ask(engine, prompt)
        await ask(engine, [...prompt.slice(0, 100), ...ids(5, 32)])
        await engine.close()
      }
    })

    test('an answer that gives its slot to another continues with the same ids', async () => {
      const [engine, quiet] = [await engineOf({ slots: 1, context: 1024 }), await engineOf({ slots: 1, context: 1024 })]
      const options = { stopIds: [], maxTokens: 400 }
      const wanted = (await quiet.generate(system, options).result).ids
      const generation = engine.generate(system, options)
      const found: number[] = []
      let [others, ended] = [0, false]
      void generation.result.then(() => {
        ended = true
      })
      for await (const { id } of generation) {
        found.push(id)
        // The generation pauses when its consumer is 256 ids behind, and gives its slot away. What comes after is the same.
        if (found.length !== 20) continue
        others += await ask(engine, ids(60, 40))
        assert.equal(ended, false, 'the other one ended first')
      }
      assert.deepEqual(found, wanted)
      assert.equal(others, 0)
      await engine.close()
      await quiet.close()
    })

    test('keys share nothing, scores of a prompt neither', async () => {
      const engine = await engineOf()
      await ask(engine, system, { cacheKey: 'one' })
      assert.equal(await ask(engine, system, { cacheKey: 'two' }), 0)
      const scores = await engine.score(system)
      assert.equal(scores.length, 89)
      for (const at of [0, 31, 88])
        assert.equal(scores[at]!.logprob, logprobs(await lastLogits(model, system.slice(0, at + 1)), 0).of(system[at + 1]!))
      await engine.close()
    })
  })
