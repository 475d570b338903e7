/**
 * Models as one stack with a column for each, so that two or three fit a phone. What they share stands once; what differs is
 * marked and has a value per model. Layers and experts are drawn to scale.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import { preset } from '../../architecture/presets.ts'
import { windowOf } from '../../architecture/slots.ts'
import { account } from '../../compare/account.ts'
import { BOXES, present } from '../../compare/diagram.ts'
import { short } from '../../compare/diagram-parts.ts'
import { sideBySide } from '../../compare/difference.ts'
import { EDGE, SHEET, type Sheet, SMALL } from '../../drawing/sheet.ts'
import { type Box, cells, circle, path, rect, text, textWidth, wrap } from '../../drawing/svg.ts'

const LINE = 14
const PAD = 8
const LEFT = EDGE + 6
/** Right of the boxes pass the residual wires. */
const RIGHT = SHEET - EDGE - 20
const MIDDLE = (LEFT + RIGHT) / 2
const WIDE = RIGHT - LEFT - 2 * PAD

interface Columns {
  width: number
  x: (index: number) => number
}

/** Draws the named presets. All must be pre-norm models with attention in every layer. */
export function stacks(sheet: Sheet, names: readonly string[]): void {
  const models = names.map((name) => preset(name)!)
  const width = WIDE / models.length
  const columns = { width, x: (index: number) => LEFT + PAD + index * width }
  const features = new Map(sideBySide(models).map((row) => [row.key, row]))
  heading(sheet, models, columns)
  const boxes = new Map<string, Span>()
  let frame: number | undefined
  for (const box of BOXES) {
    if (!models.some((model) => present(box.id, model))) continue
    if (box.inBlock && frame === undefined) {
      frame = sheet.y
      sheet.y += 26
      sheet.add(text(LEFT + PAD, frame + 15, 'each layer', 'dim'))
    } else if (!box.inBlock && frame !== undefined && !boxes.has('block')) {
      boxes.set('block', { top: frame, bottom: sheet.y - 2 })
      sheet.y += 14
    }
    const top = sheet.y
    const behind = sheet.under()
    sheet.y += 3
    valueRow(
      sheet,
      columns,
      models.map((model) => (present(box.id, model) ? box.title(model) : '–')),
      'part',
    )
    if (box.id === 'feed') experts(sheet, models, columns)
    for (const key of box.keys) {
      const { label, values } = features.get(key)!
      const said = values.map((value, i) => (present(box.id, models[i]!) && (key !== 'position' || value !== 'learned') ? value : '–'))
      if (said.every((value) => value === '–' || (key === 'scale' && value === said[0]))) continue
      valueRow(sheet, columns, said, 'small', label)
    }
    sheet.y += 4
    behind(rect(LEFT, top, RIGHT - LEFT, sheet.y - top, 'box', 6))
    boxes.set(box.id, { top, bottom: sheet.y })
    // One branch joins and the next one leaves between attention and feed-forward.
    sheet.y += box.id === 'preFeed' ? 30 : 18
  }
  sheet.add(...wires(boxes, sheet.y - 4), text(MIDDLE, sheet.y + 6, 'token ids', 'dim', 'middle'))
  sheet.y += 12
  legend(sheet, models)
}

interface Span {
  top: number
  bottom: number
}

function heading(sheet: Sheet, models: readonly Architecture[], columns: Columns): void {
  const facts = models.map((model) => account(model).parameters)
  const rows = [models.map(({ name }) => name), facts.map(({ total }) => `${short(total)} parameters`)]
  if (facts.some(({ active, total }) => active < 0.9 * total)) rows.push(facts.map(({ active }) => `${short(active)} active`))
  rows.push(models.map(({ maxPositionEmbeddings }) => `context ${maxPositionEmbeddings.toLocaleString('en-US')}`))
  rows.push(models.map(({ layers }) => `${layers.length} layers`))
  for (const [i, row] of rows.entries()) cellsOf(sheet, columns, row, i ? 'dim' : 'part')
  strips(sheet, models, columns)
  sheet.y += 10
}

/** Values in columns; `sheet.y` moves below the longest. */
function cellsOf(sheet: Sheet, { width, x }: Columns, values: readonly string[], className: string): void {
  const lines = values.map((value) => wrap(value, width - 14, SMALL))
  lines.forEach((words, index) => {
    words.forEach((word, i) => {
      sheet.add(text(x(index), sheet.y + 11 + i * LINE, word, className))
    })
  })
  sheet.y += LINE * Math.max(...lines.map(({ length }) => length))
}

