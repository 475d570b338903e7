/** Figures 6, 7 and 8: gated feed-forwards, and mixtures of experts. */
import type { Architecture, FeedForward } from '../../architecture/architecture.ts'
import { preset } from '../../architecture/presets.ts'
import { account } from '../../compare/account.ts'
import { short } from '../../compare/diagram-parts.ts'
import { EDGE, SHEET, type Sheet } from '../../drawing/sheet.ts'
import { circle, line, path, rect, text } from '../../drawing/svg.ts'
import { leaves, weightSpecs } from '../../model/weights.ts'
import { size } from '../../ops/tensor.ts'
import { signed } from '../../train/statistics.ts'
import { GLU_VARIANTS } from '../published/tables.ts'
import { EARLIER, GATE_LOSSES } from '../recorded/earlier.ts'
import type { Figure } from './figure.ts'

function variants(sheet: Sheet): void {
  sheet.part('Published: mean of SuperGLUE, T5 base')
  const gated = ['GLU', 'GEGLU', 'Bilinear', 'SwiGLU', 'ReGLU']
  const { scores, deviation } = GLU_VARIANTS
  const rows = Object.entries(scores)
    .sort(([, a], [, b]) => a - b)
    .map(([label, value]) => ({ label, value, shown: value.toFixed(2), spread: deviation, tone: gated.includes(label) ? 1 : 7 }))
  sheet.dots(rows, { from: 71.5, to: 75.5 })
  sheet.legend([
    [7, 'two matrices, no gate'],
    [1, 'three matrices, gated'],
  ])
  sheet.note(
    `Higher is better. Equal parameters and work. Lines: the printed standard deviation, ${deviation}. GELU and Swish differ by ${((scores.GELU - scores.Swish) / deviation).toFixed(1)} of it.`,
  )
  sheet.gap(6)
  sheet.part('Here: held-out loss of small models')
  const { gelu, swiglu, steps } = GATE_LOSSES
  const { mean: change, spread, seeds } = EARLIER.ladderGate
  const millions = (count: number): string => `${(count / 1e6).toFixed(2)}M`
  sheet.dots(
    [
      { label: 'GELU', value: gelu.loss, shown: gelu.loss.toFixed(3), spread: gelu.spread, tone: 7 },
      { label: 'SwiGLU', value: swiglu.loss, shown: swiglu.loss.toFixed(3), spread: swiglu.spread, tone: 1 },
    ],
    { from: 1.65, to: 1.8 },
  )
  sheet.note(
    `Lower is better. ${millions(gelu.parameters)} and ${millions(swiglu.parameters)} parameters, characters, ${steps.toLocaleString('en-US')} steps, ${seeds} seeds. Seed by seed the gate changes the loss by ${signed(change)} ± ${spread}.`,
  )
}

/** The weights of the matrices of a feed-forward, without biases and norms. */
function matrices(model: Architecture, feedForward?: FeedForward): number {
  const layers = feedForward ? [{ ...model.layers[0]!, feedForward }] : model.layers.slice(0, 1)
  return leaves(weightSpecs({ ...model, layers }))
    .filter(({ name, shape }) => name.startsWith('layers.0.feedForward.') && shape.length > 1)
    .reduce((sum, { shape }) => sum + size(shape), 0)
}

const gatedOf = (intermediateSize: number): FeedForward => ({
  kind: 'gated',
  intermediateSize,
  activation: { kind: 'swiglu' },
  bias: false,
})

/** A matrix to scale: 1,024 are 28 units. */
function matrix(sheet: Sheet, x: number, y: number, inner: number, tone: number, words: string): number {
  const width = (28 * inner) / 1024
  sheet.add(rect(x - width / 2, y, width, 28, `b${tone}`, 2), text(x, y + 18, words, 'small', 'middle'))
  return y + 28
}

const arrow = (x: number, from: number, to: number): string[] => [
  path(`M${x} ${from}V${to - 5}`, 'wire'),
  path(`M${x} ${to}l-3.5 -6h7z`, 'tip'),
]

