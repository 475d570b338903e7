/**
 * Mutated requests: whatever arrives, the answer is a success or a 4xx in the OpenAI error form, never a 500, a crash or a stall.
 * A few thousand by default; LINEAGE_MUTATIONS=10000 for the full run. The seed is printed and can be given as LINEAGE_SEED.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import test from 'node:test'
import { plainFormat } from '../../src/chat/formats/plain.ts'
import { createApp } from '../../src/server/http/app.ts'
import type { LogLine } from '../../src/server/http/context.ts'
import type { ModelEntry } from '../../src/server/models/model.ts'
import { listen } from '../../src/server/node.ts'
import { byteTokenizer } from './byte-tokenizer.ts'
import { analysis, call, final, type Json, jsonOf, scripted, scriptedModel } from './scripted-app.ts'
import { scriptedEngine } from './scripted-engine.ts'

const count = Number(process.env.LINEAGE_MUTATIONS ?? 2_000)
const seed = Number(process.env.LINEAGE_SEED ?? 20261124)

/** mulberry32 */
function random(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const tool = {
  type: 'function',
  function: { name: 'f', description: 'd', parameters: { type: 'object', properties: { a: { type: 'string' } } } },
}
const custom = { type: 'custom', custom: { name: 'p', description: 'd', format: { type: 'text' } } }
const bases: [string, Json][] = [
  ['/slots/0?action=save', { filename: 'a.bin', model: 'scripted' }],
  [
    '/v1/chat/completions',
    {
      model: 'scripted',
      messages: [
        { role: 'system', content: 's' },
        { role: 'user', content: [{ type: 'text', text: 'Hi' }] },
        {
          role: 'assistant',
          content: null,
          reasoning: 'r',
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'call_1', content: 'x' },
      ],
      tools: [tool],
      tool_choice: 'auto',
      temperature: 1,
      top_p: 0.9,
      max_tokens: 40,
      stop: ['a'],
      n: 1,
      seed: 1,
      logprobs: true,
      top_logprobs: 1,
      stream: false,
      stream_options: { include_usage: true },
      reasoning_effort: 'low',
      logit_bias: { 1: 1 },
      metadata: { a: 'b' },
    },
  ],
  [
    '/v1/responses',
    {
      model: 'scripted',
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'r' }] },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: 'x' },
      ],
      instructions: 'i',
      tools: [{ type: 'function', name: 'f', parameters: {} }],
      tool_choice: 'auto',
      max_output_tokens: 40,
      stream: false,
      store: false,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'low' },
      text: { format: { type: 'text' } },
      truncation: 'auto',
      metadata: {},
    },
  ],
  [
    '/v1/messages',
    {
      model: 'scripted',
      max_tokens: 40,
      system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral' } }],
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Hi' },
            { type: 'document', title: 't', source: { type: 'text', data: 'd' } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'r', signature: 'x' },
            { type: 'tool_use', id: 'call_1', name: 'f', input: { a: 1 } },
          ],
        },
        {
          role: 'user',
          content: [{ type: 'tool_result', tool_use_id: 'call_1', content: [{ type: 'text', text: 'x' }], is_error: false }],
        },
      ],
      tools: [{ name: 'f', description: 'd', input_schema: tool.function.parameters }],
      tool_choice: { type: 'auto', disable_parallel_tool_use: true },
      thinking: { type: 'enabled', budget_tokens: 100 },
      stop_sequences: ['a'],
      temperature: 1,
      top_p: 0.9,
      top_k: 5,
      stream: false,
      output_config: { effort: 'low' },
      context_management: { edits: [{ type: 'clear_thinking_20251015' }] },
      metadata: { user_id: 'u' },
    },
  ],
  ['/v1/messages/count_tokens', { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }], system: 's' }],
  [
    '/v1/completions',
    { model: 'scripted', prompt: ['a', 'b'], max_tokens: 3, n: 1, logprobs: 1, echo: true, temperature: 0, stop: 'x', stream: false },
  ],
  [
    '/api/chat',
    {
      model: 'scripted',
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [tool],
      stream: false,
      think: true,
      options: { num_predict: 30, temperature: 0 },
    },
  ],
  ['/api/generate', { model: 'scripted', prompt: 'Hi', system: 's', stream: false, options: { num_predict: 30 } }],
  [
    '/v1/embeddings',
    { model: 'embedder', input: ['a', 'b'], encoding_format: 'float', dimensions: 2, input_type: 'query', instruction: 'i' },
  ],
  ['/api/embeddings', { model: 'embedder', prompt: 'a' }],
  ['/api/embed', { model: 'embedder', input: ['a', 'b'], truncate: true, options: { num_ctx: 1 } }],
  ['/v1/rerank', { model: 'ranker', query: 'q', documents: ['a', { text: 'b' }], top_n: 1, return_documents: true, instruction: 'i' }],
  ['/v1/score', { model: 'ranker', text_1: 'q', text_2: ['a', 'b'] }],
  ['/v1/conversations', { items: [{ type: 'message', role: 'user', content: 'Hi' }], metadata: { a: 'b' } }],
  ['/completion', { prompt: 'Hi', n_predict: 3, stop: ['x'], stream: false, repeat_penalty: 1, ignore_eos: true, min_tokens: 2 }],
  [
    '/infill',
    { model: 'coder', input_prefix: 'a', input_suffix: 'b', prompt: 'c', n_predict: 3, input_extra: [{ filename: 'f', text: 't' }] },
  ],
  ['/v1/completions', { model: 'coder', prompt: 'a', suffix: 'b', max_tokens: 3 }],
  ['/v1/chat/completions/input_tokens', { model: 'scripted', messages: [{ role: 'user', content: 'Hi' }], tools: [custom] }],
  ['/api/pull', { model: 'org/x', stream: false }],
  ['/api/copy', { source: 'scripted', destination: 'copy' }],
  [
    '/v1/responses',
    {
      model: 'scripted',
      input: [
        { role: 'user', content: 'Hi' },
        { type: 'custom_tool_call', call_id: 'c', name: 'p', input: 'x' },
        { type: 'custom_tool_call_output', call_id: 'c', output: 'y' },
        { type: 'local_shell_call', call_id: 'd', action: { command: ['ls'] } },
        { type: 'shell_call_output', call_id: 'd', output: [{ stdout: 'z' }] },
        { type: 'mcp_call', id: 'm', name: 'f', arguments: '{}', output: 'x' },
      ],
      tools: [{ type: 'custom', name: 'p', format: { type: 'grammar', syntax: 'regex', definition: '[a-z]+' } }],
      tool_choice: { type: 'custom', name: 'p' },
      max_output_tokens: 40,
      store: true,
    },
  ],
  ['/tokenize', { content: 'abc', with_pieces: true }],
  ['/detokenize', { tokens: [97, 98] }],
  ['/apply-template', { messages: [{ role: 'user', content: 'Hi' }], tools: [tool] }],
  ['/v1/responses/input_tokens', { model: 'scripted', input: 'Hi' }],
]

