/** generate, logits and bench as a person runs them, on a tiny published checkpoint. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text as streamText } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readGolden } from '../model/read-golden.ts'
import { entry, lineage } from './run.ts'

const checkpoint = fileURLToPath(new URL('../fixtures/checkpoints/tiny-gpt-oss', import.meta.url))
const golden = readGolden(join(checkpoint, 'golden.safetensors'))
const directory = mkdtempSync(join(tmpdir(), 'lineage-'))
after(() => rmSync(directory, { recursive: true }))

test('generate continues as the published model does', () => {
  const [prompt, answer] = [golden.ids[0]!.join(' '), [...golden.greedy[0]!]]
  const options = ['--ids', prompt, '--max-tokens', String(answer.length), '--threads', '1']
  for (const backend of ['reference', 'wasm']) {
    const { code, out, err } = lineage(['generate', checkpoint, ...options, '--backend', backend])
    assert.equal(code, 0, err)
    assert.deepEqual(out.trim().split(' ').map(Number), answer)
    assert.match(err, /^length: \d+ prompt ids in \d+ ms/)
  }
})

test('generate --json: every figure, and log-probabilities', () => {
  const { code, out, err } = lineage([
    'generate',
    checkpoint,
    '--ids',
    '[1, 2, 3]',
    '--max-tokens',
    '3',
    '--threads',
    '1',
    '--json',
    '--logprobs',
    '2',
  ])
  assert.equal(code, 0, err)
  const { reason, ids, promptTokens, cachedTokens, memory, tokens } = JSON.parse(out)
  assert.deepEqual([reason, ids.length, promptTokens, cachedTokens], ['length', 3, 3, 0])
  assert.ok(memory.residentBytes > 0 && memory.peakResidentBytes >= memory.residentBytes && memory.weights > 0 && memory.caches > 0)
  assert.deepEqual(
    tokens.map((token: { id: number }) => token.id),
    ids,
  )
  assert.ok(tokens[0].logprob < 0 && tokens[0].top.length === 2 && tokens[0].top[0].logprob >= tokens[0].top[1].logprob)
})

test('generate reads a text that another program writes slowly', async () => {
  const child = spawn(process.execPath, [entry, 'generate', 'abacus', '--max-tokens', '2', '--threads', '1'])
  child.stdin.write('1+')
  setTimeout(() => child.stdin.end('1='), 700)
  const ended = once(child, 'exit')
  assert.notEqual(await streamText(child.stdout), '')
  assert.deepEqual(await ended, [0, null])
})

test('generate with a seed repeats itself', () => {
  const run = () =>
    lineage([
      'generate',
      checkpoint,
      '--ids',
      '5',
      '--temperature',
      '1',
      '--top-p',
      '0.9',
      '--seed',
      '3',
      '--max-tokens',
      '8',
      '--threads',
      '1',
    ]).out
  const first = run()
  assert.equal(first.trim().split(' ').length, 8)
  assert.equal(run(), first)
})

test('logits writes what transformers computed', () => {
  const file = join(directory, 'logits.safetensors')
  const ids = golden.ids[1]!
  const { code, err } = lineage(['logits', checkpoint, '--ids', ids.join(','), '--out', file, '--threads', '1'])
  assert.equal(code, 0, err)
  const bytes = readFileSync(file)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const { logits } = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  assert.deepEqual([logits.dtype, logits.shape], ['F32', [ids.length, 512]])
  const values = new Float32Array(new Uint8Array(bytes.subarray(8 + headerLength)).buffer)
  const wanted = golden.logits[1]!
  const found = values.subarray(values.length - wanted.length)
  const largest = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
  for (const [n, value] of wanted.entries()) assert.ok(Math.abs(value - found[n]!) <= 1e-3 * largest, `${n}: ${found[n]} for ${value}`)
})

test('bench prints figures beside the limits of the machine', () => {
  const { code, out, err } = lineage([
    'bench',
    checkpoint,
    '--threads',
    '1',
    '--prompt',
    '20',
    '--generate',
    '4',
    '--repeat',
    '1',
    '--json',
  ])
  assert.equal(code, 0, err)
  const { prefill, decode, limits, memory } = JSON.parse(out)
  assert.ok(prefill.tokensPerSecond > 0 && prefill.multiplyAddsPerSecond > 0 && prefill.shareOfF32 > 0)
  assert.ok(decode.tokensPerSecond > 0 && decode.shareOfRead > 0 && decode.shareOfRead < 1)
  assert.equal(limits.length, 2)
  assert.ok(limits[0].readBytesPerSecond.best >= limits[0].readBytesPerSecond.median)
  assert.ok(memory.residentBytes < 700e6, 'the probe of the limits left its memory behind')
})

test('an error is one line and an exit code', () => {
  const cases: [args: string[], code: number, message: RegExp][] = [
    [['generate', checkpoint, '--ids', '1 999'], 1, /prompt\[1\] is 999; ids go from 0 to 511/],
    [['generate', checkpoint, '--ids', 'x'], 2, /Expected token ids/],
    [['generate', checkpoint], 2, /--ids/],
    [['generate', checkpoint, '--ids', '1', '--temperature', '-1'], 1, /sampling.temperature must be a number from 0/],
    [['generate', checkpoint, '--ids', '1', '--precision', 'rough'], 2, /faithful, fast/],
    [['generate', directory, '--ids', '1'], 2, /no config.json/],
    [['generate', 'someone/some-model', '--ids', '1'], 2, /lineage pull someone\/some-model/],
    [['logits', checkpoint, '--ids', '600', '--out', join(directory, 'no')], 1, /600 is not below the vocabulary of 512/],
  ]
  for (const [args, code, message] of cases) {
    const ran = lineage(args, { env: { HF_HUB_CACHE: join(directory, 'cache') } })
    assert.match(ran.err, message)
    assert.equal(ran.code, code, ran.err)
    assert.equal(ran.err.trim().split('\n').length, 1, ran.err)
  }
  assert.ok(!existsSync(join(directory, 'no')))
})
