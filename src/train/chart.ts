/**
 * Line charts as SVG: loss curves, the ladder, accuracy against tokens. One axis pair, a few series, readable in light and dark.
 */

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
/** Room for slanted names. */
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

const escapeXml = (text: string): string => text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c]!)
const round = (x: number): string => String(Math.round(x * 10) / 10)

/** Round numbers between low and high, about five of them. */
export function ticks(low: number, high: number): number[] {
  const raw = (high - low) / 5
  const magnitude = 10 ** Math.floor(Math.log10(raw))
  const step = magnitude * [1, 2, 2.5, 5, 10].find((m) => m * magnitude >= raw)!
  const found: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)))
  return found
}

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
  const out = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${escapeXml(title)}</title>`,
    '<style>.t{fill:#222}.g{stroke:#8884;stroke-width:1}.s{fill:none;stroke-width:1.8;stroke-linejoin:round}@media(prefers-color-scheme:dark){.t{fill:#ddd}}</style>',
    `<text x="${LEFT}" y="22" class="t" font-size="15" font-weight="600">${escapeXml(title)}</text>`,
  ]
  for (const y of ticks(yLow, yHigh))
    out.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(Y(y))}" y2="${round(Y(y))}" class="g"/>`,
      `<text x="${LEFT - 8}" y="${round(Y(y) + 4)}" class="t" text-anchor="end">${label(y)}</text>`,
    )
  const places = xLabels ? xLabels.map((_, i) => i) : ticks(xLow, xHigh)
  for (const x of places) {
    const [px, py] = [round(X(x)), HEIGHT - bottom]
    out.push(`<line x1="${px}" x2="${px}" y1="${py}" y2="${py + 4}" class="g"/>`)
    if (xLabels)
      out.push(
        `<text x="${px}" y="${py + 16}" class="t" text-anchor="end" transform="rotate(-40 ${px} ${py + 16})">${escapeXml(xLabels[x]!)}</text>`,
      )
    else out.push(`<text x="${px}" y="${py + 18}" class="t" text-anchor="middle">${label(x)}</text>`)
  }
  const middle = (TOP + HEIGHT - bottom) / 2
  out.push(
    `<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 12}" class="t" text-anchor="middle">${escapeXml(xTitle)}</text>`,
    `<text x="16" y="${middle}" class="t" text-anchor="middle" transform="rotate(-90 16 ${middle})">${escapeXml(yTitle)}</text>`,
  )
  series.forEach((s, i) => {
    const colour = COLOURS[i % COLOURS.length]
    out.push(
      `<path class="s" stroke="${colour}" d="${thin(s.points)
        .map(([x, y], j) => `${j ? 'L' : 'M'}${round(X(x))} ${round(Y(y))}`)
        .join('')}"/>`,
    )
    s.spread?.forEach(([low, high], j) => {
      const x = round(X(s.points[j]![0]))
      out.push(`<line x1="${x}" x2="${x}" y1="${round(Y(low))}" y2="${round(Y(high))}" stroke="${colour}" stroke-width="1.2"/>`)
    })
    if (s.dots) for (const [x, y] of s.points) out.push(`<circle cx="${round(X(x))}" cy="${round(Y(y))}" r="3" fill="${colour}"/>`)
    const y = TOP + 10 + i * 18
    out.push(
      `<line x1="${WIDTH - RIGHT + 14}" x2="${WIDTH - RIGHT + 32}" y1="${y}" y2="${y}" stroke="${colour}" stroke-width="2.5"/>`,
      `<text x="${WIDTH - RIGHT + 38}" y="${y + 4}" class="t">${escapeXml(s.name)}</text>`,
    )
  })
  return `${out.join('\n')}\n</svg>\n`
}

function limits(values: readonly number[]): [number, number] {
  const low = Math.min(...values)
  const high = Math.max(...values)
  if (low === high) return [low - 0.5, high + 0.5]
  return [low, high]
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
