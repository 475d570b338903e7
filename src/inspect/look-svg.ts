/** What `look` found as one picture: sizes and sinks by layer, answers of each layer, attention maps, and the load of experts. */
import { EDGE, INNER, Sheet, SMALL } from '../drawing/sheet.ts'
import { faded, rect, text, textWidth } from '../drawing/svg.ts'
import { mean } from '../numbers/statistics.ts'
import type { AttentionLook, AttentionRow, LayerLook, Look } from './look.ts'

/** Columns of the table of answers, rows of a map, and maps at most. */
const ANSWERS = 6
const MAP_TOKENS = 14
const MAPS = 4

/** An SVG document, 360 units wide, for light and dark pages. Of many layers it shows the maps of a few, evenly spread. */
export function lookSvg(look: Look): string {
  const sheet = new Sheet()
  const { model, backend, ids, tokens, layers } = look
  sheet.note(look.texts ? shorten(JSON.stringify(look.texts.join('')), 150) : `ids ${shorten(ids.join(' '), 140)}`)
  sheet.gap(4)
  sizes(sheet, layers)
  sinks(sheet, layers)
  answers(sheet, look)
  const mapped = layers.filter((layer) => layer.attention.kind !== 'stateSpace')
  for (const { layer, attention } of spread(mapped, MAPS)) if (attention.kind !== 'stateSpace') maps(sheet, look, layer, attention)
  if (mapped.length)
    sheet.note('Maps: a row for each token, a column for what it looks at; a quarter of the attention has half of the colour.')
  loads(sheet, layers)
  return sheet.document({
    title: `Inside ${model}`,
    describes: `What happens in ${layers.length} layers of ${model} while it reads ${ids.length} tokens: sizes of activations, shares of attention, answers of each layer and chosen experts.`,
    source: `lineage look, backend ${backend}; ${tokens.length} of ${ids.length} tokens.`,
  })
}

const shorten = (words: string, length: number): string => (words.length > length ? `${words.slice(0, length - 1)}…` : words)

/** At most `count` entries, evenly spread, with the first and the last. */
const spread = <T>(all: readonly T[], count: number): T[] =>
  all.length <= count ? [...all] : Array.from({ length: count }, (_, i) => all[Math.round((i * (all.length - 1)) / (count - 1))]!)

/** The text of a token or its id, as long as there is room. */
function word({ ids, texts }: Look, token: number, width: number): string {
  const whole = texts?.[token] === undefined ? `#${ids[token]}` : visible(texts[token]!)
  return fitting(whole, width)
}

const visible = (words: string): string =>
  words
    .replace(/^ /, '·')
    .replaceAll('\n', '⏎')
    .replace(/\p{Cc}/gu, '\ufffd')

function fitting(words: string, width: number): string {
  let shown = words
  // The estimate of widths is for Latin letters; others are up to twice as wide.
  const wide = (part: string): number => textWidth(part, SMALL) * (/[^\p{ASCII}\p{Script=Latin}⏎…·]/u.test(part) ? 1.9 : 1.15)
  while (shown.length > 1 && wide(shown) > width) shown = `${[...shown.replace(/…$/, '')].slice(0, -1).join('')}…`
  return shown
}

function sizes(sheet: Sheet, layers: readonly LayerLook[]): void {
  sheet.part('Size of activations (rms) by layer')
  const curve = (name: string, tone: number, value: (layer: LayerLook) => number | undefined) => ({
    name,
    tone,
    dots: layers.length < 40,
    points: layers.flatMap((layer) => {
      const y = value(layer)
      return y === undefined ? [] : [[layer.layer, y] as const]
    }),
  })
  const curves = [
    curve('residual stream', 0, ({ sizes: { stream } }) => stream.rms),
    curve('attention adds', 2, ({ sizes: { attention } }) => attention.rms),
    curve('feed-forward adds', 3, ({ sizes: { feedForward } }) => feedForward?.rms),
  ].filter(({ points }) => points.length)
  const most = Math.max(...curves.flatMap(({ points }) => points.map(([, y]) => y)))
  sheet.plot({ curves, xNames: layerNames(layers), yRange: [0, most || 1], height: 120 })
}

/** Names of at most eight layers for an axis. */
const layerNames = (layers: readonly LayerLook[]): (readonly [number, string])[] =>
  spread(layers, 8).map(({ layer }) => [layer, String(layer)] as const)

function sinks(sheet: Sheet, layers: readonly LayerLook[]): void {
  const shares = layers.flatMap(({ layer, attention }) => {
    if (attention.kind === 'stateSpace') return []
    const { heads, learnedSinks: learned } = attention
    return [{ layer, sink: mean(heads.map(({ sink }) => sink)), first: mean(heads.map(({ firstToken }) => firstToken)), learned }]
  })
  if (!shares.length) {
    sheet.part('State-space layers alone: there are no attention maps')
    return
  }
  sheet.part('Attention to sinks and first token')
  const curves = [
    { name: 'first token', tone: 0, dots: layers.length < 40, points: shares.map(({ layer, first }) => [layer, first] as const) },
  ]
  if (shares.some(({ learned }) => learned))
    curves.push({
      name: 'learned sinks',
      tone: 1,
      dots: layers.length < 40,
      points: shares.map(({ layer, sink }) => [layer, sink] as const),
    })
  const xRange = [layers[0]!.layer, Math.max(layers.at(-1)!.layer, layers[0]!.layer + 1)] as const
  sheet.plot({ curves, xRange, xNames: layerNames(layers), yRange: [0, 1], yName: (y) => `${Math.round(100 * y)} %`, height: 100 })
}

