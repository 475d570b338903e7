/**
 * One log-probability per generated token of the text, whatever ends it, in completions and chat, whole and streamed; no U+FFFD where an
 * answer is cut inside a character; and prompts scored with `echo`.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerEvents } from '../../src/answer/events.ts'
import type { Guide } from '../../src/answer/guide.ts'
import type { ChatEvent, TextToken } from '../../src/chat/messages.ts'
import { chat } from '../../src/chat/session.ts'
import { withMethods } from '../../src/public.ts'
import { analysis, eventsOf, type formats, type Json, jsonOf, scripted, scriptedModel } from './scripted-app.ts'

interface Row {
  name: string
  format: keyof typeof formats
  /** What the model would write. */
  script: string
  limit?: number
  stop?: string | string[]
  text: string
  /** The bytes of all entries, markers spelled out. */
  scored: string | Buffer
  finish: 'stop' | 'length'
}

const llama = Buffer.from('🦙')
const cut = (text: string, bytes: number) => Buffer.concat([Buffer.from(text), llama.subarray(0, bytes)])

const rows: Row[] = [
  { name: 'a stop token', format: 'qwen', script: 'five.<|im_end|>', text: 'five.', scored: 'five.<|im_end|>', finish: 'stop' },
  { name: 'a stop token at once', format: 'qwen', script: '<|im_end|>', text: '', scored: '<|im_end|>', finish: 'stop' },
  { name: 'another stop token', format: 'qwen', script: 'a<|endoftext|>', text: 'a', scored: 'a<|endoftext|>', finish: 'stop' },
  { name: 'a stop text', format: 'qwen', script: 'one END two', stop: ' END', text: 'one', scored: 'one END', finish: 'stop' },
  { name: 'a stop text at once', format: 'qwen', script: 'END', stop: 'END', text: '', scored: 'END', finish: 'stop' },
  { name: 'the first of two stop texts', format: 'qwen', script: 'a;b##', stop: ['##', ';'], text: 'a', scored: 'a;', finish: 'stop' },
  {
    name: 'half a stop text, then a stop token',
    format: 'qwen',
    script: 'xEN<|im_end|>',
    stop: 'END',
    text: 'xEN',
    scored: 'xEN<|im_end|>',
    finish: 'stop',
  },
  {
    name: 'half a stop text at the limit',
    format: 'qwen',
    script: 'xEND',
    limit: 3,
    stop: 'END',
    text: 'xEN',
    scored: 'xEN',
    finish: 'length',
  },
  { name: 'the limit', format: 'qwen', script: 'abcdef', limit: 3, text: 'abc', scored: 'abc', finish: 'length' },
  { name: 'one byte of a character', format: 'qwen', script: 'a🦙', limit: 2, text: 'a', scored: cut('a', 1), finish: 'length' },
  { name: 'three bytes of a character', format: 'qwen', script: 'a🦙', limit: 4, text: 'a', scored: cut('a', 3), finish: 'length' },
  { name: 'a cut character and nothing else', format: 'qwen', script: '🦙', limit: 2, text: '', scored: cut('', 2), finish: 'length' },
  { name: 'a cut character in base models', format: 'plain', script: 'né🦙', limit: 6, text: 'né', scored: cut('né', 3), finish: 'length' },
  {
    name: 'a cut character behind half a stop text',
    format: 'plain',
    script: 'aE🦙',
    limit: 4,
    stop: 'END',
    text: 'aE',
    scored: cut('aE', 2),
    finish: 'length',
  },
  { name: 'a whole character at the limit', format: 'plain', script: '🦙🦙', limit: 4, text: '🦙', scored: '🦙', finish: 'length' },
  { name: 'a stop text after a character', format: 'plain', script: '🦙é!x', stop: '!', text: '🦙é', scored: '🦙é!', finish: 'stop' },
]

/** The table of /v1/completions as bytes: OpenAI spells what is no whole character. */
function bytesOf(tokens: readonly string[]): Buffer {
  return Buffer.concat(
    tokens.map((token) => (token.startsWith('bytes:') ? Buffer.from(token.slice(6).replaceAll('\\x', ''), 'hex') : Buffer.from(token))),
  )
}

