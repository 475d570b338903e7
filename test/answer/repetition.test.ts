/** The guard against loops: which texts are loops, and that every answer has the guard by default. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineage } from '../../src/ai/provider.ts'
import { REPEATED_IDS, RepetitionGuard } from '../../src/answer/repetition.ts'
import { chat } from '../../src/chat/session.ts'
import { analysis, call, counting, eventsOf, final, type Json, jsonOf, scripted, scriptedModel } from '../server/scripted-app.ts'

/** After how many ids the guard ends the sequence; undefined: never. */
function endsAfter(ids: readonly number[], guard = new RepetitionGuard()): number | undefined {
  const at = ids.findIndex((id) => guard.push(id))
  return at < 0 ? undefined : at + 1
}

const cycle = (period: number, count: number) => Array.from({ length: count }, (_, i) => i % period)

test('a short loop ends when REPEATED_IDS ids have repeated', () => {
  assert.equal(REPEATED_IDS, 256)
  for (const period of [1, 2, 7, 32]) assert.equal(endsAfter(cycle(period, 5_000)), period + 256, `period ${period}`)
})

test('a long period is a loop only after eight repetitions', () => {
  for (const period of [64, 200, 256]) assert.equal(endsAfter(cycle(period, 5_000)), 9 * period, `period ${period}`)
  // Three times the same 200 ids: more than 256 repeat, and still it is a list that somebody repeats.
  assert.equal(endsAfter(cycle(200, 600)), undefined)
  assert.equal(endsAfter(cycle(257, 20_000)), undefined, 'longer periods are not watched')
})

test('lists are not loops, and a loop is found after other text', () => {
  const list = Array.from({ length: 4_000 }, (_, i) => (i % 5 === 0 ? 1_000 + i : i % 5))
  assert.equal(endsAfter(list), undefined)
  assert.equal(endsAfter([...list.slice(0, 1_000), ...cycle(3, 1_000)]), 1_000 + 3 + 256)
})

test('another limit, and none', () => {
  assert.equal(endsAfter(cycle(2, 5_000), new RepetitionGuard(20)), 22)
  assert.equal(endsAfter(cycle(2, 5_000), new RepetitionGuard(0)), undefined)
})

test('answers of the library and of the server end a loop by themselves', async () => {
  const loop = () => analysis('Hm.') + final('The cat sat. '.repeat(400))
  const written = (text: string) => new TextEncoder().encode(text).length
  const { model } = scriptedModel(loop)
  const events = await Array.fromAsync(chat(model, [{ role: 'user', content: 'Hi' }]))
  const finish = events.at(-1)!
  assert.ok(finish.type === 'finish' && finish.reason === 'repetition')
  const { post } = scripted(loop)
  const body = { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }] }
  const { choices, usage } = (await (await post('/v1/chat/completions', body)).json()) as Json
  assert.equal(choices[0].finish_reason, 'length')
  // One round of 13 ids, then 256 that repeat it.
  assert.equal(written(choices[0].message.content), 13 + 256)
  assert.equal(usage.completion_tokens, finish.usage.completionTokens)
  const long = scripted(() => final(counting(2_000)))
  const whole = (await (await long.post('/v1/chat/completions', body)).json()) as Json
  assert.deepEqual([whole.choices[0].finish_reason, whole.choices[0].message.content], ['stop', counting(2_000)])
})

const loops: Record<string, string> = {
  'in the answer': final('ha '.repeat(400)),
  'of one token': final('-'.repeat(2_000)),
  'of a line': final('The cat sat on the mat.\n'.repeat(100)),
  'of characters of several bytes': final('🦙'.repeat(400)),
  'after other text': analysis('Hm.') + final(`${counting(200)} ${'and so on '.repeat(200)}`),
  'in the thinking': analysis('Wait. '.repeat(400)) + final('never'),
  'in the arguments of a call': call('f', `{"a":"${'x'.repeat(2_000)}"}`),
}

for (const [name, script] of Object.entries(loops)) {
  test(`a loop ${name}: every route says why the answer ended`, async () => {
    const { model } = scriptedModel(() => script)
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const tools = [{ name: 'f', parameters: { type: 'object' } }]
    const events = await Array.fromAsync(chat(model, messages, { tools }))
    assert.equal((events.at(-1) as { reason: string }).reason, 'repetition')
    assert.deepEqual(events.flatMap((event) => (event.type === 'warning' && event.code === 'repetition' ? [event.message] : [])).length, 1)

    const { post } = scripted(() => script)
    const body = { model: 'scripted', messages, tools: tools.map((tool) => ({ type: 'function', function: tool })) }
    const { choices } = await jsonOf(post('/v1/chat/completions', body))
    assert.deepEqual([choices[0].finish_reason, choices[0].stop_reason], ['length', 'repetition'])
    const chunks = await eventsOf(await post('/v1/chat/completions', { ...body, stream: true }))
    const last = chunks.map(({ data }) => data.choices?.[0]).findLast((choice) => choice?.finish_reason)
    assert.deepEqual([last.finish_reason, last.stop_reason], ['length', 'repetition'])

    const response = await jsonOf(
      post('/v1/responses', { model: 'scripted', input: 'Hi', tools: tools.map((tool) => ({ type: 'function', ...tool })) }),
    )
    assert.deepEqual(
      [response.status, response.incomplete_details],
      ['incomplete', { reason: 'max_output_tokens', stop_reason: 'repetition' }],
    )
    const ollama = await jsonOf(post('/api/chat', { ...body, stream: false }))
    assert.deepEqual([ollama.done_reason, ollama.stop_reason], ['length', 'repetition'])

    const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Hi' }] }]
    const sdkTools = tools.map(({ name, parameters }) => ({ type: 'function' as const, name, inputSchema: parameters as object }))
    const sdk = await lineage({ ...model, architecture: { name: 'm' } }).doGenerate({ prompt, tools: sdkTools })
    assert.deepEqual(sdk.finishReason, { unified: 'length', raw: 'repetition' })
  })
}

test('an answer that ends otherwise has no such field', async () => {
  for (const [script, more, reason] of [
    [final('ok'), {}, 'stop'],
    [final(counting(50)), { max_tokens: 20 }, 'length'],
  ] as const) {
    const { post } = scripted(() => script)
    const { choices } = await jsonOf(
      post('/v1/chat/completions', { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }], ...more }),
    )
    assert.deepEqual([choices[0].finish_reason, 'stop_reason' in choices[0]], [reason, false])
  }
})
