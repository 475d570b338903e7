/** Figures 13, 14, 16 and 17: gpt-oss beside Qwen3, and what grows within each family. */

import type { Architecture } from '../../architecture/architecture.ts'
import { preset } from '../../architecture/presets.ts'
import { multiHeadOf, windowOf } from '../../architecture/slots.ts'
import { account, type Component } from '../../compare/account.ts'
import { EDGE, INNER, type Sheet, SMALL } from '../../drawing/sheet.ts'
import { type Box, cells, text } from '../../drawing/svg.ts'
import type { Figure } from './figure.ts'
import { stacks } from './stacks.ts'

const SOURCE = 'the published configurations; parameters are sums over the list of weights (lineage inspect).'
const grouped = (value: number): string => value.toLocaleString('en-US')
const billions = (value: number): string => `${(value / 1e9).toFixed(value < 2e9 ? 2 : 1)}B`

/** Layers as bars one above the other: a bar is as long as the model is wide. */
function silhouette(sheet: Sheet, models: readonly Architecture[]): void {
  const widest = Math.max(...models.map(({ hiddenSize }) => hiddenSize))
  const column = (INNER - 20) / models.length
  const height = 4.4
  for (const [index, { name, layers, hiddenSize }] of models.entries()) {
    const x = EDGE + index * (column + 20)
    const width = (column * hiddenSize) / widest
    sheet.add(text(x, sheet.y + 12, name, 'part'), text(x, sheet.y + 27, `${layers.length} × ${grouped(hiddenSize)}`, 'dim'))
    const box = (_: unknown, i: number): Box => [x + (column - width) / 2, sheet.y + 34 + i * height, width, height - 1]
    const boxes = layers.map(box)
    const slides = (i: number): boolean => windowOf(layers[i]!) !== null
    const at = (wanted: boolean): Box[] => boxes.filter((_, i) => slides(i) === wanted)
    sheet.add(cells(at(false), 'a0'), cells(at(true), 'b0'))
  }
  sheet.y += 40 + height * Math.max(...models.map(({ layers }) => layers.length))
}

/** One bar for each model. */
function compared(
  sheet: Sheet,
  title: string,
  models: readonly Architecture[],
  of: (model: Architecture) => number,
  shown = grouped,
): void {
  sheet.part(title)
  sheet.bars(
    models.map((model, i) => ({
      label: model.name.replace('Qwen3-30B-A3B', 'Qwen3 30B'),
      value: of(model),
      shown: shown(of(model)),
      tone: i,
    })),
  )
}

const experts = ({ layers }: Architecture): number => (layers[0]!.feedForward.kind === 'moe' ? layers[0]!.feedForward.experts : 0)
const feedWidth = ({ layers }: Architecture): number => layers[0]!.feedForward.intermediateSize

/** Layers by experts as one field of cells to the same scale. */
function expertField(sheet: Sheet, model: Architecture, tone: number): void {
  const step = INNER / 128
  const count = experts(model)
  sheet.part(`${model.name}: ${model.layers.length} layers of ${count} experts`)
  const boxes: Box[] = model.layers.flatMap((_, layer) =>
    Array.from({ length: count }, (_, expert): Box => [EDGE + expert * step, sheet.y + layer * step, step - 0.5, step - 0.5]),
  )
  sheet.add(cells(boxes, `b${tone}`))
  // The same number of experts works on a token in both.
  const slot = model.layers[0]!.feedForward
  const active = slot.kind === 'moe' ? slot.expertsPerToken : 0
  const chosen = model.layers.flatMap((_, layer) =>
    Array.from({ length: active }, (_, k) => boxes[layer * count + ((layer * 37 + k * 11) % count)]!),
  )
  sheet.add(cells(chosen, `a${tone}`))
  sheet.y += model.layers.length * step + 8
}

const COMPONENTS: readonly (readonly [Component, string])[] = [
  ['experts', 'experts'],
  ['attention', 'attention'],
  ['embedding', 'embedding'],
  ['unembedding', 'output'],
  ['router', 'router'],
]

const QWEN = ['Qwen3-30B-A3B', 'Qwen3-235B-A22B', 'Qwen3-Coder-480B-A35B']
const DENSE = ['Qwen3-0.6B', 'Qwen3-1.7B', 'Qwen3-4B', 'Qwen3-8B', 'Qwen3-14B', 'Qwen3-32B']

