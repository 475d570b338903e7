/**
 * Measures the embedded model: right, declined and wrong answers and the length of the reasoning per kind of held-out problem and effort;
 * the calls of the calculator; and questions with given answers, or with none. The caller provides the function that asks.
 */
import type { Effort } from '../../chat/messages.ts'
import { isObject } from '../../json/json.ts'
import { type Interval, wilson } from '../../numbers/statistics.ts'
import { mixSeeds } from '../../random/hash.ts'
import { integer, pick, type Random, random } from '../../random/stream.ts'
import { drawLong } from './dialogues.ts'
import { chain, combine, drawSign, type Expression, exactValue, MIXED, numberOf, operands, PLAIN, textOf } from './expression.ts'
import { REFUSAL, TOO_LARGE } from './refusals.ts'
import { isHeldOut } from './split.ts'

export interface Answer {
  text: string
  reasoningTokens: number
  /** Arguments of the calls that were made, as the model wrote them. */
  calls: string[]
}

export interface Question {
  question: string
  /** The right text; null: the question should be declined. */
  expected: string | null
}

/** Asks one question in a fresh conversation. */
export type Ask = (question: string, effort: Effort, withCalculator: boolean) => Promise<Answer>

/** How often something is right, declined and wrong. */
export interface Score {
  problems: number
  right: number
  declined: number
  wrong: number
  /** 95 % interval (Wilson 1927) of the share that is right. */
  low: number
  high: number
  /** A few wrong answers, as examples. */
  mistakes: { question: string; expected: string; came: string }[]
}

/** One kind of problem. */
export interface Kind {
  name: string
  draw(next: Random): Expression
}

export interface Cell extends Score {
  name: string
  effort: Effort
  /** Mean tokens of the analysis channel. */
  reasoningTokens: number
}

export interface ToolCell extends Score {
  /** Exactly one call whose arguments are JSON with an expression. */
  wellFormed: number
}

const SPACED = { ...PLAIN, space: ' ' }

const pair = (op: '+' | '-' | '*', m: number, n: number): Kind => ({
  name: `${m} ${op === '*' ? '×' : op === '-' ? '−' : '+'} ${n} digits`,
  draw: (next) => combine(op, numberOf(next, m), numberOf(next, n)),
})

/** Of single digits nothing is held out: these are the facts that are taught. */
export const KINDS: readonly Kind[] = [
  ...[2, 3, 4].map((n) => pair('+', n, n)),
  ...[2, 3, 4].map((n) => pair('-', n, n)),
  pair('*', 2, 1),
  pair('*', 2, 2),
  {
    name: 'one or both negative',
    draw(next) {
      const op = pick(next, ['+', '-', '*'] as const)
      const [a, b] = [numberOf(next, 2), numberOf(next, op === '*' ? 1 : 2)]
      return pick(next, [combine(op, -a, b), combine(op, a, -b), combine(op, -a, -b)])
    },
  },
  {
    name: 'three summands',
    draw: (next) =>
      chain(
        Array.from({ length: 3 }, () => numberOf(next, integer(next, 2, 3))),
        [drawSign(next), drawSign(next)],
      ),
  },
  {
    name: 'parentheses, sum and product',
    draw: (next) => pick(next, MIXED)(numberOf(next, 1), numberOf(next, pick(next, [1, 2])), numberOf(next, 1), drawSign(next)),
  },
]

export const questionOf = (expression: Expression): string => `What is ${textOf(expression, SPACED)}?`

/** The question for the value of an expression, with the right answer. */
export const withAnswer = (expression: Expression) => ({ question: questionOf(expression), expected: String(exactValue(expression)) })

/** Problems of each kind: equal shares of `total`. */
export const problemsPerKind = (total: number): number[] =>
  KINDS.map((_, i) => Math.floor((total * (i + 1)) / KINDS.length) - Math.floor((total * i) / KINDS.length))

/** `count` different problems of a kind whose numbers are held out as a whole; the same for every effort. */
export function heldOutProblems(kind: Kind, count: number, seed: number): Expression[] {
  const next = random(mixSeeds(seed, kind.name.length, kind.name.charCodeAt(0), kind.name.charCodeAt(2)))
  const found = new Map<string, Expression>()
  while (found.size < count) {
    const problem = kind.draw(next)
    if (isHeldOut(operands(problem))) found.set(textOf(problem), problem)
  }
  return [...found.values()]
}

