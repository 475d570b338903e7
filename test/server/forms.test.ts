/**
 * What an answer must follow, in every spelling that clients of other servers send, through every endpoint: obeyed, or
 * refused with the name of the field. The model writes prose, so only the grammar can give the wanted form.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { analysis, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const schema = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'], additionalProperties: false }
const isAge = (text: string) => assert.equal(typeof JSON.parse(text).age, 'number', text)
const isObject = (text: string) => assert.ok(JSON.parse(text), text)
const matches = (form: RegExp) => (text: string) => assert.match(text, form)
const isSql = matches(/^SELECT (a|b) FROM t$/)
const isChoice = matches(/^(yes|no)$/)
const isDate = matches(/^\d{4}-\d\d$/)
const grammar = 'root ::= "SELECT " column " FROM t"\ncolumn ::= "a" | "b"'
const choice = ['yes', 'no']
const regex = '\\d{4}-\\d\\d'

type Row = [fields: object, check: (text: string) => void]

/** Fields that all endpoints read. */
const anywhere: Record<string, Row> = {
  'structured_outputs.json': [{ structured_outputs: { json: schema } }, isAge],
  'structured_outputs.json as text': [{ structured_outputs: { json: JSON.stringify(schema) } }, isAge],
  'structured_outputs.regex': [{ structured_outputs: { regex } }, isDate],
  'structured_outputs.choice': [{ structured_outputs: { choice } }, isChoice],
  'structured_outputs.grammar': [{ structured_outputs: { grammar, disable_any_whitespace: true } }, isSql],
  'structured_outputs.json_object': [{ structured_outputs: { json_object: true } }, isObject],
  guided_json: [{ guided_json: schema, guided_decoding_backend: 'xgrammar' }, isAge],
  'guided_json as text': [{ guided_json: JSON.stringify(schema) }, isAge],
  guided_regex: [{ guided_regex: regex }, isDate],
  guided_choice: [{ guided_choice: choice, guided_regex: null }, isChoice],
  guided_grammar: [{ guided_grammar: grammar }, isSql],
  guided_json_object: [{ guided_json_object: true }, isObject],
  grammar: [{ grammar, cache_prompt: true }, isSql],
  json_schema: [{ json_schema: schema, grammar: '' }, isAge],
  regex: [{ regex }, isDate],
  ebnf: [{ ebnf: grammar }, isSql],
}
/** Fields of chat and text completions. */
const formats: Record<string, Row> = {
  'response_format json_object': [{ response_format: { type: 'json_object' } }, isObject],
  'response_format json_object with a schema': [{ response_format: { type: 'json_object', schema } }, isAge],
  'response_format json_schema': [{ response_format: { type: 'json_schema', json_schema: { name: 'age', schema } } }, isAge],
  'response_format json_schema without a name': [{ response_format: { type: 'json_schema', json_schema: { schema } } }, isAge],
  'response_format json_schema with the schema beside': [{ response_format: { type: 'json_schema', schema } }, isAge],
  'response_format grammar': [{ response_format: { type: 'grammar', grammar } }, isSql],
  'response_format regex': [{ response_format: { type: 'regex', pattern: regex } }, isDate],
}
const text = (format: object) => ({ text: { format } })

interface Endpoint {
  path: string
  body: object
  read(answer: Json): [text: string, isComplete: boolean]
  rows: Record<string, Row>
}

const messages = [{ role: 'user', content: 'Who?' }]
const chatRead = ({ choices: [{ message, finish_reason }] }: Json): [string, boolean] => [message.content, finish_reason === 'stop']
const endpoints: Record<string, Endpoint> = {
  chat: { path: '/v1/chat/completions', body: { messages, max_tokens: 300 }, read: chatRead, rows: { ...anywhere, ...formats } },
  completions: {
    path: '/v1/completions',
    body: { prompt: 'Who?', max_tokens: 300 },
    read: ({ choices: [{ text, finish_reason }] }) => [text, finish_reason === 'stop'],
    rows: { ...anywhere, ...formats },
  },
  responses: {
    path: '/v1/responses',
    body: { input: 'Who?', max_output_tokens: 300 },
    read: ({ output, status }) => [output.at(-1).content[0].text, status === 'completed'],
    rows: {
      ...anywhere,
      'text.format json_object': [text({ type: 'json_object' }), isObject],
      'text.format json_schema': [text({ type: 'json_schema', name: 'age', schema }), isAge],
    },
  },
  'Ollama chat': {
    path: '/api/chat',
    body: { messages, stream: false, options: { num_predict: 300 } },
    read: ({ message, done_reason }) => [message.content, done_reason === 'stop'],
    rows: { ...anywhere, 'format json': [{ format: 'json' }, isObject], 'format schema': [{ format: schema }, isAge] },
  },
  'Ollama generate': {
    path: '/api/generate',
    body: { prompt: 'Who?', stream: false, options: { num_predict: 300 } },
    read: ({ response, done_reason }) => [response, done_reason === 'stop'],
    rows: { ...anywhere, 'format json': [{ format: 'json' }, isObject], 'format schema': [{ format: schema }, isAge] },
  },
  'Ollama generate, raw': {
    path: '/api/generate',
    body: { prompt: 'Who?', raw: true, stream: false, options: { num_predict: 300 } },
    read: ({ response, done_reason }) => [response, done_reason === 'stop'],
    rows: { ...anywhere, 'format schema': [{ format: schema }, isAge] },
  },
}
const isRaw = ({ path, body }: Endpoint) => path === '/v1/completions' || 'raw' in body
const prose = 'Paris is a city in France. '.repeat(3)

