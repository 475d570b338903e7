/**
 * The written working that leads to the value of an expression. High effort: every line needs one fact about single digits, so a small
 * model can follow it. Medium effort: the model finds carries and columns itself. Low effort: no working.
 */
import type { Effort } from '../../chat/messages.ts'
import { apply, type Expression, type Operator, reduce, type Step, textOf } from './expression.ts'

/** The largest operands of a step that is worked out. */
export const WORKED_DIGITS = 4
const WORKED_FACTOR_DIGITS = 2

/** Whether the working below covers this step. */
export const isWorkedStep = ({ op, a, b }: Step): boolean =>
  String(Math.max(Math.abs(a), Math.abs(b))).length <= (op === '*' ? WORKED_FACTOR_DIGITS : WORKED_DIGITS)

export interface Working {
  text: string
  /** False where a step has numbers that are too large; the text ends before it. */
  complete: boolean
  /** The steps that were worked out. */
  steps: Step[]
}

/**
 * The working of an expression: the expression, where it has more than one step, then the step and its result, and so on with what remains.
 * "(2+3)*4;2+3:2+3+0=05,=5;5*4:5*4+0=20,=20". At medium effort the last result is left to the answer.
 */
export function workingOf(expression: Expression, effort: Effort): Working {
  const steps: Step[] = []
  let text = ''
  for (let next = reduce(expression), rest = expression; next; rest = next.rest, next = reduce(rest)) {
    if (!isWorkedStep(next.step)) return { text: effort === 'low' ? '' : text, complete: false, steps }
    steps.push(next.step)
    const isLast = typeof next.rest === 'number'
    const { op, a, b } = next.step
    if (!isLast) text += `${textOf(rest)};`
    text += stepWorking(next.step, effort)
    if (effort === 'high' || !isLast) text += `=${apply(op, a, b)}`
    if (!isLast) text += ';'
  }
  return { text: effort === 'low' ? '' : text, complete: true, steps }
}

/** Signs first: "-5+3:3-5:…". */
function stepWorking({ op, a, b }: Step, effort: Effort): string {
  if (a >= 0 && b >= 0) return unsigned(op, a, b, effort)
  const [x, y] = [Math.abs(a), Math.abs(b)]
  const echo = `${a}${op}${b < 0 ? `(${b})` : b}:`
  if (op === '*') return echo + unsigned('*', x, y, effort)
  const added = op === '-' ? -b : b
  if (a < 0 === added < 0) return echo + unsigned('+', x, y, effort)
  return echo + (a < 0 ? unsigned('-', y, x, effort) : unsigned('-', x, y, effort))
}

function unsigned(op: Operator, a: number, b: number, effort: Effort): string {
  const width = Math.max(String(a).length, String(b).length)
  const pad = (n: number, w = width) => String(n).padStart(w, '0')
  const [large, small] = [Math.max(a, b), Math.min(a, b)]
  if (effort === 'medium') {
    const each = (sign: '+' | '-', x: number, y: number) =>
      columns(pad(x), pad(y))
        .map(([p, q]) => `${p}${sign}${q}=${sign === '+' ? p + q : p - q},`)
        .join('')
    if (op === '+') return `${a}+${b}:${each('+', a, b)}`
    if (op === '-') return `${a}-${b}:${large}-${small}:${each('-', large, small)}`
    return `${a}*${b}:${a}*${b % 10}=${a * (b % 10)};${b < 10 ? '' : `${a}*${b - (b % 10)}=${a * (b - (b % 10))};`}`
  }
  if (op === '+') return addition(pad(a), pad(b))
  if (op === '-') return `${pad(a)}-${pad(b)}:${comparison(pad(a), pad(b))};${subtraction(pad(large), pad(small))}`
  return multiplication(a, b)
}

/** Which of two numbers is larger: "47?85:4<8;". */
export function comparing(a: number, b: number, effort: Effort): string {
  if (effort === 'low') return ''
  const width = Math.max(String(a).length, String(b).length)
  const pad = (n: number) => String(n).padStart(width, '0')
  return `${effort === 'medium' ? `${a}?${b}` : `${pad(a)}?${pad(b)}`}:${comparison(pad(a), pad(b))};`
}

/** Pairs of digits, units first. */
function columns(a: string, b: string): [number, number][] {
  return Array.from(a, (_, i) => [Number(a[a.length - 1 - i]), Number(b[b.length - 1 - i])])
}

/** "47+85:7+5+0=12,4+8+1=13,": the third summand is the carry. */
function addition(a: string, b: string): string {
  let carry = 0
  let text = `${a}+${b}:`
  for (const [x, y] of columns(a, b)) {
    const sum = x + y + carry
    text += `${x}+${y}+${carry}=${String(sum).padStart(2, '0')},`
    carry = sum >= 10 ? 1 : 0
  }
  return text
}

/** "85-47:5-7-1=7b8-4-1=3,": b marks that ten was borrowed. a >= b. */
function subtraction(a: string, b: string): string {
  let borrow = 0
  let text = `${a}-${b}:`
  for (const [x, y] of columns(a, b)) {
    const difference = x - y - borrow
    const next = difference < 0 ? 1 : 0
    text += `${x}-${y}-${borrow}=${difference + 10 * next}${next ? 'b' : ','}`
    borrow = next
  }
  return text
}

/** "4=4,7<8": digits from the left until they differ. */
function comparison(a: string, b: string): string {
  const parts: string[] = []
  for (let i = 0; i < a.length; i++) {
    parts.push(`${a[i]}${a[i]! < b[i]! ? '<' : a[i]! > b[i]! ? '>' : '='}${b[i]}`)
    if (a[i] !== b[i]) break
  }
  return parts.join(',')
}

/** By one digit: digit by digit. Of two numbers of two digits: the two partial products, then their sum. */
function multiplication(a: number, b: number): string {
  if (b < 10) return `${a}*${b}:${partial(String(a), String(b)).text}`
  if (a < 10) return `${a}*${b}:${partial(String(b), String(a)).text}`
  const [tensDigit, unitsDigit] = String(b) as unknown as [string, string]
  const [units, tens] = [partial(String(a), unitsDigit), partial(String(a), tensDigit)]
  const first = units.product.padStart(4, '0')
  const second = `${tens.product}0`.padStart(4, '0')
  return `${a}*${b}:${units.text}=${first};${tens.text}=${second};${addition(first, second)}`
}

/** "7*5+0=35,4*5+3=23,": a times one digit, units first, with carries. */
function partial(a: string, digit: string): { text: string; product: string } {
  let carry = 0
  let text = ''
  for (let i = a.length - 1; i >= 0; i--) {
    const value = Number(a[i]) * Number(digit) + carry
    text += `${a[i]}*${digit}+${carry}=${String(value).padStart(2, '0')},`
    carry = Math.floor(value / 10)
  }
  return { text, product: String(Number(a) * Number(digit)) }
}
