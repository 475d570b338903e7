/** `lineage look` as a person runs it: report, JSON, SVG, selections, and what is said of wrong words. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseList } from '../../src/cli/look.ts'
import { report } from '../../src/cli/support/look-report.ts'
import { load, look } from '../../src/index.ts'
import type { Look } from '../../src/inspect/look.ts'
import { speller } from '../../src/tokenizer/prompt.ts'
import { readGolden } from '../model/read-golden.ts'
import { lineage } from './run.ts'

const place = (name: string) => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'lineage-look-'))
after(() => rmSync(directory, { recursive: true }))

test('the report: a line for each layer, and whole layers that are asked for', () => {
  const { code, out, err } = lineage(['look', 'abacus', '2 + 3'])
  assert.equal(code, 0, err)
  assert.match(out, /^abacus: 4 tokens \(wasm\)\n0 "2" {3}1 " \+" {3}2 " " {3}3 "3"\n/)
  assert.match(out, /\n +0 {2}64 +\d+ % +\d+ % +\d\.\d .*\n +1 {2}all /)
  const detailed = lineage(['look', 'abacus', '2 + 3', '--layers', '-1', '--heads', '0,7', '--tokens', '-1'])
  for (const part of [
    /layer 3: 2 key\/value heads, sees all tokens, learned sinks/,
    /\nhead 0\n/,
    /\nhead 7\n/,
    /experts for each token/,
    /what the layer would answer\n3 "3" /,
  ])
    assert.match(detailed.out, part)
  assert.doesNotMatch(detailed.out, /layer 0|1 " \+" {2,}"/)
  const other = lineage(['look', place('tiny-jamba'), '--ids', '1 2 3']).out
  assert.match(other, /\n +0 {2}states .*–.*\n +1 {2}states .*\d \/ 4.*\n +2 {2}all +– /)
})

test('no line of the report is wider than a terminal of 80 columns', () => {
  for (const words of [
    ['abacus', 'What is 47 + 85? '.repeat(8)],
    ['abacus', 'What is 47 + 85?', '--layers', '0-1'],
  ])
    for (const line of lineage(['look', ...words], { env: { COLUMNS: '80' } }).out.split('\n')) assert.ok(line.length <= 80, line)
})

test('--json holds what the library gives; hidden states equal those of transformers', async () => {
  const golden = readGolden(join(place('tiny-gpt-oss'), 'golden.safetensors'))
  const n = golden.hidden.findIndex((layers) => layers.length > 0)
  const ids = [...golden.ids[n]!]
  const { out } = lineage([
    'look',
    place('tiny-gpt-oss'),
    '--ids',
    ids.join(' '),
    '--tokens',
    `0-${ids.length - 1}`,
    '--json',
    '--hidden',
    '--backend',
    'reference',
  ])
  const seen = JSON.parse(out) as Look
  const found = [seen.embedding.hidden!, ...seen.layers.slice(0, -1).map(({ hidden }) => hidden!), seen.normed!] as unknown as number[][]
  golden.hidden[n]!.forEach((values, l) => {
    assert.equal(found[l]!.length, values.length)
    const largest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
    for (const [i, x] of values.entries()) assert.ok(Math.abs(x - found[l]![i]!) < 1e-3 * largest, `hidden.${n}.${l}`)
  })
  for (const { attention } of seen.layers) {
    assert.ok(attention.kind === 'multiHead')
    for (const { shares, sink } of attention.mean) assert.ok(Math.abs([...shares].reduce((a, b) => a + b, sink) - 1) < 1e-4)
  }
  await using model = await load('abacus')
  const library = await look(model, '2 + 3', { layers: [1] })
  assert.deepEqual((await look(model, 'é 4', { lens: false })).texts, ['\ufffd', '\ufffd', ' ', '4'])
  const wide = report({ ...library, texts: ['中文和日本語', '한', '👍'] }, { detailed: true, width: 80 })
  for (const row of ['\n0 "中文和日本… ', '\n1 "한"         ', '\n2 "👍"         ']) assert.ok(wide.includes(row), wide)
  assert.equal(speller(model.tokenizer)(1e6), '\ufffd')
  const command = JSON.parse(lineage(['look', 'abacus', '2 + 3', '--layers', '1', '--json']).out) as Look
  assert.deepEqual(command.ids, library.ids)
  assert.deepEqual(command.texts, ['2', ' +', ' ', '3'])
  assert.equal(command.layers[0]!.lens![2]!.top[0]!.text, library.layers[0]!.lens![2]!.top[0]!.text)
})

test('--svg draws a picture for phones, also of models without attention', () => {
  for (const words of [
    ['abacus', '2 + 3'],
    [place('tiny-mamba'), '--ids', '1 2 3'],
    [place('tiny-jamba'), '--ids', '1 2 3', '--heads', '0'],
  ]) {
    const file = join(directory, 'look.svg')
    assert.equal(lineage(['look', ...words, '--svg', file]).out, `${file}\n`)
    const svg = readFileSync(file, 'utf8')
    assert.match(svg, /^<svg xmlns="[^"]+" viewBox="0 0 360 .*prefers-color-scheme:dark.*<\/svg>\n$/s)
    assert.match(svg, /<title>Inside /)
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
  }
})

test('lists of indices', () => {
  assert.deepEqual(parseList('0,3-5,-1'), [0, 3, 4, 5, -1])
  for (const wrong of ['', 'x', '5-3', '1-', '-', '1..3', '-3-1', '1,,2', '1.5'])
    assert.throws(() => parseList(wrong), /numbers and ranges/, wrong)
})

test('wrong words are named', () => {
  const other = join(directory, 'other.svg')
  writeFileSync(other, 'mine')
  for (const [words, problem] of [
    [['nope', 'hi'], /unknown model "nope"; closest:/],
    [['abacus', 'hi', '--ids', '1'], /either a text or --ids/],
    [['abacus', 'hi', '--layers', '4'], /expected a layer from 0 to 3 or from -4 to -1, got 4/],
    [['abacus', '--ids', '1 1024'], /expected ids below 1024 .*got 1024/],
    [['abacus', 'hi', '--json', '--svg', 'x.svg'], /one of them/],
    [['abacus', 'hi', '--svg', other], /did not write/],
    [['abacus', 'word '.repeat(900)], /expected|at most|longer/],
  ] as const) {
    const { code, err } = lineage(['look', ...words])
    assert.notEqual(code, 0, words.join(' '))
    assert.match(err, problem)
    assert.doesNotMatch(err, /\n./, 'one line')
  }
  assert.equal(readFileSync(other, 'utf8'), 'mine')
})
