/**
 * The symbols of a grammar. A stack of items says what must still come in the text. An item is
 * either a choice between sequences of items, or it reads bytes. Items are built on demand and
 * interned: equal items are one object, so facts about an item (the tokens that it allows, the
 * bytes that complete it) are computed once.
 */
import type { ByteAutomaton } from './pattern.ts'

/** Items in the order in which they must come. */
export type Sequence = readonly Item[]

export interface Item {
  readonly id: number
  /** The sequences that may replace this item; undefined for an item that reads bytes. */
  readonly alternatives: (() => readonly Sequence[]) | undefined
  /** The items that replace this one after it read `byte`; undefined when the byte is not allowed. */
  readonly next: (byte: number) => Sequence | undefined
  /** Length in bytes of the shortest text of this item; Infinity until it is known. */
  readonly cost: () => number
  /** For an item between two characters of a plain string: how many more characters are required and allowed. */
  readonly string: { readonly least: number; readonly most: number } | undefined
  /** For an item inside a string with a `pattern`: its automaton and state. */
  readonly pattern: { readonly automaton: ByteAutomaton; readonly position: number } | undefined
  /** The items whose tokens are allowed here, for an item that remembers its text; see distinct.ts. */
  readonly shown?: Sequence | undefined
  /** An item that allows the same tokens and costs the same, as long as no token is longer than ALIKE_BYTES. */
  readonly alike?: Item
}

/** Few vocabularies have longer tokens. */
export const ALIKE_BYTES = 256

export type Draft = Omit<Item, 'id'>

export const noBytes = () => 0
export const oneByte = () => 1

export function choice(alternatives: () => readonly Sequence[], cost: () => number): Draft {
  let known: readonly Sequence[] | undefined
  return { alternatives: () => (known ??= alternatives()), next: () => undefined, cost, string: undefined, pattern: undefined }
}

export function reader(next: (byte: number) => Sequence | undefined, cost: () => number): Draft {
  return { alternatives: undefined, next, cost, string: undefined, pattern: undefined }
}

export function costOfSequence(sequence: Sequence): number {
  return sequence.reduce((sum, item) => sum + item.cost(), 0)
}
