/** Whole turns with tools over templates as Mistral's and Llama's: call, result, next prompt, answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatFor } from '../../../src/chat/formats/format.ts'
import type { Message, Tool } from '../../../src/chat/messages.ts'
import { chat } from '../../../src/chat/session.ts'
import { byteTokenizer } from '../byte-tokenizer.ts'
import { summary } from '../events.ts'
import { scriptedModel } from '../scripted.ts'

/** As Mistral's templates do it: tools before the last question, and ids of calls that have nine characters. */
const mistral = (call: string, list: [string, string]) => `{{ bos_token }}
{%- for message in messages %}
{%- if message.role == 'user' %}{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[INST]{{ message.content }}[/INST]
{%- elif message.tool_calls is defined %}${list[0]}
{%- for call in message.tool_calls %}
{%- if call.id | length != 9 %}{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}
{{- ${call} }}{% if not loop.last %}{{ '${list[1] === '' ? '' : ', '}' }}{% endif %}
{%- endfor %}${list[1]}{{ eos_token }}
{%- elif message.role == 'tool' %}
{%- if message.tool_call_id | length != 9 %}{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}
{{- '[TOOL_RESULTS]{"content": ' + message.content + ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
{%- else %}{{ message.content + eos_token }}{% endif %}
{%- endfor %}`

const nemo = mistral(`(call.function | tojson)[:-1] + ', "id": "' + call.id + '"}'`, ['[TOOL_CALLS][', ']'])
const small = mistral(`'[TOOL_CALLS]' + call.function.name + '[CALL_ID]' + call.id + '[ARGS]' + (call.function.arguments | tojson)`, [
  '',
  '',
])

const llama = `{{ bos_token }}{% if tools %}{{ tools | tojson }}Respond in the format {"name": function name, "parameters": dictionary}.{% endif %}
{%- for message in messages %}
{%- if message.tool_calls is defined %}
{%- if message.tool_calls | length != 1 %}{{ raise_exception('This model only supports single tool-calls at once!') }}{% endif %}
{%- set call = message.tool_calls[0].function %}
{{- '{"name": "' + call.name + '", "parameters": ' + (call.arguments | tojson) + '}' + eos_token }}
{%- else %}{{ '<' + message.role + '>' + message.content + eos_token }}{% endif %}
{%- endfor %}`

const specials = ['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]', '[TOOL_RESULTS]', '[/TOOL_RESULTS]', '[AVAILABLE_TOOLS]', '[/AVAILABLE_TOOLS]']

const add: Tool = {
  name: 'add',
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
  execute: (args) => {
    const { a, b } = args as { a: number; b: number }
    return String(a + b)
  },
}

test('a turn with two calls and their results', async () => {
  const args = ['{"a": 47, "b": 85}', '{"a": 1.0, "b": 2}']
  const cases: [template: string, calls: string, rendered: RegExp][] = [
    [
      nemo,
      `[TOOL_CALLS][${args.map((each) => `{"name": "add", "arguments": ${each}, "id": "a1B2c3D4e"}`).join(', ')}]</s>`,
      /\[TOOL_CALLS\]\[\{"name": "add", "arguments": \{"a": 47, "b": 85\}, "id": "([a-z0-9]{9})"\}, \{.*"a": 1\.0,.*\}\]<\/s>\[TOOL_RESULTS\]\{"content": 132, "call_id": "\1"\}/,
    ],
    [
      small,
      `${args.map((each) => `[TOOL_CALLS]add[CALL_ID]a1B2c3D4e[ARGS]${each}`).join('')}</s>`,
      /\[TOOL_CALLS\]add\[CALL_ID\]([a-z0-9]{9})\[ARGS\]\{"a": 47, "b": 85\}\[TOOL_CALLS\]add.*<\/s>\[TOOL_RESULTS\]\{"content": 132, "call_id": "\1"\}/,
    ],
    [
      llama,
      `${args.map((each) => `{"name": "add", "parameters": ${each}}`).join('; ')}</s>`,
      /"parameters": \{"a": 47, "b": 85\}\}<\/s><tool>132<\/s>\{"name": "add", "parameters": \{"a": 1\.0, "b": 2\}\}<\/s><tool>3<\/s>$/,
    ],
  ]
  for (const [chatTemplate, calls, rendered] of cases) {
    const tokenizer = byteTokenizer(['<s>', '</s>', ...specials])
    const format = formatFor({ tokenizer, chatTemplate, bosToken: '<s>', eosToken: '</s>' })
    const model = scriptedModel([calls, 'It is 132.</s>'], { tokenizer, format })
    const messages: Message[] = [{ role: 'user', content: 'What is 47 + 85?' }]
    const events = await Array.fromAsync(chat(model, messages, { tools: [add] }))
    assert.deepEqual(
      summary(events).filter((line) => !line.startsWith('!')),
      [`call add: ${args[0]}`, `call add: ${args[1]}`, 'result add: 132', 'result add: 3', 'text: It is 132.'],
    )
    assert.match(model.prompts[1]!, rendered)
  }
})
