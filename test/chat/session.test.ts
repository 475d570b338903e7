/** Turns over a scripted model: tools, cancellation, budgets, forced calls, stop texts, the guard against loops, usage. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { ChatError, type ChatEvent, type FinishEvent, type Message, type Tool } from '../../src/chat/messages.ts'
import { ChatSession, chat, type TurnOptions } from '../../src/chat/session.ts'
import { byteTokenizer, qwenSpecials } from './byte-tokenizer.ts'
import { checkEvents, summary } from './events.ts'
import { type ScriptedModel, scriptedModel } from './scripted.ts'

const user: Message[] = [{ role: 'user', content: 'hi' }]
const final = (text: string) => `<|channel|>final<|message|>${text}<|return|>`
const think = (text: string) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant`
const call = (name: string, args: string) => ` to=functions.${name}<|channel|>commentary <|constrain|>json<|message|>${args}<|call|>`

async function run(model: ScriptedModel, options: TurnOptions = {}, history = user) {
  const events: ChatEvent[] = []
  const turn = chat(model, history, options)
  let next = await turn.next()
  for (; !next.done; next = await turn.next()) events.push(next.value)
  checkEvents(events)
  assert.deepEqual(events.map(({ type }) => type === 'finish').indexOf(true), events.length - 1, 'one finish, at the end')
  return { events, said: summary(events), finish: events.at(-1) as FinishEvent, added: next.value }
}

const add: Tool = {
  name: 'add',
  parameters: { type: 'object', properties: { a: { type: 'number' }, b: { type: 'number' } } },
  execute: (args) => {
    const { a, b } = args as { a: number; b: number }
    return { sum: a + b }
  },
}

test('reasoning and text, usage and timings', async () => {
  const { said, finish, added } = await run(scriptedModel([think('Hm.') + final('Hello.')]))
  assert.deepEqual(said, ['reasoning: Hm.', 'text: Hello.'])
  assert.equal(finish.reason, 'stop')
  assert.equal(
    finish.usage.completionTokens,
    think('Hm.').replace(/<\|\w+\|>/g, '.').length + final('Hello.').replace(/<\|\w+\|>/g, '.').length,
  )
  assert.equal(finish.usage.reasoningTokens, 'Hm.'.length + 1)
  assert.ok(finish.timings.firstTokenMs > 0 && finish.timings.completionTokensPerSecond > 0 && finish.timings.promptTokensPerSecond > 0)
  assert.deepEqual(added, [
    {
      role: 'assistant',
      content: [
        { type: 'reasoning', text: 'Hm.' },
        { type: 'text', text: 'Hello.' },
      ],
    },
  ])
})

test('published sampling, overruled field by field', async () => {
  const model = scriptedModel([final('x')])
  await run(model, { sampling: { temperature: 0.2, topK: undefined, seed: 7 } })
  assert.deepEqual(model.asked[0]!.sampling, { temperature: 0.2, topP: 1, seed: 7 })
})

test('a tool is called, its result read, its reasoning kept', async () => {
  const model = scriptedModel([think('Add.') + call('add', '{"a": 47, "b": 85}'), think('132.') + final('It is 132.')])
  const { said, finish, added } = await run(model, { tools: [add] })
  assert.deepEqual(said, [
    'reasoning: Add.',
    'call add: {"a": 47, "b": 85}',
    'result add: {"sum":132}',
    'reasoning: 132.',
    'text: It is 132.',
  ])
  assert.equal(finish.reason, 'stop')
  assert.ok(
    model.prompts[1]!.endsWith('<|start|>functions.add to=assistant<|channel|>commentary<|message|>{"sum":132}<|end|><|start|>assistant'),
  )
  assert.ok(model.prompts[1]!.includes('<|channel|>analysis<|message|>Add.<|end|>'))
  assert.deepEqual(
    added.map((message) => message.role),
    ['assistant', 'tool', 'assistant'],
  )
  // The second answer reuses everything up to the end of the call.
  assert.ok(finish.usage.cachedTokens > 0 && finish.usage.cachedTokens < finish.usage.promptTokens)
})

test('tools that throw, unknown tools and arguments that are no JSON become results', async () => {
  const failing: Tool = { name: 'fail', execute: () => Promise.reject(new Error('no harbour there')) }
  const model = scriptedModel([call('fail', '{}'), call('subtract', '{}'), call('add', 'one and two'), final('Sorry.')])
  const { events } = await run(model, { tools: [failing, add] })
  const results = events.filter((event) => event.type === 'tool-result')
  assert.ok(results.every((event) => event.isError))
  assert.deepEqual(
    results.map((event) => event.content.slice(0, 34)),
    ['Error: no harbour there', 'Error: there is no tool "subtract"', 'Error: the arguments are not JSON:'],
  )
})

test('several calls at once', async () => {
  const order: number[] = []
  const slow: Tool = {
    name: 'slow',
    execute: async (args) => {
      const { ms } = args as { ms: number }
      await new Promise((resolve) => setTimeout(resolve, ms))
      order.push(ms)
      return String(ms)
    },
  }
  // Harmony goes on when asked to; without it the first call ends the answer.
  const calls = `${call('slow', '{"ms": 40}')}${call('slow', '{"ms": 1}')}`
  const both = await run(scriptedModel([`${calls}<|return|>`, final('Done.')]), { tools: [slow], parallelToolCalls: true })
  assert.deepEqual(both.said, ['call slow: {"ms": 40}', 'call slow: {"ms": 1}', 'result slow: 40', 'result slow: 1', 'text: Done.'])
  assert.deepEqual(order, [1, 40])
  const one = await run(scriptedModel([calls, final('Done.')]), { tools: [slow] })
  assert.deepEqual(one.said, ['call slow: {"ms": 40}', 'result slow: 40', 'text: Done.'])
  // Qwen writes several calls by itself.
  const tokenizer = byteTokenizer(qwenSpecials)
  const block = (ms: number) => `<tool_call>\n{"name": "slow", "arguments": {"ms": ${ms}}}\n</tool_call>`
  const format = qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' })
  const qwen = await run(
    scriptedModel([`<think>\nx\n</think>\n\n${block(20)}\n${block(1)}<|im_end|>`, 'Done.<|im_end|>'], { tokenizer, format }),
    { tools: [slow] },
  )
  assert.deepEqual(qwen.said, [
    'reasoning: x',
    'call slow: {"ms": 20}',
    'call slow: {"ms": 1}',
    'result slow: 20',
    'result slow: 1',
    'text: Done.',
  ])
})

test('rounds are bounded', async () => {
  const { said, finish, added } = await run(scriptedModel([call('add', '{"a": 1, "b": 1}')]), { tools: [add], maxRounds: 3 })
  assert.equal(said.filter((line) => line.startsWith('call')).length, 3)
  assert.equal(said.at(-1), '! tool-rounds')
  assert.equal(finish.reason, 'tool-calls')
  assert.equal(added.at(-1)!.role, 'tool')
})

test('calls of tools without an implementation are returned to the caller', async () => {
  const model = scriptedModel([call('ask', '{"q": 1}'), final('Yes.')])
  const session = new ChatSession(model, { tools: [{ name: 'ask' }, add] })
  const events = await Array.fromAsync(session.send('hi'))
  assert.equal((events.at(-1) as FinishEvent).reason, 'tool-calls')
  const toolCall = events.find((event) => event.type === 'tool-call-end')!
  const more = await Array.fromAsync(session.send([{ role: 'tool', toolCallId: toolCall.id, content: 'ok' }]))
  assert.deepEqual(summary(more), ['text: Yes.'])
  assert.deepEqual(
    session.messages.map((message) => message.role),
    ['user', 'assistant', 'tool', 'assistant'],
  )
})

test('abort: within a token, and the session stays usable', async () => {
  for (const after of [0, 1, 2, 5, 11]) {
    const model = scriptedModel([think('A long thought.') + final('A long answer.'), final('Fresh.')], { msPerToken: 1 })
    const session = new ChatSession(model)
    const controller = new AbortController()
    const events: ChatEvent[] = []
    let seen = 0
    if (after === 0) controller.abort()
    for await (const event of session.send('one', { signal: controller.signal })) {
      events.push(event)
      if (event.type.endsWith('-delta') && ++seen === after) controller.abort()
    }
    checkEvents(events)
    const deltas = events.filter((event) => event.type.endsWith('-delta')).length
    assert.ok(deltas <= after + 1, `${deltas} deltas after an abort at ${after}`)
    assert.equal((events.at(-1) as FinishEvent).reason, 'abort')
    assert.deepEqual(session.messages, [])
    assert.deepEqual(summary(await Array.fromAsync(session.send('two'))), ['text: Fresh.'])
  }
  // Text that was shown is kept, the rest of the turn as well.
  const session = new ChatSession(scriptedModel([think('Hm.') + final('A long answer.')], { msPerToken: 1 }))
  const controller = new AbortController()
  for await (const event of session.send('one', { signal: controller.signal }))
    if (event.type === 'text-delta' && event.delta === 'n') controller.abort()
  assert.deepEqual(session.messages[1], {
    role: 'assistant',
    content: [
      { type: 'reasoning', text: 'Hm.' },
      { type: 'text', text: 'A lon' },
    ],
  })
  // Leaving the loop cancels too.
  const left = new ChatSession(scriptedModel([final('A long answer.')], { msPerToken: 1 }))
  for await (const event of left.send('one')) if (event.type === 'text-delta' && event.delta === 'n') break
  assert.deepEqual(left.messages, [
    { role: 'user', content: 'one' },
    { role: 'assistant', content: [{ type: 'text', text: 'A lon' }] },
  ])
  assert.deepEqual(summary(await Array.fromAsync(left.send('two'))).length, 1)
})

test('abort while a tool runs', async () => {
  const controller = new AbortController()
  const hanging: Tool = { name: 'hang', execute: () => new Promise(() => setTimeout(() => controller.abort(), 5)) }
  const { finish, events } = await run(scriptedModel([call('hang', '{}')]), { tools: [hanging], signal: controller.signal })
  assert.equal(finish.reason, 'abort')
  assert.ok(events.some((event) => event.type === 'tool-result' && event.isError))
})

test('limits: tokens, context, and a prompt that is too long', async () => {
  const cut = await run(scriptedModel([think('Hm.') + call('add', '{"a": 47, "b": 85}')]), { tools: [add], maxTokens: 75 })
  assert.equal(cut.finish.reason, 'length')
  assert.ok(cut.said.some((line) => line.startsWith('call add: {"a"')) && cut.said.at(-1) === '! unfinished-tool-call')
  assert.deepEqual(cut.added, [{ role: 'assistant', content: [] }])
  const model = scriptedModel([final('x'.repeat(1000))], { context: 300 })
  assert.equal((await run(model)).finish.reason, 'context')
  await assert.rejects(
    run(model, {}, [{ role: 'user', content: 'x'.repeat(400) }]),
    (error) => error instanceof ChatError && /maximum context length is 300/.test(error.message),
  )
})

test('the guard against endless repetition', async () => {
  const loops = await run(scriptedModel([`<|channel|>final<|message|>${'The cat sat. '.repeat(500)}`]))
  assert.equal(loops.finish.reason, 'repetition')
  assert.ok(loops.finish.usage.completionTokens < 700)
  const list = Array.from({ length: 300 }, (_, i) => `${i}. item\n`).join('')
  assert.equal((await run(scriptedModel([final(list)]))).finish.reason, 'stop')
  assert.equal((await run(scriptedModel([final('0'.repeat(1000))]), { repetitionLimit: 0 })).finish.reason, 'stop')
})

test('stop texts end the answer and do not appear in it', async () => {
  const stop = ['END', 'STOP!']
  const { said, finish, events } = await run(scriptedModel([think('Not the END.') + final('One. STOP two. EN EEND three.')]), { stop })
  assert.deepEqual(said, ['reasoning: Not the END.', 'text: One. STOP two. EN E'])
  assert.equal(finish.reason, 'stop')
  assert.ok(events.every((event) => event.type !== 'text-delta' || !event.delta.includes('END')))
  assert.deepEqual((await run(scriptedModel([final('It is the E')]), { stop })).said, ['text: It is the E'])
})

test('a thinking budget', async () => {
  const harmony = await run(scriptedModel([think('abcdefghijklmnop') + final('x')]), { thinking: { budget: 5 }, maxTokens: 60 })
  assert.deepEqual(harmony.said.slice(0, 2), ['! thinking-budget', 'reasoning: abcde'])
  const tokenizer = byteTokenizer(qwenSpecials)
  const format = qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' })
  const qwen = await run(scriptedModel(['<think>\nabcdefgh42.<|im_end|>'], { tokenizer, format }), { thinking: { budget: 9 } })
  const sentence = 'Considering the limited time by the user, I have to give the solution based on the thinking directly now.'
  assert.deepEqual(qwen.said, ['! thinking-budget', `reasoning: abcdefgh\n\n${sentence}`, 'text: 42.'])
})

test('a forced call is made, and only once', async () => {
  const other: Tool = { name: 'adjust', execute: () => 'adjusted' }
  const args = '{"a": 1, "b": 2}'
  // The model prefers to answer; the named tool is forced right after the thinking.
  const named = scriptedModel([`${think('Easy.')}${args}<|call|>`.replace('<|start|>assistant', ''), final('3')])
  assert.deepEqual((await run(named, { tools: [add, other], toolChoice: { name: 'add' } })).said, [
    'reasoning: Easy.',
    `call add: ${args}`,
    'result add: {"sum":3}',
    'text: 3',
  ])
  // The model calls by itself.
  const own = scriptedModel([think('Easy.').replace('<|start|>assistant', '') + `d${args}<|call|>`, final('3')])
  assert.deepEqual((await run(own, { tools: [add, other], toolChoice: 'required' })).said.slice(0, 2), [
    'reasoning: Easy.',
    `call add: ${args}`,
  ])
  // The model cannot end before it has called.
  const quits = scriptedModel(['<|return|><|return|><|return|>'])
  const { finish } = await run(quits, { tools: [add], toolChoice: 'required', maxTokens: 100, maxRounds: 1 })
  assert.notEqual(finish.reason, 'stop')
  const tokenizer = byteTokenizer(qwenSpecials)
  const format = qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' })
  const qwen = scriptedModel([`x\n</think>${args}}\n</tool_call><|im_end|>`, 'Done.<|im_end|>'], { tokenizer, format })
  assert.deepEqual((await run(qwen, { tools: [add, other], toolChoice: { name: 'add' } })).said.slice(0, 2), [
    'reasoning: x',
    `call add: ${args}`,
  ])
})

test('a session: history, one turn at a time, failures leave no trace', async () => {
  const model = scriptedModel([think('1') + final('One.'), final('Two.')])
  const session = new ChatSession(model, { thinking: 'high' }, [{ role: 'system', content: 'Be brief.' }])
  await Array.fromAsync(session.send('a'))
  await Array.fromAsync(session.send('b', { thinking: 'low' }))
  assert.ok(model.prompts[0]!.includes('Reasoning: high') && model.prompts[1]!.includes('Reasoning: low'))
  assert.ok(
    model.prompts[1]!.endsWith(
      '<|start|>user<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>One.<|end|><|start|>user<|message|>b<|end|><|start|>assistant',
    ),
  )
  const before = structuredClone(session.messages)
  const first = session.send('c')
  await first.next()
  await assert.rejects(session.send('d').next(), /is answering/)
  await first.return()
  await assert.rejects(session.send('d', { continueFinalMessage: true }).next(), ChatError)
  assert.deepEqual(session.messages, before)
  await Array.fromAsync(session.send('e'))
  assert.equal(session.messages.length, before.length + 2)
  const failing = new ChatSession(
    {
      ...model,
      engine: {
        context: 8192,
        generate: () => {
          throw new Error('device lost')
        },
      },
    },
    {},
    before,
  )
  await assert.rejects(Array.fromAsync(failing.send('x')), /device lost/)
  assert.deepEqual(failing.messages, before)
})
