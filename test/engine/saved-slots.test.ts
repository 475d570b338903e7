/**
 * Conversations saved to bytes and restored into another engine: what comes after is the same to the last bit as without, for full layers,
 * sliding layers, states and latents. Files that are damaged, or of another model, change nothing.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { bytesSource } from '../../src/checkpoint/source.ts'
import { BusyError, createEngine, type Engine, type EngineOptions, type GeneratedToken, SlotError } from '../../src/engine/engine.ts'
import type { SlotOptions } from '../../src/engine/saved-slots.ts'
import type { Backend } from '../../src/ops/backend.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { someIds, tiny } from './model.ts'

async function save(engine: Engine, options?: SlotOptions): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  const { bytes } = await engine.slots.save(async (piece) => void pieces.push(piece.slice()), options)
  const file = new Uint8Array(await new Blob(pieces as BlobPart[]).arrayBuffer())
  assert.equal(file.length, bytes)
  return file
}

/** Ids and log-probabilities of an answer, and how much of the prompt came from the cache. */
async function ask(engine: Engine, prompt: readonly number[], maxTokens = 12) {
  const generation = engine.generate(prompt, { stopIds: [], maxTokens, logprobs: 3, sampling: { seed: 5 } })
  const tokens: GeneratedToken[] = []
  for await (const token of generation) tokens.push(token)
  return { tokens, cached: (await generation.result).cachedTokens }
}

const BACKENDS: [string, () => Backend | Promise<Backend>][] = [
  ['reference', createReferenceBackend],
  ['wasm faithful', () => createWasmBackend({ threads: 2 })],
  ['wasm fast', () => createWasmBackend({ threads: 2, precision: 'fast' })],
]

for (const [name, create] of BACKENDS)
  for (const checkpoint of ['tiny-gpt2', 'tiny-gpt-oss', 'tiny-jamba', 'tiny-deepseek-v3', 'tiny-gemma3'])
    test(`${checkpoint} on ${name}: the next turn after a restart`, async () => {
      const backend = await create()
      const model = await tiny(checkpoint, backend)
      const { vocabSize } = model.architecture
      const engineOf = (options: Partial<EngineOptions> = {}) => createEngine({ ...model, context: 128, slots: 2, chunk: 24, ...options })
      const prompt = someIds(50, vocabSize, 3)
      const first = await engineOf()
      const answer = await ask(first, prompt)
      const ids = answer.tokens.map(({ id }) => id)
      const file = await save(first)
      /** The conversation goes on, and the prompt is continued in another way: from the end and from a snapshot. */
      const turns = [
        [...prompt, ...ids, ...someIds(9, vocabSize, 4)],
        [...prompt, ...someIds(5, vocabSize, 6)],
      ]
      const expected = []
      for (const turn of turns) expected.push(await ask(first, turn))
      await first.close()
      // Another context, chunk and number of slots; busy with another conversation before.
      const second = await engineOf({ context: 120, chunk: 40, slots: 3 })
      await ask(second, someIds(20, vocabSize, 8))
      const restored = await second.slots.restore(bytesSource(file), { slot: 1 })
      assert.deepEqual(restored, { slot: 1, positions: prompt.length + ids.length - 1, bytes: file.length })
      for (const [n, turn] of turns.entries()) {
        const { tokens, cached } = await ask(second, turn)
        assert.deepEqual(tokens, expected[n]!.tokens)
        assert.equal(cached, expected[n]!.cached)
        assert.ok(cached >= prompt.length - 1)
      }
      await second.close()
      await backend.dispose()
    })

