/**
 * How a training run ends when something is in its way: with its exit code, soon, and with nothing half-written.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { checkModel } from '../../src/load-model.ts'
import { random } from '../../src/random/stream.ts'
import { stories } from '../../src/train/data/stories.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-endings-'))
after(() => rmSync(directory, { recursive: true, force: true }))
const text = join(directory, 'stories.txt')
writeFileSync(text, stories(random(1), 30_000))
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const windows = ['--data', text, '--block', '32', '--batch', '4']
const small = [...windows, '--layers', '2', '--width', '32', '--heads', '2']

interface Ending {
  code: number | null
  signal: NodeJS.Signals | null
  stderr: string
  /** After the signal that `when` sent. */
  seconds: number
}

/** Runs `lineage train`; sends a signal once its output, on either stream, matches. */
function train(args: string[], when?: { seen: RegExp; delay?: number; send: NodeJS.Signals }): Promise<Ending> {
  const child = spawn(process.execPath, [main, 'train', ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let stderr = ''
  let sent = 0
  const look = (chunk: Buffer) => {
    output += chunk
    if (!when || sent > 0 || !when.seen.test(output)) return
    sent = Number.POSITIVE_INFINITY
    setTimeout(() => {
      sent = performance.now()
      child.kill(when.send)
    }, when.delay ?? 0)
  }
  child.stdout.on('data', look)
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk
    look(chunk)
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, stderr, seconds: (performance.now() - sent) / 1000 }))
  })
}

/** Nothing temporary is left, and a model that is there is whole. */
async function assertWhole(out: string) {
  if (!existsSync(out)) return
  assert.deepEqual(
    readdirSync(out).filter((name) => name.endsWith('.tmp')),
    [],
  )
  if (existsSync(join(out, 'model'))) await checkModel(await fileFolder(join(out, 'model')))
}

describe('refused before the first step', () => {
  const places: [name: string, prepare: (out: string) => void, args: string[], code: number, message: RegExp][] = [
    ['a file in place of the run', (out) => writeFileSync(out, ''), [], 1, /expected a directory or nothing, found a file/],
    [
      'a file in place of the model',
      (out) => {
        mkdirSync(out)
        writeFileSync(join(out, 'model'), '')
      },
      [],
      1,
      /no training run wrote \(model\)/,
    ],
    ['a file above the run', (out) => writeFileSync(out, ''), ['--out', 'above/run'], 1, /above/],
    ['a text that is too short', () => {}, ['--block', '4000'], 1, /fewer than one window of 4000/],
    ['more results than a thread may hold', () => {}, ['--memory', '1', '--block', '1024'], 1, /--block.*--memory/],
    ['no such text', () => {}, ['--data', 'none.txt'], 2, /none\.txt/],
    ['a tokenizer too small for bytes', () => {}, ['--tokenizer', 'bpe:9'], 1, /a BPE tokenizer has from 257/],
    ['no such tokenizer', () => {}, ['--tokenizer', 'none'], 2, /expected char, byte, bpe:SIZE or a directory/],
  ]
  for (const [name, prepare, args, code, message] of places)
    test(name, async () => {
      const out = join(directory, 'above')
      rmSync(out, { recursive: true, force: true })
      prepare(out)
      const ending = await train(['gpt2', ...small, '--out', out, '--steps', '5', ...args])
      assert.equal(ending.code, code, ending.stderr)
      assert.match(ending.stderr, message)
      assert.equal(ending.stderr.trim().split('\n').at(-1)!.startsWith('lineage: '), true)
      assert.ok(!existsSync(join(out, 'model', 'config.json')))
    })

  test('a directory that holds weights', async () => {
    const own = join(directory, 'own')
    assert.equal((await train(['gpt2', ...small, '--out', own, '--steps', '2'])).code, 0)
    const again = [join(own, 'model'), ...windows, '--out', join(directory, 'again'), '--steps', '2']
    const refused = await train(again)
    assert.equal(refused.code, 2)
    assert.match(refused.stderr, /holds the weights of a model/)
    assert.equal((await train([...again, '--fresh'])).code, 0)
  })
})

describe('interrupted', () => {
  for (const [when, threads] of [
    [{ seen: /parameters/, send: 'SIGINT' }, ['--threads', '2']],
    [{ seen: /parameters/, delay: 400, send: 'SIGINT' }, ['--threads', '2']],
    [{ seen: /step \d+/, delay: 100, send: 'SIGINT' }, ['--threads', '1']],
    [{ seen: /step \d+/, delay: 50, send: 'SIGINT' }, ['--threads', '2', '--inline']],
  ] as const)
    test(`${when.send} ${threads.join(' ')} after ${'delay' in when ? when.delay : 0} ms`, async () => {
      const out = join(directory, 'interrupted')
      rmSync(out, { recursive: true, force: true })
      const { code, signal, seconds } = await train(['moe', ...small, ...threads, '--out', out, '--steps', '100000'], when)
      assert.ok(code === 130 || signal === 'SIGINT', `${code} ${signal}`)
      assert.ok(seconds < 2, `${seconds} s`)
      await assertWhole(out)
    })

  test('killed while it saves, again and again, it continues and ends', async () => {
    const out = join(directory, 'killed')
    const args = ['moe', ...small, '--save-every', '1', '--out', out, '--steps', '40']
    for (const delay of [0, 60, 150]) {
      const resume = existsSync(join(out, 'state.bin')) ? ['--resume'] : ['--force']
      await train([...args, ...resume], { seen: /step \d+/, delay, send: 'SIGKILL' })
    }
    const resume = existsSync(join(out, 'state.bin')) ? ['--resume'] : ['--force']
    assert.equal((await train([...args, ...resume])).code, 0)
    await assertWhole(out)
  })
})
