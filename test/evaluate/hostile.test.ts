/** Descriptions and data that nobody can trust: every mistake is one line that names file, line and field, and nothing was asked before it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { loadTask, readData } from '../../src/evaluate/data-node.ts'
import { evaluate } from '../../src/evaluate/evaluate.ts'
import { type DataFile, readRecords } from '../../src/evaluate/records.ts'
import { readTask } from '../../src/evaluate/task.ts'
import { BUILT_IN } from '../../src/evaluate/tasks.ts'
import { lines, scripted, taskOf } from './subjects.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-hostile-'))
after(() => rmSync(directory, { recursive: true }))

const choices = { kind: 'choices', prompt: '{{ q }}', choices: 'c', answer: 'a' }
const generate = { kind: 'generate', prompt: '{{ q }}', answer: 'a' }

test('descriptions', () => {
  const rows: [unknown, RegExp][] = [
    [null, /task\.json: \(whole file\): expected a JSON object, got null/],
    [[], /expected a JSON object, got an array of 0/],
    [{ name: 'x' }, /kind: missing/],
    [{ name: 'x', kind: 'quiz' }, /kind: expected "choices" or .*, got "quiz"/],
    [{ ...choices }, /name: missing/],
    [{ name: 'x', ...choices, answr: 'a' }, /answr: a task of the kind "choices" has no such field; it has name, kind/],
    [{ name: 'x', ...choices, stop: ['.'] }, /stop: a task of the kind "choices" has no such field/],
    [{ name: 'x', ...choices, prompt: 3 }, /prompt: expected a string, got 3/],
    [{ name: 'x', ...choices, prompt: '{{ q ' }, /task\.json: prompt: "\{\{ q " is no jinja/],
    [{ name: 'x', ...choices, choices: 'c |' }, /choices: .* is no jinja/],
    [{ name: 'x', ...choices, choices: ['{{ a }}', 3] }, /choices: expected a string or an array of strings/],
    [{ name: 'x', ...choices, data: [1] }, /data: expected a string or an array of strings/],
    [{ name: 'x', ...choices, shots: { count: 0 } }, /shots\.count: expected a positive integer up to 1000, got 0/],
    [{ name: 'x', ...choices, shots: { count: 1e9 } }, /shots\.count: expected a positive integer/],
    [{ name: 'x', kind: 'rolling', rule: 'other' }, /rule: expected "harness" or "strided"/],
    [{ name: 'x', kind: 'rolling', stride: 4 }, /stride: belongs to the rule "strided"/],
    [{ name: 'x', kind: 'rolling', length: 4, overlap: 5 }, /length: is shorter than overlap/],
    [{ name: 'x', ...generate, extract: 'box' }, /extract: expected text, boxed, .*, got "box"/],
    [{ name: 'x', ...generate, extract: [{ regex: '(' }] }, /extract\[0\]\.regex: "\(" is no regular expression/],
    [{ name: 'x', ...generate, extract: [] }, /extract: expected at least one way/],
    [{ name: 'x', ...generate, compare: 'sound' }, /compare: expected "number" or "text"/],
    [{ name: 'x', ...generate, repeats: 1e6 }, /repeats: expected a positive integer up to 10000/],
    [{ name: 'x', ...generate, temperature: -1 }, /temperature: expected a number of at least 0/],
    [{ name: 'x', kind: 'generate', prompt: '' }, /answer: missing/],
    [{ name: 'x', ...generate, options: 'o' }, /answer: is the letter of the right one of "options"/],
    [{ name: 'x', ...generate, messages: 'm' }, /messages: stands in place of "prompt"/],
    [{ name: 'x', ...generate, as: 'completion', system: 's' }, /as: a completion has a prompt/],
    [{ name: 'x', kind: 'rubric', messages: 'm' }, /rubrics: missing/],
  ]
  for (const [description, expected] of rows) {
    assert.throws(
      () => readTask(description, 'task.json'),
      (error: Error) => expected.test(error.message) && !error.message.includes('\n'),
      JSON.stringify(description),
    )
  }
})

test('records', async () => {
  const rows: [object, DataFile, RegExp][] = [
    [choices, { name: 'a.jsonl', text: '' }, /a\.jsonl: expected at least one record, found none/],
    [choices, { name: 'a.jsonl', text: '{"q": 1}\n{"q"' }, /a\.jsonl:2: expected JSON/],
    [choices, { name: 'a.jsonl', text: '\n[1]' }, /a\.jsonl:2: expected a JSON object, got an array of 1/],
    [choices, { name: 'a.json', text: '{"q": 1}' }, /a\.json: expected a JSON array of objects, got an object/],
    [choices, { name: 'a.xml', text: '<a/>' }, /a\.xml: expected a file that ends in \.jsonl/],
    [choices, { name: 'noextension', text: '' }, /noextension: expected a file that ends in/],
    [choices, { name: 'a.csv', text: 'q,a\n1,2,3' }, /a\.csv:2: expected 2 cells \(q, a\), found 3/],
    [choices, { name: 'a.csv', text: 'q,a\n"1,2' }, /a\.csv:2: a quoted cell has no end/],
    [choices, { name: 'a.csv', text: 'q,q\n1,2' }, /a\.csv: expected different names of columns, found "q" twice/],
    [choices, lines([{ q: 'x', c: ['1', '2'] }]), /data\.jsonl:1: the task\.json: answer of the task cannot be made: .*/],
    [choices, lines([{ c: ['1', '2'], a: 0 }]), /data\.jsonl:1: the task\.json: prompt of the task cannot be made: 'q' is undefined/],
    [choices, lines([{ q: 'x', c: ['1', '2'], a: 2 }]), /expected the answer to be an index from 0 to 1 or one of the choices, got 2/],
    [choices, lines([{ q: 'x', c: ['1', '2'], a: -1 }]), /expected the answer to be an index from 0 to 1/],
    [choices, lines([{ q: 'x', c: ['1', '2'], a: 0.5 }]), /expected the answer to be an index from 0 to 1/],
    [choices, lines([{ q: 'x', c: ['1', '2'], a: 'three' }]), /one of the choices, got "three"/],
    [choices, lines([{ q: 'x', c: ['1'], a: 0 }]), /expected at least two choices, got 1/],
    [choices, lines([{ q: 'x', c: ['1', ''], a: 0 }]), /choice 1 is empty/],
    [choices, lines([{ q: 'x', c: 'text', a: 0 }]), /the choices of the task: expected a list of texts, got "text"/],
    [choices, lines([{ q: 'x', c: [{}, {}], a: 0 }]), /expected a list of texts/],
    [
      { ...choices, id: '{{ q }}' },
      lines([
        { q: 'x', c: ['1', '2'], a: 0 },
        { q: 'x', c: ['1', '2'], a: 0 },
      ]),
      /:2: expected different ids, got "x" twice/,
    ],
    [{ ...choices, where: 'q' }, lines([{ q: 'x', c: ['1', '2'], a: 0 }]), /expected "where" to be true or false, got "x"/],
    [{ ...choices, where: 'false' }, lines([{ q: 'x', c: ['1', '2'], a: 0 }]), /expected records for which "where" is true, found none/],
    [{ ...choices, shots: { count: 2 } }, lines([{ q: 'x', c: ['1', '2'], a: 0 }]), /expected a file of solved examples for 2 shots/],
    [{ kind: 'last-word', prompt: '', target: '{{ w }}' }, lines([{ w: ' ' }]), /the target of the task is empty/],
    [{ ...generate, options: 'o', answer: undefined }, lines([{ q: 'x', o: ['one'] }]), /expected 2 to 26 options, got 1/],
    [
      { kind: 'generate', messages: 'm', answer: '1' },
      lines([{ m: [] }]),
      /the messages of the task: expected a list of messages, got an array of 0/,
    ],
    [
      { kind: 'generate', messages: 'm', answer: '1' },
      lines([{ m: [{ role: 'tool', content: '' }] }]),
      /messages of the task\[0\]: expected/,
    ],
    [
      { kind: 'rubric', messages: 'm', rubrics: 'r' },
      lines([{ m: [{ role: 'user', content: 'x' }], r: [] }]),
      /expected a list of rubrics/,
    ],
    [
      { kind: 'rubric', messages: 'm', rubrics: 'r' },
      lines([{ m: [{ role: 'user', content: 'x' }], r: [{ criterion: 'c' }] }]),
      /rubric 0: expected/,
    ],
    [
      { kind: 'rubric', messages: 'm', rubrics: 'r' },
      lines([{ m: [{ role: 'user', content: 'x' }], r: [{ criterion: 'c', points: -1 }] }]),
      /expected a rubric with positive points/,
    ],
    [
      { ...generate, prompt: '{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}' },
      lines([{ a: 1 }]),
      /needs more steps|longer than allowed/,
    ],
  ]
  for (const [description, data, expected] of rows) {
    const subject = scripted(() => assert.fail('nothing should be asked'))
    await assert.rejects(
      async () => evaluate(taskOf(description), subject, { data: [data] }),
      (error: Error) => {
        assert.match(error.message, expected)
        return !error.message.includes('\n')
      },
    )
  }
})

