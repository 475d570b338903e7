/**
 * `lineage quantize` from safetensors to GGUF: what is read from the file is what was written, for every tiny checkpoint. llama.cpp gives
 * the same logits for these files as for those of its own converter (scripts/oracles/gguf-beside-llama-cpp.ts).
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { preset } from '../../../src/architecture/presets.ts'
import { toFloats } from '../../../src/checkpoint/encode.ts'
import { convertToGguf } from '../../../src/checkpoint/gguf/convert-node.ts'
import { readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { ggufMxfp4 } from '../../../src/checkpoint/pack-blocks.ts'
import { relativeError } from '../../../src/checkpoint/quantize.ts'
import { bytesSource } from '../../../src/checkpoint/source.ts'
import { synthesizeCheckpoint } from '../../../src/checkpoint/synth-node.ts'
import { forward } from '../../../src/model/transformer.ts'
import type { DType } from '../../../src/ops/dtype.ts'
import { byteSpelling } from '../../../src/tokenizer/byte-level.ts'
import { readGolden } from '../../model/read-golden.ts'
import { backends } from '../../ops/backends.ts'
import { loadCheckpoint } from '../load-directory.ts'
import { type Held, memorySink } from '../memory-sink.ts'
import { fixtures } from '../raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-to-gguf-'))
after(() => rmSync(temporary, { recursive: true, force: true }))
let count = 0
const place = () => join(temporary, `out-${count++}.gguf`)

/** Checkpoints that GGUF cannot say: its files have no scale of Gemma 2's scores, and no Mamba is read. */
const REFUSED: Record<string, RegExp> = {
  'tiny-gemma2': /a GGUF file cannot say layers\.\*\.attention\.scale: 0\.25 \(programs will read 0\.17/,
  'tiny-mamba': /expected a model type that GGUF files have, got "mamba"/,
}
/** Where the file holds 1 + w or -e^x in F32, which rounds. */
const isRounded = (name: string, weight: string) => (name.startsWith('tiny-gemma') ? weight.includes('orm') : weight.endsWith('.logRate'))

const held = async (path: string) => {
  const sink = memorySink(1022)
  const { architecture } = await loadCheckpoint(path, sink)
  return { architecture, weights: sink.held }
}

const names = readdirSync(fixtures).filter((name) => name.startsWith('tiny-') && !Object.hasOwn(REFUSED, name))
assert.ok(names.length >= 27)

describe('read(write(x)) = x', async () => {
  const backend = await backends[0]!.create()
  after(() => backend.dispose())
  for (const name of names)
    test(name, async () => {
      const out = place()
      const { notes, errors, kept } = await convertToGguf(join(fixtures, name), out, { experts: 'keep' })
      assert.deepEqual([errors, kept], [[], []])
      assert.equal(notes.length, name === 'tiny-mistral' ? 1 : 0)
      const [wanted, found] = [await held(join(fixtures, name)), await held(out)]
      assert.deepEqual([...found.weights.keys()].sort(), [...wanted.weights.keys()].sort())
      for (const [weight, one] of wanted.weights) {
        const [a, b] = [numbers(one), numbers(found.weights.get(weight)!)]
        assert.equal(b.length, a.length, weight)
        const slack = isRounded(name, weight) ? 2 ** -22 : 0
        const far = a.findIndex((value, i) => !(Math.abs(value - b[i]!) <= slack))
        assert.equal(far, -1, `${weight}[${far}]: expected ${a[far]}, got ${b[far]}`)
      }
      const ids = readGolden(join(fixtures, name, 'golden.safetensors')).ids[0]!.slice(0, 7)
      const [before, now] = [await logitsOf(join(fixtures, name), ids), await logitsOf(out, ids)]
      const rounded = [...wanted.weights.keys()].some((weight) => isRounded(name, weight))
      // Divisors of rotations are F32 in the file; the window of Mistral is longer than the text.
      const slack = rounded || /llama|phi4-mini/.test(name) ? 1e-5 : 0
      const far = before.findIndex((value, i) => !(Math.abs(value - now[i]!) <= slack * Math.max(1, Math.abs(value))))
      assert.equal(far, -1, `logit ${far}: ${before[far]} became ${now[far]}`)
    })

  async function logitsOf(path: string, ids: Int32Array): Promise<Float32Array> {
    const { architecture, weights } = await loadCheckpoint(path, backend)
    const batch = { ids, slots: new Int32Array(ids.length), positions: Int32Array.from(ids.keys()) }
    return backend.run(() => forward(backend, architecture, weights, batch, { logitRows: Int32Array.from(ids.keys()) }))
  }
})

for (const [name, problem] of Object.entries(REFUSED))
  test(`${name} is refused, and nothing is written`, async () => {
    const out = place()
    await assert.rejects(convertToGguf(join(fixtures, name), out), problem)
    assert.ok(!readdirSync(temporary).some((file) => join(temporary, file).startsWith(out)))
  })

test('vocab.json and merges.txt are written only where they are of GPT-2: others need another splitting expression', async () => {
  const folder = join(temporary, 'pairs')
  cpSync(join(fixtures, 'tiny-gpt2'), folder, { recursive: true })
  const vocab = Object.fromEntries([...byteSpelling, 'he', '<|endoftext|>'].map((token, id) => [token, id]))
  writeFileSync(join(folder, 'vocab.json'), JSON.stringify(vocab))
  writeFileSync(join(folder, 'merges.txt'), '#version: 0.2\nh e\n')
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ tokenizer_class: 'Qwen2Tokenizer' }))
  await assert.rejects(convertToGguf(folder, place()), /vocab\.json: written for Qwen2Tokenizer; only GPT-2's can be used/)
  writeFileSync(join(folder, 'tokenizer_config.json'), JSON.stringify({ tokenizer_class: 'GPT2Tokenizer' }))
  const out = place()
  await convertToGguf(folder, out)
  const bytes = readFileSync(out)
  const { metadata } = await readGgufHeader(bytesSource(bytes, out))
  assert.equal(metadata.get('tokenizer.ggml.pre'), 'gpt-2')
  assert.deepEqual(metadata.get('tokenizer.ggml.merges'), ['h e'])
})

