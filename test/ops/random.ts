/** Seeded numbers and weights for tests: the same on every backend and in every run. */
import type { Backend, WeightSpec } from '../../src/ops/backend.ts'
import { BLOCK_FORMATS } from '../../src/ops/block-formats.ts'
import { type BlockDType, type DType, FP8_BLOCK_BYTES, storedBytes, toBf16 } from '../../src/ops/dtype.ts'
import { size, type Tensor } from '../../src/ops/tensor.ts'

export interface Draw {
  uniform(): number
  integer(below: number): number
  normals(count: number): Float32Array
  /** A weight with random values, to be made on any number of backends. */
  weight(name: string, shape: readonly number[], dtype: DType, use?: WeightSpec['use']): (backend: Backend) => Promise<Tensor>
}

export function random(seed: string): Draw {
  let state = Array.from(seed).reduce((h, c) => Math.imul(h ^ c.charCodeAt(0), 0x01000193), 0x811c9dc5)
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296
  }
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform())
  const bytesOf = (dtype: DType, count: number): Record<string, Uint8Array> => {
    switch (dtype) {
      case 'f32':
        return { data: new Uint8Array(Float32Array.from({ length: count }, normal).buffer) }
      case 'bf16':
        return { data: new Uint8Array(Uint16Array.from({ length: count }, () => toBf16(normal())).buffer) }
      case 'f16': // sign, exponents 2^-7 … 2^0, any fraction
        return {
          data: new Uint8Array(
            Uint16Array.from(
              { length: count },
              () => (uniform() < 0.5 ? 0x8000 : 0) | ((8 + Math.floor(uniform() * 8)) << 10) | Math.floor(uniform() * 1024),
            ).buffer,
          ),
        }
      case 'mxfp4':
        return {
          blocks: Uint8Array.from({ length: count / 2 }, () => Math.floor(uniform() * 256)),
          scales: Uint8Array.from({ length: count / 32 }, () => 122 + Math.floor(uniform() * 4)),
        }
      case 'fp8': {
        const data = Uint8Array.from(
          { length: storedBytes(dtype, count) },
          () => (uniform() < 0.5 ? 0x80 : 0) | Math.floor(uniform() * 0x7f),
        )
        const view = new DataView(data.buffer)
        for (let at = 0; at < data.length; at += FP8_BLOCK_BYTES) view.setFloat32(at, normal() / 64, true)
        return { data }
      }
      case 'int8':
        throw new TypeError('int8 is not a published format')
      default:
        return { data: blocks(dtype, count) }
    }
  }
  /** Blocks of any bytes, but with scales of 2^-7 … 2^-4 and either sign. */
  const blocks = (dtype: BlockDType, count: number): Uint8Array => {
    const { bytes, scale, offset } = BLOCK_FORMATS[dtype]
    const data = Uint8Array.from({ length: storedBytes(dtype, count) }, () => Math.floor(uniform() * 256))
    for (let at = 0; at < data.length; at += bytes)
      if (scale.format === 'e8m0') data[at] = 122 + Math.floor(uniform() * 4)
      else
        for (const half of offset && offset.at !== scale.at ? [scale.at, offset.at] : [scale.at])
          data[at + half + 1] = (data[at + half + 1]! & 0x83) | ((8 + (data[at]! & 3)) << 2)
    return data
  }
  return {
    uniform,
    integer: (below) => Math.floor(uniform() * below),
    normals: (count) => Float32Array.from({ length: count }, normal),
    weight(name, shape, dtype, use = 'matrix') {
      const parts = bytesOf(dtype, size(shape))
      const total = Object.values(parts).reduce((sum, bytes) => sum + bytes.length, 0)
      if (total !== storedBytes(dtype, size(shape))) throw new Error(`${name}: ${total} bytes`)
      return (backend) =>
        backend.weight({ name, shape, dtype, use }, async (part, offset, into) =>
          into.set(parts[part]!.subarray(offset, offset + into.length)),
        )
    },
  }
}
