/** The general layout: every step from GPT-2 to gpt-oss and every published size survives it, and a damaged file is refused by name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { configFromJson } from '../../src/architecture/config-json.ts'
import { GENERAL } from '../../src/architecture/families/general.ts'
import { presets } from '../../src/architecture/presets.ts'
import { toConfigJson } from '../../src/architecture/to-config-json.ts'
import { publishedTensors, writableForm } from '../../src/checkpoint/published.ts'
import { leaves, weightSpecs } from '../../src/model/weights.ts'
import { SMALL, smallModels, smallSideRoads } from '../../src/train/small-models.ts'

const steps = smallModels({ ...SMALL, vocabSize: 65 }).map(({ architecture }) => architecture)
const sideRoads = smallSideRoads({ ...SMALL, vocabSize: 65 }).map(({ architecture }) => architecture)
const inGeneral = (architecture: Architecture): Architecture => ({ ...architecture, modelType: GENERAL, tensorLayout: undefined })
const throughFile = (architecture: Architecture) => configFromJson(JSON.parse(JSON.stringify(toConfigJson(architecture))), 'config.json')

test('steps without a family of their own take the general layout, the others keep theirs', () => {
  const forms = steps.map((architecture) => writableForm(architecture).modelType)
  assert.deepEqual([forms[0], forms[1], forms.at(-1)], ['gpt2', 'gpt2', 'gpt_oss'])
  assert.ok([...forms.slice(2, -1), ...sideRoads.map((road) => writableForm(road).modelType)].every((form) => form === GENERAL))
})

test('what the slots say comes back, and every weight has a place', () => {
  const sizes = presets.map(({ config, name }) => configFromJson(config, name))
  let held = 0
  for (const architecture of [...steps, ...sideRoads, ...sizes].map(inGeneral)) {
    let read: Architecture
    try {
      read = throughFile(architecture)
    } catch (error) {
      // A slot that this layout does not know is refused when the model is saved.
      assert.equal((error as Error).name, 'UnwritableArchitectureError')
      continue
    }
    assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(architecture)))
    const sources = publishedTensors(read).flatMap((tensor) => tensor.sources.map(({ spec }) => spec.name))
    assert.deepEqual(new Set(sources), new Set(leaves(weightSpecs(read)).map(({ name }) => name)))
    held++
  }
  assert.ok(held > 100, `${held} architectures`)
})

// biome-ignore lint/suspicious/noExplicitAny: damaged on purpose
type Json = Record<string, any>
const damage: [change: (config: Json) => void, message: RegExp][] = [
  [(c) => delete c.hidden_size, /hidden_size: missing/],
  [(c) => (c.layers = []), /layers: expected one object per layer/],
  [(c) => (c.layers = [7]), /layers\[0\]: expected a JSON object/],
  [(c) => (c.layers[1].placement = 'between'), /layers\[1\]\.placement: expected "pre" or/],
  [(c) => (c.layers[0].attention.kind = 'recurrent'), /layers\[0\]\.attention\.kind/],
  [(c) => (c.layers[0].attention.kvHeads = 3), /kvHeads: expected a divisor of heads/],
  [(c) => (c.layers[0].attention.heads = 1e12), /heads: expected a positive integer/],
  [(c) => (c.layers[0].attention.position.rotaryDim = 7), /rotaryDim: expected an even number/],
  [(c) => (c.layers[0].attention.position.scaling.kind = 'ntk'), /scaling\.kind/],
  [(c) => (c.layers[0].feedForward.expertsPerToken = 99), /expertsPerToken: expected at most 8/],
  [(c) => (c.layers[0].feedForward.router.kind = 'hash'), /router\.kind/],
  [(c) => (c.layers[0].norm.eps = 0), /norm\.eps: expected a number above 0/],
  [(c) => (c.final_norm.kind = 'batchNorm'), /final_norm\.kind/],
  [(c) => (c.dropout.attention = 2), /dropout\.attention: expected a probability/],
  [(c) => (c.expert_dtype = 'float8'), /expert_dtype/],
]

for (const [change, message] of damage)
  test(`refused: ${message.source}`, () => {
    const config = JSON.parse(JSON.stringify(toConfigJson(inGeneral(steps.at(-2)!))))
    change(config)
    assert.throws(() => configFromJson(config, 'config.json'), message)
  })
