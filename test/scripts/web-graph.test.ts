/** The bundle of the web export has no `node:` import, and the check would notice one: directly, or three files away. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { unbundled } from '../../scripts/web-graph.ts'

const folder = mkdtempSync(join(tmpdir(), 'lineage-web-graph-'))
after(() => rmSync(folder, { recursive: true }))

test('the web export has a graph that a browser can load', async () => {
  const { found, files } = await unbundled()
  assert.deepEqual(found, [])
  assert.ok(files > 100)
})

test('an import from Node is found wherever it stands', async () => {
  for (const [file, text] of [
    ['a.ts', "export * from './b.ts'"],
    ['b.ts', "export const c = () => import('./c.ts')"],
    ['c.ts', "import { readFileSync } from 'node:fs'\nimport { join } from 'path'\nexport const d = [readFileSync, join]"],
    ['types.ts', "import type { Stats } from 'node:fs'\nexport const size = ({ size }: Stats) => size"],
  ] as const)
    writeFileSync(join(folder, file), text)
  const { found } = await unbundled({ a: 'a.ts' }, folder)
  assert.equal(found.length, 2)
  assert.match(found[0]!, /^c\.ts:1: .*node:fs/)
  assert.match(found[1]!, /^c\.ts:2: .*"path"/)
  assert.deepEqual((await unbundled({ types: 'types.ts' }, folder)).found, [])
})
