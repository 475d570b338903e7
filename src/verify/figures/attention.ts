/** Figures 3, 4, 9 and 10: dropout on attention, positions, shared key and value heads, windows. */
import type { Architecture } from '../../architecture/architecture.ts'
import { preset } from '../../architecture/presets.ts'
import { multiHeadOf, windowOf } from '../../architecture/slots.ts'
import { account, cacheBytes } from '../../compare/account.ts'
import { EDGE, INNER, type Sheet } from '../../drawing/sheet.ts'
import { circle, line, rect, text } from '../../drawing/svg.ts'
import { rotation } from '../../model/rope.ts'
import { mean } from '../../numbers/statistics.ts'
import type { Backend } from '../../ops/backend.ts'
import type { AttentionOptions } from '../../ops/ops.ts'
import { noise } from '../claim.ts'
import { changeByOrder, oneHead, plainRope, sequence } from '../single-ops.ts'
import type { Figure } from './figure.ts'

/** One head whose values are the rows of the identity: its output is its attention weights. -> [T][T] */
async function weightsOf(ops: Backend, T: number, options: Partial<AttentionOptions> = {}, seed = 11): Promise<number[][]> {
  const K = 8
  const upload = (at: number) =>
    ops.upload(
      noise(at, T * K).map((x) => 1.6 * x),
      [T, K],
    )
  const identity = Float32Array.from({ length: T * T }, (_, i) => (i % (T + 1) === 0 ? 1 : 0))
  const shape = oneHead(K, { valueDim: T, ...options })
  const mixed = await ops.run(() => ops.attention(upload(seed), upload(seed + 1), ops.upload(identity, [T, T]), sequence(T), shape))
  return Array.from({ length: T }, (_, t) => [...mixed.subarray(t * T, (t + 1) * T)])
}

/** Weights as shades with numbers; later tokens have no cell. */
const lower = (rows: readonly (readonly number[])[]) => rows.map((row, t) => row.map((share, s) => (s > t ? null : share)))

async function dropout(sheet: Sheet, ops: Backend): Promise<void> {
  const [T, p] = [6, 0.5]
  const weights = await weightsOf(ops, T)
  const flat = Float32Array.from(weights.flat())
  const dropped = await ops.run(() => ops.dropout!(ops.upload(flat, [T, T]), p))
  const scaled = Array.from({ length: T }, (_, t) => [...dropped.subarray(t * T, (t + 1) * T)])
  const unscaled = scaled.map((row) => row.map((share) => share * (1 - p)))
  const show = (title: string, rows: number[][]): void => {
    sheet.part(title)
    const words = rows.map((row) => row.map((share) => share.toFixed(2)))
    sheet.grid({ shades: lower(rows.map((row) => row.map((share) => Math.min(1, share)))), words, cell: 40, cellHeight: 20 })
  }
  show('Attention weights of six tokens', weights)
  show('Half dropped, as the article draws it', unscaled)
  show(`The same with survivors times 1/(1 − p) = ${1 / (1 - p)}`, scaled)
  sheet.part('Mean of 10,000 ones after dropout')
  const drop = async (rate: number): Promise<number> => {
    const ones = await ops.run(() => ops.dropout!(ops.upload(new Float32Array(10000).fill(1), [1, 10000]), rate))
    return mean([...ones])
  }
  const [half, tenth] = [await drop(p), await drop(0.1)]
  sheet.bars(
    [
      { label: 'p = 0.5, unscaled', value: half * (1 - p), shown: (half * (1 - p)).toFixed(2), tone: 7 },
      { label: 'p = 0.5, scaled', value: half, shown: half.toFixed(2) },
      { label: 'p = 0.1 (GPT-2)', value: tenth, shown: tenth.toFixed(2) },
    ],
    { to: 1.05 },
  )
}

/** Of the pictures of positions: how many there are, and the width of vectors. */
const [T, K] = [8, 8]
const TURN = rotation(K, plainRope(K, 100))
const learnedPositions = (): Float32Array => noise(6, T * K)

