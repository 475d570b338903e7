/** What `lineage eval --task` shows: progress, a table of metrics with their intervals, and accuracy against tokens as a chart. */
import { chartSvg } from '../../drawing/chart.ts'
import type { Evaluation, Progress } from '../../evaluate/evaluate.ts'
import type { Metric, Summary } from '../../evaluate/plan.ts'
import type { Task } from '../../evaluate/task.ts'
import { duration, fit, type Screen } from '../support/progress.ts'
import { grouped, type Paint, table } from '../support/terminal.ts'

/** A line that is redrawn on a terminal; elsewhere a line every half minute. */
export function progressLine(stream: Screen, label: string) {
  const started = performance.now()
  let first: number | undefined
  let drawn = started
  let open = false
  return {
    update({ done, total }: Progress) {
      first ??= done - 1
      const now = performance.now()
      if (done < total && now - drawn < (stream.isTTY ? 200 : 30_000)) return
      drawn = now
      const seconds = ((now - started) / 1000 / (done - first)) * (total - done)
      const text = `${label}: ${grouped(done)} of ${grouped(total)}${done < total ? `, ${duration(seconds)} left` : ''}`
      if (stream.isTTY) stream.write(`\r\x1b[2K${fit(text, stream)}`)
      else if (done < total) stream.write(`${text}\n`)
      open = stream.isTTY === true
    },
    end() {
      if (open) stream.write('\r\x1b[2K')
      open = false
    },
  }
}

export function reportText(task: Task, model: string, evaluation: Evaluation, paint: Paint, out: string | undefined): string {
  const { outcomes, summaries, total, interrupted } = evaluation
  const lines = [`${task.name} on ${model}: ${grouped(outcomes.length)} of ${grouped(total)} done`]
  if (summaries.length > 0) lines.push(metricTable(summaries, paint))
  const by = new Set(summaries.flatMap(({ metrics }) => metrics.map(({ by }) => by)))
  if (summaries.length > 0)
    lines.push(
      `In brackets: 95 %, ${[by.has('wilson') && "shares by Wilson's formula", by.has('bootstrap') && 'the rest by the bootstrap over items'].filter(Boolean).join(', ')}.`,
    )
  const failed = outcomes.filter(({ error }) => error !== undefined)
  if (failed.length > 0)
    lines.push(
      `${grouped(failed.length)} could not be ${'prompt' in task || task.kind === 'rolling' ? 'measured' : 'asked'} and count as wrong where answers are counted. The first: ${failed[0]!.id}: ${failed[0]!.error}`,
    )
  const cut = outcomes.filter(({ cut }) => cut === true).length
  if (cut > 0) lines.push(`${grouped(cut)} contexts did not fit and were cut at their beginning.`)
  if (interrupted !== undefined)
    lines.push(out ? `Interrupted. The same command goes on with ${out}.` : 'Interrupted. With --out FILE a run can go on later.')
  return `${lines.join('\n')}\n`
}

function metricTable(summaries: readonly Summary[], paint: Paint): string {
  const names = [...new Set(summaries.flatMap(({ metrics }) => metrics.map(({ name }) => name)))]
  const hasEffort = summaries.some(({ effort }) => effort !== undefined)
  const hasGroup = summaries.some(({ group }) => group !== undefined)
  const titles = [...(hasEffort ? ['effort'] : []), ...(hasGroup ? ['group'] : []), 'items', ...names]
  const rows = summaries.map(({ effort, group, items, metrics }) => [
    ...(hasEffort ? [effort ?? ''] : []),
    ...(hasGroup ? [group ?? 'all'] : []),
    grouped(items),
    ...names.map((name) => cell(metrics.find((metric) => metric.name === name))),
  ])
  const left = Number(hasEffort) + Number(hasGroup)
  return table(
    [titles.map((text) => ({ text, styles: ['bold' as const] })), ...rows],
    paint,
    titles.map((_, i) => i >= left),
  )
}

function cell(metric: Metric | undefined): string {
  if (metric === undefined) return ''
  const number = (x: number) => (Number.isFinite(x) ? (Math.abs(x) < 10 ? x.toFixed(4) : x.toFixed(2)) : '–')
  const { value, interval } = metric
  return interval ? `${number(value)} (${number(interval[0])}–${number(interval[1])})` : number(value)
}

/** One line per group (or one for all) through its efforts: accuracy with its interval against generated tokens. */
export function taskChart(task: string, model: string, summaries: readonly Summary[]): string {
  const groups = [...new Set(summaries.map(({ group }) => group))].filter((group, _, all) => all.length === 1 || group === undefined)
  const tokensOf = ({ metrics }: Summary) => metrics.find(({ name }) => name === 'tokens')!.value
  return chartSvg({
    title: `${task} on ${model}`,
    xTitle: 'mean generated tokens per answer',
    yTitle: `${summaries[0]!.metrics[0]!.name} (%)`,
    yRange: [0, 100],
    series: groups.map((group) => {
      const own = summaries.filter((summary) => summary.group === group).sort((a, b) => tokensOf(a) - tokensOf(b))
      const scores = own.map(({ metrics }) => metrics[0]!)
      return {
        name: own.map(({ effort }) => effort ?? 'default').join(', '),
        dots: true,
        points: own.map((summary, i) => [tokensOf(summary), 100 * scores[i]!.value] as const),
        spread: scores.map(({ value, interval }) => [100 * (interval?.[0] ?? value), 100 * (interval?.[1] ?? value)] as const),
      }
    }),
  })
}