function gates(sheet: Sheet): void {
  const [left, right] = [EDGE + 74, SHEET - EDGE - 88]
  const [gate, up] = [right - 44, right + 44]
  const top = sheet.y
  const box = (x: number, y: number, words: string): void => {
    sheet.add(rect(x - 32, y, 64, 20, 'box', 5), text(x, y + 14, words, '', 'middle'))
  }
  sheet.add(text(left, top + 13, 'feed-forward', 'part', 'middle'), text(right, top + 13, 'gated (SwiGLU)', 'part', 'middle'))
  sheet.add(text(left, top + 34, 'x', '', 'middle'), text(right, top + 34, 'x', '', 'middle'))
  sheet.add(...arrow(left, top + 38, top + 62), path(`M${right} ${top + 38}V${top + 46}M${gate} ${top + 46}H${up}`, 'wire'))
  sheet.add(...arrow(gate, top + 46, top + 62), ...arrow(up, top + 46, top + 62))
  matrix(sheet, left, top + 62, 4096, 3, 'up 1024 × 4096')
  for (const [x, words] of [
    [gate, 'gate'],
    [up, 'up'],
  ] as const)
    matrix(sheet, x, top + 62, 2048, 3, words)
  sheet.add(...arrow(left, top + 90, top + 112), ...arrow(gate, top + 90, top + 112))
  box(left, top + 112, 'GELU')
  box(gate, top + 112, 'SiLU')
  sheet.add(path(`M${up} ${top + 90}V${top + 150}H${right + 8}M${gate} ${top + 132}V${top + 150}H${right - 8}`, 'wire'))
  sheet.add(circle(right, top + 150, 8, 'box'), text(right, top + 154, '×', 'part', 'middle'))
  sheet.add(...arrow(left, top + 132, top + 176), ...arrow(right, top + 158, top + 176))
  matrix(sheet, left, top + 176, 4096, 3, 'down 4096 × 1024')
  matrix(sheet, right, top + 176, 2048, 3, 'down')
  sheet.add(...arrow(left, top + 204, top + 222), ...arrow(right, top + 204, top + 222))
  sheet.y = top + 228
  sheet.note('Matrices to scale: 4,096 wide at the left, 2,048 at the right.')
  sheet.gap(4)
  sheet.part('Weights of one feed-forward at width 1,024')
  const model = preset('gpt2-medium')!
  const rows = [
    ['two matrices, inner width 4,096 (GPT-2 medium)', matrices(model), 7],
    ['gated, 1,024 (the article, English)', matrices(model, gatedOf(1024)), 1],
    ['gated, 2,048 (the article, Chinese)', matrices(model, gatedOf(2048)), 1],
    ['gated, 2,731 = two thirds of 4,096', matrices(model, gatedOf(2731)), 1],
    ['gated, 3,072 (Qwen3-0.6B)', matrices(preset('Qwen3-0.6B')!), 0],
  ] as const
  sheet.bars(rows.map(([label, value, tone]) => ({ label, value, tone, shown: value.toLocaleString('en-US') })))
  sheet.note('Fewer weights only below two thirds of the width: equal there, and more in Qwen3-0.6B.')
}

