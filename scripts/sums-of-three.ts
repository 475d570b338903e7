/**
 * Conversations that teach sums of three numbers to a model like the first embedded one, which was not trained on them (docs/training.md). What
 * the model knows is kept by rehearsal: the other conversations are questions of known kinds with the model's own answers.
 * Writes train.jsonl, the held-out questions three.jsonl, and their task three.json.
 *   node scripts/sums-of-three.ts MODEL DIRECTORY [CONVERSATIONS] [SEED]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Effort } from '../src/chat/messages.ts'
import { chat } from '../src/chat/session.ts'
import { loadModel } from '../src/load-model-node.ts'
import { fnv1a, mixSeeds } from '../src/random/hash.ts'
import { integer, pick, type Random, random } from '../src/random/stream.ts'
import { calculatorTool } from '../src/train/abacus/calculator.ts'

const WORDINGS = [
  'What is A + B + C?',
  'What is A + B + C?',
  'A + B + C',
  'A+B+C',
  'A+B+C=',
  'What is A+B+C?',
  'Calculate A + B + C.',
  'Compute A + B + C',
  'Add A, B and C.',
  'What is the sum of A, B and C?',
  'How much is A + B + C?',
  'what is A plus B plus C?',
]
const KNOWN = [
  [
    'What is A + B?',
    'A + B',
    'A+B=',
    'Add A and B.',
    'How much is A + B?',
    'There are A eggs in one box and B eggs in another. How many eggs are there?',
  ],
  [
    'What is A - B?',
    'A - B',
    'A-B=',
    'Subtract B from A.',
    'How much is A - B?',
    'Tom has A pens and gives away B. How many pens are left?',
  ],
  [
    'What is A * B?',
    'A * B',
    'A*B=',
    'Multiply A by B.',
    'How much is A * B?',
    'There are A boxes with B nuts each. How many nuts are there?',
  ],
  ['Which is larger, A or B?', 'Is A less than B?', 'Who are you?', 'Hello', 'Tell me about the moon.', 'What is the capital of Japan?'],
]
/** The shorter the working, the less certain is the answer, and the more rehearsal keeps it. */
const EFFORTS: readonly Effort[] = ['high', 'medium', 'medium', 'low']

const filled = (text: string, numbers: readonly number[]): string =>
  text.replace(/\b[ABC]\b/g, (letter) => String(numbers['ABC'.indexOf(letter)]))
const numberOf = (next: Random, digits: number): number => integer(next, digits === 1 ? 0 : 10 ** (digits - 1), 10 ** digits - 1)
/** One problem in eight, in any order of its numbers. */
const isHeldOut = (numbers: readonly number[]): boolean => fnv1a(numbers.toSorted((a, b) => a - b).join('+')) % 8 === 0

/** Three numbers of one to three digits each, most often of equally many. */
function threeNumbers(next: Random, heldOut: boolean): [number, number, number] {
  for (;;) {
    const digits = integer(next, 1, 3)
    const numbers = [0, 1, 2].map(() => numberOf(next, next() < 0.7 ? digits : integer(next, 1, 3)))
    if (isHeldOut(numbers) === heldOut) return numbers as [number, number, number]
  }
}

/** A sum as the first embedded model writes it: "47+85:7+5+0=12,4+8+1=13," at high effort, without carries at medium effort. */
function addition(a: number, b: number, effort: Effort): string {
  const width = String(Math.max(a, b)).length
  const [left, right] = [a, b].map((n) => String(n).padStart(width, '0')) as [string, string]
  let carry = 0
  let text = effort === 'high' ? `${left}+${right}:` : `${a}+${b}:`
  for (let i = width - 1; i >= 0; i--) {
    const [x, y] = [Number(left[i]), Number(right[i])]
    const sum = x + y + (effort === 'high' ? carry : 0)
    text += effort === 'high' ? `${x}+${y}+${carry}=${String(sum).padStart(2, '0')},` : `${x}+${y}=${sum},`
    carry = sum >= 10 ? 1 : 0
  }
  return text
}

