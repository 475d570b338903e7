/** Where the reasoning of a chat comes: in fields of its own, in the content, or in both; streamed and whole alike. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { analysis, call, eventsOf, final, type Json, jsonOf, scripted } from './scripted-app.ts'

const messages = [{ role: 'user', content: 'Hi' }]
const HARMONY = analysis('I greet.') + final('Hello!')
const QWEN = '<think>\nI greet.\n</think>\n\nHello!<|im_end|>'
const INLINE = '<think>\nI greet.\n</think>\n\nHello!'

const rows: [fields: object, content: string, reasoning: string | undefined][] = [
  [{}, 'Hello!', 'I greet.'],
  [{ reasoning_format: 'auto' }, 'Hello!', 'I greet.'],
  [{ reasoning_format: 'deepseek' }, 'Hello!', 'I greet.'],
  [{ reasoning_format: 'none' }, INLINE, undefined],
  [{ reasoning_format: 'deepseek-legacy' }, INLINE, 'I greet.'],
  [{ separate_reasoning: false }, INLINE, undefined],
  [{ separate_reasoning: false, reasoning_format: 'auto' }, INLINE, undefined],
  [{ separate_reasoning: false, reasoning_format: 'deepseek' }, 'Hello!', 'I greet.'],
  [{ separate_reasoning: true }, 'Hello!', 'I greet.'],
  [{ reasoning_format: null, separate_reasoning: null }, 'Hello!', 'I greet.'],
]

for (const [format, text] of [
  ['harmony', HARMONY],
  ['qwen', QWEN],
] as const)
  test(`${format}: whole and streamed`, async () => {
    const { post } = scripted(() => text, format)
    for (const [fields, content, reasoning] of rows) {
      const body = { model: 'scripted', messages, ...fields }
      const { message } = (await jsonOf(post('/v1/chat/completions', body))).choices[0]
      assert.deepEqual(
        [message.content, message.reasoning, message.reasoning_content],
        [content, reasoning, reasoning],
        JSON.stringify(fields),
      )
      const chunks = (await eventsOf(await post('/v1/chat/completions', { ...body, stream: true }))).slice(0, -1)
      const joined = (name: string) => chunks.map(({ data }: Json) => data.choices[0].delta[name] ?? '').join('')
      assert.deepEqual([joined('content'), joined('reasoning_content')], [content, reasoning ?? ''], JSON.stringify(fields))
    }
  })

test('with calls, without reasoning, cut inside of it, an unknown place', async () => {
  const ask = async (text: string, fields: object = {}) => {
    const { post } = scripted(() => text)
    return jsonOf(post('/v1/chat/completions', { model: 'scripted', messages, reasoning_format: 'none', ...fields }))
  }
  const tools = [{ type: 'function', function: { name: 'f', parameters: {} } }]
  const { message, finish_reason } = (await ask(analysis('I call.') + call('f', '{}'), { tools })).choices[0]
  assert.deepEqual([message.content, message.tool_calls.length, finish_reason], ['<think>\nI call.\n</think>\n\n', 1, 'tool_calls'])
  assert.equal((await ask(final('Hello!'))).choices[0].message.content, 'Hello!')
  assert.match((await ask(HARMONY, { max_tokens: 40 })).choices[0].message.content, /^<think>\nI gr?e?e?t?/)
  assert.equal((await ask(HARMONY, { reasoning_format: 'raw' })).error.param, 'reasoning_format')
})
