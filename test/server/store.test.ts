/** Stored responses: odd files beside good ones, shapes of other versions, names that contents do not choose, bounds by key. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { ReasoningMemory } from '../../src/answer/reasoning-memory.ts'
import { Shares } from '../../src/answer/shares.ts'
import { defaultLimits } from '../../src/server/http/limits.ts'
import { nodeDirectory } from '../../src/server/node.ts'
import { MemoryStore, type StoredResponse } from '../../src/server/responses/store.ts'
import { DirectoryStore } from '../../src/server/responses/store-directory.ts'
import { analysis, final, type Json, jsonOf, scripted } from './scripted-app.ts'

async function inDirectory(use: (path: string) => Promise<void>): Promise<void> {
  const path = await mkdtemp(join(tmpdir(), 'lineage-store-'))
  try {
    await use(path)
  } finally {
    await rm(path, { recursive: true })
  }
}

const open = async (path: string) => DirectoryStore.open(await nodeDirectory(path), defaultLimits)
const app = async (path: string) => scripted(() => analysis('Think.') + final('ok'), 'harmony', { store: await open(path) })
const idOf = (n: number) => `resp_${n.toString(16).padStart(32, '0')}`

const item = { id: 'msg_1', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hi' }] }
const record = (id: string, more: object = {}): StoredResponse => ({
  id,
  tenant: 'anonymous',
  storedAt: Date.now(),
  previousId: null,
  input: [item],
  response: { id, output: [{ ...item, id: `out_${id}`, role: 'assistant' }] },
  ...more,
})

/** What may stand in a file of the right name and is no record of it. */
const ODD: [name: string, content: (id: string) => unknown][] = [
  ['null', () => null],
  ['{}', () => ({})],
  ['a list', () => []],
  ['a number', () => 7],
  ['nothing', () => ''],
  ['half a file', () => '{"id":'],
  ['bytes that are no text', () => Buffer.from([0xff, 0xfe, 0])],
  ['another id', () => record(idOf(99))],
  ['a path as id', () => record('../victim')],
  ['another id of the response', (id) => record(id, { response: { id: '../victim', output: [] } })],
  ['no tenant', (id) => record(id, { tenant: undefined })],
  ['a path as tenant', (id) => record(id, { tenant: '../x' })],
  ['a time that is none', (id) => record(id, { storedAt: 'now' })],
  ['no input', (id) => record(id, { input: undefined })],
  ['an item without id', (id) => record(id, { input: [{ type: 'message' }] })],
  ['an item that is null', (id) => record(id, { input: [null] })],
  ['a message without parts', (id) => record(id, { input: [{ ...item, content: 'text' }] })],
  ['no output', (id) => record(id, { response: { id } })],
  [
    'a call without arguments',
    (id) => record(id, { response: { id, output: [{ id: 'f', type: 'function_call', call_id: 'c', name: 'n' }] } }),
  ],
  ['a shape of later versions', (id) => ({ version: 1000, ...record(id) })],
  ['a version that is none', (id) => ({ version: 'x', ...record(id) })],
]

test('odd files are named and stay; everything else is there', () =>
  inDirectory(async (path) => {
    const first = await app(path)
    const good = await jsonOf(first.post('/v1/responses', { model: 'scripted', input: 'one' }))
    for (const [n, [, content]] of ODD.entries()) {
      const made = content(idOf(n + 1))
      const bytes = typeof made === 'string' || Buffer.isBuffer(made) ? made : JSON.stringify(made)
      await writeFile(join(path, `${idOf(n + 1)}.json`), bytes)
    }
    await mkdir(join(path, `${idOf(500)}.json`))
    await mkdir(join(path, 'resp_directory.json.tmp'))
    await writeFile(join(path, 'notes.txt'), 'mine')
    await writeFile(join(path, 'other.tmp'), 'mine')
    const store = await open(path)
    const names = [...ODD.map((_, n) => `${idOf(n + 1)}.json`), `${idOf(500)}.json`]
    assert.deepEqual(store.unreadable.toSorted(), names.toSorted())
    assert.equal(store.size, 1)
    assert.equal((await store.get('anonymous', good.id))!.response.id, good.id)
    const left = await readdir(path)
    for (const name of [...names, 'notes.txt', 'other.tmp']) assert.ok(left.includes(name), name)
    const second = await app(path)
    const next = await second.post('/v1/responses', { model: 'scripted', input: 'two', previous_response_id: good.id })
    assert.equal(next.status, 200)
  }))

test('files of version 0.1, which have no version, are read; a time to come counts as now', () =>
  inDirectory(async (path) => {
    const { version: _, ...old }: Json = record(idOf(1))
    await writeFile(join(path, `${idOf(1)}.json`), JSON.stringify(old))
    await writeFile(join(path, `${idOf(2)}.json`), JSON.stringify(record(idOf(2), { storedAt: 8e15 })))
    const store = await open(path)
    assert.deepEqual([store.size, store.unreadable], [2, []])
    assert.ok((await store.get('anonymous', idOf(2)))!.storedAt <= Date.now())
    await store.put(record(idOf(3)))
    assert.equal(JSON.parse(await readFile(join(path, `${idOf(3)}.json`), 'utf8')).version, 1)
    assert.equal((await open(path)).size, 3)
  }))

