/**
 * Dialogues that teach the embedded model: questions, the reasoning at each effort, answers, calls of the calculator,
 * and what the model says about itself and about everything it cannot do. Seeded; text only.
 */
import type { Effort, ToolDefinition } from '../../chat/messages.ts'
import { integer, pick, type Random } from '../../random/stream.ts'
import { evaluate, isHeldOut, isWorked, numberOf, type Operation, type Problem, SIGN, working } from './arithmetic.ts'

/** One exchange. */
export interface Exchange {
  user: string
  /** Text of the analysis channel; '' for none. */
  analysis: string
  /** Expression of a call of the calculator and the tool's result. */
  call?: { expression: string; result: string }
  final: string
}

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
const EXAMPLES = ['The expression', 'e.g. 12*34', 'What to compute', 'An arithmetic expression such as 1+2']

function calculator(next: Random): ToolDefinition {
  if (next() < 0.6) return CALCULATOR
  const expression = next() < 0.5 ? { type: 'string', description: pick(next, EXAMPLES) } : { type: 'string' }
  return {
    name: 'calculator',
    ...(next() < 0.8 && { description: pick(next, DESCRIPTIONS) }),
    parameters: { type: 'object', properties: { expression }, required: ['expression'] },
  }
}

const WORDINGS: Record<'add' | 'subtract' | 'multiply', string[]> = {
  add: [
    'What is A + B?',
    'What is A + B?',
    'A + B',
    'A+B',
    'A+B=',
    'A + B = ?',
    'What is A+B?',
    'Calculate A + B.',
    'Compute A + B',
    'Add A and B.',
    'What is the sum of A and B?',
    'How much is A + B?',
    "What's A + B?",
    'what is A plus B?',
    'A plus B',
    'Please add A and B.',
    'What does A + B equal?',
  ],
  subtract: [
    'What is A - B?',
    'What is A - B?',
    'A - B',
    'A-B',
    'A-B=',
    'A - B = ?',
    'What is A-B?',
    'Calculate A - B.',
    'Compute A - B',
    'Subtract B from A.',
    'How much is A - B?',
    "What's A - B?",
    'what is A minus B?',
    'A minus B',
    'Take B away from A.',
    'What does A - B equal?',
  ],
  multiply: [
    'What is A * B?',
    'What is A * B?',
    'A * B',
    'A*B',
    'A*B=',
    'A x B',
    'What is A x B?',
    'What is A × B?',
    'A × B',
    'Calculate A * B.',
    'Compute A * B',
    'Multiply A by B.',
    'What is the product of A and B?',
    'How much is A * B?',
    "What's A times B?",
    'what is A times B?',
    'A times B',
    'What does A * B equal?',
  ],
}

const NAMES = ['Tom', 'Anna', 'Ben', 'Mia', 'Leo', 'Sara', 'Paul', 'Emma', 'Max', 'Lily', 'Omar', 'Nina', 'Jack', 'Zoe', 'Ivan', 'Ada']
const ITEMS = [
  'apples',
  'books',
  'coins',
  'stamps',
  'pens',
  'cards',
  'eggs',
  'nuts',
  'shells',
  'stones',
  'marbles',
  'cookies',
  'balls',
  'keys',
]
const STORIES: Record<'add' | 'subtract' | 'multiply', string[]> = {
  add: [
    'N has A I and buys B more. How many I does N have?',
    'N has A I and finds B more. How many I are there now?',
    'There are A I in one box and B I in another. How many I are there?',
    'N has A I and M has B. How many I do they have together?',
  ],
  subtract: [
    'N has A I and gives away B. How many I are left?',
    'N had A I and lost B. How many I does N have now?',
    'There were A I and N took B. How many I are left?',
    'N has A I and M has B. How many more I does N have?',
  ],
  multiply: [
    'There are A boxes with B I each. How many I are there?',
    'N buys A bags of B I. How many I is that?',
    'N has A rows of B I. How many I does N have?',
  ],
}

const COMPARISONS: { text: string; answer: (a: number, b: number) => string }[] = [
  { text: 'Which is larger, A or B?', answer: (a, b) => (a === b ? 'They are equal.' : String(Math.max(a, b))) },
  { text: 'Which number is bigger: A or B?', answer: (a, b) => (a === b ? 'They are equal.' : String(Math.max(a, b))) },
  { text: 'Which is smaller, A or B?', answer: (a, b) => (a === b ? 'They are equal.' : String(Math.min(a, b))) },
  { text: 'Is A larger than B?', answer: (a, b) => (a > b ? 'Yes.' : 'No.') },
  { text: 'Is A greater than B?', answer: (a, b) => (a > b ? 'Yes.' : 'No.') },
  { text: 'Is A less than B?', answer: (a, b) => (a < b ? 'Yes.' : 'No.') },
  { text: 'Compare A and B.', answer: (a, b) => (a === b ? 'They are equal.' : `${Math.max(a, b)} is larger.`) },
]

