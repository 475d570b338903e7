/**
 * Convolution and selective scan on every backend: against sums written out here in f64, whole = chunked and alone = among others to the
 * last bit, and what happens to states that are copied, kept, brought back or begun anew.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Backend, KvCache } from '../../src/ops/backend.ts'
import type { Batch, LayerState, Scan, StatePart } from '../../src/ops/ops.ts'
import type { Tensor } from '../../src/ops/tensor.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { opBackends } from './backends.ts'
import { random } from './random.ts'

/** C channels, W rows of the convolution, N values per channel, whether the convolution has a bias. */
const SHAPES = [
  { C: 1, W: 1, N: 1, biased: false },
  { C: 3, W: 2, N: 5, biased: true },
  { C: 16, W: 4, N: 16, biased: true },
  { C: 37, W: 3, N: 7, biased: false },
  { C: 130, W: 9, N: 16, biased: true },
]
const T = 23

function batch(runs: readonly { slot: number; rows: number; position: number }[]): Batch {
  const each = (value: (run: { slot: number; position: number }, i: number) => number) =>
    Int32Array.from(runs.flatMap((run) => Array.from({ length: run.rows }, (_, i) => value(run, i))))
  return { ids: each(() => 0), slots: each(({ slot }) => slot), positions: each(({ position }, i) => position + i) }
}

/** The two ops on random numbers. Rows are those of one long sequence, so that parts of it can be asked for. */
async function layer(on: Backend, { C, W, N, biased }: (typeof SHAPES)[number]) {
  const draw = random(`states ${C} ${W} ${N}`)
  const numbers = { x: C, step: C, input: N, output: N }
  const rows = Object.fromEntries(Object.entries(numbers).map(([name, width]) => [name, draw.normals(T * width)]))
  const vectors = { weight: draw.normals(W * C), bias: draw.normals(C), logRate: draw.normals(N * C), skip: draw.normals(C) }
  // Steps from far below to far above zero, where softplus has its two tails.
  rows.step!.forEach((value, i, all) => {
    all[i] = value * 6
  })
  const vector = (name: keyof typeof vectors, ...shape: number[]): Promise<Tensor> =>
    on.weight({ name, shape, dtype: 'f32', use: 'vector' }, async (_, offset, into) =>
      into.set(new Uint8Array(vectors[name].buffer, offset, into.length)),
    )
  const weight = await vector('weight', W, C)
  const bias = biased ? await vector('bias', C) : undefined
  const [logRate, skip] = [await vector('logRate', N, C), await vector('skip', C)]
  const ops = {
    convolution: (x: Tensor, _scan: Scan, of: Batch, state?: StatePart) => on.convolution(x, weight, bias, of, state),
    selectiveScan: (x: Tensor, scan: Scan, of: Batch, state?: StatePart) => on.selectiveScan(x, scan, of, state),
  }
  const run = (op: keyof typeof ops, of: Batch, state?: StatePart): Promise<Float32Array> => {
    const take = (name: string, width: number) => {
      const values = new Float32Array(of.ids.length * width)
      for (const [t, position] of of.positions.entries())
        values.set(rows[name]!.subarray(position * width, (position + 1) * width), t * width)
      return on.upload(values, [of.ids.length, width])
    }
    return on.run(() => {
      const scan = { step: take('step', C), input: take('input', N), output: take('output', N), logRate, skip }
      return ops[op](take('x', C), scan, of, state)
    })
  }
  return { rows, vectors, run, names: Object.keys(ops) as (keyof typeof ops)[], sizes: { convolution: W * C, selectiveScan: N * C } }
}

const cacheOf = (on: Backend, values: number, slots = 3): Promise<KvCache> =>
  on.cache({ layers: [{ state: [values] }], slots, capacity: T, maxRows: T })
const partOf = (cache: KvCache): StatePart => (cache.layers[0] as LayerState).parts[0]!

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** Both results of the whole sequence, from the formulas. */
function expected({ C, W, N, biased }: (typeof SHAPES)[number], { rows, vectors }: Awaited<ReturnType<typeof layer>>) {
  const convolution: number[] = []
  const selectiveScan: number[] = []
  for (let t = 0; t < T; t++)
    for (let c = 0; c < C; c++) {
      let sum = biased ? vectors.bias[c]! : 0
      for (let k = 0; k < W; k++) sum += vectors.weight[k * C + c]! * (rows.x![(t - W + 1 + k) * C + c] ?? 0)
      convolution.push(sum * sigmoid(sum))
      // The state written out as a sum over all earlier rows.
      let y = vectors.skip[c]! * rows.x![t * C + c]!
      for (let n = 0; n < N; n++) {
        const rate = -Math.exp(vectors.logRate[n * C + c]!)
        let decay = 0
        for (let s = t; s >= 0; s--) {
          const delta = Math.log1p(Math.exp(rows.step![s * C + c]!))
          y += rows.output![t * N + n]! * Math.exp(rate * decay) * delta * rows.input![s * N + n]! * rows.x![s * C + c]!
          decay += delta
        }
      }
      selectiveScan.push(y)
    }
  return { convolution, selectiveScan }
}

