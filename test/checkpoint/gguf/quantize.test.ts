/** `lineage quantize` from one GGUF file to another: the weights are those that the published checkpoint gives, and the metadata stay. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { quantizeGguf } from '../../../src/checkpoint/gguf/quantize-node.ts'
import { quantizeModel } from '../../../src/checkpoint/quantize-node.ts'
import { bytesSource } from '../../../src/checkpoint/source.ts'
import { loadCheckpoint } from '../load-directory.ts'
import { memorySink } from '../memory-sink.ts'
import { fixtures } from '../raw-tensors.ts'

const files = join(import.meta.dirname, '../../fixtures/gguf')
const temporary = mkdtempSync(join(tmpdir(), 'lineage-gguf-pack-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const held = async (path: string) => {
  const sink = memorySink()
  await loadCheckpoint(path, sink)
  return sink.held
}

for (const [name, dense] of [
  ['tiny-llama', 'q4_0'], // the rows of q and k lie in another order in GGUF files
  ['tiny-qwen3', 'mxfp4'],
  ['tiny-smollm3', 'q4_0'],
] as const)
  test(`${name} as ${dense}: the same weights as from safetensors`, async () => {
    const [out, directory] = [join(temporary, `${name}.gguf`), join(temporary, name)]
    const { errors, bytesBefore, bytesAfter } = await quantizeGguf(join(files, `${name}.gguf`), out, { dense })
    await quantizeModel(join(fixtures, name), directory, { dense })
    assert.ok(errors.length > 0 && bytesAfter < bytesBefore / 2 && statSync(out).size > bytesAfter)
    const [ours, published] = [await held(out), await held(directory)]
    let packed = 0
    for (const [weight, { spec, bytes }] of published) {
      const found = ours.get(weight)!
      // This file holds an output matrix beside its equal, the embedding, and only that is packed.
      if (weight === 'embed' && ours.has('unembed')) continue
      if (['q4_0', 'q8_0', 'mxfp4_gguf'].includes(spec.dtype)) {
        assert.equal(found.spec.dtype, spec.dtype, weight)
        assert.deepEqual(found.bytes, bytes, weight)
        packed++
      }
    }
    assert.ok(packed >= 7)
    const header = async (file: string) => (await readGgufHeader(bytesSource(readFileSync(file), file))).metadata
    const [before, now] = [await header(join(files, `${name}.gguf`)), await header(out)]
    assert.equal(now.get('general.file_type'), dense === 'q4_0' ? 2 : 38)
    for (const [key, value] of before) if (key !== 'general.file_type') assert.deepEqual(now.get(key), value, key)
  })

test('experts become MXFP4, routers stay', async () => {
  const out = join(temporary, 'moe.gguf')
  const { errors } = await quantizeGguf(join(files, 'tiny-mixtral.gguf'), out)
  assert.ok(errors.every(({ name }) => /ffn_(gate|up|down)_exps\.weight$/.test(name)) && errors.length > 0)
  for (const [weight, { spec }] of await held(out)) assert.equal(spec.dtype === 'mxfp4_gguf', spec.use === 'experts', weight)
})

test('what cannot be done is said, and nothing is overwritten', async () => {
  const source = join(files, 'tiny-qwen3.gguf')
  const out = join(temporary, 'other.gguf')
  writeFileSync(out, 'GGUF of somebody')
  await assert.rejects(quantizeGguf(source, out, { dense: 'q4_0' }), /there is a file that this command did not write/)
  assert.equal(readFileSync(out, 'utf8'), 'GGUF of somebody')
  await assert.rejects(quantizeGguf(source, join(temporary, 'x'), { dense: 'q4_0' }), /expected a name that ends with \.gguf/)
  await assert.rejects(quantizeGguf(source, source, { dense: 'q4_0', force: true }), /is the model itself/)
  await assert.rejects(quantizeGguf(source, join(temporary, 'y.gguf')), /nothing to pack; give a format of dense matrices/)
  await assert.rejects(quantizeGguf(join(temporary, 'none.gguf'), join(temporary, 'y.gguf')), /no such file/)
})
