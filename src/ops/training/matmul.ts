/**
 * C (+)= A·B with either factor read transposed, over typed arrays: plain loops in any precision (the judge) or
 * generated SIMD over one WebAssembly memory. Sums of one element always run in the same order, so results do not
 * depend on threads. Blocking over the inner dimension keeps a panel in the first-level cache.
 */
import { type MatmulKernels, matmulModule, PANEL, TILE } from './matmul-kernels.ts'

export type Floats = Float32Array<ArrayBufferLike> | Float64Array<ArrayBufferLike>

/**
 * C[M, N] (+)= op(A)[M, K]·op(B)[K, N]. Offsets and strides count values; `aT`: A is stored [K, M], `bT`: B is stored [N, K].
 */
export type Matmul = (
  aT: boolean,
  bT: boolean,
  M: number,
  N: number,
  K: number,
  a: Floats,
  aAt: number,
  aStride: number,
  b: Floats,
  bAt: number,
  bStride: number,
  c: Floats,
  cAt: number,
  cStride: number,
  accumulate: boolean,
) => void

export const plainMatmul: Matmul = (aT, bT, M, N, K, a, aAt, aStride, b, bAt, bStride, c, cAt, cStride, accumulate) => {
  for (let m = 0; m < M; m++)
    for (let n = 0; n < N; n++) {
      let sum = accumulate ? c[cAt + m * cStride + n]! : 0
      for (let k = 0; k < K; k++)
        sum += a[aT ? aAt + k * aStride + m : aAt + m * aStride + k]! * b[bT ? bAt + n * bStride + k : bAt + k * bStride + n]!
      c[cAt + m * cStride + n] = sum
    }
}

/** Inner dimension of one block: a panel of 256 × 8 values is 8 KiB. */
const DEPTH = 256
const PANEL_FLOATS = DEPTH * PANEL

/** Values of scratch memory that `simdMatmul` needs for products with at most `rows` rows. */
export const matmulScratch = (rows: number): number => PANEL_FLOATS + PANEL * rows

/**
 * SIMD products of arrays that are views of `memory`. `scratchAt` is the byte address of `matmulScratch(rows)` values that belong to this
 * thread.
 */
export function simdMatmul(memory: WebAssembly.Memory, scratchAt: number, rows: number): Matmul {
  const shared = !(memory.buffer instanceof ArrayBuffer)
  const module = new WebAssembly.Module(matmulModule(shared))
  const kernels = new WebAssembly.Instance(module, { memory: { 0: memory } }).exports as unknown as MatmulKernels
  const edgeAt = scratchAt + 4 * PANEL_FLOATS
  const edge = new Float32Array(memory.buffer, edgeAt, PANEL * rows)
  const panel = new Float32Array(memory.buffer, scratchAt, PANEL_FLOATS)
  return (aT, bT, M, N, K, a, aAt, aStride, b, bAt, bStride, c, cAt, cStride, accumulate) => {
    if (M > rows) throw new RangeError(`matrix product with ${M} rows, the scratch memory was made for ${rows}`)
    const tiles = aT ? kernels.columnTiles : kernels.rowTiles
    const singles = aT ? kernels.columnSingles : kernels.rowSingles
    const tileCount = Math.floor(M / TILE)
    const tiled = tileCount * TILE
    const aBytes = a.byteOffset + 4 * aAt
    const bBytes = b.byteOffset + 4 * bAt
    const cBytes = c.byteOffset + 4 * cAt
    for (let k = 0; k < K; k += DEPTH) {
      const depth = Math.min(DEPTH, K - k)
      const add = accumulate || k > 0 ? 1 : 0
      const aPart = aBytes + 4 * (aT ? k * aStride : k)
      for (let n = 0; n < N; n += PANEL) {
        const width = Math.min(PANEL, N - n)
        if (width === PANEL) {
          if (bT) kernels.packColumns(scratchAt, bBytes + 4 * (n * bStride + k), 4 * bStride, depth)
          else kernels.packRows(scratchAt, bBytes + 4 * (k * bStride + n), 4 * bStride, depth)
          const cPart = cBytes + 4 * n
          if (tileCount > 0) tiles(aPart, 4 * aStride, scratchAt, cPart, 4 * cStride, depth, tileCount, add)
          if (tiled < M)
            singles(
              aPart + 4 * (aT ? tiled : tiled * aStride),
              4 * aStride,
              scratchAt,
              cPart + 4 * tiled * cStride,
              4 * cStride,
              depth,
              M - tiled,
              add,
            )
          continue
        }
        // The last, narrow panel is multiplied aside with zeros, then its columns are copied.
        for (let i = 0; i < depth; i++)
          for (let j = 0; j < PANEL; j++)
            panel[i * PANEL + j] = j < width ? b[bT ? bAt + (n + j) * bStride + k + i : bAt + (k + i) * bStride + n + j]! : 0
        if (tileCount > 0) tiles(aPart, 4 * aStride, scratchAt, edgeAt, 4 * PANEL, depth, tileCount, 0)
        if (tiled < M)
          singles(
            aPart + 4 * (aT ? tiled : tiled * aStride),
            4 * aStride,
            scratchAt,
            edgeAt + 4 * tiled * PANEL,
            4 * PANEL,
            depth,
            M - tiled,
            0,
          )
        for (let m = 0; m < M; m++)
          for (let j = 0; j < width; j++) {
            const at = cAt + m * cStride + n + j
            c[at] = add ? c[at]! + edge[m * PANEL + j]! : edge[m * PANEL + j]!
          }
      }
    }
  }
}
