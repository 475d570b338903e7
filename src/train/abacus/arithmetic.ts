/**
 * Problems of whole numbers and the written working that leads to the answer. High effort: every line needs one fact about
 * single digits, so a small model can follow it. Medium effort: the model finds carries and columns itself.
 * Low effort: no working.
 */
import type { Effort } from '../../chat/messages.ts'
import { integer, type Random } from '../../random/stream.ts'

export type Operation = 'add' | 'subtract' | 'multiply' | 'compare'

export interface Problem {
  operation: Operation
  a: number
  b: number
}

export const SIGN: Record<Operation, string> = { add: '+', subtract: '-', multiply: '*', compare: '?' }

export function evaluate({ operation, a, b }: Problem): number {
  switch (operation) {
    case 'add':
      return a + b
    case 'subtract':
      return a - b
    case 'multiply':
      return a * b
    case 'compare':
      return Math.max(a, b)
  }
}

/** About one problem in eight is never trained on. Depends on the numbers alone, so that every wording of it is unseen. */
export function isHeldOut({ operation, a, b }: Problem): boolean {
  let h = Math.imul(a + 0x51ed, 0x85ebca6b) ^ Math.imul(b + 0x2c1b, 0xc2b2ae35) ^ operation.charCodeAt(0)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  return ((h ^ (h >>> 13)) >>> 0) % 8 === 0
}

/** A number of exactly `digits` digits; 0 counts as one digit. */
export function numberOf(next: Random, digits: number): number {
  return digits === 1 ? integer(next, 0, 9) : integer(next, 10 ** (digits - 1), 10 ** digits - 1)
}

/** The largest operands that the model works out itself. */
export const WORKED_DIGITS = 4

/** Whether the working below covers this problem. */
export function isWorked({ operation, a, b }: Problem): boolean {
  const digits = String(Math.max(a, b)).length
  return operation === 'multiply' ? digits <= 2 : digits <= WORKED_DIGITS
}

/** The working; '' where the effort allows none. */
export function working(problem: Problem, effort: Effort): string {
  if (effort === 'low') return ''
  const { operation, a, b } = problem
  const width = Math.max(String(a).length, String(b).length)
  const pad = (n: number, w = width) => String(n).padStart(w, '0')
  if (effort === 'medium') {
    switch (operation) {
      case 'add':
        return `${a}+${b}:${columns(pad(a), pad(b))
          .map(([x, y]) => `${x}+${y}=${x + y},`)
          .join('')}`
      case 'subtract':
        return `${a}-${b}:${Math.max(a, b)}-${Math.min(a, b)}:${columns(pad(Math.max(a, b)), pad(Math.min(a, b)))
          .map(([x, y]) => `${x}-${y}=${x - y},`)
          .join('')}`
      case 'multiply':
        return `${a}*${b}:${a}*${b % 10}=${a * (b % 10)};${b < 10 ? '' : `${a}*${b - (b % 10)}=${a * (b - (b % 10))};`}`
      case 'compare':
        return `${a}?${b}:${comparison(pad(a), pad(b))};`
    }
  }
  switch (operation) {
    case 'add':
      return addition(pad(a), pad(b))
    case 'subtract':
      return `${pad(a)}-${pad(b)}:${comparison(pad(a), pad(b))};${subtraction(pad(Math.max(a, b)), pad(Math.min(a, b)))}`
    case 'multiply':
      return multiplication(pad(a), pad(b))
    case 'compare':
      return `${pad(a)}?${pad(b)}:${comparison(pad(a), pad(b))};`
  }
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

/** Two numbers of one width, 1 or 2: the two partial products digit by digit, then their sum. */
function multiplication(a: string, b: string): string {
  if (a.length === 1) return `${a}*${b}:${partial(a, b).text}`
  const units = partial(a, b[1]!)
  const tens = partial(a, b[0]!)
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
