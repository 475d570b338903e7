/** A regular expression as an Expression: what a whole text matches, without looking ahead. */
import { type Expression, either, elementsOf } from './expression.ts'
import { type CodeRange, parseRegex, type Regex } from './regex.ts'

/** @param dotAll `.` matches line breaks too. @throws SyntaxError on what is not supported */
export const regexExpression = (regex: string, dotAll = false): Expression =>
  withoutAssertions(
    parseRegex(dotAll ? regex.replace(/\\.|\[(?:\\.|[^\]\\])*\]|\./gs, (part) => (part === '.' ? '[^]' : part)) : regex, 'whole'),
  )

function withoutAssertions(regex: Regex): Expression {
  if ('set' in regex) return regex
  if ('sequence' in regex) return { sequence: regex.sequence.map(withoutAssertions) }
  if ('either' in regex) return either(regex.either.map((branch) => spelled(withoutAssertions(branch))))
  if ('repeat' in regex) return { ...regex, repeat: withoutAssertions(regex.repeat) }
  throw new SyntaxError(`${'ahead' in regex ? 'lookaround' : "'^' or '$' elsewhere than at the ends"} is not supported here`)
}

/** With the characters at the start as a text, so that many alternatives share one tree. */
function spelled(expression: Expression): Expression {
  const elements = elementsOf(expression)
  const codes: number[] = []
  for (const element of elements) {
    const [range, ...others] = 'set' in element ? element.set : []
    if (range === undefined || others.length > 0 || range[0] !== range[1]) break
    codes.push(range[0])
  }
  if (codes.length === 0) return expression
  return { sequence: [{ texts: [String.fromCodePoint(...codes)] }, ...elements.slice(codes.length)] }
}

/** An expression with other characters. `text` stands for one of its texts, `set` for one of its characters. */
export function respelled(
  expression: Expression,
  text: (text: string) => Expression,
  set: (set: readonly CodeRange[]) => Expression,
): Expression {
  const inner = (part: Expression) => respelled(part, text, set)
  if ('set' in expression) return set(expression.set)
  if ('sequence' in expression) return { sequence: expression.sequence.map(inner) }
  if ('either' in expression) return either(expression.either.map(inner))
  if ('repeat' in expression) return { ...expression, repeat: inner(expression.repeat) }
  if ('rule' in expression) return expression
  const { texts, after } = expression
  return either(texts.map((each, i) => ({ sequence: [text(each), ...(after ? [inner(after[i]!)] : [])] })))
}

/** Longest range whose characters are looked at one by one. */
const MOST_CASES = 4096

/** The same texts in small and capital letters. */
export const ignoringCase = (expression: Expression): Expression => {
  const set = (ranges: readonly CodeRange[]): Expression => ({ set: [...ranges, ...ranges.flatMap(otherCases)] })
  return respelled(
    expression,
    (text) => ({ sequence: [...text].map((letter) => set([[letter.codePointAt(0)!, letter.codePointAt(0)!]])) }),
    set,
  )
}

function otherCases([first, last]: CodeRange): CodeRange[] {
  const cases: CodeRange[] = []
  for (let code = first; code <= Math.min(last, first + MOST_CASES); code++) {
    const letter = String.fromCodePoint(code)
    for (const other of [letter.toLowerCase(), letter.toUpperCase()]) {
      const [only, ...more] = other
      if (other !== letter && more.length === 0) cases.push([only!.codePointAt(0)!, only!.codePointAt(0)!])
    }
  }
  return cases
}
