/**
 * Writes a GGUF file whose tensors come from anywhere: chooses the type of each, packs them in bands, streams them. The file appears under
 * its name when it is whole.
 */
import { dirname } from 'node:path'
import type { DType } from '../../architecture/architecture.ts'
import { requireSpace } from '../../files/disk-space-node.ts'
import { writeAtomically } from '../../files/write-node.ts'
import { storedBytes } from '../../ops/dtype.ts'
import { type FloatFormat, isFloatFormat, PACKED_DTYPE, type PackFormat } from '../pack-blocks.ts'
import { type Errors, Packers, packMatrix, type QuantizeOptions, type QuantizeResult, type RowSource } from '../quantize-node.ts'
import { writeTensor } from '../write-node.ts'
import { GGML_OF_DTYPE, type GgmlName } from './types.ts'
import { ALIGNMENT, alignedTo, headerBytes, type Placed, placed } from './write-node.ts'

type Format = PackFormat | FloatFormat

/** A tensor to write. */
export interface Outgoing {
  readonly name: string
  /** Row-major. */
  readonly shape: readonly number[]
  readonly use: 'experts' | 'output' | 'table' | 'matrix' | 'other'
  readonly source: RowSource
}

interface Planned extends Outgoing, Placed {
  /** What the rows become; absent where they are copied. */
  readonly format?: Format | undefined
}

export interface GgufPlan {
  readonly tensors: readonly Planned[]
  readonly kept: QuantizeResult['kept']
  /** `general.file_type` of llama.cpp: the type that holds most bytes. */
  readonly fileType: number
}

const FILE_TYPES: Partial<Record<GgmlName, number>> = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, BF16: 32, MXFP4: 38 }
/** Widths of blocks that this project packs. */
const BLOCK = 32
const bits = (dtype: DType): number => storedBytes(dtype, 256) / 32

/** The types and places of tensors. Packed ones are never packed into fewer bits. */
export function planGguf(tensors: readonly Outgoing[], options: QuantizeOptions, alignment?: number): GgufPlan {
  const kept: QuantizeResult['kept'][number][] = []
  const chosen = tensors.map((tensor) => {
    const { dtype } = tensor.source
    const width = tensor.shape.at(-1)!
    let format = wantedFormat(tensor, options)
    if (format && !isFloatFormat(format) && width % BLOCK !== 0) {
      kept.push({ name: tensor.name, type: GGML_OF_DTYPE.get(dtype) ?? 'BF16', width })
      format = undefined
    }
    // What no GGUF file holds (FP8, groups of AWQ and GPTQ) becomes BF16.
    if (!format && !GGML_OF_DTYPE.has(dtype)) format = 'bf16'
    return { ...tensor, format, type: GGML_OF_DTYPE.get(format ? PACKED_DTYPE[format] : dtype)! }
  })
  const bytes = new Map<GgmlName, number>()
  const places = placed(chosen, alignment)
  for (const { type, byteLength } of places) bytes.set(type, (bytes.get(type) ?? 0) + byteLength)
  const [most] = [...bytes].sort((a, b) => b[1] - a[1])[0]!
  return { tensors: places, kept, fileType: FILE_TYPES[most] ?? FILE_TYPES.F16! }
}

/** The format that a tensor should get; undefined where it stays as it is. */
function wantedFormat({ use, source: { dtype } }: Outgoing, { dense, experts }: QuantizeOptions): Format | undefined {
  if (use === 'other') return undefined
  const isSmall = dense === 'q4_0' || dense === 'mxfp4'
  const large = isSmall ? undefined : dense
  const wanted = use === 'experts' ? (experts ?? large ?? 'mxfp4') : use === 'matrix' ? dense : use === 'output' && isSmall ? 'q8_0' : large
  if (!wanted || wanted === 'keep' || PACKED_DTYPE[wanted] === dtype) return undefined
  const isPacked = !['f32', 'f16', 'bf16'].includes(dtype)
  return isPacked && bits(PACKED_DTYPE[wanted]) <= bits(dtype) ? undefined : wanted
}

/** Writes the file. @param metadata everything up to the table of tensors */
export async function writeGguf(
  out: string,
  metadata: Uint8Array,
  { tensors, kept }: GgufPlan,
  options: QuantizeOptions,
  alignment = ALIGNMENT,
): Promise<Omit<QuantizeResult, 'bytesBefore' | 'notes'>> {
  const header = headerBytes(metadata, tensors, alignment)
  const last = tensors.at(-1)!
  const dataBytes = last.offset + last.byteLength
  await requireSpace(dirname(out), header.length + dataBytes)
  const errors: Errors = new Map()
  const { signal } = options
  let done = 0
  const onBytes = (count: number) => {
    done += count
    options.onProgress?.(done, dataBytes)
  }
  const packers = new Packers(options.threads)
  try {
    await writeAtomically(out, async (handle) => {
      await handle.writeFile(header)
      let at = 0
      for (const { name, source, format, offset, byteLength } of tensors) {
        if (offset > at) await handle.writeFile(new Uint8Array(offset - at))
        const bytes = format ? packMatrix(source, format, packers, errors, signal) : copied(source, signal)
        await writeTensor(handle, { file: out, tensor: name, expected: byteLength }, bytes, { signal, onBytes })
        at = offset + byteLength
      }
      // The last tensor is padded too: programs map whole units.
      const end = alignedTo(at, alignment)
      if (end > at) await handle.writeFile(new Uint8Array(end - at))
    })
  } finally {
    await packers.end()
  }
  return {
    files: [out],
    bytesAfter: tensors.reduce((sum, { byteLength }) => sum + byteLength, 0),
    errors: [...errors].map(([name, one]) => ({ name, ...one })),
    kept,
  }
}

const PIECE_BYTES = 8 << 20

async function* copied({ count, rowBytes, rows }: RowSource, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  const most = Math.max(1, Math.floor(PIECE_BYTES / rowBytes))
  for (let row = 0; row < count; row += most) yield rows(row, Math.min(most, count - row), signal)
}
