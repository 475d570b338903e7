/** Answers under a schema: free reasoning, then the document and nothing else, whatever ids the model prefers. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { ChatError, type ChatEvent, type FinishEvent, type JsonSchema } from '../../src/chat/messages.ts'
import { chat, type TurnOptions } from '../../src/chat/session.ts'
import { readForm } from '../../src/cli/support/form.ts'
import { UnsupportedSchemaError } from '../../src/structured/structured.ts'
import { validator } from '../structured/validator.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { byteTokenizer, qwenSpecials } from './byte-tokenizer.ts'
import { checkEvents, summary } from './events.ts'
import { type ScriptedModel, scriptedModel } from './scripted.ts'

const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'], additionalProperties: false }
const think = (text: string) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant`
const final = (text: string) => `<|channel|>final<|message|>${text}<|return|>`
const call = ' to=functions.tide<|channel|>commentary <|constrain|>json<|message|>{}<|call|>'

async function run(model: ScriptedModel, options: TurnOptions = {}) {
  const events: ChatEvent[] = await Array.fromAsync(chat(model, [{ role: 'user', content: 'hi' }], { schema, ...options }))
  checkEvents(events)
  return { said: summary(events), reason: (events.at(-1) as FinishEvent).reason }
}

function qwen(script: string): ScriptedModel {
  const tokenizer = byteTokenizer(qwenSpecials)
  return scriptedModel([script], { tokenizer, format: qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' }) })
}

test('reasoning is free, the document follows', async () => {
  // Where only a document may follow, its header is not for the model to write.
  const expected = { said: ['reasoning: Hm.', 'text: {"n":7}'], reason: 'stop' }
  assert.deepEqual(await run(scriptedModel(['<|channel|>analysis<|message|>Hm.<|end|>{"n":7}'])), expected)
  assert.deepEqual(await run(qwen('Hm.</think>{"n":7}')), expected)
})

test('without a tool the model cannot call one; with one it may, and the document comes after the result', async () => {
  const { said } = await run(scriptedModel([`${call}${'{"n":1}'.padEnd(40)}`]), { maxTokens: 200 })
  assert.ok(!said.some((line) => line.startsWith('call')), said.join())
  const tools = [{ name: 'tide', execute: () => 'high' }]
  const rounds = await run(scriptedModel([think('Look.') + call, final('{"n":3}')]), { tools })
  assert.deepEqual(rounds, { said: ['reasoning: Look.', 'call tide: {}', 'result tide: high', 'text: {"n":3}'], reason: 'stop' })
})

test('a spent thinking budget leads to the document', async () => {
  const { said } = await run(scriptedModel([think('Hm.'.repeat(100))]), { thinking: { budget: 9 }, maxTokens: 300 })
  assert.equal(
    said.find((line) => line.startsWith('reasoning: ')),
    'reasoning: Hm.Hm.Hm.',
  )
  assert.ok(said.includes('! thinking-budget'))
  assert.ok(said.at(-1)!.startsWith('text: {'))
})

test('a document that does not fit ends with length, one that fits is complete', async () => {
  const reasons = new Set<string>()
  for (const maxTokens of [1, 5, 30, 40, 300]) {
    const { said, reason } = await run(scriptedModel(['<|channel|>analysis<|message|>Hm.<|end|>{"n": 123456789}']), { maxTokens })
    const text = said.find((line) => line.startsWith('text: '))?.slice(6) ?? ''
    assert.equal(reason === 'stop', validator(schema)(text) === undefined, `${maxTokens}: ${reason} ${text}`)
    reasons.add(reason)
  }
  assert.deepEqual([...reasons], ['length', 'stop'])
})

test('a stop text inside of the document cuts it, and what is cut is never called complete', async () => {
  const model = () => scriptedModel(['<|channel|>analysis<|message|>No } here.<|end|>{"n":1234}'])
  const cut = (stop: string[]) => run(model(), { stop })
  assert.deepEqual(await cut(['34']), { said: ['reasoning: No } here.', 'text: {"n":12'], reason: 'length' })
  // At the very end, where the grammar is satisfied already.
  assert.deepEqual(await cut(['}']), { said: ['reasoning: No } here.', 'text: {"n":1234'], reason: 'length' })
  // What only looked like one comes out.
  assert.deepEqual(await cut(['{"n":1235', '34}?']), { said: ['reasoning: No } here.', 'text: {"n":1234}'], reason: 'stop' })
  assert.deepEqual(await cut(['{']), { said: ['reasoning: No } here.'], reason: 'length' })
})

test('arbitrary ids: a document that ends with stop parses and validates', async () => {
  const next = random(11)
  const markers = ['<|channel|>', '<|message|>', '<|end|>', '<|start|>', '<|return|>', '<|call|>', 'analysis', 'final', '{"', '}', '7']
  let complete = 0
  for (let i = 0; i < 60; i++) {
    const script = Array.from({ length: 60 }, () => markers[Math.floor(next() * markers.length)]).join('')
    const { said, reason } = await run(scriptedModel([script]), { maxTokens: 250 })
    if (reason !== 'stop') continue
    complete++
    assert.equal(validator(schema)(said.at(-1)!.slice(6)), undefined, `${script}\n${said.join('\n')}`)
  }
  assert.ok(complete > 20, `${complete} complete`)
})

test('an impossible request is an error before the first draw', async () => {
  const model = scriptedModel(['x'])
  const odd: JsonSchema = { type: 'array', contains: {} }
  await assert.rejects(run(model, { schema: odd }), (error) => {
    assert.ok(error instanceof ChatError && error.field === 'schema' && error.code === 'unsupported_schema')
    return error.cause instanceof UnsupportedSchemaError && error.cause.path === '/contains'
  })
  await assert.rejects(run(model, { prefill: '{' }), /prefill: an answer under a schema/)
  assert.equal(model.asked.length, 0)
})

test('the flags of a form, and errors that name the flag and the file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lineage-schema-'))
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  try {
    const good = file('good.json', JSON.stringify(schema))
    assert.deepEqual(await readForm({ schema: good }), { schema })
    assert.deepEqual(await readForm({ choice: ['yes', 'no'] }), { choice: ['yes', 'no'] })
    assert.deepEqual(await readForm({ regex: '\\d+' }), { regex: '\\d+' })
    assert.deepEqual(await readForm({ grammar: file('good.gbnf', 'root ::= "a"') }), { grammar: 'root ::= "a"' })
    assert.deepEqual(await readForm({}), {})
    await assert.rejects(readForm({ schema: file('broken.json', '{') }), /--schema: .*broken\.json is not JSON/)
    const odd = file('odd.json', '{"properties":{"a":{"contains":{}}}}')
    await assert.rejects(readForm({ schema: odd }), /odd\.json cannot be enforced: \/properties\/a\/contains: /)
    await assert.rejects(readForm({ schema: join(folder, 'absent.json') }), /absent\.json: there is no such file/)
    await assert.rejects(
      readForm({ grammar: file('bad.gbnf', 'root = "a"') }),
      /--grammar: .*bad\.gbnf cannot be enforced: expected "name ::= …"/,
    )
    await assert.rejects(readForm({ regex: '(a' }), /--regex: this cannot be enforced: an open group/)
    await assert.rejects(readForm({ schema: good, choice: ['a'] }), /give --schema or --choice/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
