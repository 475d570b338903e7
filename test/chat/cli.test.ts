/** `lineage chat` as a program: on a pipe, with a question, and in a real pseudo-terminal (util-linux `script`, skipped where absent). */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { validator } from '../structured/validator.ts'
import { harmonySpecials } from './byte-tokenizer.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const fixture = fileURLToPath(new URL('../fixtures/checkpoints/tiny-gpt-oss', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'lineage-chat-cli-'))
const model = join(folder, 'tiny')
mkdirSync(model)
for (const file of ['config.json', 'model.safetensors']) copyFileSync(join(fixture, file), join(model, file))
writeFileSync(join(model, 'tokenizer.json'), JSON.stringify(byteTokenizerJson(harmonySpecials)))
after(() => rmSync(folder, { recursive: true }))

const env = { ...process.env, LINEAGE_HISTORY: join(folder, 'history'), NO_COLOR: '1' }
const common = [model, '--threads', '1', '--context', '2048', '--seed', '3']

async function lineage(args: string[], input = ''): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [main, 'chat', ...args], { env })
  const [out, err] = [text(child.stdout), text(child.stderr)]
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, out: await out, err: await err }
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString()
}

test('piped input answers once: text on standard output, the rest on standard error', async () => {
  const { code, out, err } = await lineage([...common, '--max-tokens', '40'], 'hello\n')
  assert.equal(code, 0)
  assert.ok(out.length > 1 && out.endsWith('\n'))
  assert.match(err, /\(the limit of --max-tokens is reached\)/)
})

test('a question in words or with -p, the same seed, events as JSON', async () => {
  const [words, option] = await Promise.all([
    lineage([...common, 'high', 'tide?', '--max-tokens', '20', '--json']),
    lineage([...common, '-p', 'high tide?', '--max-tokens', '20', '--json'], 'ignored'),
  ])
  const events = (out: string) =>
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; usage?: { completionTokens: number } })
  assert.equal(words.code, 0)
  assert.deepEqual(events(words.out).slice(0, -1), events(option.out).slice(0, -1))
  const finish = events(words.out).at(-1)!
  assert.equal(finish.type, 'finish')
  assert.ok(finish.usage!.completionTokens > 0 && finish.usage!.completionTokens <= 20)
})

test('the model that comes with the package: no MODEL, a question, and its calculator', async () => {
  const [plain, tool] = await Promise.all([lineage(['What is 47 + 85?']), lineage(['What is 12345 * 678?', '--tools', 'calculator'])])
  assert.deepEqual([plain.code, plain.out], [0, '132\n'])
  assert.equal(tool.out, '8369910\n')
  assert.match(tool.err, /→ calculator .*12345\*678.*\n← 8369910\n/)
})

test('an answer under a schema parses and validates, or fails', async () => {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const schema = {
    type: 'object',
    properties: { sum: { type: 'integer', minimum: 0, maximum: 999 }, unit: { enum: ['none', 'metres'] } },
    required: ['sum', 'unit'],
    additionalProperties: false,
  }
  const path = file('schema.json', JSON.stringify(schema))
  const [words, piped, cut] = await Promise.all([
    lineage(['What is 47 + 85?', '--schema', path]),
    lineage([...common, '-q', '--schema', path, '--temperature', '1', '--think-budget', '20'], 'high tide?'),
    lineage([...common, '-p', 'high tide?', '--schema', path, '--max-tokens', '3']),
  ])
  const verdict = validator(schema)
  assert.deepEqual([words.code, verdict(words.out)], [0, undefined])
  assert.deepEqual([piped.code, verdict(piped.out)], [0, undefined], piped.out)
  assert.equal(cut.code, 1)
  const odd = await lineage(['x', '--schema', file('odd.json', '{"contains":{}}')])
  assert.deepEqual([odd.code, odd.out], [1, ''])
  assert.match(odd.err, /^lineage: .*odd\.json cannot be enforced: \/contains: .*\n$/)
})

test('an error is one line and an exit code', async () => {
  const cases: [args: string[], code: number, message: RegExp][] = [
    [[join(folder, 'nothing/'), '-p', 'x'], 1, /nothing/],
    [[...common, '--effort', 'huge'], 2, /low, medium, high/],
    [[...common, '-p', ''], 2, /question is empty/],
    [[...common, '-p', 'x', '--tools', join(folder, 'missing.mjs')], 2, /--tools/],
    [[...common, '-p', 'x'.repeat(3000)], 1, /maximum context length is 2048/],
    [[...common, '-p', 'x', '--temperature', '-1'], 1, /temperature/],
  ]
  for (const [args, code, message] of cases) {
    const result = await lineage(args)
    assert.match(result.err, message)
    assert.equal(result.err.trimEnd().split('\n').length, 1, result.err)
    assert.equal(result.out, '')
    assert.ok(result.code === code || (code === 1 && result.code === 2), `${args.join(' ')}: ${result.code}`)
  }
})

const hasScript = spawnSync('script', ['--version']).stdout?.toString().includes('util-linux') ?? false
const skip = hasScript ? false : 'util-linux `script` is not installed'

test('in a pseudo-terminal: commands, an answer stopped by Ctrl-C, history of the run before', { skip }, async () => {
  // The slow backend leaves time to press Ctrl-C.
  const quoted = [process.execPath, main, 'chat', ...common, '--backend', 'reference'].map((word) => `'${word}'`).join(' ')
  const start = () => spawn('script', ['-qefc', quoted, '/dev/null'], { env: { ...env, TERM: 'xterm', COLUMNS: '80' } })
  const first = screenOf(start())
  await first.after('> ', '/help\r')
  await first.after('Ctrl-C stops an answer, twice leaves.', '')
  await first.after('> ', 'hello there\r')
  await first.after('hello there', '\x03')
  await first.after('(stopped)', '')
  await first.after('> ', '/stats\r')
  await first.after('resident', '')
  await first.after('> ', '/exit\r')
  assert.equal(await first.code, 0)
  const second = screenOf(start())
  await second.after('> ', '\x1b[A\x1b[A\x1b[A')
  await second.after('hello there', '\x03')
  await second.after('> ', '\x04')
  assert.equal(await second.code, 0)
})

function screenOf(child: ChildProcess) {
  let shown = ''
  let seen = 0
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    shown += chunk
  })
  return {
    code: new Promise<number | null>((resolve) => child.on('close', resolve)),
    async after(wanted: string, type: string) {
      const deadline = Date.now() + 15_000
      while (shown.indexOf(wanted, seen) < 0) {
        if (Date.now() > deadline) {
          child.kill()
          assert.fail(`waited for ${JSON.stringify(wanted)}, saw ${JSON.stringify(shown.slice(seen))}`)
        }
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      seen = shown.indexOf(wanted, seen) + wanted.length
      child.stdin!.write(type)
    },
  }
}
