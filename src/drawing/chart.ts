/** Line charts as SVG: one pair of axes, a few series, readable in light and dark. */
import { circle, document, line, n, path, text, turned } from './svg.ts'
import { limits, ticks } from './ticks.ts'

export interface Series {
  name: string
  points: readonly (readonly [x: number, y: number])[]
  /** Half-length of an error bar per point. */
  spread?: readonly (readonly [low: number, high: number])[]
  dots?: boolean
}

export interface Chart {
  title: string
  xTitle: string
  yTitle: string
  series: readonly Series[]
  /** Limits of the y axis; from the data if absent. */
  yRange?: readonly [number, number]
  /** Names of the whole numbers 0, 1, … on the x axis, instead of numbers. */
  xLabels?: readonly string[]
}

const WIDTH = 760
const HEIGHT = 420
const LEFT = 64
const RIGHT = 180
const TOP = 44
const BOTTOM = 52
/** Space below the axis for slanted names. */
const NAMES_BOTTOM = 110
const COLOURS = [
  '#2f6fd0',
  '#d9622b',
  '#2e9a5b',
  '#8a4fc9',
  '#b8860b',
  '#c2366b',
  '#3b8ea5',
  '#777777',
  '#5a7d1e',
  '#a0522d',
  '#006d77',
  '#9b2226',
]

/** The same hues on dark pages. */
const DARK = [
  '#6ea8ff',
  '#f0833a',
  '#4fc37f',
  '#b58bea',
  '#e0b43a',
  '#ef6b9b',
  '#6bc0d8',
  '#aaaaaa',
  '#9cc35a',
  '#d58e60',
  '#3cbac4',
  '#e4757a',
]
const paints = (colours: readonly string[]): string =>
  colours.map((colour, i) => `.s${i}{stroke:${colour}}.dot.s${i}{fill:${colour};stroke:none}`).join('')

/** Curves and their legend take the colour of their series: classes s0, s1, … */
const STYLE = [
  '.t{fill:#222;font-size:12px}.title{fill:#222;font-size:15px;font-weight:600}.g{stroke:#8884;stroke-width:1}',
  '.curve{fill:none;stroke-width:1.8;stroke-linejoin:round}.bar{stroke-width:1.2}.key{stroke-width:2.5}',
  paints(COLOURS),
  `@media(prefers-color-scheme:dark){.t,.title{fill:#ddd}${paints(DARK)}}`,
].join('')

const label = (x: number): string => (Math.abs(x) >= 10000 ? `${x / 1000}k` : String(x))

export function chartSvg({ title, xTitle, yTitle, series, yRange, xLabels }: Chart): string {
  const points = series.flatMap((s) => s.points)
  const bars = series.flatMap((s) => s.spread ?? []).flat()
  const xs = points.map(([x]) => x)
  const ys = [...points.map(([, y]) => y), ...bars]
  const bottom = xLabels ? NAMES_BOTTOM : BOTTOM
  const [xLow, xHigh] = limits(xs)
  const [yLow, yHigh] = yRange ?? limits(ys)
  const X = (x: number) => LEFT + ((x - xLow) / (xHigh - xLow)) * (WIDTH - LEFT - RIGHT)
  const Y = (y: number) => HEIGHT - bottom - ((Math.min(yHigh, Math.max(yLow, y)) - yLow) / (yHigh - yLow)) * (HEIGHT - TOP - bottom)
  const [right, base] = [WIDTH - RIGHT, HEIGHT - bottom]
  const out = [text(LEFT, 22, title, 'title')]
  for (const y of ticks(yLow, yHigh)) out.push(line(LEFT, Y(y), right, Y(y), 'g'), text(LEFT - 8, Y(y) + 4, label(y), 't', 'end'))
  for (const x of xLabels?.keys() ?? ticks(xLow, xHigh)) {
    out.push(line(X(x), base, X(x), base + 4, 'g'))
    out.push(xLabels ? turned(X(x), base + 16, -40, xLabels[x]!, 't', 'end') : text(X(x), base + 18, label(x), 't', 'middle'))
  }
  out.push(text((LEFT + right) / 2, HEIGHT - 12, xTitle, 't', 'middle'), turned(16, (TOP + base) / 2, -90, yTitle, 't', 'middle'))
  for (const [i, { name, points, spread, dots }] of series.entries()) {
    const colour = `s${i % COLOURS.length}`
    for (const part of within(thin(points), yLow, yHigh))
      out.push(path(`M${part.map(([x, y]) => `${n(X(x))} ${n(Y(y))}`).join('L')}`, `curve ${colour}`))
    for (const [j, [low, high]] of spread?.entries() ?? [])
      out.push(line(X(points[j]![0]), Y(low), X(points[j]![0]), Y(high), `bar ${colour}`))
    if (dots) for (const [x, y] of points) out.push(circle(X(x), Y(y), 3, `dot ${colour}`))
    const y = TOP + 10 + i * 18
    out.push(line(right + 14, y, right + 32, y, `key ${colour}`), text(right + 38, y + 4, name, 't'))
  }
  return document(WIDTH, HEIGHT, title, STYLE, out)
}

/** The parts of a line between two heights: a line that leaves the picture ends at its edge. */
function within(points: Series['points'], low: number, high: number): (readonly [number, number])[][] {
  const parts: (readonly [number, number])[][] = []
  const inside = ([, y]: readonly [number, number]): boolean => y >= low && y <= high
  points.forEach((point, i) => {
    const before = points[i - 1]
    if (before && inside(before) !== inside(point)) {
      const edge = (inside(before) ? point : before)[1] > high ? high : low
      const x = before[0] + ((point[0] - before[0]) * (edge - before[1])) / (point[1] - before[1])
      if (inside(before)) parts.at(-1)!.push([x, edge])
      else parts.push([[x, edge]])
    } else if (!before && inside(point)) parts.push([])
    if (inside(point)) parts.at(-1)!.push(point)
  })
  return parts
}

/** At most 400 points of a long series: means of equal stretches. */
function thin(points: Series['points']): Series['points'] {
  if (points.length <= 400) return points
  const step = Math.ceil(points.length / 400)
  const out: [number, number][] = []
  for (let i = 0; i < points.length; i += step) {
    const part = points.slice(i, i + step)
    out.push([part.at(-1)![0], part.reduce((sum, [, y]) => sum + y, 0) / part.length])
  }
  return out
}