const oddValues = [
  'null',
  'true',
  '[]',
  '{}',
  '""',
  '"x"',
  '0',
  '-1',
  '1e309',
  '-1e309',
  '9007199254740993',
  '0.1',
  '[[[[]]]]',
  '{"a":{"a":{"a":1}}}',
  '"\\ud800"',
  '"<|end|>"',
  '"\\u0000"',
  '[null]',
  '[1,"a",{}]',
  '{"type":"function"}',
  '{"__proto__":{"x":1}}',
  '{"constructor":1}',
  '1e-400',
  '"' + 'a'.repeat(3_000) + '"',
  '[' + '0,'.repeat(500) + '0]',
  '-0',
  '"auto"',
  '{"type":"json_schema"}',
]

/** Replaces, removes, adds or duplicates something anywhere in a JSON value; returns JSON text. */
function mutateJson(base: Json, next: () => number): string {
  const copy = structuredClone(base)
  const places: [Json, string | number][] = []
  const walk = (value: Json) => {
    if (typeof value !== 'object' || value === null) return
    for (const key of Object.keys(value)) {
      places.push([value, Array.isArray(value) ? Number(key) : key])
      walk(value[key])
    }
  }
  walk(copy)
  let mark = 0
  const odd: string[] = []
  for (let i = 0; i <= next() * 3; i++) {
    const [parent, key] = places[Math.floor(next() * places.length)]!
    const kind = next()
    if (kind < 0.7) {
      parent[key] = `@@${mark++}@@`
      odd.push(oddValues[Math.floor(next() * oddValues.length)]!)
    } else if (kind < 0.85) Array.isArray(parent) ? parent.splice(Number(key), 1) : delete parent[key]
    else if (Array.isArray(parent)) parent.push(structuredClone(parent[key as number]))
    else parent[`${key}x`] = parent[key]
  }
  return JSON.stringify(copy).replace(/"@@(\d+)@@"/g, (_, n) => odd[Number(n)]!)
}

/** Flips, cuts, inserts or repeats bytes. */
function mutateBytes(text: string, next: () => number): Uint8Array<ArrayBuffer> {
  const bytes = [...new TextEncoder().encode(text)]
  for (let i = 0; i < 1 + next() * 4; i++) {
    const at = Math.floor(next() * bytes.length)
    const kind = next()
    if (kind < 0.4) bytes[at] = Math.floor(next() * 256)
    else if (kind < 0.6) bytes.splice(at, Math.floor(next() * 20))
    else if (kind < 0.8) bytes.splice(at, 0, Math.floor(next() * 256))
    else bytes.splice(at, 0, ...bytes.slice(at, at + 20))
  }
  return Uint8Array.from(bytes)
}

