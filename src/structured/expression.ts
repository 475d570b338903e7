/**
 * Texts described by expressions over characters, with named rules: what a regular expression, a list of choices and a
 * grammar have in common. `checkedRules` makes sure that the machine can run them: it rewrites rules that begin with
 * themselves, and refuses what would never come to an end.
 */
import type { Steps } from './cooperative.ts'
import type { CodeRange } from './regex.ts'
import { UnsupportedTextError } from './unsupported.ts'

export type Expression =
  /** One character of these. */
  | { readonly set: readonly CodeRange[] }
  /** One of these texts, each followed by its entry of `after`. */
  | { readonly texts: readonly string[]; readonly after?: readonly Expression[] }
  | { readonly sequence: readonly Expression[] }
  | { readonly either: readonly Expression[] }
  /** `most` may be Infinity. */
  | { readonly repeat: Expression; readonly least: number; readonly most: number }
  | { readonly rule: string }

export interface Rules {
  readonly start: string
  readonly rules: ReadonlyMap<string, Expression>
}

/** The machine drops readings beyond its own limit, so no place may have more that begin alike. */
const MOST_READINGS = 256
const MOST_RULES = 2000

const NOTHING: Expression = { sequence: [] }

/** The elements of an expression that follow each other. */
export const elementsOf = (expression: Expression): readonly Expression[] =>
  'sequence' in expression ? expression.sequence.flatMap(elementsOf) : [expression]

/** Alternatives of which those that begin with a text share one tree of texts, so that they count as one reading. */
export function either(branches: readonly Expression[]): Expression {
  if (branches.length === 1) return branches[0]!
  const texts: string[] = []
  const after: Expression[] = []
  const others: Expression[] = []
  for (const branch of branches) {
    const [first, ...rest] = elementsOf(branch)
    if (first === undefined || !('texts' in first)) {
      others.push(branch)
      continue
    }
    first.texts.forEach((text, i) => {
      texts.push(text)
      after.push({ sequence: [first.after?.[i] ?? NOTHING, ...rest] })
    })
  }
  const tree: Expression[] = texts.length > 0 ? [{ texts, after }] : []
  return others.length === 0 ? tree[0]! : { either: [...tree, ...others] }
}

/** @throws UnsupportedTextError that names the rule */
export function* checkedRules({ start, rules }: Rules): Steps<Rules> {
  if (rules.size > MOST_RULES) throw new UnsupportedTextError(`it has ${rules.size} rules; at most ${MOST_RULES} are supported`)
  if (!rules.has(start)) throw new UnsupportedTextError(`it has no rule "${start}", where every text begins`)
  for (const [name, body] of rules)
    for (const used of references(body))
      if (!rules.has(used)) throw new UnsupportedTextError(`the rule "${name}" uses "${used}", which is not defined`)
  yield
  const direct = new Map([...rules].map(([name, body]) => [name, withoutLeftRecursion(name, body)]))
  const empty = yield* emptyRules(direct)
  const checker = new Checker(direct, empty)
  for (const [name, body] of direct) {
    yield
    checker.first({ rule: name })
    const readings = checker.most(body)
    if (readings > MOST_READINGS)
      throw new UnsupportedTextError(
        `the rule "${name}" can go on in ${readings > 1e6 ? 'too many' : readings} ways at one place; at most ${MOST_READINGS} are supported`,
      )
  }
  return { start, rules: direct }
}

/** The expressions directly inside an expression. */
function parts(expression: Expression): readonly Expression[] {
  if ('sequence' in expression) return expression.sequence
  if ('either' in expression) return expression.either
  if ('texts' in expression) return expression.after ?? []
  return 'repeat' in expression ? [expression.repeat] : []
}

export function* references(expression: Expression): Generator<string> {
  if ('rule' in expression) yield expression.rule
  for (const part of parts(expression)) yield* references(part)
}

