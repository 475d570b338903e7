/**
 * The block formats of GGUF files, and of AWQ and GPTQ: where the bits of a block lie and what numbers they stand for. One description per format serves the
 * plain decoder below, the loader that rearranges blocks, and the generator of kernels (ops/wasm). A block holds `length` neighbouring
 * values of a row in `bytes` bytes:
 *
 *   value i  =  scale·factor(s)·number(code i)  +  offset·multiple(s)          s = i / span, the run of values that shares a factor
 *
 * Sources: ggml-common.h and ggml-quants.c of llama.cpp (the layouts); OCP Microscaling v1.0 (MXFP4).
 */
import type { BlockDType } from '../architecture/architecture.ts'
import { fromE8m0, fromF16 } from '../numbers/f16.ts'

/** Bits of one byte of a block: ((byte[at] >> shift) & (2^bits - 1)) << to. */
export interface Field {
  readonly at: number
  readonly shift: number
  readonly bits: number
  readonly to: number
}

export interface BlockFormat {
  /** Values of a block, neighbours in a row. */
  readonly length: 32 | 256
  /** Bytes of a block. */
  readonly bytes: number
  /** Bits of a code. */
  readonly bits: number
  /** Where the code of value i lies; the fields add up. */
  readonly code: (i: number) => readonly Field[]
  /** What a code stands for: the code less `zero`, or an entry of `table`. Codes of 8 bits are signed. */
  readonly zero: number
  readonly table?: readonly number[]
  /** How many neighbouring values share a factor. */
  readonly span: 16 | 32
  /** Byte of the scale, and its format. The scale of an e8m0 is halved: the numbers of its table are doubled. */
  readonly scale: { readonly at: number; readonly format: 'f16' | 'e8m0' }
  /** The integer factor of run s, less `zero`; 1 where absent. Factors of 8 bits are signed. */
  readonly factor?: { readonly of: (s: number) => readonly Field[]; readonly zero: number }
  /** Byte of the f16 that is added, with its sign and the integer multiple of run s (1 where absent); it may be the scale itself. */
  readonly offset?: { readonly at: number; readonly sign: 1 | -1; readonly of?: (s: number) => readonly Field[] }
}

const bits = (at: number, shift: number, bits: number, to = 0): Field => ({ at, shift, bits, to })

/** 32 nibbles from byte `at` on: the low ones are values 0…15, the high ones 16…31. */
const nibbles = (at: number) => (i: number) => bits(at + (i & 15), (i >> 4) * 4, 4)
/** One bit per value from byte `at` on, the fifth bit of a code. */
const fifth = (at: number) => (i: number) => bits(at + (i >> 3), i & 7, 1, 4)
/** 256 nibbles: 32 bytes hold 64 values, the low ones the first 32. */
const halves = (at: number) => (i: number) => bits(at + (i >> 6) * 32 + (i & 31), ((i >> 5) & 1) * 4, 4)
/** 256 pairs of bits: 32 bytes hold 128 values, two bits for each run of 32. */
const pairs =
  (at: number, to = 0) =>
  (i: number) =>
    bits(at + (i >> 7) * 32 + (i & 31), ((i >> 5) & 3) * 2, 2, to)
/** 256 single bits: byte i mod 32 holds one for each run of 32. */
const single = (at: number, to: number) => (i: number) => bits(at + (i & 31), i >> 5, 1, to)
/** Eight factors (`high` 0) and eight multiples (`high` 4) of 6 bits in the 12 bytes from byte 4 on, as Q4_K and Q5_K have them. */
const sixBits = (high: 0 | 4) => (s: number) => {
  if (s < 4) return [bits(4 + high + s, 0, 6)]
  return [bits(8 + s, high, 4), bits(high + s, 6, 2, 4)]
}

/** The integers of IQ4_NL and IQ4_XS. */
const NONLINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
/** Twice the values of FP4 (E2M1). */
const FP4_DOUBLED = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]

