/**
 * Pictures as wide as a phone: one column of 360 units, no text below 11 units, light and dark. A sheet is filled from top to
 * bottom; every part moves `y` on. Tones are numbers: 0 blue, 1 orange, 2 green, 3 purple, 4 ochre, 5 teal, 6 red, 7 grey.
 */
import { circle, document, faded, line, n, path, rect, text, textWidth, turned, wrap } from './svg.ts'
import { limits, ticks } from './ticks.ts'

/** Width of the picture, and its left and right margin. */
export const SHEET = 360
export const EDGE = 14
export const INNER = SHEET - 2 * EDGE
/** The smallest text. */
export const SMALL = 11
const SHOWN = 540
const LINE = 14

const LIGHT = ['#3d6fb4', '#c2571a', '#1a7f64', '#a15c8f', '#b08a1e', '#2b8a9d', '#b3323f', '#77828d']
const DARK = ['#5b93df', '#f0833a', '#35b48f', '#c585b5', '#d8b64c', '#4db6c9', '#ef6b73', '#98a3af']
/** Classes of a tone: `aN` area, `bN` pale area, `lN` line, `dN` dashed line, `xN` text. */
const tones = (colours: readonly string[]): string =>
  colours.map((c, i) => `.a${i},.b${i}{fill:${c}}.l${i},.d${i}{stroke:${c}}.x${i}{fill:${c}}`).join('')
const every = (letter: string): string => LIGHT.map((_, i) => `.${letter}${i}`).join(',')

const STYLE = [
  'text{fill:#1f2328;font-size:11.5px}.head{font-size:14px;font-weight:650}.part{font-size:12px;font-weight:600}',
  '.small{font-size:11px}.dim{fill:#59636e;font-size:11px}.strong{font-weight:600}.inverse{fill:#ffffff;font-size:11px}',
  '.page{fill:#ffffff}.box{fill:#f6f8fa;stroke:#c4ccd4}.dash{fill:none;stroke:#8c959f;stroke-dasharray:5 4}.mark{fill:#fdebcf}.marked{fill:#9a4f00;font-weight:600}',
  '.grid{stroke:#8884;stroke-width:1}.axis{stroke:#8c959f;stroke-width:1}.wire{fill:none;stroke:#6e7781;stroke-width:1.4}.tip{fill:#6e7781}.rest{fill:#e8ecf0}',
  `${every('b')}{fill-opacity:.28}${every('l')},${every('d')}{fill:none;stroke-width:1.8;stroke-linejoin:round}${every('d')}{stroke-dasharray:4 3}`,
  tones(LIGHT),
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9aa5b1}.inverse{fill:#0d1117}.page{fill:#0d1117}.box{fill:#161b22;stroke:#3a434d}.dash{stroke:#6e7781}',
  `.mark{fill:#38290f}.marked{fill:#f5b45f}.axis,.wire{stroke:#8b949e}.tip{fill:#8b949e}.rest{fill:#21262d}${tones(DARK)}}`,
].join('')

export interface About {
  title: string
  /** The picture in words, for those who cannot see it. */
  describes: string
  /** Where the numbers come from; stands below the picture. */
  source: string
}

export interface Bar {
  label: string
  value: number
  /** What stands at the right end; the value if absent. */
  shown?: string
  tone?: number
  /** Half-length of an error bar. */
  spread?: number
}

export interface Curve {
  name: string
  points: readonly (readonly [x: number, y: number])[]
  tone: number
  dashed?: boolean
  dots?: boolean
  /** Half-length of an error bar at each point. */
  spread?: readonly number[]
}

export interface Plot {
  curves: readonly Curve[]
  xTitle?: string
  yTitle?: string
  xRange?: readonly [number, number]
  yRange?: readonly [number, number]
  /** Places on the x axis that get a name, in place of round numbers. */
  xNames?: readonly (readonly [x: number, name: string])[]
  yName?: (y: number) => string
  height?: number
}

export interface Grid {
  /** [rows][columns]; shades from 0 to 1, null for no cell. */
  shades: readonly (readonly (number | null)[])[]
  x?: number
  cell?: number
  cellHeight?: number
  tone?: number
  /** What stands in the cells. */
  words?: readonly (readonly string[])[]
  rowNames?: readonly string[]
  columnNames?: readonly string[]
}

export class Sheet {
  /** Top of what comes next. */
  y = 0
  readonly #body: string[] = []

  add(...shapes: string[]): void {
    this.#body.push(...shapes)
  }

  /** Keeps a place below all that is added from now on, for shapes whose size is known later. */
  under(): (...shapes: string[]) => void {
    const index = this.#body.push('') - 1
    return (...shapes) => {
      this.#body[index] = shapes.join('\n')
    }
  }

  gap(height = 10): void {
    this.y += height
  }

  /** A heading of a part of the picture. */
  part(title: string, className = 'part'): void {
    for (const words of wrap(title, INNER, 13.5)) {
      this.y += 15
      this.add(text(EDGE, this.y - 3, words, className))
    }
    this.y += 3
  }

