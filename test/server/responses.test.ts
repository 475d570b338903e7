/** The responses endpoint on scripted ids: the object, the order of events, every way of sending reasoning back, the store. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits } from '../../src/server/http/limits.ts'
import { MemoryStore } from '../../src/server/responses/store.ts'
import { checkEventStack } from './event-stack.ts'
import { analysis, call, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const weather = { type: 'function', name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } }
const toolTurn = analysis('I need the weather.') + call('get_weather', '{"city":"Rome"}')
const twoTurns = (_: string, n: number) => (n === 0 ? toolTurn : final('Sunny.'))

test('a whole response has every required key', async () => {
  const { post } = scripted(() => analysis('Think.') + final('Hello.'))
  const body = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi' }))
  for (const key of [
    'id object created_at completed_at status incomplete_details model previous_response_id instructions output error tools',
    'tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature reasoning',
    'usage max_output_tokens max_tool_calls store background service_tier metadata safety_identifier prompt_cache_key',
  ].flatMap((line) => line.split(' ')))
    assert.ok(key in body, key)
  assert.equal(body.status, 'completed')
  assert.deepEqual(
    body.output.map((item: Json) => [item.type, item.status, item.content[0].type, item.content[0].text]),
    [
      ['reasoning', 'completed', 'reasoning_text', 'Think.'],
      ['message', 'completed', 'output_text', 'Hello.'],
    ],
  )
  assert.equal(body.output[1].phase, 'final_answer')
  assert.equal(body.parallel_tool_calls, false)
  assert.ok(body.usage.output_tokens_details.reasoning_tokens > 0)
})

test('a stream: events in the order that strict clients accept', async () => {
  const preamble = '<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant'
  const { post } = scripted(() => analysis('Think.') + preamble + call('get_weather', '{"city":"Rome"}'))
  const events = await eventsOf(await post('/v1/responses', { model: 'scripted', input: 'Hi', tools: [weather], stream: true }))
  assert.equal(events.at(-1)!.data, '[DONE]')
  assert.ok(events.slice(0, -1).every(({ event, data }) => event === data.type))
  const response = checkEventStack(events.slice(0, -1).map(({ data }) => data))
  assert.deepEqual(
    response.output.map((item: Json) => [item.type, item.phase]),
    [
      ['reasoning', undefined],
      ['message', 'commentary'],
      ['function_call', undefined],
    ],
  )
  assert.equal(response.output[2].arguments, '{"city":"Rome"}')
})

test('the end of the limit is incomplete, and so is its last item', async () => {
  const { post } = scripted(() => analysis('Think.') + final('A long answer'))
  const events = await eventsOf(await post('/v1/responses', { model: 'scripted', input: 'Hi', max_output_tokens: 40, stream: true }))
  const response = checkEventStack(events.slice(0, -1).map(({ data }) => data))
  assert.equal(events.at(-2)!.event, 'response.incomplete')
  assert.deepEqual(response.incomplete_details, { reason: 'max_output_tokens' })
  assert.equal(response.output.at(-1).status, 'incomplete')
  assert.equal(response.output[0].status, 'completed')
})

test('reasoning comes back by item, by reference, sealed, by previous response, and by call id alone', async () => {
  const back =
    /analysis<\|message\|>I need the weather\.<\|end\|>.*functions\.get_weather to=assistant<\|channel\|>commentary<\|message\|>sun/s
  const question = { role: 'user', content: 'Weather?' }
  const first = async (extra: object = {}) => {
    const server = scripted(twoTurns)
    const body = await jsonOf(server.post('/v1/responses', { model: 'scripted', input: [question], tools: [weather], ...extra }))
    const [reasoning, called] = body.output
    const result = { type: 'function_call_output', call_id: called.call_id, output: 'sun' }
    const again = async (input: Json[], more: object = {}) => {
      const response = await server.post('/v1/responses', { model: 'scripted', input, tools: [weather], ...more })
      assert.equal(response.status, 200, await response.clone().text())
      return server.engine.prompts.at(-1)!
    }
    return { server, body, reasoning, called, result, again }
  }
  {
    const { reasoning, called, result, again } = await first()
    assert.match(await again([question, reasoning, called, result]), back)
  }
  {
    const { reasoning, called, result, again } = await first()
    assert.match(await again([question, { type: 'item_reference', id: reasoning.id }, { ...called, id: undefined }, result]), back)
  }
  {
    const { body, result, again } = await first()
    assert.match(await again([{ ...result, output: [{ type: 'input_text', text: 'sun' }] }], { previous_response_id: body.id }), back)
  }
  {
    const { called, result, again } = await first({ store: false })
    assert.match(await again([question, called, result]), back)
  }
  {
    const { reasoning, called, result } = await first({ store: false, include: ['reasoning.encrypted_content'] })
    assert.ok(!reasoning.encrypted_content.includes('weather'))
    const bare = { type: 'reasoning', id: reasoning.id, summary: [], encrypted_content: reasoning.encrypted_content }
    const other = scripted(twoTurns) // cannot open the seal of the first process
    await other.post('/v1/responses', { model: 'scripted', input: [question, bare, called, result], tools: [weather] })
    assert.doesNotMatch(other.engine.prompts[0]!, /I need the weather/)
    const [a, b] = [scripted(twoTurns, 'harmony', { secret: 's' }), scripted(twoTurns, 'harmony', { secret: 's' })]
    const sealed = await jsonOf(
      a.post('/v1/responses', {
        model: 'scripted',
        input: [question],
        tools: [weather],
        store: false,
        include: ['reasoning.encrypted_content'],
      }),
    )
    const { id, encrypted_content } = sealed.output[0]
    await b.post('/v1/responses', {
      model: 'scripted',
      input: [
        question,
        { type: 'reasoning', id, summary: [], encrypted_content },
        sealed.output[1],
        { ...result, call_id: sealed.output[1].call_id },
      ],
      tools: [weather],
    })
    assert.match(b.engine.prompts[0]!, back)
  }
})

test('what is not stored cannot be continued, read or deleted; what is stored can', async () => {
  const { post, get, app } = scripted(() => final('ok'))
  const stored = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi' }))
  const unstored = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi', store: false }))
  assert.equal((await get(`/v1/responses/${stored.id}`)).status, 200)
  assert.equal((await get(`/v1/responses/${unstored.id}`)).status, 404)
  const refused = await post('/v1/responses', { model: 'scripted', input: 'Hi', previous_response_id: unstored.id })
  assert.equal(refused.status, 400)
  assert.equal((await jsonOf(refused)).error.code, 'previous_response_not_found')
  const items = await jsonOf(get(`/v1/responses/${stored.id}/input_items`))
  assert.equal(items.data[0].content[0].text, 'Hi')
  const replayed = await eventsOf(await get(`/v1/responses/${stored.id}?stream=true&starting_after=1`))
  assert.equal(replayed[0]!.data.sequence_number, 2)
  assert.equal(replayed.at(-2)!.data.response.output[0].id, stored.output[0].id)
  assert.equal((await post(`/v1/responses/${unstored.id}/cancel`, {})).status, 404)
  const remove = () => app.fetch(new Request(`http://localhost/v1/responses/${stored.id}`, { method: 'DELETE' }))
  assert.equal((await remove()).status, 200)
  assert.equal((await remove()).status, 404)
})

test('keys are tenants: one key cannot read, continue or refer to what another stored', async () => {
  const { post, get } = scripted(() => analysis('Secret.') + final('ok'), 'harmony', { apiKeys: ['alice', 'bob'] })
  const as = (key: string) => ({ authorization: `Bearer ${key}` })
  const body = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi' }, as('alice')))
  assert.equal((await get(`/v1/responses/${body.id}`, as('alice'))).status, 200)
  assert.equal((await get(`/v1/responses/${body.id}`, as('bob'))).status, 404)
  assert.equal((await post('/v1/responses', { model: 'scripted', input: 'Hi', previous_response_id: body.id }, as('bob'))).status, 400)
  const reference = [{ type: 'item_reference', id: body.output[0].id }]
  assert.equal((await post('/v1/responses', { model: 'scripted', input: reference }, as('bob'))).status, 404)
})

test('a background response outlives its request, is replayed from any event, and can be cancelled', async () => {
  const { post, get, engine } = scripted(() => final('x'.repeat(40)), 'harmony', { delayMs: 1 })
  const leaving = new AbortController()
  const stream = await post('/v1/responses', { model: 'scripted', input: 'Hi', background: true, stream: true }, {}, leaving.signal)
  const reader = stream.body!.getReader()
  const { id } = JSON.parse(/data: (.*)/.exec(new TextDecoder().decode((await reader.read()).value))![1]!).response
  await reader.cancel()
  leaving.abort()
  const events = (await eventsOf(await get(`/v1/responses/${id}?stream=true&starting_after=2`))).slice(0, -1)
  assert.equal(events[0]!.data.sequence_number, 3)
  assert.equal(events.at(-1)!.event, 'response.completed')
  assert.equal((await jsonOf(get(`/v1/responses/${id}`))).status, 'completed')

  const second = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi', background: true }))
  assert.equal(second.status, 'queued')
  assert.equal((await jsonOf(get(`/v1/responses/${second.id}`))).status, 'in_progress')
  const cancelled = await jsonOf(post(`/v1/responses/${second.id}/cancel`, {}))
  assert.equal(cancelled.status, 'cancelled')
  assert.equal(engine.running, 0)
})

test('a background response that is deleted while it runs does not come back', async () => {
  const { post, get, app, engine } = scripted(() => final('x'.repeat(400)), 'harmony', { delayMs: 1 })
  const { id } = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Secret', background: true }))
  const path = `/v1/responses/${id}`
  const deleted = await app.fetch(new Request(`http://localhost${path}`, { method: 'DELETE' }))
  assert.deepEqual([deleted.status, engine.running], [200, 0])
  await app.close(1_000)
  for (const each of [path, `${path}/input_items`, `${path}?stream=true`]) assert.equal((await get(each)).status, 404, each)
})

test('an unfinished response without a job can be cancelled', async () => {
  const store = new MemoryStore(defaultLimits)
  const { post, get } = scripted(() => final('ok'), 'harmony', { store })
  const id = `resp_${'0'.repeat(32)}`
  const response = { id, object: 'response', status: 'queued', background: true, output: [] }
  await store.put({ id, tenant: 'anonymous', storedAt: Date.now(), previousId: null, input: [], response })
  assert.equal((await jsonOf(get(`/v1/responses/${id}`))).status, 'queued')
  assert.equal((await jsonOf(post(`/v1/responses/${id}/cancel`, {}))).status, 'cancelled')
  assert.equal((await jsonOf(get(`/v1/responses/${id}`))).status, 'cancelled')
})

test('input may be left out where something is continued', async () => {
  const { post, engine } = scripted((_, n) => final(`answer ${n}`))
  const { id: conversation } = await jsonOf(post('/v1/conversations', { items: [{ role: 'user', content: 'asked before' }] }))
  const { id: previous } = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'asked first' }))
  for (const path of ['/v1/responses', '/v1/responses/compact'])
    for (const input of [undefined, null]) {
      for (const [fields, text] of [
        [{ conversation }, 'asked before'],
        [{ previous_response_id: previous }, 'asked first'],
      ] as const) {
        assert.equal((await post(path, { model: 'scripted', input, ...fields })).status, 200, path)
        assert.ok(engine.prompts.at(-1)!.includes(text), text)
      }
      const refused = await post(path, { model: 'scripted', input })
      const { error } = await jsonOf(refused)
      assert.deepEqual([refused.status, error.param], [400, 'input'])
      assert.match(error.message, /^input: expected a text or a list of items, received (null|nothing)/)
    }
})

test('input_tokens counts the prompt that a request would have; truncation drops the oldest turns', async () => {
  const { post, engine } = scripted(() => final('ok'), 'harmony', { context: 600 })
  const input = [
    { role: 'user', content: 'a'.repeat(400) },
    { role: 'assistant', content: 'b' },
    { role: 'user', content: 'c'.repeat(150) },
  ]
  const counted = await jsonOf(post('/v1/responses/input_tokens', { model: 'scripted', input: 'Hi' }))
  const used = await jsonOf(post('/v1/responses', { model: 'scripted', input: 'Hi' }))
  assert.equal(counted.input_tokens, used.usage.input_tokens)
  const refused = await post('/v1/responses', { model: 'scripted', input })
  assert.equal(refused.status, 400)
  assert.equal((await jsonOf(refused)).error.code, 'context_length_exceeded')
  assert.equal((await post('/v1/responses', { model: 'scripted', input, truncation: 'auto' })).status, 200)
  assert.ok(!engine.prompts.at(-1)!.includes('aaaa'))
})

test('a failure in the middle is one error event in both shapes and a failed response', async () => {
  const { post } = scripted(() => {
    throw new Error('the weights are on fire')
  })
  const response = await post('/v1/responses', { model: 'scripted', input: 'Hi', stream: true })
  const events = await eventsOf(response)
  const [error, failed] = events.slice(-3)
  assert.equal(error!.event, 'error')
  assert.equal(error!.data.message, error!.data.error.message)
  assert.equal(failed!.event, 'response.failed')
  assert.equal(failed!.data.response.status, 'failed')
  assert.ok(!JSON.stringify(events).includes('fire'))
})

test('compaction: a sealed summary stands for the conversation, for the key that asked', async () => {
  const script = (prompt: string) => final(prompt.includes('Summarise the conversation') ? 'Launch on Tuesday.' : 'ok')
  const { post, engine } = scripted(script, 'harmony', { apiKeys: ['a', 'b'] })
  const as = (key: string) => ({ 'x-api-key': key })
  const compacted = await jsonOf(post('/v1/responses/compact', { model: 'scripted', input: 'We launch on Tuesday.' }, as('a')))
  assert.equal(compacted.object, 'response.compaction')
  const [item] = compacted.output
  assert.ok(!item.encrypted_content.includes('Tuesday'))
  const input = [item, { role: 'user', content: 'When?' }]
  assert.equal((await post('/v1/responses', { model: 'scripted', input }, as('a'))).status, 200)
  assert.match(engine.prompts.at(-1)!, /Launch on Tuesday\./)
  assert.equal((await post('/v1/responses', { model: 'scripted', input }, as('b'))).status, 400)
  assert.equal((await post('/v1/responses/compact', { input: 'x' }, as('a'))).status, 400)
})
