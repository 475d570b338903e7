/** Custom tools of the Responses and chat APIs, calls and results of tools that only clients know, and items that are refused. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { analysis, call, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const patch = '*** Begin Patch\n+"héllo"\n*** End Patch'
const writes = call('apply_patch', JSON.stringify({ input: patch }))
const custom = { type: 'custom', name: 'apply_patch', description: 'Patches files.' }
const nested = { type: 'custom', custom: { name: 'apply_patch', description: 'Patches files.' } }
const hi = [{ role: 'user', content: 'Hi' }]

test('responses: a custom tool is offered, its call is an item with a text, streamed, replayed and continued', async () => {
  const { post, get, engine } = scripted((_, n) => (n < 2 ? analysis('Hm.') + writes : final('Patched.')))
  const asked = { model: 'scripted', input: 'Patch it', tools: [custom] }
  const events = (await eventsOf(await post('/v1/responses', { ...asked, stream: true }))).slice(0, -1).map(({ data }) => data)
  assert.match(engine.prompts[0]!, /Patches files\..*apply_patch/s)
  const types = events.map(({ type }) => type)
  const from = types.indexOf('response.custom_tool_call_input.delta')
  assert.deepEqual(types.slice(from, from + 3), [
    'response.custom_tool_call_input.delta',
    'response.custom_tool_call_input.done',
    'response.output_item.done',
  ])
  assert.equal(events[from].delta, patch)
  assert.equal(events[from + 1].input, patch)
  const { response } = events.at(-1)
  const item = response.output.at(-1)
  assert.deepEqual([item.type, item.name, item.input, item.status], ['custom_tool_call', 'apply_patch', patch, 'completed'])
  assert.deepEqual(response.tools, [custom])
  const replayed = await (await get(`/v1/responses/${response.id}?stream=true`)).text()
  assert.ok(replayed.includes('response.custom_tool_call_input.done'))

  const output = { type: 'custom_tool_call_output', call_id: item.call_id, output: 'PATCHED' }
  const whole = await jsonOf(post('/v1/responses', { ...asked, input: [output], previous_response_id: response.id }))
  assert.equal(whole.output.at(-1).type, 'custom_tool_call')
  for (const text of ['PATCHED', 'Begin Patch', 'Hm.']) assert.ok(engine.prompts.at(-1)!.includes(text), text)
  const own = [...hi, item, { ...output, output: [{ type: 'input_text', text: 'PATCHED' }] }]
  const last = await jsonOf(post('/v1/responses', { ...asked, input: own }))
  assert.equal(last.output.at(-1).content[0].text, 'Patched.')
})

test('chat completions: the same tools in their form there', async () => {
  const { post, engine } = scripted((_, n) => (n < 2 ? writes : final('Patched.')))
  const asked = { model: 'scripted', messages: hi, tools: [nested] }
  const { message, finish_reason } = (await jsonOf(post('/v1/chat/completions', asked))).choices[0]
  assert.equal(finish_reason, 'tool_calls')
  assert.deepEqual({ ...message.tool_calls[0], id: '' }, { id: '', type: 'custom', custom: { name: 'apply_patch', input: patch } })
  const chunks = (await eventsOf(await post('/v1/chat/completions', { ...asked, stream: true }))).slice(0, -1)
  const calls = chunks.flatMap(({ data }) => data.choices[0].delta.tool_calls ?? [])
  assert.deepEqual(
    calls.map(({ index, type }: Json) => [index, type]),
    [
      [0, 'custom'],
      [0, undefined],
    ],
  )
  assert.equal(calls.map((each: Json) => each.custom.input).join(''), patch)
  const messages = [...hi, message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'PATCHED' }]
  await post('/v1/chat/completions', { ...asked, messages })
  assert.ok(engine.prompts.at(-1)!.includes('PATCHED') && engine.prompts.at(-1)!.includes('Begin Patch'))
})

test('a forced custom tool is called, a regular expression or a grammar of Lark holds its input and is told', async () => {
  const { post, engine } = scripted(() => final('I would rather not.'))
  const number = { type: 'grammar', syntax: 'regex', definition: '[0-9]{3}' }
  const tool = { ...custom, format: number }
  const body = {
    model: 'scripted',
    input: 'Go',
    max_output_tokens: 200,
    tools: [tool],
    tool_choice: { type: 'custom', name: 'apply_patch' },
  }
  const { output } = await jsonOf(post('/v1/responses', body))
  assert.match(output.at(-1).input, /^[0-9]{3}$/)
  const chat = await jsonOf(
    post('/v1/chat/completions', {
      model: 'scripted',
      messages: hi,
      max_tokens: 200,
      tools: [{ type: 'custom', custom: { name: 'apply_patch', format: number } }],
      tool_choice: { type: 'custom', custom: { name: 'apply_patch' } },
    }),
  )
  assert.match(chat.choices[0].message.tool_calls[0].custom.input, /^[0-9]{3}$/)
  const lark = { type: 'grammar', syntax: 'lark', definition: 'start: "x \\"" WORD "\\n" | "y"\n%import common.WORD' }
  const held = await jsonOf(post('/v1/responses', { ...body, tools: [{ ...custom, format: lark }] }))
  assert.match(held.output.at(-1).input, /^(x "[a-zA-Z]+\n|y)$/)
  assert.ok(engine.prompts.at(-1)!.includes('%import common.WORD'))
  // Calls that the model makes by itself are held, too.
  const { post: own } = scripted(() => call('apply_patch', '{"input": "z"}'))
  const free = await jsonOf(own('/v1/responses', { ...body, tools: [{ ...custom, format: lark }], tool_choice: 'auto' }))
  assert.match(free.output.at(-1).input, /^(x "[a-zA-Z]+\n|y)$/)
})

test('a grammar of Lark that cannot be enforced is refused by name', async () => {
  const { post } = scripted(() => final('ok'))
  const format = { type: 'grammar', syntax: 'lark', definition: 'start: A\nA.3: "a"' }
  const chat = await post('/v1/chat/completions', {
    model: 'scripted',
    messages: hi,
    tools: [{ type: 'custom', custom: { name: 'p', format } }],
  })
  const response = await post('/v1/responses', { model: 'scripted', input: 'Go', tools: [{ ...custom, format }] })
  for (const [answer, field] of [
    [chat, 'tools[0].custom.format'],
    [response, 'tools[0].format'],
  ] as const) {
    const { error } = await jsonOf(answer)
    assert.deepEqual([answer.status, error.code, error.param], [400, 'unsupported_form', field])
    assert.match(error.message, /priorities are not supported \(line 2/)
  }
  const grammar = 'start: "yes" | "no"'
  const plain = await jsonOf(post('/v1/chat/completions', { model: 'scripted', messages: hi, structured_outputs: { grammar } }))
  assert.match(plain.choices[0].message.content, /^(yes|no)$/)
})

/** Items that carry text, and what of it the model must see. */
const carried: [string, object[], string[]][] = [
  [
    'local_shell',
    [
      { type: 'local_shell_call', call_id: 'c', status: 'completed', action: { type: 'exec', command: ['ls', '-l'] } },
      { type: 'local_shell_call_output', id: 'c', output: 'a.txt' },
    ],
    ['"ls"', 'a.txt', 'local_shell'],
  ],
  [
    'shell',
    [
      { type: 'shell_call', call_id: 'c', action: { commands: ['pwd'] } },
      { type: 'shell_call_output', call_id: 'c', output: [{ stdout: '/tmp', stderr: '', outcome: { type: 'exit', exit_code: 0 } }] },
    ],
    ['pwd', '/tmp'],
  ],
  [
    'apply_patch',
    [
      { type: 'apply_patch_call', call_id: 'c', operation: { type: 'delete_file', path: 'x.ts' } },
      { type: 'apply_patch_call_output', call_id: 'c', status: 'completed', output: 'gone' },
    ],
    ['delete_file', 'x.ts', 'gone'],
  ],
  [
    'custom',
    [
      { type: 'custom_tool_call', call_id: 'c', name: 'apply_patch', input: 'PATCH' },
      { type: 'custom_tool_call_output', call_id: 'c', output: 'PATCHED' },
    ],
    ['PATCH', 'PATCHED'],
  ],
  [
    'a server of tools',
    [{ type: 'mcp_call', id: 'mcp_1', server_label: 's', name: 'find', arguments: '{"q":"needle"}', output: 'hay' }],
    ['needle', 'hay'],
  ],
  [
    'a failed server of tools',
    [{ type: 'mcp_call', id: 'mcp_1', name: 'find', arguments: '{}', output: null, error: { message: 'down' } }],
    ['find', 'down'],
  ],
]
for (const [name, items, texts] of carried)
  test(`responses: calls and results of ${name} reach the model`, async () => {
    const { post, engine } = scripted(() => final('ok'))
    const response = await post('/v1/responses', { model: 'scripted', input: [...hi, ...items], tools: [custom] })
    assert.equal(response.status, 200, await response.text())
    for (const text of texts) assert.ok(engine.prompts.at(-1)!.includes(text), `${text} in ${engine.prompts.at(-1)}`)
  })

for (const type of [
  'mesage',
  'web_search_call',
  'computer_call',
  'file_search_call',
  'image_generation_call',
  'mcp_approval_request',
  'toString',
])
  test(`responses: an item of the type ${type} is refused by name`, async () => {
    const { post } = scripted(() => final('ok'))
    for (const path of ['/v1/responses', '/v1/responses/input_tokens']) {
      const response = await post(path, { model: 'scripted', input: [...hi, { type, role: 'user', content: 'lost text' }] })
      const { error } = await jsonOf(response)
      assert.deepEqual([response.status, error.code, error.param], [400, 'unsupported_item', 'input[1].type'])
      assert.ok(error.message.includes(type))
    }
  })

test('a choice of a tool that does not exist here says what there is', async () => {
  const { post } = scripted(() => final('ok'))
  const { error } = await jsonOf(
    post('/v1/responses', { model: 'scripted', input: 'Hi', tools: [custom], tool_choice: { type: 'web_search' } }),
  )
  assert.match(error.message, /tool_choice\.type: .*"function".*"custom".*"allowed_tools"/)
})
