/** The report of `lineage look` for terminals of 60 columns and more, and its JSON. */
import type { AttentionLook, AttentionRow, ExpertsLook, LayerLook, LensRow, Look, Sizes } from '../../inspect/look.ts'
import { mean } from '../../numbers/statistics.ts'
import { type Cell, columnsOf, fitColumns, type Paint, painter, short, table } from './terminal.ts'

interface View {
  /** Whole layers in place of a line for each. */
  detailed: boolean
  /** Columns of the terminal. */
  width: number
}

/** Shades of attention, from these shares on. */
const SHADES: readonly (readonly [from: number, block: string])[] = [
  [0.5, '██'],
  [0.25, '▓▓'],
  [0.1, '▒▒'],
  [0.02, '░░'],
  [0, ' ·'],
]
const LABEL = 14
/** Columns of a map at most. */
const MAP_TOKENS = 32
const SHOWN_EXPERTS = 8

export function report(look: Look, { detailed, width }: View): string {
  const paint = painter()
  const parts = [heading(look, paint, Math.min(width, 100))]
  if (detailed) parts.push(...look.layers.map((layer) => details(look, layer, paint, Math.min(width, 100))))
  else parts.push(overview(look, paint), paint('--layers 0,3-5 shows layers in detail, --heads their maps head by head', 'dim'))
  return parts.join('\n\n')
}

/** Every number with six digits. */
export const asJson = (look: Look): string =>
  JSON.stringify(
    look,
    (_, value) => {
      if (value instanceof Float64Array || value instanceof Float32Array) return [...value]
      return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value
    },
    2,
  )

const percent = (share: number): string => (share > 0 && share < 0.005 ? '<1 %' : `${(100 * share).toFixed(0)} %`)
const size = (value: number): string => (value >= 1000 ? short(Math.round(value)) : value.toPrecision(3))
/** The text of a token on one line, or its id. */
const quoted = (text: string | undefined, id: number): string => (text === undefined ? `#${id}` : JSON.stringify(text))

function cut(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  const kept = [...text]
  while (columnsOf(kept.join('')) >= columns) kept.pop()
  return `${kept.join('')}…`
}
const pad = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - columnsOf(text)))
const named = ({ ids, texts }: Look, token: number): string => cut(`${token} ${quoted(texts?.[token], ids[token]!)}`, LABEL)

function heading(look: Look, paint: Paint, width: number): string {
  const { model, backend, ids, tokens } = look
  const lines: string[] = []
  for (const token of tokens) {
    const word = named(look, token)
    if (lines.length && columnsOf(lines.at(-1)!) + columnsOf(word) + 3 <= width) lines[lines.length - 1] += `   ${word}`
    else lines.push(word)
  }
  const shown = tokens.length < ids.length ? `, ${tokens.length} of them shown` : ''
  return [paint(`${model}: ${ids.length} tokens${shown} (${backend})`, 'bold'), ...lines].join('\n')
}

/** A line for each layer. */
function overview(look: Look, paint: Paint): string {
  const last = look.tokens.at(-1)
  const mixed = look.layers.some(({ experts }) => experts)
  const lens = look.layers.some((layer) => layer.lens?.length)
  const head: Cell[] = [
    'layer',
    'sees',
    'sink',
    'first',
    'reach',
    'rms',
    'largest',
    ...(mixed ? ['experts'] : []),
    ...(lens ? [`after ${named(look, last!)}`] : []),
  ].map((text) => ({ text, styles: ['dim'] }))
  const embedding = ['', '', '', '', '', size(look.embedding.sizes.rms), size(look.embedding.sizes.largest)]
  const rows = look.layers.map(({ layer, attention, sizes, experts, lens: answers }) => [
    String(layer),
    ...attentionCells(attention),
    size(sizes.stream.rms),
    size(sizes.stream.largest),
    ...(mixed ? [experts ? `${experts.effective.toFixed(1)} / ${experts.experts}` : '–'] : []),
    ...(answers?.length ? [best(answers.at(-1)!, 1)] : []),
  ])
  const right = head.map((_, column) => column !== 1 && column < 7)
  const legend = [
    'sees: how many tokens back; sink, first: share of the learned sink',
    'and of the first token; reach: mean distance in tokens;',
    'rms, largest: of the residual stream after the layer',
    ...(mixed ? ['experts: how many would carry the load evenly'] : []),
    ...(lens ? ['last column: what the layer would answer'] : []),
  ]
  return `${table([head, ['emb', ...embedding.slice(1)], ...rows], paint, right)}\n\n${paint(legend.join('\n'), 'dim')}`
}