for (const { name, create } of opBackends)
  describe(name, async () => {
    const on = await create()
    after(() => on.dispose())

    test('the formulas, chunked = whole, alone = among others', async () => {
      for (const shape of SHAPES) {
        const made = await layer(on, shape)
        const wanted = expected(shape, made)
        for (const op of made.names) {
          const what = `${op} ${JSON.stringify(shape)}`
          const whole = await made.run(op, batch([{ slot: 0, rows: T, position: 0 }]))
          const largest = Math.max(...wanted[op].map(Math.abs))
          whole.forEach((value, i) => {
            assert.ok(Math.abs(value - wanted[op][i]!) <= 3e-6 * largest, `${what}, value ${i}: ${value}, expected ${wanted[op][i]}`)
          })
          const { C } = shape
          for (const chunk of [1, 2, 5, 22]) {
            const cache = await cacheOf(on, made.sizes[op])
            for (let at = 0; at < T; at += chunk) {
              const rows = Math.min(chunk, T - at)
              // Another sequence in slot 0 and a third one in slot 2 run along.
              const three = batch([
                { slot: 2, rows: 1, position: at / chunk },
                { slot: 1, rows, position: at },
                { slot: 0, rows, position: at },
              ])
              const y = await made.run(op, three, partOf(cache))
              assert.deepEqual(y.subarray(C, (1 + rows) * C), whole.subarray(at * C, (at + rows) * C), `${what}, chunks of ${chunk}`)
              assert.deepEqual(y.subarray((1 + rows) * C), y.subarray(C, (1 + rows) * C), `${what}, slots`)
              assert.deepEqual(y.subarray(0, C), whole.subarray((at / chunk) * C, (at / chunk + 1) * C), `${what}, slot 2`)
            }
            cache.dispose()
          }
        }
      }
    })

    test('a state is copied, kept and brought back; position 0 begins anew', async () => {
      const shape = SHAPES[3]!
      const made = await layer(on, shape)
      for (const op of made.names) {
        const whole = await made.run(op, batch([{ slot: 0, rows: T, position: 0 }]))
        const cache = await cacheOf(on, made.sizes[op])
        const go = (slot: number, position: number, rows: number) => made.run(op, batch([{ slot, rows, position }]), partOf(cache))
        const rest = (position: number, rows: number) => whole.subarray(position * shape.C, (position + rows) * shape.C)
        await go(1, 0, 9)
        const snapshot = await cache.snapshot(1, 9)
        assert.equal(snapshot.bytes, 4 * made.sizes[op])
        assert.deepEqual(await go(1, 9, 4), rest(9, 4))
        cache.copy(1, 0, 13)
        cache.restore(1, snapshot)
        assert.deepEqual(await go(1, 9, 14), rest(9, 14), `${op} after restore`)
        assert.deepEqual(await go(0, 13, 10), rest(13, 10), `${op} in the copy`)
        assert.deepEqual(await go(1, 0, 5), rest(0, 5), `${op} from the beginning`)
        cache.dispose()
      }
    })

    test('a row where no state stands is refused', async () => {
      const made = await layer(on, SHAPES[1]!)
      const cache = await cacheOf(on, made.sizes.convolution)
      const go = (position: number) => made.run('convolution', batch([{ slot: 1, rows: 2, position }]), partOf(cache))
      await go(0)
      await assert.rejects(async () => go(1), /the state of slot 1 stands at position 2, got a row at position 1/)
      await assert.rejects(async () => cache.snapshot(1, 1), /stands at position 2, not at 1/)
      await go(2)
      cache.dispose()
    })

    test('bytes of states', async () => {
      const spec = {
        layers: [{ state: [12, 48] }, { kvHeads: 1, keyDim: 4, valueDim: 4, window: null }],
        slots: 2,
        capacity: 8,
        maxRows: 8,
      }
      assert.equal(on.cacheBytes(spec), 2 * 60 * 4 + 2 * 8 * 8 * 4)
      const before = on.memory().caches
      const cache = await on.cache(spec)
      assert.equal(on.memory().caches - before, on.cacheBytes(spec))
      cache.dispose()
      assert.equal(on.memory().caches, before)
    })
  })

test('wasm: the same bits with vectors of 4 and 8 lanes, and in one memory', async () => {
  const results: Float32Array[][] = []
  for (const without of [[], ['wide'], ['multiMemory']] as const) {
    const on = await createWasmBackend({ threads: 0, without })
    const all: Float32Array[] = []
    for (const shape of SHAPES) {
      const made = await layer(on, shape)
      for (const op of made.names) all.push(await made.run(op, batch([{ slot: 0, rows: T, position: 0 }])))
    }
    results.push(all)
    await on.dispose()
  }
  assert.deepEqual(results[0], results[1])
  assert.deepEqual(results[0], results[2])
})
