/**
 * GGUF files that llama.cpp's converter made of the tiny checkpoints: the same architecture, the same value of every weight, and so
 * the golden values of transformers.
 */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Architecture } from '../../../src/architecture/architecture.ts'
import { forward } from '../../../src/model/transformer.ts'
import { decodeBlocks } from '../../../src/ops/block-formats.ts'
import { fromF16, isBlocks, unpackMxfp4Block } from '../../../src/ops/dtype.ts'
import { readGolden } from '../../model/read-golden.ts'
import { backends } from '../../ops/backends.ts'
import { loadCheckpoint } from '../load-directory.ts'
import { type Held, memorySink } from '../memory-sink.ts'

const files = fileURLToPath(new URL('../../fixtures/gguf/', import.meta.url))
const checkpoints = fileURLToPath(new URL('../../fixtures/checkpoints/', import.meta.url))
const names = readdirSync(files).flatMap((file) => /^(tiny-.+)\.gguf$/.exec(file)?.[1] ?? [])

assert.ok(names.length >= 25, 'the fixtures are there')

for (const name of names) {
  describe(name, async () => {
    const [ours, published] = [memorySink(1022), memorySink()]
    const loaded = await loadCheckpoint(`${files}${name}.gguf`, ours)
    const reference = await loadCheckpoint(checkpoints + name, published)

    test('the architecture is that of config.json', () => {
      assert.deepEqual(comparable(loaded.architecture), comparable(reference.architecture))
    })

    test('every weight has the published values', () => {
      const found = [...ours.held.keys()].filter((weight) => published.held.has(weight) || weight !== 'unembed')
      assert.deepEqual(found.sort(), [...published.held.keys()].sort())
      // The converter writes an output matrix also where it is tied to the embedding, if the checkpoint has it.
      if (ours.held.has('unembed') && !published.held.has('unembed'))
        assert.ok(Buffer.from(ours.held.get('unembed')!.bytes).equals(published.held.get('embed')!.bytes))
      for (const [weight, held] of published.held) {
        const [found, wanted] = [numbers(ours.held.get(weight)!), numbers(held)]
        // 1 + w of Gemma's norms and -e^x of the rates of states are rounded to 32 bits in the file.
        const isRounded = name.startsWith('tiny-gemma') ? weight.includes('orm') : weight.endsWith('.logRate')
        const slack = isRounded ? 2 ** -22 : 0
        assert.equal(found.length, wanted.length, weight)
        const far = found.findIndex((value, i) => !(Math.abs(value - wanted[i]!) <= slack))
        assert.equal(far, -1, `${weight}[${far}]: expected ${wanted[far]}, got ${found[far]}`)
      }
    })
  })
}

for (const { name: backendName, create, tolerance } of backends.slice(0, 2)) {
  describe(`golden values on ${backendName}`, async () => {
    const backend = await create()
    after(() => backend.dispose())
    for (const name of names) {
      test(name, async () => {
        const { architecture, weights } = await loadCheckpoint(`${files}${name}.gguf`, backend)
        const golden = readGolden(`${checkpoints}${name}/golden.safetensors`)
        for (const [n, ids] of golden.ids.entries()) {
          const wanted = golden.logits[n]!
          // The weights are equal to the last bit, so the slow reference need not see the long prompts too.
          if (backendName === 'reference' && ids.length > 64) continue
          const rows = wanted.length / architecture.vocabSize

          const batch = { ids, slots: new Int32Array(ids.length), positions: Int32Array.from(ids.keys()) }
          const logitRows = Int32Array.from({ length: rows }, (_, row) => ids.length - rows + row)
          const logits = await backend.run(() => forward(backend, architecture, weights, batch, { logitRows }))

          const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
          const far = wanted.findIndex((value, i) => !(Math.abs(logits[i]! - value) <= tolerance * largest))
          assert.equal(far, -1, `prompt ${n}, logit ${far}: expected ${wanted[far]}, got ${logits[far]}`)
        }
      })
    }
  })
}

/** All of an architecture that a GGUF file says: names, ids of a vocabulary of no meaning, training and dtypes are left out. */
function comparable({ layers, ...architecture }: Architecture): unknown {
  const { name, modelType, tieWordEmbeddings, eosTokenIds, bosTokenId, dropout, initializerRange, dtype, expertDtype, ...rest } =
    architecture
  const plain = layers.map(({ feedForward, attention, ...layer }) => ({
    ...layer,
    attention: { ...attention, position: rotation(attention.position) },
    feedForward: 'router' in feedForward ? { ...feedForward, router: { ...feedForward.router, auxLossCoef: 0 } } : feedForward,
  }))
  return JSON.parse(JSON.stringify({ ...rest, maxPositionEmbeddings: 0, layers: plain }))
}

/** The rotation, its factors rounded as f32 holds them; a stretch by divisors is compared by the golden values. */
function rotation(position: Architecture['layers'][number]['attention']['position']): unknown {
  if (position.kind === 'none') return position
  const { scaling, ...rest } = position
  if (scaling.kind === 'llama3' || scaling.kind === 'longrope') return rest
  const rounded = Object.entries(scaling).map(([key, value]) => [key, typeof value === 'number' ? Math.fround(value) : value])
  return { ...rest, scaling: Object.fromEntries(rounded) }
}

/** The values of a weight. */
function numbers({ spec, bytes }: Held): ArrayLike<number> & { findIndex: Float32Array['findIndex'] } {
  if (isBlocks(spec.dtype)) return decodeBlocks(spec.dtype, bytes)
  if (spec.dtype === 'mxfp4') {
    const blocks = (bytes.length / 17) | 0
    const values = new Float32Array(blocks * 32)
    for (let n = 0; n < blocks; n++) unpackMxfp4Block(bytes, n * 16, bytes[blocks * 16 + n]!, values, n * 32)
    return values
  }
  if (spec.dtype === 'f32') return new Float32Array(bytes.slice().buffer)
  const halves = new Uint16Array(bytes.slice().buffer)
  if (spec.dtype === 'f16') return Float32Array.from(halves, fromF16)
  return new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer)
}