function attentionCells(attention: AttentionLook): string[] {
  if (attention.kind === 'stateSpace') return ['states', '', '', '']
  const { heads, window, learnedSinks } = attention
  return [
    window === null ? 'all' : String(window),
    learnedSinks ? percent(mean(heads.map(({ sink }) => sink))) : '–',
    percent(mean(heads.map(({ firstToken }) => firstToken))),
    mean(heads.map(({ distance }) => distance)).toFixed(1),
  ]
}

const best = ({ top }: LensRow, count: number): string =>
  top
    .slice(0, count)
    .map(({ id, text, share }) => `${cut(quoted(text, id), 14)} ${percent(share)}`)
    .join(', ')

/** One layer with everything that is known of it. */
function details(look: Look, layer: LayerLook, paint: Paint, width: number): string {
  const { attention, experts, lens, sizes } = layer
  const title = (text: string): string => paint(text, 'bold')
  const parts = [title(`layer ${layer.layer}: ${attentionName(attention)}`)]
  if (attention.kind !== 'stateSpace') {
    const count = attention.heads.length
    const maps = attention.heads.filter(({ map }) => map)
    if (maps.length !== 1)
      parts.push(
        `mean of ${count} heads: a row for each token, a column for what it looks at`,
        map(look, attention.mean, attention.learnedSinks, paint, width),
      )
    for (const { head, map: rows } of maps) parts.push(`head ${head}`, map(look, rows!, attention.learnedSinks, paint, width))
    parts.push(headTable(look, attention, paint))
  }
  if (experts) parts.push(expertLines(look, experts, paint))
  if (lens?.length) parts.push(title('what the layer would answer'), lensTable(look, lens, paint, width))
  const rows: [string, Sizes | undefined][] = [
    ['residual stream', sizes.stream],
    ['attention adds', sizes.attention],
    ['feed-forward adds', sizes.feedForward],
  ]
  parts.push(
    title('sizes'),
    table(
      rows.flatMap(([what, found]) =>
        found
          ? [
              [
                what,
                `rms ${size(found.rms)}`,
                `largest ${size(found.largest)} at token ${found.token}, dim ${found.dimension}`,
                `outliers ${(100 * found.outliers).toFixed(2)} %`,
              ],
            ]
          : [],
      ),
      paint,
    ),
  )
  return parts.join('\n')
}

function attentionName(attention: AttentionLook): string {
  if (attention.kind === 'stateSpace')
    return `state space of ${attention.channels} channels with ${attention.states} states each and a convolution of ${attention.convolution}; it has no attention map`
  const { kind, window, learnedSinks, kvHeads, latent } = attention
  const sees = window === null ? 'sees all tokens' : `sees ${window} tokens back`
  const keys = kind === 'latent' ? `latent of ${latent} values per token` : `${kvHeads} key/value heads`
  return `${keys}, ${sees}, ${learnedSinks ? 'learned sinks' : 'no learned sinks'}`
}

