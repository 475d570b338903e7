/** Ollama's pull, copy and delete: off by default, and with a manager that stands for the cache. HTTPS and Unix sockets over real sockets. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import type { ModelManager } from '../../src/server/models/manage.ts'
import { listen } from '../../src/server/node.ts'
import { final, type Json, jsonOf, scripted, scriptedModel } from './scripted-app.ts'

const removed: string[] = []
const manager: ModelManager = {
  async pull(name, onBytes, signal) {
    signal.throwIfAborted()
    if (name === 'org/broken') throw new Error('the hub does not know it')
    for (let done = 0; done <= 20; done += 5) onBytes(done * 2 ** 20, 20 * 2 ** 20)
    return [{ id: name, load: async () => scriptedModel(() => final('new')).model }]
  },
  async remove(name) {
    removed.push(name)
  },
}
const managed = () => scripted(() => final('ok'), 'harmony', { manager })
const chat = (model: string) => ({ model, messages: [{ role: 'user', content: 'Hi' }] })
const idsOf = async (server: ReturnType<typeof scripted>) => (await jsonOf(server.get('/api/tags'))).models.map(({ name }: Json) => name)
const remove = (server: ReturnType<typeof scripted>, model: string) =>
  server.app.fetch(
    new Request('http://localhost/api/delete', {
      method: 'DELETE',
      body: JSON.stringify({ model }),
      headers: { 'content-type': 'application/json' },
    }),
  )

test('without --manage-models nothing is downloaded, copied or deleted', async () => {
  const server = scripted(() => final('ok'))
  assert.equal((await server.post('/api/pull', { model: 'org/x' })).status, 403)
  assert.equal((await server.post('/api/copy', { source: 'scripted', destination: 'y' })).status, 403)
  assert.equal((await remove(server, 'scripted')).status, 403)
  assert.deepEqual(await idsOf(server), ['scripted'])
  for (const path of ['/api/create', '/api/push']) assert.equal((await server.post(path, { model: 'x' })).status, 400)
})

test('a model is pulled with progress, and answers', async () => {
  const server = managed()
  const lines = (await (await server.post('/api/pull', { model: 'org/x:latest' })).text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(lines[0].status, 'pulling manifest')
  assert.equal(lines.at(-1).status, 'success')
  const bytes = lines.slice(1, -1).map(({ completed }) => completed)
  assert.ok(bytes.length > 1 && bytes.every((count, i) => i === 0 || count > bytes[i - 1]) && bytes.at(-1) === lines[1].total)
  assert.deepEqual(await idsOf(server), ['scripted', 'org/x'])
  assert.equal((await jsonOf(server.post('/v1/chat/completions', chat('org/x')))).choices[0].message.content, 'new')
  assert.deepEqual(await jsonOf(server.post('/api/pull', { model: 'org/x', stream: false })), { status: 'success' })
})

test('what cannot be pulled says why, whole and streamed', async () => {
  const server = managed()
  const whole = await server.post('/api/pull', { model: 'org/broken', stream: false })
  assert.deepEqual([whole.status, /the hub does not know it/.test((await jsonOf(whole)).error)], [400, true])
  assert.match(await (await server.post('/api/pull', { model: 'org/broken' })).text(), /"error":"[^"]*the hub does not know it/)
  for (const name of ['../../etc', 'a/b/c', 'a b', '', 'x:7b'])
    assert.ok([400, 404].includes((await server.post('/api/pull', { model: name, stream: false })).status), name)
})

test('a copy is a further name; deleting a name leaves the model, deleting the model frees its files', async () => {
  const server = managed()
  assert.equal((await server.post('/api/copy', { source: 'scripted', destination: 'other' })).status, 200)
  assert.equal((await server.post('/api/copy', { source: 'nothing', destination: 'other' })).status, 404)
  assert.deepEqual(await idsOf(server), ['scripted', 'other'])
  assert.equal((await server.post('/v1/chat/completions', chat('other'))).status, 200)
  assert.equal((await remove(server, 'other')).status, 200)
  assert.deepEqual([await idsOf(server), removed], [['scripted'], []])
  assert.equal((await server.post('/v1/chat/completions', chat('scripted'))).status, 200)
  assert.equal((await remove(server, 'scripted')).status, 200)
  assert.deepEqual([await idsOf(server), removed], [[], ['scripted']])
  assert.equal((await server.post('/v1/chat/completions', chat('scripted'))).status, 404)
})

test('a copy may have a tag: `mine` is `mine:latest`, and every copy can be deleted', async () => {
  const server = managed()
  const copy = async (destination: string) => (await server.post('/api/copy', { source: 'scripted', destination })).status
  const isKnown = async (model: string) => (await server.post('/api/show', { model })).status === 200
  for (const [destination, deleted] of [
    ['mine:latest', 'mine'],
    ['mine:latest', 'mine:latest'],
    ['mine', 'mine:latest'],
    ['mine:v1', 'mine:v1'],
    ['a/b/c:v1', 'a/b/c:v1'],
  ] as const) {
    assert.equal(await copy(destination), 200)
    assert.ok((await isKnown(destination)) && (await isKnown(deleted)), destination)
    assert.equal(await isKnown(`${destination.replace(/:.*/, '')}:other`), false)
    assert.deepEqual(await idsOf(server), ['scripted', destination.replace(':latest', '')])
    assert.equal((await remove(server, deleted)).status, 200, deleted)
    assert.deepEqual([await isKnown(destination), await isKnown(deleted), await idsOf(server)], [false, false, ['scripted']])
  }
  assert.equal(await copy('scripted:latest'), 200)
  assert.deepEqual(await idsOf(server), ['scripted'])
})

test('a download may take longer than an answer', async () => {
  const slow: ModelManager = {
    ...manager,
    async pull(name, onBytes, signal) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      return manager.pull(name, onBytes, signal)
    },
  }
  for (const stream of [false, true]) {
    const server = scripted(() => final('ok'), 'harmony', { manager: slow, limits: { requestMs: 20 } })
    const response = await server.post('/api/pull', { model: 'org/x', stream })
    assert.deepEqual([response.status, /"status":"success"/.test(await response.text())], [200, true])
  }
})

test('a model that is being deleted is not loaded again, and comes back when its files stay', async () => {
  let [loads, disposed] = [0, 0]
  const load = async () => {
    loads++
    return { ...scriptedModel(() => final('ok')).model, dispose: () => void disposed++ }
  }
  let ending: (error?: Error) => void = () => {}
  const waiting: ModelManager = {
    ...manager,
    remove: () => new Promise((resolve, reject) => (ending = (error) => (error ? reject(error) : resolve()))),
  }
  const server = scripted(() => final('ok'), 'harmony', { models: [{ id: 'scripted', load }], manager: waiting })
  const status = async () => (await server.post('/v1/chat/completions', chat('scripted'))).status
  for (const [error, after] of [
    [new Error('busy'), 200],
    [undefined, 404],
  ] as const) {
    assert.equal(await status(), 200)
    const deleting = remove(server, 'scripted')
    await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(await status(), 404)
    ending(error)
    assert.equal((await deleting).status, error ? 400 : 200)
    assert.equal(await status(), after)
  }
  await server.app.close(0)
  assert.deepEqual([loads, disposed], [2, 2])
})

test('a Unix socket is served, a dead one replaced, a living one kept', {
  skip: process.platform === 'win32' && 'no Unix sockets',
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lineage-'))
  const host = join(directory, 'server.sock')
  const status = () =>
    new Promise<number>((resolve, reject) => {
      httpRequest({ socketPath: host, path: '/health' }, (response) => resolve(response.resume().statusCode!))
        .on('error', reject)
        .end()
    })
  try {
    execFileSync(
      process.execPath,
      ['-e', `require('node:net').createServer().listen(${JSON.stringify(host)}, () => process.kill(process.pid, 'SIGKILL'))`],
      { stdio: 'ignore' },
    )
  } catch {}
  assert.ok(existsSync(host))
  const listening = await listen(scripted(() => final('ok')).app, { host })
  try {
    assert.equal(listening.url, `unix:${host}:`)
    assert.equal(await status(), 200)
    await assert.rejects(listen(scripted(() => final('ok')).app, { host }), { code: 'EADDRINUSE' })
    assert.equal(await status(), 200)
  } finally {
    await listening.close(0)
    rmSync(directory, { recursive: true, force: true })
  }
})

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()
test('HTTPS with a certificate of our own', { skip: !hasOpenssl && 'openssl is not here' }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lineage-'))
  const files = ['key.pem', 'cert.pem'].map((name) => join(directory, name)) as [string, string]
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=IP:127.0.0.1',
  ]
  execFileSync('openssl', [...args, '-keyout', files[0], '-out', files[1]], { stdio: 'ignore' })
  const [key, cert] = files.map((file) => readFileSync(file, 'utf8')) as [string, string]
  const listening = await listen(scripted(() => final('ok')).app, { port: 0, tls: { key, cert } })
  try {
    assert.match(listening.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    const body = await new Promise<string>((resolve, reject) => {
      const options = { method: 'POST', ca: cert, headers: { 'content-type': 'application/json' } }
      httpsRequest(`${listening.url}/v1/chat/completions`, options, async (response) =>
        resolve(Buffer.concat(await Array.fromAsync(response)).toString()),
      )
        .on('error', reject)
        .end(JSON.stringify(chat('scripted')))
    })
    assert.equal(JSON.parse(body).choices[0].message.content, 'ok')
  } finally {
    await listening.close(0)
    rmSync(directory, { recursive: true, force: true })
  }
})
