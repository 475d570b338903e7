/** What programs misspell is named, by the library and by everything that is made of it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { checkAsk, checkContinuation, checkMessages } from '../../src/answer/check.ts'
import { checkSampling } from '../../src/engine/sampling-options.ts'
import { load } from '../../src/index.ts'

// biome-ignore lint/suspicious/noExplicitAny: what JavaScript may hand over
type Any = any

const ASKS: [ask: Any, message: RegExp][] = [
  [{ maxToken: 3 }, /^maxToken: .*did you mean maxTokens\?/],
  [{ temperature: 0 }, /^temperature: write it as sampling: \{ temperature \}/],
  [{ topP: 0.5 }, /sampling: \{ topP \}/],
  [{ effort: 'high' }, /^effort: there is no such option$/],
  [{ responseFormat: {} }, /^responseFormat: there is no such option/],
  [{ scheme: {} }, /did you mean schema\?/],
  [{ thinking: 'max' }, /^thinking: expected low, medium or high, got "max"/],
  [{ thinking: '' }, /^thinking: expected low/],
  [{ thinking: { effort: 'huge', budget: 1 } }, /^thinking\.effort: expected low/],
  [{ thinking: { efort: 'low' } }, /^thinking\.efort: .*did you mean effort\?/],
  [{ toolChoice: 'sometimes' }, /^toolChoice: expected auto, none, required/],
  [{ stop: 'x' }, /^stop: expected a list of texts, got "x"/],
  [{ stop: [''] }, /^stop: expected a list of texts, got a list/],
]

test('options of an answer', () => {
  for (const [ask, message] of ASKS) assert.throws(() => checkAsk(ask), { name: 'ChatError', message }, JSON.stringify(ask))
  checkAsk({ thinking: { budget: 3 }, toolChoice: { name: 'x' }, stop: ['a'], maxTokens: undefined, ...({ unknown: undefined } as Any) })
  for (const thinking of [true, false, 'low', 'medium', 'high', undefined] as const) checkAsk({ thinking })
})

test('options of a continuation, and of sampling', () => {
  assert.throws(() => checkContinuation({ stops: ['a'] } as Any, {}), /^ChatError: stops: .*did you mean stop\?/)
  assert.throws(() => checkContinuation({ tools: [] } as Any, {}), /tools: there is no such option/)
  checkContinuation({ stop: ['a'], ...({ bos: false } as Any) }, { bos: true })
  assert.throws(() => checkSampling({ temprature: 0 } as Any), /^RangeError: sampling\.temprature: .*did you mean temperature\?/)
  assert.throws(() => checkSampling({ maxTokens: 3 } as Any), /^RangeError: sampling\.maxTokens: there is no such option/)
})

const MESSAGES: [messages: Any, message: RegExp][] = [
  ['hi', /^messages: expected a list of messages, got "hi"/],
  [[null], /^messages\[0\]: expected a message, got null/],
  [['hi'], /^messages\[0\]: expected a message, got "hi"/],
  [[{ role: 'usr', content: 'x' }], /^messages\[0\]\.role: expected one of system, .*, got "usr"/],
  [[{ content: 'x' }], /^messages\[0\]\.role: .*got undefined/],
  [[{ role: 'user', contents: 'x' }], /^messages\[0\]\.content: expected a text, got undefined/],
  [[{ role: 'user', content: [{ type: 'text', text: 'x' }] }], /^messages\[0\]\.content: expected a text, got a list/],
  [[{ role: 'assistant', content: null }], /^messages\[0\]\.content: expected a text or a list of parts, got null/],
  [
    [{ role: 'assistant', content: [{ type: 'image' }] }],
    /^messages\[0\]\.content\[0\]\.type: expected one of text, reasoning, tool-call, got "image"/,
  ],
  [
    [{ role: 'assistant', content: [{ type: 'tool-call', id: 'a', name: 'b', arguments: {} }] }],
    /content\[0\]\.arguments: expected a text/,
  ],
]

test('messages', () => {
  for (const [messages, message] of MESSAGES)
    assert.throws(() => checkMessages(messages), { name: 'ChatError', message }, JSON.stringify(messages))
})

test('options of load, before anything is read', async () => {
  for (const [options, message] of [
    [{ thread: 1 }, /^TypeError: load: thread: .*did you mean threads\?/],
    [{ contextLength: 1 }, /^TypeError: load: contextLength: there is no such option/],
    [{ precision: 'quick' }, /^RangeError: precision: expected faithful or fast, got "quick"/],
    [{ backend: 'gpu' }, /^RangeError: backend: expected wasm or webgpu or webgpu:software or auto or reference, got "gpu"/],
  ] as const)
    await assert.rejects(load('abacus', options as Any), message)
})

test('a loaded model says so', async () => {
  const model = await load('abacus', { threads: 1 })
  try {
    const first = (messages: Any, ask: Any) => model.chat(messages, ask).next()
    const hi = [{ role: 'user', content: '1 + 1' }]
    await assert.rejects(first(hi, { maxToken: 3 }), /maxTokens/)
    await assert.rejects(first([{ role: 'usr', content: 'x' }], {}), /role/)
    await assert.rejects(first(hi, { sampling: { temprature: 0 } }), /temperature/)
    assert.throws(() => model.generate('1', { stops: ['a'] } as Any), /did you mean stop/)
    await assert.rejects(
      model
        .session({ thinking: 'max' } as Any)
        .send('1 + 1')
        .next(),
      /low, medium or high/,
    )
  } finally {
    await model.dispose()
  }
})
