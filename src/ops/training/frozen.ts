/**
 * Weights that are read and never trained, as they are published: bf16, f16, MXFP4, blocks of GGUF. Products decode a band of rows at a
 * time into the arena, so memory holds the packed weight and one band. Nothing here writes to a weight.
 */
import { decodeStored, type StoredWeight } from '../decode.ts'
import type { Floats } from './matmul.ts'
import { type TrainingContext, Value } from './values.ts'

/** Values of a band: large enough for the products to run at their full speed. */
const BAND = 1 << 19

export class Frozen extends Value {
  readonly stored: StoredWeight

  constructor(shape: readonly number[], stored: StoredWeight, name?: string) {
    super(shape, new Float32Array(0), false, name)
    this.stored = stored
  }

  /** Values [from, from + count) into `out` from `at` on. */
  read(from: number, count: number, out: Floats, at: number): void {
    if (out instanceof Float32Array) {
      decodeStored(this.stored, from, count, out, at)
      return
    }
    const values = new Float32Array(count)
    decodeStored(this.stored, from, count, values, 0)
    out.set(values, at)
  }
}

/** Visits rows [from, from + rows) of `width` values: row `first` of the band is at `band[at]`. Of a trained weight it is one band, the weight itself. */
export function eachBand(
  context: TrainingContext,
  weight: Value,
  from: number,
  rows: number,
  width: number,
  visit: (band: Floats, at: number, first: number, count: number) => void,
): void {
  if (!(weight instanceof Frozen)) {
    visit(weight.data, from * width, from, rows)
    return
  }
  const most = Math.min(rows, Math.max(1, Math.floor(BAND / width)))
  const mark = context.arena.mark()
  const band = context.arena.take(most * width)
  for (let first = from; first < from + rows; first += most) {
    const count = Math.min(most, from + rows - first)
    weight.read(first * width, count * width, band, 0)
    visit(band, 0, first, count)
  }
  context.arena.release(mark)
}
