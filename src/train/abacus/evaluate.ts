/**
 * Measures the embedded model on held-out problems: accuracy and length of the reasoning per kind of problem and effort,
 * and the calls of the calculator. The caller provides the function that asks. Intervals: Wilson 1927, 95 %.
 */
import type { Effort } from '../../chat/messages.ts'
import { isObject } from '../../json/json.ts'
import { wilson } from '../../numbers/statistics.ts'
import { mixSeeds } from '../../random/hash.ts'
import { pick, random } from '../../random/stream.ts'
import { distinct } from '../data/tasks.ts'
import { evaluate, isHeldOut, type Operation, type Problem, SIGN } from './arithmetic.ts'
import { drawProblem } from './dialogues.ts'

export interface Answer {
  text: string
  reasoningTokens: number
  /** Arguments of the calls that were made, as the model wrote them. */
  calls: string[]
}

/** Asks one question in a fresh conversation. */
export type Ask = (question: string, effort: Effort, withCalculator: boolean) => Promise<Answer>

/** One kind of problem. */
export interface Kind {
  operation: Exclude<Operation, 'compare'>
  digits: [number, number]
}

interface Score {
  problems: number
  right: number
  /** 95 % interval of the share that is right. */
  low: number
  high: number
  /** A few wrong answers, as examples. */
  mistakes: { question: string; expected: string; came: string }[]
}

export interface Cell extends Kind, Score {
  name: string
  effort: Effort
  /** Mean tokens of the analysis channel. */
  reasoningTokens: number
}

export interface ToolCell extends Score {
  /** Exactly one call whose arguments are JSON with an expression. */
  wellFormed: number
}

/** Additions and subtractions of one to four digits, products of one and two. */
export const KINDS: readonly Kind[] = [
  ...[1, 2, 3, 4].map((n): Kind => ({ operation: 'add', digits: [n, n] })),
  ...[1, 2, 3, 4].map((n): Kind => ({ operation: 'subtract', digits: [n, n] })),
  { operation: 'multiply', digits: [1, 1] },
  { operation: 'multiply', digits: [2, 1] },
  { operation: 'multiply', digits: [2, 2] },
]

export const kindName = ({ operation, digits: [a, b] }: Kind): string => `${a} ${SIGN[operation]} ${b} digits`

const question = ({ operation, a, b }: Problem): string => `What is ${a} ${SIGN[operation]} ${b}?`

/** Problems of kinds with more pairs of numbers than this are drawn at random instead of listed. */
const LISTED = 10_000

/** All held-out problems of a kind; null where there are too many to list. */
function listed({ operation, digits }: Kind): Problem[] | null {
  const [from, to] = [digits.map((n) => (n === 1 ? 0 : 10 ** (n - 1))), digits.map((n) => 10 ** n)] as [[number, number], [number, number]]
  if ((to[0] - from[0]) * (to[1] - from[1]) > LISTED) return null
  const all: Problem[] = []
  for (let a = from[0]; a < to[0]; a++)
    for (let b = from[1]; b < to[1]; b++) if (isHeldOut({ operation, a, b })) all.push({ operation, a, b })
  return all
}

/** Number of problems of each kind: equal shares of `total`. A kind that has fewer gives all of them. */
export function problemsPerKind(total: number, kinds: readonly Kind[] = KINDS): number[] {
  const available = kinds.map((kind) => listed(kind)?.length ?? Number.POSITIVE_INFINITY)
  const shares = kinds.map(() => 0)
  const smallestFirst = [...available.keys()].sort((i, j) => available[i]! - available[j]! || i - j)
  let left = total
  smallestFirst.forEach((i, n) => {
    shares[i] = Math.min(available[i]!, Math.ceil(left / (kinds.length - n)))
    left -= shares[i]
  })
  return shares
}

/** `count` different held-out problems of a kind, fewer where there are not so many; the same for every effort. */
export function heldOutProblems(kind: Kind, count: number, seed: number): Problem[] {
  const next = random(mixSeeds(seed, kind.operation.length, kind.digits[0], kind.digits[1]))
  const all = listed(kind)
  if (all) return distinct(next, Math.min(count, all.length), all.length).map((i) => all[i]!)
  const found = new Map<string, Problem>()
  while (found.size < count) {
    const problem = drawProblem(next, kind.operation, kind.digits, true)
    found.set(`${problem.a},${problem.b}`, problem)
  }
  return [...found.values()]
}

/** Asks about `total` problems at every effort. */
export async function measureEfforts(
  ask: Ask,
  efforts: readonly Effort[],
  total: number,
  seed: number,
  onCell?: (cell: Cell) => void,
): Promise<Cell[]> {
  const cells: Cell[] = []
  const shares = problemsPerKind(total)
  for (const [i, kind] of KINDS.entries()) {
    const problems = heldOutProblems(kind, shares[i]!, seed)
    for (const effort of efforts) {
      const answers = await Promise.all(problems.map((problem) => ask(question(problem), effort, false)))
      const wrong = problems.flatMap((problem, i) => {
        const expected = String(evaluate(problem))
        return answers[i]!.text.trim() === expected ? [] : [{ question: question(problem), expected, came: answers[i]!.text }]
      })
      const right = problems.length - wrong.length
      const [low, high] = wilson(right, problems.length)
      const reasoningTokens = answers.reduce((sum, answer) => sum + answer.reasoningTokens, 0) / problems.length
      const mistakes = wrong.slice(0, 5)
      const cell = { ...kind, name: kindName(kind), effort, problems: problems.length, right, low, high, reasoningTokens, mistakes }
      cells.push(cell)
      onCell?.(cell)
    }
  }
  return cells
}

/** Numbers of one to eight digits with the calculator on offer. */
export async function measureCalls(ask: Ask, problems: number, seed: number): Promise<ToolCell> {
  const next = random(mixSeeds(seed, 0x7001))
  const drawn = Array.from({ length: problems }, (_, i) => {
    const digits: [number, number] = [1 + (i % 8), 1 + (Math.floor(i / 8) % 8)]
    return {
      problem: drawProblem(next, pick(next, ['add', 'subtract', 'multiply'] as const), digits, true),
      effort: pick(next, ['low', 'medium', 'high'] as const),
    }
  })
  const answers = await Promise.all(drawn.map(({ problem, effort }) => ask(question(problem), effort, true)))
  let wellFormed = 0
  let right = 0
  const mistakes: ToolCell['mistakes'] = []
  drawn.forEach(({ problem }, i) => {
    const { text, calls } = answers[i]!
    const expected = String(exact(problem))
    if (calls.length === 1 && isCall(calls[0]!)) wellFormed++
    if (text.trim() === expected) right++
    else mistakes.push({ question: question(problem), expected, came: `${calls.join(' ')} -> ${text}` })
  })
  const [low, high] = wilson(right, problems)
  return { problems, wellFormed, right, low, high, mistakes: mistakes.slice(0, 5) }
}

const exact = ({ operation, a, b }: Problem): bigint => {
  const [x, y] = [BigInt(a), BigInt(b)]
  return operation === 'add' ? x + y : operation === 'subtract' ? x - y : x * y
}

function isCall(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && typeof value.expression === 'string' && Object.keys(value).length === 1
  } catch {
    return false
  }
}
