/** What an automaton for JSON numbers is: number.ts and number-steps.ts implement it. */
import type { Decimal } from './decimal.ts'

export interface NumberAutomaton {
  readonly name: string
  readonly start: NumberState
  /** Whether the characters read so far are a complete number. */
  canEnd(state: NumberState): boolean
  /** The state after a character; undefined when the character is not allowed. */
  next(state: NumberState, character: string): NumberState | undefined
  /** Fewest characters that complete the number; Infinity when none do. */
  distance(state: NumberState): number
}

/** A state is a text, equal for all prefixes that may continue alike. */
export type NumberState = string

/** How far a number was read. */
export type NumberPhase = 'start' | 'minus' | 'zero' | 'whole' | 'point' | 'fraction'

/** One end of the allowed interval. */
export interface End {
  readonly at: Decimal
  readonly exclusive: boolean
}

/** Digits of the largest whole part of a finite double. A longer run of digits never ends, so no value is cut. */
export const MOST_WHOLE_DIGITS = 308
/** The state of a number that is too large for a double. */
export const TOO_LARGE = 'too large'
/**
 * Characters that a number too large for a double pretends to need. So it may begin while many tokens are left,
 * and its text is cut off incomplete, instead of the number being cut; near the end of the budget it may not.
 */
export const TOO_LARGE_DISTANCE = 256
