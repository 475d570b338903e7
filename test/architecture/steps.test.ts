/** The steps from GPT-2 to gpt-oss: every step gives a model that runs, and the last one has the slots of gpt-oss. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { preset } from '../../src/architecture/presets.ts'
import { multiHeadOf } from '../../src/architecture/slots.ts'
import { sideRoadsWith, steps, stepsWith, walkSteps } from '../../src/architecture/steps.ts'
import { account } from '../../src/compare/account.ts'
import { difference } from '../../src/compare/difference.ts'
import { forward } from '../../src/model/transformer.ts'
import { leaves, mapWeights, weightSpecs } from '../../src/model/weights.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import type { Tensor } from '../../src/ops/tensor.ts'

/** gpt-oss's sizes on another architecture, so that only slots are left to compare. */
function withSizesOf(target: Architecture, architecture: Architecture): Architecture {
  const { name, vocabSize, hiddenSize, maxPositionEmbeddings, initializerRange, eosTokenIds, bosTokenId } = target
  const sizes = { name, vocabSize, hiddenSize, maxPositionEmbeddings, initializerRange, eosTokenIds, bosTokenId }
  const layers = target.layers.map((goal, index) => {
    const layer = architecture.layers[index % architecture.layers.length]!
    const { heads, kvHeads, headDim, scale } = multiHeadOf(target, index)
    const attention = multiHeadOf(architecture, index % architecture.layers.length)
    const position = structuredClone(attention.position)
    if (position.kind === 'rope' && position.scaling.kind === 'yarn') position.scaling.originalMaxPositionEmbeddings = 4096
    return {
      ...layer,
      attention: { ...attention, heads, kvHeads, headDim, scale, position },
      feedForward: { ...layer.feedForward, intermediateSize: goal.feedForward.intermediateSize },
    }
  })
  return { ...architecture, ...sizes, layers }
}

test('the sum of the patches turns the slots of GPT-2 into those of gpt-oss', () => {
  for (const start of ['gpt2', 'gpt2-xl']) {
    const target = preset('gpt-oss-20b')!
    assert.deepEqual(withSizesOf(target, walkSteps(preset(start)!).at(-1)!), target, start)
  }
})

test('a patch changes its own idea, leaves the sizes alone and does not touch what it is given', () => {
  const start = preset('gpt2-medium')!
  const frozen = structuredClone(start)
  const models = walkSteps(start)
  assert.deepEqual(start, frozen)
  const changed = models.slice(1).map((model, index) => difference([models[index]!, model]).map(({ key }) => key))
  assert.deepEqual(changed, [
    ['dropout'],
    ['norm'],
    ['position'],
    ['feedForward', 'activation', 'intermediateSize', 'feedForwardBias'],
    ['attentionBias'],
    ['kvHeads'],
    ['slidingWindow'],
    ['feedForward', 'intermediateSize', 'experts', 'expertsPerToken', 'router', 'expertDtype'],
    ['activation'],
    ['sinks', 'attentionBias', 'feedForwardBias', 'router'],
    ['tieWordEmbeddings'],
    ['maxPositionEmbeddings', 'position'],
    ['dtype', 'expertDtype'],
  ])
  for (const model of models) {
    const { layers, hiddenSize, vocabSize } = model
    assert.deepEqual([layers.length, hiddenSize, vocabSize, multiHeadOf(model).heads], [24, 1024, 50257, 16])
  }
})

test('gated and mixed feed-forwards keep the active parameters', () => {
  const active = walkSteps(preset('gpt2-xl')!).map((model) => account(model, { context: 1 }).parameters.active)
  const [atMlp, atGated, atExperts] = [active[3]!, active[4]!, active[8]!]
  assert.ok(Math.abs(atGated / atMlp - 1) < 0.01, `${atMlp} -> ${atGated}`)
  assert.ok(Math.abs(atExperts / active[7]! - 1) < 0.01, `${active[7]} -> ${atExperts}`)
})

test('every step cites a source and a sentence', () => {
  assert.equal(new Set(steps.map(({ name }) => name)).size, steps.length)
  for (const { name, source, buys, claims } of steps) {
    assert.ok(source.year >= 2016 && source.year <= 2026 && source.paper && source.link, name)
    assert.match(buys, /\.$/, name)
    for (const claim of claims) assert.match(claim, /^C\d+$/, name)
  }
})

test('the model after every step runs a forward pass at ladder size', async () => {
  const small: Architecture = (() => {
    const model = preset('gpt2')!
    const layer = model.layers[0]!
    const attention = { ...layer.attention, heads: 4, kvHeads: 4, headDim: 16, scale: 0.25 }
    const feedForward = { ...layer.feedForward, intermediateSize: 192 }
    const layers = [0, 1].map(() => structuredClone({ ...layer, attention, feedForward }))
    const position = { kind: 'learned', length: 32 } as const
    return {
      ...model,
      vocabSize: 40,
      hiddenSize: 64,
      maxPositionEmbeddings: 32,
      embedding: { scale: 1, position },
      layers,
      dropout: { embedding: 0, attention: 0, residual: 0 },
    }
  })()
  const ops = createReferenceBackend()
  const batch = { ids: Int32Array.of(1, 2, 3, 4, 5, 6), slots: new Int32Array(6), positions: Int32Array.of(0, 1, 2, 3, 4, 5) }
  for (const model of walkSteps(small, stepsWith({ experts: 4, expertsPerToken: 2, slidingWindow: 4, headsPerGroup: 2 }))) {
    const tensors = new Map<string, Tensor>()
    let seed = 1
    for (const spec of leaves(weightSpecs(model))) {
      const tensor = await ops.weight(spec, async (part, offset, into) => {
        // Any bytes that decode to small finite numbers do: this is about shapes and slots.
        for (let i = 0; i < into.length; i++) {
          seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
          const high = spec.dtype === 'f32' ? (offset + i) % 4 === 3 : (offset + i) % 2 === 1
          into[i] = part === 'scales' ? 120 : part === 'blocks' ? seed >>> 24 : high ? 0x3c | ((seed >>> 16) & 0x80) : (seed >>> 24) & 0x7f
        }
      })
      tensors.set(spec.name, tensor)
    }
    const weights = mapWeights(weightSpecs(model), ({ name }) => tensors.get(name)!)
    const logits = await ops.read(forward(ops, model, weights, batch))
    assert.equal(logits.length, 6 * 40, model.name)
    assert.ok(logits.every(Number.isFinite), model.name)
    assert.ok(new Set(logits).size > 100, `${model.name}: the logits are all alike`)
  }
  await ops.dispose()
})

test('a side road changes its own idea of the step where it leaves', () => {
  const models = walkSteps(preset('gpt2-medium')!)
  const expected: Record<string, string[]> = {
    'banded-window': ['slidingWindow'],
    'plain-layernorm': ['norm'],
    'parallel-residual': ['normPlacement'],
    'latent-attention': ['position', 'kvHeads', 'latent', 'headDim'],
    'shared-expert': ['expertsPerToken', 'sharedExpert'],
  }
  for (const { name, after, patch } of sideRoadsWith()) {
    const before = models[steps.findIndex((step) => step.name === after) + 1]!
    const frozen = structuredClone(before)
    const changed = difference([before, patch(before)]).map(({ key }) => key)
    assert.deepEqual(before, frozen)
    assert.deepEqual([name, changed], [name, expected[name]])
  }
})
