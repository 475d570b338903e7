/** Numbers keep their spelling and keys their order from the text of a request to the prompt, and from the model to the client. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scripted } from './scripted-app.ts'

const properties = '{"b":{"type":"number","default":1.0},"10":{"type":"integer","default":12345678901234567},"2":{"type":"string"}}'
const parameters = `{"type":"object","properties":${properties},"required":["2"]}`
const chatTool = `{"type":"function","function":{"name":"f","parameters":${parameters}}}`
const flatTool = `{"type":"function","name":"f","parameters":${parameters}}`
const args = '{"z":1.0,"10":12345678901234567890,"2":[1e16,-0.0]}'
const history = `[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":${JSON.stringify(args)}}}]},{"role":"tool","tool_call_id":"c1","content":"ok"}]`
const ollamaHistory = `[{"role":"user","content":"hi"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":${args}}}]},{"role":"tool","tool_name":"f","content":"ok"}]`

const harmonyTypes = 'b?: number, // default: 1.0\n10?: number, // default: 12345678901234567\n2: string,\n'
const routes: [format: 'harmony' | 'qwen', path: string, body: string, expected: string[]][] = [
  ['harmony', '/v1/chat/completions', `{"model":"scripted","messages":${history},"tools":[${chatTool}]}`, [harmonyTypes, args]],
  ['harmony', '/api/chat', `{"model":"scripted","stream":false,"messages":${ollamaHistory},"tools":[${chatTool}]}`, [harmonyTypes, args]],
  ['harmony', '/v1/responses', `{"model":"scripted","input":"hi","tools":[${flatTool}]}`, [harmonyTypes]],
  [
    'qwen',
    '/v1/chat/completions',
    `{"model":"scripted","messages":${history},"tools":[${chatTool}]}`,
    [
      '"properties": {"b": {"type": "number", "default": 1.0}, "10": {"type": "integer", "default": 12345678901234567}, "2": {"type": "string"}}',
      args,
    ],
  ],
  ['qwen', '/api/chat', `{"model":"scripted","stream":false,"messages":${ollamaHistory},"tools":[${chatTool}]}`, [args]],
]

test('from the request to the prompt', async () => {
  for (const [format, path, body, expected] of routes) {
    const { post, engine } = scripted(() => 'ok', format)
    const response = await post(path, body)
    assert.equal(response.status, 200, await response.text())
    for (const text of expected) assert.ok(engine.prompts[0]!.includes(text), `${format} ${path}: expected ${text} in ${engine.prompts[0]}`)
  }
})

test('from the model to the client', async () => {
  const call = ` to=functions.f<|channel|>commentary <|constrain|>json<|message|>${args}<|call|>`
  for (const stream of [false, true]) {
    const { post } = scripted(() => call)
    const body = `{"model":"scripted","stream":${stream},"messages":[{"role":"user","content":"hi"}],"tools":[${chatTool}]}`
    const ollama = await (await post('/api/chat', body)).text()
    assert.ok(ollama.includes(`"arguments":${args}`), ollama)
    if (!stream) assert.ok((await (await post('/v1/chat/completions', body)).text()).includes(JSON.stringify(args)))
  }
})
