/**
 * The ladder: a small model of every step from GPT-2 to gpt-oss, trained on the same tokens in the same order
 * with several seeds, and a table that says which differences exceed the noise. Active parameters stay about
 * equal from step to step. Rules for seeds and noise: arXiv 2102.11972, 2605.20798.
 */
import { account, cacheBytes } from '../compare/account.ts'
import { type Chart, chartSvg } from '../drawing/chart.ts'
import { mean } from '../numbers/statistics.ts'
import { branchesFrom, type SmallModel } from './small-models.ts'
import { type SmallRun, type SmallRunResult, shortRun } from './small-run.ts'
import { type Difference, deviation, pairedDifference, signed } from './statistics.ts'

export interface LadderOptions {
  steps: number
  seeds: number
  block: number
  batch: number
  ids: Int32Array
  learningRate: number
}

/** One run per seed and model. The first seed of all models comes first, so a ladder that is stopped early is complete for some seeds. */
export function ladderRuns(models: readonly SmallModel[], options: LadderOptions): SmallRun[] {
  const { steps, seeds, block, batch, ids, learningRate } = options
  const runs: SmallRun[] = []
  for (let seed = 1; seed <= seeds; seed++)
    for (const { name, architecture } of models)
      runs.push({
        label: name,
        architecture,
        data: { kind: 'text', ids, block, batch },
        settings: {
          ...shortRun(steps, learningRate, seed),
          warmup: Math.min(100, Math.ceil(steps / 10)),
          // The last model finishes in the precision in which it would be published.
          quantiseFrom: architecture.expertDtype === 'mxfp4' ? Math.ceil(steps * 0.8) : null,
        },
      })
  return runs
}

/** How many seeds, from the first on, all models have been trained with. */
export function completeSeeds(results: readonly SmallRunResult[], models: number): number {
  let complete = 0
  while (results.filter(({ seed }) => seed === complete + 1).length === models) complete++
  return complete
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
  /** A side road: the name of the step where it leaves. */
  after?: string
  /** Against the model before, or where the side road leaves; null for the first. */
  difference: Difference | null
}

export interface Ladder {
  rows: LadderRow[]
  /** Mean spread of one model over its seeds. */
  noiseFloor: number
  options: Omit<LadderOptions, 'ids'> & { tokens: number; contextOfCache: number }
}

/** `contextOfCache`: length of the sequence whose cache bytes are stated. */
export function summarise(
  models: readonly SmallModel[],
  results: readonly SmallRunResult[],
  options: LadderOptions,
  contextOfCache: number,
): Ladder {
  const bySeed = (name: string) => results.filter(({ label }) => label === name).sort((a, b) => a.seed - b.seed)
  const noiseFloor = mean(models.map(({ name }) => deviation(bySeed(name).map(({ loss }) => loss))))
  const rows: LadderRow[] = []
  for (const model of models) {
    const { name, title, architecture } = model
    const after = branchesFrom(model)
    const own = bySeed(name)
    const losses = own.map(({ loss }) => loss)
    const { total, activeWithEmbeddings } = account(architecture, { context: 1 }).parameters
    const before = after === undefined ? rows.at(-1) : rows.find((row) => row.name === after)
    rows.push({
      name,
      title,
      after,
      parameters: total,
      active: activeWithEmbeddings,
      kvBytes: cacheBytes(architecture, contextOfCache),
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

/** The table, in Markdown. */
export function ladderMarkdown({ rows, noiseFloor, options }: Ladder): string {
  const lines = [
    `${options.steps} steps of ${options.batch} windows of ${options.block} tokens (${options.tokens.toLocaleString('en-US')} tokens), ${options.seeds} seeds, highest learning rate ${options.learningRate}. Spread of one model over its seeds: ${noiseFloor.toFixed(4)} on average; a difference counts when it exceeds twice the larger of this and of its own spread.`,
    '',
    `| step | held-out loss | at a quarter | against the step before | beyond noise | parameters | active | KV bytes at ${options.contextOfCache} tokens | tokens/s |`,
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for (const row of rows) {
    const change = row.difference ? `${signed(row.difference.mean)} ± ${row.difference.spread.toFixed(3)}` : ''
    const beyond = row.difference ? (row.difference.exceedsNoise ? (row.difference.mean < 0 ? 'yes, better' : 'yes, worse') : 'no') : ''
    lines.push(
      `| ${row.name}: ${row.title}${row.after === undefined ? '' : `, against ${row.after}`} | ${row.loss.toFixed(3)} ± ${row.spread.toFixed(3)} | ${row.early.toFixed(3)} | ${change} | ${beyond} | ${row.parameters.toLocaleString('en-US')} | ${row.active.toLocaleString('en-US')} | ${row.kvBytes.toLocaleString('en-US')} | ${Math.round(row.tokensPerSecond).toLocaleString('en-US')} |`,
    )
  }
  return `${lines.join('\n')}\n`
}

/** Held-out loss per step with the spread over seeds; side roads stand in the table only. */
export function ladderSvg({ rows: all }: Ladder): string {
  const rows = all.filter(({ after }) => after === undefined)
  const chart: Chart = {
    title: `Held-out loss from ${rows[0]!.title} to ${rows.at(-1)!.name}`,
    xTitle: 'step',
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
