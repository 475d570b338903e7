/** What a grouped format (mxfp4, int8) tells the code that cuts the work: sizes, and its two kernels. */
import type { Context, Exports } from '../kernel.ts'

export interface Product {
  /** Bytes of one block of a group, and of one block of a row of x. */
  readonly weightBytes: number
  readonly xBytes: number
  /** Blocks of a group that are unpacked together. */
  readonly chunk: number
  /** Name of the kernel for one row of x. */
  readonly vector: string
  /** y += W·x for some blocks of one group and the rows of the list (pairs of entries). */
  tile(kernels: Exports, c: Context, weight: number, blocks: number, list: number, pairs: number, xOffset: number, yOffset: number): void
}
