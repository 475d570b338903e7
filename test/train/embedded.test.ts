/**
 * The embedded model as it ships: loads within its size, answers unseen problems, thinks longer at higher effort, calls the calculator, and knows
 * its limits. A small sample; `lineage eval abacus` measures properly.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Effort } from '../../src/chat/messages.ts'
import { chat, type TurnOptions } from '../../src/chat/session.ts'
import { type Dict, fromJson, Template } from '../../src/jinja/template.ts'
import { loadModel, type Model } from '../../src/load-model-node.ts'
import { calculatorTool } from '../../src/train/abacus/calculator.ts'
import { heldOutProblems, isDeclined, KINDS, questionOf } from '../../src/train/abacus/evaluate.ts'
import { exactValue } from '../../src/train/abacus/expression.ts'
import { ABACUS_CHAT_TEMPLATE } from '../../src/train/abacus/recipe.ts'

const directory = fileURLToPath(new URL('../../models/abacus', import.meta.url))
let model: Model

before(async () => {
  model = await loadModel(directory, { threads: 1, slots: 16, context: 512 })
})
after(() => model.dispose())

async function ask(content: string, options: TurnOptions = {}) {
  const answer = { text: '', thinking: 0, calls: [] as string[] }
  for await (const event of chat(model, [{ role: 'user', content }], { maxTokens: 300, ...options })) {
    if (event.type === 'text-end') answer.text += event.text
    if (event.type === 'tool-call-end') answer.calls.push(event.arguments)
    if (event.type === 'finish') answer.thinking = event.usage.reasoningTokens
  }
  return answer
}

test('it is a published-layout gpt-oss of at most 4 MB', () => {
  const bytes = readdirSync(directory).reduce((sum, name) => sum + statSync(`${directory}/${name}`).size, 0)
  assert.ok(bytes <= 4e6, `${bytes} bytes`)
  assert.equal(model.architecture.modelType, 'gpt_oss')
  assert.equal(model.architecture.expertDtype, 'mxfp4')
  assert.equal(model.format.name, 'harmony')
  assert.equal(model.format.sampling({}).temperature, 0)
})

test('at high effort it solves problems it has never seen', async () => {
  const problems = KINDS.flatMap((kind) => heldOutProblems(kind, 3, 77))
  const answers = await Promise.all(problems.map((problem) => ask(questionOf(problem), { thinking: 'high' })))
  const wrong = problems.map(questionOf).filter((_, i) => answers[i]!.text !== String(exactValue(problems[i]!)))
  assert.ok(wrong.length <= 3, `${wrong.length} of ${problems.length} wrong: ${wrong.join(' ')}`)
})

test('more effort means longer thinking', async () => {
  const lengths = await Promise.all(
    (['low', 'medium', 'high'] as Effort[]).map(async (effort) => (await ask('What is 1234 + 4321?', { thinking: effort })).thinking),
  )
  assert.ok(lengths[0]! < lengths[1]! && lengths[1]! < lengths[2]!, lengths.join())
  assert.equal((await ask('What is 47 + 85?')).text, '132')
})

test('its chat template makes high the effort of everybody who names none', async () => {
  assert.equal(model.format.capabilities.defaultEffort, 'high')
  const unnamed = await ask('What is 1234 - 987?')
  assert.deepEqual(unnamed, await ask('What is 1234 - 987?', { thinking: 'high' }))
  assert.equal(unnamed.text, '247')
  assert.equal((await ask('What is 1234 - 987?', { thinking: 'low' })).thinking, 0)
})

test('its chat template writes what the program writes, for other software', () => {
  const text = readFileSync(`${directory}/chat_template.jinja`, 'utf8')
  assert.equal(text, ABACUS_CHAT_TEMPLATE)
  const template = new Template(text)
  const messages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'What is 47 + 85?' },
    { role: 'assistant', content: '132' },
    { role: 'user', content: 'And 12 * 3?' },
  ] as const
  for (const effort of [undefined, 'low', 'medium', 'high'] as const) {
    const theirs = template.render(fromJson({ messages, add_generation_prompt: true, reasoning_effort: effort }) as Dict)
    assert.equal(theirs, model.tokenizer.decode(model.format.render([...messages], { thinking: effort })))
  }
})

test('it calls the calculator when one is offered', async () => {
  const { calls, text } = await ask('What is 123456 + 654321?', { tools: [calculatorTool] })
  assert.deepEqual(calls, ['{"expression":"123456+654321"}'])
  assert.equal(text, '777777')
})

test('it says what it is and what it cannot do', async () => {
  assert.match((await ask('Who are you?')).text, /^I am Abacus/)
  assert.match((await ask('What is the capital of Italy?')).text, /only add, subtract, multiply and compare/)
  assert.match((await ask('What is 1234567 + 7654321?')).text, /too large for me/)
  assert.ok(isDeclined((await ask('Wie spät ist es?')).text))
})
