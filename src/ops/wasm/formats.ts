/**
 * How weights lie in the arenas. f32, bf16 and fp8 are as given, row by row. Published f16 becomes f32 (exact).
 *
 * All other formats are grouped: 16 rows together, so that lanes of vectors are rows (no sums across lanes) and a worker reads one stream.
 * The last group is padded with zero rows. A group is a sequence of units, each of all 16 rows and of 32 columns, or of 256 where these share
 * a scale:
 *
 *   unit of 32 columns      codes | scale of each row | offset of each row, or its multiple of the scale
 *   unit of 256 columns     scale of each row | offset of each row | 8 × (codes | factors | multiples of the offset)
 *
 * Scales and offsets have 2 bytes (e8m0: 1), factors and multiples 1 byte for each row and each run of `span` columns; where both have 4 bits
 * they share the byte. Nothing is rounded: all numbers are those of the file.
 *
 * The codes of 32 columns are planes of 8, 4, 2 or 1 bits, which add up to a code: 4 + 1 bits, 4 + 2, 2 + 1. A lane holds c = 2 or 4 columns
 * of a row (LANE_COLUMNS), a byte each. In a plane of b bits field t of these bytes is a code of the columns c·j … c·j + c - 1 with
 * j = i·8/b + t:
 *
 *   columns c·j … of row r (c bytes)       at  (16·i + r)·c, bits b·t … b·t + b - 1 of each byte       i = 0 … 4b/c - 1
 */
import { BLOCK_FORMATS, type BlockFormat, fieldBits } from '../block-formats.ts'
import { type BlockDType, storedBytes } from '../dtype.ts'

/** Block formats that stay as they are; MXFP4 of GGUF becomes mxfp4. */
const KEPT = [
  'q8_0',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q2_k',
  'q3_k',
  'q4_k',
  'q5_k',
  'q6_k',
  'iq4_nl',
  'iq4_xs',
  'int4_groups',
  'int8_groups',
] as const

export const FORMAT_NAMES = ['f32', 'bf16', 'fp8', 'mxfp4', 'int8', ...KEPT] as const
type FormatName = (typeof FORMAT_NAMES)[number]
/** The number of each format. */
export const FORMAT = Object.fromEntries(FORMAT_NAMES.map((name, n) => [name, n])) as Readonly<Record<FormatName, number>>
export type Format = number

/** The format that a dtype of blocks gets. */
export const formatOfBlocks = (dtype: BlockDType): Format => (dtype === 'mxfp4_gguf' ? FORMAT.mxfp4 : FORMAT[dtype])

export const GROUP_ROWS = 16

/** Columns of a lane, by the activations that the weights will meet: two products of 16 bits fill a lane of 32, or four of 8 bits. */
export const LANE_COLUMNS = { i8: 4, i16: 2 } as const

/** What kernels know of a grouped format; the terms are those of `BlockFormat`. */
export interface GroupFormat {
  readonly columns: 32 | 256
  readonly bits: number
  readonly zero: number
  readonly table: readonly number[] | undefined
  readonly span: 16 | 32
  /** The scale of an e8m0 counts half: the numbers of its table are doubled. */
  readonly scale: 'f16' | 'bf16' | 'e8m0'
  /** Absent in units of 32 columns: their factors are 1. */
  readonly factors: 'bytes' | 'nibbles' | undefined
  /** Sign of the offset, where there is one. */
  readonly offset: 1 | -1 | undefined
  /** Whether the offset is the row's scale times a signed byte, which stands in its place (units of 32 columns). */
  readonly ofScale: boolean
  readonly planes: readonly Plane[]
  /** Bytes: of a unit, of what stands before its blocks, of a block of 32 columns. */
  readonly unitBytes: number
  readonly headerBytes: number
  readonly blockBytes: number
  /** Bytes from the beginning of the header (units of 256 columns) or of the block. */
  readonly scaleAt: number
  readonly offsetAt: number
  /** Bytes from the beginning of the block. */
  readonly factorsAt: number
  readonly multiplesAt: number
  /** The format in files, which the loader rearranges; int8 is made here. */
  readonly source: BlockFormat | undefined
}

