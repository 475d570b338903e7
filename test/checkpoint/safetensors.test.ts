import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import * as errors from '../../src/checkpoint/errors.ts'
import { readHeader } from '../../src/checkpoint/safetensors.ts'
import { blobFolder, blobSource, bytesSource } from '../../src/checkpoint/source.ts'
import { httpFolder, httpSource } from '../../src/checkpoint/source-http.ts'
import { fileFolder, fileSource } from '../../src/checkpoint/source-node.ts'
import { writeSafetensors } from '../../src/checkpoint/write-node.ts'

const checkpoints = join(import.meta.dirname, '../fixtures/checkpoints')
const temporary = mkdtempSync(join(tmpdir(), 'lineage-safetensors-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

/** A file of raw header text and `dataBytes` zeros; the length field may lie. */
function file(header: string, dataBytes = 0, length = BigInt(Buffer.byteLength(header))): Uint8Array {
  const text = Buffer.from(header)
  const bytes = new Uint8Array(8 + text.byteLength + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, length, true)
  bytes.set(text, 8)
  return bytes
}

const tensor = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => JSON.stringify({ dtype, shape, data_offsets: offsets })

/** CPU time since `start`: unlike the clock it does not depend on what else the machine does. */
function cpuMs(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

type ErrorClass = new (...args: never[]) => errors.CheckpointError

const hostile: [string, Uint8Array, ErrorClass, RegExp][] = [
  ['an empty file', new Uint8Array(0), errors.HeaderLengthError, /at least 8 bytes/],
  ['a header of 2^60 bytes', file('{}', 0, 2n ** 60n), errors.HeaderLengthError, /1152921504606846976/],
  ['a header of 2^64 - 1 bytes', file('{}', 0, 2n ** 64n - 1n), errors.HeaderLengthError, /18446744073709551615/],
  ['a header longer than the file', file('{}', 0, 99_000_000n), errors.HeaderLengthError, /99000000/],
  ['bytes that are no JSON', file('{"a": '), errors.CorruptHeaderError, /JSON header/],
  ['bytes that are no UTF-8', file('{"\xff": 1}', 0).with(10, 0xff), errors.CorruptHeaderError, /UTF-8/],
  ['an array as header', file('[]'), errors.CorruptHeaderError, /a JSON object/],
  ['a tensor that is a number', file('{"a": 7}'), errors.CorruptHeaderError, /"a".*dtype, shape, data_offsets.*got 7/],
  ['a NaN size', file('{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}', 4), errors.CorruptHeaderError, /NaN|token/],
  ['a NaN written as null', file(`{"a": ${tensor([Number.NaN], [0, 4])}}`, 4), errors.InvalidSizeError, /got null/],
  [
    'a size that overflows to infinity',
    file('{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 4]}}', 4),
    errors.InvalidSizeError,
    /"a"/,
  ],
  ['a fractional size', file(`{"a": ${tensor([1.5], [0, 6])}}`, 6), errors.InvalidSizeError, /got 1.5/],
  ['a negative size', file(`{"a": ${tensor([-1], [0, 4])}}`, 4), errors.InvalidSizeError, /got -1/],
  ['a size as text', file(`{"a": ${tensor(['1'], [0, 4])}}`, 4), errors.InvalidSizeError, /got "1"/],
  ['2^80 elements', file(`{"a": ${tensor([2 ** 40, 2 ** 40], [0, 4])}}`, 4), errors.InvalidSizeError, /2\^53/],
  ['a negative offset', file(`{"a": ${tensor([1], [-4, 0])}}`, 4), errors.InvalidSizeError, /got -4/],
  ['one offset', file(`{"a": ${tensor([1], [0])}}`, 4), errors.CorruptHeaderError, /array of 1/],
  ['an offset outside the file', file(`{"a": ${tensor([2], [0, 8])}}`, 4), errors.TensorOffsetError, /\[0, 8\]/],
  ['an end before the begin', file(`{"a": ${tensor([1], [4, 0])}}`, 4), errors.TensorOffsetError, /\[4, 0\]/],
  ['too few bytes for the shape', file(`{"a": ${tensor([2], [0, 4])}}`, 4), errors.TensorSizeError, /8 bytes for F32 \[2\]/],
  ['an unknown dtype', file(`{"a": ${tensor([1], [0, 4], 'Q4')}}`, 4), errors.UnknownDtypeError, /got "Q4"/],
  ['the dtype "toString"', file(`{"a": ${tensor([1], [0, 4], 'toString')}}`, 4), errors.UnknownDtypeError, /toString/],
  ['overlapping ranges', file(`{"a": ${tensor([2], [0, 8])}, "b": ${tensor([2], [4, 12])}}`, 12), errors.OverlapError, /"b".*"a"/],
  ['a hole between tensors', file(`{"a": ${tensor([1], [0, 4])}, "b": ${tensor([1], [8, 12])}}`, 12), errors.HoleError, /"b"/],
  ['bytes after the last tensor', file(`{"a": ${tensor([1], [0, 4])}}`, 12), errors.HoleError, /file of \d+ bytes/],
  ['a name twice', file(`{"a": ${tensor([1], [0, 4])}, "\\u0061": ${tensor([1], [0, 4])}}`, 4), errors.DuplicateTensorError, /"a"/],
  [
    'a field twice',
    file('{"a": {"dtype": "F32", "shape": [1], "shape": [1], "data_offsets": [0, 4]}}', 4),
    errors.DuplicateTensorError,
    /shape/,
  ],
  ['metadata that is no text', file('{"__metadata__": {"a": 1}}'), errors.CorruptHeaderError, /__metadata__/],
]

describe('a hostile safetensors file is a named error, at once and without allocating', () => {
  for (const [name, bytes, expected, message] of hostile) {
    test(name, async () => {
      const before = process.memoryUsage().arrayBuffers
      const start = process.cpuUsage()
      await assert.rejects(readHeader(bytesSource(bytes, 'hostile.safetensors')), (error) => {
        assert.ok(error instanceof expected, `${(error as Error).name}: ${(error as Error).message}`)
        assert.equal(error.name, expected.name)
        assert.match(error.message, message)
        assert.match(error.message, /hostile\.safetensors.*expected .*, got .*\. \w.*/s)
        return true
      })
      assert.ok(cpuMs(start) < 500)
      assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20)
    })
  }

  test('nested brackets do not overflow the stack, and a long name does not flood the message', async () => {
    const deep = `{"a": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`
    await assert.rejects(readHeader(bytesSource(file(deep))), errors.CheckpointError)
    const long = `{"${'x'.repeat(1_000_000)}": 1}`
    await assert.rejects(readHeader(bytesSource(file(long))), (error: Error) => error.message.length < 1000)
  })

  test('random damage to a real header never ends in anything but a named error or a valid header', async () => {
    const good = readFileSync(join(checkpoints, 'tiny-qwen3/model.safetensors'))
    const headerBytes = Number(good.readBigUInt64LE(0))
    let state = 1
    const random = (below: number) => (state = (state * 48271) % 0x7fffffff) % below
    let rejected = 0
    for (let round = 0; round < 400; round++) {
      const bad = new Uint8Array(good)
      for (let n = random(3); n >= 0; n--) bad[random(8 + headerBytes)] = random(256)
      try {
        await readHeader(bytesSource(bad))
      } catch (error) {
        rejected++
        if (!(error instanceof errors.CheckpointError)) throw error
      }
    }
    assert.ok(rejected > 100, `${rejected} of 400 damaged headers were noticed`)
  })
})

test('a header of 20,000 tensors is checked in well under a second', async () => {
  const entries = Array.from(
    { length: 20_000 },
    (_, i) => `"model.layers.${i}.mlp.experts.weight": ${tensor([2, 2], [i * 16, i * 16 + 16])}`,
  )
  const bytes = file(`{${entries.join(',')}}`, 20_000 * 16)
  const start = process.cpuUsage()
  const header = await readHeader(bytesSource(bytes))
  assert.ok(cpuMs(start) < 900)
  assert.equal(header.tensors.size, 20_000)
})

test('empty tensors, scalars and every order of entries are accepted', async () => {
  const header = `{"__metadata__": {"format": "pt"}, "b": ${tensor([1], [4, 8])}, "none": ${tensor([0, 3], [4, 4])}, "a": ${tensor([], [0, 4])}}`
  const { tensors, metadata } = await readHeader(bytesSource(file(header, 8)))
  assert.deepEqual([...tensors.keys()], ['b', 'none', 'a'])
  assert.equal(tensors.get('a')!.offset, 8 + header.length)
  assert.deepEqual(metadata, { format: 'pt' })
})

describe('sources agree', () => {
  const path = join(checkpoints, 'tiny-llama/model.safetensors')
  const bytes = readFileSync(path)
  const server = createServer((request, response) => {
    if (request.url !== '/model.safetensors') return void response.writeHead(404).end()
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (!range) return void response.end(bytes)
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}` }).end(bytes.subarray(from, to + 1))
  })
  after(() => server.close())

  test('file, memory, blob and HTTP ranges read the same bytes, also into shared memory', async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const all = [await fileSource(path), bytesSource(bytes), blobSource(new Blob([bytes])), await httpSource(`${url}/model.safetensors`)]
    all.push(await httpSource(`${url}/model.safetensors`, { windowBytes: 1000 }))
    for (const source of all) {
      assert.ok(source)
      assert.equal(source.size, bytes.length)
      const into = new Uint8Array(new SharedArrayBuffer(5000), 3, 4001)
      await source.read(1234, into)
      assert.deepEqual(Buffer.from(into), bytes.subarray(1234, 1234 + 4001))
      await assert.rejects(source.read(bytes.length - 3, new Uint8Array(4)), errors.TruncatedFileError)
      await assert.rejects(source.read(0, new Uint8Array(4), AbortSignal.abort(new Error('enough'))), /enough/)
      await source.close()
    }
    assert.equal(await httpSource(`${url}/absent`), undefined)
    assert.equal(await fileSource(`${path}.absent`), undefined)
    const remote = await openCheckpoint(httpFolder(url))
    const local = await openCheckpoint(await fileFolder(join(checkpoints, 'tiny-llama')))
    const chosen = await openCheckpoint(blobFolder([new File([bytes], 'model.safetensors')]))
    assert.deepEqual([...remote.tensors.keys()], [...local.tensors.keys()])
    assert.deepEqual([...chosen.tensors.keys()], [...local.tensors.keys()])
    await Promise.all([remote.close(), local.close(), chosen.close()])
  })

  test('direct reads give the same bytes, whether file and memory are aligned alike or not', async () => {
    const path = join(temporary, 'large.safetensors')
    const bytes = Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 2654435761) >>> 11)
    writeFileSync(path, bytes)
    const source = (await fileSource(path, { direct: true }))!
    const memory = new Uint8Array(new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true }).buffer)
    for (const [offset, length, address] of [
      [0, 1_500_000, 0],
      [12_345, 1_000_000, 12_345],
      [12_345, 1_000_001, 12_345 + 4096],
      [100, 700_000, 0],
      [1_400_000, 100_000, 1_400_000 % 4096],
    ] as const) {
      memory.fill(7)
      await source.read(offset, memory.subarray(address, address + length))
      assert.ok(
        Buffer.from(memory.slice(address, address + length)).equals(bytes.subarray(offset, offset + length)),
        `${offset}, ${length}`,
      )
      assert.equal(memory[address + length], 7)
    }
    // The view has the alignment of the file, but its memory is not page-aligned.
    const odd = Buffer.allocUnsafeSlow(1_000_000)
    await source.read(0, new Uint8Array(odd.buffer, 0, 1_000_000))
    assert.ok(odd.equals(bytes.subarray(0, 1_000_000)))
    truncateSync(path, 900_000)
    await assert.rejects(source.read(0, memory.subarray(0, 1_500_000)), errors.TruncatedFileError)
    await source.close()
  })

  test('a file cut after opening and a failing read are named errors', async () => {
    const cut = join(temporary, 'cut.safetensors')
    writeFileSync(cut, bytes)
    const source = (await fileSource(cut))!
    writeFileSync(cut, bytes.subarray(0, 1000))
    await assert.rejects(source.read(500, new Uint8Array(1000)), errors.TruncatedFileError)
    await source.close()
    await assert.rejects(source.read(0, new Uint8Array(4)), errors.ReadFailedError)
    await assert.rejects(fileSource(temporary), errors.MissingFileError)
  })
})

describe('shards', () => {
  const directory = (name: string, files: Record<string, string | Uint8Array>) => {
    const path = mkdtempSync(join(temporary, `${name}-`))
    for (const [file, content] of Object.entries(files)) writeFileSync(join(path, file), content)
    return path
  }
  const open = async (path: string) => openCheckpoint(await fileFolder(path))
  const shard = (name: string) => file(`{"${name}": ${tensor([1], [0, 4])}}`, 4)
  const index = (map: Record<string, unknown>) => JSON.stringify({ metadata: { total_size: 8 }, weight_map: map })

  test('the published two-shard checkpoint opens through its index', async () => {
    const checkpoint = await open(join(checkpoints, 'tiny-qwen3-moe'))
    assert.equal(checkpoint.sources.length, 2)
    assert.equal(checkpoint.tensorBytes, 851_008)
    await checkpoint.close()
  })

  test('numbered shards without an index, also with two hyphens and counted from 0', async () => {
    for (const names of [
      ['model-00001-of-00002', 'model-00002-of-00002'],
      ['model--00001-of-00002', 'model--00002-of-00002'],
      ['model-00000-of-00001', 'model-00001-of-00001'],
    ]) {
      const path = directory('numbered', { [`${names[0]}.safetensors`]: shard('a'), [`${names[1]}.safetensors`]: shard('b') })
      const checkpoint = await open(path)
      assert.deepEqual([...checkpoint.tensors.keys()], ['a', 'b'])
      await checkpoint.close()
    }
  })

  test('attributes that macOS keeps beside the files are none', async () => {
    for (const name of ['weights', 'model-00001-of-00001']) {
      const path = directory('macos', { [`${name}.safetensors`]: shard('a'), [`._${name}.safetensors`]: '\0\x05\x16\x07' })
      await (await open(path)).close()
    }
  })

  const cases: [string, Record<string, string | Uint8Array>, ErrorClass, RegExp][] = [
    [
      'a missing shard',
      { 'model.safetensors.index.json': index({ a: 'x.safetensors' }) },
      errors.MissingShardError,
      /x\.safetensors.*pull/,
    ],
    ['a missing numbered shard', { 'model-00001-of-00002.safetensors': shard('a') }, errors.MissingShardError, /model-00002-of-00002/],
    [
      'an index that leaves the directory',
      { 'model.safetensors.index.json': index({ a: '../x.safetensors' }) },
      errors.UnsafePathError,
      /"\.\.\/x/,
    ],
    ['an absolute path', { 'model.safetensors.index.json': index({ a: '/etc/x.safetensors' }) }, errors.UnsafePathError, /"\/etc/],
    ['a Windows path', { 'model.safetensors.index.json': index({ a: '..\\x.safetensors' }) }, errors.UnsafePathError, /plain name/],
    ['an index that is no JSON', { 'model.safetensors.index.json': '{' }, errors.CorruptIndexError, /JSON/],
    ['an index without weight_map', { 'model.safetensors.index.json': '{}' }, errors.CorruptIndexError, /weight_map/],
    ['an index with a number', { 'model.safetensors.index.json': index({ a: 1 }) }, errors.CorruptIndexError, /file name, got 1/],
    ['an empty directory', {}, errors.MissingFileError, /no safetensors file/],
    [
      'an index that promises more than the shard holds',
      { 'model.safetensors.index.json': index({ a: 'x.safetensors', b: 'x.safetensors' }), 'x.safetensors': shard('a') },
      errors.MissingTensorError,
      /"b"/,
    ],
    [
      'a tensor in two shards',
      { 'model-00001-of-00002.safetensors': shard('a'), 'model-00002-of-00002.safetensors': shard('a') },
      errors.DuplicateTensorError,
      /"a".*00001/,
    ],
  ]
  for (const [name, files, expected, message] of cases) {
    test(name, async () => {
      await assert.rejects(open(directory('bad', files)), (error) => {
        assert.ok(error instanceof expected, String(error))
        assert.match(error.message, message)
        return true
      })
    })
  }
})

describe('writing', () => {
  test('what is written is read back, begins aligned, and leaves no temporary file', async () => {
    const path = join(temporary, 'out', 'model.safetensors')
    const data = new Uint8Array([1, 2, 3, 4, 5, 6])
    const tensors = [
      { name: 'odd', dtype: 'U8' as const, shape: [3], bytes: () => [data.subarray(0, 2), data.subarray(2, 3)] },
      { name: 'half', dtype: 'BF16' as const, shape: [1, 1], bytes: () => [data.subarray(3, 5)] },
    ]
    const size = await writeSafetensors(path, tensors, { metadata: { made: 'here' } })
    const source = (await fileSource(path))!
    assert.equal(source.size, size)
    const header = await readHeader(source)
    assert.equal(header.dataStart % 8, 0)
    assert.deepEqual(header.metadata, { made: 'here' })
    const half = header.tensors.get('half')!
    const into = new Uint8Array(2)
    await source.read(half.offset, into)
    assert.deepEqual([...into], [4, 5])
    await source.close()
    assert.deepEqual(readdirSync(join(temporary, 'out')), ['model.safetensors'])
  })

  test('a tensor with too few bytes saves nothing', async () => {
    const path = join(temporary, 'none', 'model.safetensors')
    const short = { name: 'a', dtype: 'F32' as const, shape: [2], bytes: () => [new Uint8Array(4)] }
    await assert.rejects(writeSafetensors(path, [short]), errors.TensorSizeError)
    assert.deepEqual(readdirSync(join(temporary, 'none')), [])
  })
})