test('tables: quotes, newlines and separators in cells; names of columns from the task', () => {
  const quoted = readRecords({ name: 'a.csv', text: '\ufeffq,a\r\n"say ""hi"", twice\n",1\r\n\r\nplain, 2\n' })
  assert.deepEqual(
    quoted.map(({ place, fields }) => [place, fields]),
    [
      ['a.csv:2', { q: 'say "hi", twice\n', a: '1' }],
      ['a.csv:5', { q: 'plain', a: ' 2' }],
    ],
  )
  assert.deepEqual(readRecords({ name: 'a.tsv', text: 'x\ty,z' }, ['q', 'a'])[0]!.fields, { q: 'x', a: 'y,z' })
})

test('files: compressed, damaged, in another encoding, missing', async () => {
  const at = (name: string, content: string | Uint8Array) => {
    const path = join(directory, name)
    writeFileSync(path, content)
    return path
  }
  assert.deepEqual(await readData(at('a.jsonl.gz', gzipSync('{"q":1}'))), { name: join(directory, 'a.jsonl'), text: '{"q":1}' })
  await assert.rejects(readData(at('b.jsonl.gz', 'not gzip')), /b\.jsonl\.gz: cannot be decompressed/)
  await assert.rejects(readData(at('c.jsonl', Uint8Array.of(0xff, 0xfe, 0))), /c\.jsonl: expected text in UTF-8/)
  await assert.rejects(readData(at('d.parquet', 'PAR1')), /d\.parquet: .*hyparquet/)
  await assert.rejects(
    loadTask(join(directory, 'missing.json')),
    /missing\.json: no such file, and no ready-made task; these are hellaswag, /,
  )
  await assert.rejects(loadTask(at('e.json', '{')), /e\.json: expected the description of a task in JSON/)
  for (const name of ['constructor', '__proto__']) await assert.rejects(loadTask(name), /no ready-made task/)
  const task = await loadTask(
    at('f.json', JSON.stringify({ name: 'f', ...choices, data: 'f.jsonl', shots: { count: 1, data: '../g.jsonl' } })),
  )
  assert.deepEqual(task.data, [join(directory, 'f.jsonl')])
  assert.ok('shots' in task && task.shots!.data[0] === join(directory, '..', 'g.jsonl'))
})

test('every ready-made task can be read', async () => {
  for (const name of Object.keys(BUILT_IN)) assert.equal((await loadTask(name)).name, name)
})