async function positions(sheet: Sheet, ops: Backend): Promise<void> {
  await addedPositions(sheet, ops)
  await scoresByPlace(sheet, ops)
  await changedPlaces(sheet, ops)
}

/** What GPT-2 does: vectors of tokens plus vectors of positions. */
async function addedPositions(sheet: Sheet, ops: Backend): Promise<void> {
  const [tokens, learned] = [noise(5, 4 * K), learnedPositions()]
  sheet.part('GPT-2: learned vectors are added')
  const shades = (values: Float32Array, rows = 4) =>
    Array.from({ length: rows }, (_, t) => [...values.subarray(t * K, (t + 1) * K)].map((x) => (x + 2) / 4))
  const top = sheet.y + 16
  const sum = await ops.run(() => ops.add(ops.upload(tokens, [4, K]), ops.upload(learned.subarray(0, 4 * K), [4, K])))
  const panels = [
    ['4 tokens', shades(tokens), 0],
    ['positions 0–3', shades(learned), 1],
    ['input', shades(sum), 2],
  ] as const
  panels.forEach(([title, rows, tone], i) => {
    const x = EDGE + i * 116
    sheet.add(text(x, top - 4, title, 'dim'))
    if (i > 0) sheet.add(text(x - 14, top + 30, i === 1 ? '+' : '=', 'part', 'middle'))
    sheet.y = top
    sheet.grid({ shades: rows, x, cell: 11, cellHeight: 12, tone })
  })
  sheet.gap(4)
}

/** The product of one query and one key at every pair of places. */
async function scoresByPlace(sheet: Sheet, ops: Backend): Promise<void> {
  const learned = learnedPositions()
  sheet.part('Scores of a query with a key at 8 places')
  const [query, key] = [noise(7, K), noise(8, K)]
  const repeated = (vector: Float32Array): Float32Array => Float32Array.from({ length: T * K }, (_, i) => vector[i % K]!)
  const placed = async (vector: Float32Array, rotary: boolean): Promise<Float32Array> =>
    ops.run(() => {
      const x = ops.upload(repeated(vector), [T, K])
      return rotary ? ops.rope(x, TURN, sequence(T)) : ops.add(x, ops.upload(learned, [T, K]))
    })
  const scores = async (rotary: boolean): Promise<(number | null)[][]> => {
    const [q, k] = [await placed(query, rotary), await placed(key, rotary)]
    const rows = Array.from({ length: T }, (_, m) =>
      Array.from({ length: T }, (_, n) => {
        let dot = 0
        for (let i = 0; i < K; i++) dot += q[m * K + i]! * k[n * K + i]!
        return dot
      }),
    )
    const seen = rows.flatMap((row, m) => row.slice(0, m + 1))
    const [low, high] = [Math.min(...seen), Math.max(...seen)]
    return lower(rows.map((row) => row.map((dot) => 0.06 + (0.94 * (dot - low)) / (high - low))))
  }
  const y = sheet.y + 14
  for (const [i, [title, rotary]] of (
    [
      ['learned, added', false],
      ['RoPE, rotated', true],
    ] as const
  ).entries()) {
    const x = EDGE + i * 172
    sheet.add(text(x, y - 3, title, 'dim'))
    sheet.y = y
    sheet.grid({ shades: await scores(rotary), x, cell: 19, cellHeight: 17, tone: i + 1 })
  }
  sheet.note('Rows: place of the query, columns: place of the key. With RoPE all cells of a diagonal are equal: only the distance counts.')
  sheet.gap(4)
}

/** How much the last row of attention changes when the earlier rows change places. */
async function changedPlaces(sheet: Sheet, ops: Backend): Promise<void> {
  const added = learnedPositions().subarray(0, 6 * K)
  sheet.part('Change of the last output when earlier tokens change places')
  const rows: { label: string; value: number; shown: string }[] = []
  for (const [label, layers, positions] of [
    ['no positions, one layer', 1, {}],
    ['no positions, two layers', 2, {}],
    ['learned, one layer', 1, { added }],
    ['RoPE, one layer', 1, { turn: TURN }],
  ] as const) {
    const value = await changeByOrder(ops, { seed: 9, layers, ...positions })
    rows.push({ label, value, shown: value.toFixed(3) })
  }
  sheet.bars(rows)
}

