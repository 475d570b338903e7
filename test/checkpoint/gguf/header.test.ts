/** Headers of GGUF files: what is refused and in which words, split sets, and thousands of damaged files. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ConfigError } from '../../../src/architecture/config-json.ts'
import * as errors from '../../../src/checkpoint/errors.ts'
import { ggufFiles, ggufFolder } from '../../../src/checkpoint/gguf/folder.ts'
import { type GgufHeader, readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { openModel } from '../../../src/checkpoint/load.ts'
import { bytesSource, type Folder } from '../../../src/checkpoint/source.ts'
import { fileFolder } from '../../../src/checkpoint/source-node.ts'
import { tokenizerFiles } from '../../../src/tokenizer/files.ts'
import { loadCheckpoint } from '../load-directory.ts'
import { memorySink } from '../memory-sink.ts'
import { type TestTensor, type Value, writeGguf } from './write-gguf.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/gguf/', import.meta.url))
const temporary = mkdtempSync(join(tmpdir(), 'lineage-gguf-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const string = (value: string): Value => ({ type: 'string', value })
const number = (value: number): Value => ({ type: 'u32', value })
const f32 = (name: string, shape: number[]): TestTensor => {
  return { name, shape, type: 0, data: new Uint8Array(4 * shape.reduce((product, n) => product * n, 1)) }
}
const read = (bytes: Uint8Array): Promise<GgufHeader> => readGgufHeader(bytesSource(bytes, 'x.gguf'))

test('values of every type, and shapes in row-major order', async () => {
  const values: Record<string, Value> = {
    a: string('Grüße \ufeff'),
    b: number(7),
    c: { type: 'f32', value: 0.5 },
    d: { type: 'bool', value: true },
    e: { type: 'strings', value: ['x', '', 'yz'] },
    f: { type: 'i32s', value: [-1, 2] },
    g: { type: 'u64', value: 2 ** 40 },
    h: { type: 'i32', value: -5 },
  }
  const { metadata, tensors } = await read(writeGguf(values, [f32('t', [2, 3]), f32('u', [5])]))
  assert.deepEqual(Object.fromEntries(metadata), Object.fromEntries(Object.entries(values).map(([key, { value }]) => [key, value])))
  assert.deepEqual(
    [...tensors.values()].map(({ name, shape, byteLength }) => [name, shape, byteLength]),
    [
      ['t', [2, 3], 24],
      ['u', [5], 20],
    ],
  )
})

describe('what is refused', () => {
  const good = () => writeGguf({ 'general.architecture': string('llama') }, [f32('t', [2, 3]), f32('u', [8])])
  const changed = (change: (bytes: Buffer) => unknown): Buffer => {
    const bytes = good()
    change(bytes)
    return bytes
  }
  /** Where the offset of the tensor "u" stands, behind its length and its type. */
  const offsetOf = (bytes: Buffer) => bytes.indexOf('\x01\0\0\0\0\0\0\0u', 0, 'latin1') + 9 + 4 + 8 + 4
  /** Position of the first byte behind a text. */
  const behind = (bytes: Buffer, word: string) => bytes.indexOf(word) + word.length
  const cases: [string, Buffer, new (...args: never[]) => Error, RegExp][] = [
    ['version 1', changed((bytes) => void bytes.writeUInt32LE(1, 4)), errors.WrongFormatError, /version 1\. Versions of 2023/],
    ['version 9', changed((bytes) => void bytes.writeUInt32LE(9, 4)), errors.WrongFormatError, /version 9.*newer than this program/],
    ['big endian', changed((bytes) => void bytes.writeUInt32BE(3, 4)), errors.WrongFormatError, /big-endian file of version 3/],
    ['a pointer', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:ab\n'), errors.WrongFormatError, /Git LFS pointer/],
    ['an empty file', Buffer.alloc(0), errors.WrongFormatError, /which begins with "GGUF"/],
    ['20 bytes', good().subarray(0, 20), errors.TruncatedFileError, /a file of 20 bytes/],
    ['the end in the header', good().subarray(0, 60), errors.TruncatedFileError, /the end of the file at byte 60/],
    ['the end in the data', good().subarray(0, -32), errors.TensorOffsetError, /tensor "u": expected 32 bytes of F32 \[8\] within a file/],
    ['bytes behind the data', Buffer.concat([good(), Buffer.alloc(32)]), errors.HoleError, /which the header describes/],
    [
      'too many tensors',
      changed((bytes) => void bytes.writeBigUInt64LE(1n << 60n, 8)),
      errors.HeaderLengthError,
      /number of tensors that fits/,
    ],
    ['too many values', changed((bytes) => void bytes.writeBigUInt64LE(1n << 50n, 16)), errors.HeaderLengthError, /metadata values/],
    [
      'a long key',
      changed((bytes) => void bytes.writeBigUInt64LE(1n << 40n, 24)),
      errors.CorruptHeaderError,
      /a metadata key of 1 to 65535/,
    ],
    [
      'an unknown type of value',
      changed((bytes) => void bytes.writeUInt32LE(99, behind(bytes, 'general.architecture'))),
      errors.CorruptHeaderError,
      /"general\.architecture" of a known type \(0 to 12\), got type 99/,
    ],
    [
      'a long text',
      changed((bytes) => void bytes.writeBigUInt64LE(1n << 45n, behind(bytes, 'general.architecture') + 4)),
      errors.HeaderLengthError,
      /"general\.architecture" within the file/,
    ],
    ['a key twice', writeTwice(), errors.CorruptHeaderError, /"a" twice/],
    ['a tensor twice', writeGguf({}, [f32('t', [8]), f32('t', [8])]), errors.DuplicateTensorError, /tensor "t"/],
    ['five dimensions', writeGguf({}, [f32('t', [1, 1, 1, 1, 1])]), errors.InvalidSizeError, /1 to 4 dimensions, got 5/],
    ['a dimension of 0', writeGguf({}, [f32('t', [0, 2])]), errors.InvalidSizeError, /dimension 1 as 0/],
    [
      '2^60 values',
      writeGguf({}, [{ name: 't', shape: [2 ** 30, 2 ** 30], type: 0, data: new Uint8Array(8) }]),
      errors.InvalidSizeError,
      /below 2\^53/,
    ],
    [
      'an unknown type',
      writeGguf({}, [{ name: 't', shape: [8], type: 77, data: new Uint8Array(8) }]),
      errors.UnknownDtypeError,
      /tensor "t".*type 77.*Q4_K_M or Q8_0/,
    ],
    [
      'rows of half a block',
      writeGguf({}, [{ name: 't', shape: [2, 48], type: 8, data: new Uint8Array(102) }]),
      errors.TensorSizeError,
      /whole blocks of 32 values in Q8_0, got rows of 48/,
    ],
    ['shared bytes', changed((bytes) => void bytes.writeBigUInt64LE(0n, offsetOf(bytes))), errors.OverlapError, /tensor "u"/],
    ['an offset between', changed((bytes) => void bytes.writeBigUInt64LE(36n, offsetOf(bytes))), errors.CheckpointError, /tensor "u"/],
    [
      'an odd alignment',
      writeGguf({ 'general.alignment': number(24) }, [f32('t', [8])]),
      errors.InvalidSizeError,
      /general\.alignment as a power of two.*got 24/,
    ],
  ]
  for (const [name, bytes, kind, message] of cases)
    test(name, () =>
      assert.rejects(read(bytes), (error: Error) => {
        assert.ok(error instanceof kind, `${error.name}: ${error.message}`)
        assert.match(error.message, message)
        assert.match(error.message, /^x\.gguf: /)
        return true
      }),
    )

  function writeTwice(): Buffer {
    const bytes = writeGguf({ a: number(1), b: number(2) }, [])
    bytes[bytes.indexOf('\x01\0\0\0\0\0\0\0b', 0, 'latin1') + 8] = 'a'.charCodeAt(0)
    return bytes
  }
})