  /** Small text over the whole width or from `x` over `width`. */
  note(
    content: string,
    { x = EDGE, width = SHEET - EDGE - x, className = 'dim' }: { x?: number; width?: number; className?: string } = {},
  ): void {
    for (const words of wrap(content, width, SMALL)) {
      this.y += LINE
      this.add(text(x, this.y - 3, words, className))
    }
    this.y += 2
  }

  /** Colour and name of what is drawn, in as many lines as needed. */
  legend(entries: readonly (readonly [tone: number, label: string, kind?: 'area' | 'pale' | 'line' | 'dashed'])[]): void {
    let x = EDGE
    this.y += 13
    for (const [tone, label, kind = 'area'] of entries) {
      const width = 17 + textWidth(label, SMALL) + 10
      if (x > EDGE && x + width - 10 > SHEET - EDGE) {
        x = EDGE
        this.y += 16
      }
      const drawn = kind === 'line' || kind === 'dashed'
      if (drawn) this.add(line(x, this.y - 4, x + 13, this.y - 4, `${kind === 'line' ? 'l' : 'd'}${tone}`))
      else this.add(rect(x + 1, this.y - 9, 10, 10, `${kind === 'pale' ? 'b' : 'a'}${tone}`, 2))
      this.add(text(x + 17, this.y, label, 'small'))
      x += width
    }
    this.y += 8
  }

  /** Horizontal bars to one scale, which begins at `from` (0 if absent). Long labels stand above their bar. */
  bars(rows: readonly Bar[], { from = 0, to, tone = 0 }: { from?: number; to?: number; tone?: number } = {}): void {
    const shown = (row: Bar): string => row.shown ?? String(row.value)
    const most = to ?? Math.max(...rows.map(({ value, spread = 0 }) => value + spread))
    const labels = Math.max(...rows.map(({ label }) => textWidth(label, 11.5)))
    const numbers = Math.max(...rows.map((row) => textWidth(shown(row), 11.5))) + 12
    const above = labels > 120
    const left = above ? EDGE : EDGE + 1.08 * labels + 8
    const width = SHEET - EDGE - numbers - left
    const X = (value: number): number => left + (width * Math.min(Math.max(value - from, 0), most - from)) / (most - from || 1)
    for (const row of rows) {
      if (above) {
        this.y += LINE
        this.add(text(EDGE, this.y - 2, row.label, 'small'))
      } else this.add(text(EDGE, this.y + 12, row.label, ''))
      this.add(rect(left, this.y + 2, width, 13, 'rest', 2), rect(left, this.y + 2, X(row.value) - left, 13, `a${row.tone ?? tone}`, 2))
      if (row.spread) this.add(line(X(row.value - row.spread), this.y + 8.5, X(row.value + row.spread), this.y + 8.5, 'wire'))
      this.add(text(SHEET - EDGE, this.y + 12, shown(row), '', 'end'))
      this.y += above ? 18 : 19
    }
    this.y += 4
  }

  /** A dot for each row on a scale that need not begin at zero, with its error bar. */
  dots(rows: readonly Bar[], { from, to, tone = 0 }: { from: number; to: number; tone?: number }): void {
    const labels = Math.max(...rows.map(({ label }) => textWidth(label, 11.5)))
    const numbers = Math.max(...rows.map(({ value, shown }) => textWidth(shown ?? String(value), 11.5))) + 16
    const [left, right] = [EDGE + labels + 14, SHEET - EDGE - numbers]
    const X = (value: number): number => left + ((right - left) * (Math.min(to, Math.max(from, value)) - from)) / (to - from)
    const bottom = this.y + rows.length * 19 + 2
    for (const x of ticks(from, to)) this.add(line(X(x), this.y, X(x), bottom, 'grid'), text(X(x), bottom + 13, String(x), 'dim', 'middle'))
    for (const row of rows) {
      const { value, spread } = row
      this.add(text(EDGE, this.y + 13, row.label, ''), text(SHEET - EDGE, this.y + 13, row.shown ?? String(value), '', 'end'))
      if (spread) this.add(line(X(value - spread), this.y + 9, X(value + spread), this.y + 9, `l${row.tone ?? tone}`))
      this.add(circle(X(value), this.y + 9, 4, `a${row.tone ?? tone}`))
      this.y += 19
    }
    this.y = bottom + 20
  }

