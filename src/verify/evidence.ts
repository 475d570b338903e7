/** Evidence that takes longer than a check: results of trainings and times of ops. Both are recorded with the project and can be made anew. */
import type { RunResult } from '../train/results.ts'
import { RECORDED_TIMES } from './recorded/times.ts'
import { TRAININGS } from './recorded/trainings.ts'
import type { Times } from './times.ts'

/** The results of one experiment. */
export interface Training {
  experiment: string
  /** What makes them again. */
  command: string
  /** The day they were made. */
  date: string
  seeds: number
  /** Factor on the number of steps of the experiment. */
  scale: number
  runs: readonly RunResult[]
}

/** A run on one line: label, seed, parameters, last and best loss, share of right answers, tokens per second, and what only some have. */
export type RecordedRun = readonly [
  label: string,
  seed: number,
  parameters: number,
  loss: number,
  bestLoss: number,
  accuracy: number,
  tokensPerSecond: number,
  rest?: Pick<RunResult, 'diverged' | 'attention'>,
]

export type RecordedTraining = Omit<Training, 'runs'> & { runs: readonly RecordedRun[] }

export interface Evidence {
  /** Without runs where the experiment was not recorded run by run. */
  training(experiment: string): Training | Promise<Training>
  times(): DatedTimes | Promise<DatedTimes>
}

export interface DatedTimes extends Times {
  date: string
  /** Of times that were recorded: the machine. */
  machine?: string
}

/** What was recorded with the project. */
export const recorded: Evidence = {
  training(experiment) {
    const found = TRAININGS.find((each) => each.experiment === experiment)
    if (found === undefined) return { experiment, command: `lineage experiment ${experiment}`, date: '', seeds: 3, scale: 1, runs: [] }
    const runs = found.runs.map(([label, seed, parameters, loss, bestLoss, accuracy, tokensPerSecond, rest]): RunResult => {
      return { label, seed, parameters, loss, bestLoss, accuracy, tokensPerSecond, ...rest }
    })
    return { ...found, runs }
  },
  times: () => RECORDED_TIMES,
}
