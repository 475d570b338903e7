/**
 * The generators give the values on which trained models, synthetic checkpoints and resumed runs depend.
 * Philox against the published vectors of Random123 is in test/engine/sampler.test.ts; these values were recorded when the first model was trained.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preset } from '../../src/architecture/presets.ts'
import { planSynth, synthesize } from '../../src/checkpoint/synth.ts'
import { initialValues } from '../../src/model/initialize.ts'
import { dropoutKeeps, fnv1a, lowbias32, mixSeeds } from '../../src/random/hash.ts'
import { integer, normals, pick, random } from '../../src/random/stream.ts'

test('streams', () => {
  const next = random(7)
  assert.deepEqual(
    [next(), next(), next()].map((x) => x * 2 ** 32),
    [3838393609, 4210744933, 801465066],
  )
  const die = random(1)
  assert.deepEqual(new Set(Array.from({ length: 200 }, () => integer(die, 1, 6))), new Set([1, 2, 3, 4, 5, 6]))
  assert.ok(['a', 'b'].includes(pick(die, ['a', 'b'])))
})

test('normal numbers have mean 0 and variance 1', () => {
  const next = normals(random(3))
  const values = Array.from({ length: 20_000 }, next)
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length
  assert.ok(Math.abs(mean) < 0.02 && Math.abs(variance - 1) < 0.03, `mean ${mean}, variance ${variance}`)
})

test('hashes', () => {
  // The published FNV-1a vector of "foobar".
  assert.equal(fnv1a('foobar') >>> 0, 0xbf9cf968)
  assert.equal(lowbias32(0), 0)
  assert.deepEqual([mixSeeds(1, 2, 3), mixSeeds(7), mixSeeds(-5, 0x7e57)], [-335962743, -1971079419, -1288116881])
  const mask = Array.from({ length: 40 }, (_, index) => (dropoutKeeps(11, index, 0.4) ? 1 : 0)).join('')
  assert.equal(mask, '0010011101101011111111000101011011110101')
})

test('first weights and synthetic checkpoints stay what they were', () => {
  const gpt2 = preset('gpt2')!
  const values = initialValues(gpt2, { name: 'layers.0.attention.o', shape: [2, 3], use: 'matrix', dtype: 'f32' }, 3)
  const wanted = [
    -0.0009271153248846531, 0.005134996958076954, 0.0046393550001084805, 0.004900695756077766, -0.0022702121641486883,
    0.00013559407670982182,
  ]
  assert.deepEqual([...values], wanted)
  const file = planSynth({ ...gpt2, layers: gpt2.layers.slice(0, 1) }, 5).files[0]!
  const bytes = new Uint8Array(12)
  synthesize(file, file.header.byteLength + 1001, bytes)
  assert.deepEqual([...bytes], [228, 79, 187, 172, 134, 103, 187, 1, 150, 208, 59, 54])
})
