/** package.json, README, CHANGELOG and the sources agree about the package's name, version and exports. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/sources.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const manifest = JSON.parse(read('package.json'))

test('every export is built from a source file', () => {
  assert.equal(manifest.exports['./package.json'], './package.json')
  const targets = Object.values<string | { types: string; default: string }>(manifest.exports).filter((each) => typeof each === 'object')
  assert.ok(targets.length >= 3)
  for (const target of targets) {
    const source = target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts')
    assert.ok(existsSync(join(root, source)), source)
    assert.equal(target.types, target.default.replace(/\.js$/, '.d.ts'))
  }
})

test('one version everywhere', () => {
  const lock = JSON.parse(read('package-lock.json'))
  assert.deepEqual([lock.name, lock.version], [manifest.name, manifest.version])
  assert.deepEqual([lock.packages[''].name, lock.packages[''].version], [manifest.name, manifest.version])
  assert.equal(/^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1], manifest.version)
  assert.equal(/options\.version \?\? '([^']+)'/.exec(read('src/server/http/app.ts'))?.[1], manifest.version)
})

test('pages import the package by its name', () => {
  const pages = ['README.md', 'docs/server.md', 'docs/structured-output.md'].map(read).join('\n')
  assert.match(pages, new RegExp(`npm install (-g )?${manifest.name}`))
  assert.match(pages, new RegExp(`from '${manifest.name}'`))
  assert.doesNotMatch(pages, /from 'lineage['/]|`lineage\/(ai|server)`/)
})

test('the workflow runs the two commands with the oldest and the newest supported Node.js', () => {
  const workflow = read('.github/workflows/check.yml')
  for (const command of ['npm ci', 'npm run check', 'npm test']) assert.match(workflow, new RegExp(`- run: ${command}$`, 'm'))
  assert.match(workflow, /os: \[ubuntu-latest, macos-latest, windows-latest\]/)
  const newest = /\d+/.exec(manifest.devDependencies.node)![0]
  assert.equal(/node: \[(.*)\]/.exec(workflow)![1], `${manifest.engines.node.replace('>=', '')}, ${newest}`)
})
