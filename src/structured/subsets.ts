/**
 * The subset construction: nfa.ts to a deterministic table. A reading of the text carries the lookaheads
 * that the rest of the text must still satisfy, so they need no backtracking. Size and work are limited.
 */
import type { Steps } from './cooperative.ts'
import type { Nfa } from './nfa.ts'

/** A budget for building automata, shared by the patterns of one schema. One unit is one transition examined. */
export interface PatternWork {
  remaining: number
}

/** The budget of one schema: less than a second of work in total. */
export const patternWork = (): PatternWork => ({ remaining: MOST_WORK })

const MOST_WORK = 80_000_000
/** Units between two pauses: about a millisecond. */
const WORK_OF_STEP = 100_000
/** Units for building, pruning and copying a state. */
const WORK_OF_ROW = 1000
/** Rows of the table between two pauses. */
const ROWS_OF_STEP = 128
/** Units for building and visiting a state of the nondeterministic automaton. */
const WORK_OF_STATE = 400
/** Units for carrying a lookahead on. */
const WORK_OF_DUTY = 100
const MOST_STATES = 30_000
export interface Table {
  readonly classes: Uint8Array
  readonly width: number
  readonly next: Int32Array
  readonly accepts: Uint8Array
  readonly distance: Int32Array
  /** Whether a state is between two characters. */
  readonly between: Uint8Array
}

export function spend(work: PatternWork, units: number): void {
  work.remaining -= units
  if (work.remaining < 0) throw new RangeError('the patterns of this schema cost too much together; use fewer or simpler ones')
}

/** A reading of the text: a state of the automaton, and what the rest of the text must satisfy besides. */
interface Thread {
  readonly state: number
  readonly duties: readonly Duty[]
  /** Whether nothing may follow. */
  readonly ended: boolean
}

/** What the rest of the text must satisfy, or must not. Equal duties are one object. */
interface Duty {
  readonly id: number
  readonly threads: readonly number[]
  readonly last: number
  readonly negated: boolean
  /** [classes] what is left of the duty after a byte; unknown until it is asked for. */
  after: DutyLeft[] | undefined
}

type DutyLeft = Duty | 'done' | 'failed'

/** The threads of one automaton. The number of a thread without duties is its state. */
class Threads {
  readonly #nfa: Nfa
  readonly #classes: Classes
  readonly #work: PatternWork
  readonly #others: Thread[] = []
  readonly #numbers = new Map<string, number>()
  readonly #duties = new Map<string, Duty>()

  constructor(nfa: Nfa, classes: Classes, work: PatternWork) {
    this.#nfa = nfa
    this.#classes = classes
    this.#work = work
  }

  get(thread: number): Thread {
    return this.#others[thread - this.#nfa.free.length] ?? { state: thread, duties: NO_DUTIES, ended: false }
  }

  #number(state: number, duties: readonly Duty[], ended: boolean): number {
    if (duties.length === 0 && !ended) return state
    spend(this.#work, WORK_OF_DUTY * (1 + duties.length))
    const sorted = [...new Set(duties)].sort((a, b) => a.id - b.id)
    const key = `${state} ${ended} ${sorted.map(({ id }) => id).join()}`
    let number = this.#numbers.get(key)
    if (number === undefined) {
      number = this.#nfa.free.length + this.#others.push({ state, duties: sorted, ended }) - 1
      this.#numbers.set(key, number)
    }
    return number
  }

