/** bf16, the upper half of an f32: the one place that rounds to it. */

const word = new DataView(new ArrayBuffer(4))

/** Bits of an f32 -> bits of the nearest bf16, ties to even. A NaN stays a NaN instead of being rounded to an infinity. */
export const bf16Bits = (bits: number): number =>
  (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 0x40 : ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff

/** Number -> bf16 bits. */
export function toBf16(value: number): number {
  word.setFloat32(0, value)
  return bf16Bits(word.getUint32(0))
}

/** bf16 bits -> number. Exact. */
export function fromBf16(bits: number): number {
  word.setUint32(0, bits << 16)
  return word.getFloat32(0)
}
