/**
 * llama-server's /slots over the real program: a conversation saved, the process killed, restored in the next, continued with the same
 * text and log-probabilities. In process: names, keys, files and actions that are refused.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test, { after, before } from 'node:test'
import { fileURLToPath } from 'node:url'
import { slotDirectory } from '../../src/cli/support/slot-files.ts'
import { load, restoreSlot, SlotError, saveSlot } from '../../src/index.ts'
import { createApp } from '../../src/server/http/app.ts'
import { final, type Json, scripted } from './scripted-app.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const skip = existsSync(join(root, 'models/abacus/model.safetensors')) ? false : 'the embedded model models/abacus is not there'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lineage-slots-'))
})
const children: ChildProcess[] = []
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await rm(folder, { recursive: true })
})

const question = { role: 'user', content: 'What is 12 + 30?' }
/** Short answers: sliding layers are saved without the rows before their window, so a longer conversation would go on from its last snapshot. */
const asked = { model: 'abacus', temperature: 0, logprobs: true, seed: 1, reasoning_effort: 'medium' }
const next = (answer: Json) => ({ ...asked, messages: [question, answer, { role: 'user', content: 'And 9 * 8?' }] })

async function send(url: string, path: string, body?: unknown, key = 'alice'): Promise<{ status: number; json: Json }> {
  const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  const method = path.startsWith('GET ') ? 'GET' : 'POST'
  const response = await fetch(url + path.replace('GET ', ''), { method, headers, body: body === undefined ? null : JSON.stringify(body) })
  return { status: response.status, json: await response.json() }
}

async function start(): Promise<{ child: ChildProcess; url: string }> {
  const args = ['serve', 'abacus', '--port', '0', '--threads', '1', '--log', 'none', '--slot-save-path', join(folder, 'served')]
  const env = { ...process.env, LINEAGE_API_KEY: 'alice,bob' }
  const child = spawn(process.execPath, [join(root, 'src/cli/main.ts'), ...args], { stdio: ['ignore', 'ignore', 'pipe'], env })
  children.push(child)
  const url = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stderr!.on('data', (data) => {
      const found = /serving .* at (\S+)\/v1/.exec((text += data))
      if (found) resolve(found[1]!)
    })
    child.once('exit', () => reject(new Error(text)))
  })
  while (!(await fetch(`${url}/readyz`)).ok) await new Promise((resolve) => setTimeout(resolve, 25))
  return { child, url }
}

test('a conversation goes on after a restart', { skip }, async () => {
  const first = await start()
  const one = await send(first.url, '/v1/chat/completions', { ...asked, messages: [question] })
  const answer = one.json.choices[0].message
  const saved = await send(first.url, '/slots/-1?action=save', { filename: 'sums.bin' })
  assert.equal(saved.status, 200, JSON.stringify(saved.json))
  const { id_slot, n_saved, n_written } = saved.json
  assert.ok(n_saved > 20 && n_written > n_saved * 1000)
  const rows = (await send(first.url, 'GET /slots')).json
  assert.deepEqual([rows.length, rows[id_slot].n_past, rows[id_slot].is_processing], [4, n_saved, false])
  assert.equal((await send(first.url, 'GET /slots', undefined, 'bob')).json[id_slot].n_past, null, 'another key sees nothing')
  const expected = (await send(first.url, '/v1/chat/completions', next(answer))).json
  first.child.kill('SIGKILL')

  const second = await start()
  const restored = await send(second.url, '/slots/2?action=restore', { filename: 'sums.bin' })
  assert.deepEqual([restored.status, restored.json.id_slot, restored.json.n_restored, restored.json.n_read], [200, 2, n_saved, n_written])
  const got = (await send(second.url, '/v1/chat/completions', next(answer))).json
  assert.deepEqual(got.choices[0], { ...expected.choices[0] })
  assert.deepEqual(got.usage, expected.usage)
  assert.ok(got.usage.prompt_tokens_details.cached_tokens > 20)
  // Bob has files of his own.
  assert.equal((await send(second.url, '/slots/0?action=restore', { filename: 'sums.bin' }, 'bob')).status, 404)
  assert.equal((await send(second.url, '/slots/2?action=save', { filename: 'sums.bin' }, 'bob')).status, 400)
  assert.equal((await send(second.url, '/slots/2?action=erase', undefined, 'bob')).status, 400)
  const past = (await send(second.url, 'GET /slots')).json[2].n_past
  const erased = await send(second.url, '/slots/-1?action=erase')
  assert.equal(erased.json.n_erased, past)
  assert.ok(past > 20)
  second.child.kill('SIGKILL')
  const [key] = await readdir(join(folder, 'served'))
  assert.deepEqual(await readdir(join(folder, 'served', key!)), ['sums.bin'], 'no half-written file is left')
  if (process.platform !== 'win32') assert.equal((await stat(join(folder, 'served', key!, 'sums.bin'))).mode & 0o77, 0)
})

