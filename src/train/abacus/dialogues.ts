/**
 * Dialogues that teach the embedded model: questions, the reasoning at each effort, answers, calls of the calculator, explanations,
 * and what the model says about itself and about everything it cannot do. Seeded; text only. Nothing that is held out is in any text.
 */
import type { Effort, ToolDefinition } from '../../chat/messages.ts'
import { integer, pick, type Random } from '../../random/stream.ts'
import { comparing, workingOf } from './arithmetic.ts'
import { explanation, HOW } from './explain.ts'
import { chain, combine, drawSign, type Expression, exactValue, MIXED, numberOf, type Operator, textOf } from './expression.ts'
import type { Language } from './number-words.ts'
import { COMPARISONS, type Comparison } from './question-wordings.ts'
import { drawRefusal, REFUSAL, TOO_LARGE, topic, WHO, WHO_ANSWER, word } from './refusals.ts'
import { hasHeldOut, leakIn } from './split.ts'
import { ITEMS, NAMES, PLACES, STORIES } from './story-wordings.ts'
import { capital } from './templates.ts'
import { ask, drawLanguage, drawNumbers, type Spoken, say, tell } from './wordings.ts'

/** One exchange. */
export interface Exchange {
  user: string
  /** Text of the analysis channel; '' for none. */
  analysis: string
  /** Expression of a call of the calculator and the tool's result. */
  call?: { expression: string; result: string }
  final: string
  /** What a further question about the result is about. */
  about?: { expression: Expression; language: Language; effort: Effort }
  /** Of a comparison, which is no expression that `about` could hold. */
  language?: Language
}

/** An exchange with the name of its kind. */
export type Categorised = Exchange & { category: string }

export interface Dialogue {
  category: string
  effort: Effort
  identity: 'default' | 'own'
  /** A date in the system message; '' for none. */
  date: string
  /** Instructions of a developer message; '' for none. */
  instructions: string
  tool: ToolDefinition | null
  exchanges: Exchange[]
}

export const IDENTITY = 'You are Abacus, a small gpt-oss trained with Lineage.'

/** The tool as `lineage` offers it. */
export const CALCULATOR: ToolDefinition = {
  name: 'calculator',
  description: 'Evaluates an arithmetic expression.',
  parameters: {
    type: 'object',
    properties: { expression: { type: 'string', description: 'For example a sum' } },
    required: ['expression'],
  },
}

const DESCRIPTIONS = [
  'A calculator.',
  'Calculates.',
  'Computes the value of an expression.',
  'Evaluate a mathematical expression',
  'Does exact arithmetic.',
]
const EXAMPLES = ['The expression', 'e.g. 2*3', 'What to compute', 'An arithmetic expression such as 1+2']

function calculator(next: Random): ToolDefinition {
  if (next() < 0.6) return CALCULATOR
  const expression = next() < 0.5 ? { type: 'string', description: pick(next, EXAMPLES) } : { type: 'string' }
  return {
    name: 'calculator',
    ...(next() < 0.8 && { description: pick(next, DESCRIPTIONS) }),
    parameters: { type: 'object', properties: { expression }, required: ['expression'] },
  }
}

const INSTRUCTIONS = [
  'You are a helpful assistant.',
  'Be brief.',
  'Answer in one line.',
  'You are a friendly tutor.',
  'Answer politely.',
  'Use plain text.',
  'Help the user.',
  'Reply in English.',
  'You help with homework.',
  'Antworte kurz.',
  '请简短回答。',
]

/** The kinds of expressions that are drawn for training and for measuring. */
export type Shape = 'pair' | 'negative' | 'sum' | 'mixed'

const PRODUCT_DIGITS: readonly [number, number][] = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
  [2, 2],
  [2, 2],
  [2, 2],
  [2, 2],
]

function pairDigits(next: Random, op: Operator): [number, number] {
  if (op === '*') return pick(next, PRODUCT_DIGITS)
  const one = () => pick(next, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4])
  const first = one()
  return next() < 0.65 ? [first, first] : [first, one()]
}

