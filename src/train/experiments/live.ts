/**
 * Experiments whose runs learn from their own answers or from a teacher: GRPO on abacus at medium effort, with and without a price of length,
 * and a small student taught by a larger model against the same student on the text alone. A run is plain data, for a thread.
 */
import type { Effort } from '../../chat/messages.ts'
import type { Series } from '../../drawing/chart.ts'
import { mean, wilson } from '../../numbers/statistics.ts'
import { of, percent } from '../results.ts'
import { deviation, pairedDifference, signed } from '../statistics.ts'
import { type Outcome, type Texts, verdict } from './experiment.ts'

export interface ReinforceRun {
  kind: 'reinforce'
  label: string
  seed: number
  /** Directory of the model at the start, with abacus' own prompts. */
  model: string
  effort: Effort
  lengthPrice: number
  rounds: number
  /** Held-out problems of a measurement. */
  problems: number
}

export interface DistillRun {
  kind: 'distill'
  label: string
  seed: number
  /** Share of the teacher in the loss of the student; null: the text alone. */
  share: number | null
  texts: Texts
  /** The student reads these first characters only; the teacher all of them. */
  few: number
  teacherSteps: number
  steps: number
}

export type LiveRun = ReinforceRun | DistillRun

/** A measurement on the way. */
export interface LivePoint {
  step: number
  /** Of answers. */
  right?: number
  of?: number
  tokens?: number
  /** Of texts. */
  loss?: number
}

export interface LiveResult {
  label: string
  seed: number
  points: LivePoint[]
  /** Held-out loss of the teacher. */
  teacherLoss?: number
}

export interface LiveExperiment {
  name: string
  title: string
  expectation: string
  source: string
  runs(scale: number, seeds: number): LiveRun[]
  conclude(results: readonly LiveResult[]): Outcome
  chart(results: readonly LiveResult[]): { xTitle: string; yTitle: string; series: Series[] }
}

const first = ({ points }: LiveResult) => points[0]!
const last = ({ points }: LiveResult) => points.at(-1)!
const share = ({ right = 0, of = 1 }: LivePoint) => right / of

/** Taken from the reward per 100 tokens of an answer. */
const PRICES = { 'no price': 0, 'price 0.3': 0.3, 'price 1': 1 } as const

export const reinforce = (model: string): LiveExperiment => ({
  name: 'reinforce',
  title: 'Rewards for checked answers at medium effort',
  expectation:
    'Group-relative rewards raise the accuracy of medium effort on held-out problems beyond its interval with every seed; the higher the price of length, the shorter are the answers and the fewer are right.',
  source: 'GRPO, arXiv:2402.03300',
  runs: (scale, seeds) =>
    Object.entries(PRICES).flatMap(([label, lengthPrice]) =>
      Array.from(
        { length: seeds },
        (_, i): ReinforceRun => ({
          ...{ kind: 'reinforce', label, seed: i + 1, model, effort: 'medium', lengthPrice },
          rounds: Math.max(1, Math.round(16 * scale)),
          problems: Math.max(22, Math.round(1000 * Math.min(1, scale))),
        }),
      ),
    ),
  conclude(results) {
    const free = of(results, 'no price')
    const raised = free.filter((run) => wilson(last(run).right!, last(run).of!)[0] > wilson(first(run).right!, first(run).of!)[1])
    const ends = Object.keys(PRICES).map((label) => of(results, label).map(last))
    const falls = (what: (point: LivePoint) => number) => {
      const means = ends.map((points) => mean(points.map(what)))
      return means.slice(1).every((value, i) => value < means[i]!)
    }
    const along = falls(({ tokens }) => tokens!) && falls(share)
    const shown = ({ right, of: problems, tokens }: LivePoint) => {
      const [low, high] = wilson(right!, problems!)
      return `${percent(right! / problems!)} (${percent(low)} to ${percent(high)}), ${tokens!.toFixed(1)} tokens`
    }
    return {
      verdict: verdict(
        raised.length === free.length && along,
        free.every((run) => share(last(run)) < share(first(run))),
      ),
      findings: [
        { label: 'raised beyond the interval', value: `${raised.length} of ${free.length} seeds` },
        { label: 'shorter and less often right with the price', value: along ? 'yes' : 'no' },
        ...ends.map((points, i) => ({
          label: `${Object.keys(PRICES)[i]}, mean of the seeds`,
          value: `${percent(mean(points.map(share)))}, ${mean(points.map(({ tokens }) => tokens!)).toFixed(1)} tokens`,
        })),
        ...results.flatMap((run) => [
          { label: `${run.label}, seed ${run.seed}: before`, value: shown(first(run)) },
          { label: `${run.label}, seed ${run.seed}: after`, value: shown(last(run)) },
        ]),
      ],
    }
  },
  chart: (results) => ({
    xTitle: 'mean tokens of an answer',
    yTitle: 'right answers (%)',
    series: results.map((run) => ({
      name: `${run.label}, seed ${run.seed}`,
      dots: true,
      points: run.points.map((point) => [point.tokens!, 100 * share(point)] as const),
    })),
  }),
})

export const distill = (texts: Texts): LiveExperiment => ({
  name: 'distill',
  title: 'A teacher against the text alone',
  expectation:
    'A student of half the width that has little text reaches a lower held-out loss with the distribution of a teacher than with the text alone.',
  source: 'arXiv:1503.02531',
  runs: (scale, seeds) =>
    (
      [
        ['text alone', null],
        ['teacher', 1],
        ['half teacher, half text', 0.5],
      ] as const
    ).flatMap(([label, part]) =>
      Array.from(
        { length: seeds },
        (_, i): DistillRun => ({
          ...{ kind: 'distill', label, seed: i + 1, share: part, texts, few: 20_000 },
          teacherSteps: Math.max(10, Math.round(1500 * scale)),
          steps: Math.max(10, Math.round(1000 * scale)),
        }),
      ),
    ),
  conclude(results) {
    // The best measurement of each run, as early stopping would keep it.
    const losses = (label: string) => of(results, label).map(({ points }) => Math.min(...points.map(({ loss }) => loss!)))
    const alone = losses('text alone')
    const { mean: change, spread, exceedsNoise } = pairedDifference(alone, losses('teacher'), deviation(alone))
    const shown = (values: readonly number[]) => `${mean(values).toFixed(4)} (${values.map((value) => value.toFixed(4)).join(', ')})`
    return {
      verdict: verdict(exceedsNoise && change < 0, exceedsNoise && change > 0),
      findings: [
        { label: 'teacher', value: shown(of(results, 'teacher').map(({ teacherLoss }) => teacherLoss!)) },
        ...['text alone', 'teacher', 'half teacher, half text'].map((label) => ({
          label: `student, ${label}`,
          value: shown(losses(label)),
        })),
        {
          label: 'change by the teacher, paired',
          value: `${signed(change)} ± ${spread.toFixed(3)}${exceedsNoise ? ', beyond the noise' : ''}`,
        },
      ],
    }
  },
  chart: (results) => ({
    xTitle: 'step',
    yTitle: 'held-out loss (nats per character)',
    series: results
      .filter(({ seed }) => seed === 1)
      .map((run) => ({ name: run.label, points: run.points.map(({ step, loss }) => [step, loss!] as const) })),
  }),
})
