/**
 * How weights lie in the arenas. f32 and bf16 are as published, row by row. Published f16 becomes f32 (exact).
 *
 * mxfp4: groups of 16 rows; the last group is padded with zero rows. A group holds its blocks one after the other, 272 bytes each:
 *
 *   word i of row r of the published block (4 bytes = 8 codes) at  i·64 + r·4    i = 0…3, r = 0…15
 *   scale byte of row r                                       at  256 + r
 *
 * so that one 16-byte vector holds the same codes of four rows (lanes are rows: no sums across lanes), and a worker reads one stream.
 */
export const FORMAT = { f32: 0, bf16: 1, mxfp4: 2 } as const
export type Format = (typeof FORMAT)[keyof typeof FORMAT]
export const FORMAT_NAMES = ['f32', 'bf16', 'mxfp4'] as const

export const GROUP_ROWS = 16
export const GROUP_BLOCK_BYTES = 272

/** Bytes of one row of a format that is stored by rows. */
export const rowBytes = (format: number, columns: number): number => columns * (format === FORMAT.f32 ? 4 : 2)

/** Bytes of a whole matrix. */
export function matrixBytes(format: Format, rows: number, columns: number): number {
  if (format === FORMAT.mxfp4) return Math.ceil(rows / GROUP_ROWS) * (columns / 32) * GROUP_BLOCK_BYTES
  return rows * rowBytes(format, columns)
}
