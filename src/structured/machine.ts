/**
 * Runs a grammar over bytes: a nondeterministic pushdown automaton. It keeps one stack for every
 * possible reading of the text. Stacks are linked cells that share their lower parts. Sets of stacks
 * are interned and transitions are cached, so repeated parts (the inside of a string, the end of a
 * value) run as a finite automaton.
 */
import type { Item, Sequence } from './item.ts'

/** A stack: its top item and the stack below. The bottom has no item. */
export interface Cell {
  readonly item: Item | undefined
  readonly below: Cell | undefined
  readonly above: Map<Item, Cell>
  /** Serial number, for interning sets. */
  readonly serial: number
  /** Bytes of the shortest text that empties the stack. */
  cost: number
}

/** A set of stacks whose top items all read bytes, and whether the text may end here. */
export interface State {
  readonly stacks: readonly Cell[]
  readonly isEnd: boolean
  /** Next state by byte: null if the byte is not allowed, undefined if not computed yet. */
  readonly next: (State | null | undefined)[]
  /** Length in bytes of the shortest completion. */
  readonly cost: number
}

/**
 * Further readings are dropped. Then fewer texts are allowed, but no invalid one. It is twice the number of alternatives
 * that a schema or a grammar may have at one place, because each of them may go on with or without a blank.
 */
const MOST_STACKS = 512
/** Cached sets of stacks; the cache is cleared when it is full. */
const MOST_STATES = 20_000

/** Shared by all machines, because a text may continue after its grammar got a new machine. */
let serial = 0

export class Machine {
  /** The empty stack, above which everything is built. */
  readonly bottom: Cell
  #cells = 0
  #states = new Map<string, State>()

  constructor() {
    this.bottom = { item: undefined, below: undefined, above: new Map(), serial: serial++, cost: 0 }
  }

  /** Number of cached cells. */
  get size(): number {
    return this.#cells
  }

  /** The state that expects these items. */
  start(sequence: Sequence, below: Cell = this.bottom): State {
    return this.#settle([this.push(sequence, below)])
  }

  /** The state after a byte, or null when the byte is not allowed. */
  step(state: State, byte: number): State | null {
    const known = state.next[byte]
    if (known !== undefined) return known
    const cells: Cell[] = []
    for (const { item, below } of state.stacks) {
      const sequence = item!.next(byte)
      if (sequence !== undefined) cells.push(this.push(sequence, below!))
    }
    const next = cells.length === 0 ? null : this.#settle(cells)
    state.next[byte] = next
    return next
  }

  /** A stack with more items on top. */
  push(sequence: Sequence, below: Cell): Cell {
    let cell = below
    for (let i = sequence.length - 1; i >= 0; i--) {
      const item = sequence[i]!
      let above = cell.above.get(item)
      if (above === undefined) {
        above = { item, below: cell, above: new Map(), serial: serial++, cost: cell.cost + item.cost() }
        this.#cells++
        cell.above.set(item, above)
      }
      cell = above
    }
    return cell
  }

  /** Expands choices until every top item reads bytes. */
  #settle(cells: readonly Cell[]): State {
    const seen = new Set<Cell>()
    const stacks: Cell[] = []
    let isEnd = cells.some(({ item }) => item === undefined)
    const open = [...cells].reverse()
    for (let cell = open.pop(); cell !== undefined && stacks.length < MOST_STACKS; cell = open.pop()) {
      if (seen.has(cell)) continue
      seen.add(cell)
      if (cell.item === undefined) isEnd = true
      else if (cell.item.alternatives === undefined) stacks.push(cell)
      else {
        const alternatives = cell.item.alternatives()
        for (let i = alternatives.length - 1; i >= 0; i--) open.push(this.push(alternatives[i]!, cell.below!))
      }
    }
    stacks.sort((a, b) => a.serial - b.serial)
    const name = stacks.map((cell) => cell.serial).join() + (isEnd ? '!' : '')
    let state = this.#states.get(name)
    if (state === undefined) {
      if (this.#states.size >= MOST_STATES) this.#states = new Map()
      const cost = isEnd ? 0 : Math.min(...stacks.map((cell) => cell.cost))
      state = { stacks, isEnd, next: [], cost }
      this.#states.set(name, state)
    }
    return state
  }
}