function sumOfThree(next: Random): object {
  const numbers = threeNumbers(next, false)
  const [a, b, c] = numbers
  const effort = next() < 0.8 ? 'high' : 'medium'
  // The whole expression stands first, so that the working of two numbers never begins like that of three.
  const reasoning = `${a}+${b}+${c};${addition(a, b, effort)}=${a + b};${addition(a + b, c, effort)}`
  const user = { role: 'user', content: filled(pick(next, WORDINGS), numbers) }
  return { messages: [user, { role: 'assistant', reasoning, content: String(a + b + c) }], reasoning_effort: effort }
}

type Model = Awaited<ReturnType<typeof loadModel>>

/** A question of a known kind, answered by the model. */
async function rehearsal(next: Random, model: Model): Promise<object> {
  const kind = integer(next, 0, 3)
  const tool = kind < 3 && next() < 0.15 ? calculatorTool : undefined
  const digits = () => (tool ? integer(next, 1, 8) : kind === 2 ? pick(next, [1, 2, 2, 2]) : integer(next, 1, 4))
  const same = digits()
  const content = filled(pick(next, KNOWN[kind]!), [numberOf(next, same), numberOf(next, next() < 0.8 ? same : digits())])
  const effort = pick(next, EFFORTS)
  const answers: Record<string, unknown>[] = [{ role: 'assistant' }]
  for await (const event of chat(model, [{ role: 'user', content }], { thinking: effort, maxTokens: 300, tools: tool && [tool] })) {
    const answer = answers.at(-1)!
    if (event.type === 'reasoning-end') answer.reasoning = event.text
    else if (event.type === 'text-end') answer.content = event.text
    else if (event.type === 'tool-call-end')
      answer.tool_calls = [{ id: event.id, type: 'function', function: { name: event.name, arguments: event.arguments } }]
    else if (event.type === 'tool-result')
      answers.push({ role: 'tool', tool_call_id: event.id, content: event.content }, { role: 'assistant' })
  }
  const tools = tool && [{ type: 'function', function: { name: tool.name, description: tool.description, parameters: tool.parameters } }]
  return { messages: [{ role: 'user', content }, ...answers], tools, reasoning_effort: effort }
}

const [path, directory, count = '24000', seed = '1'] = process.argv.slice(2)
if (!path || !directory) throw new Error('usage: node scripts/sums-of-three.ts MODEL DIRECTORY [CONVERSATIONS] [SEED]')
mkdirSync(directory, { recursive: true })
const lines = (objects: readonly object[]) => objects.map((object) => `${JSON.stringify(object)}\n`).join('')
const conversations: object[] = new Array(Number(count))
const model = await loadModel(path, { slots: 32, context: 512 })
const places = conversations.keys()
const lane = async () => {
  for (const place of places) {
    const next = random(mixSeeds(Number(seed), place))
    conversations[place] = next() < 0.2 ? sumOfThree(next) : await rehearsal(next, model)
  }
}
await Promise.all(Array.from({ length: 32 }, lane)).finally(() => model.dispose())
writeFileSync(join(directory, 'train.jsonl'), lines(conversations))
const questions = random(Number(seed) ^ 0x7e57)
const held = Array.from({ length: 300 }, () => {
  const numbers = threeNumbers(questions, true)
  return { question: filled('What is A + B + C?', numbers), answer: numbers[0] + numbers[1] + numbers[2] }
})
writeFileSync(join(directory, 'three.jsonl'), lines(held))
const task = {
  name: 'three-summands',
  kind: 'generate',
  data: 'three.jsonl',
  prompt: '{{ question }}',
  answer: 'answer',
  compare: 'number',
}
writeFileSync(
  join(directory, 'three.json'),
  `${JSON.stringify({ ...task, extract: ['number'], temperature: 0, maxTokens: 200 }, null, 2)}\n`,
)
console.log(`${conversations.length} conversations, ${held.length} held-out questions in ${directory}`)