for (const [name, endpoint] of Object.entries(endpoints))
  test(`${name}: ${Object.keys(endpoint.rows).length} spellings are obeyed`, async (t) => {
    for (const [what, [fields, check]] of Object.entries(endpoint.rows))
      await t.test(what, async () => {
        const { post } = scripted(() => (isRaw(endpoint) ? prose : analysis('Hm.') + final(prose)))
        const [written, isComplete] = endpoint.read(await jsonOf(post(endpoint.path, { model: 'scripted', ...endpoint.body, ...fields })))
        assert.ok(isComplete, written)
        check(written)
      })
  })

test('a cut text is never called complete, streamed or not', async () => {
  for (const { path, body, field } of [
    { path: '/v1/chat/completions', body: { messages }, field: { guided_regex: '[a-z]{400}' } },
    { path: '/v1/completions', body: { prompt: 'Who?' }, field: { guided_regex: '[a-z]{400}' } },
    { path: '/v1/completions', body: { prompt: 'Who?', stop: ['e'] }, field: { guided_choice: ['yes'] } },
  ]) {
    const ask = { model: 'scripted', max_tokens: 30, ...body, ...field }
    const { post } = scripted(() => prose)
    assert.equal((await jsonOf(post(path, ask))).choices[0].finish_reason, 'length')
    const events = await eventsOf(await post(path, { ...ask, stream: true }))
    assert.equal(events.findLast(({ data }) => data.choices)?.data.choices[0].finish_reason, 'length')
  }
})

test('undeclared names are written only where disable_additional_properties is false', async () => {
  const open = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'] }
  const written = '{"age":36,"city":"Bern"}'
  for (const [disable, text] of [
    [undefined, '{"age":36}'],
    [true, '{"age":36}'],
    [false, written],
  ] as const) {
    const { post } = scripted(() => analysis('Hm.') + final(written))
    const structured_outputs = { json: open, disable_additional_properties: disable }
    const body = await jsonOf(post('/v1/chat/completions', { model: 'scripted', messages, structured_outputs, max_tokens: 200 }))
    assert.deepEqual(chatRead(body), [text, true])
  }
})

test('a form and tools: the model chooses between a call and the text', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: schema } }]
  const { post } = scripted(() => analysis('Hm.') + final('no, I do not'))
  const body = await jsonOf(post('/v1/chat/completions', { model: 'scripted', messages, tools, guided_choice: choice, max_tokens: 200 }))
  assert.deepEqual(chatRead(body), ['no', true])
})

test('a form that allows the empty text', async () => {
  const { post } = scripted(() => analysis('Hm.') + final(''))
  const body = await jsonOf(post('/v1/chat/completions', { model: 'scripted', messages, regex: 'a*', max_tokens: 200 }))
  assert.equal(body.choices[0].finish_reason, 'stop')
})

const refused: Record<string, [path: string, fields: object, param: string | RegExp, message: RegExp]> = {
  'two forms': ['chat', { guided_choice: choice, regex }, 'regex', /"guided_choice" and "regex" both say/],
  'two forms inside of one field': ['chat', { structured_outputs: { choice, regex } }, 'structured_outputs.choice', /both say/],
  'a format and a form': ['chat', { response_format: { type: 'json_object' }, grammar }, 'grammar', /both say/],
  'Ollama format and a form': ['Ollama chat', { format: 'json', grammar }, 'grammar', /both say/],
  'text.format and a form': ['responses', { ...text({ type: 'json_object' }), ebnf: grammar }, 'ebnf', /both say/],
  'an unknown part of structured_outputs': ['chat', { structured_outputs: { structural_tag: {} } }, 'structured_outputs', /structural_tag/],
  'an unknown kind of format': ['chat', { response_format: { type: 'xml' } }, 'response_format.type', /type/],
  'a schema where none is read': ['chat', { response_format: { type: 'text', schema } }, 'response_format', /schema/],
  'json_schema without a schema': ['chat', { response_format: { type: 'json_schema' } }, 'response_format.json_schema', /missing/],
  'a text that is no schema': ['completions', { guided_json: '{"type":' }, 'guided_json', /not a JSON schema/],
  'a bad expression': ['completions', { guided_regex: '(a' }, 'guided_regex', /cannot be enforced: an open group/],
  'a bad grammar': ['Ollama generate', { grammar: 'root ::= x' }, /./, /grammar: this cannot be enforced: the rule "root" uses "x"/],
  'an unsupported schema': ['responses', { json_schema: { type: 'string', longest: 3 } }, 'json_schema', /\/longest/],
  'no choices': ['chat', { guided_choice: [] }, 'guided_choice', /guided_choice/],
  'a grammar above the limit': ['chat', { grammar: `root ::= "${'a'.repeat(70_000)}"` }, 'grammar', /at most 65536/],
}
for (const [what, [name, fields, param, message]] of Object.entries(refused))
  test(`refused: ${what}`, async () => {
    const { path, body } = endpoints[name]!
    const { post } = scripted(() => final('x'))
    const response = await post(path, { model: 'scripted', ...body, ...fields })
    const { error } = (await response.json()) as Json
    assert.equal(response.status, 400, JSON.stringify(error))
    if (path.startsWith('/api/')) return assert.match(error, message)
    assert.match(error.message, message)
    if (typeof param === 'string') assert.equal(error.param, param)
  })
