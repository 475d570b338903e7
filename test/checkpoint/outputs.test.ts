/** Outputs of commands: nothing is replaced that the command did not make, except with --force; leftovers of killed runs go. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import os, { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { claimDirectory, madeBy } from '../../src/checkpoint/output-node.ts'
import { QuantizeError, quantizeModel } from '../../src/checkpoint/quantize-node.ts'
import { synthesizeCheckpoint } from '../../src/checkpoint/synth-node.ts'
import { claimFile, OutputExistsError, OWN_SVG, writeOutput } from '../../src/files/output-node.ts'
import { sweepTemporary } from '../../src/files/write-node.ts'
import { fnv1a } from '../../src/random/hash.ts'
import { claimRun } from '../../src/train/run-directory-node.ts'
import { lineage } from '../cli/run.ts'
import { loadCheckpoint } from './load-directory.ts'
import { memorySink } from './memory-sink.ts'
import { fixtures } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-outputs-'))
after(() => rmSync(temporary, { recursive: true, force: true }))
let count = 0
const place = () => join(temporary, `out-${count++}`)

/** Every file below a directory with its content. */
function contents(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return new Map(
    files.map(({ parentPath, name }) => [join(parentPath, name).slice(directory.length), readFileSync(join(parentPath, name), 'latin1')]),
  )
}

/** A directory that another program made. */
function foreign(files: Record<string, string>): string {
  const path = place()
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}
function copyOf(fixture: string): string {
  const path = place()
  cpSync(join(fixtures, fixture), path, { recursive: true })
  writeFileSync(join(path, 'tokenizer.json'), '{"a": 1}')
  return path
}

async function refusedUnchanged(path: string, run: () => Promise<unknown>): Promise<void> {
  const before = contents(path)
  await assert.rejects(run(), (error: Error) => {
    assert.ok(error instanceof OutputExistsError, `${error.name}: ${error.message}`)
    assert.match(error.message, /Nothing was changed.*--force/)
    return true
  })
  assert.deepEqual(contents(path), before)
}

const mixtral = join(fixtures, 'tiny-mixtral')
const quantize = (out: string, force?: boolean) => quantizeModel(mixtral, out, { threads: 1, force })
const { architecture: tiny } = await loadCheckpoint(join(fixtures, 'tiny-qwen3'), memorySink())
const synth = (out: string, force?: boolean, seed = 1) => synthesizeCheckpoint(tiny, out, { threads: 1, force, seed })

describe('directories of models', () => {
  const others: [string, () => string][] = [
    ['another model', () => copyOf('tiny-llama')],
    ['a model in shards', () => copyOf('tiny-qwen3-moe')],
    ['a config.json alone', () => foreign({ 'config.json': '{}' })],
    ['weights alone', () => foreign({ 'model.safetensors': 'x' })],
    ['a shard of another name', () => foreign({ 'part-1.safetensors': 'x' })],
    ['an index alone', () => foreign({ 'model.safetensors.index.json': '{}' })],
    ['published sampling alone', () => foreign({ 'generation_config.json': '{}' })],
    ['an adapter', () => foreign({ 'adapter_model.safetensors': 'x', 'adapter_config.json': '{}' })],
  ]
  for (const [command, run] of [
    ['quantize', quantize],
    ['synth', synth],
  ] as const)
    for (const [name, make] of others)
      test(`${command} refuses ${name}, and replaces it with force`, async () => {
        const path = make()
        writeFileSync(join(path, 'notes.txt'), 'mine')
        await refusedUnchanged(path, () => run(path))
        await run(path, true)
        const fresh = place()
        await run(fresh)
        for (const [file, content] of contents(fresh)) assert.equal(contents(path).get(file), content, file)
        assert.equal(readFileSync(join(path, 'notes.txt'), 'utf8'), 'mine')
        assert.ok(!existsSync(join(path, 'tokenizer.json')), 'no tokenizer of the other model stays')
        await loadCheckpoint(path, memorySink())
      })

  test('a run replaces what the same command wrote, and nothing of another command', async () => {
    const path = place()
    await quantize(path)
    const first = contents(path)
    await quantize(path)
    assert.deepEqual(contents(path), first)
    await refusedUnchanged(path, () => synth(path))
    const synthetic = place()
    await synth(synthetic)
    assert.equal((await synth(synthetic)).writtenBytes, 0)
    await refusedUnchanged(synthetic, () => quantize(synthetic))
    const other = place()
    await synth(other, false, 2)
    await synth(synthetic, false, 2)
    assert.deepEqual(contents(synthetic), contents(other), 'another seed gives the files of that seed')
  })

  test('stale shards and indexes of an earlier run go', async () => {
    const path = place()
    await quantizeModel(mixtral, path, { threads: 1, shardBytes: 150_000 })
    assert.ok(existsSync(join(path, 'model.safetensors.index.json')))
    await quantize(path)
    assert.deepEqual(readdirSync(path).sort(), ['config.json', 'model.safetensors'])
  })

  test('tokenizer files that the user put there for synth stay; for quantize they are another model', async () => {
    const path = foreign({ 'tokenizer.json': '{"mine": 1}' })
    await synth(path)
    assert.equal(readFileSync(join(path, 'tokenizer.json'), 'utf8'), '{"mine": 1}')
    const texts = foreign({ 'tokenizer.json': '{"mine": 1}' })
    await refusedUnchanged(texts, () => quantize(texts))
  })

  test('the model itself by another path, and a file as the place', async () => {
    const model = copyOf('tiny-mixtral')
    const link = place()
    symlinkSync(model, link)
    for (const out of [model, link, join(model, '.'), join(model, '../', model.split('/').at(-1)!)])
      await assert.rejects(quantizeModel(model, out, { force: true }), QuantizeError)
    assert.ok(existsSync(join(model, 'model.safetensors')))
    const file = place()
    writeFileSync(file, 'x')
    await assert.rejects(quantize(file), /expected a directory or nothing, found a file/)
  })

  test('by name: a sign that only some weight files have is not enough', async () => {
    const path = place()
    await quantize(path)
    cpSync(join(fixtures, 'tiny-llama/model.safetensors'), join(path, 'extra.safetensors'))
    await refusedUnchanged(path, () => claimDirectory(path, madeBy('lineage quantize')))
  })
})

