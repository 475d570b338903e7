/** Numbers of 16 and 8 bits that are only read: IEEE 754 half precision, FP8, and the power-of-two scales of OCP Microscaling v1.0. */

/** f16 bits -> number. Exact. */
export function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Scale byte (E8M0) -> 2^(scale - 127); 255 is NaN by the standard. */
export const fromE8m0 = (scale: number): number => (scale === 255 ? Number.NaN : 2 ** (scale - 127))

/** FP8 (E4M3: sign, 4 bits of exponent, 3 of fraction, no infinity) -> number. Exact; 0x7f and 0xff are NaN. Micikevicius et al. 2022, arXiv 2209.05433. */
export function fromE4m3(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1
  const [exponent, fraction] = [(bits >>> 3) & 15, bits & 7]
  if ((bits & 0x7f) === 0x7f) return Number.NaN
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10))
}
