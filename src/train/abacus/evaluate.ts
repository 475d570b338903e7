/**
 * Measures the embedded model on problems that no training run saw: accuracy and length of the thinking per kind of problem and effort, and the
 * calls of the calculator. Knows no engine: whoever calls it brings a way to ask.
 * Intervals: Wilson 1927, 95 %.
 */
import type { Effort } from '../../chat/messages.ts'
import { mixSeeds, pick, random } from '../random.ts'
import { evaluate, type Operation, type Problem, SIGN } from './arithmetic.ts'
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

export interface Cell extends Kind {
  name: string
  effort: Effort
  problems: number
  right: number
  low: number
  high: number
  /** Mean tokens of the analysis channel. */
  reasoningTokens: number
  /** A few wrong answers, for people. */
  mistakes: { question: string; expected: string; came: string }[]
}

export interface ToolCell {
  problems: number
  /** Exactly one call whose arguments are JSON with an expression. */
  wellFormed: number
  right: number
  low: number
  high: number
  mistakes: { question: string; expected: string; came: string }[]
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

/** 95 % interval of a share. */
export function wilson(right: number, of: number): [number, number] {
  if (of === 0) return [0, 1]
  const z = 1.959964
  const p = right / of
  const centre = (p + (z * z) / (2 * of)) / (1 + (z * z) / of)
  const half = (z * Math.sqrt((p * (1 - p)) / of + (z * z) / (4 * of * of))) / (1 + (z * z) / of)
  return [Math.max(0, centre - half), Math.min(1, centre + half)]
}

/** `perKind` different held-out problems of a kind, fewer where there are not so many; the same for every effort. */
export function heldOutProblems(kind: Kind, perKind: number, seed: number): Problem[] {
  const next = random(mixSeeds(seed, kind.operation.length, kind.digits[0], kind.digits[1]))
  const found = new Map<string, Problem>()
  for (let tries = 0; found.size < perKind && tries < 50 * perKind; tries++) {
    const problem = drawProblem(next, kind.operation, kind.digits, true)
    found.set(`${problem.a},${problem.b}`, problem)
  }
  return [...found.values()]
}

export async function measureEfforts(
  ask: Ask,
  efforts: readonly Effort[],
  perKind: number,
  seed: number,
  onCell?: (cell: Cell) => void,
): Promise<Cell[]> {
  const cells: Cell[] = []
  for (const kind of KINDS) {
    const problems = heldOutProblems(kind, perKind, seed)
    for (const effort of efforts) {
      const answers = await Promise.all(problems.map((problem) => ask(question(problem), effort, false)))
      const wrong = problems.flatMap((problem, i) => {
        const expected = String(evaluate(problem))
        return answers[i]!.text.trim() === expected ? [] : [{ question: question(problem), expected, came: answers[i]!.text }]
      })
      const right = problems.length - wrong.length
      const [low, high] = wilson(right, problems.length)
      const reasoningTokens = answers.reduce((sum, answer) => sum + answer.reasoningTokens, 0) / problems.length
      const cell = {
        ...kind,
        name: kindName(kind),
        effort,
        problems: problems.length,
        right,
        low,
        high,
        reasoningTokens,
        mistakes: wrong.slice(0, 5),
      }
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
    const value = JSON.parse(text) as { expression?: unknown }
    return typeof value === 'object' && value !== null && typeof value.expression === 'string' && Object.keys(value).length === 1
  } catch {
    return false
  }
}
