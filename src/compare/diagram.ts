/**
 * Models as stacks side by side, drawn bottom to top as papers do. Equal parts stand at equal heights and differences are highlighted.
 * Layers, widths, heads and experts are drawn to scale; bars show where the parameters are. The SVG has no script and follows
 * the viewer's light or dark scheme.
 */
import type { Architecture, Norm } from '../architecture/architecture.ts'
import { hasHeads, isStateSpace } from '../architecture/slots.ts'
import { circle, document, path, rect, text, textWidth, wrap } from '../drawing/svg.ts'
import type { Account } from './account.ts'
import { COLUMN, GAP, heads, LADDER, ladder, legend, pictureHeight, shares, short, widths } from './diagram-parts.ts'
import { type Difference, sideBySide } from './difference.ts'

const MARGIN = 28
const PAD = 12
const LINE = 17
const TITLE = 24
const FONT = 11.5

/** Colours and type of the drawings, for light pages and, by the viewer's own preference, for dark ones. */
const STYLE = [
  'text{fill:#1f2328;font-size:11.5px}.name{font-size:18px;font-weight:650}.sub{fill:#59636e;font-size:12px}.title{font-size:13px;font-weight:600}',
  '.label,.note{fill:#59636e}.note{font-size:10.5px}.group{font-weight:600}.diff{fill:#9a4f00;font-weight:600}.times{font-size:12px;font-weight:600}',
  '.page{fill:#ffffff}.box{fill:#f6f8fa;stroke:#c4ccd4}.hot{stroke:#e0912f;stroke-width:1.6}.mark{fill:#fdebcf}.block{fill:none;stroke:#8c959f;stroke-dasharray:5 4}',
  '.wire{fill:none;stroke:#6e7781;stroke-width:1.4}.head{fill:#6e7781}.plus{fill:#ffffff;stroke:#6e7781;stroke-width:1.4}',
  '.full{fill:#3d6fb4}.slide{fill:#a9c7ee}.query{fill:#3d6fb4}.kv{fill:#1a7f64}.on{fill:#c2571a}.off{fill:#dcc3b2}.wide{fill:#a15c8f}.narrow{fill:#d9b8d0}',
  '.p0{fill:#8d99a6}.p1{fill:#3d6fb4}.p2{fill:#a15c8f}.p3{fill:#c2571a}.p4{fill:#5b6b7a}.p5{fill:#2d9d78}.p6,.state{fill:#b08a1e}.rest{fill:#e8ecf0}',
  '@media (prefers-color-scheme: dark){text{fill:#e6edf3}.sub,.label,.note{fill:#9aa5b1}.diff{fill:#f5b45f}.page{fill:#0d1117}',
  '.box{fill:#161b22;stroke:#3a434d}.hot{stroke:#b5752a}.mark{fill:#38290f}.block{stroke:#6e7781}.wire{stroke:#8b949e}.head{fill:#8b949e}.plus{fill:#0d1117;stroke:#8b949e}',
  '.full{fill:#5b93df}.slide{fill:#345c94}.query{fill:#5b93df}.kv{fill:#35b48f}.on{fill:#f0833a}.off{fill:#6d4b33}.wide{fill:#c585b5}.narrow{fill:#7a4f6e}',
  '.p0{fill:#9aa5b1}.p1{fill:#5b93df}.p2{fill:#c585b5}.p3{fill:#f0833a}.p4{fill:#66727f}.p5{fill:#35b48f}.p6,.state{fill:#d8b64c}.rest{fill:#21262d}}',
].join('')

/** The boxes of a stack from top to bottom, and the features that each one shows. */
export const BOXES: { id: string; title: (a: Architecture) => string; keys: string[]; inBlock: boolean; picture?: 'heads' | 'widths' }[] = [
  { id: 'output', title: () => 'Output', keys: ['vocabSize', 'tieWordEmbeddings', 'logitDivisor', 'finalLogitSoftcap'], inBlock: false },
  { id: 'finalNorm', title: (a) => normName(a.finalNorm.kind), keys: [], inBlock: false },
  { id: 'postFeed', title: (a) => normName(a.layers[0]!.norm.kind), keys: [], inBlock: true },
  {
    id: 'feed',
    title: feedName,
    keys: [
      'activation',
      'intermediateSize',
      'experts',
      'expertsPerToken',
      'router',
      'sharedExpert',
      'feedForwardBias',
      'expertDtype',
      'residualScale',
      'dropout',
    ],
    inBlock: true,
    picture: 'widths',
  },
  { id: 'preFeed', title: (a) => normName(a.layers[0]!.norm.kind), keys: [], inBlock: true },
  { id: 'postAttention', title: (a) => normName(a.layers[0]!.norm.kind), keys: [], inBlock: true },
  {
    id: 'attention',
    title: (a) => attentionName(a),
    keys: [
      'stateSpace',
      'channels',
      'stateSize',
      'convolution',
      'heads',
      'kvHeads',
      'latent',
      'headDim',
      'position',
      'slidingWindow',
      'qkNorm',
      'sinks',
      'attentionBias',
      'scale',
      'logitSoftcap',
      'residualScale',
      'dropout',
    ],
    inBlock: true,
    picture: 'heads',
  },
  { id: 'preAttention', title: (a) => normName(a.layers[0]!.norm.kind), keys: [], inBlock: true },
  { id: 'position', title: () => 'Learned positions', keys: ['maxPositionEmbeddings'], inBlock: false },
  { id: 'embedding', title: () => 'Token embedding', keys: ['vocabSize', 'hiddenSize', 'embeddingScale', 'dropout'], inBlock: false },
]