  /** Curves over a pair of axes; their legend stands below. Returns the places of numbers, for marks. */
  plot({ curves, xTitle, yTitle, xRange, yRange, xNames, yName = signed, height = 190 }: Plot): {
    X(x: number): number
    Y(y: number): number
  } {
    const points = curves.flatMap(({ points }) => points)
    const ends = curves.flatMap(({ points, spread }) => points.flatMap(([, y], i) => [y - (spread?.[i] ?? 0), y + (spread?.[i] ?? 0)]))
    const [xLow, xHigh] = xRange ?? limits(points.map(([x]) => x))
    const [yLow, yHigh] = yRange ?? limits(ends)
    const yTicks = ticks(yLow, yHigh)
    const left = EDGE + Math.max(...yTicks.map((y) => textWidth(yName(y), SMALL))) + 6
    const right = SHEET - EDGE - 4
    if (yTitle) this.note(yTitle)
    const top = this.y + 8
    const base = top + height
    const X = (x: number): number => left + ((x - xLow) / (xHigh - xLow)) * (right - left)
    const Y = (y: number): number => base - ((Math.min(yHigh, Math.max(yLow, y)) - yLow) / (yHigh - yLow)) * height
    for (const y of yTicks) this.add(line(left, Y(y), right, Y(y), 'grid'), text(left - 5, Y(y) + 4, yName(y), 'dim', 'end'))
    for (const [x, name] of xNames ?? ticks(xLow, xHigh).map((x) => [x, signed(x)] as const)) {
      const half = textWidth(name, SMALL) / 2
      this.add(line(X(x), base, X(x), base + 4, 'axis'))
      this.add(text(Math.min(X(x), SHEET - EDGE / 2 - half), base + 16, name, 'dim', 'middle'))
    }
    this.add(line(left, base, right, base, 'axis'))
    for (const { points: all, tone, dashed, dots, spread } of curves) {
      const points = all.filter(([x]) => x >= xLow && x <= xHigh)
      if (points.length > 1) this.add(path(`M${points.map(([x, y]) => `${n(X(x))} ${n(Y(y))}`).join('L')}`, `${dashed ? 'd' : 'l'}${tone}`))
      for (const [i, half] of spread?.entries() ?? [])
        this.add(line(X(points[i]![0]), Y(points[i]![1] - half), X(points[i]![0]), Y(points[i]![1] + half), `l${tone}`))
      if (dots) for (const [x, y] of points) this.add(circle(X(x), Y(y), 2.8, `a${tone}`))
    }
    this.y = base + 20
    if (xTitle) {
      this.add(text((left + right) / 2, this.y + 10, xTitle, 'dim', 'middle'))
      this.y += 16
    }
    if (curves.length > 1) this.legend(curves.map(({ tone, name, dashed }) => [tone, name, dashed ? 'dashed' : 'line'] as const))
    return { X, Y }
  }

  /** Shaded cells, such as an attention map. Returns the right edge; `y` moves below. */
  grid({ shades, x = EDGE, cell = 22, cellHeight = cell, tone = 0, words, rowNames, columnNames }: Grid): number {
    const left = x + (rowNames ? Math.max(...rowNames.map((name) => textWidth(name, SMALL))) + 5 : 0)
    if (columnNames) {
      const flat = columnNames.every((name) => textWidth(name, SMALL) <= cell)
      const rise = flat ? 14 : Math.max(...columnNames.map((name) => textWidth(name, SMALL))) * 0.75 + 8
      this.y += rise
      columnNames.forEach((name, c) => {
        const middle = left + (c + 0.5) * cell
        this.add(flat ? text(middle, this.y - 4, name, 'dim', 'middle') : turned(middle + 3, this.y - 4, -48, name, 'dim', 'start'))
      })
    }
    shades.forEach((row, r) => {
      const top = this.y + r * cellHeight
      if (rowNames) this.add(text(left - 5, top + cellHeight / 2 + 4, rowNames[r]!, 'dim', 'end'))
      row.forEach((shade, c) => {
        if (shade === null) return
        const at = [left + c * cell + 0.5, top + 0.5, cell - 1, cellHeight - 1] as const
        this.add(rect(...at, 'rest', 2))
        if (shade > 0) this.add(faded(rect(...at, `a${tone}`, 2), shade))
        const word = words?.[r]?.[c]
        if (word) this.add(text(left + (c + 0.5) * cell, top + cellHeight / 2 + 4, word, shade > 0.7 ? 'inverse' : 'small', 'middle'))
      })
    })
    this.y += shades.length * cellHeight + 6
    return left + Math.max(...shades.map(({ length }) => length)) * cell
  }

  /** The whole document: heading, what was drawn, source. */
  document({ title, describes, source }: About): string {
    const heading = wrap(title, INNER, 17.5)
    const top = 16 + heading.length * 18
    const sources = wrap(`Source: ${source}`, INNER, SMALL)
    const height = top + this.y + 12 + sources.length * LINE + 8
    const body = [
      rect(0, 0, SHEET, height, 'page'),
      ...heading.map((words, i) => text(EDGE, 22 + i * 18, words, 'head')),
      `<g transform="translate(0 ${n(top)})">`,
      ...this.#body,
      '</g>',
      ...sources.map((words, i) => text(EDGE, top + this.y + 20 + i * LINE, words, 'dim')),
    ]
    return document(SHEET, height, title, STYLE, body, { describes, shownWidth: SHOWN })
  }
}

/** With a minus sign in place of a hyphen. */
const signed = (value: number): string => String(value).replace('-', '−')
