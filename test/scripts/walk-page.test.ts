/** docs/walk.md is what the code says today. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/sources.ts'
import { STOPS } from '../../scripts/walk.ts'
import { walkPage } from '../../scripts/walk-page.ts'

test('the walk with real values is up to date', {
  skip: !existsSync(join(root, 'models/abacus')) && 'the embedded model is not there',
}, async () => {
  const page = await walkPage()
  assert.match(page, /^## 10\. Read back$/m)
  assert.equal([...page.matchAll(/^Delegates to /gm)].length, STOPS.filter(({ delegates }) => delegates).length)
  assert.doesNotMatch(page, /undefined|NaN|\[object/)
  // How much code one question runs changes with every change of the code: the page may be a tenth behind.
  const counts =
    /runs functions of ([\d,]+) files of `src\/`, ([\d,]+) lines of them; without loading the model and the kernels ([\d,]+) files and ([\d,]+) lines/
  const committed = readFileSync(join(root, 'docs/walk.md'), 'utf8')
  const [now, then] = [page, committed].map((text) =>
    counts
      .exec(text)!
      .slice(1)
      .map((count) => Number(count.replaceAll(',', ''))),
  )
  for (const [i, count] of now!.entries())
    assert.ok(Math.abs(count - then![i]!) <= count / 10, `${then} in docs/walk.md, ${now} today; run: node scripts/walk-page.ts`)
  assert.equal(committed.replace(counts, ''), page.replace(counts, ''), 'run: node scripts/walk-page.ts')
})