/** A row for each layer, the last one on top; the likeliest token after each of a few tokens. */
function answers(sheet: Sheet, look: Look): void {
  const layers = spread(
    look.layers.filter(({ lens }) => lens?.length),
    24,
  ).reverse()
  if (!layers.length) return
  const shown = layers[0]!.lens!.slice(-ANSWERS).map(({ token }) => token)
  const cell = (INNER - 26) / shown.length
  sheet.part('What each layer would answer')
  const rows = layers.map(({ lens }) => lens!.slice(-ANSWERS).map(({ top }) => top[0]!))
  sheet.grid({
    shades: rows.map((row) => row.map(({ share }) => share)),
    words: rows.map((row) => row.map(({ text: words, id }) => fitting(words === undefined ? `#${id}` : visible(words), cell - 6))),
    rowNames: layers.map(({ layer }) => String(layer)),
    columnNames: shown.map((token) => word(look, token, cell - 4)),
    cell,
    cellHeight: 18,
    tone: 2,
  })
}

/** The mean map of a layer, and those of heads that were asked for. */
function maps(
  sheet: Sheet,
  look: Look,
  layer: number,
  { heads, mean, window, learnedSinks }: Exclude<AttentionLook, { kind: 'stateSpace' }>,
): void {
  const sees = window === null ? 'sees all' : `sees ${window} back`
  const own = heads.filter(({ map }) => map).slice(0, MAPS)
  if (own.length !== 1) map(sheet, look, `Layer ${layer}, mean of ${heads.length} heads, ${sees}`, mean, learnedSinks)
  for (const { head, map: rows } of own) map(sheet, look, `Layer ${layer}, head ${head}, ${sees}`, rows!, learnedSinks)
}

/** Square roots, so that small shares are seen too. */
const shade = (share = 0): number => Math.sqrt(share)

function map(sheet: Sheet, look: Look, title: string, rows: readonly AttentionRow[], sinks: boolean): void {
  const shown = rows.slice(-MAP_TOKENS)
  if (!shown.length) return
  const last = Math.max(...shown.map(({ token }) => token))
  const from = Math.max(0, last + 1 - MAP_TOKENS)
  const columns = Array.from({ length: last + 1 - from }, (_, i) => from + i)
  const names = shown.map(({ token }) => `${token} ${word(look, token, 56)}`)
  const left = Math.max(...names.map((name) => textWidth(name, SMALL))) + 5
  const cell = Math.min(22, (INNER - left - (sinks ? 44 : 4)) / columns.length)
  sheet.part(title)
  const top = sheet.y
  const right = sheet.grid({
    shades: shown.map((row) => columns.map((token) => (token > row.token ? null : shade(row.shares[token - row.first])))),
    rowNames: names,
    columnNames: cell >= 14 ? columns.map((token) => String(token % 100)) : undefined,
    cell,
    cellHeight: 17,
  })
  if (!sinks) return
  const first = sheet.y - 6 - shown.length * 17
  sheet.add(text(right + 40, Math.max(top + 10, first - 4), 'sink', 'dim', 'end'))
  shown.forEach(({ sink }, i) => {
    sheet.add(rect(right + 6, first + i * 17 + 1, 34, 15, 'rest', 2), rect(right + 6, first + i * 17 + 1, 34 * sink, 15, 'a1', 2))
  })
}

/** A row for each mixture layer, a cell for each expert. */
function loads(sheet: Sheet, layers: readonly LayerLook[]): void {
  const mixtures = spread(
    layers.filter(({ experts }) => experts),
    24,
  )
  if (!mixtures.length) return
  const { experts, active, tokens } = mixtures[0]!.experts!
  sheet.part(`Load of ${experts} experts, ${active} for each token`)
  const most = Math.max(...mixtures.flatMap(({ experts }) => experts!.load))
  const names = mixtures.map(({ layer }) => String(layer))
  const cell = Math.min(22, (INNER - 24) / Math.max(...mixtures.map(({ experts }) => experts!.experts)))
  const left = EDGE + Math.max(...names.map((name) => textWidth(name, SMALL))) + 5
  mixtures.forEach(({ experts }, r) => {
    const y = sheet.y + r * 14
    sheet.add(text(left - 5, y + 11, names[r]!, 'dim', 'end'))
    experts!.load.forEach((count, e) => {
      const shape = rect(left + e * cell, y + 1, Math.max(0.8, cell - 0.6), 12, count ? 'a1' : 'rest')
      sheet.add(count ? faded(shape, 0.2 + (0.8 * count) / most) : shape)
    })
  })
  sheet.y += mixtures.length * 14 + 2
  sheet.note(`A row for each layer, a cell for each expert; the darkest was chosen by ${most} of ${tokens} tokens.`)
}
