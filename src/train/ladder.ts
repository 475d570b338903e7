/**
 * The ladder: every step from GPT-2 to gpt-oss trained on the same tokens in the same order with several seeds, and a table that says which
 * differences exceed the noise. Active parameters stay about equal from rung to rung, because the road's steps are made that way.
 * Rules for seeds and noise: arXiv 2102.11972, 2605.20798.
 */
import { type Chart, chartSvg } from '../drawing/chart.ts'
import type { Job, JobResult } from './job.ts'
import { parameterLayout } from './parameters.ts'
import { kvBytes, parameterCounts, type Rung } from './rungs.ts'
import { type Difference, deviation, mean, pairedDifference } from './statistics.ts'
import { DEFAULT_PLAN } from './trainer.ts'

export interface LadderOptions {
  steps: number
  seeds: number
  block: number
  batch: number
  ids: Int32Array
  learningRate: number
}

/** One job per seed and rung, the first seed of all rungs first: a ladder that is stopped early is complete for some seeds. */
export function ladderJobs(rungs: readonly Rung[], options: LadderOptions): Job[] {
  const { steps, seeds, block, batch, ids, learningRate } = options
  const jobs: Job[] = []
  for (let seed = 1; seed <= seeds; seed++)
    for (const { name, architecture } of rungs)
      jobs.push({
        label: name,
        architecture,
        data: { kind: 'text', ids, block, batch },
        plan: {
          ...DEFAULT_PLAN,
          steps,
          warmup: Math.min(100, Math.ceil(steps / 10)),
          learningRate,
          finalLearningRate: learningRate / 10,
          evaluateEvery: Math.max(1, Math.ceil(steps / 8)),
          // The last rung finishes in the precision it would ship in.
          quantiseFrom: architecture.expertDtype === 'mxfp4' ? Math.ceil(steps * 0.8) : null,
          seed,
        },
      })
  return jobs
}

export interface LadderRow {
  name: string
  title: string
  parameters: number
  active: number
  kvBytes: number
  losses: number[]
  loss: number
  spread: number
  /** Loss at a quarter of the run. */
  early: number
  tokensPerSecond: number
  /** Against the rung before; null for the first. */
  difference: Difference | null
}

export interface Ladder {
  rows: LadderRow[]
  /** Mean spread of one rung over its seeds. */
  noiseFloor: number
  options: Omit<LadderOptions, 'ids'> & { tokens: number; contextOfCache: number }
}

/** `contextOfCache`: length of the sequence whose cache bytes are stated. */
export function summarise(rungs: readonly Rung[], results: readonly JobResult[], options: LadderOptions, contextOfCache: number): Ladder {
  const bySeed = (name: string) => results.filter(({ label }) => label === name).sort((a, b) => a.seed - b.seed)
  const noiseFloor = mean(rungs.map(({ name }) => deviation(bySeed(name).map(({ loss }) => loss))))
  const rows: LadderRow[] = []
  for (const { name, title, architecture } of rungs) {
    const own = bySeed(name)
    const losses = own.map(({ loss }) => loss)
    const { total, active } = parameterCounts(architecture, parameterLayout(architecture).count)
    const before = rows.at(-1)
    rows.push({
      name,
      title,
      parameters: total,
      active,
      kvBytes: kvBytes(architecture, contextOfCache),
      losses,
      loss: mean(losses),
      spread: deviation(losses),
      early: mean(own.map(({ curve }) => curve[Math.floor((curve.length - 1) / 4)]!.loss)),
      tokensPerSecond: mean(own.map((r) => r.tokensPerSecond)),
      difference: before ? pairedDifference(before.losses, losses, noiseFloor) : null,
    })
  }
  const { steps, seeds, block, batch, learningRate } = options
  return { rows, noiseFloor, options: { steps, seeds, block, batch, learningRate, tokens: steps * block * batch, contextOfCache } }
}

const signed = (x: number, digits = 3): string => `${x >= 0 ? '+' : '−'}${Math.abs(x).toFixed(digits)}`

/** The table, in Markdown. */
export function ladderMarkdown({ rows, noiseFloor, options }: Ladder): string {
  const lines = [
    `${options.steps} steps of ${options.batch} windows of ${options.block} tokens (${options.tokens.toLocaleString('en-US')} tokens), ${options.seeds} seeds, highest learning rate ${options.learningRate}. Spread of one rung over its seeds: ${noiseFloor.toFixed(4)} on average; a difference counts when it exceeds twice the larger of this and of its own spread.`,
    '',
    `| step | held-out loss | at a quarter | against the step before | beyond noise | parameters | active | KV bytes at ${options.contextOfCache} tokens | tokens/s |`,
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for (const row of rows) {
    const change = row.difference ? `${signed(row.difference.mean)} ± ${row.difference.spread.toFixed(3)}` : ''
    const beyond = row.difference ? (row.difference.exceedsNoise ? (row.difference.mean < 0 ? 'yes, better' : 'yes, worse') : 'no') : ''
    lines.push(
      `| ${row.name}: ${row.title} | ${row.loss.toFixed(3)} ± ${row.spread.toFixed(3)} | ${row.early.toFixed(3)} | ${change} | ${beyond} | ${row.parameters.toLocaleString('en-US')} | ${row.active.toLocaleString('en-US')} | ${row.kvBytes.toLocaleString('en-US')} | ${Math.round(row.tokensPerSecond).toLocaleString('en-US')} |`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** Held-out loss per rung with the spread over seeds. */
export function ladderSvg({ rows }: Ladder): string {
  const chart: Chart = {
    title: `Held-out loss from ${rows[0]!.title} to ${rows.at(-1)!.name}`,
    xTitle: 'step of the road',
    xLabels: rows.map(({ name }) => name),
    yTitle: 'loss (nats per token)',
    series: [
      {
        name: 'at the end',
        dots: true,
        points: rows.map(({ loss }, i) => [i, loss] as const),
        spread: rows.map(({ loss, spread }) => [loss - spread, loss + spread] as const),
      },
      { name: 'at a quarter of the run', dots: true, points: rows.map(({ early }, i) => [i, early] as const) },
    ],
  }
  return chartSvg(chart)
}
