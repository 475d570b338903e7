/**
 * Running ahead changes no answer: greedy or drawn, stopped, forced, masked, aborted, beside others that come and go. On the reference with ids
 * that are kept and read late, as on a device; and on WebGPU itself.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { createEngine, type Driver, type Engine, type EngineOptions, type GenerateOptions } from '../../src/engine/engine.ts'
import { logprobs } from '../../src/engine/logprobs.ts'
import type { Backend } from '../../src/ops/backend.ts'
import { createWebgpuBackend } from '../../src/ops/webgpu/webgpu.ts'
import { noAdapter, testGpu } from '../ops/webgpu/adapters.ts'
import { aheads, late } from './late.ts'
import { greedy, lastLogits, NEVER, someIds, type TestModel, tiny } from './model.ts'

const nextTask = () => new Promise((resolve) => setImmediate(resolve))

/** Forces ids, masks and stops depending on the last id. */
function moody(vocabSize: number): Driver<number> {
  let last = 0
  return {
    mask: () => (last % 5 === 0 ? new Uint32Array(Math.ceil(vocabSize / 64)).fill(0x77777777) : undefined),
    take({ id, forced }) {
      last = id
      const next = forced ? undefined : id % 23 === 7 ? 'stop' : id % 6 === 2 ? [3, 5, 8].slice(id % 3) : undefined
      return { events: [id], next }
    },
  }
}

/** What may be asked. The last three always wait for their ids, and so does what runs beside them. */
function asked(vocabSize: number): GenerateOptions<unknown>[] {
  const free = [
    NEVER,
    { ...NEVER, sampling: { temperature: 1, seed: 5 } },
    { ...NEVER, sampling: { temperature: 1.5, topK: 20, topP: 0.9, minP: 0.01, seed: 6 } },
    { ...NEVER, sampling: { temperature: 0.8, seed: 7, logitBias: new Map([[9, 3]]) } },
    { stopIds: someIds(vocabSize >> 3, vocabSize, 91), sampling: { temperature: 2, seed: 8 } },
    { ...NEVER, sampling: { temperature: 2, seed: 9 }, driver: moody(vocabSize) },
    { ...NEVER, sampling: { temperature: 2, seed: 10 }, driver: moody(vocabSize) },
  ]
  const bound = [
    { ...NEVER, sampling: { temperature: 1, seed: 11, repetitionPenalty: 1.3 } },
    { ...NEVER, sampling: { temperature: 1, seed: 12, presencePenalty: 1 } },
    { ...NEVER, sampling: { temperature: 1, seed: 13 }, logprobs: 2 },
  ]
  return [...free, ...free, ...bound]
}

/** Answers of an engine to `count` questions; the later ones come while the first are answered, and every sixth is aborted. */
async function answers(engine: Engine, vocabSize: number, count: number, maxTokens: number): Promise<unknown[]> {
  const jobs = Array.from({ length: count }, async (_, n) => {
    const options = asked(vocabSize)[n % asked(vocabSize).length]!
    const shared = someIds(10, vocabSize, 70).slice(0, n % 11)
    const prompt = [...shared, ...someIds(1 + ((7 * n) % 13), vocabSize, 100 + n)]
    const isEarly = ({ steps, running, waiting } = engine.load()) => steps < 2 * n && running + waiting > 0
    while (isEarly()) await nextTask()
    const length = 1 + ((5 * n) % maxTokens)
    if (n % 6 !== 5) {
      const { ids, reason } = await engine.generate(prompt, { ...options, maxTokens: length }).result
      return { n, ids, reason }
    }
    const generation = engine.generate(prompt, { ...options, maxTokens: 4 * maxTokens })
    let left = length
    for await (const _ of generation) if (--left <= 0) break
    return { n, aborted: (await generation.result).ids.slice(0, length) }
  })
  return Promise.all(jobs)
}

