/** Files and folders that are no safetensors checkpoint: the error says what lies there and what to do. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { CheckpointError, MissingFileError, WrongFormatError } from '../../src/checkpoint/errors.ts'
import { openModel } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { loadModel } from '../../src/load-model-node.ts'
import { fixtures } from './raw-tensors.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-formats-'))
after(() => rmSync(temporary, { recursive: true, force: true }))

const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'

async function open(place: string): Promise<void> {
  const { checkpoint } = await openModel(await fileFolder(place))
  await checkpoint.close()
}

/** A directory with these files. */
function directory(files: Record<string, string | Uint8Array>): string {
  const path = mkdtempSync(join(temporary, 'model-'))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return path
}

/** tiny-llama, some of its files replaced or (null) removed. */
function llama(files: Record<string, string | Uint8Array | null>): string {
  const path = mkdtempSync(join(temporary, 'llama-'))
  cpSync(join(fixtures, 'tiny-llama'), path, { recursive: true })
  for (const [name, content] of Object.entries(files)) {
    rmSync(join(path, name), { force: true })
    if (content !== null) writeFileSync(join(path, name), content)
  }
  return path
}

const refused = (promise: Promise<unknown>, kind: new (...args: never[]) => Error, message: RegExp) =>
  assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof kind, `${error.name}: ${error.message}`)
    assert.match(error.message, message)
    assert.doesNotMatch(error.message, /header length/)
    return true
  })

describe('what lies in model.safetensors', () => {
  const contents: [string, string | Uint8Array, RegExp][] = [
    ['a Git LFS pointer', POINTER, /Git LFS pointer.*git lfs pull/],
    ['a Git Xet pointer', '# xet version 0\nfilesize = 5\nhash = "ab"\n', /Git Xet pointer.*lineage pull/],
    ['a git-annex pointer', '/annex/objects/SHA256E-s5--ab.safetensors\n', /git-annex pointer.*git annex get/],
    ['an HTML page', '<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>', /HTML page.*lineage pull/],
    ['an HTML page in capitals after blanks', '\n  <HTML><BODY>502 Bad Gateway</BODY></HTML>', /HTML page/],
    ['an HTML page after a comment', '<!-- proxy -->\n<html></html>', /HTML page/],
    ['an error of a store', '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', /XML page/],
    ['GGUF', Buffer.concat([Buffer.from('GGUF'), Buffer.from([3, 0, 0, 0]), Buffer.alloc(600)]), /a GGUF file.*safetensors/],
    ['a PyTorch archive', Buffer.concat([Buffer.from('PK\x03\x04\x00\x00\x08\x08', 'latin1'), Buffer.alloc(600)]), /ZIP archive.*Pickles/],
    ['a pickle', Buffer.from('\x80\x02}q\x00X\x05\x00\x00\x00', 'latin1'), /pickle/],
    ['HDF5', Buffer.concat([Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), Buffer.alloc(100)]), /HDF5/],
    ['a compressed file', gzipSync(Buffer.alloc(5000)), /gzip/],
    ['zeros', Buffer.alloc(100_000), /zeros, perhaps of a download/],
  ]
  for (const [name, content, message] of contents)
    test(name, () => refused(open(llama({ 'model.safetensors': content })), WrongFormatError, message))

  test('a header may have the length that is the beginning of a pickle or of a compressed file', async () => {
    const file = readFileSync(join(fixtures, 'tiny-llama', 'model.safetensors'))
    const data = 8 + Number(file.readBigUInt64LE())
    for (const length of [0x10280, 0x10480, 0x10580, 0x18b1f]) {
      const header = Buffer.alloc(8 + length, ' ')
      header.writeBigUInt64LE(BigInt(length))
      file.copy(header, 8, 8, data)
      await open(llama({ 'model.safetensors': Buffer.concat([header, file.subarray(data)]) }))
    }
  })
})

describe('a pointer or a page in place of a small file', () => {
  for (const [file, content, message] of [
    ['config.json', POINTER, /config\.json.*Git LFS pointer/],
    ['config.json', '<html>', /config\.json.*HTML page/],
    ['model.safetensors.index.json', '<!doctype html>', /index\.json.*HTML page/],
    ['tokenizer.json', POINTER, /tokenizer\.json.*Git LFS pointer/],
    ['tokenizer.json', '<html><body>Log in</body></html>', /tokenizer\.json.*HTML page/],
  ] as const)
    test(`${file}: ${content.slice(0, 8)}`, async () => {
      const path = llama({ [file]: content })
      await refused(file === 'tokenizer.json' ? loadModel(path, { backend: 'reference' }) : open(path), WrongFormatError, message)
    })
})