/** A value that all share at the right of its label; different ones marked, in columns below it. */
function valueRow(sheet: Sheet, columns: Columns, values: readonly string[], className: string, label?: string): void {
  const differ = new Set(values).size > 1
  if (label !== undefined) sheet.add(text(LEFT + PAD, sheet.y + 11, label, 'dim'))
  if (differ) {
    if (label !== undefined) sheet.y += LINE
    const [top, behind] = [sheet.y, sheet.under()]
    cellsOf(sheet, columns, values, `${className} marked`)
    behind(rect(LEFT + 4, top - 0.5, RIGHT - LEFT - 8, sheet.y - top, 'mark', 3))
    sheet.y += 2
    return
  }
  const room = WIDE - (label === undefined ? 0 : textWidth(label, SMALL) + 10)
  const lines = wrap(values[0]!, room, SMALL)
  for (const words of lines) {
    sheet.add(
      label === undefined ? text(LEFT + PAD, sheet.y + 11, words, className) : text(RIGHT - PAD, sheet.y + 11, words, className, 'end'),
    )
    sheet.y += LINE
  }
}

/** The layers of each model as cells to one scale; sliding ones are pale. */
function strips(sheet: Sheet, models: readonly Architecture[], { width, x }: Columns): void {
  const step = (width - 8) / Math.max(...models.map(({ layers }) => layers.length))
  models.forEach(({ layers }, index) => {
    const cell = (i: number): Box => [x(index) + i * step, sheet.y + 2, Math.max(1, step - 0.8), 9]
    const indices = layers.map((_, i) => i)
    const slides = (i: number): boolean => windowOf(layers[i]!) !== null
    sheet.add(cells(indices.filter((i) => !slides(i)).map(cell), 'a0'), cells(indices.filter(slides).map(cell), 'b0'))
  })
  sheet.y += 18
}

/** Experts as squares, the chosen ones spread over them. */
function experts(sheet: Sheet, models: readonly Architecture[], { width, x }: Columns): void {
  const slots = models.map(({ layers }) => layers[0]!.feedForward)
  if (!slots.some(({ kind }) => kind === 'moe')) return
  const perRow = 32
  const step = (width - 8) / perRow
  let rows = 0
  slots.forEach((slot, index) => {
    if (slot.kind !== 'moe') return
    const { experts: count, expertsPerToken: active } = slot
    const chosen = new Set(Array.from({ length: active }, (_, k) => Math.floor(((k + 0.4) * count) / active)))
    const cell = (i: number): Box => [
      x(index) + (i % perRow) * step,
      sheet.y + 2 + Math.floor(i / perRow) * (step + 0.6),
      step - 0.8,
      step - 0.4,
    ]
    const indices = Array.from({ length: count }, (_, i) => i)
    sheet.add(cells(indices.filter((i) => !chosen.has(i)).map(cell), 'b1'), cells(indices.filter((i) => chosen.has(i)).map(cell), 'a1'))
    rows = Math.max(rows, Math.ceil(count / perRow))
  })
  sheet.y += rows * (step + 0.6) + 5
}

/** The wire from the tokens to the output, the residual branches, and the frame of the repeated block. */
function wires(boxes: ReadonlyMap<string, Span>, bottom: number): string[] {
  const order = [...boxes.entries()].filter(([id]) => id !== 'block').map(([, span]) => span)
  const block = boxes.get('block')!
  const out = [rect(LEFT - 6, block.top, SHEET - EDGE - LEFT + 6, block.bottom - block.top, 'dash', 9)]
  const up = (from: number, to: number): string[] => [
    path(`M${MIDDLE} ${from}V${to + 5}`, 'wire'),
    path(`M${MIDDLE} ${to}l-3.5 6h7z`, 'tip'),
  ]
  order.forEach(({ bottom: end }, i) => {
    out.push(...up(order[i + 1]?.top ?? bottom, end))
  })
  for (const [inner, outer] of [
    ['preFeed', 'feed'],
    ['preAttention', 'attention'],
  ] as const) {
    const [start, join] = [boxes.get(inner)!.bottom + 8, boxes.get(outer)!.top - 9]
    const side = RIGHT + 10
    out.push(path(`M${MIDDLE} ${start}H${side}V${join}H${MIDDLE + 5}`, 'wire'), circle(MIDDLE, join, 5, 'box'))
    out.push(path(`M${MIDDLE - 3} ${join}h6M${MIDDLE} ${join - 3}v6`, 'wire'))
  }
  return out
}

function legend(sheet: Sheet, models: readonly Architecture[]): void {
  const some = (is: (layer: Architecture['layers'][number]) => boolean): boolean => models.some(({ layers }) => layers.some(is))
  const sliding = some((layer) => windowOf(layer) !== null)
  const mixed = some(({ feedForward }) => feedForward.kind === 'moe')
  sheet.legend([
    [0, sliding ? 'layer with full attention' : 'layer'],
    ...(sliding ? ([[0, 'layer with a window', 'pale']] as const) : []),
    ...(mixed
      ? ([
          [1, 'active expert'],
          [1, 'idle expert', 'pale'],
        ] as const)
      : []),
  ])
}