/** Four query heads, and the key and value heads that they read. */
function sharing(sheet: Sheet): void {
  const panel = INNER / 3
  const top = sheet.y
  const [size, step] = [15, 24]
  for (const [i, [title, groups]] of (
    [
      ['MHA', 4],
      ['GQA', 2],
      ['MQA', 1],
    ] as const
  ).entries()) {
    const x = EDGE + i * panel
    const middle = (index: number, of: number): number => x + 6 + size / 2 + ((index + 0.5) * 4 * step) / of - step / 2
    sheet.add(text(middle(1.5, 4), top + 13, title, 'part', 'middle'))
    for (let h = 0; h < 4; h++) {
      const g = Math.floor((h * groups) / 4)
      sheet.add(line(middle(h, 4), top + 36, middle(g, groups), top + 64, 'axis'))
      sheet.add(rect(middle(h, 4) - size / 2, top + 22, size, size, 'a0', 3))
    }
    for (let g = 0; g < groups; g++)
      sheet.add(
        rect(middle(g, groups) - size / 2, top + 62, size, size, 'a2', 3),
        rect(middle(g, groups) - size / 2, top + 80, size, size, 'a3', 3),
      )
  }
  sheet.y = top + 100
  sheet.legend([
    [0, 'query head'],
    [2, 'key head'],
    [3, 'value head'],
  ])
}

const withHeads = (model: Architecture, kvHeads: number): Architecture => ({
  ...model,
  layers: model.layers.map((layer) => ({
    ...layer,
    attention: layer.attention.kind === 'multiHead' ? { ...layer.attention, kvHeads, slidingWindow: null } : layer.attention,
  })),
})

function grouped(sheet: Sheet): void {
  sharing(sheet)
  const model = preset('gpt-oss-20b')!
  const { heads } = multiHeadOf(model)
  const variants = [heads, heads / 2, multiHeadOf(model).kvHeads, 1].map((kvHeads) => {
    const variant = withHeads(model, kvHeads)
    const label = kvHeads === heads ? 'MHA' : kvHeads === 1 ? 'MQA' : 'GQA'
    return {
      label: `${label}, ${kvHeads} key heads`,
      cache: cacheBytes(variant, 131072),
      parameters: account(variant, { context: 1 }).parameters.total,
    }
  })
  sheet.part('Cache of gpt-oss-20b, 131,072 tokens, without windows')
  sheet.bars(
    variants.map(({ label, cache }, i) => ({ label, value: cache, shown: `${(cache / 2 ** 30).toFixed(2)} GiB`, tone: i === 2 ? 1 : 2 })),
  )
  sheet.part('Weights of all layers for keys and values')
  const least = variants.at(-1)!
  const perHead = (variants[0]!.parameters - least.parameters) / (heads - 1)
  const rows = variants.map(({ label, parameters }, i) => ({
    label,
    value: parameters - least.parameters + perHead,
    tone: i === 2 ? 1 : 3,
  }))
  sheet.bars(rows.map((row) => ({ ...row, shown: `${(row.value / 1e6).toFixed(1)}M` })))
  sheet.note('Orange: what gpt-oss has, 8 key and value heads for 64 query heads.')
}

