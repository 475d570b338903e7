/**
 * Conversations that teach the first embedded model sums of three numbers, which it was not trained on, mixed with the kinds that it knows
 * (docs/training.md). Writes train.jsonl, held-out questions three.jsonl, and their task three.json.
 *   node scripts/sums-of-three.ts DIRECTORY [CONVERSATIONS] [SEED]
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fnv1a } from '../src/random/hash.ts'
import { integer, pick, type Random, random } from '../src/random/stream.ts'
import { numberOf, working } from '../src/train/abacus/arithmetic.ts'
import { type Dialogue, drawDialogue } from '../src/train/abacus/dialogues.ts'

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
  "What's A + B + C?",
  'what is A plus B plus C?',
]

type Summands = [number, number, number]

/** One problem in eight, in any order of its summands. */
const isHeldOut = (summands: Summands): boolean => fnv1a([...summands].sort((a, b) => a - b).join('+')) % 8 === 0

/** Three numbers of one to three digits each, most often of equally many. */
function drawSummands(next: Random, heldOut: boolean): Summands {
  for (;;) {
    const digits = integer(next, 1, 3)
    const summands = [0, 1, 2].map(() => numberOf(next, next() < 0.7 ? digits : integer(next, 1, 3))) as Summands
    if (isHeldOut(summands) === heldOut) return summands
  }
}

function sumOfThree(next: Random): object {
  const [a, b, c] = drawSummands(next, false)
  const effort = next() < 0.7 ? 'high' : 'medium'
  const first = working({ operation: 'add', a, b }, effort)
  const second = working({ operation: 'add', a: a + b, b: c }, effort)
  const values: Record<string, number> = { A: a, B: b, C: c }
  const content = pick(next, WORDINGS).replace(/\b[ABC]\b/g, (letter) => String(values[letter]))
  return {
    messages: [
      { role: 'user', content },
      { role: 'assistant', reasoning: `${first}=${a + b};${second}`, content: String(a + b + c) },
    ],
    reasoning_effort: effort,
  }
}

/** A dialogue of the recipe as an OpenAI request. Finished turns lack their working, so they are context only. */
function request({ effort, instructions, tool, exchanges }: Dialogue): object {
  const messages: object[] = instructions === '' ? [] : [{ role: 'developer', content: instructions }]
  for (const [i, { user, analysis, call, final }] of exchanges.entries()) {
    messages.push({ role: 'user', content: user })
    if (i < exchanges.length - 1) {
      messages.push({ role: 'assistant', content: final, weight: 0 })
      continue
    }
    if (call) {
      const args = JSON.stringify({ expression: call.expression })
      messages.push({ role: 'assistant', tool_calls: [{ id: '1', type: 'function', function: { name: 'calculator', arguments: args } }] })
      messages.push({ role: 'tool', tool_call_id: '1', content: call.result })
    }
    messages.push({ role: 'assistant', reasoning: analysis === '' ? undefined : analysis, content: final })
  }
  return { messages, tools: tool ? [{ type: 'function', function: tool }] : undefined, reasoning_effort: effort }
}

/** A dialogue of a kind that the first model knows: no question has three numbers. */
function known(next: Random): Dialogue {
  for (;;) {
    const dialogue = drawDialogue(next)
    if (dialogue.exchanges.every(({ user }) => (user.match(/\d+/g) ?? []).length < 3)) return dialogue
  }
}

const [directory, count = '24000', seed = '1'] = process.argv.slice(2)
if (!directory) throw new Error('usage: node scripts/sums-of-three.ts DIRECTORY [CONVERSATIONS] [SEED]')
mkdirSync(directory, { recursive: true })
const next = random(Number(seed))
const lines = (objects: object[]) => objects.map((object) => `${JSON.stringify(object)}\n`).join('')
const conversations = Array.from({ length: Number(count) }, () => (next() < 0.4 ? sumOfThree(next) : request(known(next))))
writeFileSync(join(directory, 'train.jsonl'), lines(conversations))
const questions = random(Number(seed) + 1)
const held = Array.from({ length: 300 }, () => {
  const [a, b, c] = drawSummands(questions, true)
  return { question: `What is ${a} + ${b} + ${c}?`, answer: a + b + c }
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
