/** A backend's weight half for tests: keeps every weight's bytes as loaded, and can pull them in odd pieces. */
import type { Fill, WeightSpec } from '../../src/ops/backend.ts'
import { storedBytes } from '../../src/ops/dtype.ts'
import { size, type Tensor } from '../../src/ops/tensor.ts'

export interface Held {
  spec: WeightSpec
  bytes: Uint8Array
}

/** `pieceBytes`: pull in pieces of this length instead of all at once. mxfp4 weights are held as blocks followed by scales. */
export function memorySink(pieceBytes = Number.POSITIVE_INFINITY) {
  const held = new Map<string, Held>()
  const weight = async (spec: WeightSpec, fill: Fill): Promise<Tensor> => {
    const count = size(spec.shape)
    const bytes = new Uint8Array(storedBytes(spec.dtype, count))
    const pull = async (part: 'data' | 'blocks' | 'scales', into: Uint8Array) => {
      for (let at = 0; at < into.byteLength; at += pieceBytes) {
        await fill(part, at, into.subarray(at, Math.min(into.byteLength, at + pieceBytes)))
      }
    }
    if (spec.dtype === 'mxfp4') {
      await pull('blocks', bytes.subarray(0, count / 2))
      await pull('scales', bytes.subarray(count / 2))
    } else await pull('data', bytes)
    held.set(spec.name, { spec, bytes })
    return { shape: spec.shape, dtype: spec.dtype, name: spec.name }
  }
  return { held, weight }
}

/** A weight's values; bf16 and f32 only. */
export function valuesOf({ spec, bytes }: Held): Float32Array {
  if (spec.dtype === 'f32') return new Float32Array(bytes.slice().buffer)
  const halves = new Uint16Array(bytes.slice().buffer)
  return new Float32Array(Uint32Array.from(halves, (bits) => bits << 16).buffer)
}