/** Sometimes both operands are equal. */
const isSame = (next: Random): boolean => next() < 0.03

/** Any expression of so many small numbers. */
function drawTree(next: Random, count: number): Expression {
  if (count === 1) return numberOf(next, next() < 0.85 ? 1 : 2)
  const left = integer(next, 1, count - 1)
  return combine(pick(next, ['+', '+', '-', '*'] as const), drawTree(next, left), drawTree(next, count - left))
}

/** An expression that the model works out itself. `digits`: of the operands, drawn if absent. */
export function drawExpression(next: Random, shape: Shape, digits?: readonly number[]): Expression {
  const op = pick(next, ['+', '-', '*'] as const)
  const sign = () => drawSign(next)
  switch (shape) {
    case 'pair': {
      const [m, n] = digits ?? pairDigits(next, op)
      const a = numberOf(next, m!)
      return combine(op, a, isSame(next) ? a : numberOf(next, n!))
    }
    case 'negative': {
      const small = op === '*' ? 2 : 4
      const [m, n] = digits ?? [integer(next, 1, small), integer(next, 1, small)]
      const a = numberOf(next, m!)
      const b = isSame(next) && m! <= small ? a : numberOf(next, n!)
      const which = next()
      return combine(op, which < 0.8 ? -a : a, which > 0.6 ? -b : b)
    }
    case 'sum': {
      const count = digits?.length ?? (next() < 0.75 ? 3 : integer(next, 4, 5))
      const most = count === 3 ? pick(next, [1, 2, 2, 2, 3, 3, 3, 4]) : integer(next, 1, 2)
      const numbers = Array.from({ length: count }, (_, i) => numberOf(next, digits?.[i] ?? (next() < 0.8 ? most : integer(next, 1, most))))
      const allPlus = next() < 0.6
      return chain(
        numbers,
        numbers.slice(1).map(() => (allPlus ? '+' : sign())),
      )
    }
    case 'mixed': {
      if (!digits && next() < 0.35) return drawTree(next, next() < 0.4 ? 3 : 4)
      const form = integer(next, 0, MIXED.length - 1)
      // A sum in parentheses must stay a factor of two digits.
      const most = form < 2 ? [1, 1, 2] : [1, 1, 2, 2]
      const [a, b, c] = Array.from({ length: 3 }, (_, i) => numberOf(next, digits?.[i] ?? pick(next, most)))
      return MIXED[form]!(a!, b!, c!, sign())
    }
  }
}

/** Numbers of up to eight digits for the calculator, up to three operands. */
export function drawLong(next: Random): Expression {
  const one = () => numberOf(next, next() < 0.5 ? integer(next, 1, 9) : integer(next, 5, 9))
  const shape = next()
  const op = pick(next, ['+', '-', '*'] as const)
  if (shape < 0.6) return combine(op, next() < 0.08 ? -one() : one(), next() < 0.08 ? -one() : one())
  if (shape < 0.8) return chain([one(), one(), one()], [drawSign(next), drawSign(next)])
  if (shape < 0.85) return combine('*', combine('*', one(), one()), one())
  return pick(next, MIXED)(one(), one(), one(), drawSign(next))
}

/** An expression in which nothing is held out. */
export function allowed(draw: () => Expression): Expression {
  for (;;) {
    const expression = draw()
    if (!hasHeldOut(expression)) return expression
  }
}

/**
 * Some workings at medium effort are written as at high effort: rewards for right answers find from them where the longer working is needed.
 */
const LONGER = 0.25
const lengthOf = (next: Random, effort: Effort): Effort => (effort === 'medium' && next() < LONGER ? 'high' : effort)