/** Largest relative error of each type on random values, a little above what it is for normal ones. */
const BOUNDS = { Q8_0: 0.006, Q4_0: 0.085, MXFP4: 0.125, BF16: 0.002, F16: 0.0003, F32: 0 }

describe('types', () => {
  for (const [dense, type] of [
    ['q8_0', 'Q8_0'],
    ['q4_0', 'Q4_0'],
    ['mxfp4', 'MXFP4'],
    ['bf16', 'BF16'],
    ['f16', 'F16'],
    ['f32', 'F32'],
  ] as const)
    for (const name of dense.endsWith('16') || dense === 'f32'
      ? ['tiny-pythia']
      : ['tiny-gpt2', 'tiny-mixtral', 'tiny-jamba-odd', 'tiny-deepseek-v3'])
      test(`${name} as ${type}`, async () => {
        const out = place()
        const { errors, kept } = await convertToGguf(join(fixtures, name), out, { dense, threads: 1 })
        for (const one of errors) {
          const isSmall = dense === 'q4_0' || dense === 'mxfp4'
          const isExperts = one.name.includes('_exps')
          const isOutput = one.name === 'output.weight' || one.name === 'token_embd.weight'
          assert.equal(one.type, isSmall && isOutput ? 'Q8_0' : isSmall && isExperts ? 'MXFP4' : type, one.name)
          assert.ok(relativeError(one.error) <= BOUNDS[one.type as keyof typeof BOUNDS], `${one.name} ${relativeError(one.error)}`)
        }
        const { tensors } = await headerOf(out)
        for (const { name, shape, dtype } of tensors.values()) {
          if (shape.length === 1 || /norm|bias|inp|ssm_(conv1d|a$|d$)|position/.test(name)) assert.equal(dtype, 'F32', name)
          if (shape.at(-1)! % 32 !== 0) assert.ok(['F32', 'F16', 'BF16'].includes(dtype), name)
        }
        const block = ['q8_0', 'q4_0', 'mxfp4'].includes(dense)
        for (const { name: tensor, width, type } of kept) {
          assert.ok(block && width % 32 !== 0 && tensors.get(tensor)!.dtype === type)
        }
        assert.equal(kept.length > 0, block && ['tiny-gpt2', 'tiny-jamba-odd', 'tiny-deepseek-v3'].includes(name))
        // Values of the file are within the reported error of the published ones.
        const [wanted, found] = [await held(join(fixtures, name)), await held(out)]
        const largest = Math.max(0, ...errors.map(({ error }) => error.largestError))
        for (const [weight, one] of wanted.weights) {
          const [a, b] = [numbers(one), numbers(found.weights.get(weight)!)]
          const far = a.findIndex((value, i) => !(Math.abs(value - b[i]!) <= largest + (isRounded(name, weight) ? 1e-6 : 0)))
          assert.equal(far, -1, `${weight}[${far}]`)
        }
      })

  test('MXFP4 experts of gpt-oss are moved without loss, and F32 holds them exactly', async () => {
    const directory = join(fixtures, 'tiny-gpt-oss')
    for (const options of [{}, { experts: 'f32' }, { experts: 'bf16', dense: 'q8_0' }] as const) {
      const out = place()
      const { errors } = await convertToGguf(directory, out, options)
      assert.ok(errors.every(({ name, error }) => !name.includes('_exps') || error.largestError === 0))
      const [wanted, found] = [await held(directory), await held(out)]
      for (const [weight, one] of wanted.weights)
        if (one.spec.use === 'experts') assert.deepEqual(numbers(found.weights.get(weight)!), numbers(one), weight)
    }
  })

  test('what lineage quantize packed before keeps its blocks', async () => {
    const [directory, out] = [join(temporary, 'packed'), place()]
    const { quantizeModel } = await import('../../../src/checkpoint/quantize-node.ts')
    await quantizeModel(join(fixtures, 'tiny-qwen3'), directory, { dense: 'q4_0' })
    const { errors } = await convertToGguf(directory, out, { dense: 'mxfp4' })
    assert.deepEqual(errors, [])
    const [wanted, found] = [await held(directory), await held(out)]
    for (const [weight, one] of wanted.weights) assert.deepEqual(numbers(found.weights.get(weight)!), numbers(one), weight)
  })

  for (const name of ['tiny-qwen3-fp8', 'tiny-qwen3-awq', 'tiny-qwen3-gptq'])
    test(`${name}: what GGUF has no type for becomes BF16`, async () => {
      const out = place()
      const directory = join(import.meta.dirname, '../../fixtures/quantized', name)
      const { errors } = await convertToGguf(directory, out)
      assert.ok(errors.every(({ type, error }) => type === 'BF16' && relativeError(error) < 0.003))
    })
})

