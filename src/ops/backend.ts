/**
 * What a place that computes offers beyond the vocabulary: weights, caches, and the operations that wait. All of these return promises,
 * because a device may allocate, fail or answer later than it was asked.
 */
import type { Draw } from './draw.ts'
import type { DType } from './dtype.ts'
import type { LayerCache, LayerState, Ops } from './ops.ts'
import type { Tensor } from './tensor.ts'

export interface WeightSpec {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: DType
  /** Read and written as a whole, or only by rows (`embed`): a backend may keep a table of the second kind out of its packed formats. */
  readonly use: 'matrix' | 'table' | 'vector' | 'experts'
  /** Kept as published in every precision. */
  readonly exact?: boolean
  /**
   * Of a matrix for `linear` only, and only for a backend with `ordersColumns`: column j of its rows, as `shape` and `fill` have them, meets
   * input columns[j], or nothing where that is -1. The tensor has `inputs` columns for its users.
   */
  readonly order?: { readonly columns: Int32Array; readonly inputs: number } | undefined
}

/**
 * Writes bytes of a weight into `into`, completely, or throws. The bytes are those of the row-major tensor in its dtype, little
 * endian, from byte `offset`; an mxfp4 weight [.., O, I] has two parts: 'blocks' (bytes [.., O, I/32, 16]) and 'scales' (bytes [.., O, I/32]).
 * `into` may be a view of shared memory. Calls may overlap in time.
 */
export interface Fill {
  (part: WeightPart, offset: number, into: Uint8Array): Promise<void>
  /** Position of byte `offset` of a part in its file, if stored as needed; for direct reads (DISK_ALIGNMENT). */
  readonly at?: ((part: WeightPart, offset: number) => number) | undefined
}
export type WeightPart = 'data' | 'blocks' | 'scales'

/** Offsets in files and addresses in memory are multiples of this when a disk writes into memory. */
export const DISK_ALIGNMENT = 4096

/** Reads one row of a table from where it is published, now: a few KB from a file. Throws what reading throws. */
export type ReadRow = (row: number, into: Uint8Array) => void

export interface KeysAndValuesSpec {
  readonly kvHeads: number
  readonly keyDim: number
  readonly valueDim: number
  /** The first `valueDim` values of a key are its value too, so only keys are kept. */
  readonly valuesInKeys?: boolean
  readonly window: number | null
}

export interface StateSpec {
  /** How many f32 values each part of the state of one slot has. */
  readonly state: readonly number[]
}

export interface CacheSpec {
  /** One entry per layer: keys and values of earlier positions, or a state that stands for all of them. */
  readonly layers: readonly (KeysAndValuesSpec | StateSpec)[]
  /** Number of sequences that can be resident. */
  readonly slots: number
  /** Positions per slot. */
  readonly capacity: number
  /** Most rows of one slot in one call: sliding layers keep window - 1 + maxRows positions, as a ring. */
  readonly maxRows: number
}

/** Keys and values, or states, of all layers. Position p of a slot is valid once a forward pass has written it. */
export interface KvCache {
  readonly spec: CacheSpec
  readonly layers: readonly (LayerCache | LayerState)[]
  /** Bytes reserved. */
  readonly bytes: number
  /**
   * Copies what `restore` needs to continue at `position`: the states, and what the sliding layers hold of the `window - 1` positions
   * before it. @throws RangeError where a state stands elsewhere
   */
  snapshot(slot: number, position: number): Promise<CacheSnapshot>
  restore(slot: number, snapshot: CacheSnapshot): void
  /** Copies positions 0…length-1 of one slot to another (full layers and what sliding layers still hold), and the states as they are. */
  copy(from: number, to: number, length: number): void
  /** The same contents as bytes. Absent: conversations of this backend cannot be saved. */
  readonly transfer?: CacheTransfer
  dispose(): void
}