describe('leftovers of killed runs', () => {
  const host = (fnv1a(hostname()) >>> 0).toString(16).padStart(8, '0')
  const gone = spawnSync(process.execPath, ['-e', '0']).pid

  test('temporary files of ended processes go, of running ones and of other machines stay', async () => {
    const stay = [
      `model.safetensors.${process.pid}-${host}.ab12cd.tmp`,
      `model.safetensors.${gone}-01234567.ab12cd.tmp`,
      `config.json.${gone}.ab12cd.tmp`,
      'notes.tmp',
      'a.1.tmp',
    ]
    const old = `old.json.${gone}-01234567.ab12cd.tmp`
    const path = foreign(Object.fromEntries([`model.safetensors.${gone}-${host}.ab12cd.tmp`, old, ...stay].map((name) => [name, 'x'])))
    const past = new Date(Date.now() - 2 * 86_400_000)
    utimesSync(join(path, old), past, past)
    await sweepTemporary(path)
    assert.deepEqual(readdirSync(path).sort(), stay.sort())
  })

  test('files and directories of the user that have similar names stay, however old they are', async () => {
    const names = [
      'checkpoint.100.pt.tmp',
      'results.2024.csv.tmp',
      'a.2023-12.backup.tmp',
      `x.${gone}-${host}.long.tmp`,
      `x.${gone}.ab12cd.tmp`,
      `${gone}-${host}.ab12cd.tmp`,
    ]
    const path = foreign({ ...Object.fromEntries(names.map((name) => [name, 'mine'])), 'photos.2023.raw.tmp/a': 'mine' })
    const past = new Date(Date.now() - 3 * 86_400_000)
    for (const name of readdirSync(path)) utimesSync(join(path, name), past, past)
    await sweepTemporary(path)
    assert.deepEqual(readdirSync(path).sort(), [...names, 'photos.2023.raw.tmp'].sort())
  })

  test('a killed quantize is begun anew and leaves nothing', async () => {
    const path = foreign({ [`model.safetensors.${gone}-${host}.ab12cd.tmp`]: 'x'.repeat(1000) })
    await quantize(path)
    assert.deepEqual(readdirSync(path).sort(), ['config.json', 'model.safetensors'])
  })

  test('parts of a synthesis that is not continued go, parts of other programs stay', async () => {
    const path = foreign({
      'model-00001-of-00009.safetensors.part': 'x',
      'model-00001-of-00009.safetensors.part.pieces': 'x',
      'big.safetensors.part': 'x',
    })
    await synth(path)
    assert.deepEqual(readdirSync(path).sort(), ['big.safetensors.part', 'config.json', 'model.safetensors'])
  })

  for (const machine of [hostname(), 'host'])
    test(`a file is written under a name that the sweep knows, on the machine "${machine}"`, async ({ mock }) => {
      mock.method(os, 'hostname', () => machine)
      syncBuiltinESMExports()
      const url = new URL(`../../src/files/write-node.ts?${machine}`, import.meta.url).href
      const { sweepTemporary, writeAtomically } = (await import(url)) as typeof import('../../src/files/write-node.ts')
      mock.restoreAll()
      syncBuiltinESMExports()
      const path = place()
      let name = ''
      await writeAtomically(join(path, 'x.json'), async () => {
        name = readdirSync(path)[0]!
      })
      assert.match(name, /\.tmp$/)
      writeFileSync(join(path, name.replace(String(process.pid), String(gone))), 'x')
      await sweepTemporary(path)
      assert.deepEqual(readdirSync(path), ['x.json'])
    })
})

