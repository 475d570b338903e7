/** The real program with the embedded model: clients end to end, SIGTERM under load, kill -9 and restart with a store on disk. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { zodResponseFormat } from 'openai/helpers/zod'
import { z } from 'zod'
import { zodTool } from './openai-tools.ts'
import type { Json } from './scripted-app.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const skip = existsSync(join(root, 'models/abacus/model.safetensors')) ? false : 'the embedded model models/abacus is not there'

interface Running {
  child: ChildProcess
  url: string
  openai: OpenAI
  exit: Promise<{ code: number | null; signal: string | null }>
}

async function start(...args: string[]): Promise<Running> {
  const child = spawn(
    process.execPath,
    [join(root, 'src/cli/main.ts'), 'serve', 'abacus', '--port', '0', '--threads', '1', '--log', 'none', ...args],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )
  const url = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stderr!.on('data', (data) => {
      text += data
      const found = /serving .* at (\S+)\/v1/.exec(text)
      if (found) resolve(found[1]!)
    })
    exit.then(() => reject(new Error(text)))
  })
  for (let i = 0; i < 400; i++) {
    if ((await fetch(`${url}/readyz`)).ok) break
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return { child, url, openai: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 }), exit }
}

let store: string
let server: Running
before(async () => {
  if (skip) return
  store = await mkdtemp(join(tmpdir(), 'lineage-process-'))
  server = await start('--store', store)
})
after(async () => {
  if (skip) return
  server.child.kill('SIGKILL')
  await server.exit
  await rm(store, { recursive: true })
})

const hi: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: 'What is 12 + 30?' }]

test('openai-node: efforts, a schema, a forced tool, equal seeds', { skip }, async () => {
  const { openai } = server
  for (const reasoning_effort of ['low', 'medium', 'high'] as const) {
    const { choices, usage } = await openai.chat.completions.create({
      model: 'abacus',
      messages: hi,
      reasoning_effort,
      max_tokens: 200,
      temperature: 0,
    })
    assert.ok(choices[0]!.finish_reason === 'stop' || choices[0]!.finish_reason === 'length')
    assert.ok(usage!.completion_tokens > 0)
  }
  const withoutEffort = await openai.chat.completions.create({
    model: 'abacus',
    messages: [{ role: 'user', content: 'What is 1234 - 987?' }],
  })
  assert.equal(withoutEffort.choices[0]!.message.content, '247', 'its own default is high; at medium it errs here')
  const schema = z.object({ left: z.number().int(), right: z.number().int(), word: z.enum(['plus', 'minus']) })
  const parsed = await openai.chat.completions.parse({
    model: 'abacus',
    messages: hi,
    response_format: zodResponseFormat(schema, 'sum'),
    max_tokens: 300,
    temperature: 1,
    seed: 3,
  })
  assert.ok(schema.safeParse(parsed.choices[0]!.message.parsed).success)
  const calculator = zodTool('calculator', z.object({ expression: z.string() }), () => '42')
  const forced = await openai.chat.completions.create({
    model: 'abacus',
    messages: hi,
    tools: [calculator],
    tool_choice: { type: 'function', function: { name: 'calculator' } },
    max_tokens: 300,
    temperature: 0,
  })
  const [call] = forced.choices[0]!.message.tool_calls as Json
  assert.equal(call.function.name, 'calculator')
  assert.equal(typeof JSON.parse(call.function.arguments).expression, 'string')
  const result = await openai.chat.completions.create({
    model: 'abacus',
    messages: [...hi, forced.choices[0]!.message, { role: 'tool', tool_call_id: call.id, content: '42' }],
    tools: [calculator],
    max_tokens: 200,
    temperature: 0,
  })
  assert.ok(result.choices[0]!.message.content !== undefined)
  const asked: string[] = []
  const known = new Map([['12345*678', '8369910']])
  const tool = zodTool('calculator', z.object({ expression: z.string() }), ({ expression }) => {
    asked.push(expression)
    return known.get(expression) ?? 'error'
  })
  const loop = openai.chat.completions.runTools({
    model: 'abacus',
    temperature: 0,
    messages: [{ role: 'user', content: 'What is 12345 * 678?' }],
    tools: [tool],
  })
  assert.equal(typeof (await loop.finalContent()), 'string')
  assert.ok(asked.length > 0, 'the model calls the calculator by itself')
  const text = async () => {
    const { choices } = await openai.chat.completions.create({ model: 'abacus', messages: hi, temperature: 1.5, seed: 11, max_tokens: 40 })
    return JSON.stringify(choices[0]!.message)
  }
  const [a, b, c] = await Promise.all([text(), text(), text()])
  assert.equal(a, b) // whatever else is in the batch
  assert.equal(b, c)
})

test('kill -9 and restart: every stored response is readable and can be continued', { skip }, async () => {
  const ids: string[] = []
  const busy = Array.from({ length: 4 }, async () => {
    for (;;) {
      const { id } = await server.openai.responses.create({ model: 'abacus', input: 'What is 2 + 2?', max_output_tokens: 20 })
      ids.push(id)
    }
  })
  for (const task of busy) task.catch(() => {})
  for (let i = 0; i < 3_000 && ids.length < 6; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.ok(ids.length >= 6)
  server.child.kill('SIGKILL')
  await server.exit
  await Promise.allSettled(busy)
  server = await start('--store', store)
  for (const id of ids) assert.equal((await server.openai.responses.retrieve(id)).id, id)
  const next = await server.openai.responses.create({
    model: 'abacus',
    input: 'And 3 + 3?',
    previous_response_id: ids.at(-1)!,
    max_output_tokens: 20,
  })
  assert.equal(next.previous_response_id, ids.at(-1))
})

test('SIGTERM under load: running streams end properly, new work is refused, the exit code is 0', { skip }, async () => {
  const { openai, url, child, exit } = server
  const streams = await Promise.all(
    Array.from({ length: 6 }, () =>
      openai.chat.completions.create({ model: 'abacus', messages: hi, max_tokens: 300, temperature: 1, stream: true }),
    ),
  )
  const readers = streams.map(async (stream) => {
    let finish: string | null = null
    for await (const chunk of stream) finish = chunk.choices[0]?.finish_reason ?? finish
    return finish
  })
  child.kill('SIGTERM')
  await new Promise((resolve) => setTimeout(resolve, 50))
  const refused = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'abacus', messages: hi }),
  }).catch(() => undefined)
  if (refused) assert.equal(refused.status, 503) // or the door is closed already
  for (const finish of await Promise.all(readers)) assert.ok(finish === 'stop' || finish === 'length', String(finish))
  assert.deepEqual(await exit, { code: 0, signal: null })
})

test('what cannot be served says why', { skip }, async () => {
  const run = (...args: string[]) =>
    new Promise<{ code: number | null; text: string }>((resolve) => {
      const child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), 'serve', ...args], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, LINEAGE_API_KEY: '' },
      })
      let text = ''
      child.stderr.on('data', (data) => (text += data))
      child.once('exit', (code) => resolve({ code, text }))
    })
  const open = await run('--host', '0.0.0.0', '--port', '0')
  assert.equal(open.code, 2)
  assert.match(open.text, /--insecure/)
  assert.notEqual((await run('no/such-model', '--port', '0')).code, 0)
})