describe('what lies in the folder', () => {
  const config = readFileSync(join(fixtures, 'tiny-llama/config.json'))
  const adapter = JSON.stringify({ peft_type: 'LORA', base_model_name_or_path: 'meta-llama/Llama-3.2-1B' })
  const folders: [string, Record<string, string | Uint8Array>, RegExp][] = [
    [
      'an adapter',
      { 'adapter_config.json': adapter, 'adapter_model.safetensors': '' },
      /adapter \(LoRA\) for meta-llama\/Llama-3\.2-1B.*merge/,
    ],
    [
      'an adapter with config.json',
      { 'config.json': config, 'adapter_config.json': adapter, 'adapter_model.safetensors': '' },
      /adapter .*Llama-3\.2-1B/,
    ],
    ['an adapter as a pickle', { 'adapter_config.json': adapter, 'adapter_model.bin': '' }, /adapter .*Llama-3\.2-1B/],
    [
      'an adapter that names no base',
      { 'adapter_config.json': '{}', 'adapter_model.safetensors': '' },
      /adapter \(LoRA\) for another model/,
    ],
    ['GGUF', { 'model-Q4_K_M.gguf': '' }, /model-Q4_K_M\.gguf: expected a GGUF file, which begins with "GGUF"/],
    [
      'two GGUF files with config.json',
      { 'config.json': config, 'a.gguf': '', 'b.GGUF': '' },
      /expected one GGUF model, got 2 of them \(a\.gguf, b\.GGUF\).*path of one file/,
    ],
    ['PyTorch', { 'config.json': config, 'pytorch_model.bin': '' }, /PyTorch pickle files \(pytorch_model\.bin\).*transformers/],
    ['sharded PyTorch', { 'config.json': config, 'pytorch_model-00001-of-00002.bin': '', 'pytorch_model.bin.index.json': '{}' }, /pickle/],
    ["Meta's layout", { 'consolidated.00.pth': '', 'params.json': '{}' }, /pickle/],
    ["Mistral's layout", { 'consolidated.safetensors': '', 'params.json': '{}' }, /authors' own layout/],
    ['ONNX', { 'config.json': config, 'model.onnx': '' }, /ONNX/],
    ['TensorFlow', { 'config.json': config, 'tf_model.h5': '' }, /TensorFlow/],
  ]
  for (const [name, files, message] of folders) test(name, () => refused(open(directory(files)), WrongFormatError, message))

  test('the path of a file of another format', async () => {
    const path = directory({ 'x.gguf': 'tjgg', 'pytorch_model.bin': '', 'notes.txt': '' })
    await refused(open(join(path, 'x.gguf')), WrongFormatError, /expected a GGUF file, got a GGML file/)
    await refused(open(join(path, 'pytorch_model.bin')), WrongFormatError, /pickle/)
    await refused(open(join(path, 'notes.txt')), WrongFormatError, /got another file/)
  })

  test('several files without an index are ambiguous, not of another format', async () => {
    const path = directory({ 'config.json': config, 'a.safetensors': '', 'b.safetensors': '' })
    await refused(open(path), MissingFileError, /a\.safetensors, b\.safetensors.*ambiguous.*index/)
  })

  test('a link whose target is gone', async () => {
    for (const file of ['model.safetensors', 'config.json']) {
      const path = llama({ [file]: null })
      symlinkSync('../../blobs/0123', join(path, file))
      await refused(open(path), MissingFileError, /a link to \.\.\/\.\.\/blobs\/0123, which is not there/)
    }
  })

  test('shards with six digits, with and without an index; the missing one is named', async () => {
    const shards = mkdtempSync(join(temporary, 'six-'))
    cpSync(join(fixtures, 'tiny-qwen3-moe/config.json'), join(shards, 'config.json'))
    for (const n of [1, 2])
      cpSync(join(fixtures, `tiny-qwen3-moe/model-0000${n}-of-00002.safetensors`), join(shards, `model-0000${n}-of-000002.safetensors`))
    await open(shards)
    rmSync(join(shards, 'model-00002-of-000002.safetensors'))
    await refused(open(shards), CheckpointError, /model-00002-of-000002\.safetensors: expected the shard of the numbered set/)
  })
})
