/** Strict tools of Qwen3-Coder: a call that the model begins in its own tags has arguments that follow the schema. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import type { ChatEvent } from '../../src/chat/messages.ts'
import { chat } from '../../src/chat/session.ts'
import { byteTokenizer, qwenSpecials } from '../chat/byte-tokenizer.ts'
import { checkEvents, summary } from '../chat/events.ts'
import { scriptedModel } from '../chat/scripted.ts'

const tokenizer = byteTokenizer(qwenSpecials)
const format = qwenFormat(tokenizer, { thinking: 'never', tools: 'xml' })
const parameters = {
  type: 'object',
  properties: { colour: { enum: ['red', 'green'] }, coats: { type: 'integer', minimum: 1, maximum: 9 } },
  required: ['colour', 'coats'],
  additionalProperties: false,
}
const strict = { name: 'paint', parameters, strict: true }
const free = { name: 'paint_all', parameters: { type: 'object', properties: { colour: { type: 'string' } } } }
const isValid = new Ajv2020().compile(parameters)

async function answer(script: string, tools: object[], parallelToolCalls?: boolean): Promise<ChatEvent[]> {
  const model = scriptedModel([script], { tokenizer, format })
  const options = { tools: tools as never, maxTokens: 400, parallelToolCalls }
  const events = await Array.fromAsync(chat(model, [{ role: 'user', content: 'Paint.' }], options))
  checkEvents(events)
  return events
}

test('a strict tool called with tags', async () => {
  const body = '<parameter=colour>\nblue\n</parameter>\n<parameter=coats>\nmany\n</parameter>\n</function>\n</tool_call><|im_end|>'
  for (const head of [
    '<tool_call>\n<function=paint>\n',
    '<function=paint>\n',
    '<tool_call><function=paint>',
    'Well.\n<function=paint>',
    '<tool_call>\n<function=paint',
  ])
    for (const tools of [[strict], [strict, free]]) {
      const events = await answer(head + body, tools, false)
      const calls = events.filter((event) => event.type === 'tool-call-end')
      if (head.endsWith('paint') && tools.length > 1) continue // the name is not complete
      assert.equal(calls.length, 1, head)
      assert.equal(calls[0]!.name, 'paint')
      assert.ok(isValid(JSON.parse(calls[0]!.arguments)), `${head}: ${calls[0]!.arguments}`)
      assert.equal(events.at(-1)!.type === 'finish' && (events.at(-1) as { reason: string }).reason, 'tool-calls')
    }
})

test('a tool beside it that is not strict keeps its tags', async () => {
  const call = '<tool_call>\n<function=paint_all>\n<parameter=colour>\nblue\n</parameter>\n</function>\n</tool_call><|im_end|>'
  assert.deepEqual(summary(await answer(call, [strict, free])), ['call paint_all: {"colour": "blue"}'])
})

test('arguments that are an object within the tags are read', async () => {
  const call = (args: string) => `<tool_call>\n<function=paint_all>\n${args}\n</function>\n</tool_call><|im_end|>`
  assert.deepEqual(summary(await answer(call('{"colour": "</function>"}'), [free])), ['call paint_all: {"colour": "</function>"}'])
  assert.deepEqual(summary(await answer(call("{'colour': 'blue'}"), [free])), [
    'call paint_all: {"colour": "blue"}',
    '! repaired-tool-call',
  ])
})
