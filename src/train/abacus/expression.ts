/**
 * Expressions of whole numbers with + - * and parentheses: their value, their text, and the steps in which they are worked out.
 * A step combines two numbers; products come before sums, otherwise from left to right.
 */
import { integer, pick, type Random } from '../../random/stream.ts'

export type Operator = '+' | '-' | '*'
/** A number, which may be negative, or two expressions combined. */
export type Expression = number | { op: Operator; left: Expression; right: Expression }

/** Two numbers combined. */
export interface Step {
  op: Operator
  a: number
  b: number
}

export const combine = (op: Operator, left: Expression, right: Expression): Expression => ({ op, left, right })

export const apply = (op: Operator, a: number, b: number): number => (op === '+' ? a + b : op === '-' ? a - b : a * b)

/** The value, which may not fit into a double. */
export function exactValue(expression: Expression): bigint {
  if (typeof expression === 'number') return BigInt(expression)
  const [a, b] = [exactValue(expression.left), exactValue(expression.right)]
  return expression.op === '+' ? a + b : expression.op === '-' ? a - b : a * b
}

/** The numbers from left to right. */
export const operands = (expression: Expression): number[] =>
  typeof expression === 'number' ? [expression] : [...operands(expression.left), ...operands(expression.right)]

export interface Spelling {
  sign: Record<Operator, string>
  /** Between number and sign. */
  space: string
  number: (n: number) => string
  /** Before a negative number. */
  negative: string
  /** A negative number after a sign stands without parentheses. */
  bare: boolean
}
export const PLAIN: Spelling = { sign: { '+': '+', '-': '-', '*': '*' }, space: '', number: String, negative: '-', bare: false }

/** Text with the parentheses that are needed. */
export function textOf(expression: Expression, spelling: Spelling = PLAIN): string {
  const write = (part: Expression, parent: Operator | null, isRight: boolean): string => {
    if (typeof part === 'number') {
      const text = `${part < 0 ? spelling.negative : ''}${spelling.number(Math.abs(part))}`
      return part < 0 && isRight && !spelling.bare ? `(${text})` : text
    }
    const { op, left, right } = part
    const text = `${write(left, op, false)}${spelling.space}${spelling.sign[op]}${spelling.space}${write(right, op, true)}`
    return parent !== null && op !== '*' && (parent === '*' || isRight)
      ? `(${text})`
      : op === '*' && isRight && parent === '*'
        ? `(${text})`
        : text
  }
  return write(expression, null, false)
}

/** The step that is worked out next, and what remains after it. */
export function reduce(expression: Expression): { step: Step; rest: Expression } | null {
  if (typeof expression === 'number') return null
  const { op, left, right } = expression
  for (const side of ['left', 'right'] as const) {
    const inner = reduce(expression[side])
    if (inner) return { step: inner.step, rest: side === 'left' ? combine(op, inner.rest, right) : combine(op, left, inner.rest) }
  }
  const step = { op, a: left as number, b: right as number }
  return { step, rest: apply(op, step.a, step.b) }
}

/** All steps in order. */
export function stepsOf(expression: Expression): Step[] {
  const steps: Step[] = []
  for (let next = reduce(expression); next; next = reduce(next.rest)) steps.push(next.step)
  return steps
}

/** A number of exactly `digits` digits; 0 counts as one digit. */
export const numberOf = (next: Random, digits: number): number =>
  digits === 1 ? integer(next, 0, 9) : integer(next, 10 ** (digits - 1), 10 ** digits - 1)

/** Sums and differences of these numbers, from left to right. */
export const chain = (numbers: readonly number[], ops: readonly Operator[]): Expression =>
  numbers.slice(1).reduce<Expression>((left, n, i) => combine(ops[i]!, left, n), numbers[0]!)

/** The forms that have parentheses or a product beside a sum. */
export const MIXED: readonly ((a: Expression, b: Expression, c: Expression, sign: '+' | '-') => Expression)[] = [
  (a, b, c, sign) => combine('*', combine(sign, a, b), c),
  (a, b, c, sign) => combine('*', a, combine(sign, b, c)),
  (a, b, c, sign) => combine(sign, combine('*', a, b), c),
  (a, b, c, sign) => combine(sign, a, combine('*', b, c)),
  (a, b, c, sign) => combine('-', a, combine(sign, b, c)),
]

export const drawSign = (next: Random): '+' | '-' => pick(next, ['+', '+', '-'] as const)