const FEEDS = { mlp: 'Feed-forward', gated: 'Gated feed-forward', moe: 'Mixture of experts', none: '' } as const
const normName = (kind: Norm['kind']): string => (kind === 'rmsNorm' ? 'RMSNorm' : 'LayerNorm')

/** Of models whose layers differ: 'Gated feed-forward or experts'. */
function feedName({ layers }: Architecture): string {
  const [first, second] = [...new Set(layers.map(({ feedForward }) => feedForward.kind))]
  if (second === undefined) return FEEDS[first!]
  return `${FEEDS[first === 'moe' ? second : first!]} or experts`
}

function attentionName({ layers }: Architecture): string {
  const slots = layers.map(({ attention }) => attention)
  const slot = slots.find(hasHeads)
  if (!slot) return 'State space'
  if (slot.kind === 'latent') return 'Multi-head latent attention'
  const { heads, kvHeads } = slot
  if (slots.some(isStateSpace)) return kvHeads === heads ? 'State space or attention' : 'State space or grouped-query attention'
  return kvHeads === heads ? 'Multi-head attention' : kvHeads === 1 ? 'Multi-query attention' : 'Grouped-query attention'
}

/** Whether a model has the box at all. */
export function present(id: string, { layers, embedding, finalNorm }: Architecture): boolean {
  const { placement, norm } = layers[0]!
  if (placement === 'alone' && ['feed', 'preFeed', 'postFeed'].includes(id)) return false
  if (id === 'finalNorm') return finalNorm.kind !== 'none'
  if (/^(pre|post)/.test(id) && norm.kind === 'none') return false
  if (id === 'preAttention' || id === 'preFeed') return placement !== 'post'
  if (id === 'postAttention' || id === 'postFeed') return placement === 'post' || placement === 'sandwich'
  return id !== 'position' || embedding.position.kind === 'learned'
}

interface Row {
  id: string
  y: number
  height: number
  /** Feature lines that at least one model has. */
  lines: { label: string; values: string[][]; differs: boolean; height: number }[]
}

/** An SVG document. `accounts` belong to the architectures in the same order and supply the counts. */
export function diagram(architectures: Architecture[], accounts: Account[]): string {
  const features = new Map(sideBySide(architectures).map((row) => [row.key, row]))
  const headHeight = MARGIN + 66
  const places = layout(architectures, features, headHeight)
  const { bottom } = places
  const width = 2 * MARGIN + architectures.length * (COLUMN + GAP) - GAP
  const { shapes, height: legendHeight } = legend(architectures, MARGIN, bottom + 178)
  const height = bottom + 196 + legendHeight
  const body = [rect(0, 0, width, height, 'page')]
  architectures.forEach((architecture, index) => {
    const x = MARGIN + index * (COLUMN + GAP)
    body.push(...heading(architecture, accounts[index]!, x))
    body.push(...stack(architectures, index, x, places))
    body.push(...shares(accounts[index]!, x, bottom + 44))
  })
  body.push(...shapes)
  const title = `${architectures.map(({ name }) => name).join(', ')}: architectures side by side`
  return document(width, height, title, STYLE, body)
}

/** A learned table has a box of its own, so the attention box shows rotations only. */
const shown = (row: Difference): Difference =>
  row.key === 'position' ? { ...row, values: row.values.map((value) => (value === 'learned' ? '–' : value)) } : row

function layout(architectures: Architecture[], features: Map<string, Difference>, top: number) {
  const rows: Row[] = []
  let y = top
  let blockTop = 0
  let blockBottom = 0
  const inner = COLUMN - LADDER - 2 * PAD
  for (const box of BOXES) {
    if (!architectures.some((architecture) => present(box.id, architecture))) continue
    if (box.inBlock && !blockTop) {
      blockTop = y + 4
      y += 34
    }
    if (!box.inBlock && blockTop && !blockBottom) {
      blockBottom = y + 4
      y += 26
    }
    const lines = box.keys
      .map((key) => shown(features.get(key)!))
      .filter(({ key, values }) => values.some((value) => value !== '–' && !(key === 'scale' && value === values[0])))
      .map(({ label, values }) => {
        const width = inner - textWidth(label, FONT) - 10
        const wrapped = values.map((value) => wrap(value, width, FONT, /(?<=[,;]) /))
        return {
          label,
          values: wrapped,
          differs: values.some((value) => value !== values[0]),
          height: LINE * Math.max(...wrapped.map(({ length }) => length)),
        }
      })
    const picture = pictureHeight(box.picture, architectures)
    const height = TITLE + picture + lines.reduce((sum, line) => sum + line.height, 0) + (lines.length || picture ? 8 : 4)
    rows.push({ id: box.id, y, height, lines })
    y += height + 16
    // Below the lowest box of the feed-forward branch: its wire leaves, and below that the attention branch joins.
    if (box.id === (architectures.some((architecture) => present('preFeed', architecture)) ? 'preFeed' : 'feed')) y += 20
  }
  return { rows, blockTop, blockBottom, bottom: y + 18 }
}

