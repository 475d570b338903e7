/** Conversations: their items and metadata, responses that continue them, keys, races, and the store on disk. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { defaultLimits } from '../../src/server/http/limits.ts'
import { nodeDirectory } from '../../src/server/node.ts'
import { DirectoryStore } from '../../src/server/responses/store-directory.ts'
import { analysis, call, eventsOf, final, type Json, jsonOf, type Scripted, scripted } from './scripted-app.ts'

const started = (server: Scripted, body: object = {}): Promise<Json> => jsonOf(server.post('/v1/conversations', body))
const remove = (server: Scripted, path: string) => server.app.fetch(new Request(`http://localhost${path}`, { method: 'DELETE' }))
const textsOf = async (server: Scripted, id: string): Promise<string[]> =>
  (await jsonOf(server.get(`/v1/conversations/${id}/items?order=asc`))).data.map((item: Json) => item.content?.[0]?.text ?? item.type)

test('a response continues a conversation, whole and streamed, and its items are added', async () => {
  const server = scripted((_, n) => analysis(`thought ${n}`) + final(`answer ${n}`))
  const { id } = await started(server, { items: [{ role: 'system', content: 'Be brief.' }], metadata: { topic: 'x' } })
  const first = await jsonOf(server.post('/v1/responses', { model: 'scripted', input: 'one', conversation: id }))
  assert.deepEqual(first.conversation, { id })
  await eventsOf(await server.post('/v1/responses', { model: 'scripted', input: 'two', conversation: { id }, stream: true, store: false }))
  for (const text of ['Be brief.', 'one', 'answer 0', 'two']) assert.ok(server.engine.prompts.at(-1)!.includes(text), text)
  assert.deepEqual(await textsOf(server, id), ['Be brief.', 'one', 'thought 0', 'answer 0', 'two', 'thought 1', 'answer 1'])
})

test('a tool loop in a conversation', async () => {
  const server = scripted((_, n) => (n === 0 ? analysis('Look.') + call('f', '{"a":1}') : final('Done.')))
  const { id } = await started(server)
  const tools = [{ type: 'function', name: 'f', parameters: {} }]
  const { output } = await jsonOf(server.post('/v1/responses', { model: 'scripted', input: 'Go', conversation: id, tools }))
  const result = [{ type: 'function_call_output', call_id: output.at(-1).call_id, output: 'RESULT' }]
  await jsonOf(server.post('/v1/responses', { model: 'scripted', input: result, conversation: id, tools }))
  for (const text of ['Look.', '{"a":1}', 'RESULT']) assert.ok(server.engine.prompts.at(-1)!.includes(text), text)
})

test('items are added, listed in pages, read and deleted; metadata is replaced', async () => {
  const server = scripted(() => final('ok'))
  const { id } = await started(server)
  const items = ['a', 'b', 'c'].map((content) => ({ type: 'message', role: 'user', content }))
  const { data } = await jsonOf(server.post(`/v1/conversations/${id}/items`, { items }))
  assert.equal(data.length, 3)
  const page = await jsonOf(server.get(`/v1/conversations/${id}/items?limit=2&order=asc`))
  assert.deepEqual([page.data.length, page.has_more, page.last_id], [2, true, data[1].id])
  assert.equal((await jsonOf(server.get(`/v1/conversations/${id}/items/${data[0].id}`))).content[0].text, 'a')
  assert.equal((await jsonOf(remove(server, `/v1/conversations/${id}/items/${data[0].id}`))).id, id)
  assert.deepEqual(await textsOf(server, id), ['b', 'c'])
  assert.deepEqual((await jsonOf(server.post(`/v1/conversations/${id}`, { metadata: { k: 'v' } }))).metadata, { k: 'v' })
  assert.deepEqual((await jsonOf(server.get(`/v1/conversations/${id}`))).metadata, { k: 'v' })
  assert.equal((await jsonOf(remove(server, `/v1/conversations/${id}`))).deleted, true)
  assert.equal((await server.get(`/v1/conversations/${id}`)).status, 404)
})

test('answers at the same time lose nothing', async () => {
  const server = scripted((_, n) => final(`answer ${n}`))
  const { id } = await started(server)
  const ask = (input: string) => server.post('/v1/responses', { model: 'scripted', input, conversation: id })
  await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(ask))
  const texts = await textsOf(server, id)
  assert.equal(texts.length, 12)
  for (const text of ['a', 'f', 'answer 0', 'answer 5']) assert.ok(texts.includes(text), text)
})

test('a conversation that is deleted while items are written stays deleted', async () => {
  const files = new Map<string, string>()
  let writes = 0
  const directory = {
    list: async () => [...files.keys()],
    read: async (name: string) => files.get(name)!,
    async write(name: string, text: string) {
      writes++
      await new Promise((resolve) => setTimeout(resolve, 20))
      files.set(name, text)
    },
    async remove(name: string) {
      files.delete(name)
    },
  }
  const server = scripted(() => final('ok'), 'harmony', { store: await DirectoryStore.open(directory, defaultLimits) })
  const { id } = await started(server)
  const adding = server.post(`/v1/conversations/${id}/items`, { items: [{ role: 'user', content: 'secret' }] })
  while (writes < 2) await new Promise((resolve) => setTimeout(resolve, 1))
  assert.equal((await remove(server, `/v1/conversations/${id}`)).status, 200)
  assert.equal((await adding).status, 200)
  assert.equal((await server.get(`/v1/conversations/${id}`)).status, 404)
  assert.equal(files.size, 0)
})

test('a response whose conversation is deleted while it runs is stored all the same', async () => {
  const server = scripted(() => final('x'.repeat(40)), 'harmony', { delayMs: 1 })
  const { id } = await started(server)
  const asked = { model: 'scripted', input: 'Hi', conversation: id }
  const background = await jsonOf(server.post('/v1/responses', { ...asked, background: true }))
  const whole = server.post('/v1/responses', asked)
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal((await remove(server, `/v1/conversations/${id}`)).status, 200)
  assert.equal((await jsonOf(whole)).status, 'completed')
  await eventsOf(await server.get(`/v1/responses/${background.id}?stream=true`))
  assert.equal((await jsonOf(server.get(`/v1/responses/${background.id}`))).status, 'completed')
  assert.equal((await server.get(`/v1/conversations/${id}`)).status, 404)
})

test('unknown ones, those of other keys, and two histories at once are refused', async () => {
  const server = scripted(() => final('ok'), 'harmony', { apiKeys: ['alice', 'bob'] })
  const as = (key: string) => ({ authorization: `Bearer ${key}` })
  const { id } = await jsonOf(server.post('/v1/conversations', {}, as('alice')))
  const ask = (key: string, fields: object) => server.post('/v1/responses', { model: 'scripted', input: 'x', ...fields }, as(key))
  assert.equal((await server.get(`/v1/conversations/${id}`, as('bob'))).status, 404)
  assert.equal((await ask('bob', { conversation: id })).status, 404)
  assert.equal((await ask('alice', { conversation: 'conv_none' })).status, 404)
  const response = await jsonOf(ask('alice', { conversation: id }))
  assert.equal((await ask('alice', { conversation: id, previous_response_id: response.id })).status, 400)
  // A conversation is no response, and a response no conversation.
  assert.equal((await server.get(`/v1/responses/${id}`, as('alice'))).status, 404)
  assert.equal((await ask('alice', { previous_response_id: id })).status, 400)
  assert.equal((await server.get(`/v1/conversations/${response.id}`, as('alice'))).status, 404)
})

test('a conversation is there after a restart', async () => {
  const path = mkdtempSync(join(tmpdir(), 'lineage-'))
  try {
    const open = async () =>
      scripted(() => final('ok'), 'harmony', { store: await DirectoryStore.open(await nodeDirectory(path), defaultLimits) })
    const server = await open()
    const { id } = await started(server, { items: [{ role: 'user', content: 'kept' }] })
    await jsonOf(server.post('/v1/responses', { model: 'scripted', input: 'more', conversation: id }))
    assert.deepEqual(await textsOf(await open(), id), ['kept', 'more', 'ok'])
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
})