describe('models that are refused', () => {
  const base: Record<string, Value> = {
    'general.architecture': string('llama'),
    'llama.block_count': number(1),
    'llama.context_length': number(64),
    'llama.embedding_length': number(32),
    'llama.feed_forward_length': number(32),
    'llama.attention.head_count': number(4),
    'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
  }
  const blocks = (name: string, type: number, bytes: number): TestTensor => ({
    name,
    shape: [2, 256],
    type,
    data: new Uint8Array(2 * bytes),
  })
  const embedding = f32('token_embd.weight', [16, 32])
  const cases: [string, Record<string, Value>, TestTensor[], RegExp][] = [
    [
      'another architecture',
      { 'general.architecture': string('rwkv7') },
      [embedding],
      /expected one of the architectures llama, .*got "rwkv7"/,
    ],
    ["Ollama's gpt-oss", { 'general.architecture': string('gptoss') }, [embedding], /ggml-org\/gpt-oss-20b-GGUF/],
    ['no architecture', {}, [embedding], /"general\.architecture", got nothing/],
    ['an adapter', { ...base, 'general.type': string('adapter') }, [embedding], /an adapter \(LoRA\) as GGUF.*layout of PEFT/],
    ['a projector', { 'general.architecture': string('clip') }, [embedding], /projector of a model for images/],
    ['a vocabulary', base, [], /a file with metadata only/],
    ['no layers', without(base, 'llama.block_count'), [embedding], /a number in the metadata "llama\.block_count", got nothing/],
    [
      'a text as a size',
      { ...base, 'llama.embedding_length': string('64') },
      [embedding],
      /a number in the metadata "llama\.embedding_length", got 64/,
    ],
    ['heads that do not divide', { ...base, 'llama.attention.head_count': number(5) }, [embedding], /num_attention_heads/],
    [
      'IQ2_XXS',
      base,
      [embedding, blocks('blk.0.ffn_up.weight', 16, 66)],
      /tensor "blk\.0\.ffn_up\.weight": expected a type that is read \(F32, .*got IQ2_XXS.*Q4_K_M or Q8_0/,
    ],
    ['IQ1_S', base, [embedding, blocks('blk.0.ffn_up.weight', 19, 50)], /got IQ1_S/],
    ['TQ2_0', base, [embedding, blocks('blk.0.ffn_up.weight', 35, 66)], /got TQ2_0/],
    ['NVFP4', base, [embedding, blocks('blk.0.ffn_up.weight', 40, 144)], /got NVFP4/],
    ['no embedding', base, [f32('output.weight', [16, 32])], /the tensor "token_embd\.weight", got none/],
    ['missing tensors', base, [embedding], /missing: blk\.0\.attn_q\.weight \[32, 32\]/],
    ['a surplus tensor', base, [embedding, f32('blk.0.strange.weight', [4])], /surplus: blk\.0\.strange\.weight \[4\]/],
    [
      'a wrong shape',
      base,
      [embedding, f32('blk.0.attn_q.weight', [16, 32])],
      /wrong shape: blk\.0\.attn_q\.weight is \[16, 32\], expected \[32, 32\]/,
    ],
  ]
  for (const [name, metadata, tensors, message] of cases)
    test(name, () =>
      assert.rejects(openModel(ggufFolder(memoryFolder({ 'x.gguf': writeGguf(metadata, tensors) }), 'x.gguf')), (error: Error) => {
        assert.ok(error instanceof errors.CheckpointError || error instanceof ConfigError, `${error.name}: ${error.message}`)
        assert.match(error.message, message)
        return true
      }),
    )

  const tokenizer = {
    'tokenizer.ggml.model': string('gpt2'),
    'tokenizer.ggml.tokens': { type: 'strings', value: ['a', 'b'] },
  } satisfies Record<string, Value>
  const tokenizers: [string, Record<string, Value>, RegExp][] = [
    ['a kind that is not read', { 'tokenizer.ggml.model': string('rwkv') }, /kinds gpt2, llama, gemma4, got the kind "rwkv"/],
    ['a splitting expression of no known name', { ...tokenizer, 'tokenizer.ggml.pre': string('new') }, /"tokenizer\.ggml\.pre", got new/],
    ['no merges', tokenizer, /"tokenizer\.ggml\.merges", got nothing/],
    ['no scores', { ...tokenizer, 'tokenizer.ggml.model': string('llama') }, /"tokenizer\.ggml\.scores", got nothing/],
    ['a spelling twice', { ...tokenizer, 'tokenizer.ggml.tokens': { type: 'strings', value: ['a', 'a'] } }, /"a" as 0 and as 1/],
    ['fewer kinds than tokens', { ...tokenizer, 'tokenizer.ggml.token_type': { type: 'i32s', value: [1] } }, /2 kinds, one per token/],
  ]
  for (const [name, values, message] of tokenizers)
    test(`a tokenizer with ${name}`, () => {
      const folder = ggufFolder(memoryFolder({ 'x.gguf': writeGguf({ ...base, ...values }, [embedding]) }), 'x.gguf')
      return assert.rejects(folder.open('tokenizer.json'), message)
    })
})

describe('split sets', () => {
  /** The tensors of tiny-qwen2 in three files, all metadata in the first, as llama.cpp's gguf-split writes them. */
  async function split(): Promise<Record<string, Buffer>> {
    const whole = readFileSync(join(fixtures, 'tiny-qwen2.gguf'))
    const { metadata, tensors } = await read(whole)
    const all = [...tensors.values()].map((entry): TestTensor => {
      const type = { F32: 0, F16: 1, BF16: 30 }[entry.dtype as string]!
      return { name: entry.name, shape: entry.shape, type, data: whole.subarray(entry.offset, entry.offset + entry.byteLength) }
    })
    const plain = [...metadata].flatMap(([key, value]): [string, Value][] => {
      if (typeof value === 'string') return [[key, string(value)]]
      if (typeof value === 'boolean') return [[key, { type: 'bool', value }]]
      if (typeof value === 'number') return [[key, { type: Number.isInteger(value) ? 'u32' : 'f32', value }]]
      if (Array.isArray(value))
        return [[key, (typeof value[0] === 'string' ? { type: 'strings', value } : { type: 'i32s', value }) as Value]]
      return []
    })
    const files: Record<string, Buffer> = {}
    for (let part = 0; part < 3; part++) {
      const numbers: Record<string, Value> = {
        'split.no': { type: 'u16', value: part },
        'split.count': { type: 'u16', value: 3 },
        'split.tensors.count': { type: 'i32', value: all.length },
      }
      const own = all.filter((_, n) => n % 3 === part)
      files[`m-0000${part + 1}-of-00003.gguf`] = writeGguf({ ...(part === 0 ? Object.fromEntries(plain) : {}), ...numbers }, own)
    }
    return files
  }

  const inFolder = (files: Record<string, Buffer>): string => {
    const path = mkdtempSync(join(temporary, 'split-'))
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(path, name), bytes)
    return path
  }

  test('a folder, the first file and any other file are the model', async () => {
    const expected = memorySink()
    await loadCheckpoint(join(fixtures, 'tiny-qwen2.gguf'), expected)
    const path = inFolder(await split())
    for (const place of [path, join(path, 'm-00001-of-00003.gguf'), join(path, 'm-00003-of-00003.gguf')]) {
      const sink = memorySink()
      await loadCheckpoint(place, sink)
      assert.deepEqual(sink.held, expected.held)
      const folder = await fileFolder(place)
      const tokenizer = await tokenizerFiles(async (name) => {
        const source = await folder.open(name)
        const bytes = source && new Uint8Array(source.size)
        if (source) await source.read(0, bytes!)
        await source?.close()
        return bytes
      })
      assert.ok(tokenizer.encode('hello').length > 0)
    }
  })

  test('a missing part, a part of another set, and parts in another order', async () => {
    const files = await split()
    const [first, second, third] = Object.keys(files) as [string, string, string]
    await assert.rejects(openModel(await fileFolder(inFolder({ [first]: files[first]!, [third]: files[third]! }))), (error: Error) => {
      assert.ok(error instanceof errors.MissingShardError)
      assert.match(error.message, /m-00002-of-00003\.gguf: expected part 2 of 3 of the split model/)
      return true
    })
    const swapped = { ...files, [second]: files[third]!, [third]: files[second]! }
    await assert.rejects(
      openModel(await fileFolder(inFolder(swapped))),
      /m-00002-of-00003\.gguf: expected split\.no 1 in part 2 of 3, got 2/,
    )
    await assert.rejects(
      openModel(await fileFolder(inFolder({ 'x.gguf': files[first]! }))),
      /expected split\.count 1 in part 1 of 1, got 3/,
    )
    const alien = { ...files, [second]: readFileSync(join(fixtures, 'tiny-qwen2.gguf')) }
    await assert.rejects(openModel(await fileFolder(inFolder(alien))), /expected split\.tensors\.count 63 in part 1 of 3, got 38/)
  })

  test('what is a model among the names of a folder', () => {
    const cases: [names: string[], models: string[]][] = [
      [['m.gguf', '._m.gguf', 'sub/._m.gguf'], ['m.gguf']],
      [
        ['m.gguf', 'mmproj-m.gguf', 'm-mmproj.gguf', 'vision/mmproj-m.gguf', 'mmproj/m.gguf', 'a/m.imatrix.gguf', 'a/imatrix.gguf'],
        ['m.gguf'],
      ],
      [['Q4/m-00001-of-00002.gguf', 'Q4/m-00002-of-00002.gguf'], ['Q4/m-00001-of-00002.gguf']],
    ]
    for (const [names, models] of cases) assert.deepEqual(ggufFiles(names), models, names.join())
  })

  test('a name of a set of no files is that of one file', async () => {
    const path = join(mkdtempSync(join(temporary, 'none-')), 'm-00001-of-00000.gguf')
    writeFileSync(path, readFileSync(join(fixtures, 'tiny-qwen2.gguf')))
    for (const place of [path, join(path, '..')]) await (await openModel(await fileFolder(place))).checkpoint.close()
  })

  test('a folder with a projector beside the model, and one with two models', async () => {
    const path = mkdtempSync(join(temporary, 'two-'))
    mkdirSync(path, { recursive: true })
    const bytes = readFileSync(join(fixtures, 'tiny-qwen2.gguf'))
    writeFileSync(join(path, 'model.gguf'), bytes)
    writeFileSync(join(path, 'mmproj-model-f16.gguf'), 'x')
    await (await openModel(await fileFolder(path))).checkpoint.close()
    writeFileSync(join(path, 'other.gguf'), bytes)
    await assert.rejects(fileFolder(path), /expected one GGUF model, got 2 of them \(model\.gguf, other\.gguf\)/)
  })

  test('a file without a name that says what it is', async () => {
    const path = join(temporary, 'sha256-0123')
    writeFileSync(path, readFileSync(join(fixtures, 'tiny-qwen2.gguf')))
    await (await openModel(await fileFolder(path))).checkpoint.close()
  })
})

