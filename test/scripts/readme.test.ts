/** The commands, files and numbers of the README exist and are correct; it stays short. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/sources.ts'
import { STOPS } from '../../scripts/walk.ts'
import { lineage } from '../cli/run.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

test('under 200 lines', () => assert.ok(readme.split('\n').length < 200))

test('every command it names is there, and every command that is there is named', () => {
  const help = lineage(['--help']).out.split('Options:')[0]!
  const known = [...help.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name!)
  const named = [...readme.matchAll(/lineage ([a-z]+)/g)].map(([, name]) => name!)
  for (const name of named) assert.ok(known.includes(name), `README names lineage ${name}`)
  for (const name of known) assert.match(readme, new RegExp(`\`(lineage )?${name}\\b`), `README does not name ${name}`)
})

test('every file it points at is there', () => {
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path]) => path!)
  const paths = [...readme.matchAll(/`((?:src|test|docs|scripts)\/[\w./-]+)`/g)].map(([, path]) => path!)
  assert.ok(links.length + paths.length > 10)
  for (const path of [...links, ...paths]) {
    if (new RegExp(`\`${path}\`[^\n]*does not exist yet`).test(readme)) assert.ok(!existsSync(join(root, path)), `${path} exists by now`)
    else assert.ok(existsSync(join(root, path)), path)
  }
})

test('the stops of the walk are those of scripts/walk.ts, in their order', () => {
  const listed = [...readme.matchAll(/^\| \d+ \| `(src\/[^`]+)`/gm)].map(([, path]) => path!)
  assert.deepEqual(
    listed,
    STOPS.map(({ file }) => file),
  )
})

test('its table of numbers is what the program prints', () => {
  const { out } = lineage(['compare', 'gpt2-xl', 'gpt-oss-20b', 'gpt-oss-120b', 'Qwen3-30B-A3B', '--json', '--context', '1024'])
  const { models } = JSON.parse(out) as { models: { parameters: { total: number; active: number } }[] }
  const row = (values: number[]) => values.map((value) => value.toLocaleString('en-US')).join(' | ')
  assert.ok(readme.includes(`| parameters | ${row(models.map(({ parameters }) => parameters.total))} |`))
  assert.ok(readme.includes(row(models.map(({ parameters }) => parameters.active))))
})

test('its picture is what the program draws', () => {
  const folder = mkdtempSync(join(tmpdir(), 'readme-'))
  try {
    const file = join(folder, 'picture.svg')
    lineage(['compare', 'gpt2-xl', 'gpt-oss-20b', '--svg', file])
    const picture = 'docs/images/gpt2-xl-and-gpt-oss-20b.svg'
    assert.equal(
      readFileSync(join(root, picture), 'utf8'),
      readFileSync(file, 'utf8'),
      `run: lineage compare gpt2-xl gpt-oss-20b --svg ${picture}`,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
})
