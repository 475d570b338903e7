/** Anthropic's API: what goes into the prompt, the message, the events of its stream, the count, and errors in its form. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { analysis, call, counting, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const hi = { model: 'scripted', max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] }
const weather = { name: 'get_weather', description: 'Weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }
const thinking = { type: 'enabled', budget_tokens: 1024 }

test('a whole message: blocks, stop reason, usage', async () => {
  const { post } = scripted(() => analysis('Hm.') + final('Hello.'))
  const plain = await jsonOf(post('/v1/messages', hi))
  assert.match(plain.id, /^msg_/)
  const { id: _, usage, ...rest } = plain
  assert.deepEqual(rest, {
    type: 'message',
    role: 'assistant',
    model: 'scripted',
    content: [{ type: 'text', text: 'Hello.' }], // thinking is shown only where the request enables it
    stop_reason: 'end_turn',
    stop_sequence: null,
  })
  const count = await jsonOf(post('/v1/messages/count_tokens', { model: 'scripted', messages: hi.messages }))
  assert.equal(usage.input_tokens + usage.cache_read_input_tokens, count.input_tokens)
  assert.ok(usage.output_tokens > 0 && usage.cache_creation_input_tokens === 0)

  const thought = await jsonOf(post('/v1/messages', { ...hi, thinking }))
  assert.deepEqual(
    thought.content.map(({ type }: Json) => type),
    ['thinking', 'text'],
  )
  assert.equal(thought.content[0].thinking, 'Hm.')
  assert.ok(thought.content[0].signature.length > 0)
})

const endings: [string, string, object, string, string | null][] = [
  ['the model ends', final('Hello.'), {}, 'end_turn', null],
  ['the limit of tokens', final(counting(500)), { max_tokens: 20 }, 'max_tokens', null],
  ['a stop text', final('one two three'), { stop_sequences: ['zz', ' two'] }, 'stop_sequence', ' two'],
  ['the earlier of two stop texts', final('one two three'), { stop_sequences: ['three', 'two'] }, 'stop_sequence', 'two'],
  ['a call', call('get_weather', '{"city":"Rome"}'), { tools: [weather] }, 'tool_use', null],
]
for (const [name, script, fields, reason, stop] of endings)
  test(`stop_reason: ${name}`, async () => {
    const { post } = scripted(() => script)
    const body = await jsonOf(post('/v1/messages', { ...hi, ...fields }))
    assert.deepEqual([body.stop_reason, body.stop_sequence], [reason, stop], JSON.stringify(body))
    const events = await eventsOf(await post('/v1/messages', { ...hi, ...fields, stream: true }))
    const { delta } = events.at(-2)!.data
    assert.deepEqual(delta, { stop_reason: reason, stop_sequence: stop })
  })

test('the stream opens, fills and closes one block after the other, and says the same as the whole message', async () => {
  const script = analysis('Think.') + call('get_weather', '{"city": "Rome", "days": 1.0}')
  const { post } = scripted(() => script)
  const asked = { ...hi, tools: [weather], thinking }
  const events = await eventsOf(await post('/v1/messages', { ...asked, stream: true }))
  assert.ok(events.every(({ event, data }) => event === data.type))
  const types = events.map(({ data }) => (data.delta?.type ? `${data.type} ${data.delta.type}` : data.type))
  assert.deepEqual(
    types.filter((type, i) => type !== types[i - 1]),
    [
      'message_start',
      'content_block_start',
      'content_block_delta thinking_delta',
      'content_block_delta signature_delta',
      'content_block_stop',
      'content_block_start',
      'content_block_delta input_json_delta',
      'content_block_stop',
      'message_delta',
      'message_stop',
    ],
  )
  const json = events.map(({ data }) => data.delta?.partial_json ?? '').join('')
  const whole = await (await post('/v1/messages', asked)).text()
  assert.match(whole, /"input":\{"city":"Rome","days":1\.0\}/) // the spelling of the number survives
  assert.deepEqual(JSON.parse(json), JSON.parse(whole).content[1].input)
  assert.deepEqual(events.at(-2)!.data.delta.stop_reason, 'tool_use')
  assert.equal(events[0]!.data.message.usage.output_tokens, 0)
  assert.ok(events.at(-2)!.data.usage.output_tokens > 0)
})

test('a tool loop: the call, its result and the thinking reach the prompt', async () => {
  const { post, engine } = scripted((_, n) => (n === 0 ? analysis('I look.') + call('get_weather', '{"city":"Rome"}') : final('Sunny.')))
  const first = await jsonOf(post('/v1/messages', { ...hi, tools: [weather], thinking }))
  const result = (id: string, more: object) => ({
    role: 'user',
    content: [
      { type: 'tool_result', tool_use_id: id, content: [{ type: 'text', text: '21 degrees' }], ...more },
      { type: 'text', text: 'So?' },
    ],
  })
  const { id } = first.content[1]
  const conversation = [...hi.messages, { role: 'assistant', content: first.content }, result(id, {})]
  const second = await jsonOf(post('/v1/messages', { ...hi, tools: [weather], messages: conversation }))
  assert.equal(second.content[0].text, 'Sunny.', JSON.stringify(second))
  const prompt = engine.prompts.at(-1)!
  for (const text of ['I look.', '{"city":"Rome"}', '21 degrees', 'So?']) assert.ok(prompt.includes(text), text)

  const bad = [...hi.messages, { role: 'assistant', content: first.content.slice(1) }, result(id, { is_error: true })]
  await post('/v1/messages', { ...hi, tools: [weather], messages: bad })
  assert.ok(engine.prompts.at(-1)!.includes('Error: 21 degrees'))
  assert.ok(engine.prompts.at(-1)!.includes('I look.'), 'thinking that the client left out is put back')
})

test('omitted thinking travels in its signature', async () => {
  const { post, engine } = scripted((_, n) => (n === 0 ? analysis('Secret.') + call('get_weather', '{}') : final('Done.')))
  const first = await jsonOf(post('/v1/messages', { ...hi, tools: [weather], thinking: { type: 'adaptive', display: 'omitted' } }))
  const [block, use] = first.content
  assert.equal(block.thinking, '')
  assert.ok(!JSON.stringify(first).includes('Secret'))
  const content = [block, { ...use, id: 'toolu_other' }]
  const messages = [
    ...hi.messages,
    { role: 'assistant', content },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_other' }] },
  ]
  await post('/v1/messages', { ...hi, tools: [weather], messages })
  assert.ok(engine.prompts.at(-1)!.includes('Secret.'))
})

const prompts: [string, object, RegExp][] = [
  ['system as a text', { system: 'Be brief.' }, /Be brief\./],
  [
    'system as blocks',
    {
      system: [
        { type: 'text', text: 'One.', cache_control: { type: 'ephemeral' } },
        { type: 'text', text: 'Two.' },
      ],
    },
    /One\.\n\nTwo\./,
  ],
  [
    'no line of billing',
    {
      system: [
        { type: 'text', text: 'x-anthropic-billing-header: cc=1' },
        { type: 'text', text: 'Two.' },
      ],
    },
    /^(?!.*billing).*Two\./s,
  ],
  [
    'a document of text',
    {
      messages: [
        { role: 'user', content: [{ type: 'document', title: 'T', source: { type: 'text', media_type: 'text/plain', data: 'D' } }] },
      ],
    },
    /T\nD/,
  ],
  [
    'a search result',
    { messages: [{ role: 'user', content: [{ type: 'search_result', title: 'T', source: 'S', content: [{ type: 'text', text: 'C' }] }] }] },
    /T\nS\nC/,
  ],
  [
    'an answer that has begun',
    { messages: [...hi.messages, { role: 'assistant', content: 'The answer is' }] },
    /final<\|message\|>The answer is$/,
  ],
  ['effort', { thinking: { type: 'adaptive' }, output_config: { effort: 'high' } }, /Reasoning: high/],
  ['tool_choice none', { tools: [weather], tool_choice: { type: 'none' } }, /^(?!.*get_weather)/s],
]
for (const [name, fields, wanted] of prompts)
  test(`the prompt: ${name}`, async () => {
    const { post, engine } = scripted(() => final('ok'))
    const response = await post('/v1/messages', { ...hi, ...fields })
    assert.equal(response.status, 200, await response.text())
    assert.match(engine.prompts.at(-1)!, wanted)
  })

test('tool_choice and schemas are enforced', async () => {
  const { post } = scripted(() => final('{"a":1}') + counting(50))
  const forced = await jsonOf(post('/v1/messages', { ...hi, tools: [weather], tool_choice: { type: 'tool', name: 'get_weather' } }))
  assert.deepEqual([forced.content.at(-1).type, forced.content.at(-1).name], ['tool_use', 'get_weather'])
  const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }
  for (const fields of [
    { output_config: { format: { type: 'json_schema', schema } } },
    { output_format: { type: 'json_schema', schema } },
  ]) {
    const answer = await jsonOf(post('/v1/messages', { ...hi, ...fields }))
    assert.equal(typeof JSON.parse(answer.content[0].text).a, 'number')
  }
})

const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: '' } }
const refused: [string, object, number, string, RegExp][] = [
  ['no max_tokens', { max_tokens: undefined }, 400, 'invalid_request_error', /max_tokens/],
  ['no messages', { messages: [] }, 400, 'invalid_request_error', /messages/],
  ['an unknown model', { model: 'claude' }, 404, 'not_found_error', /claude/],
  ['an image', { messages: [{ role: 'user', content: [image] }] }, 400, 'invalid_request_error', /messages\[0\]\.content\[0\].*"image"/],
  [
    'a PDF',
    { messages: [{ role: 'user', content: [{ type: 'document', source: { type: 'base64', data: '' } }] }] },
    400,
    'invalid_request_error',
    /base64/,
  ],
  [
    'a tool of the server',
    { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
    400,
    'invalid_request_error',
    /web_search_20250305/,
  ],
  ['servers of tools', { mcp_servers: [{ url: 'x' }] }, 400, 'invalid_request_error', /mcp_servers/],
  ['a container', { container: 'c' }, 400, 'invalid_request_error', /container/],
  [
    'an edit of the context',
    { context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } },
    400,
    'invalid_request_error',
    /edits\[0\]/,
  ],
  ['a field that changes answers', { mirostat: 2 }, 400, 'invalid_request_error', /mirostat/],
  [
    'a result of no call',
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x', content: 'y' }] }] },
    400,
    'invalid_request_error',
    /x/,
  ],
  ['a tool that does not exist', { tools: [weather], tool_choice: { type: 'tool', name: 'other' } }, 400, 'invalid_request_error', /other/],
]
for (const [name, fields, status, type, message] of refused)
  test(`refused in Anthropic's form: ${name}`, async () => {
    const { post } = scripted(() => final('ok'))
    const response = await post('/v1/messages', { ...hi, ...fields })
    const body = await jsonOf(response)
    assert.equal(response.status, status, JSON.stringify(body))
    assert.deepEqual([body.type, body.error.type, body.request_id], ['error', type, response.headers.get('x-request-id')])
    assert.match(body.error.message, message)
  })

test('without a key, too long, and an error in a stream: the same form', async () => {
  const keyed = scripted(() => final('ok'), 'harmony', { apiKeys: ['k'] })
  const denied = await keyed.post('/v1/messages', hi)
  assert.deepEqual([denied.status, (await jsonOf(denied)).error.type], [401, 'authentication_error'])
  const allowed = await keyed.post('/v1/messages', hi, { 'x-api-key': 'k' })
  assert.equal(allowed.status, 200)

  const { post } = scripted(() => final('ok'), 'harmony', { context: 200 })
  const long = await post('/v1/messages', { ...hi, messages: [{ role: 'user', content: 'x'.repeat(300) }] })
  assert.equal(long.status, 400)
  assert.match((await jsonOf(long)).error.message, /prompt is too long/)

  const failing = scripted(() => {
    throw new Error('broken')
  })
  const events = await eventsOf(await failing.post('/v1/messages', { ...hi, stream: true }))
  assert.deepEqual([events.at(-1)!.event, events.at(-1)!.data.error.type], ['error', 'api_error'])
})

test('recalled thinking stands before the preamble, as the model wrote it', async () => {
  const written = `${analysis('I look.')}<|channel|>commentary<|message|>Wait.<|end|><|start|>assistant${call('get_weather', '{"city":"Rome"}')}`
  const { post, engine } = scripted((_, n) => (n === 0 ? written : final('Sunny.')))
  const { content } = await jsonOf(post('/v1/messages', { ...hi, max_tokens: 500, tools: [weather] }))
  assert.deepEqual(
    content.map(({ type }: Json) => type),
    ['text', 'tool_use'],
  )
  const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: content[1].id, content: '21 degrees' }] }
  await post('/v1/messages', { ...hi, tools: [weather], messages: [...hi.messages, { role: 'assistant', content }, result] })
  assert.match(engine.prompts[1]!, /analysis<\|message\|>I look\..*commentary<\|message\|>Wait\..*to=functions\.get_weather/s)
})

test('arguments that are no object become one, which the server reads again', async () => {
  for (const args of ['[1]', '"x"', '3', 'null', '{"a": oops']) {
    const { post } = scripted((_, n) => (n === 0 ? call('get_weather', args) : final('ok')))
    const { content } = await jsonOf(post('/v1/messages', { ...hi, tools: [weather] }))
    assert.deepEqual(content[0].input, { input: args })
    const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: content[0].id, content: 'r' }] }
    const again = await post('/v1/messages', {
      ...hi,
      tools: [weather],
      messages: [...hi.messages, { role: 'assistant', content }, result],
    })
    assert.equal(again.status, 200, args)
  }
})
