/** The public API, by the README's own example: it must compile and do what it says. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ChatError, load, type Model, ModelIdError } from '../src/index.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

describe("the README's example", () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lineage-readme-'))
    const readme = await readFile(join(root, 'README.md'), 'utf8')
    const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!
    assert.match(example, /from 'lineage-llm'/)
    await writeFile(
      join(folder, 'example.ts'),
      example.replace("'lineage-llm'", JSON.stringify(relative(folder, join(root, 'src/index.ts')))),
    )
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const compilerOptions = { rootDir: '/', typeRoots: [join(root, 'node_modules/@types')] }
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, include: ['example.ts'] }),
    )
  })
  after(() => rm(folder, { recursive: true }))

  test('compiles', async () => {
    await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--noEmit', '-p', folder])
  })
  test('answers', async () => {
    const { stdout } = await run(process.execPath, [join(folder, 'example.ts')])
    assert.match(stdout, /\b132\b/)
  })
})

describe('load', () => {
  let model: Model
  before(async () => {
    model = await load('abacus')
  })
  after(() => model.dispose())

  test('a session keeps its history and reuses its cache', async () => {
    const session = model.session({ thinking: 'low', sampling: { temperature: 0 } })
    const finishes = []
    for (const question of ['What is 2 + 3?', 'What is 4 + 4?']) {
      for await (const event of session.send(question)) if (event.type === 'finish') finishes.push(event)
    }
    assert.deepEqual(
      session.messages.map(({ role }) => role),
      ['user', 'assistant', 'user', 'assistant'],
    )
    assert.deepEqual(
      finishes.map(({ reason }) => reason),
      ['stop', 'stop'],
    )
    assert.ok(finishes[1]!.usage.cachedTokens > 0)
  })
  test('plain text goes on', async () => {
    const undecided = await model.generate('1+1=', { maxTokens: undefined, sampling: { temperature: 0 } }).result
    assert.ok(undecided.ids.length <= 256)
    const generation = model.generate('1+1=', { maxTokens: 5, sampling: { temperature: 0 } })
    let text = ''
    for await (const part of generation) text += part
    const { ids, reason } = await generation.result
    assert.ok(ids.length > 0 && ['length', 'stop'].includes(reason))
    assert.equal(text, model.tokenizer.decode(ids, { skipSpecials: true }))
  })
  test('a model that is not there is named, with what to do', async () => {
    await assert.rejects(load('nobody/nothing', { pull: false }), /nobody\/nothing is not on this machine.*lineage pull nobody\/nothing/)
    await assert.rejects(load('./no/such/folder'), /no\/such\/folder/)
    await assert.rejects(load('abaccus'), (error) => error instanceof ModelIdError && /closest: abacus/.test(error.message))
    const wrong = model.chat([{ role: 'user', content: 'x' }], { schema: { type: 'nothing' } })
    await assert.rejects(wrong.next(), (error) => error instanceof ChatError)
  })
  test('loading can be cancelled', async () => {
    await assert.rejects(load('abacus', { signal: AbortSignal.abort(new Error('changed my mind')) }), /changed my mind/)
  })
})
