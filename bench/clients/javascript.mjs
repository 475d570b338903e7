/**
 * JavaScript clients against a running `lineage serve`: a table in Markdown. The question is "What is 12 * 7?", which the embedded model answers.
 *
 *     mkdir clients && cd clients && npm init -y && npm install @anthropic-ai/sdk openai ollama ai@7 @ai-sdk/openai @ai-sdk/openai-compatible \
 *       @ai-sdk/anthropic @langchain/core @langchain/openai @langchain/ollama @langchain/anthropic llamaindex @llamaindex/openai @llamaindex/ollama @mastra/core zod promptfoo
 *     lineage serve --port 8080 & node LINEAGE/bench/clients/javascript.mjs clients http://127.0.0.1:8080 abacus
 *
 * The packages are those of the directory; a missing one makes its rows "not installed".
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const [directory, base = 'http://127.0.0.1:8080', model = 'abacus'] = process.argv.slice(2)
const here = fileURLToPath(import.meta.url)
if (directory && resolve(directory) !== dirname(here)) {
  // Bare names are looked up beside the file that imports them.
  const copy = join(resolve(directory), 'lineage-clients.mjs')
  copyFileSync(here, copy)
  process.exit(spawnSync(process.execPath, [copy, dirname(copy), base, model], { stdio: 'inherit' }).status ?? 1)
}

const question = 'What is 12 * 7?'
const v1 = `${base}/v1`
const rows = []

/** Runs one case with its packages. `holds`: what the result must contain. */
async function row(client, what, packages, run, holds = '84') {
  let [result, detail] = ['fails', '']
  try {
    const modules = await Promise.all(packages.map((name) => import(name)))
    const value = await Promise.race([run(...modules), new Promise((_, reject) => setTimeout(() => reject(new Error('no answer in 60 s')), 60_000))])
    detail = typeof value === 'string' ? value : JSON.stringify(value)
    if (detail.includes(holds)) result = 'ok'
  } catch (error) {
    detail = String(error?.message ?? error)
    if (error?.code === 'ERR_MODULE_NOT_FOUND' && /Cannot find package/.test(detail)) result = 'not installed'
  }
  rows.push([client, what, result, detail.replaceAll('\n', ' ').replaceAll('|', '\\|').slice(0, 90)])
  process.stderr.write(`${rows.at(-1).join(' | ')}\n`)
}

const version = (name) => {
  try {
    return JSON.parse(readFileSync(join(dirname(here), 'node_modules', name, 'package.json'), 'utf8')).version
  } catch {
    return ''
  }
}
const titled = (name) => `${name} ${version(name)}`.trim()
const user = [{ role: 'user', content: question }]
const collect = async (events, textOf) => {
  let text = ''
  for await (const event of events) text += textOf(event) ?? ''
  return text
}
const sum = { type: 'object', properties: { answer: { type: 'integer', maximum: 999 } }, required: ['answer'] }

// Anthropic's SDK
const anthropic = ({ default: Anthropic }) => new Anthropic({ baseURL: base, apiKey: 'none', maxRetries: 0 })
const asked = { model, max_tokens: 300, messages: user }
const sdk = ['@anthropic-ai/sdk']
await row(titled(sdk[0]), 'messages', sdk, async (m) => (await anthropic(m).messages.create(asked)).content[0].text)
await row(titled(sdk[0]), 'stream', sdk, async (m) => (await anthropic(m).messages.stream(asked).finalMessage()).content[0].text)
const budget = { ...asked, thinking: { type: 'enabled', budget_tokens: 200 } }
await row(titled(sdk[0]), 'thinking', sdk, async (m) => (await anthropic(m).messages.stream(budget).finalMessage()).content.map(({ type }) => type).join(), 'thinking,text')
const tools = [{ name: 'report', description: 'Reports.', input_schema: sum }]
await row(titled(sdk[0]), 'tool', sdk, async (m) => (await anthropic(m).messages.create({ ...asked, tools, tool_choice: { type: 'any' } })).content.at(-1), '"name":"report"')
await row(titled(sdk[0]), 'countTokens', sdk, async (m) => anthropic(m).messages.countTokens({ model, messages: user }), 'input_tokens')
await row(titled(sdk[0]), 'models.list', sdk, async (m) => collect(await anthropic(m).models.list(), ({ id }) => id), model)

// openai-node
const openai = ({ default: OpenAI }) => new OpenAI({ baseURL: v1, apiKey: 'none', maxRetries: 0 })
const oai = ['openai']
await row(titled('openai'), 'chat', oai, async (m) => (await openai(m).chat.completions.create({ model, messages: user })).choices[0].message.content)
await row(titled('openai'), 'chat stream', oai, async (m) => collect(await openai(m).chat.completions.create({ model, messages: user, stream: true }), ({ choices }) => choices[0]?.delta.content))
await row(titled('openai'), 'responses', oai, async (m) => (await openai(m).responses.create({ model, input: question })).output_text)
await row(titled('openai'), 'responses stream', oai, async (m) => (await openai(m).responses.stream({ model, input: question }).finalResponse()).output_text)
await row(titled('openai'), 'conversations', oai, async (m) => {
  const client = openai(m)
  const { id } = await client.conversations.create({})
  await client.responses.create({ model, input: question, conversation: id })
  return collect(await client.conversations.items.list(id), ({ content }) => content?.[0]?.text)
})
await row(titled('openai'), 'completions', oai, async (m) => (await openai(m).completions.create({ model, prompt: 'x', max_tokens: 4, stop: ['a', 'b', 'c', 'd', 'e'] })).object, 'text_completion')
await row(titled('openai'), 'embeddings of a generator: one 400', oai, (m) => openai(m).embeddings.create({ model, input: 'x' }).catch(({ status }) => `status ${status}`), 'status 400')

