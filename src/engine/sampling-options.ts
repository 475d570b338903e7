/** Sampling options and their valid ranges. */
import { unknownOption } from '../json/names.ts'

/** How the next id is drawn. */
export interface SamplingOptions {
  /** 0 (the default) is greedy: the likeliest id, on ties the lowest. */
  temperature?: number
  /** Keep the k likeliest ids; 0 or missing: all. */
  topK?: number
  /** Keep the likeliest ids that together have at least this probability, (0, 1]. */
  topP?: number
  /** Keep ids at least this fraction as likely as the likeliest, [0, 1]. */
  minP?: number
  /** Divides positive logits of ids seen in prompt or answer, multiplies negative ones; 1 is off. */
  repetitionPenalty?: number
  /** Subtracted from logits of ids seen in the answer, once. */
  presencePenalty?: number
  /** Subtracted from logits of ids seen in the answer, once per occurrence. */
  frequencyPenalty?: number
  /** Added to logits, by id; -Infinity forbids. */
  logitBias?: ReadonlyMap<number, number>
  /** An integer. The same seed gives the same answer, whatever else runs. Default: random, reported in the result. */
  seed?: number
}

const RANGES: { [name in keyof SamplingOptions]: [low: number, high: number] } = {
  temperature: [0, 1e6],
  topK: [0, 2 ** 31],
  topP: [0, 1],
  minP: [0, 1],
  repetitionPenalty: [1e-6, 1e6],
  presencePenalty: [-1e6, 1e6],
  frequencyPenalty: [-1e6, 1e6],
  seed: [0, Number.MAX_SAFE_INTEGER],
}

/** The names of all options. */
export const SAMPLING_NAMES: Readonly<Record<string, unknown>> = { ...RANGES, logitBias: true }

/** @throws RangeError that names the field, its range and its value. */
export function checkSampling(options: SamplingOptions): void {
  const unknown = unknownOption(options, SAMPLING_NAMES)
  if (unknown) throw new RangeError(`sampling.${unknown.name}: ${unknown.problem}`)
  for (const [name, [low, high]] of Object.entries(RANGES)) {
    const value = options[name as keyof typeof RANGES]
    if (value === undefined) continue
    const whole = name === 'seed' || name === 'topK'
    if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value)))
      throw new RangeError(`sampling.${name} must be ${whole ? 'an integer' : 'a number'} from ${low} to ${high}; it is ${value}`)
  }
  if (options.topP === 0) throw new RangeError('sampling.topP must be greater than 0; for the likeliest id alone set temperature to 0')
  for (const [id, bias] of options.logitBias ?? [])
    if (!Number.isInteger(id) || id < 0 || Number.isNaN(bias) || bias === Number.POSITIVE_INFINITY)
      throw new RangeError(`sampling.logitBias: ${id} -> ${bias}; ids are whole numbers from 0, biases numbers or -Infinity`)
}
