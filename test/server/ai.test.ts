/** The in-process provider of the AI SDK on scripted ids: tool loops, reasoning, schemas, forced tools, abort; no HTTP. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai'
import { z } from 'zod'
import type { LineageProviderOptions } from '../../src/ai/prompt.ts'
import { lineage } from '../../src/ai/provider.ts'
import { analysis, call, counting, final, scriptedModel } from './scripted-app.ts'

const loop = (prompt: string) =>
  /functions\.get_weather to=assistant/.test(prompt)
    ? final('It is cloudy.')
    : analysis('I need the weather.') + call('get_weather', '{"city":"Rome"}')
const tools = { get_weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async () => 'cloudy' }) }

test('generateText: the tool loop keeps reasoning and counts tokens', async () => {
  const { model, engine } = scriptedModel(loop)
  const result = await generateText({ model: lineage(model), system: 'Be brief.', prompt: 'Weather?', tools, stopWhen: stepCountIs(3) })
  assert.equal(result.text, 'It is cloudy.')
  assert.equal(result.steps[0]!.reasoningText, 'I need the weather.')
  assert.equal(result.steps[0]!.finishReason, 'tool-calls')
  assert.match(engine.prompts[1]!, /analysis<\|message\|>I need the weather\.<\|end\|>.*cloudy<\|end\|>/s)
  assert.match(engine.prompts[1]!, /Be brief\./)
  assert.equal(result.totalUsage.outputTokens, engine.generated)
})

test('streamText: parts in order', async () => {
  const { model } = scriptedModel(loop)
  const types: string[] = []
  const result = streamText({
    model: lineage(model),
    prompt: 'Weather?',
    tools,
    stopWhen: stepCountIs(3),
    providerOptions: { lineage: { reasoningEffort: 'high' } },
  })
  for await (const part of result.fullStream) if (types.at(-1) !== part.type) types.push(part.type)
  assert.deepEqual(
    types.filter((type) => !/^(start|finish)/.test(type)),
    [
      'reasoning-start',
      'reasoning-delta',
      'reasoning-end',
      'tool-input-start',
      'tool-input-delta',
      'tool-input-end',
      'tool-call',
      'tool-result',
      'text-start',
      'text-delta',
      'text-end',
    ],
  )
})

test('generateObject: a schema is kept', async () => {
  const { model } = scriptedModel(() => analysis('Hm.') + final('Ada is 36 years old.'))
  const { object } = await generateObject({
    model: lineage(model),
    prompt: 'Who?',
    schema: z.object({ name: z.string(), age: z.number().int().min(0).max(150) }),
  })
  assert.equal(typeof object.name, 'string')
  assert.ok(Number.isInteger(object.age))
})

test('a forced tool is called', async () => {
  const { model } = scriptedModel(() => analysis('Hm.') + final('I would rather talk.'))
  const result = await generateText({
    model: lineage(model),
    prompt: 'Weather?',
    tools: { get_weather: tool({ inputSchema: z.object({ city: z.string() }) }) },
    toolChoice: 'required',
  })
  assert.equal(result.toolCalls[0]!.toolName, 'get_weather')
})

test('abort ends the generation', async () => {
  const { model, engine } = scriptedModel(() => final(counting(5_000)), 'harmony', { delayMs: 1 })
  const controller = new AbortController()
  setTimeout(() => controller.abort(), 30)
  await assert.rejects(generateText({ model: lineage(model), prompt: 'Go', abortSignal: controller.signal, maxRetries: 0 }))
  const leaving = new AbortController()
  const stream = streamText({ model: lineage(model), prompt: 'Go', onError() {}, abortSignal: leaving.signal })
  let seen = 0
  for await (const _ of stream.textStream) if (++seen > 2) leaving.abort()
  for (let i = 0; i < 100 && engine.running > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.equal(engine.running, 0)
})

test('what a text model cannot read is an error, what it can do without a warning', async () => {
  const { model } = scriptedModel(() => final('ok'))
  const file = { type: 'image' as const, image: new Uint8Array(4), mediaType: 'image/png' }
  await assert.rejects(generateText({ model: lineage(model), messages: [{ role: 'user', content: [file] }], maxRetries: 0 }), /text only/)
})

test('misspelt provider options are named', async () => {
  const { model } = scriptedModel(() => final('x'))
  const ask = (own: LineageProviderOptions) =>
    generateText({ model: lineage(model), prompt: 'x', providerOptions: { lineage: own }, maxRetries: 0 })
  assert.equal((await ask({ reasoningEffort: 'low', choice: ['x', 'y'] })).text, 'x')
  await assert.rejects(ask({ reasoningEfort: 'low' } as object), /reasoningEfort: there is no such option; did you mean reasoningEffort/)
  await assert.rejects(ask({ reasoningEffort: 'hihg' } as object), /reasoningEffort: expected one of none, .* or max, got "hihg"/)
})

test('the option `reasoning` of AI SDK 7 sets the effort; what it cannot mean is a warning', async () => {
  const prompt = [{ role: 'user' as const, content: [{ type: 'text' as const, text: 'Hi' }] }]
  const cases: [unknown, RegExp, number][] = [
    [undefined, /Reasoning: medium/, 0],
    ['provider-default', /Reasoning: medium/, 0],
    ['low', /Reasoning: low/, 0],
    ['xhigh', /Reasoning: high/, 0],
    ['minimal', /Reasoning: low/, 0],
    ['none', /Reasoning: low/, 0],
    ['extreme', /Reasoning: medium/, 1],
  ]
  for (const [reasoning, wanted, warnings] of cases) {
    const { model, engine } = scriptedModel(() => analysis('Hm.') + final('ok'))
    const result = await lineage(model).doGenerate({ prompt, reasoning } as Parameters<ReturnType<typeof lineage>['doGenerate']>[0])
    assert.match(engine.prompts[0]!, wanted, String(reasoning))
    assert.equal(result.warnings.length, warnings)
    assert.equal(
      result.content.some(({ type }) => type === 'reasoning'),
      reasoning !== 'none',
    )
  }
  const { model, engine } = scriptedModel(() => final('ok'))
  const own = { providerOptions: { lineage: { reasoningEffort: 'high' } }, reasoning: 'low' }
  await lineage(model).doGenerate({ prompt, ...own })
  assert.match(engine.prompts[0]!, /Reasoning: high/) // what is said to this provider counts more
})