describe('what is refused', async () => {
  const backend = await createWasmBackend({ threads: 1 })
  after(() => backend.dispose())
  const model = await tiny('tiny-gpt-oss', backend)
  const { vocabSize } = model.architecture
  const prompt = someIds(40, vocabSize, 3)
  const engine = await createEngine({ ...model, context: 64, slots: 2 })
  after(() => engine.close())
  await ask(engine, prompt, 4)
  const file = await save(engine)

  /** The conversation of the engine is still there afterwards. */
  async function refused(bytes: Uint8Array, message: RegExp, into: Engine = engine) {
    await assert.rejects(
      into.slots.restore(bytesSource(bytes)),
      (error: Error) => error instanceof SlotError && message.test(error.message),
    )
    if (into === engine) assert.equal((await ask(engine, prompt, 1)).cached, 39)
  }
  const edited = (edit: (bytes: Uint8Array) => void) => {
    const bytes = file.slice()
    edit(bytes)
    return bytes
  }
  /** The file with another header. */
  const withHeader = (change: (header: Record<string, unknown>) => unknown) => {
    const length = new DataView(file.buffer).getUint32(8, true)
    const header = JSON.parse(new TextDecoder().decode(file.subarray(12, 12 + length)))
    const text = new TextEncoder().encode(JSON.stringify(change(header)))
    const size = new Uint8Array(4)
    new DataView(size.buffer).setUint32(0, text.length, true)
    return Uint8Array.from([...file.subarray(0, 8), ...size, ...text, ...file.subarray(12 + length)])
  }

  test('damaged and hostile files', async () => {
    await refused(new Uint8Array(0), /no saved conversation/)
    await refused(new TextEncoder().encode('GGUF and much more'), /no saved conversation/)
    await refused(
      edited((bytes) => bytes.fill(255, 8, 12)),
      /header/,
    )
    await refused(
      edited((bytes) => bytes.fill(0x7b, 12, 40)),
      /header/,
    )
    await refused(file.subarray(0, 11), /no saved conversation/)
    await refused(file.subarray(0, file.length - 1), /damaged/)
    await refused(file.subarray(0, 30), /header/)
    await refused(Uint8Array.from([...file, 0]), /damaged/)
    for (const at of [file.length - 1, file.length - 40, file.length >> 1, 400])
      await refused(
        edited((bytes) => (bytes[at]! ^= 1)),
        /digest/,
      )
    await refused(
      withHeader((header) => ({ ...header, ids: 2 ** 40 })),
      /context/,
    )
    for (const ids of [-1, 0, 1.5, '40', null, 1e300])
      await refused(
        withHeader((header) => ({ ...header, ids })),
        /header|context/,
      )
    await refused(
      withHeader((header) => ({ ...header, ids: 42 })),
      /bytes, expected|header/,
    )
    for (const snapshots of [null, {}, [0], [-4], [10, 10], [12, 11], [1e9], ['3'], Array.from({ length: 99 }, (_, n) => n + 1)])
      await refused(
        withHeader((header) => ({ ...header, snapshots })),
        /header/,
      )
    await refused(
      withHeader(() => null),
      /header/,
    )
    await refused(
      withHeader(() => []),
      /header/,
    )
  })

  test('other models, precisions and contexts', async () => {
    const fast = await createWasmBackend({ threads: 1, precision: 'fast' })
    const others = [await tiny('tiny-gpt2', backend), await tiny('tiny-gpt-oss', fast), await tiny('tiny-gpt-oss')]
    // The same architecture with one weight changed.
    const changed = await tiny('tiny-gpt-oss', backend)
    const [layer] = changed.weights.layers as unknown as { attentionNorm: typeof changed.weights.finalNorm }[]
    const otherNorm = { ...changed.weights, finalNorm: layer!.attentionNorm }
    for (const other of [...others, { ...changed, weights: otherNorm }]) {
      const another = await createEngine({ ...other, context: 64, slots: 1 })
      await refused(file, /another model/, another)
      await another.close()
    }
    const short = await createEngine({ ...model, context: 42, slots: 1 })
    await refused(file, /43 positions; the context here is 42/, short)
    await short.close()
    await fast.dispose()
  })

  test('other keys, empty slots, slots that do not exist, slots in use', async () => {
    const nothing = (options: SlotOptions) => assert.rejects(save(engine, options), SlotError)
    await nothing({ cacheKey: 'bob' })
    for (const slot of [0, 1]) await nothing({ slot, cacheKey: 'bob' })
    for (const slot of [2, -1, 0.5, Number.NaN]) await assert.rejects(save(engine, { slot }), RangeError)
    const states = engine.slots.list('bob')
    assert.deepEqual(
      states.map(({ busy, positions = 'hidden' }) => [busy, positions]).sort(),
      [
        [false, 'hidden'],
        [false, 0],
      ].sort(),
    )
    const one = await createEngine({ ...model, context: 64, slots: 1 })
    const running = one.generate(prompt, { stopIds: [], maxTokens: 20 })
    for await (const _ of running) {
      await assert.rejects(save(one), BusyError)
      await assert.rejects(one.slots.restore(bytesSource(file)), BusyError)
      await assert.rejects(one.slots.erase({ slot: 0 }), BusyError)
      break
    }
    assert.ok((await save(one)).length > 0, 'an answer that was left is no longer in the way')
    await one.slots.erase()
    await assert.rejects(save(one), SlotError)
    await one.slots.restore(bytesSource(file), { cacheKey: 'bob' })
    assert.equal((await ask(one, prompt, 1)).cached, 0, 'the conversation is of the key that restored it')
    await one.close()
    await assert.rejects(one.slots.restore(bytesSource(file)), /closed/)
  })

  test('a write that fails, a source that fails, a restart in the middle of answers', async () => {
    await assert.rejects(
      engine.slots.save(async () => Promise.reject(new Error('full'))),
      /full/,
    )
    assert.equal((await ask(engine, prompt, 1)).cached, 39)
    let reads = 0
    const source = bytesSource(file)
    const failing = {
      size: file.length,
      read: async (offset: number, into: Uint8Array) => {
        if (++reads > 6) throw new Error('gone')
        await source.read(offset, into)
      },
    }
    await assert.rejects(engine.slots.restore(failing), /gone/)
    // Saved and restored while others answer.
    const alone = (await ask(engine, someIds(20, vocabSize, 9), 20)).tokens
    const beside = ask(engine, someIds(20, vocabSize, 9), 20)
    await engine.slots.restore(source)
    await save(engine)
    assert.deepEqual((await beside).tokens, alone)
  })
})
