/** What the words of commands mean: models and questions, sizes, files, threads, near matches. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { findPreset, nearestNames } from '../../src/architecture/presets.ts'
import { ABOUT_DEFAULT, modelAndQuestion, pipedQuestions } from '../../src/cli/chat/start.ts'
import { readQuestions } from '../../src/cli/eval/arithmetic.ts'
import { account } from '../../src/compare/account.ts'
import { closestNames, editDistance } from '../../src/json/names.ts'
import { lineage } from './run.ts'

const NO_MODELS = [
  ['gpt-oss', 'hi'],
  ['gpt-oss:20b', 'hi'],
  ['qwen3', 'hi'],
  ['llama3.1', 'What is this?'],
  ['nope', 'hi'],
  ['README.md', 'hi'],
  ['src', 'hi'],
  ['What', 'is', '2+2'],
  ['gpt-oss'],
  ['qwen3'],
  ['abacas'],
  ['gemma'],
  ['llama3.1:8b'],
]

test('a mistyped model is never asked of the default model', () => {
  for (const words of NO_MODELS)
    assert.throws(
      () => modelAndQuestion(words),
      { name: 'UsageError', message: new RegExp(`^unknown model "${words[0]}"; closest: .*-p "`) },
      words.join(' '),
    )
  assert.throws(() => modelAndQuestion(['nope'], true), /unknown model "nope"/)
})

test('models, questions and both', () => {
  assert.deepEqual(modelAndQuestion([]), { model: 'abacus' })
  for (const question of ['What is 47 + 85?', 'hello', 'hello world', '2+2', 'Hi!', 'why?', 'gpt-oss is what?'])
    assert.deepEqual(modelAndQuestion([question]), { model: 'abacus', question })
  assert.deepEqual(modelAndQuestion(['What is', '2+2?']), { model: 'abacus', question: 'What is 2+2?' })
  for (const model of [
    'abacus',
    'gpt-oss-20b',
    'GPT2',
    'openai/gpt-oss-20b',
    './nope',
    '/nope/',
    'model.gguf',
    '~/models/x',
    'x/model.safetensors',
  ]) {
    assert.deepEqual(modelAndQuestion([model]), { model, question: undefined })
    assert.deepEqual(modelAndQuestion([model, 'one', 'two']), { model, question: 'one two' })
  }
})

test('piped lines that are questions are turns; --lines and --no-lines decide otherwise', () => {
  assert.deepEqual(pipedQuestions('What is 1 + 1?\nWhat is 2 + 2?\n'), ['What is 1 + 1?', 'What is 2 + 2?'])
  assert.deepEqual(pipedQuestions('Was?\r\n\r\n何ですか？ \n'), ['Was?', '何ですか？ '])
  for (const whole of ['What is 1 + 1?', 'diff --git a b\n+is this it?\n', 'Read this.\nWhat is it?', ''])
    assert.deepEqual(pipedQuestions(whole), [whole])
  assert.deepEqual(pipedQuestions('a\n\nb\n', true), ['a', 'b'])
  assert.deepEqual(pipedQuestions('a?\nb?', false), ['a?\nb?'])
})

test('near matches: what begins so comes first, then what differs least', () => {
  assert.deepEqual(nearestNames('gpt-oss', 2), ['gpt-oss-20b', 'gpt-oss-120b'])
  assert.match(nearestNames('qwen3', 1)[0]!, /^Qwen3-/)
  assert.deepEqual(nearestNames('openai/gpt-oss-20', 1), ['gpt-oss-20b'])
  assert.deepEqual(closestNames('temprature', ['topK', 'temperature', 'seed'], 1), ['temperature'])
  assert.deepEqual([editDistance('', 'abc'), editDistance('kitten', 'sitting'), editDistance('same', 'same')], [3, 3, 0])
})

test('options that name files, sizes, ports and threads say what is wrong with them', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lineage-words-'))
  const schema = join(directory, 'schema.json')
  writeFileSync(schema, '{')
  try {
    const cases: [args: string[], message: RegExp][] = [
      [['train', 'nope'], /unknown step "nope".*closest: /],
      [['train', 'gpt2', '--data', directory], /^lineage: --data .*: expected a file, this is a directory$/],
      [['train', 'gpt2', '--data', '/nope.txt'], /^lineage: --data \/nope\.txt: there is no such file$/],
      [['chat', '--schema', directory, '-p', 'hi'], /^lineage: --schema .*: expected a file, this is a directory$/],
      [['chat', '--grammar', '/nope', '-p', 'hi'], /^lineage: --grammar \/nope: there is no such file$/],
      [['chat', '--schema', schema, '-p', 'hi'], /is not JSON/],
      [['chat', '--tools', '/nope.ts', '-p', 'hi'], /^lineage: --tools \/nope\.ts: there is no such file/],
      [['serve', '--api-key-file', directory], /^lineage: --api-key-file .*: expected a file, this is a directory$/],
      [['serve', '--port', '99999'], /Expected a port from 0 to 65535/],
      [['serve', '--metrics-port', 'x'], /Expected a port from 0 to 65535/],
      [['serve', '--memory', '16'], /Expected a size with its unit/],
      [['inspect', 'gpt-oss-20b', '--memory', '16'], /Expected a size with its unit/],
      [['inspect', './nope'], /^lineage: \.\/nope: no such file or directory/],
      [['inspect', 'gpt-oss'], /closest: gpt-oss-20b, gpt-oss-120b/],
      [['pull', 'nope'], /^lineage: unknown model "nope"; closest: /],
      [['serve', '--context', '4096', '--port', '0'], /^lineage: --context 4096: the longest context of abacus is 1024$/],
      [['serve', 'nope'], /^lineage: unknown model "nope"; closest: /],
    ]
    for (const [args, message] of cases) {
      const { code, err: stderr } = lineage(args)
      assert.ok(code === 1 || code === 2, `${args.join(' ')}: ${code}`)
      assert.match(stderr.trim(), message, args.join(' '))
    }
    const long = lineage(['inspect', 'gpt-oss-20b', '--context', '200k'])
    assert.match(long.err, /204,800: the longest context of gpt-oss-20b is 131,072/)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('many threads are as many as there are cores', () => {
  const { code, out: stdout, err: stderr } = lineage(['chat', '-q', '--threads', '999', '-p', 'What is 12 + 30?'])
  assert.deepEqual([code, stdout], [0, '42\n'])
  assert.match(stderr, new RegExp(`so ${availableParallelism()} threads are used`))
})

test('the first lines of a conversation name models by names that are known, with the sizes of their weights', () => {
  const named = [...ABOUT_DEFAULT.matchAll(/(\S+) \(([\d.]+) GB\)/g)].map(([, name, size]) => [name!, Number(size)] as const)
  assert.equal(named.length, 3)
  for (const [name, gigabytes] of named) {
    const preset = findPreset(name.replace('-Instruct', ''))
    assert.ok(preset, name)
    const architecture = configFromJson(preset.config, name)
    const { published } = account(architecture, { context: 1 }).weightBytes
    // The published file of Qwen3-0.6B repeats the embedding as the head.
    const repeated = name === 'Qwen3-0.6B' ? 2 * architecture.vocabSize * architecture.hiddenSize : 0
    assert.ok(Math.abs((published + repeated) / 1e9 / gigabytes - 1) < 0.02, `${name}: ${published + repeated}`)
  }
  assert.match(ABOUT_DEFAULT, /only calculates/)
})

test('questions of a file: null and a missing answer differ, and errors name the line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lineage-questions-'))
  const read = (...lines: string[]) => {
    writeFileSync(join(folder, 'q.jsonl'), lines.join('\n'))
    return readQuestions(join(folder, 'q.jsonl'))
  }
  const first = '{"question": "What is 1 + 1?", "answer": 2}'
  assert.deepEqual(read(first, '', '{"question": "Who are you?", "answer": null}'), [
    { question: 'What is 1 + 1?', expected: '2' },
    { question: 'Who are you?', expected: null },
  ])
  assert.throws(() => read(first, '', '{"question": "Who are you?"}'), /q\.jsonl:3: answer: missing; expected the answer, or null/)
  assert.throws(() => read(first, '', '{"question"'), /--questions \S*q\.jsonl:3: expected one JSON object per line/)
  rmSync(folder, { recursive: true })
})