/** The answer to a question for a value, with working or through the calculator. */
export function answerTo(expression: Expression, effort: Effort, tool: boolean, user: string, language: Language): Exchange {
  const about = { expression, language, effort }
  const result = String(exactValue(expression))
  if (tool) return { user, analysis: '', call: { expression: textOf(expression), result }, final: result, about }
  const { text, complete } = workingOf(expression, effort)
  return { user, analysis: text, final: complete ? result : TOO_LARGE[language], about: complete ? about : undefined }
}

/** A question with a number for an answer. */
export function arithmetic(next: Random, shape: Shape, effort: Effort, tool: boolean): Exchange {
  const language = drawLanguage(next)
  const expression = allowed(() => (tool ? (next() < 0.8 ? drawLong(next) : drawExpression(next, shape)) : drawExpression(next, shape)))
  return answerTo(expression, lengthOf(next, effort), tool, ask(next, expression, language), language)
}

/** @param spoken how numbers are written; drawn if absent */
export function story(
  next: Random,
  effort: Effort,
  tool: boolean,
  language = drawLanguage(next),
  spoken?: Spoken,
  from = STORIES,
): Exchange {
  const op = pick(next, ['+', '-', '*'] as const)
  const expression = allowed(() => {
    const [m, n] = op === '*' ? pairDigits(next, op) : [integer(next, 1, 3), integer(next, 1, 3)]
    const [a, b] = [numberOf(next, tool ? integer(next, 1, 6) : m), numberOf(next, tool ? integer(next, 1, 4) : n)]
    return combine(op, op === '-' ? Math.max(a, b) : a, op === '-' ? Math.min(a, b) : b)
  }) as { left: number; right: number; op: Operator }
  const values = storyValues(next, language, expression, spoken)
  const user = tell(next, from[language][op], values)
  return answerTo(expression, lengthOf(next, effort), tool, user, language)
}

/** What stands in the places of a story. */
export function storyValues(next: Random, language: Language, { left, right }: { left: number; right: number }, spoken?: Spoken) {
  const known = next() < 0.6
  const made = (from: readonly string[]) => (known ? pick(next, from) : language === 'zh' ? topic(next, 'zh') : word(next))
  const number = spoken ?? drawNumbers(next, language)
  const [N, M] = [capital(made(NAMES[language])), capital(made(NAMES[language]))]
  return { A: number(left), B: number(right), N, M, T: made(ITEMS[language]), P: made(PLACES[language]) }
}

/** @param hard numbers differ by less than ten or are each other's digits backwards, and most questions are answered with yes or no */
export function comparison(next: Random, effort: Effort, language: Language, hard = false, from = COMPARISONS): Exchange {
  const drawn = allowed(() => drawExpression(next, 'pair', pairDigits(next, '+'))) as { left: number; right: number }
  const a = drawn.left
  const b = hard ? neighbour(next, a) : next() < 0.04 ? a : drawn.right
  const wordings = from[language]
  const { text, answer } = pick(next, hard && next() < 0.6 ? wordings.filter(isYesOrNo) : wordings)
  const user = say(next, text, { A: String(a), B: String(b) }, language)
  return { user, analysis: comparing(a, b, effort), final: answer(a, b), language }
}

const isYesOrNo = ({ answer }: Comparison): boolean => !/\d/.test(answer(1, 2))

const neighbour = (next: Random, n: number): number =>
  n > 9 && next() < 0.3 ? Number(Array.from(String(n)).reverse().join('')) : Math.abs(n + integer(next, -9, 9))

/** A question to decline. */
export function refused(next: Random): Exchange {
  const known = (language: Language) => ask(next, drawExpression(next, pick(next, ['pair', 'pair', 'sum'] as const)), language)
  const { text, language } = drawRefusal(next, drawLanguage(next), known)
  return { user: text, analysis: '', final: REFUSAL[language] }
}

function who(next: Random): Exchange {
  const language = drawLanguage(next)
  return { user: pick(next, WHO[language]), analysis: '', final: WHO_ANSWER[language] }
}

