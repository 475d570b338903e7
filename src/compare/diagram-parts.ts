/** The pictures inside a diagram: layers, heads, widths and experts to scale, shares of the parameters, and the legend. */

import type { Architecture } from '../architecture/architecture.ts'
import { hasHeads, isStateSpace, unpublishedOf, windowOf } from '../architecture/slots.ts'
import { type Box, cells, rect, text, textWidth } from '../drawing/svg.ts'
import { binary } from '../numbers/bytes.ts'
import type { Account, Component } from './account.ts'

/** A stack's width with the ladder of layers at its left, and the gap to the next. */
export const COLUMN = 366
export const GAP = 28
export const LADDER = 46

const PARTS: { label: string; components: Component[]; className: string }[] = [
  { label: 'embedding', components: ['embedding', 'position'], className: 'p0' },
  { label: 'attention', components: ['attention'], className: 'p1' },
  { label: 'state space', components: ['stateSpace'], className: 'p6' },
  { label: 'feed-forward', components: ['feedForward', 'sharedExperts'], className: 'p2' },
  { label: 'experts', components: ['experts', 'expertBias'], className: 'p3' },
  { label: 'output', components: ['unembedding'], className: 'p4' },
  { label: 'norms, routers', components: ['norm', 'router'], className: 'p5' },
]

/** Layers as cells, to the same scale in all columns; sliding ones lighter, those without attention in another colour. */
export function ladder(all: Architecture[], { layers }: Architecture, x: number, top: number, bottom: number): string[] {
  const most = Math.max(...all.map((other) => other.layers.length))
  const step = (bottom - top - 22) / most
  const height = Math.max(1, step - 1.2)
  const cell = (index: number): Box => [x + 8, bottom - 2 - (index + 1) * step, 13, height]
  const indices = layers.map((_, index) => index)
  const slides = (index: number): boolean => windowOf(layers[index]!) !== null || unpublishedOf(layers[index]!)?.window === true
  const kindOf = (index: number) => (isStateSpace(layers[index]!.attention) ? 'state' : slides(index) ? 'slide' : 'full')
  const ofKind = (kind: string): Box[] => indices.filter((index) => kindOf(index) === kind).map(cell)
  const states = ofKind('state')
  const differs = all.some((other) => other.layers.length !== layers.length)
  return [
    cells(ofKind('full'), 'full'),
    cells(ofKind('slide'), 'slide'),
    ...(states.length > 0 ? [cells(states, 'state')] : []),
    text(x + 14.5, bottom - layers.length * step - 7, `${layers.length} ×`, differs ? 'times diff' : 'times', 'middle'),
  ]
}

/** Query heads above, key/value heads below (or the latent of all heads), each as wide as the queries that share it. */
export function heads({ layers }: Architecture, x: number, y: number, width: number): string[] {
  const slot = layers.map(({ attention }) => attention).find(hasHeads)
  if (!slot) return []
  const [H, G] = [slot.heads, slot.kind === 'latent' ? 1 : slot.kvHeads]
  const row = (count: number, top: number, height: number): Box[] => {
    const step = width / count
    const gap = Math.min(2, step * 0.25)
    return Array.from({ length: count }, (_, index): Box => [x + index * step, top, step - gap, height])
  }
  return [cells(row(H, y, 9), 'query'), cells(row(G, y + 12, 9), 'kv')]
}

/** Widths in, inside and out to one scale; below, the experts with the active ones filled. */
export function widths(all: Architecture[], architecture: Architecture, x: number, y: number, width: number): string[] {
  const inner = ({ layers }: Architecture): number => {
    const slots = layers.map(({ feedForward }) => feedForward)
    return (slots.find(({ kind }) => kind === 'moe') ?? slots[0]!).intermediateSize
  }
  const most = Math.max(...all.flatMap((other) => [other.hiddenSize, inner(other)]))
  const bar = (size: number, top: number, height: number): Box => {
    const length = (width * size) / most
    return [x + (width - length) / 2, top, length, height]
  }
  const out = [
    cells([bar(architecture.hiddenSize, y, 5), bar(architecture.hiddenSize, y + 18, 5)], 'narrow'),
    cells([bar(inner(architecture), y + 7, 9)], 'wide'),
  ]
  const slot = architecture.layers.find(({ feedForward }) => feedForward.kind === 'moe')?.feedForward
  if (slot?.kind !== 'moe') return out
  const perRow = 32
  const step = width / perRow
  const cell = (index: number): Box => [x + (index % perRow) * step, y + 30 + Math.floor(index / perRow) * 9, step - 2, 7]
  const indices = Array.from({ length: slot.experts }, (_, index) => index)
  const chosen = spread(slot.expertsPerToken, slot.experts)
  out.push(cells(indices.filter((index) => !chosen.has(index)).map(cell), 'off'))
  out.push(cells(indices.filter((index) => chosen.has(index)).map(cell), 'on'))
  return out
}

