/** docs/claims.md is what the checks say today. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimsPage } from '../../scripts/claims-page.ts'
import { root } from '../../scripts/sources.ts'

test('the page of claims is up to date', async () => {
  const page = await claimsPage()
  assert.doesNotMatch(page, /✗|undefined|NaN|\[object/)
  assert.equal(readFileSync(join(root, 'docs/claims.md'), 'utf8'), page, 'run: node scripts/claims-page.ts')
})
