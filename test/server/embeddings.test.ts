/** Embedding and reranking models on a tiny Qwen3 with the golden values of transformers, over HTTP and in the engine. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import { type IdsModel, loadIds } from '../../src/load-model-node.ts'
import { rerankIds, yesProbability } from '../../src/server/embeddings/reading.ts'
import type { Purpose } from '../../src/server/models/model.ts'
import { readGolden } from '../model/read-golden.ts'
import { final, type Json, jsonOf, type Scripted, scripted, scriptedModel, tokenizer } from './scripted-app.ts'

const directory = fileURLToPath(new URL('../fixtures/checkpoints/tiny-qwen3', import.meta.url))
const golden = readGolden(`${directory}/golden.safetensors`)
const cases: Json[] = JSON.parse(readFileSync(new URL('../fixtures/rerank.json', import.meta.url), 'utf8'))

let model: IdsModel
before(async () => {
  model = await loadIds(directory, { threads: 1, slots: 3, context: 512 })
})
after(() => model.dispose())

const served = (purpose?: Purpose): Scripted => {
  const { architecture, engine } = model
  const { vocabSize, maxPositionEmbeddings, modelType } = architecture
  const facts = { name: 'tiny', modelType, vocabSize, maxPositionEmbeddings, expertDtype: 'f32' }
  const format = qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' })
  const load = async () => ({ tokenizer, format, engine, architecture: facts, dispose() {} })
  return scripted(() => '', 'qwen', { models: [{ id: 'tiny', purpose, load }] })
}

/** The last row after the final norm, scaled to length 1, as transformers computed it. */
function wanted(n: number): number[] {
  const rows = golden.hidden[n]!.at(-1)!
  const last = [...rows.subarray(rows.length - model.architecture.hiddenSize)]
  const length = Math.hypot(...last)
  return last.map((value) => value / length)
}

const distance = (a: readonly number[], b: readonly number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

test('/v1/embeddings by ids is the last row of transformers, normalised', async () => {
  const { post } = served('embedding')
  const all = golden.ids.map((ids) => [...ids])
  assert.ok(golden.hidden.filter((layers) => layers.length > 0).length > 0)
  const { data, usage } = await jsonOf(post('/v1/embeddings', { model: 'tiny', input: all }))
  for (const [n, { embedding, index }] of data.entries()) {
    assert.equal(index, n)
    if (golden.hidden[n]!.length > 0) assert.ok(distance(embedding, wanted(n)) < 1e-5, `prompt ${n}`)
  }
  assert.equal(usage.prompt_tokens, all.flat().length)
  const one = await jsonOf(post('/v1/embeddings', { model: 'tiny', input: all[0], encoding_format: 'base64' }))
  const bytes = Buffer.from(one.data[0].embedding, 'base64')
  const floats = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4))
  assert.ok(distance(floats, wanted(0)) < 1e-5)
})

test('fewer dimensions are the first ones, scaled again; more than there are is a 400', async () => {
  const { post } = served('embedding')
  const ask = (dimensions: number) => post('/v1/embeddings', { model: 'tiny', input: [...golden.ids[0]!], dimensions })
  const { embedding } = (await jsonOf(ask(8))).data[0]
  const first = wanted(0).slice(0, 8)
  assert.ok(
    distance(
      embedding,
      first.map((value) => value / Math.hypot(...first)),
    ) < 1e-5,
  )
  assert.equal((await ask(65)).status, 400)
})

test('a text ends with the end of the text, a query stands under an instruction, and generations run beside', async () => {
  const { post } = served('embedding')
  const of = async (body: object): Promise<number[]> => (await jsonOf(post('/v1/embeddings', { model: 'tiny', ...body }))).data[0].embedding
  const end = tokenizer.specials.get('<|endoftext|>')!
  const byIds = (text: string) => of({ input: [...tokenizer.encode(text), end] })
  const generation = post('/v1/completions', { model: 'tiny', prompt: 'abc', max_tokens: 30, ignore_eos: true })
  const texts: [object, string][] = [
    [{ input: 'Hi é' }, 'Hi é'],
    [{ input: '<|im_end|>' }, '<|im_end|>'], // the text of people is never a special token
    [{ input: 'Hi', input_type: 'document' }, 'Hi'],
    [
      { input: 'Hi', input_type: 'query' },
      'Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:Hi',
    ],
    [{ input: 'Hi', instruction: 'Find it' }, 'Instruct: Find it\nQuery:Hi'],
  ]
  for (const [body, text] of texts) assert.deepEqual(await of(body), await byIds(text), text)
  assert.equal((await jsonOf(generation)).usage.completion_tokens, 30)
  const many = await jsonOf(post('/v1/embeddings', { model: 'tiny', input: ['a', 'b', 'a', 'c', 'd', 'e', 'f'] }))
  assert.deepEqual(many.data[0].embedding, many.data[2].embedding)
  assert.notDeepEqual(many.data[0].embedding, many.data[1].embedding)
})

test("Ollama's forms give the same numbers", async () => {
  const { post } = served('embedding')
  const { data } = await jsonOf(post('/v1/embeddings', { model: 'tiny', input: ['a', 'b'] }))
  const embed = await jsonOf(post('/api/embed', { model: 'tiny', input: ['a', 'b'] }))
  assert.deepEqual(
    embed.embeddings,
    data.map(({ embedding }: Json) => embedding),
  )
  assert.equal(embed.prompt_eval_count, 4)
  assert.deepEqual((await jsonOf(post('/api/embeddings', { model: 'tiny', prompt: 'a' }))).embedding, data[0].embedding)
  const long = 'x'.repeat(1000)
  assert.equal((await post('/api/embed', { model: 'tiny', input: long })).status, 200)
  assert.equal((await post('/api/embed', { model: 'tiny', input: long, truncate: false })).status, 400)
})