/** The same questions to an engine that runs ahead and to one that does not. */
async function agree(model: TestModel, options: Partial<EngineOptions>, count: number, maxTokens: number): Promise<void> {
  const given: EngineOptions = { ...model, context: 96, chunk: 16, ...options }
  const { vocabSize } = model.architecture
  const [ahead, patient] = [await createEngine(given), await createEngine({ ...given, runAhead: false })]
  assert.deepEqual(await answers(ahead, vocabSize, count, maxTokens), await answers(patient, vocabSize, count, maxTokens))
  await Promise.all([ahead.close(), patient.close()])
}

describe('on a backend that keeps ids', async () => {
  for (const checkpoint of ['tiny-gpt-oss', 'tiny-gemma3', 'tiny-gpt2', 'tiny-qwen3'])
    for (const [slots, chunk] of [
      [3, 16],
      [2, 1],
    ] as const)
      test(`${checkpoint}, ${slots} slots, chunks of ${chunk}: the same answers as without running ahead`, async () => {
        const device = late()
        await agree(await tiny(checkpoint, device.backend), { slots, chunk }, 20, 12)
        assert.ok(aheads(device) > 5, `${aheads(device)} passes ran ahead`)
        assert.equal(device.kept.size, 0)
      })

  const device = late()
  const model = await tiny('tiny-gpt-oss', device.backend)
  const { vocabSize } = model.architecture
  const prompt = someIds(20, vocabSize)
  const expected = await greedy(model, prompt, 12)
  const engineOf = (options: Partial<EngineOptions> = {}) => {
    device.events.length = 0
    device.breaks = undefined
    return createEngine({ ...model, context: 128, slots: 3, chunk: 32, ...options })
  }
  /** The events with passes counted from 0. */
  const events = () => {
    const first = Number(/\d+/.exec(device.events[0]!)![0])
    return device.events.map((event) => event.replace(/\d+/, (pass) => `${Number(pass) - first}`))
  }

  test('a pass is enqueued before the ids of the one before have come, and none in vain', async () => {
    const engine = await engineOf()
    assert.deepEqual((await engine.generate(prompt, { ...NEVER, maxTokens: 5 }).result).ids, expected.slice(0, 5))
    await engine.close()
    // The prompt, whose end is kept for others; then four decoded rows.
    const wanted = ['pass 0', 'ids 0', 'pass 1', 'pass 2 ahead', 'ids 1', 'pass 3 ahead', 'ids 2', 'pass 4 ahead', 'ids 3', 'ids 4']
    assert.deepEqual(events(), wanted)
    assert.equal(engine.load().steps, 5)
  })

  test('the end of the context ends it, too', async () => {
    const engine = await engineOf({ context: 24 })
    const { ids, reason } = await engine.generate(prompt, NEVER).result
    assert.deepEqual([ids, reason], [expected.slice(0, 4), 'context'])
    await engine.close()
    assert.equal(events().filter((event) => event.startsWith('pass')).length, 4)
  })

  test('a stop costs one row; the next turn continues where the last one ended', async () => {
    const engine = await engineOf()
    const stop = expected.findIndex((id, n) => n > 2 && expected.indexOf(id) === n)
    const first = await engine.generate(prompt, { stopIds: [expected[stop]!] }).result
    assert.deepEqual([first.ids, first.reason], [expected.slice(0, stop + 1), 'stop'])
    const turn = [...prompt, ...first.ids, ...someIds(3, vocabSize, 2)]
    assert.equal(events().filter((event) => event.startsWith('pass')).length, stop + 2)
    const second = await engine.generate(turn, { ...NEVER, maxTokens: 6 }).result
    assert.equal(second.cachedTokens, prompt.length + stop)
    assert.deepEqual(second.ids, await greedy(model, turn, 6))
    await engine.close()
    assert.equal(device.kept.size, 0)
  })

  test('turns that go on from anywhere in an answer that was stopped', async () => {
    const stop = expected.findIndex((id, n) => n > 5 && expected.indexOf(id) === n)
    for (const chunk of [1, 2, 5, 16])
      for (const kept of [0, 3, Math.max(0, stop - chunk), stop, stop + 1]) {
        const engine = await engineOf({ chunk, slots: 2 })
        const { ids } = await engine.generate(prompt, { stopIds: [expected[stop]!] }).result
        const turn = [...prompt, ...ids.slice(0, kept), ...someIds(4, vocabSize, 2)]
        for await (const { top } of engine.generate(turn, { ...NEVER, maxTokens: 1, logprobs: vocabSize }))
          assert.deepEqual(top, logprobs(await lastLogits(model, turn), vocabSize).top, `chunks of ${chunk}, ${kept} ids kept`)
        await engine.close()
      }
  })

  for (const [name, options] of [
    ['penalties', { sampling: { frequencyPenalty: 0.5 } }],
    ['a mask', { driver: { mask: () => new Uint32Array(vocabSize >> 5).fill(0xffffffff), take: () => ({}) } }],
    ['log-probabilities', { logprobs: 0 }],
  ] as const)
    test(`${name} wait for the id, and so do answers beside them`, async () => {
      const engine = await engineOf()
      const asking: GenerateOptions<unknown>[] = [NEVER, { ...NEVER, ...options }]
      await Promise.all(asking.map((each) => engine.generate(prompt.slice(0, 4), { ...each, maxTokens: 6 }).result))
      await engine.close()
      assert.equal(aheads(device), 0)
    })

  test('a mask that comes later is heeded: the row is drawn again', async () => {
    const allowed = (expected[3]! + 1) % vocabSize
    const mask = new Uint32Array(vocabSize >> 5)
    mask[allowed >> 5] = 1 << (allowed & 31)
    let taken = 0
    const driver: Driver<number> = {
      mask: () => (taken === 3 ? mask : undefined),
      take({ id }) {
        taken++
        return { events: [id] }
      },
    }
    const engine = await engineOf()
    const { ids } = await engine.generate(prompt, { ...NEVER, maxTokens: 6, driver }).result
    const rest = await greedy(model, [...prompt, ...expected.slice(0, 3), allowed], 2)
    assert.deepEqual(ids, [...expected.slice(0, 3), allowed, ...rest])
    await engine.close()
    assert.ok(aheads(device) >= 2)
  })

  test('states are never ahead of their ids', async () => {
    const device = late()
    const model = await tiny('tiny-jamba', device.backend)
    const engine = await createEngine({ ...model, context: 64, slots: 2 })
    const { ids } = await engine.generate(prompt, { ...NEVER, maxTokens: 5 }).result
    assert.deepEqual(ids, await greedy(model, prompt, 5))
    await engine.close()
    assert.deepEqual(device.events, [])
  })

  test('a job that comes in the middle starts at most one step later', async () => {
    const engine = await engineOf()
    let second: Promise<unknown> | undefined
    let started = 0
    for await (const _ of engine.generate(prompt, { ...NEVER, maxTokens: 12 })) {
      if (engine.load().steps !== 4) continue
      const generation = engine.generate(prompt.slice(3), { ...NEVER, maxTokens: 2 })
      const tokens = generation[Symbol.asyncIterator]()
      second = tokens
        .next()
        .then(() => (started = engine.load().steps))
        .then(() => generation.result)
    }
    await second
    // Step 5 is enqueued already, step 6 has the prompt.
    assert.equal(started, 6)
    await engine.close()
  })

  test('a consumer that reads slowly loses its slot, and gets every id once', async () => {
    const options = { ...NEVER, maxTokens: 300, sampling: { temperature: 1, seed: 3 } }
    const patient = await engineOf({ context: 400, runAhead: false })
    const { ids } = await patient.generate(prompt.slice(0, 2), options).result
    await patient.close()
    const engine = await engineOf({ context: 400, slots: 1 })
    const slow = engine.generate(prompt.slice(0, 2), options)
    const other = engine.generate(prompt, { ...NEVER, maxTokens: 4 })
    const seen: number[] = []
    for await (const { id } of slow) {
      seen.push(id)
      if (seen.length > 1) continue
      assert.deepEqual((await other.result).ids, expected.slice(0, 4))
      const turn = await engine.generate([...prompt, ...expected.slice(0, 4)], { ...NEVER, maxTokens: 4 }).result
      assert.deepEqual([turn.ids, turn.cachedTokens], [expected.slice(4, 8), prompt.length + 3])
    }
    assert.deepEqual(seen, ids)
    assert.deepEqual((await slow.result).ids, ids)
    await engine.close()
    assert.equal(device.kept.size, 0)
  })

  for (const how of ['throws', 'rejects'] as const)
    test(`a pass that ${how} ends its jobs with the error; the next ones work`, async () => {
      const engine = await engineOf()
      const error = how === 'throws' ? /no memory left/ : /lost on the way/
      const running = [prompt, prompt.slice(4), prompt.slice(9)].map((ids) => engine.generate(ids, { ...NEVER, maxTokens: 40 }))
      for (const { result } of running) result.catch(() => {})
      for await (const _ of running[0]!) {
        if (engine.load().steps < 5) continue
        device.breaks ??= { pass: Number(/\d+/.exec(device.events.findLast((event) => event.startsWith('pass'))!)![0]) + 1, how }
        break
      }
      for (const { result } of running.slice(1)) await assert.rejects(result, error)
      device.breaks = undefined
      assert.deepEqual((await engine.generate(prompt, { ...NEVER, maxTokens: 12 }).result).ids, expected)
      await engine.close()
      assert.equal(device.kept.size, 0)
    })

  test('closing in the middle ends all, and waits for what is enqueued', async () => {
    const engine = await engineOf()
    const running = [prompt, prompt.slice(4)].map((ids) => engine.generate(ids, NEVER))
    while (engine.load().steps < 6) await nextTask()
    await engine.close()
    for (const { result } of running) assert.equal((await result).reason, 'abort')
    assert.equal(device.kept.size, 0)
    assert.equal(events().filter((event) => event.startsWith('pass')).length, events().filter((event) => event.startsWith('ids')).length)
  })
})