test('the library: saved and restored, other precisions and damaged files refused', { skip }, async () => {
  const path = join(folder, 'library.slot')
  const prompt = 'What is 7 * 6? The answer is'
  const text = async (model: Awaited<ReturnType<typeof load>>, from: string) => {
    const { result, ...rest } = model.generate(from, { maxTokens: 8, sampling: { temperature: 0 } })
    const { ids, cachedTokens } = await result
    return { ids, cachedTokens, rest }
  }
  const first = await load('abacus')
  await text(first, prompt)
  const { positions } = await saveSlot(first, path)
  const expected = await text(first, `${prompt} 42`)
  await first.dispose()
  await using second = await load('abacus')
  assert.equal((await restoreSlot(second, path)).positions, positions)
  const got = await text(second, `${prompt} 42`)
  assert.deepEqual([got.ids, got.cachedTokens], [expected.ids, expected.cachedTokens])
  assert.ok(got.cachedTokens > 0)
  await using fast = await load('abacus', { precision: 'fast' })
  await assert.rejects(restoreSlot(fast, path), SlotError)
  const damaged = join(folder, 'damaged.slot')
  await writeFile(damaged, (await readFile(path)).fill(0, 5000, 5001))
  await assert.rejects(restoreSlot(second, damaged), SlotError)
  await assert.rejects(restoreSlot(second, join(folder, 'none')), /expected a saved conversation/)
  await second.engine.slots.erase()
  const before = await readdir(folder)
  await assert.rejects(saveSlot(second, join(folder, 'none')), SlotError)
  assert.deepEqual(await readdir(folder), before)
})

const NAMES = [
  '',
  '.',
  '..',
  '../a',
  'a/b',
  'a\\b',
  '/etc/passwd',
  'C:x',
  '.hidden',
  'a..b',
  'nul',
  'COM1.bin',
  'a.tmp',
  'a.',
  ' a',
  'a b',
  'ü',
  'a\n',
  'a\0',
  'x'.repeat(129),
  7,
  null,
  undefined,
  ['a'],
]

test('names, slots and actions that are refused', { skip }, async () => {
  const directory = join(folder, 'refused')
  await using model = await load('abacus')
  const app = createApp({ models: [{ id: 'abacus', load: async () => model }], slotFiles: await slotDirectory(directory) })
  const post = async (path: string, body?: unknown) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await app.fetch(new Request(`http://localhost${path}`, { method: 'POST', ...init }))
    return { status: response.status, json: (await response.json()) as Json }
  }
  await post('/v1/chat/completions', { ...asked, messages: [question] })
  for (const filename of NAMES)
    for (const action of ['save', 'restore']) {
      const { status, json } = await post(`/slots/-1?action=${action}`, { filename })
      assert.deepEqual([status, json.error.param], [400, 'filename'], JSON.stringify(filename))
    }
  for (const id of ['4', '99', 'x', '-2', '1.5']) assert.equal((await post(`/slots/${id}?action=save`, { filename: 'a' })).status, 400, id)
  for (const action of ['', 'SAVE', 'delete']) assert.equal((await post(`/slots/0?action=${action}`, { filename: 'a' })).status, 400)
  assert.equal((await post('/slots/0?action=save', { filename: 'a', model: 'other' })).status, 404)
  assert.equal((await post('/slots/0?action=erase&model=other')).status, 404)
  assert.deepEqual(await readdir(directory), [])

  assert.equal((await post('/slots/-1?action=save', { filename: 'a-1_b.bin' })).status, 200)
  const kept = join(directory, 'a-1_b.bin')
  const whole = await readFile(kept)
  await copyFile(kept, join(directory, 'copy'))
  assert.equal((await post('/slots/1?action=restore', { filename: 'copy' })).status, 200)
  await writeFile(kept, whole.subarray(0, whole.length - 7))
  assert.equal((await post('/slots/1?action=restore', { filename: 'a-1_b.bin' })).json.error.code, 'slot_error')
  await mkdir(join(directory, 'folder'))
  assert.equal((await post('/slots/1?action=restore', { filename: 'folder' })).status, 404)
  for (let n = 0; n < 254; n++) await writeFile(join(directory, `f${n}`), '')
  assert.match((await post('/slots/-1?action=save', { filename: 'another' })).json.error.message, /the most of one key/)
  assert.equal((await post('/slots/-1?action=save', { filename: 'a-1_b.bin' })).status, 200, 'one that exists is replaced')
})

test('without --slot-save-path nothing is saved; scripted engines have slots to list only', async () => {
  const server = scripted(() => final('ok'))
  await server.post('/v1/chat/completions', { model: 'scripted', messages: [question] })
  const saved = await server.post('/slots/0?action=save', { filename: 'a' })
  assert.deepEqual([saved.status, ((await saved.json()) as Json).error.code], [403, 'slots_not_saved'])
  const rows = (await (await server.get('/slots')).json()) as Json
  assert.deepEqual(
    rows.map(({ id, is_processing }: Json) => [id, is_processing]),
    [0, 1, 2, 3].map((id) => [id, false]),
  )
  assert.equal((await server.get('/slots/0')).status, 405)
})
