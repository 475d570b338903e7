/**
 * Runs a grammar over bytes: a pushdown automaton with several stacks at once where a schema leaves several readings open. Stacks
 * are shared linked cells, sets of stacks are interned, and the step from one set by one byte is remembered, so that the parts that
 * repeat (the inside of a string, the end of a value) run as a finite automaton.
 */
import type { Item, Sequence } from './item.ts'

/** A stack: its top item and what is below. The bottom has no item. */
export interface Cell {
  readonly item: Item | undefined
  readonly below: Cell | undefined
  readonly above: Map<Item, Cell>
  /** Serial number, for interning sets. */
  readonly serial: number
  /** Bytes of the shortest text that empties the stack. */
  cost: number
}

/** What may come next: stacks whose top items read, and whether everything may be over. */
export interface State {
  readonly stacks: readonly Cell[]
  readonly isEnd: boolean
  /** By byte; undefined where it isn't known yet. */
  readonly next: (State | null | undefined)[]
  /** Bytes of the shortest completion. */
  readonly cost: number
}

/** More readings than this at once are cut off: less is allowed then, nothing invalid. */
const mostStacks = 256
/** Remembered sets; beyond that the memory starts anew. */
const mostStates = 20_000

/** Shared by all machines, so that a text may go on while its grammar gets a new one. */
let serial = 0

export class Machine {
  /** The empty stack, above which everything is built. */
  readonly bottom: Cell
  #cells = 0
  #states = new Map<string, State>()

  constructor() {
    this.bottom = { item: undefined, below: undefined, above: new Map(), serial: serial++, cost: 0 }
  }

  /** How many stacks it remembers. */
  get size(): number {
    return this.#cells
  }

  /** The state in which these items must come. */
  start(sequence: Sequence, below: Cell = this.bottom): State {
    return this.#settle([this.#push(sequence, below)])
  }

  /** The state after a byte, or null when it may not come. */
  step(state: State, byte: number): State | null {
    const known = state.next[byte]
    if (known !== undefined) return known
    const cells: Cell[] = []
    for (const { item, below } of state.stacks) {
      const sequence = item!.next(byte)
      if (sequence !== undefined) cells.push(this.#push(sequence, below!))
    }
    const next = cells.length === 0 ? null : this.#settle(cells)
    state.next[byte] = next
    return next
  }

  #push(sequence: Sequence, below: Cell): Cell {
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

  /** Replaces items that stand for others until every top item reads. */
  #settle(cells: readonly Cell[]): State {
    const seen = new Set<Cell>()
    const stacks: Cell[] = []
    let isEnd = false
    const open = [...cells].reverse()
    for (let cell = open.pop(); cell !== undefined; cell = open.pop()) {
      if (seen.has(cell)) continue
      seen.add(cell)
      if (cell.item === undefined) isEnd = true
      else if (cell.item.alternatives === undefined) {
        if (stacks.length < mostStacks) stacks.push(cell)
      } else {
        const alternatives = cell.item.alternatives()
        for (let i = alternatives.length - 1; i >= 0; i--) open.push(this.#push(alternatives[i]!, cell.below!))
      }
    }
    stacks.sort((a, b) => a.serial - b.serial)
    const name = stacks.map((cell) => cell.serial).join() + (isEnd ? '!' : '')
    let state = this.#states.get(name)
    if (state === undefined) {
      if (this.#states.size >= mostStates) this.#states = new Map()
      const cost = isEnd ? 0 : Math.min(...stacks.map((cell) => cell.cost))
      state = { stacks, isEnd, next: [], cost }
      this.#states.set(name, state)
    }
    return state
  }
}
