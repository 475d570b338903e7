/** A thread of `quantize-node.ts`: stored bytes in, MXFP4 blocks and scales out. */
import { parentPort } from 'node:worker_threads'
import { decode } from './encode.ts'
import { type PackedMxfp4, packMxfp4 } from './quantize.ts'
import type { PublishedDtype } from './safetensors.ts'

export interface PackRequest {
  readonly id: number
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly dtype: PublishedDtype
}

/** Errors lose their class between threads, so only the message is sent. */
export type PackAnswer = { readonly id: number; readonly packed: PackedMxfp4 } | { readonly id: number; readonly problem: string }

parentPort!.on('message', ({ id, bytes, dtype }: PackRequest) => {
  try {
    const packed = packMxfp4(decode(bytes, dtype))
    parentPort!.postMessage({ id, packed } satisfies PackAnswer, [packed.blocks.buffer as ArrayBuffer, packed.scales.buffer as ArrayBuffer])
  } catch (error) {
    parentPort!.postMessage({ id, problem: (error as Error).message } satisfies PackAnswer)
  }
})
