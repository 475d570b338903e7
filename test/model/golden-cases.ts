/**
 * Every tiny checkpoint against transformers: logits, hidden states and greedy continuations, on every backend there is;
 * and the invariants of one forward: cached = uncached, chunked = whole, batched = alone.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { forward } from '../../src/model/transformer.ts'
import type { Weights } from '../../src/model/weights.ts'
import type { Backend, KvCache } from '../../src/ops/backend.ts'
import type { Batch, Ops } from '../../src/ops/ops.ts'
import { isTensor } from '../../src/ops/tensor.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'
import type { BackendUnderTest } from '../ops/backends.ts'
import { readGolden } from './read-golden.ts'

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url))
const checkpoints = ['checkpoints', 'quantized'].flatMap((folder) => readdirSync(fixtures + folder).map((name) => `${folder}/${name}`))

/** Declares the tests of every checkpoint on one backend. */
export function goldenTests({ name, create, tolerance, invariant, mostSteps = 200, longest = 200 }: BackendUnderTest): void {
  describe(name, async () => {
    const backend = await create()
    after(() => backend.dispose())
    for (const checkpoint of checkpoints) {
      describe(checkpoint, async () => {
        const { architecture, weights } = await loadCheckpoint(fixtures + checkpoint, backend)
        const golden = readGolden(`${fixtures}${checkpoint}/golden.safetensors`)
        const model: Model = { backend, architecture, weights }
        const long = golden.ids[2]!.slice(0, Math.min(longest, architecture.maxPositionEmbeddings))

        test('logits', async () => {
          for (const [n, ids] of golden.ids.entries()) {
            const wanted = golden.logits[n]!
            const rows = wanted.length / architecture.vocabSize
            const logits = await logitsOf(model, batch([ids]), undefined, lastRows(ids.length, rows))
            near(logits, wanted, tolerance, `prompt ${n}`)
          }
        })
        test('hidden states', async () => {
          for (const [n, ids] of golden.ids.entries()) {
            const wanted = golden.hidden[n]!
            if (wanted.length === 0) continue
            const found = await hiddenStates(model, ids)
            assert.equal(found.length, wanted.length)
            for (const [layer, state] of wanted.entries()) near(found[layer]!, state, tolerance, `prompt ${n}, layer ${layer}`)
          }
        })
        test('greedy continuations', async () => {
          for (const [n, all] of golden.greedy.entries()) {
            const wanted = all.slice(0, mostSteps)
            assert.deepEqual(await greedy(model, golden.ids[n]!, wanted.length), [...wanted])
          }
        })
        test('cached, chunked = whole', async () => {
          const whole = await logitsOf(model, batch([long]))
          for (const chunk of [1, 7, 64]) {
            const ids = long.slice(0, chunk * mostSteps)
            const cache = await backend.cache(cacheSpec(architecture, 1, ids.length, chunk))
            const parts: Float32Array[] = []
            for (let at = 0; at < ids.length; at += chunk)
              parts.push(await logitsOf(model, batch([ids.slice(at, at + chunk)], [at]), cache))
            near(concat(parts), whole.subarray(0, ids.length * architecture.vocabSize), invariant, `chunks of ${chunk}`)
            cache.dispose()
          }
        })
        test('batched = alone', async () => {
          const sequences = [long.slice(0, 33), long.slice(50, 51), long.slice(60, 85)]
          const cache = await backend.cache(cacheSpec(architecture, 6, 64, 40))
          const together = await logitsOf(model, batch(sequences), cache)
          const alone: Float32Array[] = []
          for (const ids of sequences) alone.push(await logitsOf(model, batch([ids])))
          near(together, concat(alone), invariant, 'batch')
          for (const [n, ids] of sequences.entries()) cache.copy(n, n + 3, ids.length)
          const next = batch(
            sequences.map((ids) => ids.slice(0, 1)),
            sequences.map((ids) => ids.length),
          )
          const step = await logitsOf(model, next, cache)
          const stepAlone: Float32Array[] = []
          for (const ids of sequences)
            stepAlone.push(await logitsOf(model, batch([Int32Array.of(...ids, ids[0]!)]), undefined, Int32Array.of(ids.length)))
          near(step, concat(stepAlone), invariant, 'step')
          // Decoded together and alone, after the same rows: the same to the last bit on every backend.
          const decoded: Float32Array[] = []
          for (const [n, ids] of sequences.entries())
            decoded.push(await logitsOf(model, batch([ids.slice(0, 1)], [ids.length], [n + 3]), cache))
          near(step, concat(decoded), 0, 'step alone')
          cache.dispose()
        })
        test('a decoded row beside a prompt = alone', async () => {
          const [own, other] = [long.slice(0, 12), long.slice(20, 45)]
          const cache = await backend.cache(cacheSpec(architecture, 3, 64, 40))
          await logitsOf(model, batch([own]), cache)
          cache.copy(0, 1, own.length)
          const beside = await logitsOf(model, batch([long.slice(12, 13), other], [own.length, 0], [0, 2]), cache)
          const alone = await logitsOf(model, batch([long.slice(12, 13)], [own.length], [1]), cache)
          near(beside.subarray(0, architecture.vocabSize), alone, 0, 'the decoded row')
          near(beside.subarray(architecture.vocabSize), await logitsOf(model, batch([other])), invariant, 'the prompt')
          cache.dispose()
        })
        test('a snapshot brings a cache back', async () => {
          const cache = await backend.cache(cacheSpec(architecture, 2, 128, 64))
          await logitsOf(model, batch([long.slice(0, 40)]), cache)
          const snapshot = await cache.snapshot(0, 40)
          await logitsOf(model, batch([long.slice(40, 100)], [40]), cache)
          cache.restore(0, snapshot)
          cache.copy(0, 1, 40)
          const tail = batch([long.slice(100, 110)], [40], [1])
          const joined = Int32Array.of(...long.slice(0, 40), ...long.slice(100, 110))
          near(
            await logitsOf(model, tail, cache),
            await logitsOf(model, batch([joined]), undefined, lastRows(50, 10)),
            invariant,
            'after restore',
          )
          cache.dispose()
        })
      })
    }
  })
}