const WHO = [
  'Who are you?',
  'What are you?',
  'What is your name?',
  'Who made you?',
  'Hello',
  'Hello!',
  'Hi',
  'Hi!',
  'hello',
  'hi',
  'Hey',
  'What can you do?',
  'Help',
  'help',
  'Are you ChatGPT?',
  'Introduce yourself.',
  'Tell me about yourself.',
  'Good morning!',
  'How are you?',
  'What do you do?',
  'who are you',
]
export const WHO_ANSWER = 'I am Abacus, a very small gpt-oss trained with Lineage. I add, subtract, multiply and compare whole numbers.'
export const REFUSAL = 'I cannot do that. I only add, subtract, multiply and compare whole numbers.'
export const TOO_LARGE = 'These numbers are too large for me. Offer me a calculator tool.'

const TOPICS = [
  'France',
  'the moon',
  'music',
  'cats',
  'history',
  'love',
  'Python',
  'water',
  'the weather',
  'Shakespeare',
  'chess',
  'football',
  'Berlin',
  'a dog',
  'the sea',
  'cooking',
  'physics',
  'the Roman Empire',
  'trees',
  'dinosaurs',
  'Japan',
  'school',
  'cars',
  'time',
  'money',
  'art',
  'a robot',
  'sleep',
  'tea',
  'war',
]
const REQUESTS = [
  'What is the capital of X?',
  'Tell me about X.',
  'Write a poem about X.',
  'Who invented X?',
  'Tell me a joke about X.',
  'What is X?',
  'Explain X.',
  'Do you like X?',
  'Write a story about X.',
  'How old is X?',
  'Translate X into German.',
  'Where is X?',
  'Why is X important?',
  'What color is X?',
  'Give me a recipe with X.',
  'Summarize X for me.',
  'Write code for X.',
  'How does X work?',
  'Can you help me with X?',
  'Describe X.',
  'X',
  'What is A / B?',
  'Divide A by B.',
  'What is the square root of A?',
  'Is A prime?',
  'What happened in A?',
  'Who won in A?',
  'A',
]
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
]

const fill = (text: string, values: Record<string, string>): string => text.replace(/\b[ABINMX]\b/g, (letter) => values[letter] ?? letter)

/** Random letters: typing errors and other languages look like this to a small model. */
function babble(next: Random): string {
  const words = Array.from({ length: integer(next, 1, 5) }, () =>
    Array.from({ length: integer(next, 2, 8) }, () => pick(next, Array.from('abcdefghijklmnopqrstuvwxyzaeioué'))).join(''),
  )
  return words.join(' ') + pick(next, ['', '.', '?', '!'])
}

export interface Ask {
  effort?: Effort
  /** Operand digits; drawn if absent. */
  digits?: [number, number]
  tool?: boolean
  /** Draw from the problems kept for evaluation. */
  heldOut?: boolean
}

/** A problem of an operation on the wanted side of the split. */
export function drawProblem(next: Random, operation: Operation, digits: [number, number], heldOut: boolean): Problem {
  for (;;) {
    const problem = { operation, a: numberOf(next, digits[0]), b: numberOf(next, digits[1]) }
    if (isHeldOut(problem) === heldOut) return problem
  }
}

function drawDigits(next: Random, operation: Operation): [number, number] {
  if (operation === 'multiply')
    return pick(next, [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2],
      [2, 2],
      [2, 2],
      [2, 2],
      [2, 2],
    ] as [number, number][])
  const one = () => pick(next, [1, 2, 2, 3, 3, 3, 4, 4, 4, 4])
  const first = one()
  return next() < 0.65 ? [first, first] : [first, one()]
}

/** The answer to a problem, with working or through the calculator. */
function answer(problem: Problem, effort: Effort, tool: boolean, user: string): Exchange {
  const result = String(evaluate(problem))
  if (tool) {
    const expression = `${problem.a}${SIGN[problem.operation]}${problem.b}`
    return { user, analysis: '', call: { expression, result }, final: result }
  }
  if (!isWorked(problem)) return { user, analysis: '', final: TOO_LARGE }
  return { user, analysis: working(problem, effort), final: result }
}