/** A token through one feed-forward, and through the experts that a router picks. */
function mixture(sheet: Sheet): void {
  const slot = preset('gpt-oss-20b')!.layers[0]!.feedForward
  if (slot.kind !== 'moe') throw new TypeError('gpt-oss-20b has no experts')
  const top = sheet.y
  const left = EDGE + 40
  const right = EDGE + 216
  sheet.add(text(left, top + 13, 'dense', 'part', 'middle'), text(right, top + 13, 'mixture of experts', 'part', 'middle'))
  sheet.add(text(left, top + 34, 'token', '', 'middle'), text(right, top + 34, 'token', '', 'middle'))
  sheet.add(
    ...arrow(left, top + 38, top + 96),
    rect(left - 36, top + 96, 72, 32, 'a0', 5),
    text(left, top + 109, 'one for', 'inverse', 'middle'),
  )
  sheet.add(text(left, top + 122, 'all tokens', 'inverse', 'middle'), ...arrow(left, top + 128, top + 192))
  sheet.add(
    ...arrow(right, top + 38, top + 52),
    rect(right - 36, top + 52, 72, 20, 'box', 5),
    text(right, top + 66, 'router', '', 'middle'),
  )
  const [columns, step] = [8, 26]
  const chosen = new Set([3, 12, 18, 29])
  const x = (expert: number): number => right + (expert % columns) * step - (columns * step) / 2
  const y = (expert: number): number => top + 90 + Math.floor(expert / columns) * 18
  for (let expert = 0; expert < slot.experts; expert++) {
    const active = chosen.has(expert)
    sheet.add(rect(x(expert) + 1, y(expert), step - 3, 15, active ? 'a1' : 'b1', 3))
    sheet.add(text(x(expert) + step / 2 - 0.5, y(expert) + 12, String(expert), active ? 'inverse' : 'dim', 'middle'))
  }
  sheet.add(...arrow(right, top + 72, top + 88))
  sheet.add(...arrow(right, top + 164, top + 192), text(right + 10, top + 182, 'weighted sum', 'dim'))
  sheet.add(line(EDGE + 92, top + 4, EDGE + 92, top + 194, 'grid'))
  sheet.y = top + 196
  sheet.legend([
    [1, `${slot.expertsPerToken} experts that the router picks`],
    [1, `${slot.experts - slot.expertsPerToken} idle`, 'pale'],
  ])
}

const MIXTURES = [
  'gpt-oss-20b',
  'gpt-oss-120b',
  'Qwen3-30B-A3B',
  'Qwen3-235B-A22B',
  'Qwen3-Coder-480B-A35B',
  'DeepSeekMoE-16B',
  'DeepSeek-V3',
  'Mixtral-8x7B-v0.1',
  'Jamba-v0.1',
]

function experts(sheet: Sheet): void {
  mixture(sheet)
  const facts = MIXTURES.map((name) => ({ name, parameters: account(preset(name)!, { context: 1 }).parameters }))
  sheet.part('Share of the parameters in routed experts')
  sheet.bars(
    facts.map(({ name, parameters: { expertShare } }) => ({
      label: name.replace(/-v0\.1$/, ''),
      value: 100 * expertShare,
      shown: `${(100 * expertShare).toFixed(1)} %`,
      tone: expertShare > 0.9 ? 1 : 7,
    })),
    { to: 100 },
  )
  sheet.note('Jamba is below 90 %: half of its layers have no experts.')
  sheet.gap(4)
  sheet.part('Parameters that work on one token, of all')
  sheet.bars(
    facts.map(({ name, parameters: { active, total } }) => ({
      label: name.replace(/-v0\.1$/, ''),
      value: (100 * active) / total,
      shown: `${short(active)} of ${short(total)}`,
      tone: 0,
    })),
    { to: 100 },
  )
}

export const feedForwardFigures: readonly Figure[] = [
  {
    id: 'F6',
    title: 'Figure 6: with and without a gate',
    describes:
      'Dots with error bars. Published: five gated forms score 73.66 to 74.56, three forms without a gate 72.40 to 72.98. Here: a small model with SwiGLU reaches a loss of 1.692, the same with GELU 1.755.',
    source: 'Shazeer 2020, arXiv 2002.05202, read through the figure of the article; the step swiglu of lineage ladder, docs/lineage.md.',
    draw: variants,
  },
  {
    id: 'F7',
    title: 'Figure 7: a feed-forward and a gated one',
    describes:
      'Left: up matrix, GELU, down matrix. Right: gate and up matrices, SiLU on the gate, a product, a down matrix, all to scale. Bars below: weights at width 1,024 with inner widths from 1,024 to 4,096; the gated form has fewer only below two thirds of the width.',
    source: 'the lists of weights of GPT-2 medium, of the same with a gated feed-forward, and of Qwen3-0.6B.',
    draw: gates,
  },
  {
    id: 'F8',
    title: 'Figure 8: one feed-forward or many experts',
    describes:
      'Left: every token passes the same feed-forward. Right: a router picks 4 of 32 experts. Bars below: in eight of nine models over 90 percent of the parameters are in experts, Jamba has 87 percent; and the parameters that work on one token are a small part of all.',
    source: 'the published configurations; parameters are sums over the lists of weights. Active: without the input embedding.',
    draw: experts,
  },
]
