/** Tools for a model whose chat template knows none: off by default; the prompt, the history, and calls under their schemas. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer } from '../../src/answer/answer.ts'
import type { Ask } from '../../src/answer/ask.ts'
import { formatFor } from '../../src/chat/formats/format.ts'
import type { ChatEvent, Message } from '../../src/chat/messages.ts'
import { byteTokenizer } from './byte-tokenizer.ts'
import { checkEvents, summary } from './events.ts'
import { scriptedModel } from './scripted.ts'

const tokenizer = byteTokenizer(['<s>', '</s>', '<end_of_turn>'])
const plain = '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[model]{% endif %}'
const strict = `{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}${plain}`
const of = (chatTemplate: string, genericTools?: boolean) => formatFor({ tokenizer, chatTemplate, eosToken: '</s>', genericTools })

const paint = {
  name: 'paint',
  description: 'Paints it.',
  parameters: { type: 'object', properties: { color: { enum: ['red', 'green'] } }, required: ['color'], additionalProperties: false },
}
const TOLD = `You can call these tools:
{"name": "paint", "description": "Paints it.", "parameters": {"type": "object", "properties": {"color": {"enum": ["red", "green"]}}, "required": ["color"], "additionalProperties": false}}

To call a tool, answer with one JSON object and nothing else: {"name": <name of the tool>, "arguments": <object with its arguments>}
The next message will give you the result. If no tool is needed, answer in plain text.`
const hi: Message = { role: 'user', content: 'hi' }
const call = (args: string, text = ''): Message => ({
  role: 'assistant',
  content: [
    { type: 'text', text },
    { type: 'tool-call', id: 'a', name: 'paint', arguments: args },
  ],
})
const result: Message = { role: 'tool', toolCallId: 'a', content: 'done' }

test('without the option a request with tools is a clear error', async () => {
  assert.equal(of(plain).capabilities.tools, false)
  assert.throws(() => of(plain).render([hi], { tools: [paint] }), { field: 'tools' })
  await assert.rejects(
    async () => Array.fromAsync(answer(scriptedModel(['x'], { tokenizer, format: of(plain) }), [hi], { tools: [paint] })),
    {
      code: 'tools_not_supported',
      message: /genericTools/,
    },
  )
})

test('a template that knows tools of its own keeps them', () => {
  const own = `{{ tools | tojson }}<tool_call>{"name": "x", "arguments": {}}</tool_call>`
  const format = of(own, true)
  assert.equal(format.capabilities.bindsCalls, undefined)
  assert.ok(tokenizer.decode(format.render([hi], { tools: [paint] })).startsWith('[{"type": "function"'))
})

test('prompts', () => {
  const cases: [template: string, messages: Message[], offers: boolean, expected: string][] = [
    [plain, [hi], true, `[system]${TOLD}[user]hi[model]`],
    [plain, [hi], false, '[user]hi[model]'],
    [plain, [{ role: 'system', content: 'Be brief.' }, hi], true, `[system]Be brief.\n\n${TOLD}[user]hi[model]`],
    [strict, [hi], true, `[user]${TOLD}\n\nhi[model]`],
    [
      plain,
      [hi, call('{"color":"red"}', 'Now.'), result, hi],
      false,
      '[user]hi[assistant]Now.\n{"name": "paint", "arguments": {"color":"red"}}[user]Result of paint:\ndone[user]hi[model]',
    ],
    [
      plain,
      [hi, call(''), result, { ...result, content: '</s>' }],
      false,
      '[user]hi[assistant]{"name": "paint", "arguments": {}}[user]Result of paint:\ndone\n\nResult of paint:\n</s>[model]',
    ],
  ]
  for (const [template, messages, offers, expected] of cases) {
    const ids = of(template, true).render(messages, offers ? { tools: [paint] } : {})
    assert.equal(tokenizer.decode(ids), expected)
    assert.equal(ids.filter((id) => tokenizer.isSpecial(id)).length, 0)
  }
})

test('answers', async () => {
  const cases: [script: string, ask: Ask, expected: string[]][] = [
    ['It is painted.</s>', {}, ['text: It is painted.']],
    ['{"answer": 42}</s>', {}, ['text: {"answer": 42}']],
    [
      '{"name": "paint", "arguments": {"color": "red"}}</s>',
      { toolChoice: 'none' },
      ['text: {"name": "paint", "arguments": {"color": "red"}}'],
    ],
  ]
  for (const [script, ask, expected] of cases) {
    const events: ChatEvent[] = []
    for await (const event of answer(scriptedModel([script], { tokenizer, format: of(plain, true) }), [hi], { tools: [paint], ...ask }))
      events.push(event)
    checkEvents(events.filter(({ type }) => type !== 'finish'))
    assert.deepEqual(summary(events.filter(({ type }) => type !== 'finish')), expected, script)
  }
})

test('arguments follow the schema of the tool, whatever the model writes', async () => {
  for (const written of ['{"color": "red"}', '{"color": "blue"}', '{"size": 1}', '{}', 'x']) {
    const events: ChatEvent[] = []
    const model = scriptedModel([`{"name": "paint", "arguments": ${written}}</s>`], { tokenizer, format: of(plain, true) })
    for await (const event of answer(model, [hi], { tools: [paint], maxTokens: 200 })) events.push(event)
    const call = events.find((event) => event.type === 'tool-call-end')
    assert.ok(['red', 'green'].includes(JSON.parse(call!.arguments).color), call!.arguments)
  }
})

test('what was changed for the template is a warning before the answer', async () => {
  const events: ChatEvent[] = []
  const model = scriptedModel(['ok</s>'], { tokenizer, format: of(strict) })
  for await (const event of answer(model, [{ role: 'system', content: 's' }, hi])) events.push(event)
  assert.deepEqual(
    events.map((event) => (event.type === 'warning' ? event.code : event.type)),
    ['adapted-conversation', 'text-start', 'text-delta', 'text-delta', 'text-end', 'finish'],
  )
})
