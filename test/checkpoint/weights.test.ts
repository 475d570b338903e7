import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import * as errors from '../../src/checkpoint/errors.ts'
import { type LoadProgress, loadFolder, loadWeights, openModel } from '../../src/checkpoint/load.ts'
import { blobFolder, type Folder } from '../../src/checkpoint/source.ts'
import { httpFolder } from '../../src/checkpoint/source-http.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { leaves } from '../../src/model/weights.ts'
import { FP4_VALUES } from '../../src/ops/dtype.ts'
import { loadCheckpoint } from './load-directory.ts'
import { memorySink, valuesOf } from './memory-sink.ts'
import { checkpointDirectory, dequantisedGptOss, fixtures, type Raw, rawTensors, tensor } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-weights-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const directory = (fixture: string, tensors: Iterable<Raw>, config?: unknown) => checkpointDirectory(temporary, fixture, tensors, config)

async function load(path: string, pieceBytes?: number) {
  const sink = memorySink(pieceBytes)
  const loaded = await loadCheckpoint(path, sink)
  return { ...loaded, held: sink.held }
}

/** Same inner weights, same bytes. */
function assertEqualWeights(a: Awaited<ReturnType<typeof load>>, b: Awaited<ReturnType<typeof load>>) {
  assert.deepEqual([...a.held.keys()].sort(), [...b.held.keys()].sort())
  for (const [name, { spec, bytes }] of a.held) {
    assert.deepEqual(b.held.get(name)!.spec, spec)
    assert.ok(Buffer.from(bytes).equals(Buffer.from(b.held.get(name)!.bytes)), name)
  }
}

describe('every fixture', () => {
  for (const name of readdirSync(fixtures)) {
    test(`${name}: odd pieces give the same bytes as whole weights`, async () => {
      const whole = await load(join(fixtures, name))
      assertEqualWeights(whole, await load(join(fixtures, name), 1022))
      assert.equal(whole.weights.layers.length, whole.architecture.layers.length)
    })
  }
})

