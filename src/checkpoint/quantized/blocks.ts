/**
 * The layout of `lineage quantize` for dense matrices: a tensor NAME of the published layout becomes NAME_FORMAT of U8
 * [rows, blocks of a row, bytes of a block], with FORMAT one of q4_0, q8_0 and mxfp4, in the blocks of GGUF (ops/block-formats.ts).
 * All other tensors and config.json are as published; `quantization_config.quant_method` is "lineage".
 */
import { BLOCK_FORMATS } from '../../ops/block-formats.ts'
import { TensorSizeError } from '../errors.ts'
import type { PackFormat } from '../pack-blocks.ts'
import type { TensorEntry } from '../safetensors.ts'
import type { OutgoingTensor } from '../write-node.ts'

export const LINEAGE = 'lineage'

const FORMATS = { q4_0: ['q4_0', 'Q4_0'], q8_0: ['q8_0', 'Q8_0'], mxfp4: ['mxfp4_gguf', 'MXFP4'] } as const

/** A published matrix [rows, columns] as blocks. */
export function packedTensor({ name, shape }: TensorEntry, format: PackFormat, bytes: OutgoingTensor['bytes']): OutgoingTensor {
  const { length, bytes: blockBytes } = BLOCK_FORMATS[FORMATS[format][0]]
  return { name: `${name}_${format}`, dtype: 'U8', shape: [shape[0]!, shape[1]! / length, blockBytes], bytes }
}

/** The matrices under their published names. @throws TensorSizeError */
export function unpackBlocks(tensors: Map<string, TensorEntry>): boolean {
  let found = false
  for (const [name, entry] of [...tensors]) {
    const [, stem, format] = /^(.+)_(q4_0|q8_0|mxfp4)$/.exec(name) ?? []
    if (stem === undefined || entry.dtype !== 'U8') continue
    const [dtype, type] = FORMATS[format as PackFormat]
    const { length, bytes } = BLOCK_FORMATS[dtype]
    const [rows, blocks, each] = entry.shape
    if (entry.shape.length !== 3 || each !== bytes)
      throw new TensorSizeError({
        file: entry.source.name,
        tensor: name,
        expected: `U8 [rows, blocks, ${bytes}]`,
        came: `U8 [${entry.shape.join(', ')}]`,
      })
    tensors.delete(name)
    tensors.set(stem, { ...entry, name: stem, dtype: type, shape: [rows!, blocks! * length] })
    found = true
  }
  return found
}
