/** Tool calls as models write them, over HTTP: every call arrives once, whole and as JSON, and text that is no call is the answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createApp } from '../../src/server/http/app.ts'
import type { ServedModel } from '../../src/server/models/model.ts'
import { type Family, READERS, TOOLS } from '../chat/readers/answers.ts'
import { type Json, jsonOf } from './scripted-app.ts'
import { scriptedEngine } from './scripted-engine.ts'

const ls = 'shell {"command": "ls"}'
const pwd = 'shell {"command": "pwd"}'
const llama = (command: string) => `{"name": "shell", "parameters": {"command": "${command}"}}`

const CASES: [family: Family, answer: string, calls: string[], content?: string][] = [
  ['llama', `${llama('ls')}; ${llama('pwd')}</s>`, [ls, pwd]],
  ['llama', `${llama('ls')}\n${llama('pwd')}\nBoth.</s>`, [ls, pwd], 'Both.'],
  ['llama', '{"name": "Alice", "age": 5, "city": "Bern"}</s>', [], '{"name": "Alice", "age": 5, "city": "Bern"}'],
  ['llama', '{"name": "Alice", "parameters": {"age": 5}}</s>', [], '{"name": "Alice", "parameters": {"age": 5}}'],
  [
    'qwen',
    '<tool_call>\n{"name": "shell", "arguments": {"command": "ls"}}\n{"name": "shell", "arguments": {"command": "pwd"}}\n</tool_call><|im_end|>',
    [ls, pwd],
  ],
  ['qwen', '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call><|im_end|>', ['now {}']],
  ['qwen', '<tool_call>\n{"name": "now", "arguments": ""}\n</tool_call><|im_end|>', ['now {}']],
  ['qwen', `<tool_call>\n{'name': 'f', 'arguments': {'a': 'x\ny'}}\n</tool_call><|im_end|>`, ['f {"a": "x\\ny"}']],
  ['coder', 'Let me.\n<function=shell>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call><|im_end|>', [ls], 'Let me.'],
  [
    'coder',
    '<tool_call>\n<function=write>\n<parameter=content>\nblock ends with </tool_call> on its own\n</parameter>\n</function>\n</tool_call><|im_end|>',
    ['write {"content": "block ends with </tool_call> on its own"}'],
  ],
  [
    'coder',
    '<tool_call>\n<function=f>\n<parameter=n>\n12345678901234567890\n</parameter>\n</function>\n</tool_call><|im_end|>',
    ['f {"n": 12345678901234567890}'],
  ],
  ['mistral', '[TOOL_CALLS][{"name": "shell", "arguments": {"command": "ls"}, "id": "a1B2c3D4e"}]</s>', [ls]],
  ['mistralNamed', '[TOOL_CALLS]shell[CALL_ID]a1B2c3D4e[ARGS]{"command": "ls"}[TOOL_CALLS]now[ARGS]{}</s>', [ls, 'now {}']],
  ['olmo', '<function_calls>shell(command="ls")</function_calls></s>', [ls]],
  ['gemma', '```tool_code\nshell(command="ls")\n```</s>', [ls]],
]

for (const stream of [false, true])
  test(`tool calls over chat completions${stream ? ', streamed' : ''}`, async () => {
    for (const [family, answer, calls, content = null] of CASES) {
      const { tokenizer, format } = READERS[family]
      const architecture = {
        name: family,
        modelType: 'x',
        vocabSize: tokenizer.vocabSize,
        maxPositionEmbeddings: 8192,
        expertDtype: 'f32',
      } as const
      const model: ServedModel = { tokenizer, format, architecture, engine: scriptedEngine(tokenizer, () => answer), dispose() {} }
      const app = createApp({ models: [{ id: 'm', created: 1, bytes: 1, parameters: 1, load: async () => model }], log() {} })
      const tools = TOOLS.map((tool) => ({ type: 'function', function: tool }))
      const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x' }], tools, stream })
      const headers = { 'content-type': 'application/json' }
      const response = await app.fetch(new Request('http://localhost/v1/chat/completions', { method: 'POST', headers, body }))
      assert.equal(response.status, 200, await response.clone().text())
      const said = stream ? fromStream(await response.text()) : (await jsonOf(response)).choices[0]
      const seen = (said.message.tool_calls ?? []).map((call: Json) => `${call.function.name} ${call.function.arguments}`)
      assert.deepEqual([seen, said.message.content], [calls, content], `${family}: ${answer}`)
      assert.equal(said.finish_reason, calls.length > 0 ? 'tool_calls' : 'stop', answer)
    }
  })

/** The choice that the deltas of a stream make. */
function fromStream(text: string): Json {
  const choice: Json = { message: { content: null, tool_calls: [] }, finish_reason: undefined }
  for (const [, line] of text.matchAll(/^data: (\{.*)$/gm)) {
    const part = JSON.parse(line!).choices[0]
    if (part?.finish_reason) choice.finish_reason = part.finish_reason
    if (part?.delta?.content) choice.message.content = (choice.message.content ?? '') + part.delta.content
    for (const { index, function: delta } of part?.delta?.tool_calls ?? []) {
      choice.message.tool_calls[index] ??= { function: { name: '', arguments: '' } }
      choice.message.tool_calls[index].function.name += delta.name ?? ''
      choice.message.tool_calls[index].function.arguments += delta.arguments ?? ''
    }
  }
  return choice
}
