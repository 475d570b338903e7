/**
 * The draw on the device against the rule of the host, `drawId`: every cut and all of them together, ties, masks, penalties, numbers that
 * are none, vocabularies from one id to 201,088, and 20,000 draws against the shares that they must have.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Draw, drawRows } from '../../../src/ops/draw.ts'
import { createWebgpuBackend, type WebgpuBackend } from '../../../src/ops/webgpu/webgpu.ts'
import { random } from '../random.ts'
import { noAdapter, testGpu } from './adapters.ts'

const GREEDY: Draw = { temperature: 0, topK: 0, topP: 1, minP: 0, noise: 0 }
const PLAIN: Draw = { ...GREEDY, temperature: 1 }
const ROWS = 6

/** Another value for each row. */
const noiseOf = (row: number): number => Math.imul(row + 1, 0x9e3779b1) >>> 0
const even = (vocabulary: number): Uint32Array => new Uint32Array(Math.ceil(vocabulary / 32)).fill(0x55555555)

/** The draw of each row, and what is done to the logits before. */
const cases: Record<string, [draw: (row: number, vocabulary: number) => Partial<Draw>, edit?: (x: number, i: number) => number]> = {
  greedy: [() => GREEDY],
  'greedy, ties go to the lowest id': [() => GREEDY, (x) => Math.round(x / 3)],
  'greedy among numbers that are none': [() => GREEDY, (x, i) => (i % 3 ? x : i % 2 ? Number.NaN : Number.NEGATIVE_INFINITY)],
  'greedy by top-k of one': [() => ({ topK: 1 })],
  'zeros of both signs are ties': [() => GREEDY, (_, i) => (i % 2 ? 0 : -0)],
  temperature: [() => ({})],
  'low and high temperatures': [(row) => ({ temperature: row % 2 ? 0.2 : 5 })],
  'min-p': [(row) => ({ minP: (row + 1) / 7 })],
  'top-k': [(row) => ({ temperature: 3, topK: 1 + 7 * row })],
  'top-k among ties': [(row) => ({ temperature: 3, topK: 1 + 7 * row }), Math.round],
  'top-k beyond the vocabulary': [(_, vocabulary) => ({ topK: vocabulary + 5 })],
  'top-p': [(row) => ({ topP: (row + 0.5) / (ROWS + 1) })],
  'top-p among ties': [(row) => ({ topP: (row + 0.5) / (ROWS + 1) }), Math.round],
  'top-p of equal logits': [(row) => ({ topP: (row + 0.5) / (ROWS + 1) }), () => 2.5],
  'top-p of nothing': [() => ({ topP: 0 })],
  'top-k, then top-p': [(row) => ({ temperature: 2, topK: 2 + 5 * row, topP: 0.8 })],
  'top-k, then top-p among ties': [(row) => ({ temperature: 2, topK: 2 + 5 * row, topP: 0.8 }), Math.round],
  'all cuts': [(row) => ({ temperature: 1.5, topK: 40, topP: 0.9, minP: 0.05 * row })],
  mask: [(row, vocabulary) => ({ mask: even(vocabulary), topK: row % 2 ? 3 : 0 })],
  'a mask that is too short': [() => ({ mask: Uint32Array.of(0x0ff0) })],
  'a mask of nothing': [() => ({ mask: new Uint32Array(0) })],
  'penalties and bias': [
    (row) => ({
      temperature: row % 2,
      changes: {
        ids: Int32Array.of(4, 0, 1, 3, 3, 1 << 20),
        factor: Float32Array.of(1, 1.3, 2, 1.1, 1.1, 9),
        add: Float32Array.of(2, 0, -0.5, 1, 1, 9),
      },
    }),
  ],
  'rows that differ in all': [
    (row, vocabulary) => ({
      temperature: row % 4 ? 0.7 : 0,
      topK: row % 3 ? 0 : 20,
      topP: row % 2 ? 0.9 : 1,
      minP: row % 5 ? 0 : 0.1,
      mask: row % 7 === 3 ? even(vocabulary) : undefined,
    }),
  ],
  'numbers that are none': [
    (row) => ({ topK: row % 2 ? 9 : 0, topP: row % 3 ? 1 : 0.7 }),
    (x, i) => (i % 3 ? x : i % 2 ? Number.NaN : Number.NEGATIVE_INFINITY),
  ],
  'an infinite logit wins': [(row) => ({ topK: row % 2 ? 9 : 0 }), (x, i) => (i % 97 === 5 ? Number.POSITIVE_INFINITY : x)],
  'no logit above -Infinity': [(row) => ({ temperature: row % 2 }), (_, i) => (i % 2 ? Number.NaN : Number.NEGATIVE_INFINITY)],
}

