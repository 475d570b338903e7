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