/** `a ::= a x | b` allows the texts of `a ::= b x*`, and the machine could not read the first form. */
function withoutLeftRecursion(name: string, body: Expression): Expression {
  const branches = alternativesOf(body)
  const recursive = (branch: Expression) => {
    const first = elementsOf(branch)[0]
    return first !== undefined && 'rule' in first && first.rule === name
  }
  if (!branches.some(recursive)) return body
  const rests = branches
    .filter(recursive)
    .map((branch) => elementsOf(branch).slice(1))
    .filter((rest) => rest.length > 0)
  const first: Expression = { either: branches.filter((branch) => !recursive(branch)) }
  if (rests.length === 0) return first
  return { sequence: [first, { repeat: either(rests.map((sequence) => ({ sequence }))), least: 0, most: Number.POSITIVE_INFINITY }] }
}

function alternativesOf(expression: Expression): readonly Expression[] {
  if ('either' in expression) return expression.either.flatMap(alternativesOf)
  const [only, ...others] = elementsOf(expression)
  return only !== undefined && others.length === 0 && 'either' in only ? alternativesOf(only) : [expression]
}

/** The rules that allow the empty text. */
function* emptyRules(rules: ReadonlyMap<string, Expression>): Steps<ReadonlySet<string>> {
  const empty = new Set<string>()
  for (let before = -1; before < empty.size; ) {
    before = empty.size
    for (const [name, body] of rules) if (!empty.has(name) && isEmptyAllowed(body, empty)) empty.add(name)
    yield
  }
  return empty
}

function isEmptyAllowed(expression: Expression, empty: ReadonlySet<string>): boolean {
  if ('set' in expression) return false
  if ('rule' in expression) return empty.has(expression.rule)
  if ('texts' in expression)
    return expression.texts.some((text, i) => text === '' && isEmptyAllowed(expression.after?.[i] ?? NOTHING, empty))
  if ('sequence' in expression) return expression.sequence.every((part) => isEmptyAllowed(part, empty))
  if ('either' in expression) return expression.either.some((part) => isEmptyAllowed(part, empty))
  return expression.least === 0 || isEmptyAllowed(expression.repeat, empty)
}

/** Counts in how many ways a rule can go on before it reads a character; a rule that comes back to itself has no such number. */
class Checker {
  readonly #rules: ReadonlyMap<string, Expression>
  readonly #empty: ReadonlySet<string>
  readonly #known = new Map<string, number>()
  readonly #open: string[] = []

  constructor(rules: ReadonlyMap<string, Expression>, empty: ReadonlySet<string>) {
    this.#rules = rules
    this.#empty = empty
  }

  /** The most readings at any place of an expression. */
  most(expression: Expression): number {
    return Math.max(this.first(expression), ...parts(expression).map((part) => this.most(part)))
  }

  /** The readings at the start of an expression. */
  first(expression: Expression): number {
    if ('set' in expression) return 1
    if ('rule' in expression) return this.#ofRule(expression.rule)
    const sum = (some: readonly Expression[]) => some.reduce((total, part) => total + this.first(part), 0)
    if ('either' in expression) return sum(expression.either)
    if ('texts' in expression) return 1 + sum((expression.after ?? []).filter((_, i) => expression.texts[i] === ''))
    if ('repeat' in expression) {
      const { repeat, least, most } = expression
      const rounds = isEmptyAllowed(repeat, this.#empty) ? (most === Number.POSITIVE_INFINITY ? least + 1 : most) : 1
      return Math.max(1, rounds) * this.first(repeat)
    }
    const reads = expression.sequence.findIndex((part) => !isEmptyAllowed(part, this.#empty))
    return sum(reads < 0 ? expression.sequence : expression.sequence.slice(0, reads + 1))
  }

  #ofRule(name: string): number {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const from = this.#open.indexOf(name)
    if (from >= 0) {
      const circle = [...this.#open.slice(from), name].join(' -> ')
      throw new UnsupportedTextError(`the rule "${name}" begins with itself (${circle}); write what follows as a repetition`)
    }
    this.#open.push(name)
    const count = this.first(this.#rules.get(name)!)
    this.#open.pop()
    this.#known.set(name, count)
    return count
  }
}