for (const { name, format, script, limit, stop, text, scored, finish } of rows) {
  const limits = { max_tokens: limit, stop }
  const check = (came: string, reason: string, entries: Buffer, logprobs: readonly number[], completion: number) => {
    assert.deepEqual([came, reason], [text, finish])
    assert.deepEqual(entries, Buffer.from(scored))
    assert.equal(logprobs.length, completion)
    assert.ok(logprobs.every((value) => Number.isFinite(value) && value <= 0))
  }
  test(`${name}: completions`, async () => {
    const { post } = scripted(() => script, format)
    const request = { model: 'scripted', prompt: 'x', logprobs: 2, ...limits, max_tokens: limit ?? 100 }
    const { choices, usage } = await jsonOf(post('/v1/completions', request))
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs
    check(choices[0].text, choices[0].finish_reason, bytesOf(tokens), token_logprobs, usage.completion_tokens)
    assert.deepEqual([top_logprobs.length, text_offset.length], [tokens.length, tokens.length])
    const events = (await eventsOf(await post('/v1/completions', { ...request, stream: true }))).map(({ data }) => data.choices?.[0])
    const streamed = events.flatMap((choice) => choice?.logprobs?.tokens ?? [])
    assert.deepEqual(streamed, tokens)
    assert.equal(events.map((choice) => choice?.text ?? '').join(''), text)
  })
  test(`${name}: chat`, async () => {
    const { post } = scripted(() => script, format)
    const request = { model: 'scripted', messages: [{ role: 'user', content: 'x' }], logprobs: true, top_logprobs: 2, ...limits }
    const { choices, usage } = await jsonOf(post('/v1/chat/completions', request))
    const { content } = choices[0].logprobs
    const entries = (from: Json[]) => Buffer.from(from.flatMap((entry: Json) => entry.bytes))
    const logprobs = content.map((entry: Json) => entry.logprob)
    check(choices[0].message.content ?? '', choices[0].finish_reason, entries(content), logprobs, usage.completion_tokens)
    assert.ok(content.every((entry: Json) => !entry.token.includes('\ufffd') && entry.top_logprobs.length === 2))
    const events = (await eventsOf(await post('/v1/chat/completions', { ...request, stream: true }))).map(({ data }) => data.choices?.[0])
    assert.deepEqual(entries(events.flatMap((choice) => choice?.logprobs?.content ?? [])), Buffer.from(scored))
    assert.equal(events.map((choice) => choice?.delta.content ?? '').join(''), text)
  })
  test(`${name}: Ollama, responses`, async () => {
    const { post } = scripted(() => script, format)
    const messages = [{ role: 'user', content: 'x' }]
    const options = { num_predict: limit ?? 100, stop }
    const talk = await jsonOf(post('/api/chat', { model: 'scripted', messages, stream: false, options }))
    const raw = await jsonOf(post('/api/generate', { model: 'scripted', prompt: 'x', raw: true, stream: false, options }))
    assert.deepEqual([talk.message.content, talk.done_reason, raw.response, raw.done_reason], [text, finish, text, finish])
    if (stop !== undefined || text === '') return // that API has no stop texts, and no item of an empty text
    const request = { model: 'scripted', input: 'x', top_logprobs: 1, max_output_tokens: limit }
    const { output, usage } = await jsonOf(post('/v1/responses', request))
    const [part] = output[0].content
    assert.equal(part.text, text)
    assert.equal(part.logprobs.length, usage.output_tokens)
    assert.deepEqual(Buffer.from(part.logprobs.flatMap((entry: Json) => entry.bytes)), Buffer.from(scored))
  })
  test(`${name}: library`, async () => {
    const { model } = scriptedModel(() => script, format)
    const ask = { maxTokens: limit ?? 100, stop: stop === undefined ? [] : [stop].flat() }
    const parts = model as unknown as Parameters<typeof withMethods>[0]
    assert.equal((await Array.fromAsync(withMethods(parts).generate('x', ask))).join(''), text)
    const events = await Array.fromAsync(chat(model, [{ role: 'user', content: 'x' }], { ...ask, logprobs: 0 }))
    assert.equal(events.map((event) => (event.type === 'text-end' ? event.text : '')).join(''), text)
    const tokens = events.flatMap((event) => (event.type === 'text-token' ? [...event.bytes] : []))
    assert.deepEqual(Buffer.from(tokens), Buffer.from(scored))
  })
}

test('harmony: the entries are those of the final text and of its end', async () => {
  for (const [script, limit, scored] of [
    [`${analysis('Hm 🦙')}<|channel|>final<|message|>Hé<|return|>`, undefined, Buffer.from('Hé<|return|>')],
    ['<|channel|>final<|message|>a🦙', 11, cut('a', 3)],
    ['<|channel|>final<|message|>b<|end|>', undefined, undefined],
  ] as const) {
    const { post } = scripted(() => script)
    const request = { model: 'scripted', messages: [{ role: 'user', content: 'x' }], logprobs: true, max_tokens: limit ?? 80 }
    const { choices } = await jsonOf(post('/v1/chat/completions', request))
    assert.ok(!JSON.stringify(choices).includes('\ufffd'))
    if (scored) assert.deepEqual(Buffer.from(choices[0].logprobs.content.flatMap((entry: Json) => entry.bytes)), scored)
  }
})