/** Examples of chosen experts, scattered so that they do not look like the first ones. */
function spread(count: number, among: number): Set<number> {
  const chosen = new Set<number>()
  for (let k = 0; chosen.size < count; k++) chosen.add(Math.floor(((0.3 + k * 0.6180339887) % 1) * among))
  return chosen
}

/** Height that a picture takes in a box. */
export const pictureHeight = (picture: 'heads' | 'widths' | undefined, all: Architecture[]): number =>
  picture === 'heads' ? 30 : picture === 'widths' ? 34 + expertRows(all) * 9 + (expertRows(all) ? 4 : 0) : 0

const expertRows = (all: Architecture[]): number =>
  Math.max(
    0,
    ...all.map(({ layers }) =>
      Math.max(0, ...layers.map(({ feedForward }) => (feedForward.kind === 'moe' ? Math.ceil(feedForward.experts / 32) : 0))),
    ),
  )

/** Where the parameters are, and how many of them one token uses, both as shares of the total. */
export function shares({ parameters, weightBytes, kvCache, state, work }: Account, x: number, y: number): string[] {
  const left = x + LADDER
  const width = COLUMN - LADDER
  const out = [
    text(left, y, 'parameters by part', 'label'),
    text(left + width, y, `${binary(weightBytes.published)} of weights`, 'label', 'end'),
  ]
  let at = left
  for (const { components, className } of PARTS) {
    const count = components.reduce((sum, name) => sum + parameters.byComponent[name], 0)
    const length = (width * count) / parameters.total
    if (count > 0) out.push(rect(at, y + 8, length, 16, className))
    at += length
  }
  out.push(rect(left, y + 28, width, 7, 'rest'), rect(left, y + 28, (width * parameters.active) / parameters.total, 7, 'on'))
  const percent = ((100 * parameters.active) / parameters.total).toPrecision(3)
  out.push(text(left, y + 52, `active per token: ${short(parameters.active)}, ${percent} %`, 'label'))
  out.push(text(left, y + 70, `KV cache at ${work.context.toLocaleString('en-US')} tokens: ${binary(kvCache.bytes)} in bf16`, 'label'))
  out.push(text(left, y + 88, `multiply-adds per decoded token: ${short(work.decodeMultiplyAdds)}`, 'label'))
  if (state.bytes > 0) out.push(text(left + width, y + 52, `states: ${binary(state.bytes)}`, 'label', 'end'))
  return out
}

/** What the colours mean, by picture: a colour has one meaning in each. Also returns the height. */
export function legend(all: Architecture[], x: number, y: number): { shapes: string[]; height: number } {
  const moe = all.some(({ layers }) => layers.some(({ feedForward }) => feedForward.kind === 'moe'))
  const sliding = all.some(({ layers }) => layers.some((layer) => windowOf(layer) !== null))
  const states = all.some(({ layers }) => layers.some(({ attention }) => isStateSpace(attention)))
  type Entry = [className: string, label: string, present?: boolean]
  const there = { experts: moe, 'state space': states } as Record<string, boolean | undefined>
  const groups: [name: string, entries: Entry[]][] = [
    ['parameters', PARTS.map(({ label, className }): Entry => [className, label, there[label]])],
    [
      'layers',
      [
        ['full', states && !sliding ? 'attention' : 'full', sliding || states],
        ['slide', 'sliding', sliding],
        ['state', 'state space', states],
      ],
    ],
    [
      'heads',
      [
        ['query', 'query'],
        ['kv', 'key/value'],
      ],
    ],
    [
      'widths',
      [
        ['narrow', 'stream'],
        ['wide', 'inner'],
      ],
    ],
    [
      'experts',
      [
        ['on', 'active', moe],
        ['off', 'idle', moe],
      ],
    ],
  ]
  const shapes: string[] = []
  const limit = x + all.length * (COLUMN + GAP) - GAP
  let at = x
  let line = y
  for (const [name, entries] of groups) {
    const shown = entries.filter(([, , present = true]) => present)
    if (!shown.length) continue
    const lengths = [textWidth(`${name}: `, 11) + 6, ...shown.map(([, label]) => 28 + textWidth(label, 11))]
    const length = lengths.reduce((sum, each) => sum + each, 0)
    if (at > x && at + length > limit) [at, line] = [x, line + 18]
    shapes.push(text(at, line + 1, `${name}:`, 'note group'))
    at += lengths[0]!
    for (const [i, [className, label]] of shown.entries()) {
      if (at + lengths[i + 1]! > limit + 12) [at, line] = [x + lengths[0]!, line + 18]
      shapes.push(rect(at, line - 8, 10, 10, className, 2), text(at + 14, line + 1, label, 'note'))
      at += lengths[i + 1]!
    }
    at += 10
  }
  return { shapes, height: line - y + 18 }
}

/** 20914757184 -> '20.9B'. */
export function short(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toPrecision(3)}B`
  return count >= 1e6 ? `${(count / 1e6).toPrecision(3)}M` : count.toLocaleString('en-US')
}
