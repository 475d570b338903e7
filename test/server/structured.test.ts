/** Structured output and forced tools on scripted ids: whatever the model writes, a complete answer parses and validates. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { analysis, call, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const schema = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer', minimum: 0, maximum: 150 } },
  required: ['name', 'age'],
  additionalProperties: false,
}
const valid = new Ajv2020({ strict: false }).compile(schema)
const user = [{ role: 'user', content: 'Who?' }]
const format = { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } }
const chat = '/v1/chat/completions'
const f = { type: 'function', function: { name: 'f', parameters: schema } }
const g = {
  type: 'function',
  function: {
    name: 'g.h',
    parameters: { type: 'object', properties: { x: { type: 'boolean' } }, required: ['x'], additionalProperties: false },
  },
}
const good = '{"name":"Ada","age":36}'

test('a schema constrains the final text, not the reasoning, and is in the prompt', async () => {
  const { post, engine } = scripted(() => analysis('Free {thought, not JSON') + final(good))
  const body = await jsonOf(post(chat, { model: 'scripted', messages: user, response_format: format }))
  assert.equal(body.choices[0].message.content, good)
  assert.equal(body.choices[0].message.reasoning, 'Free {thought, not JSON')
  assert.equal(body.choices[0].finish_reason, 'stop')
  assert.match(engine.prompts[0]!, /# Response Formats\n\n## person\n\n\{"type":"object"/)
  const response = await jsonOf(
    post('/v1/responses', { model: 'scripted', input: 'Who?', text: { format: { type: 'json_schema', name: 'person', schema } } }),
  )
  assert.equal(response.output[1].content[0].text, good)
})

test('a stop text inside of the document cuts it, and what is cut is never called complete', async () => {
  const { post } = scripted(() => analysis('No } here.') + final(good))
  const answer = async (stop: string[]) => {
    const { choices } = await jsonOf(post(chat, { model: 'scripted', messages: user, response_format: format, stop }))
    return [choices[0].message.content, choices[0].finish_reason]
  }
  assert.deepEqual(await answer(['36']), ['{"name":"Ada","age":', 'length'])
  assert.deepEqual(await answer(['}']), ['{"name":"Ada","age":36', 'length'])
  assert.deepEqual(await answer(['}!', 'Eve']), [good, 'stop'])
})

const disobedient: Record<string, string> = {
  'plain text': final('I am Ada and I am 36.'),
  'no channel': '<|message|>Ada!<|return|>',
  'a bare refusal': "I'm sorry, but I cannot do that.<|end|>",
  'a bare refusal that stops': 'No.<|return|>',
  'a preamble first': `<|channel|>commentary<|message|>Let me see.<|end|><|start|>assistant${final('{"name":1}')}`,
  'text after the reasoning': analysis('Hm.').replace('<|start|>assistant', 'and so on'),
  'an end at once': '<|return|>',
  'a call of nothing': call('nothing', '{"a":1}'),
  fences: analysis('Hm.') + final('```json\n{"name":"Ada","age":36}\n```'),
  'a long header': 'a b c d e f g h i j k l m n o p q r s t u v w x y z '.repeat(3),
  'too old': analysis('Hm.') + final('{"name":"Methuselah","age":969}'),
}
for (const [what, script] of Object.entries(disobedient)) {
  test(`a model that writes ${what} still gives a valid document`, async () => {
    const { post } = scripted(() => script)
    const body = await jsonOf(post(chat, { model: 'scripted', messages: user, response_format: format, max_tokens: 400 }))
    const { message, finish_reason } = body.choices[0]
    assert.equal(finish_reason, 'stop', JSON.stringify(message))
    assert.ok(valid(JSON.parse(message.content)), message.content)
    const events = await eventsOf(
      await post(chat, { model: 'scripted', messages: user, response_format: format, max_tokens: 400, stream: true }),
    )
    assert.equal(events.map(({ data }) => data.choices?.[0].delta.content ?? '').join(''), message.content)
  })
}

test('Qwen and base models: after the thinking, or at once', async () => {
  const request = { model: 'scripted', messages: user, response_format: format }
  const thinking = scripted(() => `Hm {\n</think>\n\n${good}<|im_end|>`, 'qwen')
  const one = (await jsonOf(thinking.post(chat, request))).choices[0].message
  assert.ok(valid(JSON.parse(one.content)), one.content)
  assert.equal(one.reasoning, 'Hm {')
  const off = scripted(() => 'Sure! <tool_call>', 'qwen')
  const two = (await jsonOf(off.post(chat, { ...request, chat_template_kwargs: { enable_thinking: false } }))).choices[0].message
  assert.ok(valid(JSON.parse(two.content)), two.content)
  const base = scripted(() => 'Once upon a time', 'plain')
  assert.ok(valid(JSON.parse((await jsonOf(base.post(chat, request))).choices[0].message.content)))
})

test('an answer cut by the limit is never called complete, and documents are made to fit the limit', async () => {
  const cut = scripted(() => analysis('A thought that takes all there is.') + final(good))
  const body = await jsonOf(cut.post(chat, { model: 'scripted', messages: user, response_format: format, max_tokens: 30 }))
  assert.equal(body.choices[0].finish_reason, 'length')
  const long = scripted(() => analysis('Hm.') + final(`{"name":"${'Ada '.repeat(500)}`))
  for (const max_tokens of [80, 120]) {
    const { message, finish_reason } = (
      await jsonOf(long.post(chat, { model: 'scripted', messages: user, response_format: format, max_tokens }))
    ).choices[0]
    assert.equal(finish_reason, 'stop')
    assert.ok(valid(JSON.parse(message.content)), message.content)
  }
})

test('json_object gives an object; schemas that cannot be kept are refused with their path', async () => {
  const { post, engine } = scripted(() => final('["no", "array"]'))
  const body = await jsonOf(post(chat, { model: 'scripted', messages: user, response_format: { type: 'json_object' } }))
  assert.ok(JSON.parse(body.choices[0].message.content).constructor === Object)
  const count = engine.prompts.length
  const refused = async (bad: Json) => {
    const response = await post(chat, {
      model: 'scripted',
      messages: user,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: bad } },
    })
    assert.equal(response.status, 400, JSON.stringify(bad))
    return (await jsonOf(response)).error
  }
  const error = await refused({
    type: 'object',
    properties: { a: { type: 'string', contentEncoding: 'base64', unknownKeyword: 1, not: {} } },
  })
  assert.match(error.message, /\/properties\/a\//)
  assert.equal(error.param, 'response_format.json_schema.schema')
  assert.equal(error.code, 'unsupported_schema')
  await refused({ type: 'nothing' })
  await refused({ type: 'string', pattern: '(a+)+$\\1' })
  await refused({ enum: ['x'.repeat(70_000)] })
  let deep: Json = { type: 'string' }
  for (let i = 0; i < 20; i++) deep = { type: 'array', items: deep }
  await refused({
    type: 'object',
    properties: { deep: { properties: { deeper: deep } } },
    additionalProperties: { anyOf: [{ properties: { d: deep } }] },
  })
  for (const response_format of [
    { type: 'json_schema', json_schema: { name: 'x' } },
    { type: 'json_schema', json_schema: { name: 'x', schema: 3 } },
    { type: 'json_schema' },
  ])
    assert.equal((await post(chat, { model: 'scripted', messages: user, response_format })).status, 400)
  assert.equal(engine.prompts.length, count)
})

test('regular expressions of schemas (CVE-2025-48887, CVE-2025-48943): exponential patterns cost nothing', async () => {
  const { post } = scripted(() => final(`{"a":"${'a'.repeat(60)}!"}`))
  const evil = { type: 'object', properties: { a: { type: 'string', pattern: '^(a+)+$' } }, required: ['a'], additionalProperties: false }
  const started = performance.now()
  const body = await jsonOf(
    post(chat, { model: 'scripted', messages: user, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: evil } } }),
  )
  assert.match(JSON.parse(body.choices[0].message.content).a, /^a+$/)
  assert.ok(performance.now() - started < 2_000)
  const many = (pattern: (i: number) => string) => ({
    type: 'object',
    properties: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`p${i}`, { type: 'string', pattern: pattern(i) }])),
  })
  const status = async (schema: object) => {
    const response_format = { type: 'json_schema', json_schema: { name: 'x', schema } }
    return (await post(chat, { model: 'scripted', messages: user, response_format })).status
  }
  assert.equal(await status(many((i) => `^(a|b){1,${i + 1}}$`)), 400)
  assert.equal(await status(many(() => '^(a|b){1,10}$')), 200, 'equal patterns are compiled once')
})

for (const kind of ['harmony', 'qwen'] as const) {
  const think = kind === 'harmony' ? analysis('Hm.') : 'Hm.\n</think>\n\n'
  test(`${kind}: a named tool is called whatever the model wants`, async () => {
    for (const script of [
      think + (kind === 'harmony' ? final('No.') : 'No.<|im_end|>'),
      kind === 'harmony' ? 'nonsense' : 'nonsense</think>',
      `${think}<tool_call>\n{"name": "g.h", "arguments": {}}`,
      kind === 'harmony' ? call('g_h', '{"x":true}') : '</think>',
    ]) {
      const { post } = scripted(() => script, kind)
      const body = await jsonOf(
        post(chat, {
          model: 'scripted',
          messages: user,
          tools: [f, g],
          tool_choice: { type: 'function', function: { name: 'f' } },
          max_tokens: 600,
        }),
      )
      const { message, finish_reason } = body.choices[0]
      assert.equal(finish_reason, 'tool_calls', JSON.stringify(message))
      assert.deepEqual(
        message.tool_calls.map((one: Json) => one.function.name),
        ['f'],
      )
      assert.ok(valid(JSON.parse(message.tool_calls[0].function.arguments)), message.tool_calls[0].function.arguments)
      assert.equal(message.content, null)
    }
  })

  test(`${kind}: required lets the model choose among the tools, allowed_tools among some`, async () => {
    const wanted =
      kind === 'harmony'
        ? ' to=functions.g_h<|channel|>commentary <|constrain|>json<|message|>{"x":false}'
        : '<tool_call>\n{"name": "g.h", "arguments": {"x":false}}\n</tool_call><|im_end|>'
    const { post } = scripted(() => think + wanted, kind)
    const required = await jsonOf(post(chat, { model: 'scripted', messages: user, tools: [f, g], tool_choice: 'required' }))
    assert.deepEqual(
      required.choices[0].message.tool_calls.map((one: Json) => [one.function.name, JSON.parse(one.function.arguments)]),
      [['g.h', { x: false }]],
    )
    const allowed = { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'f' } }] } }
    const some = await jsonOf(post(chat, { model: 'scripted', messages: user, tools: [f, g], tool_choice: allowed }))
    assert.deepEqual(
      some.choices[0].message.tool_calls.map((one: Json) => one.function.name),
      ['f'],
    )
  })

  test(`${kind}: strict tools keep their schema in calls the model makes by itself`, async () => {
    const wrong = '{"name": 5, "years": "many"}'
    const script =
      kind === 'harmony'
        ? think + call('f', wrong)
        : `<think>\n${think}<tool_call>\n{"name": "f", "arguments": ${wrong}}\n</tool_call><|im_end|>`
    const { post } = scripted(() => script, kind)
    const strict = { type: 'function', function: { ...f.function, strict: true } }
    const body = await jsonOf(post(chat, { model: 'scripted', messages: user, tools: [strict] }))
    const { message } = body.choices[0]
    assert.equal(message.tool_calls.length, 1, JSON.stringify(message))
    assert.ok(valid(JSON.parse(message.tool_calls[0].function.arguments)), message.tool_calls[0].function.arguments)
    const loose = await jsonOf(post(chat, { model: 'scripted', messages: user, tools: [f] }))
    assert.equal(loose.choices[0].message.tool_calls[0].function.arguments, wrong)
  })

  test(`${kind}: with a schema and tools the model calls or answers, and both are kept`, async () => {
    const answers = scripted(() => think + (kind === 'harmony' ? final(good) : `${good}<|im_end|>`), kind)
    const one = (await jsonOf(answers.post(chat, { model: 'scripted', messages: user, tools: [f], response_format: format }))).choices[0]
    assert.equal(one.message.content, good)
    const calls = scripted(
      () =>
        think +
        (kind === 'harmony'
          ? ' to=functions.f<|channel|>commentary <|constrain|>json<|message|>{"name":"B"}<|call|>'
          : '<tool_call>\n{"name": "f", "arguments": {"name":"B"}}\n</tool_call><|im_end|>'),
      kind,
    )
    const two = (await jsonOf(calls.post(chat, { model: 'scripted', messages: user, tools: [f], response_format: format }))).choices[0]
    assert.equal(two.finish_reason, 'tool_calls', JSON.stringify(two))
    assert.equal(two.message.tool_calls[0].function.name, 'f')
  })
}

test('harmony: with a schema and tools the model may put the channel first, write a preamble, or nonsense', async () => {
  const ask = async (script: string) => {
    const { post } = scripted(() => script)
    return (await jsonOf(post(chat, { model: 'scripted', messages: user, tools: [f], response_format: format, max_tokens: 400 })))
      .choices[0]
  }
  const preamble = '<|channel|>commentary<|message|>I will look.<|end|><|start|>assistant'
  for (const script of [
    analysis('Hm.') + call('f', '{"name":"B"}'),
    analysis('Hm.') + preamble + call('f', '{"name":"B"}'),
    call('f', '{"name":"B"}'),
  ]) {
    const { message, finish_reason } = await ask(script)
    assert.equal(finish_reason, 'tool_calls', JSON.stringify(message))
    assert.deepEqual([message.content, message.tool_calls[0].function], [null, { name: 'f', arguments: '{"name":"B"}' }])
  }
  for (const script of [
    analysis('Hm.') + preamble + final(good),
    analysis('Hm.') + 'No header at all, just words and words and more words.',
    'Words.<|end|>'.repeat(20),
  ]) {
    const { message, finish_reason } = await ask(script)
    assert.equal(finish_reason, 'stop', JSON.stringify(message))
    assert.ok(valid(JSON.parse(message.content)), message.content)
  }
})

/** mulberry32 */
function random(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

function randomSchema(next: () => number, depth = 0): Json {
  const kind = Math.floor(next() * (depth > 2 ? 5 : 8))
  switch (kind) {
    case 0:
      return { type: 'string', maxLength: Math.floor(next() * 8) }
    case 1:
      return { type: 'integer', minimum: -50, maximum: Math.floor(next() * 100) }
    case 2:
      return { type: 'boolean' }
    case 3:
      return { enum: ['red', 'green', 3, null, { a: 1 }].slice(0, 1 + Math.floor(next() * 5)) }
    case 4:
      return { type: 'number' }
    case 5:
      return { type: 'array', items: randomSchema(next, depth + 1), minItems: Math.floor(next() * 2), maxItems: 1 + Math.floor(next() * 3) }
    case 6:
      return { anyOf: [randomSchema(next, depth + 1), randomSchema(next, depth + 1)] }
    default: {
      const names = ['a', 'b', 'c'].slice(0, 1 + Math.floor(next() * 3))
      return {
        type: 'object',
        properties: Object.fromEntries(names.map((name) => [name, randomSchema(next, depth + 1)])),
        required: names.filter(() => next() < 0.7),
        additionalProperties: false,
      }
    }
  }
}

test('100 generated schemas on a model that draws at random: all that is complete validates', { timeout: 60_000 }, async () => {
  const next = random(7)
  let complete = 0
  for (let i = 0; i < 100; i++) {
    const one = randomSchema(next)
    const check = new Ajv2020({ strict: false }).compile(one)
    const kind = (['harmony', 'qwen', 'plain'] as const)[i % 3]!
    const { post } = scripted(() => (kind === 'qwen' ? 'x</think>' : kind === 'harmony' ? analysis('x') : ''), kind, { random: next })
    const response = await post(chat, {
      model: 'scripted',
      messages: user,
      max_tokens: 600,
      response_format: { type: 'json_schema', json_schema: { name: 'x', schema: one } },
    })
    assert.equal(response.status, 200, await response.clone().text())
    const { message, finish_reason } = (await jsonOf(response)).choices[0]
    if (finish_reason !== 'stop') continue
    complete++
    assert.ok(check(JSON.parse(message.content)), `${JSON.stringify(one)} ${message.content}`)
  }
  assert.ok(complete >= 95, `${complete} of 100 complete`)
})

test('any ids at all, with schemas, tools and forced tools: never an error, never an invalid document called complete', {
  timeout: 60_000,
}, async () => {
  const next = random(11)
  const strict = { type: 'function', function: { ...f.function, strict: true } }
  const plans: Json[] = [
    { response_format: format },
    { response_format: format, tools: [f, g] },
    { response_format: format, tools: [strict] },
    { tools: [f, g], tool_choice: 'required' },
    { tools: [f], tool_choice: { type: 'function', function: { name: 'f' } } },
    { tools: [strict, g] },
  ]
  let calls = 0
  let documents = 0
  for (let i = 0; i < 240; i++) {
    const kind = i % 2 === 0 ? 'harmony' : 'qwen'
    const plan = plans[Math.floor(i / 2) % plans.length]
    // Now and then the reasoning ends, so that there is something to see.
    const { post, log } = scripted(() => (next() < 0.7 ? (kind === 'qwen' ? 'x</think>' : analysis('x')) : ''), kind, { random: next })
    const response = await post(chat, {
      model: 'scripted',
      messages: user,
      max_tokens: 250,
      ...plan,
      ...(next() < 0.3 ? { reasoning_effort: 'none' } : {}),
    })
    assert.equal(response.status, 200, JSON.stringify(log))
    const { message, finish_reason } = (await jsonOf(response)).choices[0]
    const complete = finish_reason !== 'length'
    for (const { function: called } of complete ? (message.tool_calls ?? []) : []) {
      calls++
      const bound = plan.tool_choice || plan.tools[0] === strict
      if (bound && called.name === 'f') assert.ok(valid(JSON.parse(called.arguments)), called.arguments)
      if (plan.tool_choice)
        assert.ok(
          plan.tools.some((one: Json) => one.function.name === called.name),
          called.name,
        )
    }
    if (plan.tool_choice && complete) assert.ok(message.tool_calls.length > 0 && message.content === null)
    if (plan.response_format && complete && !message.tool_calls) {
      documents++
      assert.ok(valid(JSON.parse(message.content)), message.content)
    }
    if (plan.response_format && !complete && message.content) assert.ok(message.content.startsWith('{'), message.content)
  }
  assert.ok(calls > 20 && documents > 20, `${calls} calls, ${documents} documents`)
})