  #duty(threads: readonly number[], last: number, negated: boolean): DutyLeft {
    const isMet = threads.includes(last) // `last` accepts every rest
    if (isMet || threads.length === 0) return isMet === negated ? 'failed' : 'done'
    const key = `${last} ${negated} ${threads.join()}`
    let duty = this.#duties.get(key)
    if (duty === undefined) this.#duties.set(key, (duty = { id: this.#duties.size, threads, last, negated, after: undefined }))
    return duty
  }

  /** Adds everything that is reached without reading. Sorted. */
  closure(threads: readonly number[], atStart: boolean): number[] {
    const seen = new Set(threads)
    for (const number of seen) {
      const { state, duties, ended } = this.get(number)
      for (const to of this.#nfa.free[state]!) seen.add(this.#number(to, duties, ended))
      for (const { to, that } of this.#nfa.conditions[state] ?? []) {
        if (that === 'start') {
          if (atStart) seen.add(this.#number(to, duties, ended))
        } else if (that === 'end') seen.add(this.#number(to, duties, true))
        else {
          const left = this.#duty(this.closure([that.first], atStart), that.last, that.negated)
          if (left !== 'failed') seen.add(this.#number(to, left === 'done' ? duties : [...duties, left], ended))
        }
      }
    }
    return [...seen].sort((a, b) => a - b)
  }

  /** [classes] the threads after a byte of each class, without what is reached for free. */
  step(threads: readonly number[]): number[][] {
    const targets: number[][] = []
    for (const number of threads) {
      const { state, duties, ended } = this.get(number)
      if (ended) continue
      for (const [first, last, to] of this.#classes.moves[state]!)
        for (let column = first; column <= last; column++) {
          const after = duties.length === 0 ? to : this.#carried(to, duties, column)
          if (after !== undefined) (targets[column] ??= []).push(after)
        }
    }
    return targets
  }

  /** The thread at a state after a byte under duties; undefined when one of them fails. */
  #carried(to: number, duties: readonly Duty[], column: number): number | undefined {
    const open: Duty[] = []
    for (const duty of duties) {
      duty.after ??= this.#afterEach(duty)
      const left = duty.after[column]!
      if (left === 'failed') return undefined
      if (left !== 'done') open.push(left)
    }
    return this.#number(to, open, false)
  }

  #afterEach({ threads, last, negated }: Duty): DutyLeft[] {
    const targets = this.step(threads)
    return Array.from({ length: this.#classes.width }, (_, column) => this.#duty(this.closure(targets[column] ?? [], false), last, negated))
  }

  accepts(threads: readonly number[], last: number): boolean {
    return threads.some((number) => {
      const { state, duties } = this.get(number)
      return state === last && duties.every((duty) => this.accepts(duty.threads, duty.last) !== duty.negated)
    })
  }
}

/** Rules that no string satisfies. */
export class NoStringError extends RangeError {
  override name = 'NoStringError'
}

const NO_DUTIES: readonly Duty[] = []

/** Bytes that no transition distinguishes. */
interface Classes {
  readonly of: Uint8Array
  readonly width: number
  /** Transitions by class. */
  readonly moves: readonly (readonly [number, number, number][])[]
}

function classesOf(nfa: Nfa): Classes {
  const edges = new Uint8Array(257)
  for (const moves of nfa.moves)
    for (const [first, last] of moves) {
      edges[first] = 1
      edges[last + 1] = 1
    }
  const of = new Uint8Array(256)
  for (let byte = 1; byte < 256; byte++) of[byte] = of[byte - 1]! + edges[byte]!
  return { of, width: of[255]! + 1, moves: nfa.moves.map((moves) => moves.map(([first, last, to]) => [of[first]!, of[last]!, to])) }
}

type Raw = Omit<Table, 'next' | 'distance'> & { readonly rows: Int32Array[] }

/**
 * The deterministic automaton of a nondeterministic one.
 * @throws RangeError when it is too large or accepts nothing, or when the budget is used up
 */
export function* determinize(nfa: Nfa, start: number, end: number, work: PatternWork): Steps<Table> {
  spend(work, WORK_OF_STATE * nfa.free.length)
  return yield* pruned(yield* subsets(nfa, start, end, work))
}

function* subsets(nfa: Nfa, start: number, end: number, work: PatternWork): Steps<Raw> {
  const classes = classesOf(nfa)
  const threads = new Threads(nfa, classes, work)
  const known = new Map<string, number>()
  const sets: number[][] = []
  const enter = (set: number[]): number => {
    const key = set.join()
    let id = known.get(key)
    if (id === undefined) {
      if (sets.length >= MOST_STATES)
        throw new RangeError(`a pattern of this size is not supported (its automaton has more than ${MOST_STATES} states)`)
      id = sets.push(set) - 1
      known.set(key, id)
    }
    return id
  }
  const rows: Int32Array[] = []
  const accepts: number[] = []
  const between: number[] = []
  enter(threads.closure([start], true))
  let pauseAt = work.remaining
  for (let id = 0; id < sets.length; id++) {
    const set = sets[id]!
    const row = new Int32Array(classes.width).fill(-1)
    rows.push(row)
    accepts.push(threads.accepts(set, end) ? 1 : 0)
    between.push(nfa.between[threads.get(set[0]!).state] ? 1 : 0)
    spend(work, WORK_OF_ROW)
    for (const [column, targets] of threads.step(set).entries()) {
      if (targets === undefined) continue
      if (work.remaining < pauseAt) {
        pauseAt = work.remaining - WORK_OF_STEP
        yield
      }
      const reached = threads.closure(targets, false)
      spend(work, 30 * reached.length + 5 * targets.length) // to sort, join and look up
      row[column] = enter(reached)
    }
  }
  return { classes: classes.of, width: classes.width, rows, accepts: Uint8Array.from(accepts), between: Uint8Array.from(between) }
}

/** Removes the transitions to states from which no text is accepted. */
function* pruned({ rows, accepts, between, classes, width }: Raw): Steps<Table> {
  const before: number[][] = rows.map(() => [])
  for (const [from, row] of rows.entries()) {
    if (from % ROWS_OF_STEP === 0) yield
    for (const to of new Set(row)) if (to !== -1) before[to]!.push(from)
  }
  const distance = new Int32Array(rows.length).fill(-1)
  const queue: number[] = []
  accepts.forEach((accepting, id) => {
    if (!accepting) return
    distance[id] = 0
    queue.push(id)
  })
  for (const to of queue)
    for (const from of before[to]!) {
      if (distance[from] !== -1) continue
      distance[from] = distance[to]! + 1
      queue.push(from)
    }
  if (distance[0] === -1) throw new NoStringError('no string matches the pattern')
  const next = new Int32Array(rows.length * width).fill(-1)
  for (const [from, row] of rows.entries()) {
    if (from % ROWS_OF_STEP === 0) yield
    for (let column = 0; column < width; column++) {
      const to = row[column]!
      if (to !== -1 && distance[to] !== -1) next[from * width + column] = to
    }
  }
  return { classes, width, next, accepts, distance, between }
}