test('each piece of a stream carries its own entries; newlines before a text or a call have none', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
  const think = '<think>\nHm\n</think>\n\n'
  const cases: [script: string, more: object, pieces: [text: string | undefined, scored: string][]][] = [
    [
      `${think}Oé\n\n!<|im_end|>`,
      {},
      [
        ['O', 'O'],
        ['é', 'é'],
        ['\n\n!', '\n\n!'],
        [undefined, '<|im_end|>'],
      ],
    ],
    [
      '\n\nOn<|im_end|>',
      {},
      [
        ['O', 'O'],
        ['n', 'n'],
        [undefined, '<|im_end|>'],
      ],
    ],
    [
      `${think}a\n<|im_end|>`,
      {},
      [
        ['a', 'a'],
        ['\n', '\n'],
        [undefined, '<|im_end|>'],
      ],
    ],
    [`${think}<|im_end|>`, {}, [[undefined, '<|im_end|>']]],
    [`${think}END`, { stop: 'END' }, [[undefined, 'END']]],
    [
      `${think}aE\nb\n\nc`,
      { stop: ['EN', '\n\n'] },
      [
        ['a', 'a'],
        ['E\nb', 'E\nb'],
        [undefined, '\n\nc'],
      ],
    ],
    [
      `${think}ab\n<tool_call>\n{"name":"f","arguments":{}}\n</tool_call><|im_end|>`,
      { tools },
      [
        ['a', 'a'],
        ['b', 'b'],
      ],
    ],
  ]
  for (const [script, more, pieces] of cases) {
    const { post } = scripted(() => script, 'qwen')
    const request = { model: 'scripted', messages: [{ role: 'user', content: 'x' }], logprobs: true, ...more }
    const entries = (choice: Json) => Buffer.from((choice.logprobs?.content ?? []).flatMap((entry: Json) => entry.bytes)).toString()
    const events = (await eventsOf(await post('/v1/chat/completions', { ...request, stream: true }))).slice(1, -1)
    const choices = events.map(({ data }) => data.choices[0]).filter((choice) => choice.delta.content || choice.logprobs)
    assert.deepEqual(
      choices.map((choice) => [choice.delta.content, entries(choice)]),
      pieces,
      script,
    )
    const whole = (await jsonOf(post('/v1/chat/completions', request))).choices[0]
    assert.equal(entries(whole), pieces.map(([, scored]) => scored).join(''))
  }
})

test('entries of tokens that join newlines before the text with the text', () => {
  const token = (text: string): TextToken => ({ type: 'text-token', id: 0, bytes: new TextEncoder().encode(text), logprob: -1, top: [] })
  const shown = (events: readonly ChatEvent[]) =>
    events.flatMap((event) =>
      event.type === 'text-token' ? [new TextDecoder().decode(event.bytes)] : event.type === 'text-delta' ? [`=${event.delta}`] : [],
    )
  const events = new AnswerEvents({ showsText: true } as Guide, [], false)
  for (const text of ['\n', '\nOne', ' two']) events.token(token(text))
  events.add([
    { type: 'text-start', phase: 'final' },
    { type: 'text-delta', delta: 'One', phase: 'final' },
  ])
  events.add([{ type: 'text-delta', delta: ' two', phase: 'final' }])
  assert.deepEqual(shown(events.take()), ['\nOne', '=One', ' two', '= two'])
  // A second text begins where its own tokens do.
  events.add([
    { type: 'text-end', text: 'One two', phase: 'final' },
    { type: 'text-start', phase: 'final' },
  ])
  for (const text of ['a', 'b']) events.token(token(text))
  events.add([
    { type: 'text-delta', delta: 'a', phase: 'final' },
    { type: 'text-delta', delta: 'b', phase: 'final' },
  ])
  assert.deepEqual(shown(events.take()), ['=\n\n', 'a', '=a', 'b', '=b'])
})