describe('damaged headers', () => {
  // The complete count runs where it is asked for: FUZZ=20000.
  const count = Number(process.env.FUZZ ?? 600)
  for (const file of readdirSync(fixtures)
    .filter((name) => name.startsWith('tiny-'))
    .filter((_, n) => n % 5 === 0)) {
    test(`${file}: ${count} mutations are named errors or change nothing; a header is read into at most 10 MB of buffers`, async (t) => {
      const whole = readFileSync(join(fixtures, file))
      const original = await read(whole)
      const end = Math.min(...[...original.tensors.values()].map(({ offset }) => offset))
      const random = generator(file.length)
      let slowest = 0
      for (let n = 0; n < count; n++) {
        const bytes = mutate(whole, end, random)
        const [before, began] = [process.memoryUsage().arrayBuffers, performance.now()]
        const found = await read(bytes).catch((error: Error) => error)
        slowest = Math.max(slowest, performance.now() - began)
        const held = process.memoryUsage().arrayBuffers - before
        assert.ok(held < 10e6, `mutation ${n} takes ${held} bytes`)
        if (found instanceof Error) {
          assert.ok(found instanceof errors.CheckpointError, `mutation ${n}: ${found.stack}`)
          assert.ok(found.message.length < 1200, found.message)
          continue
        }
        for (const entry of found.tensors.values())
          assert.ok(entry.offset >= 0 && entry.offset + entry.byteLength <= bytes.byteLength, `mutation ${n}: ${entry.name}`)
        await openAnyway(bytes, n)
      }
      t.diagnostic(`the slowest header took ${slowest.toFixed(1)} ms`)
    })
  }

  /** Configuration, tokenizer and plan of a header that passed: each a named error or a result. */
  async function openAnyway(bytes: Buffer, n: number): Promise<void> {
    try {
      const model = await openModel(ggufFolder(memoryFolder({ 'x.gguf': bytes }), 'x.gguf'))
      await model.checkpoint.close()
    } catch (error) {
      const named = error instanceof errors.CheckpointError || error instanceof ConfigError
      assert.ok(named, `mutation ${n}: ${(error as Error).stack}`)
    }
  }
})