test('files chosen in a browser and files on a server give the same weights as a directory', async () => {
  const path = join(fixtures, 'tiny-qwen3-moe')
  const names = readdirSync(path).filter((name) => !name.startsWith('golden'))
  const fromDisk = await load(path)
  const files = names.map((name) => new File([readFileSync(join(path, name))], name))
  const server = createServer((request, response) => {
    const name = decodeURIComponent(request.url!.slice(1))
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (!names.includes(name) || !range) return void response.writeHead(404).end()
    const bytes = readFileSync(join(path, name))
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}` }).end(bytes.subarray(from, to + 1))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  for (const folder of [blobFolder(files), httpFolder(url)]) {
    const sink = memorySink()
    assertEqualWeights(fromDisk, { ...(await loadFolder(folder, sink)), held: sink.held })
  }
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

describe('forms of one model', () => {
  test('GPT-2: q, k and v are the transposed thirds of c_attn, with or without prefix, mask and lm_head', async () => {
    const raw = await rawTensors(join(fixtures, 'tiny-gpt2'))
    const plain = await load(join(fixtures, 'tiny-gpt2'))
    const published = new Float32Array(Uint8Array.from(raw.get('h.1.attn.c_attn.weight')!.data).buffer) // [48, 144]
    for (const [part, third] of ['q', 'k', 'v'].entries()) {
      const values = valuesOf(plain.held.get(`layers.1.attention.${third}`)!) // [48, 48]
      for (const [row, column] of [
        [0, 0],
        [5, 7],
        [47, 47],
      ] as const) {
        assert.equal(values[row * 48 + column], published[column * 144 + part * 48 + row])
      }
    }
    const tensors = [...raw.values()].filter(({ name }) => !name.endsWith('.attn.bias'))
    const prefixed = tensors.map((one) => ({ ...one, name: `transformer.${one.name}` }))
    const wte = raw.get('wte.weight')!
    const extra = [
      tensor('lm_head.weight', 'F32', wte.shape, wte.data),
      tensor('transformer.h.0.attn.masked_bias', 'F32', [], Buffer.alloc(4)),
    ]
    assertEqualWeights(plain, await load(await directory('tiny-gpt2', [...prefixed, ...extra])))
  })

  test('a model that says it is not tied but has no output matrix is tied', async () => {
    const raw = await rawTensors(join(fixtures, 'tiny-mistral'))
    raw.delete('lm_head.weight')
    const { architecture, weights, held } = await load(await directory('tiny-mistral', raw.values()))
    assert.equal(architecture.tieWordEmbeddings, true)
    assert.equal(weights.unembed, undefined)
    assert.equal(held.get('embed')!.spec.use, 'matrix')
  })

  test('a tied model ignores a stored output matrix (Qwen3-0.6B stores one)', async () => {
    assert.ok((await rawTensors(join(fixtures, 'tiny-qwen3'))).has('lm_head.weight'))
    const { weights } = await load(join(fixtures, 'tiny-qwen3'))
    assert.equal(weights.unembed, undefined)
  })

  test("gpt-oss in OpenAI's original layout has the same weights", async () => {
    const raw = await rawTensors(join(fixtures, 'tiny-gpt-oss'))
    const at = (layer: number, name: string) => raw.get(`model.layers.${layer}.${name}`)!
    const original: Raw[] = []
    const add = (name: string, { dtype, shape, data }: Raw) => original.push(tensor(name, dtype, shape, data))
    add('embedding.weight', raw.get('model.embed_tokens.weight')!)
    add('unembedding.weight', raw.get('lm_head.weight')!)
    add('norm.scale', raw.get('model.norm.weight')!)
    for (let layer = 0; layer < 4; layer++) {
      const block = `block.${layer}`
      for (const tail of ['weight', 'bias']) {
        const parts = ['q', 'k', 'v'].map((which) => at(layer, `self_attn.${which}_proj.${tail}`))
        const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0)
        original.push(
          tensor(`${block}.attn.qkv.${tail}`, 'BF16', [rows, ...parts[0]!.shape.slice(1)], Buffer.concat(parts.map(({ data }) => data))),
        )
        add(`${block}.attn.out.${tail}`, at(layer, `self_attn.o_proj.${tail}`))
        add(`${block}.mlp.gate.${tail}`, at(layer, `mlp.router.${tail}`))
      }
      add(`${block}.attn.norm.scale`, at(layer, 'input_layernorm.weight'))
      add(`${block}.attn.sinks`, at(layer, 'self_attn.sinks'))
      add(`${block}.mlp.norm.scale`, at(layer, 'post_attention_layernorm.weight'))
      for (const [theirs, ours] of [
        ['mlp1', 'gate_up_proj'],
        ['mlp2', 'down_proj'],
      ]) {
        add(`${block}.mlp.${theirs}_weight.blocks`, at(layer, `mlp.experts.${ours}_blocks`))
        add(`${block}.mlp.${theirs}_weight.scales`, at(layer, `mlp.experts.${ours}_scales`))
        add(`${block}.mlp.${theirs}_bias`, at(layer, `mlp.experts.${ours}_bias`))
      }
    }
    const config = {
      num_hidden_layers: 4,
      num_experts: 8,
      experts_per_token: 4,
      vocab_size: 512,
      hidden_size: 64,
      intermediate_size: 96,
      swiglu_limit: 7.0,
      head_dim: 16,
      num_attention_heads: 8,
      num_key_value_heads: 2,
      sliding_window: 16,
      initial_context_length: 4096,
      rope_theta: 150000,
      rope_scaling_factor: 32.0,
      rope_ntk_alpha: 1,
      rope_ntk_beta: 32,
    }
    assertEqualWeights(await load(join(fixtures, 'tiny-gpt-oss')), await load(await directory('tiny-gpt-oss', original, config)))
  })

  test('dequantised gpt-oss experts are transposed, decided by name: MXFP4 values come out row by row', async () => {
    const dense = await dequantisedGptOss()
    const packed = await load(join(fixtures, 'tiny-gpt-oss'))
    const config = JSON.parse(readFileSync(join(fixtures, 'tiny-gpt-oss/config.json'), 'utf8'))
    delete config.quantization_config
    const path = await directory('tiny-gpt-oss', dense, config)
    const { architecture, held } = await load(path, 1000)
    assert.equal(architecture.expertDtype, 'bf16')
    for (const name of ['layers.0.feedForward.gateUp', 'layers.3.feedForward.down']) {
      const values = valuesOf(held.get(name)!)
      const { spec, bytes } = packed.held.get(name)!
      const count = values.length
      for (let at = 0; at < count; at += 7) {
        const scale = 2 ** (bytes[count / 2 + Math.floor(at / 32)]! - 127)
        const byte = bytes[at >> 1]!
        assert.equal(values[at], FP4_VALUES[at % 2 ? byte >> 4 : byte & 15]! * scale, `${name} [${spec.shape}] at ${at}`)
      }
    }
  })

  test('experts published one by one become interleaved rows', async () => {
    const raw = await rawTensors(join(fixtures, 'tiny-mixtral'))
    const { held } = await load(join(fixtures, 'tiny-mixtral'))
    const { bytes, spec } = held.get('layers.2.feedForward.gateUp')! // [6, 192, 64]
    assert.deepEqual(spec.shape, [6, 192, 64])
    for (const [expert, j] of [
      [0, 0],
      [3, 95],
      [5, 17],
    ] as const) {
      for (const [offset, name] of ['w1', 'w3'].entries()) {
        const row = bytes.subarray((expert * 192 + 2 * j + offset) * 128, (expert * 192 + 2 * j + offset + 1) * 128)
        const published = raw.get(`model.layers.2.block_sparse_moe.experts.${expert}.${name}.weight`)!.data.subarray(j * 128, (j + 1) * 128)
        assert.ok(published.equals(row))
      }
    }
  })
})

describe('a checkpoint that does not fit its architecture', () => {
  test('missing, surplus, misshapen and mistyped tensors are all named in one error', async () => {
    const raw = await rawTensors(join(fixtures, 'tiny-llama'))
    raw.delete('model.layers.1.self_attn.k_proj.weight')
    const q = raw.get('model.layers.0.self_attn.q_proj.weight')!
    raw.set(q.name, tensor(q.name, 'BF16', [32, 128], q.data))
    const norm = raw.get('model.norm.weight')!
    raw.set(norm.name, tensor(norm.name, 'I16', norm.shape, norm.data))
    raw.set('model.layers.9.extra', tensor('model.layers.9.extra', 'F32', [2], Buffer.alloc(8)))
    const sink = memorySink()
    await assert.rejects(loadCheckpoint(await directory('tiny-llama', raw.values()), sink), (error) => {
      assert.ok(error instanceof errors.WeightsMismatchError)
      assert.match(error.message, /4 differences/)
      assert.match(error.message, /missing: model\.layers\.1\.self_attn\.k_proj\.weight \[32, 64\]/)
      assert.match(error.message, /wrong shape: model\.layers\.0\.self_attn\.q_proj\.weight is \[32, 128\], expected \[64, 64\]/)
      assert.match(error.message, /wrong dtype: model\.norm\.weight is I16/)
      assert.match(error.message, /surplus: model\.layers\.9\.extra \[2\]/)
      return true
    })
    assert.equal(sink.held.size, 0)
  })

  for (const [fixture, key] of [
    ['tiny-mixtral', 'num_local_experts'],
    ['tiny-qwen3-moe', 'num_experts'],
    ['tiny-deepseek-v3', 'n_routed_experts'],
    ['tiny-gpt-oss', 'num_local_experts'],
  ] as const)
    test(`${fixture}: millions of experts in config.json are a named error, and no list of names`, async () => {
      const config = JSON.parse(readFileSync(join(fixtures, fixture, 'config.json'), 'utf8'))
      const path = await directory(fixture, (await rawTensors(join(fixtures, fixture))).values(), { ...config, [key]: 2 ** 26 })
      const started = performance.now()
      await assert.rejects(loadCheckpoint(path, memorySink()), (error) => {
        assert.ok(error instanceof errors.WeightsMismatchError)
        assert.match(error.message, /wrong shape: \S+ is \[\d+, \d+\], expected \[67108864, \d+\]/)
        return true
      })
      assert.ok(performance.now() - started < 5000)
    })

  test('a long list is cut', async () => {
    const path = await directory('tiny-gemma', (await rawTensors(join(fixtures, 'tiny-llama'))).values())
    await assert.rejects(loadCheckpoint(path, memorySink()), /and \d+ more\. Check that config\.json/)
  })

  test('a config.json that is no JSON, and none at all', async () => {
    const path = await directory('tiny-llama', [])
    writeFileSync(join(path, 'config.json'), '{')
    await assert.rejects(loadCheckpoint(path, memorySink()), errors.CorruptConfigError)
    rmSync(join(path, 'config.json'))
    await assert.rejects(loadCheckpoint(path, memorySink()), errors.MissingFileError)
    await assert.rejects(loadCheckpoint(join(path, 'absent'), memorySink()), errors.MissingFileError)
  })
})

describe('loading', () => {
  test('reports progress up to the total', async () => {
    const seen: LoadProgress[] = []
    const { weightBytes, checkpoint } = await openModel(await fileFolder(join(fixtures, 'tiny-qwen3-moe')))
    await checkpoint.close()
    await loadCheckpoint(join(fixtures, 'tiny-qwen3-moe'), memorySink(), { onProgress: (progress) => seen.push(progress) })
    assert.equal(seen.at(-1)!.bytes, weightBytes)
    assert.equal(seen.at(-1)!.totalBytes, weightBytes)
    assert.ok(seen.at(-1)!.bytesPerSecond > 0)
    assert.equal(weightBytes, 851_008)
  })

  test('stops at once when aborted, and closes every file', async () => {
    const { folder, reads, open } = await slowFolder(join(fixtures, 'tiny-llama'), 20)
    const stop = new AbortController()
    const sink = memorySink()
    const loading = loadFolder(folder, sink, { signal: stop.signal, readers: 2 })
    setTimeout(() => stop.abort(new Error('enough')), 150)
    await assert.rejects(loading, /enough/)
    const after = reads()
    assert.ok(sink.held.size < 20)
    await new Promise((resolve) => setTimeout(resolve, 60))
    assert.equal(reads(), after)
    assert.equal(open(), 0)
  })

  test('a file cut after opening is a named error', async () => {
    const path = await directory('tiny-llama', (await rawTensors(join(fixtures, 'tiny-llama'))).values())
    const model = await openModel(await fileFolder(path))
    truncateSync(join(path, 'model.safetensors'), 20_000)
    await assert.rejects(loadWeights(model, memorySink()), errors.TruncatedFileError)
    await model.checkpoint.close()
  })

  test('the error of a backend ends the loading', async () => {
    let made = 0
    const weight = async () => {
      if (++made > 3) throw new RangeError('no more memory')
      return { shape: [1], dtype: 'f32' as const }
    }
    await assert.rejects(loadCheckpoint(join(fixtures, 'tiny-llama'), { weight }), /no more memory/)
    assert.ok(made < 3 + 8)
  })

  test('what is loaded has the architecture of its files', async () => {
    const model = await openModel(await fileFolder(join(fixtures, 'tiny-gpt2')))
    await model.checkpoint.close()
    assert.equal(model.architecture.dropout.residual, 0.1)
    const { architecture } = await load(join(fixtures, 'tiny-gpt2'))
    assert.deepEqual(architecture, model.architecture)
    assert.equal(leaves(model.tree).length, 4 + 16 * 3)
  })
})

/** A folder whose reads take a while, with counts of reads begun and files open. */
async function slowFolder(path: string, milliseconds: number) {
  const inner = await fileFolder(path)
  let reads = 0
  let open = 0
  const folder: Folder = {
    ...inner,
    async open(file) {
      const source = await inner.open(file)
      if (!source) return undefined
      open++
      return {
        name: source.name,
        size: source.size,
        async read(offset, into, signal) {
          reads++
          await new Promise((resolve) => setTimeout(resolve, milliseconds))
          await source.read(offset, into, signal)
        },
        async close() {
          open--
          await source.close()
        },
      }
    },
  }
  return { folder, reads: () => reads, open: () => open }
}
