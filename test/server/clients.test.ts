/** The clients people use, against scripted ids over real sockets: openai-node, the Agents SDK and the AI SDK. */
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { Agent, tool as agentTool, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, setTracingDisabled } from '@openai/agents'
import { generateText, stepCountIs, streamText, tool } from 'ai'
import OpenAI from 'openai'
import { z } from 'zod'
import { listen } from '../../src/server/node.ts'
import { zodTool } from './openai-tools.ts'
import { analysis, call, counting, final, type Json, type Scripted, scripted } from './scripted-app.ts'

setTracingDisabled(true)

/** Thinks, calls the tool, thinks again, answers with the result. */
const toolLoop = (prompt: string) =>
  /functions\.get_weather to=assistant/.test(prompt)
    ? analysis('Now I know.') + final(`It is ${/commentary<\|message\|>([^<]*)<\|end\|><\|start\|>assistant$/.exec(prompt)?.[1]}.`)
    : analysis('I need the weather.') + call('get_weather', '{"city":"Rome"}')

let server: Scripted
let close: () => Promise<void>
let baseURL: string
let openai: OpenAI

before(async () => {
  server = scripted((prompt) => (prompt.includes('slow') ? final(counting(20_000)) : toolLoop(prompt)))
  const listening = await listen(server.app, { port: 0 })
  baseURL = `${listening.url}/v1`
  close = () => listening.close(0)
  openai = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 })
})
after(() => close())

const lastPrompt = () => server.engine.prompts.at(-1)!
const keptReasoning = /analysis<\|message\|>I need the weather\.<\|end\|>/
const weatherTools: OpenAI.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } },
]

test('openai-node: models, chat, stream helper, runTools', async () => {
  const models = await openai.models.list()
  assert.deepEqual(
    models.data.map(({ id }) => id),
    ['scripted'],
  )
  assert.equal((await openai.models.retrieve('scripted')).id, 'scripted')

  const stream = openai.chat.completions.stream({
    model: 'scripted',
    messages: [{ role: 'user', content: 'Weather?' }],
    tools: weatherTools,
  })
  const completion = await stream.finalChatCompletion()
  assert.equal(completion.choices[0]!.message.tool_calls![0]!.type, 'function')

  const runner = openai.chat.completions.runTools({
    model: 'scripted',
    messages: [{ role: 'user', content: 'Weather?' }],
    tools: [zodTool('get_weather', z.object({ city: z.string() }), ({ city }) => (city === 'Rome' ? 'sunny' : 'unknown'))],
  })
  assert.equal(await runner.finalContent(), 'It is sunny.')
  assert.match(lastPrompt(), keptReasoning)
})

test('openai-node: responses, their stream helper, retrieval', async () => {
  const tools: OpenAI.Responses.Tool[] = [
    { type: 'function', name: 'get_weather', strict: false, parameters: { type: 'object', properties: { city: { type: 'string' } } } },
  ]
  const first = await openai.responses.create({ model: 'scripted', input: 'Weather?', tools })
  const called = first.output.find((item) => item.type === 'function_call')!
  const stream = openai.responses.stream({
    model: 'scripted',
    previous_response_id: first.id,
    input: [{ type: 'function_call_output', call_id: called.call_id, output: 'rainy' }],
    tools,
  })
  const types = new Set<string>()
  for await (const event of stream) types.add(event.type)
  const response = await stream.finalResponse()
  assert.equal(response.output_text, 'It is rainy.')
  assert.ok(types.has('response.reasoning_text.delta') && types.has('response.output_text.delta'))
  assert.match(lastPrompt(), keptReasoning)
  assert.equal((await openai.responses.retrieve(first.id)).id, first.id)
})

test('openai-node: leaving a stream and aborting a request stop the work', async () => {
  const stream = await openai.chat.completions.create({ model: 'scripted', messages: [{ role: 'user', content: 'slow' }], stream: true })
  let seen = 0
  for await (const _ of stream) if (++seen > 3) break
  const controller = new AbortController()
  const whole = openai.chat.completions.create(
    { model: 'scripted', messages: [{ role: 'user', content: 'slow' }] },
    { signal: controller.signal },
  )
  setTimeout(() => controller.abort(), 30)
  await assert.rejects(whole, OpenAI.APIUserAbortError)
  for (let i = 0; i < 100 && server.engine.running > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(server.engine.running, 0)
})

test('openai-node: errors carry type, code, param and the request id', async () => {
  const error: Json = await openai.chat.completions
    .create({ model: 'other', messages: [{ role: 'user', content: 'Hi' }] })
    .catch((thrown) => thrown)
  assert.ok(error instanceof OpenAI.NotFoundError)
  assert.equal(error.code, 'model_not_found')
  assert.match(error.requestID ?? '', /^req_/)
  const bad: Json = await openai.chat.completions.create({ model: 'scripted', messages: [], temperature: 99 }).catch((thrown) => thrown)
  assert.ok(bad instanceof OpenAI.BadRequestError)
})

for (const [name, model] of [
  ['responses', () => new OpenAIResponsesModel(openai as Json, 'scripted')],
  ['chat', () => new OpenAIChatCompletionsModel(openai as Json, 'scripted')],
] as const) {
  for (const stream of [false, true]) {
    test(`@openai/agents over ${name}, ${stream ? 'streamed' : 'whole'}: the tool loop keeps its reasoning`, async () => {
      const getWeather = agentTool({
        name: 'get_weather',
        description: 'Weather.',
        parameters: z.object({ city: z.string() }),
        execute: async () => 'windy',
      })
      const agent = new Agent({ name: 'a', instructions: 'Be brief.', model: model(), tools: [getWeather] })
      const runner = new Runner()
      const result: Json = stream ? await runner.run(agent, 'Weather?', { stream: true }) : await runner.run(agent, 'Weather?')
      if (stream) {
        for await (const _ of result);
        await result.completed
      }
      assert.equal(result.finalOutput, 'It is windy.')
      assert.match(lastPrompt(), keptReasoning)
      assert.match(lastPrompt(), /# Instructions\n\nBe brief\./)
    })
  }
}

const aiTools = { get_weather: tool({ inputSchema: z.object({ city: z.string() }), execute: async () => 'cloudy' }) }

for (const [name, model] of [
  ['openai.responses', () => createOpenAI({ baseURL, apiKey: 'none' }).responses('scripted')],
  ['openai.chat', () => createOpenAI({ baseURL, apiKey: 'none' }).chat('scripted')],
  ['openai-compatible', () => createOpenAICompatible({ name: 'lineage', baseURL, includeUsage: true })('scripted')],
] as const) {
  test(`AI SDK through ${name}: tool loop, reasoning kept, whole and streamed`, async () => {
    const options = { model: model(), tools: aiTools, prompt: 'Weather?', stopWhen: stepCountIs(3), maxRetries: 0 }
    const result = await generateText(options)
    assert.equal(result.text, 'It is cloudy.')
    assert.equal(result.steps.length, 2)
    assert.match(lastPrompt(), keptReasoning)
    const streamed = streamText(options)
    let text = ''
    for await (const delta of streamed.textStream) text += delta
    assert.equal(text, 'It is cloudy.')
    if (name === 'openai-compatible') assert.equal((await streamed.steps)[0]!.reasoningText, 'I need the weather.')
    assert.ok((await streamed.totalUsage).outputTokens! > 0)
  })
}