/** A chat model, one that fills in, an embedding and a reranking model, and a manager that pulls nothing. */
function server() {
  const log: LogLine[] = []
  const script = (_: string, n: number) => (n % 3 === 0 ? analysis('t') + call('f', '{"a":1}') : final('done'))
  const chat = scriptedModel(script, 'harmony', { slots: 8, context: 2_000 })
  const coding = byteTokenizer(['<|fim_prefix|>', '<|fim_suffix|>', '<|fim_middle|>'])
  const coder = scriptedEngine(coding, () => 'x<|endoftext|>', { context: 2_000 })
  const embed = async (ids: readonly number[]) => Float32Array.from({ length: 4 }, (_, i) => Math.sin(i + ids.length))
  const score = async () => [{ id: 0, logprob: -1, top: [] }]
  const architecture = { ...chat.model.architecture, vocabSize: coding.vocabSize }
  const models: ModelEntry[] = [
    { id: 'scripted', load: async () => chat.model },
    { id: 'coder', load: async () => ({ ...chat.model, architecture, tokenizer: coding, engine: coder, format: plainFormat(coding, {}) }) },
    {
      id: 'embedder',
      purpose: 'embedding',
      load: async () => ({ ...chat.model, engine: { ...chat.engine, load: chat.engine.load, embed } }),
    },
    {
      id: 'ranker',
      purpose: 'reranking',
      load: async () => ({ ...chat.model, engine: { ...chat.engine, load: chat.engine.load, score } }),
    },
  ]
  const manager = { pull: async () => [], remove: async () => {} }
  const app = createApp({ models, manager, log: (line) => log.push(line) })
  return { app, engines: [chat.engine, coder], log }
}

function checkErrorForm(path: string, status: number, body: Json): void {
  if (path.startsWith('/api/')) {
    assert.equal(typeof body.error, 'string')
    return
  }
  if (path.startsWith('/v1/messages')) {
    assert.deepEqual(Object.keys(body), ['type', 'error', 'request_id'])
    assert.deepEqual(Object.keys(body.error), ['type', 'message'])
    return
  }
  assert.deepEqual(Object.keys(body.error).sort(), ['code', 'message', 'param', 'type'], `${path} ${status}`)
  assert.equal(typeof body.error.message, 'string')
  assert.equal(typeof body.error.type, 'string')
}

test(`${count} mutated requests, seed ${seed}`, { timeout: 600_000 }, async () => {
  const next = random(seed)
  const { app, engines, log } = server()
  const statuses = new Map<number, number>()
  for (let i = 0; i < count; i++) {
    const [path, base] = bases[i % bases.length]!
    const text = mutateJson(base, next)
    const body = next() < 0.8 ? text : mutateBytes(text, next)
    const request = new Request(`http://localhost${path}`, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    const response = await app.fetch(request)
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    const answer = await response.text()
    const shown = () =>
      `${path}\n${typeof body === 'string' ? body : Buffer.from(body).toString('latin1')}\n${answer}\n${JSON.stringify(log.filter(({ level }) => level === 'error').at(-2))}`
    assert.ok(response.status === 200 || (response.status >= 400 && response.status < 500), shown())
    if (response.status !== 200) checkErrorForm(path, response.status, JSON.parse(answer))
  }
  for (const engine of engines) assert.equal(engine.running, 0)
  assert.ok((statuses.get(200) ?? 0) > count / 20 && (statuses.get(400) ?? 0) > count / 5, JSON.stringify([...statuses]))
})

test('mutated HTTP, half-open sockets and slow readers do not stop the others', { timeout: 60_000 }, async () => {
  const next = random(seed + 1)
  const { app } = scripted(() => final('done'), 'harmony', { slots: 4, limits: { bodyBytes: 64 * 1024 } })
  const listening = await listen(app, { port: 0 })
  const { hostname, port } = new URL(listening.url)
  const body = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'Hi' }], stream: true })
  const good = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const open: ReturnType<typeof connect>[] = []
  try {
    for (let i = 0; i < 60; i++) {
      const socket = connect(Number(port), hostname, () => {
        if (i % 3 === 0) socket.write(mutateBytes(good, next))
        else if (i % 3 === 1)
          socket.write(good.slice(0, Math.floor(next() * good.length))) // and never the rest
        else {
          socket.pause() // a reader that does not read
          socket.write(good)
        }
      })
      socket.on('error', () => {})
      open.push(socket)
      if (i % 10 === 9) {
        const response = await fetch(`${listening.url}/v1/chat/completions`, {
          method: 'POST',
          body: body.replace(',"stream":true', ''),
          headers: { 'content-type': 'application/json' },
        })
        assert.equal((await jsonOf(response)).choices[0].message.content, 'done')
      }
    }
    const large = await fetch(`${listening.url}/v1/chat/completions`, {
      method: 'POST',
      body: 'x'.repeat(1 << 20),
      headers: { 'content-type': 'application/json' },
    })
    assert.equal(large.status, 413)
  } finally {
    for (const socket of open) socket.destroy()
    await listening.close(0)
  }
})
