/** Bytes of packed checkpoints, computed from config.json: those of the files, and for DeepSeek-V3 the number of scales that the hub counts. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findPreset, preset } from '../../src/architecture/presets.ts'
import { openModel } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { account } from '../../src/compare/account.ts'
import { quantizationFromJson } from '../../src/public.ts'

const folder = fileURLToPath(new URL('../fixtures/quantized/', import.meta.url))
for (const name of readdirSync(folder).filter((name) => name.startsWith('tiny-')))
  test(name, async () => {
    const files = await fileFolder(folder + name)
    const { architecture, checkpoint, quantization } = await openModel(files)
    await checkpoint.close()
    const { published } = account(architecture, { context: 8, quantization }).weightBytes
    // Six scales are shared by parts of fused matrices, whose heads are smaller than a block.
    assert.equal(published, checkpoint.tensorBytes + (name === 'tiny-deepseek-v3-fp8' ? 24 : 0))
    if (architecture.layers.some(({ feedForward }) => feedForward.kind === 'moe')) return
    // A token reads all weights of a dense model, but of the embedding its own row.
    const { vocabSize, hiddenSize, tieWordEmbeddings } = architecture
    const embedding = [...checkpoint.tensors.values()].find((tensor) => tensor.name.endsWith('embed_tokens.weight'))!
    assert.deepEqual(embedding.shape, [vocabSize, hiddenSize])
    const row = embedding.byteLength / vocabSize
    const { decodeWeightBytes } = account(architecture, { context: 8, quantization }).work
    assert.equal(decodeWeightBytes, published + row - (tieWordEmbeddings ? 0 : embedding.byteLength))
  })

/** Scales of the hub's count: all published weights less the parameters with copies (README of the repository, 685B). */
const PUBLISHED_SCALES = 684_531_386_000 - 684_489_830_400

test('DeepSeek-V3 is counted in FP8, with as many scales as published', () => {
  const quantization = quantizationFromJson(findPreset('DeepSeek-V3')!.config, 'DeepSeek-V3')
  const model = preset('DeepSeek-V3')!
  // The module that predicts further tokens is one more layer.
  const published = { ...model, layers: [...model.layers, model.layers.at(-1)!] }
  const [packed, plain] = [{ quantization }, {}].map((options) => account(published, { context: 1, ...options }).weightBytes.byDtype)
  const codes = (plain!.bf16! - packed!.bf16!) / 2
  const corrections = 59 * 256
  assert.equal((packed!.fp8! - codes) / 4 + corrections, PUBLISHED_SCALES)
  assert.ok(
    account(model, { context: 1, quantization }).weightBytes.published < 0.51 * account(model, { context: 1 }).weightBytes.published,
  )
  // The chosen experts and all other matrices in layers are read in one byte and a share of a scale, the output matrix in two.
  const [read, inTwo] = [{ quantization }, {}].map((options) => account(model, { context: 1, ...options }).work.decodeWeightBytes)
  const least = (inTwo! + 2 * model.vocabSize * model.hiddenSize) / 2
  assert.ok(read! > least && read! < 1.01 * least, `${read}, at least ${least}`)
  assert.equal(quantizationFromJson(findPreset('Moonlight-16B-A3B')!.config, 'Moonlight'), undefined)
})
