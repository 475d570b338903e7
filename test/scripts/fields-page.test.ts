/** docs/fields.md is what the code says today, and the server does what it says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fieldsPage } from '../../scripts/fields-page.ts'
import { root } from '../../scripts/sources.ts'
import { HARMLESS, REFUSED } from '../../src/server/schemas/fields.ts'

test('docs/fields.md is up to date', () => {
  const page = fieldsPage()
  assert.doesNotMatch(page, /undefined|NaN|\[object/)
  for (const field of [...Object.keys(REFUSED), ...HARMLESS]) assert.ok(page.includes(`\`${field}\``), field)
  assert.equal(readFileSync(join(root, 'docs/fields.md'), 'utf8'), page, 'run: node scripts/fields-page.ts')
})