// ollama-js
const local = ({ Ollama }) => new Ollama({ host: base })
await row(titled('ollama'), 'chat', ['ollama'], async (m) => (await local(m).chat({ model, messages: user })).message.content)
await row(titled('ollama'), 'chat stream', ['ollama'], async (m) => collect(await local(m).chat({ model, messages: user, stream: true }), ({ message }) => message.content))
await row(titled('ollama'), 'format', ['ollama'], async (m) => (await local(m).chat({ model, messages: user, format: sum })).message.content, '"answer"')
await row(titled('ollama'), 'list', ['ollama'], async (m) => (await local(m).list()).models[0].name, model)

// AI SDK
for (const [name, api, make] of [
  ['@ai-sdk/openai', 'chat', (m) => m.createOpenAI({ baseURL: v1, apiKey: 'none' }).chat(model)],
  ['@ai-sdk/openai', 'responses', (m) => m.createOpenAI({ baseURL: v1, apiKey: 'none' }).responses(model)],
  ['@ai-sdk/openai-compatible', 'chat', (m) => m.createOpenAICompatible({ name: 'lineage', baseURL: v1 })(model)],
  ['@ai-sdk/anthropic', 'messages', (m) => m.createAnthropic({ baseURL: v1, apiKey: 'none' })(model)],
]) {
  const title = `${titled('ai')} with ${titled(name)}`
  await row(title, `generateText, ${api}`, ['ai', name], async (ai, m) => (await ai.generateText({ model: make(m), prompt: question, maxRetries: 0 })).text)
  await row(title, `streamText, ${api}`, ['ai', name], async (ai, m) => collect(ai.streamText({ model: make(m), prompt: question, maxRetries: 0 }).textStream, (text) => text))
}

// LangChain
const chains = [
  ['@langchain/openai', (m) => new m.ChatOpenAI({ model, apiKey: 'none', configuration: { baseURL: v1 }, maxRetries: 0 })],
  ['@langchain/ollama', (m) => new m.ChatOllama({ model, baseUrl: base, stop: ['a', 'b', 'c', 'd', 'e', 'f'] })],
  ['@langchain/anthropic', (m) => new m.ChatAnthropic({ model, apiKey: 'none', anthropicApiUrl: base, maxTokens: 300, maxRetries: 0 })],
]
for (const [name, make] of chains) {
  await row(titled(name), 'invoke', [name], async (m) => JSON.stringify((await make(m).invoke(question)).content))
  await row(titled(name), 'stream', [name], async (m) => collect(await make(m).stream(question), ({ content }) => (typeof content === 'string' ? content : content.map(({ text }) => text ?? '').join(''))))
}

// LlamaIndex, Mastra
const ofIndex = ({ message }) => JSON.stringify(message.content)
await row(titled('@llamaindex/openai'), 'chat', ['@llamaindex/openai'], async (m) => ofIndex(await new m.OpenAI({ model, apiKey: 'none', baseURL: v1 }).chat({ messages: user })))
await row(titled('@llamaindex/ollama'), 'chat', ['@llamaindex/ollama'], async (m) => ofIndex(await new m.Ollama({ model, config: { host: base } }).chat({ messages: user })))
const custom = { id: `lineage/${model}`, url: v1, apiKey: 'none' }
const agent = (m) => new m.Agent({ id: 'a', name: 'a', instructions: 'You are a calculator.', model: custom })
await row(titled('@mastra/core'), 'agent', ['@mastra/core/agent'], async (m) => (await agent(m).generate(question)).text, '')

// promptfoo, a program
const evaluate = async () => {
  const config = join(mkdtempSync(join(tmpdir(), 'promptfoo-')), 'promptfooconfig.json')
  const options = { apiBaseUrl: v1, apiKey: 'none' }
  const providers = [
    { id: `openai:chat:${model}`, config: options },
    { id: `openai:responses:${model}`, config: options },
    { id: `ollama:chat:${model}` },
  ]
  writeFileSync(config, JSON.stringify({ prompts: ['What is {{a}} * 7?'], providers, tests: [{ vars: { a: '12' }, assert: [{ type: 'contains', value: '84' }] }] }))
  const env = { ...process.env, OLLAMA_BASE_URL: base, PROMPTFOO_DISABLE_TELEMETRY: '1', PROMPTFOO_DISABLE_UPDATE: '1', PROMPTFOO_CONFIG_DIR: dirname(config) }
  const { stdout, stderr } = spawnSync(join(dirname(here), 'node_modules/.bin/promptfoo'), ['eval', '-c', config, '--no-cache', '--no-table'], { env, encoding: 'utf8' })
  return /\d+ passed[^\n]*/.exec(stdout)?.[0] ?? `${stdout}${stderr}`
}
if (version('promptfoo')) await row(titled('promptfoo'), 'eval of chat, responses and Ollama', [], evaluate, '3 passed')

console.log('| client | what | result | what came |\n|-|-|-|-|')
for (const cells of rows) console.log(`| ${cells.join(' | ')} |`)
process.exit(rows.some(([, , result]) => result === 'fails') ? 1 : 0)
