/** `inspect` and `compare` of configurations alone: a folder without weights, and a model on the hub that is not downloaded. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fakeHub, MODEL } from '../hub/fake-hub.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-inspect-hub-'))
const hub = await fakeHub()
after(async () => {
  await hub.close()
  rmSync(temporary, { recursive: true, force: true })
})
const fixtures = fileURLToPath(new URL('../fixtures/checkpoints', import.meta.url))
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const cache = join(temporary, 'hub')

/** Asynchronous, because the hub answers from this process. */
function lineage(args: string[], more: Record<string, string> = {}): Promise<{ code: number | null; out: string; err: string }> {
  const env = { PATH: process.env.PATH, HF_HUB_CACHE: cache, HF_ENDPOINT: hub.url, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1', ...more }
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (data) => (out += data))
  child.stderr.on('data', (data) => (err += data))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

test('inspect of an id fetches configuration and headers, and leaves nothing behind', async () => {
  hub.requests.length = 0
  const { code, out, err } = await lineage(['inspect', MODEL, '--json', '--memory', '1MB'])
  assert.equal(code, 0, err)
  const there = JSON.parse(out)
  assert.match(there.origin, /^tests\/tiny-qwen3-moe on 127\.0\.0\.1:\d+: config\.json and the headers of 2 safetensors files$/)
  const here = JSON.parse((await lineage(['inspect', join(fixtures, 'tiny-qwen3-moe'), '--json', '--memory', '1MB'])).out)
  assert.deepEqual(there.parameters, here.parameters)
  assert.equal(there.storedBytes, here.storedBytes)
  assert.deepEqual(there.memory, here.memory)
  assert.equal(there.memory.fits, true)
  assert.deepEqual(hub.requests.map(({ name }) => name).sort(), ['config.json', 'model.safetensors.index.json'])
  assert.equal(hub.headerRequests.length, 2)
  assert.ok(!existsSync(cache))
})

test('the text says whether it fits, with or without --memory', async () => {
  const given = await lineage(['inspect', MODEL, '--memory', '100kB'])
  assert.match(given.out, /does not fit into 97\.66 KiB/)
  const machine = await lineage(['inspect', MODEL])
  assert.match(machine.out, /Memory\n +fits into .* GiB/)
})

test('compare takes ids, folders without weights and config.json files', async () => {
  const folder = join(temporary, 'alone')
  cpSync(join(fixtures, 'tiny-llama/config.json'), join(folder, 'config.json'))
  const { code, out, err } = await lineage(['compare', MODEL, folder, join(fixtures, 'tiny-gpt2/config.json'), '--memory', '600kB'])
  assert.equal(code, 0, err)
  assert.match(out, /tests\/tiny-qwen3-moe +alone +tiny-gpt2/)
  assert.match(out, /in 585\.9 KiB of memory +does not fit/)
  const { models } = JSON.parse((await lineage(['compare', MODEL, folder, '--json', '--memory', '600kB'])).out)
  assert.equal(models[0].memory.fits, false)
})

test('a folder without weights, as published or as Python writes it', async () => {
  const text = readFileSync(join(fixtures, 'tiny-llama/config.json'), 'utf8')
  for (const [name, content] of [
    ['plain', text],
    ['with a byte order mark', `\ufeff${text}`],
    ['with Infinity', text.replace('{', '{"unused": [0.0, Infinity], "other": NaN,')],
    ['with dtype auto', text.replace(/"(torch_)?dtype": "[^"]+"/, '"dtype": "auto"')],
  ] as const) {
    const folder = mkdtempSync(join(temporary, 'config-'))
    writeFileSync(join(folder, 'config.json'), content)
    for (const place of [folder, join(folder, 'config.json')]) {
      const { code, out, err } = await lineage(['inspect', place, '--json'])
      assert.equal(code, 0, `${name}: ${err}`)
      assert.equal(JSON.parse(out).parameters.total > 1000, true, name)
    }
    assert.match((await lineage(['inspect', folder])).out, /config\.json; there are no safetensors files beside it/)
  }
})

test('what is no model is named', async () => {
  const config = hub.files.get('config.json')!
  try {
    hub.files.set('config.json', Buffer.from(JSON.stringify({ model_type: 'rwkv' })))
    const unsupported = await lineage(['inspect', MODEL])
    assert.equal(unsupported.code, 1)
    assert.match(unsupported.err, /tests\/tiny-qwen3-moe\/config\.json: model_type: .*got "rwkv"/)
  } finally {
    hub.files.set('config.json', config)
  }
  const unknown = await lineage(['inspect', 'nobody/gpt-oss-20'])
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /unknown model "nobody\/gpt-oss-20"; closest: gpt-oss-20b.*has nothing at/)
  const offline = await lineage(['inspect', MODEL], { HF_HUB_OFFLINE: '1' })
  assert.equal(offline.code, 2)
  assert.match(offline.err, /unknown model "tests\/tiny-qwen3-moe"/)
})
