/** Rows of a check that rest on recorded trainings: a change of the loss seed by seed, shares of right answers, speeds. */
import { mean } from '../numbers/statistics.ts'
import { change, of, percent } from '../train/results.ts'
import { signed } from '../train/statistics.ts'
import type { Measurement } from './claim.ts'
import type { Training } from './evidence.ts'
import { EARLIER, EARLIER_DATE, type Earlier } from './recorded/earlier.ts'

/** Where times come from; undefined: they were taken now. */
export const timed = (claim: string, date: string, machine?: string): string | undefined =>
  machine && `lineage verify ${claim}, ${date}, ${machine}`

export const recordedAs = ({ command, date, seeds }: Training): string => `${command}, ${date}, ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`

/** Rows that need single runs; none where an experiment was not recorded run by run. */
export const fromRuns = (training: Training, rows: () => Measurement[]): Measurement[] => (training.runs.length ? rows() : [])

/**
 * The loss of b less that of a. `better`: b is lower beyond noise; `worse`: higher; `lower`: lower in the mean, whatever the spread;
 * `same`: by less than `limit` either way.
 */
export function lossRow(
  training: Training,
  what: string,
  [a, b]: readonly [string, string],
  expected: 'better' | 'worse' | 'lower' | 'same',
  limit = 0.03,
): Measurement {
  const { mean: by, spread, exceedsNoise } = change(training.runs, a, b)
  const side = by < 0 === (expected !== 'worse')
  const agrees = expected === 'same' ? Math.abs(by) < limit : side && (expected === 'lower' || exceedsNoise)
  const words = {
    better: 'below 0, more than twice the spread',
    worse: 'above 0, more than twice the spread',
    lower: 'below 0',
    same: `within ±${limit}`,
  }
  return {
    what,
    expected: words[expected],
    measured: `${signed(by)} ± ${spread.toFixed(3)}`,
    agrees,
    from: recordedAs(training),
  }
}

/** The mean loss of a variant; agrees when every run gave a number. */
export const lossesRow = (training: Training, what: string, label: string): Measurement => {
  const losses = of(training.runs, label).map(({ loss }) => loss)
  return {
    what,
    expected: 'a number',
    measured: `${mean(losses).toFixed(3)} (${losses.map((loss) => loss.toFixed(3)).join(', ')})`,
    agrees: losses.length > 0 && losses.every(Number.isFinite),
    from: recordedAs(training),
  }
}

/** Share of right answers of a variant against a bound, in percent. */
export function rightRow(training: Training, what: string, label: string, side: 'above' | 'below', bound: number): Measurement {
  const shares = of(training.runs, label).map(({ accuracy }) => accuracy)
  const share = mean(shares)
  return {
    what,
    expected: `${side} ${bound} %`,
    measured: `${percent(share)} (${shares.map((each) => (100 * each).toFixed(1)).join(', ')})`,
    agrees: side === 'above' ? 100 * share > bound : 100 * share < bound,
    from: recordedAs(training),
  }
}

/** A ratio of times against a lower bound. `words`: the bound in other words. */
export const ratioRow = (what: string, ratio: number, least: number, from: string | undefined, words = `> ${least}`): Measurement => ({
  what,
  expected: words,
  measured: ratio.toFixed(2),
  agrees: ratio > least,
  from,
})

/** Tokens per second of b over those of a while training. */
export function speedRow(training: Training, what: string, [a, b]: readonly [string, string], least: number): Measurement {
  const speed = (label: string) => mean(of(training.runs, label).map(({ tokensPerSecond }) => tokensPerSecond))
  return ratioRow(what, speed(b) / speed(a), least, recordedAs(training))
}

/** An earlier measurement against a bound. Bounds on changes of a loss are beyond twice its spread where one was kept. */
export function earlierRow(name: keyof typeof EARLIER, side: 'above' | 'below' | 'within', bound: number): Measurement {
  const { what, command, seeds, mean: value, spread }: Earlier = EARLIER[name]
  const share = what.endsWith('%')
  const agrees = side === 'above' ? value > bound : side === 'below' ? value < bound : Math.abs(value) < bound
  return {
    what: share ? what.replace(/, %$/, '') : what,
    expected: `${side === 'within' ? '±' : `${side} `}${bound}${share ? ' %' : ''}`,
    measured: share ? `${value} %` : signed(value) + (spread === null ? '' : ` ± ${spread.toFixed(3)}`),
    agrees,
    from: `${command}, ${EARLIER_DATE}, ${seeds} seeds`,
  }
}