async function windows(sheet: Sheet, ops: Backend): Promise<void> {
  const T = 8
  const top = sheet.y + 14
  for (const [i, [title, window]] of (
    [
      ['full attention', null],
      ['window of 3', 3],
    ] as const
  ).entries()) {
    const rows = await weightsOf(ops, T, { window })
    const x = EDGE + i * 172
    sheet.add(text(x, top - 3, title, 'part'))
    sheet.y = top + 2
    // A weight of exactly zero is a token that is not seen.
    sheet.grid({
      shades: rows.map((row, t) => row.map((share, s) => (s > t ? null : share === 0 ? 0 : 0.25 + 0.75 * share))),
      x,
      cell: 19,
      cellHeight: 17,
      tone: i,
    })
  }
  sheet.note('Rows: tokens; columns: what they see. Colour: attention weights of random queries and keys; grey: not seen.')
  sheet.gap(4)
  const model = preset('gpt-oss-20b')!
  sheet.part('The 24 layers of gpt-oss-20b')
  const step = INNER / model.layers.length
  model.layers.forEach((layer, i) => {
    sheet.add(rect(EDGE + i * step, sheet.y + 2, step - 2, 14, windowOf(layer) === null ? 'a0' : 'a1', 2))
  })
  sheet.y += 22
  sheet.legend([
    [1, `window of ${windowOf(model.layers[0]!)}`],
    [0, 'full'],
  ])
  sheet.part('Its cache in bf16 by context')
  const lengths = Array.from({ length: 17 }, (_, i) => 8192 * i)
  const curve = (name: string, tone: number, variant: Architecture) => ({
    name,
    tone,
    points: lengths.map((length) => [length, length === 0 ? 0 : cacheBytes(variant, length) / 2 ** 30] as const),
  })
  const full = withHeads(model, multiHeadOf(model).kvHeads)
  const { X, Y } = sheet.plot({
    curves: [curve('all layers full', 0, full), curve('every other layer with its window', 1, model)],
    yName: (y) => `${y} GiB`,
    xNames: [0, 32768, 65536, 98304, 131072].map((x) => [x, x === 0 ? '0' : `${x / 1024}k`] as const),
    xTitle: 'tokens',
    height: 130,
  })
  for (const [bytes, tone] of [
    [cacheBytes(full, 131072), 0],
    [cacheBytes(model, 131072), 1],
  ] as const)
    sheet.add(
      circle(X(131072), Y(bytes / 2 ** 30), 3, `a${tone}`),
      text(X(131072), Y(bytes / 2 ** 30) + 36, `${(bytes / 2 ** 30).toFixed(2)} GiB`, `x${tone}`, 'end'),
    )
}

export const attentionFigures: readonly Figure[] = [
  {
    id: 'F3',
    title: 'Figure 3: dropout on attention weights',
    describes:
      'Three triangles of numbers: attention weights of six tokens; the same with half of them set to zero and the rest unchanged; the same with the rest doubled, as GPT-2 and PyTorch do it. Bars below show that only the scaled form keeps the mean at one.',
    source: 'the ops attention and dropout of the reference backend on random queries and keys.',
    draw: dropout,
  },
  {
    id: 'F4',
    title: 'Figure 4: positions, learned and rotary',
    describes:
      'Above: vectors of tokens plus vectors of positions give the input of GPT-2. Middle: scores of one query with one key at eight places; with learned positions every cell differs, with RoPE the cells of a diagonal are equal. Below: without positions one layer does not notice that earlier tokens changed places, two layers do.',
    source: 'the ops add, rope and attention of the reference backend on random vectors of width 8.',
    draw: positions,
  },
  {
    id: 'F9',
    title: 'Figure 9: grouped-query attention',
    describes:
      'Four query heads with four, two and one heads of keys and values. Bars below: the cache of gpt-oss-20b with 64, 32, 8 and 1 key heads, from 48 GiB to 0.75 GiB, and the weights for keys and values.',
    source: 'the configuration of gpt-oss-20b with other numbers of heads; cache and weights as lineage inspect counts them.',
    draw: grouped,
  },
  {
    id: 'F10',
    title: 'Figure 10: a sliding window',
    describes:
      'Two triangles of attention weights of eight tokens: with full attention each token sees all earlier ones, with a window of 3 only itself and two before. Below: gpt-oss alternates windows of 128 with full layers, which halves its cache at 131,072 tokens from 6 to 3 GiB.',
    source: 'the op attention of the reference backend, the configuration of gpt-oss-20b, and its cache as lineage inspect counts it.',
    draw: windows,
  },
]