function without(values: Record<string, Value>, key: string): Record<string, Value> {
  return Object.fromEntries(Object.entries(values).filter(([other]) => other !== key))
}

function memoryFolder(files: Readonly<Record<string, Uint8Array>>): Folder {
  return { name: 'memory', list: async () => Object.keys(files), open: async (name) => files[name] && bytesSource(files[name], name) }
}

/** Numbers from 0 to 2^32 - 1 (xorshift). */
function generator(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>>= 0)
  }
}

/** A copy with some damage before `end`: bits, bytes, 64-bit numbers of any size, cuts, repetitions. */
function mutate(whole: Buffer, end: number, random: () => number): Buffer {
  const bytes = Buffer.from(whole)
  const at = () => random() % end
  // Most of a header is vocabulary, so half of the damage is done to its two ends.
  const place = () => (random() % 2 ? at() : random() % 2 ? random() % Math.min(end, 2048) : Math.max(0, end - 1 - (random() % 4096)))
  for (let times = 1 + (random() % 3); times > 0; times--) {
    switch (random() % 7) {
      case 0:
        bytes[place()]! ^= 1 << (random() % 8)
        break
      case 1:
        bytes[place()] = random()
        break
      case 2:
        bytes.writeBigUInt64LE(BigInt(random()) << BigInt(random() % 33), Math.min(place(), end - 8))
        break
      case 3:
        return bytes.subarray(0, place())
      case 4:
        bytes.fill(random() % 2 ? 0xff : 0, place(), Math.min(end, place() + (random() % 64)))
        break
      case 5: {
        const from = place()
        bytes.copyWithin(place(), from, Math.min(end, from + (random() % 256)))
        break
      }
      case 6: {
        const cut = place()
        return Buffer.concat([bytes.subarray(0, cut), bytes.subarray(Math.min(end, cut + 1 + (random() % 16)))])
      }
    }
  }
  return bytes
}
