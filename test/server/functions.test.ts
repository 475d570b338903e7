/** `functions` and `function_call`, the tools of OpenAI's API before `tools`: asked for, answered and sent back in their own form. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { analysis, call, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const chat = '/v1/chat/completions'
const messages = [{ role: 'user', content: 'Weather in Bern?' }]
const weather = {
  name: 'weather',
  description: 'The weather.',
  parameters: { type: 'object', properties: { city: { enum: ['Bern', 'Oslo'] } }, required: ['city'], additionalProperties: false },
}
const time = { name: 'time', parameters: { type: 'object', properties: {} } }
const request = { model: 'scripted', messages, functions: [weather, time], max_tokens: 200 }
const called = analysis('Look it up.') + call('weather', '{"city":"Bern"}')

test('a call comes as function_call, whole and streamed', async () => {
  const { post, engine } = scripted(() => called)
  const { message, finish_reason } = (await jsonOf(post(chat, request))).choices[0]
  assert.deepEqual([message.function_call, finish_reason], [{ name: 'weather', arguments: '{"city":"Bern"}' }, 'function_call'])
  assert.deepEqual([message.content, message.tool_calls], [null, undefined])
  assert.match(engine.prompts[0]!, /type weather = /)
  const chunks = (await eventsOf(await post(chat, { ...request, stream: true }))).flatMap(({ data }) => data.choices ?? [])
  const calls = chunks.flatMap(({ delta }: Json) => delta.function_call ?? [])
  assert.equal(calls.map(({ name = '' }: Json) => name).join(''), 'weather')
  assert.equal(calls.map((delta: Json) => delta.arguments).join(''), '{"city":"Bern"}')
  assert.deepEqual([chunks.at(-1).finish_reason, chunks.some(({ delta }: Json) => delta.tool_calls)], ['function_call', false])
})

test('function_call forces one function, forbids all, or leaves the choice', async () => {
  const { post, engine } = scripted(() => analysis('Hm.') + final('Sunny.'))
  const answer = async (function_call: unknown) => (await jsonOf(post(chat, { ...request, function_call }))).choices[0]
  const forced = await answer({ name: 'weather' })
  assert.ok(['Bern', 'Oslo'].includes(JSON.parse(forced.message.function_call.arguments).city))
  for (const choice of ['none', 'auto', undefined, null]) {
    const { message, finish_reason } = await answer(choice)
    assert.deepEqual([message.content, message.function_call, finish_reason], ['Sunny.', undefined, 'stop'])
    assert.equal(engine.prompts.at(-1)!.includes('type weather = '), choice !== 'none')
  }
})

test('the history may have calls and results in the old form', async () => {
  const history = [
    ...messages,
    { role: 'assistant', content: null, function_call: { name: 'weather', arguments: '{"city":"Bern"}' } },
    { role: 'function', name: 'weather', content: 'Sunny, 20 degrees' },
  ]
  const { post, engine } = scripted(() => final('It is sunny.'))
  const { message } = (await jsonOf(post(chat, { ...request, messages: history }))).choices[0]
  assert.equal(message.content, 'It is sunny.')
  assert.match(engine.prompts[0]!, /to=functions\.weather.*\{"city":"Bern"\}<\|call\|>/)
  assert.match(engine.prompts[0]!, /functions\.weather to=assistant.*Sunny, 20 degrees/)
})

test('what makes no sense is refused by name', async () => {
  const { post } = scripted(() => final('x'))
  const tools = [{ type: 'function', function: time }]
  for (const [fields, param] of [
    [{ tools }, 'functions'],
    [{ functions: undefined, function_call: 'auto', tools }, 'functions'],
    [{ function_call: { name: 'nothing' } }, 'function_call.name'],
    [{ function_call: 'required' }, 'function_call'],
    [{ functions: [{ parameters: {} }] }, 'functions[0].name'],
    [{ functions: [weather, { ...weather }] }, 'functions[1].name'],
    [{ function_call: { name: 'weather' }, functions: [{ name: 'weather', parameters: { not: {} } }] }, 'functions[0].parameters'],
  ] as const) {
    const response = await post(chat, { ...request, ...fields })
    assert.equal(response.status, 400)
    assert.equal(((await response.json()) as Json).error.param, param)
  }
})
