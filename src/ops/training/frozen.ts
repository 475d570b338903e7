/**
 * Weights that are read and never trained, as they are published: bf16, f16, MXFP4, blocks of GGUF. Products decode a band of rows at a
 * time into the arena, so memory holds the packed weight and one band. Nothing here writes to a weight.
 */
import { decodeStored, type StoredWeight } from '../decode.ts'
import { fromE8m0, MXFP4_BLOCK } from '../dtype.ts'
import type { Floats } from './matmul.ts'
import { address, type TrainingContext, Value } from './values.ts'

/** Values of a band: large enough for the products to run at their full speed, and still in a cache when these read it. */
const BAND = 1 << 18
/** Rows of a band are a multiple of this, so that no panel of a product is narrow but the last. */
const PANELS = 16

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
  const most = Math.min(rows, Math.max(PANELS, Math.floor(BAND / width / PANELS) * PANELS))
  const mark = context.arena.mark()
  const band = context.arena.take(most * width)
  for (let first = from; first < from + rows; first += most) {
    const count = Math.min(most, from + rows - first)
    decode(context, weight, first * width, count * width, band)
    visit(band, 0, first, count)
  }
  context.arena.release(mark)
}

/** Half of every MXFP4 scale: the kernel multiplies it with twice the value of a code. */
const HALF_SCALES = Float32Array.from({ length: 256 }, (_, scale) => fromE8m0(scale) / 2)

/** Values [from, from + count) into the beginning of `out`, by a kernel where there is one. */
function decode(context: TrainingContext, weight: Frozen, from: number, count: number, out: Floats): void {
  const { dtype, bytes, scales } = weight.stored
  const { kernels, arena } = context
  const mark = arena.mark()
  /** Bytes where kernels read them. */
  const copied = (part: Uint8Array): number => {
    const place = arena.take(Math.ceil(part.length / 4))
    new Uint8Array(place.buffer, place.byteOffset, part.length).set(part)
    return address(place)
  }
  if (kernels && dtype === 'bf16' && count % 8 === 0) {
    kernels.decodeBf16(copied(bytes.subarray(2 * from, 2 * (from + count))), address(out), count)
  } else if (kernels && dtype === 'mxfp4') {
    const factors = arena.take(count / MXFP4_BLOCK)
    const first = from / MXFP4_BLOCK
    for (let i = 0; i < factors.length; i++) factors[i] = HALF_SCALES[scales![first + i]!]!
    kernels.decodeMxfp4(copied(bytes.subarray(from / 2, (from + count) / 2)), address(factors), address(out), count)
  } else weight.read(from, count, out, 0)
  arena.release(mark)
}