/** A table: a row for each model, a column for each property, shaded by its share of the largest. */
function table(
  sheet: Sheet,
  names: readonly string[],
  columns: readonly (readonly [title: string, of: (model: Architecture) => number])[],
): void {
  const models = names.map((name) => preset(name)!)
  const values = models.map((model) => columns.map(([, of]) => of(model)))
  const most = columns.map((_, c) => Math.max(...values.map((row) => row[c]!)))
  const shorter = (name: string): string => name.replace('Qwen3-', '').replace('Coder-', '')
  const names2 = models.map(({ name }) => shorter(name))
  sheet.grid({
    shades: values.map((row) => row.map((value, c) => 0.5 * (value / most[c]!))),
    words: values.map((row) => row.map(grouped)),
    rowNames: names2,
    columnNames: columns.map(([title]) => title),
    cell: Math.floor((INNER - Math.max(...names2.map((name) => name.length)) * SMALL * 0.6 - 8) / columns.length),
    cellHeight: 22,
  })
}

export const comparisonFigures: readonly Figure[] = [
  {
    id: 'F13',
    title: 'Figure 13: gpt-oss-20b and Qwen3-30B-A3B',
    describes:
      'The two mixtures of similar size as one stack of boxes. Shared: RMSNorm before each branch, grouped queries, a gated mixture of experts. Marked: windows, sinks and biases only in gpt-oss, QK-norm only in Qwen3, 24 wide layers against 48 narrow ones, 32 large experts against 128 small ones.',
    source: SOURCE,
    draw: (sheet) => stacks(sheet, ['gpt-oss-20b', 'Qwen3-30B-A3B']),
  },
  {
    id: 'F14',
    title: 'Figure 14: width against depth',
    describes:
      'The layers of gpt-oss-20b and Qwen3-30B-A3B as bars whose length is the width of the model: 24 of 2,880 against 48 of 2,048. Queries of all heads together are equally wide. Below: expert widths, counted alike, parameters that work on a token, counted alike, and the cache of one token.',
    source: SOURCE,
    draw(sheet) {
      const models = ['gpt-oss-20b', 'Qwen3-30B-A3B'].map((name) => preset(name)!)
      silhouette(sheet, models)
      sheet.legend([
        [0, 'layer with full attention'],
        [0, 'layer with a window', 'pale'],
      ])
      compared(sheet, 'Width of all queries of a layer', models, (model) => multiHeadOf(model).heads * multiHeadOf(model).headDim)
      compared(sheet, 'Width of one expert', models, feedWidth)
      compared(sheet, 'Rows of gate and up together (5,760 in one text of the article)', models, (model) => 2 * feedWidth(model))
      compared(sheet, 'Active parameters without the input embedding', models, (model) => account(model).parameters.active, billions)
      compared(sheet, 'Active parameters with it', models, (model) => account(model).parameters.activeWithEmbeddings, billions)
      compared(sheet, 'Cache bytes of one more token in bf16', models, (model) => account(model).kvCache.bytesPerTokenBeyondWindow)
    },
  },
  {
    id: 'F16',
    title: 'Figure 16: what grows from gpt-oss-20b to 120b',
    describes:
      'All experts of both models as cells, one row for each layer: 24 rows of 32 against 36 rows of 128; four of each row work on a token. Below the parameters of each part: only the experts grow much, the width of everything else is equal.',
    source: SOURCE,
    draw(sheet) {
      const models = ['gpt-oss-20b', 'gpt-oss-120b'].map((name) => preset(name)!)
      for (const [i, model] of models.entries()) expertField(sheet, model, i)
      sheet.note('Full colour: four experts of each layer, as for one token.')
      sheet.gap(4)
      for (const [component, title] of COMPONENTS)
        compared(
          sheet,
          `Parameters: ${title}`,
          models,
          (model) => account(model).parameters.byComponent[component],
          (value) => (value < 1e8 ? `${(value / 1e6).toFixed(1)}M` : billions(value)),
        )
    },
  },
  {
    id: 'F17',
    title: 'Figure 17: the sizes of Qwen3',
    describes:
      'Two tables. Three mixtures grow in layers, width, heads, expert width and number of experts; eight experts always work on a token. Six dense models grow in layers, width, heads and feed-forward width.',
    source: SOURCE,
    draw(sheet) {
      sheet.part('Mixtures')
      table(sheet, QWEN, [
        ['layers', ({ layers }) => layers.length],
        ['width', ({ hiddenSize }) => hiddenSize],
        ['heads', (model) => multiHeadOf(model).heads],
        ['experts', experts],
        ['ff width', feedWidth],
      ])
      sheet.note('Eight experts work on a token in all three. ff width: of one expert.')
      sheet.gap(6)
      sheet.part('Dense models')
      table(sheet, DENSE, [
        ['layers', ({ layers }) => layers.length],
        ['width', ({ hiddenSize }) => hiddenSize],
        ['heads', (model) => multiHeadOf(model).heads],
        ['kv heads', (model) => multiHeadOf(model).kvHeads],
        ['ff width', feedWidth],
      ])
      sheet.note('Shades: share of the largest in the column. gpt-oss grows in two of these alone: layers and experts.')
    },
  },
]