describe('single files', () => {
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1" width="1" height="1" role="img" font-family="system-ui, -apple-system"></svg>'
  for (const [name, before, replaced] of [
    ['nothing', undefined, true],
    ['an empty file', '', true],
    ['an own drawing', svg, true],
    ['another drawing', '<svg xmlns="http://www.w3.org/2000/svg"><path/></svg>', false],
    ['text', 'my notes', false],
    ['another kind of file', '\u0000\u0001', false],
  ] as const)
    test(name, async () => {
      const path = place()
      if (before !== undefined) writeFileSync(path, before)
      if (replaced) await writeOutput(path, svg, { own: OWN_SVG })
      else {
        await assert.rejects(writeOutput(path, svg, { own: OWN_SVG }), OutputExistsError)
        assert.equal(readFileSync(path, 'utf8'), before)
        await writeOutput(path, svg, { own: OWN_SVG, force: true })
      }
      assert.equal(readFileSync(path, 'utf8'), svg)
    })

  test('the file behind a link, and a pipe', { skip: process.platform === 'win32' }, async () => {
    const [file, link, pipe] = [place(), place(), place()]
    writeFileSync(file, '')
    symlinkSync(file, link)
    await writeOutput(link, svg)
    assert.ok(lstatSync(link).isSymbolicLink())
    assert.equal(readFileSync(file, 'utf8'), svg)
    assert.equal(spawnSync('mkfifo', [pipe]).status, 0)
    const read = readFile(pipe, 'utf8')
    await writeOutput(pipe, svg)
    assert.equal(await read, svg)
    assert.ok(lstatSync(pipe).isFIFO())
  })

  test('a directory, and a place in a directory that is not there', async () => {
    await assert.rejects(claimFile(temporary, { force: true }), /expected a place for a file, found a directory/)
    await assert.rejects(claimFile(join(temporary, 'none/x.svg')), /there is no directory .*none/)
    assert.ok(!existsSync(join(temporary, 'none')))
  })

  test('compare --svg, eval --json and logits --out on the command line', () => {
    const path = place()
    const compare = (...more: string[]) => lineage(['compare', 'gpt2', 'gpt-oss-20b', '--svg', path, ...more])
    assert.equal(compare().code, 0)
    assert.equal(compare().code, 0, 'its own drawing is replaced')
    writeFileSync(path, 'my notes')
    const refused = compare()
    assert.equal(refused.code, 1)
    assert.match(refused.err, /there is a file that this command did not write.*--force/)
    assert.equal(readFileSync(path, 'utf8'), 'my notes')
    assert.equal(compare('--force').code, 0)
    assert.match(readFileSync(path, 'utf8'), OWN_SVG)
    const logits = (...more: string[]) =>
      lineage(['logits', join(fixtures, 'tiny-llama'), '--ids', '1 2', '--backend', 'reference', '--out', path, ...more])
    assert.equal(logits().code, 1)
    assert.equal(logits('--force').code, 0)
    assert.equal(logits().code, 0, 'its own file is replaced')
  })
})

describe('training runs', () => {
  const state = '{"magic":"lineage-training-state-1","length":1}\n'
  const record = '{"kind":"step","step":0,"loss":4.2}\n'
  const cases: [string, Record<string, string>, boolean][] = [
    ['a foreign log.jsonl', { 'log.jsonl': '{"event": "mine"}\n' }, false],
    ['a log.jsonl that is no JSON', { 'log.jsonl': 'hello' }, false],
    ['a foreign state.bin', { 'state.bin': 'binary' }, false],
    ['a foreign curve.svg', { 'curve.svg': '<svg/>' }, false],
    ['a folder model', { 'model/config.json': '{}' }, false],
    ['a run', { 'state.bin': state, 'log.jsonl': record }, false],
    ['a run that was killed before its first state', { 'log.jsonl': record }, true],
    ['one with a best state', { 'log.jsonl': record, 'state.bin.best': state }, true],
    ['a foreign best state', { 'log.jsonl': record, 'state.bin.best': 'binary' }, false],
    ['an empty log', { 'log.jsonl': '' }, true],
    ['other files', { 'notes.txt': 'mine', 'data.jsonl': 'x' }, true],
  ]
  for (const [name, files, allowed] of cases)
    test(name, async () => {
      const path = foreign(files)
      if (allowed) await claimRun(path, {})
      else await refusedUnchanged(path, () => claimRun(path, {}))
      if (files['state.bin'] === state) await claimRun(path, { resume: true })
      else if (!allowed) await refusedUnchanged(path, () => claimRun(path, { resume: true }))
      writeFileSync(join(path, 'notes.txt'), 'mine')
      await claimRun(path, { force: true })
      assert.deepEqual(
        readdirSync(path).filter((file) => !allowed && file !== 'notes.txt'),
        [],
      )
      assert.equal(readFileSync(join(path, 'notes.txt'), 'utf8'), 'mine')
    })
})