test('a cut inside a character of the thinking or of arguments leaves none of it', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
  const cases: [format: 'harmony' | 'qwen', script: string, more: object][] = [
    ['harmony', '<|channel|>analysis<|message|>ab🦙', { max_tokens: 14 }],
    ['qwen', '<think>\nab🦙', { max_tokens: 6 }],
    ['qwen', '<think>\nab🦙 goes on and on</think>\n\nok', { thinking_token_budget: 5 }],
    ['harmony', `${analysis('ab🦙 goes on')}<|channel|>final<|message|>ok<|return|>`, { thinking_token_budget: 4 }],
    ['harmony', '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a":"🦙', { tools, max_tokens: 43 }],
    ['qwen', '<tool_call>\n{"name": "f", "arguments": {"a": "🦙', { tools, max_tokens: 44 }],
  ]
  for (const [format, script, more] of cases) {
    for (const stream of [false, true]) {
      const { post } = scripted(() => script, format)
      const response = await post('/v1/chat/completions', {
        model: 'scripted',
        messages: [{ role: 'user', content: 'x' }],
        stream,
        ...more,
      })
      const text = await response.text()
      assert.ok(response.ok && (stream || /ab|"name":"f"/.test(text)), text)
      assert.ok(!text.includes('\ufffd'), text)
    }
  }
})

test('a character that the model leaves malformed in the middle of a text is U+FFFD, as in any decoder', async () => {
  const { post } = scripted(() => 'a', 'plain')
  const { content } = await jsonOf(post('/detokenize', { tokens: [0x61, 0xf0, 0x9f, 0x62] }))
  assert.equal(content, 'a\ufffdb')
})

test('echo: offsets count characters of the text, bytes of characters have spellings of their own, prompts may end inside one', async () => {
  const { post } = scripted(() => 'é!', 'plain')
  const ask = async (body: object) =>
    (await jsonOf(post('/v1/completions', { model: 'scripted', logprobs: 1, echo: true, ...body }))).choices[0]
  const whole = await ask({ prompt: '🦙é', max_tokens: 2 })
  assert.equal(whole.text, '🦙éé')
  assert.deepEqual(whole.logprobs.tokens, [
    'bytes:\\xf0',
    'bytes:\\x9f',
    'bytes:\\xa6',
    'bytes:\\x99',
    'bytes:\\xc3',
    'bytes:\\xa9',
    'bytes:\\xc3',
    'bytes:\\xa9',
  ])
  assert.deepEqual(whole.logprobs.text_offset, [0, 0, 0, 0, 1, 1, 2, 2])
  assert.equal(whole.logprobs.token_logprobs[0], null)
  assert.equal(whole.logprobs.top_logprobs[0], null)
  const scored = await ask({ prompt: 'abc', max_tokens: 0 })
  assert.deepEqual([scored.text, scored.logprobs.tokens, scored.finish_reason], ['abc', ['a', 'b', 'c'], 'length'])
  const rest = scripted(() => '\u0000', 'plain')
  // The script cannot write half a character, but a prompt can end inside one.
  const half = await jsonOf(
    rest.post('/v1/completions', { model: 'scripted', prompt: [0x61, 0xf0, 0x9f], max_tokens: 0, echo: true, logprobs: 1 }),
  )
  assert.deepEqual([half.choices[0].text, half.choices[0].logprobs.text_offset], ['a', [0, 1, 1]])
})

test('the chosen token is always among the likeliest ones of a completion, and alone with logprobs 0', async () => {
  const { model, engine } = scriptedModel(() => 'x', 'plain')
  engine.score = async (ids, { top = 0 } = {}) =>
    ids.slice(1).map((id) => ({ id, logprob: -3, top: Array.from({ length: top }, (_, i) => ({ id: 0x78 + i, logprob: -0.5 - i })) }))
  const { post } = scripted(() => '', 'plain', { models: [{ id: 'scripted', load: async () => model }] })
  for (const [logprobs, ofPrompt, drawn] of [
    [0, { b: -3 }, { x: -0.25 }],
    [1, { x: -0.5, b: -3 }, { x: -0.25 }],
    [2, { x: -0.5, y: -1.5, b: -3 }, { x: -0.25, y: -1.25 }],
  ] as const) {
    const request = { model: 'scripted', prompt: 'ab', max_tokens: 1, logprobs }
    const whole = (await jsonOf(post('/v1/completions', { ...request, echo: true }))).choices[0].logprobs
    assert.deepEqual(whole.top_logprobs, [null, ofPrompt, drawn])
    const streamed = await eventsOf(await post('/v1/completions', { ...request, stream: true }))
    assert.deepEqual(streamed[0]!.data.choices[0].logprobs.top_logprobs, [drawn])
  }
})