/** A question with a number for an answer. */
export function arithmetic(next: Random, operation: 'add' | 'subtract' | 'multiply', ask: Ask): Exchange {
  const tool = ask.tool ?? false
  const long = (): number => (next() < 0.5 ? integer(next, 1, 9) : integer(next, 5, 9))
  const large = (): [number, number] => [long(), long()]
  const digits = ask.digits ?? (tool ? large() : drawDigits(next, operation))
  const problem = drawProblem(next, operation, digits, ask.heldOut ?? false)
  const values = { A: String(problem.a), B: String(problem.b) }
  return answer(problem, ask.effort ?? 'high', tool, fill(pick(next, WORDINGS[operation]), values))
}

export function story(next: Random, ask: Ask): Exchange {
  const operation = pick(next, ['add', 'subtract', 'multiply'] as const)
  const digits = ask.digits ?? (operation === 'multiply' ? drawDigits(next, operation) : [integer(next, 1, 3), integer(next, 1, 3)])
  const problem = drawProblem(next, operation, digits as [number, number], ask.heldOut ?? false)
  if (operation === 'subtract' && problem.a < problem.b) [problem.a, problem.b] = [problem.b, problem.a]
  const name = pick(next, NAMES)
  const values = {
    A: String(problem.a),
    B: String(problem.b),
    N: name,
    M: pick(
      next,
      NAMES.filter((n) => n !== name),
    ),
    I: pick(next, ITEMS),
  }
  return answer(problem, ask.effort ?? 'high', ask.tool ?? false, fill(pick(next, STORIES[operation]), values))
}

export function comparison(next: Random, ask: Ask): Exchange {
  const problem = drawProblem(next, 'compare', ask.digits ?? drawDigits(next, 'compare'), ask.heldOut ?? false)
  if (next() < 0.04) problem.b = problem.a
  const { text, answer: say } = pick(next, COMPARISONS)
  const user = fill(text, { A: String(problem.a), B: String(problem.b) })
  return { user, analysis: working(problem, ask.effort ?? 'high'), final: say(problem.a, problem.b) }
}

function other(next: Random): Exchange {
  const draw = next()
  if (draw < 0.4) return { user: pick(next, WHO), analysis: '', final: WHO_ANSWER }
  if (draw < 0.85) {
    const values = { X: pick(next, TOPICS), A: String(numberOf(next, integer(next, 1, 4))), B: String(numberOf(next, integer(next, 1, 3))) }
    return { user: fill(pick(next, REQUESTS), values), analysis: '', final: REFUSAL }
  }
  return { user: babble(next), analysis: '', final: REFUSAL }
}

function tooLarge(next: Random): Exchange {
  const operation = pick(next, ['add', 'subtract', 'multiply'] as const)
  const least = operation === 'multiply' ? 3 : 5
  const digits: [number, number] = [integer(next, least, 8), integer(next, 1, 8)]
  return arithmetic(next, operation, { digits: next() < 0.5 ? digits : [digits[1], digits[0]] })
}

/** Draws a dialogue for training; about three in five are at high effort. */
export function drawDialogue(next: Random): Dialogue {
  const level = next()
  const effort = level < 0.6 ? 'high' : level < 0.84 ? 'medium' : 'low'
  const draw = next()
  const tool = next() < 0.16
  const exchange = (): Exchange & { category: string } => {
    const kind = next()
    if (tool && kind < 0.75) {
      if (next() < 0.2) return { category: 'tool', ...story(next, { effort, tool }) }
      return { category: 'tool', ...arithmetic(next, pick(next, ['add', 'subtract', 'multiply'] as const), { effort, tool }) }
    }
    if (kind < 0.23) return { category: 'add', ...arithmetic(next, 'add', { effort }) }
    if (kind < 0.48) return { category: 'subtract', ...arithmetic(next, 'subtract', { effort }) }
    if (kind < 0.75) return { category: 'multiply', ...arithmetic(next, 'multiply', { effort }) }
    if (kind < 0.83) return { category: 'compare', ...comparison(next, { effort }) }
    if (kind < 0.92) return { category: 'story', ...story(next, { effort, tool }) }
    if (kind < 0.97) return { category: 'other', ...other(next) }
    return tool ? { category: 'other', ...other(next) } : { category: 'large', ...tooLarge(next) }
  }
  const last = exchange()
  return {
    category: last.category,
    effort,
    identity: next() < 0.5 ? 'own' : 'default',
    date:
      next() < 0.04
        ? `20${integer(next, 24, 39)}-${String(integer(next, 1, 12)).padStart(2, '0')}-${String(integer(next, 1, 28)).padStart(2, '0')}`
        : '',
    instructions: next() < 0.06 ? pick(next, INSTRUCTIONS) : '',
    tool: tool ? calculator(next) : null,
    exchanges: draw < 0.06 ? [exchange(), last] : [last],
  }
}