test('a response that a former process did not finish has failed', () =>
  inDirectory(async (path) => {
    for (const [n, status] of ['queued', 'in_progress', 'completed', 'cancelled'].entries()) {
      const response = { id: idOf(n), object: 'response', status, background: true, error: null, output: [] }
      await writeFile(join(path, `${idOf(n)}.json`), JSON.stringify(record(idOf(n), { response })))
    }
    const { get, post } = await app(path)
    const read = async (n: number) => jsonOf(get(`/v1/responses/${idOf(n)}`))
    for (const n of [0, 1]) {
      const { status, error } = await read(n)
      assert.deepEqual([status, error.code], ['failed', 'server_error'])
      assert.match(error.message, /ended before the response was finished/)
      assert.equal((await jsonOf(post(`/v1/responses/${idOf(n)}/cancel`, {}))).status, 'failed')
      assert.match(await (await get(`/v1/responses/${idOf(n)}?stream=true`)).text(), /event: response\.failed/)
    }
    assert.deepEqual([(await read(2)).status, (await read(3)).status], ['completed', 'cancelled'])
  }))

test('what a record says never names a file', () =>
  inDirectory(async (path) => {
    const inner = join(path, 'store')
    await mkdir(inner)
    await writeFile(join(path, 'victim.json'), 'mine')
    await writeFile(join(inner, `${idOf(1)}.json`), JSON.stringify(record('../victim')))
    const { app: served } = await app(inner)
    for (const id of ['../victim', '..%2fvictim', idOf(1)])
      assert.equal(
        (await served.fetch(new Request(`http://localhost/v1/responses/${encodeURIComponent(id)}`, { method: 'DELETE' }))).status,
        404,
      )
    assert.equal(await readFile(join(path, 'victim.json'), 'utf8'), 'mine')
  }))

test('one key does not push out what another has stored: count, size, reasoning, background responses', async () => {
  const store = new MemoryStore({ storedResponses: 10, storedChars: 20_000, storedMs: 3600_000 })
  const evicted: string[] = []
  store.onEvict = ({ tenant, id }) => evicted.push(tenant + id)
  await store.put(record('a', { tenant: 'alice' }))
  for (let i = 0; i < 40; i++) await store.put(record(`b${i}`, { tenant: 'bob' }))
  for (let i = 0; i < 5; i++) await store.put(record(`c${i}`, { tenant: 'carol', more: 'x'.repeat(9000) }))
  assert.ok(await store.get('alice', 'a'))
  assert.ok(await store.item('alice', 'out_a'))
  assert.ok(await store.get('bob', 'b39'))
  assert.equal(await store.get('bob', 'b29'), undefined)
  assert.equal(await store.item('bob', 'out_b29'), undefined)
  assert.equal(await store.get('carol', 'c0'), undefined)
  assert.ok(await store.get('carol', 'c4'))
  assert.equal(evicted.length, 30 + evicted.filter((name) => name.startsWith('carol')).length)

  const reasoning = new ReasoningMemory(3, 100)
  reasoning.remember('alice', 'call', 'because')
  for (let i = 0; i < 20; i++) reasoning.remember('bob', `call${i}`, 'x'.repeat(24))
  assert.equal(reasoning.recall('alice', 'call'), 'because')
  assert.deepEqual([reasoning.recall('bob', 'call19'), reasoning.recall('bob', 'call16')], ['x'.repeat(24), undefined])

  const { app: served } = scripted(() => final('ok'), 'harmony', { apiKeys: ['alice', 'bob'] })
  const ask = (key: string, path: string, body?: object) =>
    served.fetch(
      new Request(`http://localhost/v1/responses${path}`, {
        method: body ? 'POST' : 'GET',
        body: body && JSON.stringify(body),
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      }),
    )
  const background = { model: 'scripted', input: 'Hi', background: true }
  const { id } = await jsonOf(ask('alice', '', background))
  for (let i = 0; i < 70; i++) await ask('bob', '', background)
  for (let i = 0; i < 100 && (await jsonOf(ask('alice', `/${id}`))).status !== 'completed'; i++) await new Promise((r) => setTimeout(r, 10))
  const events = await (await ask('alice', `/${id}?stream=true`)).text()
  assert.match(events, /response\.output_text\.delta/)
})

test('shares: sums and counts follow every change', () => {
  const gone: string[] = []
  const shares = new Shares<string>({ entriesPerOwner: 3, size: 10, onEvict: (value) => gone.push(value) })
  for (const [owner, key, size] of [
    ['a', '1', 2],
    ['a', '2', 2],
    ['b', '1', 1],
    ['a', '2', 3],
  ] as const)
    shares.add(owner, key, owner + key, size)
  assert.deepEqual([shares.count, shares.get('a', '2'), gone], [3, 'a2', []])
  shares.touch('a', '1')
  shares.add('b', '2', 'b2', 5) // 11: `a` and `b` have 5 and 6
  assert.deepEqual(gone, ['b1'])
  shares.add('a', '3', 'a3', 1)
  assert.deepEqual(gone, ['b1', 'a2']) // the oldest of `a` since `1` was touched
  assert.equal(shares.delete('a', '1'), 'a1')
  assert.equal(shares.delete('a', '1'), undefined)
  shares.evictWhile((value) => value === 'a3')
  assert.deepEqual([shares.count, gone.at(-1), shares.get('b', '2')], [1, 'a3', 'b2'])
  shares.add('b', 'huge', 'huge', 11)
  assert.equal(shares.count, 0)
})
