/** The progress of a training run as one line of text: step, loss, speed, time left. */
import type { LogRecord } from './trainer.ts'

export class LiveLine {
  readonly #steps: number
  #smooth: number | null = null
  #evaluation = ''
  #first: { step: number; tokens: number; seconds: number } | null = null

  constructor(steps: number) {
    this.#steps = steps
  }

  /** The line after a record. */
  update(record: LogRecord): string {
    if (record.kind === 'evaluation') {
      this.#evaluation = `  held-out ${record.loss.toFixed(4)} (${(100 * record.accuracy).toFixed(1)} % of tokens)${noted(record)}`
      return `step ${record.step}${this.#evaluation}`
    }
    const { step, loss, tokens, seconds, learningRate } = record
    this.#smooth = this.#smooth === null ? loss : 0.95 * this.#smooth + 0.05 * loss
    this.#first ??= { step: step - 1, tokens, seconds }
    const elapsed = seconds - this.#first.seconds
    const speed = elapsed > 0 ? Math.round((tokens - this.#first.tokens) / elapsed) : 0
    const left = step > this.#first.step + 1 ? (elapsed / (step - this.#first.step - 1)) * (this.#steps - step) : Number.NaN
    const time = Number.isNaN(left) ? '' : `  ${clock(left)} left`
    return `step ${step}/${this.#steps}  loss ${this.#smooth.toFixed(4)}  ${speed} tokens/s${time}  rate ${learningRate.toExponential(1)}${noted(record)}${this.#evaluation}`
  }
}

/** What the data note about themselves. */
const noted = ({ notes = {} }: LogRecord): string =>
  Object.entries(notes)
    .map(([name, value]) => `  ${name} ${Number(value.toPrecision(3))}`)
    .join('')

/** 93 -> '1:33'. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${String(s).padStart(2, '0')}` : `${m}:${String(s).padStart(2, '0')}`
}
