/**
 * Packs the matrices of a GGUF file into another GGUF file. The metadata are copied byte for byte but for `general.file_type`; all other
 * tensors are copied as they are.
 */
import { resolve } from 'node:path'
import { claimFile } from '../../files/output-node.ts'
import { CorruptHeaderError } from '../errors.ts'
import { QuantizeError, type QuantizeOptions, type QuantizeResult, rowsOf } from '../quantize-node.ts'
import type { TensorEntry } from '../safetensors.ts'
import { fileSource } from '../source-node.ts'
import { type GgufHeader, readGgufHeader } from './header.ts'
import { type Outgoing, planGguf, writeGguf } from './output-node.ts'
import { GGML_BY_NAME } from './types.ts'

const MATRIX = /^blk\.\d+\.(attn_(q|k|v|qkv|output|q_a|q_b|kv_a_mqa)|ffn_(gate|up|down|gate_up)(_shexp)?|ssm_(in|x|out))\.weight$/
const EXPERTS = /^blk\.\d+\.ffn_(gate|up|down|gate_up)_exps\.weight$/

/** @throws QuantizeError when there is nothing to pack; CheckpointError when the file cannot be read or a value is not finite */
export async function quantizeGguf(file: string, out: string, options: QuantizeOptions = {}): Promise<QuantizeResult> {
  if (!/\.gguf$/i.test(out)) throw new QuantizeError(`${out}: expected a name that ends with .gguf, since ${file} is a GGUF file.`)
  if (resolve(file) === resolve(out)) throw new QuantizeError(`${out} is the model itself; choose another name.`)
  const source = await fileSource(file)
  if (!source) throw new QuantizeError(`${file}: no such file.`)
  try {
    const header = await readGgufHeader(source, options.signal)
    if (Number(header.metadata.get('split.count') ?? 1) > 1)
      throw new QuantizeError(`${file}: expected a model in one file, got a part of a split one.`)
    const plan = planGguf(outgoing(header), options, header.alignment)
    if (!plan.tensors.some(({ format }) => format))
      throw new QuantizeError(
        `${file}: nothing to pack; give a format of dense matrices (--dense q4_0 or mxfp4), and a file in more bits than that.`,
      )
    await claimFile(out, { force: options.force })
    const metadata = await metadataOf(source, header, plan.fileType)
    const result = await writeGguf(out, metadata, plan, options, header.alignment)
    const bytesBefore = [...header.tensors.values()].reduce((sum, entry) => sum + entry.byteLength, 0)
    return { ...result, bytesBefore, notes: [] }
  } finally {
    await source.close()
  }
}

/** Every tensor in the order of the file. */
function outgoing({ tensors }: GgufHeader): Outgoing[] {
  const output = tensors.has('output.weight') ? 'output.weight' : 'token_embd.weight'
  const useOf = ({ name, dtype }: TensorEntry): Outgoing['use'] => {
    if (GGML_BY_NAME.get(dtype)?.dtype === undefined) return 'other'
    if (EXPERTS.test(name)) return 'experts'
    if (name === output) return 'output'
    return name === 'token_embd.weight' ? 'table' : MATRIX.test(name) ? 'matrix' : 'other'
  }
  return [...tensors.values()].map((entry) => ({ name: entry.name, shape: entry.shape, use: useOf(entry), source: rowsOf(entry) }))
}

/** The metadata of the file as they are, with another file type. */
async function metadataOf(source: TensorEntry['source'], { metadataEnd }: GgufHeader, fileType: number): Promise<Uint8Array> {
  const metadata = Buffer.alloc(metadataEnd)
  await source.read(0, metadata)
  const key = Buffer.from('general.file_type')
  const at = metadata.indexOf(key)
  if (at >= 0) {
    if (metadata.readUInt32LE(at + key.length) !== 4)
      throw new CorruptHeaderError({ file: source.name, expected: 'general.file_type as a 32-bit number', came: 'another type' })
    metadata.writeUInt32LE(fileType, at + key.length + 4)
  }
  return metadata
}