test('the probability of yes is that of the logits of transformers', async () => {
  const { vocabSize } = model.architecture
  for (const [n, ids] of golden.ids.entries()) {
    const last = golden.logits[n]!.subarray(golden.logits[n]!.length - vocabSize)
    for (const [yes, no] of [
      [1, 2],
      [300, 17],
      [511, 0],
      [42, 43],
    ] as const) {
      const found = await yesProbability(model, [...ids], yes, no, {})
      assert.ok(Math.abs(found - 1 / (1 + Math.exp(last[no]! - last[yes]!))) < 1e-5)
    }
  }
})

test('/v1/rerank reads the prompt of the model card and gives the scores of transformers', async () => {
  const { post } = served('reranking')
  for (const { query, document, instruction, ids, odds, score } of cases) {
    assert.deepEqual(rerankIds({ tokenizer } as Parameters<typeof rerankIds>[0], query, document, instruction), ids)
    const { results } = await jsonOf(post('/v1/rerank', { model: 'tiny', query, documents: [document], instruction }))
    const found: number = results[0].relevance_score
    assert.ok(Math.abs(found - score) < 1e-6)
    assert.ok(Math.abs(Math.log(found / (1 - found)) - odds) < 2e-3, `${Math.log(found / (1 - found))} and ${odds}`)
  }
  const [{ query }] = cases
  const documents = cases.slice(0, 2).map(({ document }) => document)
  const ranked = await jsonOf(post('/rerank', { query, documents, top_n: 1, return_documents: true }))
  assert.equal(ranked.results.length, 1)
  assert.equal(ranked.results[0].document.text, documents[ranked.results[0].index])
  const scored = await jsonOf(post('/v1/score', { model: 'tiny', text_1: query, text_2: documents }))
  assert.equal(Math.max(...scored.data.map(({ score }: Json) => score)), ranked.results[0].relevance_score)
  const list = await jsonOf(post('/rerank', { query, texts: documents }))
  assert.deepEqual(
    list.map(({ score }: Json) => score),
    scored.data.map(({ score }: Json) => score).sort((a: number, b: number) => b - a),
  )
})

const refused: [string, Purpose | undefined, string, object][] = [
  ['embeddings of a generator', undefined, '/v1/embeddings', { input: 'x' }],
  ["Ollama's embeddings of a generator", undefined, '/api/embed', { input: 'x' }],
  ['reranking by a generator', undefined, '/v1/rerank', { query: 'q', documents: ['d'] }],
  ['reranking by an embedding model', 'embedding', '/v1/rerank', { query: 'q', documents: ['d'] }],
  ['embeddings of a reranking model', 'reranking', '/v1/embeddings', { input: 'x' }],
  ['a text that is too long', 'embedding', '/v1/embeddings', { input: 'x'.repeat(600) }],
  ['ids that do not exist', 'embedding', '/v1/embeddings', { input: [512] }],
  ['no input', 'embedding', '/v1/embeddings', { input: [] }],
  ['no documents', 'reranking', '/v1/rerank', { query: 'q' }],
  ['pairs that do not match', 'reranking', '/v1/score', { text_1: ['a', 'b'], text_2: ['c', 'd', 'e'] }],
]
for (const [name, purpose, path, body] of refused)
  test(`400, which no client retries: ${name}`, async () => {
    const response = await served(purpose).post(path, { model: 'tiny', ...body })
    assert.equal(response.status, 400, await response.text())
  })

test('a model is refused before it is loaded', async () => {
  let loads = 0
  const load = async () => {
    loads++
    throw new Error('not wanted')
  }
  const { post } = scripted(() => final(''), 'harmony', { models: [{ id: 'tiny', load }] })
  assert.equal((await post('/v1/embeddings', { model: 'tiny', input: 'x' })).status, 400)
  assert.equal(loads, 0)
})

/** A server whose embedding model is this function. */
function embedding(embed: () => Promise<Float32Array>): Scripted {
  const { model, engine } = scriptedModel(() => '', 'plain', { slots: 2 })
  Object.assign(engine, { embed })
  return scripted(() => '', 'plain', { models: [{ id: 'tiny', purpose: 'embedding', load: async () => model }] })
}

test('a batch ends with its first failure', async () => {
  let calls = 0
  const { post, app } = embedding(async () => {
    const isSecond = ++calls === 2
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (isSecond) throw Object.assign(new Error('no room'), { name: 'MemoryError' })
    return new Float32Array([1, 2])
  })
  assert.equal((await post('/v1/embeddings', { model: 'tiny', input: Array(50).fill('x') })).status, 503)
  const atAnswer = calls
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(atAnswer <= 4 && calls === atAnswer, `${atAnswer} and ${calls}`)
  assert.equal(app.active, 0)
})

test("Ollama's options of drawing do not matter to vectors; keep_alive 0 unloads", async () => {
  const { post, get } = embedding(async () => new Float32Array([1, 0]))
  for (const [path, body] of [
    ['/api/embed', { input: 'x' }],
    ['/api/embeddings', { prompt: 'x' }],
  ] as const) {
    const response = await post(path, { model: 'tiny', ...body, options: { temperature: 0, num_ctx: 100, top_k: 1 } })
    assert.equal(response.status, 200, await response.text())
    assert.equal((await jsonOf(get('/api/ps'))).models.length, 1)
    assert.equal((await post(path, { model: 'tiny', ...body, keep_alive: 0 })).status, 200)
    assert.equal((await jsonOf(get('/api/ps'))).models.length, 0)
  }
})
