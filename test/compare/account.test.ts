/** Counts equal published numbers and the counts of programs that share no code with this one, exactly. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { findPreset, preset } from '../../src/architecture/presets.ts'
import { type Account, account, type Component, cacheBytes, fittingContext } from '../../src/compare/account.ts'

interface Published {
  model: string
  total: number
  active: number
  activeWithEmbeddings: number
  breakdown: Record<string, number>
  publishedBytes?: number
  readPerDecodedToken?: number
  cachePerTokenWithinWindow: number
  cachePerTokenBeyondWindow: number
  cacheAtTokens: Record<string, number>
  cacheAtMaximumWithoutWindow?: number
  stateValues?: number
}
const published = JSON.parse(readFileSync(new URL('../fixtures/published-sizes.json', import.meta.url), 'utf8')) as Published[]

const COMPONENT: Record<string, Component> = {
  embedding: 'embedding',
  position: 'position',
  unembedding: 'unembedding',
  attention: 'attention',
  mamba: 'stateSpace',
  norm: 'norm',
  router: 'router',
  dense_mlp: 'feedForward',
  shared_expert: 'sharedExperts',
  expert_matrix: 'experts',
  expert_bias: 'expertBias',
}

test('the fixture has every family', () => assert.equal(published.length, 78))

for (const row of published) {
  test(`${row.model}: parameters, bytes and cache`, () => {
    const architecture = preset(row.model)
    assert.ok(architecture, 'no preset of that name')
    const facts = account(architecture)
    const { total, active, activeWithEmbeddings, byComponent } = facts.parameters
    assert.deepEqual(
      { total, active, activeWithEmbeddings },
      { total: row.total, active: row.active, activeWithEmbeddings: row.activeWithEmbeddings },
    )
    const counted = Object.fromEntries(Object.entries(byComponent).filter(([, count]) => count > 0))
    assert.deepEqual(counted, Object.fromEntries(Object.entries(row.breakdown).map(([name, count]) => [COMPONENT[name], count])))
    assert.equal(facts.weightBytes.f32, 4 * row.total)
    if (row.publishedBytes !== undefined) {
      const besides = findPreset(row.model)!.alsoStored?.bytes ?? 0
      assert.equal(facts.weightBytes.published + besides, row.publishedBytes)
    }
    if (row.readPerDecodedToken !== undefined) assert.equal(facts.work.decodeWeightBytes, row.readPerDecodedToken)
    assert.equal(facts.kvCache.bytesPerTokenWithinWindow, row.cachePerTokenWithinWindow)
    assert.equal(facts.kvCache.bytesPerTokenBeyondWindow, row.cachePerTokenBeyondWindow)
    for (const [tokens, bytes] of Object.entries(row.cacheAtTokens))
      assert.equal(cacheBytes(architecture, Number(tokens)), bytes, `${tokens} tokens`)
    assert.equal(facts.state.values, row.stateValues ?? 0)
    if (row.cacheAtMaximumWithoutWindow !== undefined) assert.equal(facts.kvCache.bytesWithoutWindows, row.cacheAtMaximumWithoutWindow)
  })
}

describe('numbers that were published in words', () => {
  const of = (name: string, context?: number): Account => account(preset(name)!, { context })

  test('gpt-oss: parameters, active parameters, bytes of the files', () => {
    const { parameters, weightBytes, kvCache } = of('gpt-oss-20b', 131072)
    assert.equal(parameters.total, 20_914_757_184)
    assert.equal(parameters.active, 3_608_307_264)
    assert.equal(weightBytes.published, 13_761_264_768)
    assert.equal((kvCache.bytesWithoutWindows / 2 ** 30).toFixed(3), '6.000')
    assert.equal((kvCache.bytes / 2 ** 30).toFixed(3), '3.003')
    const large = of('gpt-oss-120b')
    assert.equal(large.parameters.total, 116_829_156_672)
    assert.equal(large.parameters.active, 5_132_849_472)
    assert.equal(large.weightBytes.published, 65_248_815_744)
  })

  test('further sizes that are not in the fixture', () => {
    assert.equal(of('Llama-3.2-3B').parameters.total, 3_212_749_824)
    assert.equal(of('Mamba-130M').parameters.total, 129_135_360)
    assert.equal(of('Mamba-2.8B').parameters.total, 2_768_345_600)
    assert.equal(of('Mistral-7B-v0.3').parameters.total, 7_248_023_552)
    assert.equal(of('Qwen3-Coder-30B-A3B').parameters.total, 30_532_122_624)
  })

  test('shares of the experts', () => {
    const share = (name: string) => (100 * of(name).parameters.expertShare).toFixed(2)
    assert.deepEqual(
      ['gpt-oss-20b', 'gpt-oss-120b', 'Qwen3-30B-A3B', 'Qwen3-235B-A22B', 'Qwen3-Coder-480B-A35B', 'Mixtral-8x7B-v0.1'].map(share),
      ['91.40', '98.18', '94.95', '96.60', '97.49', '96.56'],
    )
  })

  test('states take memory, whatever the context', () => {
    const model = preset('Mamba-130M')!
    const { state, kvCache, work } = of('Mamba-130M', 2048)
    assert.deepEqual([state.values, state.bytes, kvCache.bytes], [24 * 1536 * (4 + 16), 4 * state.values, 0])
    assert.equal(work.decodeStateBytes, 2 * state.bytes)
    assert.equal(fittingContext(model, state.bytes, 0), model.maxPositionEmbeddings)
    assert.equal(fittingContext(model, state.bytes - 1, 0), null)
  })

  test('what fits into 16 GB beside the weights of gpt-oss-20b', () => {
    const model = preset('gpt-oss-20b')!
    const weights = of('gpt-oss-20b').weightBytes.published
    assert.equal(fittingContext(model, 16e9, weights), 90_966)
    assert.equal(fittingContext(model, 16 * 2 ** 30, weights), 131_072) // more would fit than the model was published for
    assert.equal(fittingContext(model, 13.7e9, weights), null)
    assert.ok(fittingContext(preset('gpt-oss-120b')!, 80e9, of('gpt-oss-120b').weightBytes.published, 3)! === 131_072)
  })
})
