/** docs/walk.md is what the code says today. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/sources.ts'
import { walkPage } from '../../scripts/walk-page.ts'

test('the walk with real values is up to date', {
  skip: !existsSync(join(root, 'models/abacus')) && 'the embedded model is not there',
}, async () => {
  const page = await walkPage()
  assert.match(page, /^## 10\. Read back$/m)
  assert.doesNotMatch(page, /undefined|NaN|\[object/)
  assert.equal(readFileSync(join(root, 'docs/walk.md'), 'utf8'), page, 'run: node scripts/walk-page.ts')
})