test('an existing file stays, and an interrupted run leaves nothing', async () => {
  const directory = join(fixtures, 'tiny-llama')
  const out = place()
  writeFileSync(out, 'GGUF of somebody')
  await assert.rejects(convertToGguf(directory, out), /there is a file that this command did not write/)
  assert.equal(readFileSync(out, 'utf8'), 'GGUF of somebody')
  await convertToGguf(directory, out, { force: true })
  await held(out)
  const controller = new AbortController()
  const folder = mkdtempSync(join(temporary, 'abort-'))
  let calls = 0
  const onProgress = () => {
    if (++calls === 3) controller.abort(new Error('interrupted'))
  }
  await assert.rejects(convertToGguf(directory, join(folder, 'x.gguf'), { signal: controller.signal, onProgress }), /interrupted/)
  assert.deepEqual(readdirSync(folder), [])
  await assert.rejects(convertToGguf(directory, join(folder, 'x')), /expected a name that ends with \.gguf/)
})

test('Ctrl-C ends the command and leaves nothing', async () => {
  const [model, folder] = [join(temporary, 'wide'), mkdtempSync(join(temporary, 'kill-'))]
  const smol = preset('SmolLM2-135M')!
  await synthesizeCheckpoint({ ...smol, layers: smol.layers.slice(0, 3) }, model)
  const child = spawn(process.execPath, [
    join(import.meta.dirname, '../../../bin/lineage.js'),
    'quantize',
    model,
    join(folder, 'x.gguf'),
    '--dense',
    'q4_0',
  ])
  const ended = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  for (let waited = 0; waited < 200 && readdirSync(folder).length === 0; waited++) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(readdirSync(folder).length, 1, 'it has begun to write')
  child.kill('SIGINT')
  assert.notEqual(await ended, 0)
  assert.deepEqual(readdirSync(folder), [])
})

const headerOf = (file: string) => readGgufHeader(bytesSource(readFileSync(file), file))

/** The values of a weight. */
function numbers({ spec, bytes }: Held): Float32Array {
  if (spec.dtype !== 'mxfp4') return toFloats(bytes, spec.dtype)
  const blocks = bytes.length / 17
  return toFloats(ggufMxfp4(bytes.subarray(0, blocks * 16), bytes.subarray(blocks * 16)), 'mxfp4_gguf' satisfies DType)
}
