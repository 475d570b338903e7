/**
 * Loading into the backend that people use: through many small arenas, with the embedding table left in its file, and with
 * everything that can go wrong on the way. Errors have names, and nothing stays open or running after them.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ReadFailedError, TruncatedFileError } from '../src/checkpoint/errors.ts'
import { loadFolder } from '../src/checkpoint/load.ts'
import type { Folder } from '../src/checkpoint/source.ts'
import { fileFolder, fileSource } from '../src/checkpoint/source-node.ts'
import { type IdsModel, type LoadIdsOptions, loadIds } from '../src/load-model-node.ts'
import { createWasmBackend, type WasmOptions } from '../src/ops/wasm/wasm.ts'
import { lastLogits, someIds } from './engine/model.ts'

const fixtures = fileURLToPath(new URL('./fixtures/checkpoints/', import.meta.url))
const temporary = mkdtempSync(join(tmpdir(), 'lineage-load-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

/** A checkpoint of our own to damage. */
function copyOf(fixture: string): string {
  const directory = join(mkdtempSync(join(temporary, 'copy-')), fixture)
  cpSync(fixtures + fixture, directory, { recursive: true })
  return directory
}

/** Files of a directory that this process holds open. */
function openFiles(directory: string): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`)
      } catch {
        return ''
      }
    })
    .filter((path) => path.startsWith(directory))
}
const noProc = process.platform !== 'linux' && 'open files are counted in /proc'

async function logitsThrough(checkpoint: string, options: WasmOptions): Promise<Float32Array> {
  const backend = await createWasmBackend(options)
  try {
    const { architecture, weights } = await loadFolder(await fileFolder(fixtures + checkpoint), backend)
    return await lastLogits({ backend, architecture, weights }, someIds(40, architecture.vocabSize))
  } finally {
    await backend.dispose()
  }
}

describe('arenas', () => {
  for (const [checkpoint, precision, threads] of [
    ['tiny-gpt-oss', 'faithful', 2],
    ['tiny-gpt-oss', 'fast', 0],
    ['tiny-qwen3-moe', 'fast', 2],
    ['tiny-gpt2', 'faithful', 0],
  ] as const)
    test(`${checkpoint}, ${precision}, ${threads} threads: the same bits in one arena and in many`, async () => {
      // The largest weight of the fixtures has 128 KB, so that each arena holds one or two.
      const [one, many] = [
        { precision, threads },
        { precision, threads, arenaBytes: 3 * 65536 },
      ]
      assert.deepEqual(await logitsThrough(checkpoint, many), await logitsThrough(checkpoint, one))
    })
})

const options = { threads: 1, context: 64, slots: 1 } satisfies LoadIdsOptions
const answer = async ({ engine, architecture }: IdsModel) =>
  (await engine.generate(someIds(20, architecture.vocabSize), { maxTokens: 8, stopIds: [] }).result).ids

describe('low memory', () => {
  for (const [checkpoint, precision] of [
    ['tiny-gpt-oss', 'faithful'],
    ['tiny-gpt-oss', 'fast'],
    ['tiny-gpt2', 'faithful'],
  ] as const)
    test(`${checkpoint}, ${precision}: the same answer without the table in memory`, async () => {
      const usual = await loadIds(fixtures + checkpoint, { ...options, precision })
      const low = await loadIds(fixtures + checkpoint, { ...options, precision, lowMemory: true })
      assert.deepEqual(await answer(low), await answer(usual))
      const { tieWordEmbeddings, vocabSize, hiddenSize, embedding } = usual.architecture
      const bytesEach = usual.architecture.dtype === 'f32' ? 4 : 2
      const learned = embedding.position.kind === 'learned' ? embedding.position.length : 0
      const tables = ((tieWordEmbeddings ? 0 : vocabSize) + learned) * hiddenSize * bytesEach
      assert.equal(usual.backend.memory().weights - low.backend.memory().weights, tables)
      await Promise.all([usual.dispose(), low.dispose()])
    })

  test('the reference, which keeps everything, gives the same', async () => {
    const model = await loadIds(`${fixtures}tiny-gpt-oss`, { ...options, backend: 'reference', lowMemory: true })
    const usual = await loadIds(`${fixtures}tiny-gpt-oss`, options)
    assert.deepEqual(await answer(model), await answer(usual))
    await Promise.all([model.dispose(), usual.dispose()])
  })

  test('files stay open until the model is disposed of, and no longer', { skip: noProc }, async () => {
    const directory = copyOf('tiny-gpt-oss')
    const usual = await loadIds(directory, options)
    assert.deepEqual(openFiles(directory), [])
    await usual.dispose()
    const low = await loadIds(directory, { ...options, lowMemory: true })
    assert.equal(openFiles(directory).length, 1)
    await low.dispose()
    assert.deepEqual(openFiles(directory), [])
    await assert.rejects(loadIds(directory, { ...options, lowMemory: true, context: 1e9 }), /context must be/)
    assert.deepEqual(openFiles(directory), [])
  })

  test('a file cut while the model answers ends that answer with a named error, not the engine', async () => {
    const directory = copyOf('tiny-gpt-oss')
    const file = join(directory, 'model.safetensors')
    const model = await loadIds(directory, { ...options, lowMemory: true })
    const wanted = await answer(model)
    const whole = readFileSync(file)
    truncateSync(file, 5000)
    await assert.rejects(model.engine.generate(someIds(20, 512, 9), { maxTokens: 8 }).result, TruncatedFileError)
    writeFileSync(file, whole) // into the same file, which the model has open
    assert.deepEqual(await answer(model), wanted)
    await model.dispose()
  })
})

/** The folder, with something done to its weights just before read number `at` of them. */
async function sabotaged(directory: string, at: number, attack: () => void | Promise<void>): Promise<Folder> {
  const inner = await fileFolder(directory)
  let reads = 0
  return {
    ...inner,
    async open(file) {
      const source = await inner.open(file)
      if (!source?.name.endsWith('.safetensors')) return source
      const { name, size, close } = source
      return {
        name,
        size,
        close,
        async read(offset, into, signal) {
          if (++reads === at) await attack()
          await source.read(offset, into, signal)
        },
      }
    },
  }
}

describe('a load that fails', () => {
  // The first two reads are the header's, and some dozens of weights follow.
  for (const precision of ['faithful', 'fast'] as const)
    for (const at of [4, 30])
      test(`${precision}: the file is cut before read ${at}`, { skip: noProc }, async () => {
        const directory = copyOf('tiny-gpt-oss')
        const folder = await sabotaged(directory, at, () => truncateSync(join(directory, 'model.safetensors'), 9000))
        await assert.rejects(loadIds(folder, { ...options, precision }), TruncatedFileError)
        assert.deepEqual(openFiles(directory), [])
      })

  test('a read fails', { skip: noProc }, async () => {
    const directory = copyOf('tiny-gpt-oss')
    // Address 0 of a process cannot be read: the operating system answers as it does for a broken disk (EIO).
    const broken = (await fileSource('/proc/self/mem'))!
    const folder = await sabotaged(directory, 20, () => broken.read(0, new Uint8Array(100)))
    await assert.rejects(loadIds(folder, options), (error) => error instanceof ReadFailedError && /EIO/.test(error.message))
    await broken.close()
    assert.deepEqual(openFiles(directory), [])
  })

  test('cancelled half-way', { skip: noProc }, async () => {
    const directory = copyOf('tiny-gpt-oss')
    const stop = new AbortController()
    const folder = await sabotaged(directory, 20, () => stop.abort(new Error('enough')))
    await assert.rejects(loadIds(folder, { ...options, signal: stop.signal }), /enough/)
    assert.deepEqual(openFiles(directory), [])
  })
})
