/** The tensor of this backend: a place in an arena (0: the heap), and for temporaries the block to give back. */
import type { ReadRow } from '../backend.ts'
import type { Routing } from '../ops.ts'
import type { Tensor } from '../tensor.ts'
import type { Format } from './formats.ts'
import type { Block } from './memory.ts'

export interface WasmTensor extends Tensor {
  readonly arena: number
  readonly address: number
  readonly format: Format
  readonly block?: Block
  /** Expert weights: heap address of (arena, address) per expert. */
  readonly parts?: number
  /** A matrix that no single arena could hold: ranges of its rows, in order. */
  readonly bands?: readonly Band[]
  /** A matrix whose `width` packed columns lie in another order than the inputs: heap address of the input of each, -1 for none. */
  readonly order?: { readonly address: number; readonly width: number }
  /** Only for a table that is not in memory: writes one of its rows in `format`. */
  readonly readRow?: ReadRow
}

export interface Band {
  readonly row: number
  readonly rows: number
  readonly arena: number
  readonly address: number
}

export interface WasmRouting extends Routing {
  readonly weights: WasmTensor
  readonly indices: WasmTensor
}

/** A tensor as this backend knows it. @throws TypeError when another backend made it */
export function own(x: Tensor, what: string): WasmTensor {
  if (typeof (x as WasmTensor).address !== 'number')
    throw new TypeError(`${what}: tensor ${x.name ?? `[${x.shape}]`} belongs to another backend`)
  return x as WasmTensor
}
