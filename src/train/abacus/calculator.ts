/**
 * The calculator that is offered to the embedded model: whole numbers of any size, + - * and parentheses.
 * A model writes the expression, so it is parsed and never evaluated as code.
 */
import type { Tool } from '../../chat/messages.ts'
import { CALCULATOR } from './dialogues.ts'

/** Value of an expression. Throws SyntaxError with the place that is not understood. */
export function calculate(expression: string): bigint {
  const text = expression.replace(/\s+/g, '')
  let at = 0
  const refuse = (): never => {
    throw new SyntaxError(
      `expected whole numbers, + - * and parentheses; not understood: "${text.slice(at, at + 20)}" in "${text.slice(0, 200)}"`,
    )
  }
  const sum = (): bigint => {
    let value = product()
    while (text[at] === '+' || text[at] === '-') {
      const minus = text[at++] === '-'
      const next = product()
      value = minus ? value - next : value + next
    }
    return value
  }
  const product = (): bigint => {
    let value = factor()
    while (text[at] === '*' || text[at] === '×') {
      at++
      value *= factor()
    }
    return value
  }
  const factor = (): bigint => {
    if (text[at] === '-') {
      at++
      return -factor()
    }
    if (text[at] === '(') {
      at++
      const value = sum()
      if (text[at++] !== ')') refuse()
      return value
    }
    const digits = /^\d{1,200}/.exec(text.slice(at, at + 200))?.[0]
    if (digits === undefined) return refuse()
    at += digits.length
    return BigInt(digits)
  }
  if (text.length > 1000) throw new SyntaxError('the expression is longer than 1,000 characters')
  const value = sum()
  if (at < text.length) refuse()
  return value
}

export const calculatorTool: Tool = {
  ...CALCULATOR,
  execute(args) {
    const { expression } = (args ?? {}) as { expression?: unknown }
    if (typeof expression !== 'string') throw new TypeError('expected {"expression": "…"}')
    return String(calculate(expression))
  },
}
