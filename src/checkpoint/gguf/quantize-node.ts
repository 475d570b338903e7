/**
 * Packs the matrices of a GGUF file into another GGUF file: 4 bits in layers, 8 bits for the output matrix. The metadata are copied byte for
 * byte but for `general.file_type`; all other tensors are copied as they are.
 */
import type { FileHandle } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { requireSpace } from '../../files/disk-space-node.ts'
import { claimFile } from '../../files/output-node.ts'
import { writeAtomically } from '../../files/write-node.ts'
import { CorruptHeaderError } from '../errors.ts'
import type { PackFormat } from '../pack-blocks.ts'
import type { QuantizationError } from '../quantize.ts'
import { copyEntry, Packers, packMatrix, QuantizeError, type QuantizeOptions, type QuantizeResult } from '../quantize-node.ts'
import type { TensorEntry } from '../safetensors.ts'
import { fileSource } from '../source-node.ts'
import { writeTensor } from '../write-node.ts'
import { type GgufHeader, readGgufHeader } from './header.ts'
import { GGML_BY_NAME, GGML_TYPES, type GgmlName } from './types.ts'

const TYPE: Record<PackFormat, GgmlName> = { q4_0: 'Q4_0', q8_0: 'Q8_0', mxfp4: 'MXFP4' }
/** `general.file_type` of llama.cpp. */
const FILE_TYPE: Record<'q4_0' | 'mxfp4', number> = { q4_0: 2, mxfp4: 38 }
const FLOATS = ['F32', 'F16', 'BF16']
const MATRIX = /^blk\.\d+\.(attn_(q|k|v|qkv|output|q_a|q_b|kv_a_mqa)|ffn_(gate|up|down|gate_up)(_shexp)?)\.weight$/
const EXPERTS = /^blk\.\d+\.ffn_(gate|up|down|gate_up)_exps\.weight$/

interface Outgoing {
  entry: TensorEntry
  format?: PackFormat
  type: number
  byteLength: number
  /** From the beginning of the data. */
  offset: number
}

/** @throws QuantizeError when there is nothing to pack; CheckpointError when the file cannot be read or a value is not finite */
export async function quantizeGguf(file: string, out: string, options: QuantizeOptions = {}): Promise<QuantizeResult> {
  if (!/\.gguf$/i.test(out)) throw new QuantizeError(`${out}: expected a name that ends with .gguf, since ${file} is a GGUF file.`)
  if (resolve(file) === resolve(out)) throw new QuantizeError(`${out} is the model itself; choose another name.`)
  const source = await fileSource(file)
  if (!source) throw new QuantizeError(`${file}: no such file.`)
  const packers = new Packers(options.threads)
  try {
    const header = await readGgufHeader(source, options.signal)
    if (Number(header.metadata.get('split.count') ?? 1) > 1)
      throw new QuantizeError(`${file}: expected a model in one file, got a part of a split one.`)
    const { alignment } = header
    const tensors = plan(file, header, options)
    await claimFile(out, { force: options.force })
    const last = tensors.at(-1)!
    const dataBytes = last.offset + last.byteLength
    await requireSpace(dirname(out), dataBytes)
    const head = await headerBytes(source, header, tensors, options.dense ?? 'mxfp4')
    const errors = new Map<string, QuantizationError>()
    let done = 0
    const onBytes = (count: number) => {
      done += count
      options.onProgress?.(done, dataBytes)
    }
    await writeAtomically(out, async (handle) => {
      await handle.writeFile(head)
      for (const { entry, format, byteLength } of tensors) {
        const bytes = format ? packMatrix(entry, format, packers, errors, options.signal) : copyEntry(entry, options.signal)
        await writeTensor(handle, { file: out, tensor: entry.name, expected: byteLength }, bytes, { signal: options.signal, onBytes })
        await pad(handle, byteLength, alignment)
      }
    })
    return {
      files: [out],
      bytesBefore: [...header.tensors.values()].reduce((sum, entry) => sum + entry.byteLength, 0),
      bytesAfter: tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0),
      errors: [...errors].map(([name, error]) => ({ name, error })),
    }
  } finally {
    await packers.end()
    await source.close()
  }
}

/** Every tensor in the order of the file, with the form it gets and its place. */
function plan(file: string, { tensors, alignment }: GgufHeader, { dense, experts }: QuantizeOptions): Outgoing[] {
  const output = tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight'
  const formatOf = ({ name, dtype, shape }: TensorEntry): PackFormat | undefined => {
    if (!FLOATS.includes(dtype) || shape.at(-1)! % 32 !== 0) return undefined
    if (EXPERTS.test(name)) return experts === 'keep' ? undefined : 'mxfp4'
    if (!dense) return undefined
    return name === output ? 'q8_0' : MATRIX.test(name) ? dense : undefined
  }
  let offset = 0
  const planned = [...tensors.values()].map((entry): Outgoing => {
    const format = formatOf(entry)
    const { block, bytes } = GGML_BY_NAME.get(format ? TYPE[format] : entry.dtype)!
    const byteLength = (entry.shape.reduce((a, b) => a * b) / block) * bytes
    const type = [...GGML_TYPES].find(([, { name }]) => name === (format ? TYPE[format] : entry.dtype))![0]
    const outgoing = { entry, format, type, byteLength, offset }
    offset = Math.ceil((offset + byteLength) / alignment) * alignment
    return outgoing
  })
  if (!planned.some(({ format }) => format))
    throw new QuantizeError(
      `${file}: nothing to pack; give a format of dense matrices (--dense q4_0 or mxfp4), and a file in F32, F16 or BF16.`,
    )
  return planned
}

/** The metadata of the file and the new table of tensors, up to the data. */
async function headerBytes(
  source: TensorEntry['source'],
  { metadataEnd, alignment }: GgufHeader,
  tensors: readonly Outgoing[],
  dense: 'q4_0' | 'mxfp4',
): Promise<Uint8Array> {
  const metadata = Buffer.alloc(metadataEnd)
  await source.read(0, metadata)
  const key = Buffer.from('general.file_type')
  const at = metadata.indexOf(key)
  if (at >= 0) {
    if (metadata.readUInt32LE(at + key.length) !== 4)
      throw new CorruptHeaderError({ file: source.name, expected: 'general.file_type as a 32-bit number', came: 'another type' })
    metadata.writeUInt32LE(FILE_TYPE[dense], at + key.length + 4)
  }
  const table = tensors.map(({ entry: { name, shape }, type, offset }) => {
    const spelled = Buffer.from(name)
    const info = Buffer.alloc(8 + spelled.length + 4 + 8 * shape.length + 12)
    info.writeBigUInt64LE(BigInt(spelled.length))
    spelled.copy(info, 8)
    let to = info.writeUInt32LE(shape.length, 8 + spelled.length)
    for (const length of shape.toReversed()) to = info.writeBigUInt64LE(BigInt(length), to)
    to = info.writeUInt32LE(type, to)
    info.writeBigUInt64LE(BigInt(offset), to)
    return info
  })
  const bytes = Buffer.concat([metadata, ...table])
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & (alignment - 1))])
}

async function pad(handle: FileHandle, written: number, alignment: number): Promise<void> {
  const missing = -written & (alignment - 1)
  if (missing > 0) await handle.writeFile(new Uint8Array(missing))
}
