/** A thread of `quantize-node.ts`: stored bytes in, blocks out. */
import { parentPort } from 'node:worker_threads'
import type { DType } from '../architecture/architecture.ts'
import { toFloats } from './encode.ts'
import { type FloatFormat, type PackedBlocks, type PackFormat, packBlocks } from './pack-blocks.ts'
import { type PackedMxfp4, packMxfp4 } from './quantize.ts'

export interface PackRequest {
  readonly id: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly dtype: DType
  /** `experts`: MXFP4 with the scales apart, as gpt-oss is published. */
  readonly format: PackFormat | FloatFormat | 'experts'
}

/** Errors lose their class between threads, so only the message is sent. */
export type PackAnswer =
  | { readonly id: number; readonly packed: PackedMxfp4 | PackedBlocks }
  | { readonly id: number; readonly problem: string }

parentPort!.on('message', ({ id, bytes, dtype, format }: PackRequest) => {
  try {
    const values = toFloats(bytes, dtype)
    const packed = format === 'experts' ? packMxfp4(values) : packBlocks(values, format)
    parentPort!.postMessage({ id, packed } satisfies PackAnswer, [packed.blocks.buffer as ArrayBuffer])
  } catch (error) {
    parentPort!.postMessage({ id, problem: (error as Error).message } satisfies PackAnswer)
  }
})