/** Numbers too large to be worked out. */
function tooLarge(next: Random, effort: Effort): Exchange {
  const language = drawLanguage(next)
  const expression = allowed(() => {
    const op = pick(next, ['+', '-', '*'] as const)
    const digits = [integer(next, op === '*' ? 3 : 5, 8), integer(next, 1, 8)]
    const [m, n] = next() < 0.5 ? digits : digits.reverse()
    const pair = combine(op, numberOf(next, m!), numberOf(next, n!))
    return next() < 0.75 ? pair : combine(drawSign(next), pair, numberOf(next, integer(next, 1, 5)))
  })
  return answerTo(expression, effort, false, ask(next, expression, language), language)
}

const drawShape = (next: Random): Shape => {
  const draw = next()
  return draw < 0.5 ? 'pair' : draw < 0.6 ? 'negative' : draw < 0.79 ? 'sum' : 'mixed'
}

/** Exchanges that take the place of the usual ones; undefined: one of those. `tool`: whether there is the calculator. */
export type Source = (next: Random, effort: Effort, tool: boolean) => Categorised | undefined

/** Draws a dialogue for training, again and again until nothing in it is held out; about three in five are at high effort. */
export function drawDialogue(next: Random, source?: Source): Dialogue {
  for (;;) {
    const dialogue = anyDialogue(next, source)
    if (leakOf(dialogue) === null) return dialogue
  }
}

/** Numbers in the texts of a dialogue that are held out; null: none. */
export function leakOf({ exchanges }: Pick<Dialogue, 'exchanges'>): number[] | null {
  for (const { user, analysis, call, final } of exchanges) {
    const found = leakIn(user, false) ?? leakIn(analysis, true) ?? leakIn(call?.expression ?? '', true) ?? leakIn(final, true)
    if (found) return found
  }
  return null
}

function anyDialogue(next: Random, source?: Source): Dialogue {
  const level = next()
  const effort = level < 0.6 ? 'high' : level < 0.84 ? 'medium' : 'low'
  const tool = next() < 0.2
  const exchange = (): Categorised => {
    const other = source?.(next, effort, tool)
    if (other) return other
    const kind = next()
    if (kind < 0.05) return { category: 'compare', ...comparison(next, effort, drawLanguage(next)) }
    if (tool && kind < 0.72) {
      const made = next() < 0.25 ? story(next, effort, true) : arithmetic(next, drawShape(next), effort, true)
      return { category: 'tool', ...made }
    }
    if (kind < 0.61) return { category: 'arithmetic', ...arithmetic(next, drawShape(next), effort, false) }
    if (kind < 0.7) return { category: 'story', ...story(next, effort, tool) }
    if (kind < 0.74) return { category: 'who', ...who(next) }
    if (kind < 0.77 && !tool) return { category: 'large', ...tooLarge(next, effort) }
    return { category: 'refused', ...refused(next) }
  }
  const exchanges = [exchange()]
  let category = exchanges[0]!.category
  const follows = next()
  if (follows < 0.05 && exchanges[0]!.about) {
    const { expression, language, effort: written } = exchanges[0]!.about
    const called = exchanges[0]!.call !== undefined
    const final = explanation(expression, written, language, called)!
    const analysis = called ? '' : workingOf(expression, written).text
    exchanges.push({ category: 'explain', user: pick(next, HOW[language]), analysis, final })
    category = 'explain'
  } else if (follows < 0.11) {
    exchanges.push(exchange())
    category = exchanges[1]!.category
  }
  return {
    category,
    effort,
    identity: next() < 0.5 ? 'own' : 'default',
    date:
      next() < 0.04
        ? `20${integer(next, 24, 39)}-${String(integer(next, 1, 12)).padStart(2, '0')}-${String(integer(next, 1, 28)).padStart(2, '0')}`
        : '',
    instructions: next() < 0.06 ? pick(next, INSTRUCTIONS) : '',
    tool: tool ? calculator(next) : null,
    exchanges,
  }
}
