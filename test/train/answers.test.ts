/** `lineage train --reinforce` and `--distill` as commands on the embedded model: they run, log, save, continue, and refuse what makes no sense. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const abacus = fileURLToPath(new URL('../../models/abacus', import.meta.url))
const lineage = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args])
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lineage-answers-'))
  const questions = Array.from({ length: 12 }, (_, i) => ({
    messages: [{ role: 'user', content: `What is ${20 + i} + ${31 + 2 * i}?` }],
    reasoning_effort: 'low',
    answer: 51 + 3 * i,
  }))
  await writeFile(join(folder, 'questions.jsonl'), questions.map((question) => JSON.stringify(question)).join('\n'))
  await writeFile(join(folder, 'unanswered.jsonl'), '{"messages": [], "answer": 1}\n{"messages": []}\n')
  await writeFile(join(folder, 'broken.jsonl'), '{"messages": [], "answer": 1}\n\n{\n')
  const conversations = questions.map(({ messages, answer }) => ({
    messages: [...messages, { role: 'assistant', content: String(answer) }],
  }))
  await writeFile(join(folder, 'conversations.jsonl'), conversations.map((each) => JSON.stringify(each)).join('\n'))
})
after(() => rm(folder, { recursive: true }))

const SMALL = ['--threads', '1', '--inline', '--evaluate-every', '2']
const ANSWERS = ['--prompts', '3', '--answer-tokens', '60']
const records = async (out: string) =>
  (await readFile(join(out, 'log.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('--reinforce: rounds of checked answers, logged; a run that went on is the run at once', async () => {
  const common = ['--reinforce', join(folder, 'questions.jsonl'), ...SMALL, ...ANSWERS, '--group', '4']
  const run = (name: string, ...args: string[]) => lineage('train', '--from', abacus, '--out', join(folder, name), ...common, ...args)
  await run('whole', '--steps', '4', '--rate', '0.0001', '--final-rate', '0.0001')
  const log = await records(join(folder, 'whole'))
  const steps = log.filter(({ kind }) => kind === 'step')
  assert.equal(steps.length, 4)
  for (const { notes } of steps) {
    assert.ok(notes.reward >= 0 && notes.reward <= 1 && notes.answerTokens > 3)
    assert.ok(notes.divergence >= 0)
  }
  assert.equal(steps[0].notes.reward, steps[1].notes.reward, 'two steps on a round')
  const evaluations = log.filter(({ kind }) => kind === 'evaluation')
  assert.deepEqual(
    evaluations.map(({ step }) => step),
    [0, 2, 4],
  )
  assert.equal(evaluations[0].notes.heldOut, 1)
  await run('parts', '--steps', '2', '--rate', '0.0001', '--final-rate', '0.0001')
  await run('parts', '--steps', '4', '--rate', '0.0001', '--final-rate', '0.0001', '--resume')
  const weights = (name: string) => readFile(join(folder, name, 'model', 'model.safetensors'))
  assert.ok((await weights('whole')).equals(await weights('parts')))
})

test('--distill: a teacher that is the student itself has nothing to teach, on texts and on own answers', async () => {
  const data = ['--data', join(folder, 'conversations.jsonl'), '--steps', '1', '--batch', '2']
  for (const [name, ...more] of [['off'], ['on', '--on-policy', ...ANSWERS]] as const) {
    const out = join(folder, name)
    await lineage('train', '--from', abacus, '--distill', abacus, ...data, '--out', out, ...SMALL, ...more)
    const [first] = (await records(out)).filter(({ kind }) => kind === 'step')
    assert.ok(Math.abs(first.loss) < 1e-4, `${name}: ${first.loss}`)
  }
  // Half of the loss is that of the tokens.
  const out = join(folder, 'half')
  await lineage('train', '--from', abacus, '--distill', abacus, ...data, '--distill-share', '0.5', '--out', out, ...SMALL)
  const [first] = (await records(out)).filter(({ kind }) => kind === 'step')
  assert.ok(first.loss > 0.01, String(first.loss))
})

test('what makes no sense is refused before anything is trained', async () => {
  const questions = join(folder, 'questions.jsonl')
  for (const [args, message] of [
    [['gpt2', '--reinforce', questions], /needs --from MODEL/],
    [['--from', abacus, '--reinforce', questions, '--distill', abacus], /neither --data nor --distill/],
    [['--from', abacus, '--data', questions, '--on-policy'], /--on-policy needs --distill/],
    [['--from', abacus, '--reinforce', questions, '--lora', '4'], /--lora is not supported/],
    [['--from', abacus, '--reinforce', join(folder, 'none.jsonl')], /none\.jsonl/],
    [['--from', abacus, '--reinforce', join(folder, 'unanswered.jsonl')], /unanswered\.jsonl:2: answer: missing/],
    [['--from', abacus, '--reinforce', join(folder, 'broken.jsonl')], /broken\.jsonl:3: expected one JSON object per line/],
    [['abacus', '--steps', '5'], /--scale/],
  ] as const)
    await assert.rejects(lineage('train', ...args), message)
})