/** Slots and snapshots as bytes, for files. The bytes depend on the layers and the layout, not on the slot, the capacity or the chunk. */
export interface CacheTransfer {
  /** Names values and layout: bytes of another one are of no use to this cache. */
  readonly layout: string
  /** Bytes of a slot that stands at `length`: what full layers have, what sliding layers hold of the `window - 1` positions before, states. */
  size(length: number): number
  /** Bytes from … from + count - 1 of these. @throws RangeError where a state stands elsewhere */
  read(slot: number, length: number, from: number, count: number): Promise<Uint8Array>
  /** Puts them back, in any order; a state then stands at `length`. */
  write(slot: number, length: number, from: number, bytes: Uint8Array): Promise<void>
  /** `CacheSnapshot.bytes` of a snapshot at this position. */
  snapshotSize(position: number): number
  snapshotBytes(snapshot: CacheSnapshot): Promise<Uint8Array>
  /** A snapshot from its `snapshotSize` bytes. */
  snapshotOf(position: number, bytes: Uint8Array): CacheSnapshot
}

export interface CacheSnapshot {
  readonly position: number
  readonly bytes: number
}

export interface Backend extends Ops {
  readonly name: string
  /**
   * Makes a weight and pulls its bytes. Rejects with the error of `fill`, or with a MemoryError that names the weight and the bytes wanted.
   * With `readRow` a table may stay where it is: the backend then keeps nothing of it and reads the rows that `embed` asks for.
   */
  weight(spec: WeightSpec, fill: Fill, readRow?: ReadRow): Promise<Tensor>
  /** Whether it takes weights with `order`. */
  readonly ordersColumns?: boolean
  /** A KV cache. Rejects with a MemoryError that says what would fit. */
  cache(spec: CacheSpec): Promise<KvCache>
  /** Bytes that `cache(spec)` reserves. */
  cacheBytes(spec: CacheSpec): number
  /** An f32 tensor from the host; lives until the enclosing scope ends (for ever outside of scopes). */
  upload(values: Float32Array, shape: readonly number[]): Tensor
  /** Waits for everything enqueued so far and copies the values out as f32: into `into`, where it is long enough, else into a new array. */
  read(x: Tensor, into?: Float32Array): Promise<Float32Array>
  /** Runs `body` in a scope and reads its result, as `read` does. */
  run(body: () => Tensor, into?: Float32Array): Promise<Float32Array>
  /**
   * Chooses one id per row of logits [R, V] by the rule of `drawId`, where the logits are, and overwrites them. -> R ids.
   * Absent: the engine reads the logits and draws by the same rule.
   */
  draw?(logits: Tensor, draws: readonly Draw[]): Promise<Int32Array>
  /**
   * As `draw`, and the ids stay on the device for `embedDrawn`, so that the next pass can be enqueued before they have come back.
   * Absent: the ids of a pass must be known before it is enqueued.
   */
  drawAndKeep?(logits: Tensor, draws: readonly Draw[]): KeptDraw
  /** Waits for everything enqueued so far, without reading anything. */
  settled(): Promise<void>
  /**
   * Resolves when the backend is dead, with the reason: a thread has ended, a device is lost. Never rejects, and stays pending after
   * `dispose`. From then on every op throws this error and every waiting operation rejects with it.
   */
  readonly failed: Promise<BackendFailedError>
  /** Bytes held by weights, caches and temporaries. */
  memory(): { weights: number; caches: number; temporaries: number }
  /** Stops threads and frees memory; the backend is unusable afterwards. */
  dispose(): Promise<void>
}

/** Ids that a draw has chosen. */
export interface KeptDraw {
  /** On the host, once the device has come so far. */
  readonly ids: Promise<Int32Array>
  /** [R, 1] On the device, until `release` or the end of the enclosing scope. */
  readonly drawn: Tensor
  /** Ends them; what is enqueued already may read them. A second call does nothing. */
  release(): void
}

/** A backend has failed and its contents are lost. Load the model again, into a new backend. */
export class BackendFailedError extends Error {
  override name = 'BackendFailedError'

  constructor(backend: string, cause: Error) {
    super(`the ${backend} backend has failed: ${cause.message}; load the model again`, { cause })
  }
}

export class MemoryError extends Error {
  override name = 'MemoryError'
}