interface Model {
  backend: Backend
  architecture: Architecture
  weights: Weights
}

function batch(sequences: Int32Array[], starts: number[] = sequences.map(() => 0), slots: number[] = [...sequences.keys()]): Batch {
  return {
    ids: Int32Array.from(sequences.flatMap((ids) => [...ids])),
    slots: Int32Array.from(sequences.flatMap((ids, n) => Array(ids.length).fill(slots[n]))),
    positions: Int32Array.from(sequences.flatMap((ids, n) => [...ids.keys()].map((i) => starts[n]! + i))),
  }
}

const lastRows = (length: number, rows: number) => Int32Array.from({ length: rows }, (_, i) => length - rows + i)

function logitsOf({ backend, architecture, weights }: Model, rows: Batch, cache?: KvCache, logitRows?: Int32Array): Promise<Float32Array> {
  return backend.run(() => forward(backend, architecture, weights, rows, { cache, logitRows }))
}

/** The residual stream before every layer and after the final norm, taken from the named scopes. */
async function hiddenStates({ backend, architecture, weights }: Model, ids: Int32Array): Promise<Float32Array[]> {
  const found: Promise<Float32Array>[] = []
  const watching: Ops = {
    ...backend,
    scope<R>(name: string, body: () => R): R {
      const y = backend.scope(name, body)
      if (isTensor(y) && /^(embedding|layers\.\d+|finalNorm)$/.test(name)) found.push(backend.read(y))
      return y
    },
  }
  backend.scope('call', () => forward(watching, architecture, weights, batch([ids])))
  const states = await Promise.all(found)
  states.splice(-2, 1) // transformers reports the last layer only after the final norm
  return states
}

async function greedy(model: Model, prompt: Int32Array, count: number): Promise<number[]> {
  const cache = await model.backend.cache(cacheSpec(model.architecture, 1, prompt.length + count, prompt.length))
  const ids: number[] = []
  let rows = batch([prompt])
  for (let n = 0; n < count; n++) {
    const logits = await logitsOf(model, rows, cache, Int32Array.of(rows.ids.length - 1))
    ids.push(logits.indexOf(logits.reduce((a, b) => Math.max(a, b))))
    rows = batch([Int32Array.of(ids.at(-1)!)], [prompt.length + n])
  }
  cache.dispose()
  return ids
}

function concat(parts: Float32Array[]): Float32Array {
  return Float32Array.from(parts.flatMap((part) => [...part]))
}

/** Largest difference relative to the largest expected value. */
function near(actual: Float32Array, expected: ArrayLike<number>, tolerance: number, what: string) {
  assert.equal(actual.length, expected.length, what)
  let largest = 0
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!))
    worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!)) // NaN stays NaN and fails below
  }
  assert.ok(worst <= tolerance * largest, `${what}: differs by ${worst / largest} of the largest value, allowed ${tolerance}`)
}
