/** docs/steps.md is what the code says today. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/sources.ts'
import { stepsPage } from '../../scripts/steps-page.ts'
import { steps } from '../../src/architecture/steps.ts'

test('docs/steps.md is up to date', () => {
  const page = stepsPage()
  assert.equal([...page.matchAll(/^## \d+\. /gm)].length, steps.length)
  assert.doesNotMatch(page, /undefined|NaN|\[object/)
  assert.equal(readFileSync(join(root, 'docs/steps.md'), 'utf8'), page, 'run: node scripts/steps-page.ts')
})