describe('on WebGPU', { skip: noAdapter }, async () => {
  if (noAdapter) return
  const backend = await createWebgpuBackend({ gpu: await testGpu() })
  after(() => backend.dispose())
  for (const [checkpoint, count] of [
    ['tiny-gpt-oss', 11],
    ['tiny-gpt2', 6],
  ] as const)
    test(`${checkpoint}: the same answers as without running ahead`, async () => {
      const model = await tiny(checkpoint, backend)
      let ahead = 0
      const embedDrawn: Backend['embedDrawn'] = (...given) => {
        ahead++
        return backend.embedDrawn!(...given)
      }
      await agree({ ...model, backend: { ...backend, embedDrawn } }, { slots: 3 }, count, 11)
      assert.ok(ahead > 5, `${ahead} passes ran ahead`)
      assert.deepEqual(backend.buffers.blocks(), [])
    })

  test('two engines on one backend keep their ids apart', async () => {
    const model = await tiny('tiny-gpt2', backend)
    const engines = [await createEngine({ ...model, context: 64 }), await createEngine({ ...model, context: 64 })]
    const ask = async (engine: Engine, n: number) => {
      const { ids } = await engine.generate(someIds(4 + n, model.architecture.vocabSize, n), { ...NEVER, maxTokens: 9 }).result
      await engine.close()
      return ids
    }
    const together = await Promise.all(engines.map(ask))
    const reference = await tiny('tiny-gpt2')
    for (const [n, ids] of together.entries())
      assert.deepEqual(ids, await greedy(reference, someIds(4 + n, model.architecture.vocabSize, n), 9))
    assert.deepEqual(backend.buffers.blocks(), [])
  })
})