/** Rows of attention as shaded blocks. Columns between the first token and the last ones are added up. */
function map(look: Look, rows: readonly AttentionRow[], sinks: boolean, paint: Paint, width: number): string {
  const last = Math.max(...rows.map(({ token }) => token))
  const room = Math.max(4, Math.min(MAP_TOKENS, Math.floor((width - LABEL - 10) / 2)))
  const from = last + 1 <= room ? 0 : last + 1 - (room - 2)
  const columns = Array.from({ length: last + 1 - from }, (_, i) => from + i)
  const at = (row: AttentionRow, token: number): number | undefined => row.shares[token - row.first]
  const block = (share: number | undefined): string => {
    if (share === undefined) return '  '
    const text = SHADES.find(([least]) => share >= least)![1]
    return share < 0.02 ? paint(text, 'dim') : paint(text, 'blue')
  }
  const between = (row: AttentionRow): number | undefined => {
    const part = row.shares.subarray(Math.max(0, 1 - row.first), Math.max(0, from - row.first))
    return part.length ? part.reduce((a, b) => a + b, 0) : undefined
  }
  const numbers = [...(from > 0 ? [' 0', ' …'] : []), ...columns.map((token) => String(token % 100).padStart(2))]
  const lines = [paint(`${''.padEnd(LABEL)} ${numbers.join('')}${sinks ? '  sink' : ''}`, 'dim')]
  for (const row of rows) {
    const before = from > 0 ? block(at(row, 0)) + block(between(row)) : ''
    const cells = columns.map((token) => block(at(row, token))).join('')
    lines.push(`${pad(named(look, row.token), LABEL)} ${before}${cells}${sinks ? `  ${percent(row.sink).padStart(4)}` : ''}`)
  }
  return lines.join('\n')
}

function headTable(look: Look, { heads, learnedSinks }: Exclude<AttentionLook, { kind: 'stateSpace' }>, paint: Paint): string {
  const last = look.tokens.at(-1)!
  const head = ['head', ...(learnedSinks ? ['sink'] : []), 'first', 'reach', 'bits', `${named(look, last)} looks at`].map(
    (text): Cell => ({ text, styles: ['dim'] }),
  )
  const rows = heads.map(({ head, sink, firstToken, distance, entropy, rows }) => [
    String(head),
    ...(learnedSinks ? [percent(sink)] : []),
    percent(firstToken),
    distance.toFixed(1),
    entropy.toFixed(1),
    (rows.at(-1)?.top ?? []).map(({ token, share }) => `${named(look, token)} ${percent(share)}`).join(', '),
  ])
  return table(
    [head, ...rows],
    paint,
    head.map((_, column) => column < head.length - 1),
  )
}

function expertLines(look: Look, { experts, active, load, tokens, effective, rows }: ExpertsLook, paint: Paint): string {
  const order = load.map((count, expert) => ({ expert, count })).sort((a, b) => b.count - a.count)
  const most = Math.max(1, order[0]!.count)
  const shown = order.slice(0, SHOWN_EXPERTS)
  const idle = load.filter((count) => count === 0).length
  const bars = shown.map(({ expert, count }) => [
    `expert ${expert}`,
    { text: '█'.repeat(Math.round((20 * count) / most)), styles: ['yellow'] } as Cell,
    String(count),
  ])
  const choices = rows.map(({ token, chosen, weights }) => [
    named(look, token),
    chosen.map((expert, i) => `${expert} ${percent(weights[i]!)}`).join(', '),
  ])
  return [
    paint(`${active} of ${experts} experts for each token`, 'bold'),
    `over ${tokens} tokens; an even load would be ${((tokens * active) / experts).toFixed(1)} for each expert`,
    `as uneven as ${effective.toFixed(1)} even experts, ${idle} idle; the busiest:`,
    table(bars, paint),
    table(choices, paint),
  ].join('\n')
}

function lensTable(look: Look, lens: readonly LensRow[], paint: Paint, width: number): string {
  const rows = lens.map((row) => {
    const { next } = row
    const following = next ? `${quoted(look.texts?.[row.token + 1], next.id)} at place ${next.rank}, ${percent(next.share)}` : ''
    return [named(look, row.token), best(row, row.top.length), { text: following, styles: ['dim'] } as Cell]
  })
  return table(fitColumns(rows, width), paint)
}