const f16 = (at: number) => ({ at, format: 'f16' as const })

/**
 * 32 values of a group of AWQ or GPTQ: scale·(code - zero point), as the loader writes it: the scale, `zero` less the zero point as a signed
 * byte, the codes.
 */
function groups(bits: 4 | 8, zero: number, code: BlockFormat['code']): BlockFormat {
  const offset = { at: 0, sign: 1, of: () => [{ at: 2, shift: 0, bits: 8, to: 0 }] } as const
  return { length: 32, bytes: 3 + 4 * bits, bits, code, zero, span: 32, scale: f16(0), offset }
}

export const BLOCK_FORMATS: Readonly<Record<BlockDType, BlockFormat>> = {
  q8_0: { length: 32, bytes: 34, bits: 8, code: (i) => [bits(2 + i, 0, 8)], zero: 0, span: 32, scale: f16(0) },
  q4_0: { length: 32, bytes: 18, bits: 4, code: (i) => [nibbles(2)(i)], zero: 8, span: 32, scale: f16(0) },
  q4_1: { length: 32, bytes: 20, bits: 4, code: (i) => [nibbles(4)(i)], zero: 0, span: 32, scale: f16(0), offset: { at: 2, sign: 1 } },
  q5_0: { length: 32, bytes: 22, bits: 5, code: (i) => [nibbles(6)(i), fifth(2)(i)], zero: 16, span: 32, scale: f16(0) },
  q5_1: {
    length: 32,
    bytes: 24,
    bits: 5,
    code: (i) => [nibbles(8)(i), fifth(4)(i)],
    zero: 0,
    span: 32,
    scale: f16(0),
    offset: { at: 2, sign: 1 },
  },
  q2_k: {
    length: 256,
    bytes: 84,
    bits: 2,
    code: (i) => [pairs(16)(i)],
    zero: 0,
    span: 16,
    scale: f16(80),
    factor: { of: (s) => [bits(s, 0, 4)], zero: 0 },
    offset: { at: 82, sign: -1, of: (s) => [bits(s, 4, 4)] },
  },
  q3_k: {
    length: 256,
    bytes: 110,
    bits: 3,
    code: (i) => [pairs(32)(i), single(0, 2)(i)],
    zero: 4,
    span: 16,
    scale: f16(108),
    factor: { of: (s) => [bits(96 + (s & 7), (s >> 3) * 4, 4), bits(104 + (s & 3), (s >> 2) * 2, 2, 4)], zero: 32 },
  },
  q4_k: {
    length: 256,
    bytes: 144,
    bits: 4,
    code: (i) => [halves(16)(i)],
    zero: 0,
    span: 32,
    scale: f16(0),
    factor: { of: sixBits(0), zero: 0 },
    offset: { at: 2, sign: -1, of: sixBits(4) },
  },
  q5_k: {
    length: 256,
    bytes: 176,
    bits: 5,
    code: (i) => [halves(48)(i), single(16, 4)(i)],
    zero: 0,
    span: 32,
    scale: f16(0),
    factor: { of: sixBits(0), zero: 0 },
    offset: { at: 2, sign: -1, of: sixBits(4) },
  },
  q6_k: {
    length: 256,
    bytes: 210,
    bits: 6,
    // 64 bytes hold 128 low nibbles: of values 0…63 the low ones, of values 64…127 the high ones.
    code: (i) => [bits((i >> 7) * 64 + (i & 63), ((i >> 6) & 1) * 4, 4), pairs(128, 4)(i)],
    zero: 32,
    span: 16,
    scale: f16(208),
    factor: { of: (s) => [bits(192 + s, 0, 8)], zero: 0 },
  },
  iq4_nl: { length: 32, bytes: 18, bits: 4, code: (i) => [nibbles(2)(i)], zero: 0, table: NONLINEAR, span: 32, scale: f16(0) },
  iq4_xs: {
    length: 256,
    bytes: 136,
    bits: 4,
    code: (i) => [nibbles(8 + (i >> 5) * 16)(i & 31)],
    zero: 0,
    table: NONLINEAR,
    span: 32,
    scale: f16(0),
    factor: { of: (s) => [bits(4 + (s >> 1), (s & 1) * 4, 4), bits(2 + (s >> 2), (s & 3) * 2, 2, 4)], zero: 32 },
  },
  mxfp4_gguf: {
    length: 32,
    bytes: 17,
    bits: 4,
    code: (i) => [nibbles(1)(i)],
    zero: 0,
    table: FP4_DOUBLED,
    span: 32,
    scale: { at: 0, format: 'e8m0' },
  },
  int4_groups: groups(4, 8, (i) => [nibbles(3)(i)]),
  int8_groups: groups(8, 0, (i) => [bits(3 + i, 0, 8)]),
}