describe('the draw on the device', { skip: noAdapter }, () => {
  let backend: WebgpuBackend
  before(async () => {
    backend = await createWebgpuBackend({ gpu: await testGpu() })
  })
  after(() => backend?.dispose())
  const drawn = (logits: Float32Array, draws: readonly Draw[]): Promise<Int32Array> =>
    backend.scope('test', () => backend.draw!(backend.upload(logits, [draws.length, logits.length / draws.length]), draws))

  for (const [name, [draw, edit]] of Object.entries(cases))
    test(name, async () => {
      for (const vocabulary of name.startsWith('greedy') ? [1, 7, 300, 2500] : [300, 1400]) {
        const logits = random(name)
          .normals(ROWS * vocabulary)
          .map((x, i) => (edit ? edit(3 * x, i % vocabulary) : 3 * x))
        const draws = Array.from({ length: ROWS }, (_, row) => ({ ...PLAIN, ...draw(row, vocabulary), noise: noiseOf(row) }))
        const expected = drawRows(logits.slice(), draws)
        assert.deepEqual(await drawn(logits, draws), expected, `vocabulary of ${vocabulary}`)
      }
    })

  test('20,000 draws have the shares of the distribution, and are those of the host', async () => {
    const count = 20_000
    const shares = [0.35, 0.25, 0.2, 0.1, 0.06, 0.03, 0.01]
    const row = shares.map((share) => 0.8 * Math.log(share))
    const logits = Float32Array.from({ length: count * row.length }, (_, i) => row[i % row.length]!)
    const draws = Array.from({ length: count }, (_, i) => ({ ...PLAIN, temperature: 0.8, noise: noiseOf(i) }))
    const ids = await drawn(logits, draws)
    const counts = shares.map((_, id) => ids.reduce((sum, each) => sum + Number(each === id), 0))
    const chi2 = counts.reduce((sum, n, id) => sum + (n - count * shares[id]!) ** 2 / (count * shares[id]!), 0)
    assert.ok(chi2 < 22.46, `chi-square ${chi2} with 6 degrees of freedom, p < 0.001; counts ${counts}`)
    const expected = drawRows(logits, draws)
    assert.equal(ids.filter((id, i) => id !== expected[i]).length, 0)
  })

  test('a vocabulary of 201,088', async () => {
    const vocabulary = 201_088
    const draws = [
      GREEDY,
      PLAIN,
      { ...PLAIN, topK: 40, topP: 0.9 },
      { ...PLAIN, topP: 0.99, mask: even(vocabulary) },
      { ...PLAIN, minP: 0.01, temperature: 2 },
    ].map((draw, row) => ({ ...draw, noise: noiseOf(row) }))
    const logits = random('large')
      .normals(draws.length * vocabulary)
      .map((x) => 3 * x)
    logits[77_777] = 30
    logits[100_000] = 30
    const expected = drawRows(logits.slice(), draws)
    assert.equal(expected[0], 77_777)
    assert.deepEqual(await drawn(logits, draws), expected)
  })

  test('ids that are kept are looked up where they are, however many there are', async () => {
    const [rows, width] = [200, 4]
    const values = Float32Array.from({ length: rows * width }, (_, i) => i)
    const spec = { name: 'table', shape: [rows, width], dtype: 'f32', use: 'table' } as const
    const table = await backend.weight(spec, async (_, offset, into) =>
      into.set(new Uint8Array(values.buffer).subarray(offset, offset + into.length)),
    )
    // Some are none (-1): their rows are any, and nobody reads them.
    const wanted = [3, 64, 1, 100, 2, 5].map((count, n) =>
      Int32Array.from({ length: count }, (_, row) => (row === 4 ? -1 : (31 * row + n) % rows)),
    )
    const keep = (ids: Int32Array) => {
      const logits = new Float32Array(ids.length * rows).fill(Number.NEGATIVE_INFINITY)
      for (const [row, id] of ids.entries()) if (id >= 0) logits[row * rows + id] = 1
      return backend.scope('test', () => {
        const draws = Array.from(ids, () => GREEDY)
        return backend.drawAndKeep!(backend.upload(logits, [ids.length, rows]), draws)
      })
    }
    const kept = wanted.map(keep)
    for (const [n, { drawn, ids, release }] of kept.entries()) {
      const own = wanted[n]!
      const chosen = Int32Array.from({ length: own.length + 1 }, (_, i) => (7 * i) % own.length).filter((row) => own[row]! >= 0)
      const found = backend.run(() => backend.embedDrawn!(table, { drawn, rows: chosen }, 2))
      assert.throws(() => backend.embedDrawn!(table, { drawn, rows: Int32Array.of(own.length) }, 1), /row \d+ of \d+ drawn ids/)
      release()
      release()
      assert.throws(() => backend.embedDrawn!(table, { drawn, rows: Int32Array.of(0) }, 1), /released/)
      assert.deepEqual(await ids, own)
      const expected = [...chosen].flatMap((row) => [0, 1, 2, 3].map((column) => 2 * (width * own[row]! + column)))
      assert.deepEqual([...(await found)], expected)
    }
    assert.deepEqual(backend.buffers.blocks(), [])
  })

  test('a wrong number of draws is refused', async () => {
    const body = () => backend.draw!(backend.upload(new Float32Array(6), [2, 3]), [GREEDY, GREEDY, GREEDY])
    await assert.rejects(backend.scope('test', body), /2 rows of logits, but 3 draws/)
  })
})
