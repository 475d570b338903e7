/**
 * How keys and values lie in memory, per layer and head: rows (slot, g, position); positions of a window go round in a ring.
 *
 *   f32    rows of a head, padded to 4 values
 *   bf16   the same for values, padded to 8; keys in groups of eight positions:
 *          values 4d … 4d + 3 of key i, then of key i + 4,   i = 0…3, d = 0…
 *   bf16Rows   rows of a head for keys too, padded to 8: where values are parts of the keys
 */
import type { Precision } from './context.ts'

/** Keys that attention visits together; rings are whole blocks. */
export const BLOCK = 32

/** The formats of a cache; a command carries the index. */
export const STORAGES = ['f32', 'bf16', 'bf16Rows'] as const
export type Storage = (typeof STORAGES)[number]

/** Keys and values in fast precision are bf16, as in the official code. */
export const storageOf = (precision: Precision, valuesInKeys = false): Storage =>
  precision === 'fast' ? (valuesInKeys ? 'bf16Rows' : 'bf16') : 'f32'

/** Bytes of one position of one head. A row is padded, so that vectors never lie in two rows. */
export const headBytes = (storage: Storage, width: number): number =>
  storage === 'f32' ? Math.ceil(width / 4) * 16 : Math.ceil(width / 8) * 16

/** Positions that lie together: copies of a cache take whole groups. */
export const groupOf = (storage: Storage): number => (storage === 'bf16' ? 8 : 1)