/** Where the f16 or e8m0 numbers of a block begin: its scale, and its offset where that is another number. */
export const scalePlaces = ({ scale, offset }: BlockFormat): number[] =>
  offset && offset.at !== scale.at ? [scale.at, offset.at] : [scale.at]

/**
 * For kernels that read scales as finite numbers.
 * @param offset bytes of the weight before these blocks
 * @throws RangeError for a scale or offset that is infinite or no number
 */
export function requireFiniteScales(name: string, dtype: BlockDType, blocks: Uint8Array, offset: number): void {
  const format = BLOCK_FORMATS[dtype]
  const { bytes, scale } = format
  const finite = scale.format === 'e8m0' ? (at: number) => blocks[at] !== 255 : (at: number) => (blocks[at + 1]! & 0x7c) !== 0x7c
  for (const at of scalePlaces(format))
    for (let block = 0; block < blocks.length; block += bytes)
      if (!finite(block + at))
        throw new RangeError(`${name}: a scale of block ${(offset + block) / bytes} is not a finite number; the file is damaged`)
}

/** How many bits some fields of a block make together. */
export const fieldBits = (fields: readonly Field[]): number => fields.reduce((sum, { bits }) => sum + bits, 0)

/** The number that some fields of a block hold. Eight bits are signed, fewer are not. */
function read(bytes: Uint8Array, block: number, fields: readonly Field[]): number {
  let value = 0
  for (const { at, shift, bits, to } of fields) value |= ((bytes[block + at]! >> shift) & ((1 << bits) - 1)) << to
  return fields[0]!.bits === 8 ? (value << 24) >> 24 : value
}

/** Some whole blocks -> their values as f32, in order. Products are exact; the sum with the offset is rounded once. */
export function decodeBlocks(dtype: BlockDType, bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const format = BLOCK_FORMATS[dtype]
  const { length, span, scale, factor, offset, zero, table } = format
  if (bytes.length % format.bytes !== 0)
    throw new RangeError(`${dtype}: expected whole blocks of ${format.bytes} bytes, got ${bytes.length} bytes`)
  const half = (at: number) => fromF16(bytes[at]! | (bytes[at + 1]! << 8))
  const codes = Array.from({ length }, (_, i) => format.code(i))
  const out = new Float32Array((bytes.length / format.bytes) * length)
  for (let block = 0, at = 0; block < bytes.length; block += format.bytes)
    for (let s = 0; s < length / span; s++) {
      const d = scale.format === 'f16' ? half(block + scale.at) : fromE8m0(bytes[block + scale.at]!) / 2
      const step = factor ? d * (read(bytes, block, factor.of(s)) - factor.zero) : d
      const added = offset && offset.sign * half(block + offset.at) * (offset.of ? read(bytes, block, offset.of(s)) : 1)
      for (let i = s * span; i < (s + 1) * span; i++) {
        const code = read(bytes, block, codes[i]!)
        const product = step * (table ? table[code]! : code - zero)
        out[at++] = added === undefined ? product : product + added
      }
    }
  return out
}
