/** `lineage eval --task` as a person runs it: results that go on, wrong usage, the exported answers, a sandbox, a server as the model. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, test } from 'node:test'
import { openResults } from '../../src/evaluate/results-node.ts'
import { commandSandbox } from '../../src/evaluate/sandbox-node.ts'
import { lineage } from '../cli/run.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-evaluate-'))
after(() => rmSync(directory, { recursive: true }))
const at = (name: string) => join(directory, name)
const write = (name: string, content: string | object[]) => {
  writeFileSync(at(name), typeof content === 'string' ? content : content.map((each) => `${JSON.stringify(each)}\n`).join(''))
  return at(name)
}
const read = (name: string) => readFileSync(at(name), 'utf8')

const sums = write(
  'sums.jsonl',
  [
    [12, 13],
    [47, 85],
    [20, 31],
    [8, 64],
  ].map(([a, b]) => ({ q: `What is ${a} + ${b}?`, a: a! + b! })),
)
const task = write(
  'sums.json',
  JSON.stringify({
    name: 'sums',
    kind: 'generate',
    data: 'sums.jsonl',
    prompt: '{{ q }}',
    extract: 'number',
    answer: 'a',
    compare: 'number',
    temperature: 0,
  }),
)
const run = (...args: string[]) => lineage(['eval', 'abacus', '--task', task, '--threads', '1', ...args])

test('the questions of a file: what is answered, and what is declined where the answer is null', () => {
  const measure = (file: string) =>
    lineage(['eval', 'abacus', '--effort', 'low', '--problems', '11', '--calls', '1', '--questions', file, '--json', at('arithmetic.json')])
  const file = write('questions.jsonl', [
    { question: 'What is 2 + 3?', answer: 5 },
    { question: 'What is the capital of Japan?', answer: null },
  ])
  assert.equal(measure(file).code, 0)
  const { problems, right, declined, wrong, mistakes } = JSON.parse(read('arithmetic.json')).files[file]
  assert.deepEqual([problems, right, declined, wrong, mistakes], [2, 1, 1, 0, []])
  const unanswered = measure(write('unanswered.jsonl', '\n{"question": "What is 2 + 3?"}\n'))
  assert.match(unanswered.err, /unanswered\.jsonl:2: answer: missing/)
})

test('a task on abacus by effort: table, results, summary and chart; a second run goes on and a third has nothing to do', () => {
  const out = ['--out', at('out.jsonl'), '--json', at('all.json'), '--svg', at('all.svg')]
  const first = run(...out, '--effort', 'high', '--limit', '2')
  assert.equal(first.code, 0, first.err)
  assert.match(first.out, /^sums on abacus: 2 of 2 done\neffort +items +acc .*\nhigh +2 +1\.0000 \(0\.3424–1\.0000\)/m)
  // Half a line, as a killed run leaves it, is dropped.
  appendFileSync(at('out.jsonl'), '{"id":"3","eff')
  const second = run(...out, '--effort', 'low,high')
  assert.equal(second.code, 0, second.err)
  assert.match(second.out, /sums on abacus: 8 of 8 done/)
  const lines = read('out.jsonl').trim().split('\n')
  assert.equal(lines.length, 1 + 8)
  const before = read('out.jsonl')
  assert.equal(run(...out, '--effort', 'low,high').code, 0)
  assert.equal(read('out.jsonl'), before)
  const { summaries, complete } = JSON.parse(read('all.json'))
  assert.equal(complete, true)
  assert.deepEqual(
    summaries.map(({ effort, items }: { effort: string; items: number }) => [effort, items]),
    [
      ['low', 4],
      ['high', 4],
    ],
  )
  assert.equal(summaries[1].metrics[0].value, 1)
  assert.match(read('all.svg'), /^<svg [^>]*>[\s\S]*low, high/)

  const other = run(...out, '--effort', 'low', '--max-tokens', '5')
  assert.deepEqual([other.code, other.out], [1, ''])
  assert.match(other.err, /out\.jsonl: holds another run: its maxTokens is nothing, and now it is 5\. Nothing was changed/)
  assert.equal(read('out.jsonl'), before)
})

test('wrong usage is told before a model is loaded', () => {
  const rows: [string[], RegExp, number?][] = [
    [['--task', 'nothing'], /nothing: no such file, and no ready-made task/, 1],
    [['--task', 'hellaswag'], /the task hellaswag needs its data: name the file with --data/],
    [['--task', 'hellaswag', '--data', at('none.jsonl')], /none\.jsonl: expected a file, found nothing/, 1],
    [['--task', task, '--block', '4'], /--block does not belong to an evaluation with --task/],
    [['--task', task, '--calls', '4'], /--calls does not belong/],
    [['--data', sums, '--limit', '4'], /--limit does not belong to an evaluation with --data and without --task/],
    [['--effort', 'low', '--url', 'http://x'], /--url does not belong to an evaluation with --effort and without --task/],
    [['--data', sums, sums], /--data: expected one text/],
    [['--task', 'lambada', '--data', sums, '--repeats', '2'], /--repeats: a task of the kind "last-word" generates no answers/],
    [['--task', 'lambada', '--data', sums, '--max-tokens', '2'], /--max-tokens: a task of the kind/],
    [['--task', 'wikitext', '--data', sums, '--shots', '2'], /--shots: a task of the kind "rolling" has no prompt/],
    [['--task', task, '--sandbox', 'python3'], /--sandbox: a task of the kind "generate" has no programs/],
    [['--task', task, '--grader', 'http://x'], /--grader: a task of the kind "generate" has no rubrics/],
    [['--task', 'healthbench', '--data', sums, '--grader', 'http://x'], /--grader URL and --grader-model NAME belong together/],
    [['--task', task, '--tokenizer', directory], /--tokenizer and --api-key-file belong to --url/],
    [['--task', task, '--url', 'localhost:80'], /expected a URL such as http/, 1],
  ]
  for (const [args, message, code = 2] of rows) {
    const ran = lineage(['eval', 'abacus', ...args])
    assert.match(ran.err, message, args.join(' '))
    assert.equal(ran.code, code, args.join(' '))
  }
})

test('a server as the model: retries what is temporary, exports answers, stops at what is not', async () => {
  const bodies: Record<string, unknown>[] = []
  let busy = 2
  const server = createServer(async (request, response) => {
    const body = JSON.parse((await request.toArray()).join(''))
    bodies.push(body)
    const send = (status: number, value: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    if (request.headers.authorization !== 'Bearer secret') return send(401, { error: { message: 'no key' } })
    if (busy-- > 0) return send(503, { error: { message: 'busy' } })
    if (body.messages?.[0].content.includes('8 + 64')) return send(400, { error: { message: 'too long' } })
    const choices = [{ message: { content: 'It is 25.' }, finish_reason: 'stop' }]
    return send(200, { choices, usage: { completion_tokens: 5, completion_tokens_details: { reasoning_tokens: 2 } } })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const { spawn } = await import('node:child_process')
  const ask = async (key: string, ...args: string[]) => {
    const child = spawn(
      process.execPath,
      [new URL('../../src/cli/main.ts', import.meta.url).pathname, 'eval', 'some', '--url', url, '--task', task, ...args],
      {
        env: { ...process.env, OPENAI_API_KEY: key },
      },
    )
    let [stdout, stderr] = ['', '']
    child.stdout.on('data', (data) => {
      stdout += data
    })
    child.stderr.on('data', (data) => {
      stderr += data
    })
    const code = await new Promise((resolve) => child.on('close', resolve))
    return { code, stdout, stderr }
  }
  try {
    const ran = await ask('secret', '--effort', 'low', '--max-tokens', '9', '--export', at('export.jsonl'))
    assert.equal(ran.code, 0, ran.stderr)
    assert.match(ran.stdout, /sums on some: 4 of 4 done/)
    assert.match(ran.stdout, /low +4 +0\.2500 /)
    assert.match(ran.stdout, /1 could not be measured .*400 too long/)
    const last = bodies.at(-1)!
    assert.deepEqual([last.model, last.max_tokens, last.reasoning_effort, last.temperature], ['some', 9, 'low', 0])
    const exported = read('export.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      exported.find(({ task_id }) => task_id === '0'),
      { task_id: '0', completion: 'It is 25.', effort: 'low' },
    )
    assert.equal(exported.length, 3)
    const refused = await ask('wrong')
    assert.deepEqual([refused.code, /401 no key/.test(refused.stderr)], [1, true])
  } finally {
    server.close()
  }
})

test('a run in which every item fails ends with 1 and says why', () => {
  const long = write('long.jsonl', [{ text: 'a' }, { text: `a ${'b'.repeat(20_000)}` }])
  const some = lineage(['eval', 'abacus', '--task', 'lambada', '--data', long, '--threads', '1'])
  assert.deepEqual([some.code, /1 could not be measured .*: 1: expected a text of at most/.test(some.out)], [0, true], some.out + some.err)
  const all = lineage([
    'eval',
    'abacus',
    '--task',
    'lambada',
    '--data',
    write('all.jsonl', [{ text: `a ${'b'.repeat(20_000)}` }]),
    '--threads',
    '1',
  ])
  assert.deepEqual([all.code, /1 could not be measured/.test(all.out)], [1, true], all.out + all.err)
})

test('a results file: what is not one is left alone; appended lines keep their order', async () => {
  const foreign = write('notes.jsonl', '{"mine":1}\n')
  await assert.rejects(openResults(foreign, {}), /expected a file of results that lineage eval wrote/)
  assert.equal(read('notes.jsonl'), '{"mine":1}\n')
  await assert.rejects(openResults(directory, {}), /expected a place for a file of results/)
  await assert.rejects(openResults(at('nowhere/r.jsonl'), {}), /r\.jsonl: cannot be written: /)
  const path = at('r.jsonl')
  const results = await openResults(path, { task: 't' })
  await Promise.all(Array.from({ length: 50 }, (_, i) => results.append({ id: String(i), text: 'x'.repeat(i * 100) })))
  await results.close()
  const again = await openResults(path, { task: 't' })
  assert.deepEqual(
    again.earlier.map(({ id }) => Number(id)),
    Array.from({ length: 50 }, (_, i) => i),
  )
  await again.close()
  await assert.rejects(openResults(path, { task: 'u' }), /its task is "t", and now it is "u"/)
  const anew = await openResults(path, { task: 'u' }, { force: true })
  assert.deepEqual(anew.earlier, [])
  await anew.close()
  appendFileSync(path, '[]\n')
  await assert.rejects(openResults(path, { task: 'u' }), /r\.jsonl:2: expected an outcome with an id/)
})

test('a sandbox: exit codes, standard input or a file, time limits, commands that do not exist', async () => {
  const node = process.execPath
  assert.equal((await commandSandbox(`${node} -`)('process.exit(0)')).passed, true)
  assert.deepEqual(await commandSandbox(`${node} -`)('console.log("said"); process.exit(3)'), { passed: false, output: 'said\n' })
  assert.equal((await commandSandbox(`${node} {file}`)('process.exit(process.argv[1].endsWith("program.py") ? 0 : 1)')).passed, true)
  const started = performance.now()
  // What the program starts ends with it.
  const endless =
    'require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" }); setInterval(() => {}, 1000)'
  assert.deepEqual(await commandSandbox(`${node} -`, 1000)(endless), { passed: false, output: 'ended after 1000 ms' })
  assert.ok(performance.now() - started < 10_000)
  const script = join(mkdtempSync(join(tmpdir(), 'lineage-sandbox-')), 'run.mjs')
  writeFileSync(script, 'process.exit(0)')
  assert.equal((await commandSandbox(`${node} ${relative(process.cwd(), script)}`)('')).passed, true, 'a path as the user sees it')
  await assert.rejects(commandSandbox('/no/such/command')(''), /the sandbox command "\/no\/such\/command" cannot run/)
})