function heading(architecture: Architecture, { parameters }: Account, x: number): string[] {
  const active = parameters.active > 0.9 * parameters.total ? '' : `, ${short(parameters.active)} active per token`
  return [
    text(x + LADDER, MARGIN + 14, architecture.name, 'name'),
    text(x + LADDER, MARGIN + 34, `${short(parameters.total)} parameters${active}`, 'sub'),
  ]
}

function stack(all: Architecture[], index: number, x: number, places: ReturnType<typeof layout>): string[] {
  const { rows, blockTop, blockBottom, bottom } = places
  const architecture = all[index]!
  const left = x + LADDER
  const width = COLUMN - LADDER
  const middle = left + width / 2
  const out: string[] = []
  // The wire from the tokens to the logits; boxes cover it. Parallel branches interrupt it.
  const at = (id: string) => rows.find((row) => row.id === id)!
  const parallel = architecture.layers[0]!.placement === 'parallel'
  const lowest = at(present('preFeed', architecture) ? 'preFeed' : 'feed')
  const gap = parallel ? `V${at('attention').y}M${middle} ${lowest.y + lowest.height}` : ''
  out.push(path(`M${middle} ${bottom - 6}${gap}V${rows[0]!.y - 14}`, 'wire'), arrow(middle, rows[0]!.y - 14))
  out.push(rect(left - 8, blockTop, width + 16, blockBottom - blockTop, 'block', 10))
  out.push(...ladder(all, architecture, x, blockTop, blockBottom))
  for (const row of rows) {
    const box = BOXES.find(({ id }) => id === row.id)!
    if (!present(row.id, architecture)) continue
    const titles = all.map((other) => (present(row.id, other) ? box.title(other) : ''))
    // A different kind of part highlights the whole box, a different value its line.
    const otherKind = titles.some((title) => title !== titles[0])
    out.push(rect(left, row.y, width, row.height, otherKind ? 'box hot' : 'box', 7))
    out.push(text(left + PAD, row.y + 17, titles[index]!, otherKind ? 'title diff' : 'title'))
    let y = row.y + TITLE
    if (box.picture === 'heads') out.push(...heads(architecture, left + PAD, y + 2, width - 2 * PAD))
    else if (box.picture === 'widths') out.push(...widths(all, architecture, left + PAD, y + 2, width - 2 * PAD))
    y += pictureHeight(box.picture, all)
    for (const line of row.lines) {
      if (line.differs) out.push(rect(left + 5, y + 0.5, width - 10, line.height - 1, 'mark', 3))
      out.push(text(left + PAD, y + 12, line.label, 'label'))
      line.values[index]!.forEach((value, part) => {
        out.push(text(left + width - PAD, y + 12 + part * LINE, value, value === '–' ? 'label' : line.differs ? 'diff' : '', 'end'))
      })
      y += line.height
    }
  }
  out.push(...residuals(architecture, left, width, rows))
  out.push(text(middle, bottom + 8, 'token ids', 'note', 'middle'))
  return out
}

/** The wires around attention and feed-forward, and the circles where they join. */
function residuals(architecture: Architecture, left: number, width: number, rows: Row[]): string[] {
  const middle = left + width / 2
  const side = left + width + 4
  const branches = [
    ['postFeed', 'feed', 'preFeed'],
    ['postAttention', 'attention', 'preAttention'],
  ]
  const joined = (start: number, join: number): string[] => [
    path(`M${middle} ${start}H${side}V${join}H${middle + 6}`, 'wire'),
    circle(middle, join, 6, 'plus'),
    path(`M${middle - 3.5} ${join}h7M${middle} ${join - 3.5}v7`, 'wire'),
  ]
  const [feed, attention] = branches.map((ids) => {
    const every = rows.filter(({ id }) => ids.includes(id))
    const lowest = every.filter(({ id }) => present(id, architecture)).at(-1)
    if (!lowest) return undefined
    return { start: lowest.y + lowest.height + 7, join: every[0]!.y - 9 }
  })
  if (architecture.layers[0]!.placement !== 'parallel')
    return [feed, attention].flatMap((branch) => (branch ? joined(branch.start, branch.join) : []))
  // Both branches begin at the input of the layer; what attention makes passes the feed-forward at the left.
  const top = rows.find(({ id }) => id === 'attention')!.y
  return [
    path(`M${side} ${feed!.start}H${middle}V${feed!.start - 7}`, 'wire'),
    path(`M${middle} ${top}V${top - 9}H${left - 4}V${feed!.join}H${middle - 6}`, 'wire'),
    ...joined(attention!.start, feed!.join),
  ]
}

const arrow = (x: number, y: number): string => path(`M${x} ${y - 7}l-4 8h8z`, 'head')
