/** docs/families.md is what the code says today. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { familiesPage } from '../../scripts/families-page.ts'
import { root } from '../../scripts/sources.ts'
import { modelTypes } from '../../src/architecture/config-json.ts'
import { presetNames } from '../../src/architecture/presets.ts'

test('docs/families.md is up to date, and has every model type and every published size', () => {
  const page = familiesPage()
  assert.doesNotMatch(page, /undefined|NaN|\[object/)
  for (const modelType of modelTypes) assert.ok(page.includes(`\`${modelType}\``), modelType)
  for (const name of presetNames()) assert.ok(page.includes(name), name)
  assert.equal(readFileSync(join(root, 'docs/families.md'), 'utf8'), page, 'run: node scripts/families-page.ts')
})
