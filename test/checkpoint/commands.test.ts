/** The commands about checkpoints as a person runs them: pull, list, remove, synth, quantize. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { pullProgress } from '../../src/cli/support/pull-progress.ts'
import { COMMIT, fakeHub, MODEL } from '../hub/fake-hub.ts'
import { fixtures } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-commands-'))
const hub = await fakeHub()
after(async () => {
  await hub.close()
  rmSync(temporary, { recursive: true, force: true })
})

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const env = {
  PATH: process.env.PATH,
  HOME: temporary,
  HF_HUB_CACHE: join(temporary, 'hub'),
  HF_ENDPOINT: hub.url,
  HF_HUB_DISABLE_IMPLICIT_TOKEN: '1',
}

/** Asynchronous, because the hub answers from this process. */
function lineage(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (data) => (out += data))
  child.stderr.on('data', (data) => (err += data))
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })))
}

test('pull, list and remove', async () => {
  const directory = join(env.HF_HUB_CACHE, 'models--tests--tiny-qwen3-moe/snapshots', COMMIT)
  const pulled = await lineage('pull', MODEL)
  assert.equal(pulled.code, 0, pulled.err)
  assert.equal(pulled.out, `${directory}\n`)
  assert.match(pulled.err, /model-00001-of-00002\.safetensors: 479\.8 KiB verified\n/)
  assert.match(pulled.err, /867\.8 KiB of 867\.8 KiB downloaded and verified\n$/)
  assert.match((await lineage('pull', MODEL)).err, /all of it was there/)

  const listed = await lineage('list')
  assert.match(
    listed.out,
    /^model +size +state +revision +changed\ntests\/tiny-qwen3-moe +867\.8 KiB +complete +main 01234567 +\d{4}-\d\d-\d\d\n$/,
  )
  const json = JSON.parse((await lineage('list', '--json')).out)
  assert.equal(json[0].directory, directory)

  const removed = await lineage('remove', MODEL)
  assert.deepEqual([removed.code, removed.out], [0, 'tests/tiny-qwen3-moe removed, 867.8 KiB freed\n'])
  const again = await lineage('remove', MODEL)
  assert.equal(again.code, 1)
  assert.match(again.err, /^lineage: tests\/tiny-qwen3-moe is not in the cache .*\n$/)
  const none = await lineage('list')
  assert.deepEqual([none.code, none.out], [0, ''])
  assert.match(none.err, /no models in .*"lineage pull ID" brings one/)
})

test('pull: an error is one line and an exit code', async () => {
  for (const [args, code, message] of [
    [['pull', 'nobody/nothing'], 1, /has nothing at .*nobody\/nothing.*Check the spelling/],
    [['pull', '../escape'], 1, /not a model id/],
    [['pull', MODEL, '--connections', '0'], 2, /--connections: expected a whole number from 1 to 64, got 0/],
    [['pull'], 2, /missing required argument 'id'/],
  ] as const) {
    const result = await lineage(...args)
    assert.equal(result.code, code, result.err)
    assert.match(result.err, message)
    assert.equal(result.err.trim().split('\n').length, 1)
    assert.equal(result.out, '')
  }
})

test('pull: Ctrl-C ends cleanly and says how to continue', async () => {
  hub.misbehave = async () => {
    await new Promise((resolve) => setTimeout(resolve, 400))
    return false
  }
  hub.requests.length = 0
  const child = spawn(process.execPath, [main, 'pull', MODEL], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let err = ''
  child.stderr.on('data', (data) => (err += data))
  while (hub.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  child.kill('SIGINT')
  const code = await new Promise((resolve) => child.on('close', resolve))
  hub.misbehave = () => false
  assert.equal(code, 1)
  assert.match(err, /interrupted; run "lineage pull tests\/tiny-qwen3-moe" again to continue/)
  assert.equal((await lineage('pull', MODEL)).code, 0)
})

test('quantize reports the error of every matrix', async () => {
  const out = join(temporary, 'quantised')
  const result = await lineage('quantize', join(fixtures, 'tiny-mixtral'), out, '--experts', 'mxfp4')
  assert.equal(result.code, 0, result.err)
  const lines = result.out.trimEnd().split('\n')
  assert.equal(lines.length, 1 + 6 + 1)
  for (const line of lines.slice(1, 7)) assert.match(line, /^layers\.\d\.feedForward\.(gateUp|down) +MXFP4 +\d+\.\d\d % +[\d.]+$/)
  assert.match(lines[7]!, /quantised: .* became /)
  assert.deepEqual(readdirSync(out).sort(), ['config.json', 'model.safetensors'])
  assert.equal(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')).quantization_config.quant_method, 'mxfp4')
  const dense = await lineage('quantize', join(fixtures, 'tiny-llama'), join(temporary, 'none'))
  assert.equal(dense.code, 1)
  assert.match(dense.err, /has no experts/)
})

test('synth refuses an unknown preset and a bad number of layers', async () => {
  const unknown = await lineage('synth', 'gpt-os-20b', join(temporary, 'x'))
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /no published model is called "gpt-os-20b"; did you mean gpt-oss-20b/)
  const layers = await lineage('synth', 'gpt2', join(temporary, 'x'), '--layers', '13')
  assert.equal(layers.code, 2)
  assert.match(layers.err, /expected 1 to 12 for gpt2, got 13/)
  assert.ok(!existsSync(join(temporary, 'x')))
})

test('on a terminal the block is redrawn in place, and the running files stay visible', () => {
  let screen = ''
  let time = 0
  const stream = { isTTY: true, columns: 80, rows: 7, write: (text: string) => (screen += text) }
  const progress = pullProgress(stream, 'some/model', () => time)
  const files = Array.from({ length: 9 }, (_, i) => ({ name: `file-${i}`, size: 1000, present: i < 3 ? 1000 : 0 }))
  progress.onEvent({ kind: 'plan', files, totalBytes: 9000 })
  time = 1000
  progress.onEvent({ kind: 'progress', name: 'file-8', bytes: 500, allBytes: 3500 })
  const last = screen.slice(screen.lastIndexOf('\x1b[5A'))
  assert.match(last, / 50 % +500 B of +1000 B {2}file-8/)
  assert.match(last, / 38 % {2}3\.42 KiB of 8\.79 KiB {2}500 B\/s {2}11 s left/)
  for (const line of stripVTControlCharacters(last).split(/[\r\n]+/)) assert.ok(line.length < 80, line)
  time = 4000
  progress.onEvent({ kind: 'pause', reason: 'status 503', milliseconds: 9000 })
  assert.match(screen.slice(screen.lastIndexOf('\x1b[5A')), /status 503; next try in 9 s/)
})
