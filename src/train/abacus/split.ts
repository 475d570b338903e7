/**
 * What is held out: about one in eight of the pairs and of the triples of numbers, whatever is done with them and in whichever order.
 * Pairs and triples of single digits are never held out: they are the facts of which every working consists. `leakIn` reads a text as it
 * is trained on, without knowing how it was made.
 */
import { type Expression, operands, stepsOf } from './expression.ts'
import { NUMBER_WORDS } from './number-words.ts'

/** Two or three numbers; signs and order do not count. */
export function isHeldOut(numbers: readonly number[]): boolean {
  if (numbers.length < 2 || numbers.length > 3) return false
  const sorted = numbers.map(Math.abs).sort((a, b) => a - b)
  if (sorted.at(-1)! < 10) return false
  let h = 0x51ed270b ^ sorted.length
  for (const n of sorted) {
    h = Math.imul(h ^ (n % 0x7fffffff), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
    h ^= h >>> 13
  }
  return (h >>> 0) % 8 === 0
}

/** The neighbours in a row of numbers that are held out; null: none. */
export function heldOutAmong(numbers: readonly number[]): number[] | null {
  for (let i = 0; i + 1 < numbers.length; i++)
    for (const length of [2, 3]) {
      const some = numbers.slice(i, i + length)
      if (some.length === length && isHeldOut(some)) return some
    }
  return null
}

/** Whether an expression or one of the steps to its value is held out. */
export const hasHeldOut = (expression: Expression): boolean =>
  heldOutAmong(operands(expression)) !== null || stepsOf(expression).some(({ a, b }) => isHeldOut([a, b]))

const WORDS = new RegExp([...NUMBER_WORDS.keys()].sort((a, b) => b.length - a.length).join('|'), 'gi')

/**
 * Numbers of a text that are neighbours and held out; null: none. Number words count as numbers.
 * @param clauses numbers are neighbours only within a clause: for workings, where the result of one line stands beside the next line
 */
export function leakIn(text: string, clauses: boolean): number[] | null {
  const inDigits = text.replace(WORDS, (word) => ` ${NUMBER_WORDS.get(word.toLowerCase())} `)
  for (const form of inDigits === text ? [text] : [text, inDigits])
    for (const part of clauses ? form.split(/[=:;,b]/) : [form]) {
      const found = heldOutAmong((part.match(/\d+/g) ?? []).map(Number))
      if (found) return found
    }
  return null
}
