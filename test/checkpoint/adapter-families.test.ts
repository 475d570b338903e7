/** A LoRA adapter finds the projections of every family by their published names, fused ones by their rows. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tensorNames } from '../../src/architecture/tensor-names.ts'
import { openAdapter } from '../../src/checkpoint/adapter.ts'
import { readArchitecture } from '../../src/checkpoint/load.ts'
import { publishedParts } from '../../src/checkpoint/published.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { leaves, weightSpecs } from '../../src/model/weights.ts'
import { writeAdapter } from './write-adapter.ts'

const fixtures = fileURLToPath(new URL('../fixtures/checkpoints/', import.meta.url))
const temporary = mkdtempSync(join(tmpdir(), 'lineage-adapters-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

for (const name of readdirSync(fixtures)) {
  test(name, async () => {
    const architecture = await readArchitecture(await fileFolder(join(fixtures, name)))
    const names = tensorNames(architecture)
    const modules: Record<string, [number, number]> = {}
    const expected: string[] = []
    for (const spec of leaves(weightSpecs(architecture))) {
      if (spec.use !== 'matrix' || !spec.name.startsWith('layers.1.') || spec.name.endsWith('router')) continue
      const [part] = publishedParts(names.recipes(spec.name)[0]!, spec.shape)
      const [rows, columns] = architecture.modelType === 'gpt2' ? [part!.shape[1]!, part!.shape[0]!] : [part!.shape[0]!, part!.shape[1]!]
      modules[part!.name.replace(/\.weight$/, '')] = [columns, rows]
      expected.push(spec.name)
    }
    const directory = await writeAdapter(join(temporary, name), modules, architecture.modelType === 'gpt2' ? { fan_in_fan_out: true } : {})
    const plan = await openAdapter(await fileFolder(directory), architecture)
    assert.deepEqual([...plan.lowRank.keys()].sort(), expected.sort())
    for (const { spec, rank, read } of plan.lowRank.values()) {
      const { a, b } = await read()
      const [O, I, heads = 1] = spec.shape
        .toReversed()
        .slice(0, 2)
        .toReversed()
        .concat(spec.shape.length > 2 ? spec.shape[0]! : []) as [number, number, number?]
      assert.deepEqual([a.length, b.length], [heads * rank * I, heads * O * rank], spec.name)
    }
    await plan.close()
  })
}