/** Whether a text is one of the sentences with which the model declines, or begins like a refusal of another model. */
export const isDeclined = (text: string): boolean =>
  [REFUSAL, TOO_LARGE].some((texts) => Object.values(texts).includes(text.trim())) || /^(sorry|i cannot|i can't)/i.test(text.trim())

/** Asks questions and counts. */
export async function measureQuestions(ask: Ask, questions: readonly Question[], effort: Effort): Promise<Score & { answers: Answer[] }> {
  const answers = await Promise.all(questions.map(({ question }) => ask(question, effort, false)))
  return { ...scoreOf(questions, answers), answers }
}

type Verdict = 'right' | 'declined' | 'wrong'

/** A sentence is right where its only number is the expected one: "76 is larger." */
function verdict(text: string, expected: string | null): Verdict {
  if (expected !== null && (text.trim() === expected || text.match(/-?\d+/g)?.join(' ') === expected)) return 'right'
  if (isDeclined(text)) return 'declined'
  // Somebody who greets, and says what the model is, has answered nothing wrongly.
  return expected === null && !/\d/.test(text) ? 'declined' : 'wrong'
}

function scoreOf(questions: readonly Question[], answers: readonly Answer[]): Score {
  const verdicts = questions.map(({ expected }, i) => verdict(answers[i]!.text, expected))
  const count = (which: Verdict) => verdicts.filter((verdict) => verdict === which).length
  const [low, high]: Interval = wilson(count('right'), questions.length)
  const shown = (which: Verdict) =>
    questions.flatMap(({ question, expected }, i) => {
      const { calls, text } = answers[i]!
      return verdicts[i] === which && !(which === 'declined' && expected === null)
        ? [{ question, expected: expected ?? 'declined', came: `${calls.join(' ')}${calls.length ? ' -> ' : ''}${text}` }]
        : []
    })
  return {
    problems: questions.length,
    right: count('right'),
    declined: count('declined'),
    wrong: count('wrong'),
    low,
    high,
    mistakes: [...shown('wrong'), ...shown('declined')].slice(0, 20),
  }
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
    const questions = heldOutProblems(kind, shares[i]!, seed).map(withAnswer)
    for (const effort of efforts) {
      const { answers, ...score } = await measureQuestions(ask, questions, effort)
      const reasoningTokens = answers.reduce((sum, answer) => sum + answer.reasoningTokens, 0) / answers.length
      const cell = { ...score, name: kind.name, effort, reasoningTokens }
      cells.push(cell)
      onCell?.(cell)
    }
  }
  return cells
}

/** The sums of some cells, the interval of what is right of them, and the mean tokens of the analysis channel. */
export function totalOf(cells: readonly Cell[]): Omit<Cell, 'name' | 'effort' | 'mistakes'> {
  const sum = (of: (cell: Cell) => number) => cells.reduce((total, cell) => total + of(cell), 0)
  const [problems, right] = [sum((cell) => cell.problems), sum((cell) => cell.right)]
  const [low, high] = wilson(right, problems)
  const reasoningTokens = sum((cell) => cell.reasoningTokens * cell.problems) / problems
  return { problems, right, declined: sum((cell) => cell.declined), wrong: sum((cell) => cell.wrong), low, high, reasoningTokens }
}

/** The rows of a table: each kind at each effort, then all kinds (without a name) at each effort. */
export function rowsOf(cells: readonly Cell[]) {
  const kinds = [...new Set(cells.map(({ name }) => name)), undefined]
  const efforts = [...new Set(cells.map(({ effort }) => effort))]
  return kinds.flatMap((name) =>
    efforts.map((effort) => {
      const some = cells.filter((cell) => cell.effort === effort && (name === undefined || cell.name === name))
      return { name, effort, ...totalOf(some) }
    }),
  )
}

/** Two and three numbers of one to eight digits with the calculator on offer, any effort, nothing of it trained on. */
export async function measureCalls(ask: Ask, problems: number, seed: number): Promise<ToolCell> {
  const next = random(mixSeeds(seed, 0x7001))
  const efforts = ['low', 'medium', 'high'] as const
  const drawn = Array.from({ length: problems }, () => {
    for (;;) {
      const problem = drawLong(next)
      const numbers = operands(problem)
      if (numbers.every((n) => Math.abs(n) < 1e8) && isHeldOut(numbers)) return { problem, effort: pick(next, efforts) }
    }
  })
  const questions = drawn.map(({ problem }) => withAnswer(problem))
  const answers = await Promise.all(drawn.map(({ effort }, i) => ask(questions[i]!.question, effort, true)))
  const wellFormed = answers.filter(({ calls }) => calls.length === 1 && isCall(calls[0]!)).length
  return { ...scoreOf(questions, answers), wellFormed }
}

function isCall(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) && typeof value.expression === 'string' && Object.keys(value).length === 1
  } catch {
    return false
  }
}
