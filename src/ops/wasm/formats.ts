/**
 * How weights lie in the arenas. f32 and bf16 are as published, row by row. Published f16 becomes f32 (exact).
 *
 * mxfp4: groups of 16 rows; the last group is padded with zero rows. A group holds its blocks one after the other, 272 bytes each:
 *
 *   columns 4i … 4i + 3 of row r (2 bytes)                    at  i·32 + r·2    i = 0…7, r = 0…15
 *     as codes of columns 4i, 4i + 2 | 4i + 1, 4i + 3 (low nibble first): the low nibbles of both bytes are neighbours, and the high ones
 *   scale byte of row r                                       at  256 + r
 *
 * so that one 16-byte vector holds the same columns of eight rows (lanes are rows: no sums across lanes), and a worker reads one stream.
 *
 * int8 (fast precision): groups of 16 rows likewise, 544 bytes per block of 32 columns:
 *
 *   columns 2j, 2j + 1 of row r (2 bytes)                     at  j·32 + r·2    j = 0…15
 *   scale of row r (bf16)                                     at  512 + r·2
 */
export const FORMAT = { f32: 0, bf16: 1, mxfp4: 2, int8: 3 } as const
export type Format = (typeof FORMAT)[keyof typeof FORMAT]
export const FORMAT_NAMES = ['f32', 'bf16', 'mxfp4', 'int8'] as const

export const GROUP_ROWS = 16
export const GROUP_BLOCK_BYTES = 272
export const INT8_BLOCK_BYTES = 544

/** Whether a format is stored in groups of rows and wants quantised activations. */
export const isGrouped = (format: number): boolean => format === FORMAT.mxfp4 || format === FORMAT.int8

/** Bytes of one row of a format that is stored by rows. */
export const rowBytes = (format: number, columns: number): number => columns * (format === FORMAT.f32 ? 4 : 2)

/** Bytes of a whole matrix. */
export function matrixBytes(format: Format, rows: number, columns: number): number {
  const block = format === FORMAT.mxfp4 ? GROUP_BLOCK_BYTES : INT8_BLOCK_BYTES
  if (isGrouped(format)) return Math.ceil(rows / GROUP_ROWS) * (columns / 32) * block
  return rows * rowBytes(format, columns)
}
