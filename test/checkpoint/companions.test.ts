/** What merge and quantize write beside the changed weights: text models of multimodal checkpoints, and the files of tokenizer and templates. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { readArchitecture } from '../../src/checkpoint/load.ts'
import { mergeAdapter } from '../../src/checkpoint/merge-node.ts'
import { publishedTensors } from '../../src/checkpoint/published.ts'
import { copyCompanions, quantizeModel } from '../../src/checkpoint/quantize-node.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { forward } from '../../src/model/transformer.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { loadCheckpoint } from './load-directory.ts'
import { fixtures, rawTensors } from './raw-tensors.ts'
import { writeAdapter } from './write-adapter.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-companions-'))
after(() => rmSync(temporary, { recursive: true, force: true }))
const out = (name: string) => join(temporary, name)

async function logits(directory: string): Promise<Float32Array> {
  const positions = Int32Array.from({ length: 8 }, (_, i) => i)
  const batch = { ids: Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6), slots: new Int32Array(8), positions }
  const backend = createReferenceBackend()
  const { architecture, weights } = await loadCheckpoint(directory, backend)
  return backend.run(() => forward(backend, architecture, weights, batch))
}

/** Largest difference, relative to the largest value. */
const distance = (a: Float32Array, b: Float32Array): number => {
  const most = (values: Float32Array) => values.reduce((so, value) => Math.max(so, Math.abs(value)), 0)
  return most(a.map((value, i) => value - b[i]!)) / most(a)
}

/** The names that a text model with the config.json of a directory publishes. */
const canonicalNames = async (directory: string): Promise<string[]> =>
  publishedTensors(await readArchitecture(await fileFolder(directory))).map(({ name }) => name)

describe('of a multimodal checkpoint the text model is written, under the names of a text model', () => {
  for (const name of ['tiny-gemma3-wrapped', 'tiny-qwen3-vl', 'tiny-mistral3']) {
    const source = join(fixtures, name)
    test(`quantize ${name}`, async () => {
      const directory = out(`${name}-q8_0`)
      const { textOnly, errors } = await quantizeModel(source, directory, { dense: 'q8_0', threads: 1 })
      assert.ok(textOnly && errors.length > 0)
      const written = [...(await rawTensors(directory)).keys()].map((tensor) => tensor.replace(/_q8_0$/, ''))
      assert.deepEqual(written.sort(), (await canonicalNames(directory)).sort())
      const found = distance(await logits(source), await logits(directory))
      // The plain models tiny-mistral, tiny-llama and tiny-qwen3 differ by 0.02 to 0.03.
      assert.ok(found < 0.05, `logits differ by ${found}`)
    })

    test(`merge into ${name}`, async () => {
      const directory = out(`${name}-merged`)
      const before = await rawTensors(source)
      const text = (tensor: string) => tensor.replace(/^language_model\./, '').replace('model.language_model.', 'model.')
      const [O, I] = [...before.values()].find((tensor) => tensor.name.endsWith('layers.1.self_attn.q_proj.weight'))!.shape as [
        number,
        number,
      ]
      const adapter = await writeAdapter(out(`${name}-adapter`), { 'model.layers.1.self_attn.q_proj': [I, O] })
      const { textOnly, changed } = await mergeAdapter(source, adapter, directory)
      assert.deepEqual([textOnly, changed], [true, ['layers.1.attention.q']])
      const after = await rawTensors(directory)
      assert.deepEqual([...after.keys()].sort(), (await canonicalNames(directory)).sort())
      const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'))
      assert.ok(!('text_config' in config || 'vision_config' in config))
      const different = [...before.values()].filter(
        ({ name: tensor, data }) => after.has(text(tensor)) && !after.get(text(tensor))!.data.equals(data),
      )
      assert.deepEqual(
        different.map((tensor) => text(tensor.name)),
        ['model.layers.1.self_attn.q_proj.weight'],
      )
      assert.ok(distance(await logits(source), await logits(directory)) > 0.001)
    })
  }

  test('a text model is no part of another', async () => {
    const { textOnly } = await quantizeModel(join(fixtures, 'tiny-qwen3'), out('plain'), { dense: 'q8_0', threads: 1 })
    assert.equal(textOnly, false)
  })
})

test('tokenizer, sampling and all chat templates are copied, and nothing else', async () => {
  const [from, to] = [out('from'), out('to')]
  const templates = 'additional_chat_templates'
  for (const path of [from, to, join(from, templates), join(from, templates, 'folder')]) mkdirSync(path)
  for (const name of ['tokenizer.json', 'chat_template.jinja', 'generation_config.json', 'README.md', 'model.safetensors'])
    writeFileSync(join(from, name), name)
  for (const name of ['tool_use.jinja', 'rag.jinja', 'notes.txt']) writeFileSync(join(from, templates, name), name)
  await copyCompanions(from, to)
  assert.deepEqual(readdirSync(to).sort(), [templates, 'chat_template.jinja', 'generation_config.json', 'tokenizer.json'])
  assert.deepEqual(readdirSync(join(to, templates)).sort(), ['rag.jinja', 'tool_use.jinja'])
  assert.equal(readFileSync(join(to, templates, 'tool_use.jinja'), 'utf8'), 'tool_use.jinja')
})