/** Some bits of all codes: `bits` of them, at bit `to` of a code, from byte `at` of a block on. */
export interface Plane {
  readonly bits: 1 | 2 | 4 | 8
  readonly to: number
  readonly at: number
}

const PLANE_BITS: Readonly<Record<number, readonly Plane['bits'][]>> = { 2: [2], 3: [2, 1], 4: [4], 5: [4, 1], 6: [4, 2], 8: [8] }

function groupFormat(
  of: Pick<GroupFormat, 'columns' | 'bits' | 'zero' | 'table' | 'span' | 'scale' | 'factors' | 'offset' | 'ofScale' | 'source'>,
): GroupFormat {
  let [at, to] = [0, 0]
  const planes = PLANE_BITS[of.bits]!.map((bits) => {
    const plane = { bits, to, at }
    at += (GROUP_ROWS * 32 * bits) / 8
    to += bits
    return plane
  })
  const scaleBytes = GROUP_ROWS * (of.scale === 'e8m0' ? 1 : 2)
  const both = scaleBytes * (of.offset ? 2 : 1)
  if (!of.factors) {
    const unitBytes = at + (of.ofScale ? scaleBytes + GROUP_ROWS : both)
    const own = { unitBytes, headerBytes: 0, blockBytes: unitBytes, scaleAt: at, offsetAt: at + scaleBytes, factorsAt: 0, multiplesAt: 0 }
    return { ...of, planes, ...own }
  }
  const run = GROUP_ROWS * (32 / of.span)
  const blockBytes = at + run * (of.offset && of.factors === 'bytes' ? 2 : 1)
  const unitBytes = both + (of.columns / 32) * blockBytes
  const own = { unitBytes, headerBytes: both, blockBytes, scaleAt: 0, offsetAt: scaleBytes, factorsAt: at, multiplesAt: at + run }
  return { ...of, planes, ...own }
}

const fromFile = (source: BlockFormat): GroupFormat => {
  const { length: columns, bits, zero, table, span, scale, factor, offset } = source
  const short = factor && offset?.of && fieldBits(factor.of(0)) <= 4 && fieldBits(offset.of(0)) <= 4
  const factors = factor && (short ? 'nibbles' : 'bytes')
  const ofScale = offset !== undefined && offset.at === scale.at
  return groupFormat({ columns, bits, zero, table, span, scale: scale.format, factors, offset: offset?.sign, ofScale, source })
}

/** By number; undefined where rows stay as published. */
export const GROUP_FORMATS: readonly (GroupFormat | undefined)[] = FORMAT_NAMES.map((name) => {
  if (name === 'f32' || name === 'bf16' || name === 'fp8') return undefined
  if (name === 'mxfp4') return fromFile(BLOCK_FORMATS.mxfp4_gguf)
  if (name !== 'int8') return fromFile(BLOCK_FORMATS[name])
  // Dense weights in fast precision: rounded while loading, with one bf16 scale per 32 columns.
  const none = { table: undefined, factors: undefined, offset: undefined, ofScale: false, source: undefined }
  return groupFormat({ columns: 32, bits: 8, zero: 0, span: 32, scale: 'bf16', ...none })
})

/** Whether a format is stored in groups of rows and wants quantised activations. */
export const isGrouped = (format: Format): boolean => GROUP_FORMATS[format] !== undefined

/** Bytes of one row of a format that is stored by rows. */
export const rowBytes = (format: Format, columns: number): number =>
  format === FORMAT.fp8 ? storedBytes('fp8', columns) : columns * (format === FORMAT.f32 ? 4 : 2)

/** Bytes of a whole matrix. */
export function matrixBytes(format: Format, rows: number, columns: number): number {
  const group = GROUP_FORMATS[format]
  if (!group) return rows * rowBytes(format, columns)
  return Math.ceil(rows / GROUP_ROWS) * (columns / group.columns) * group.unitBytes
}
