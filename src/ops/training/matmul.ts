/**
 * C (+)= A·B with either factor read transposed, over typed arrays: plain loops in any precision (the reference) or
 * generated SIMD over one WebAssembly memory. Sums of one element always run in the same order, so results do not
 * depend on threads. Blocking over the inner dimension keeps a panel in the first-level cache.
 */
import { type MatmulKernels, panelColumns, TILE } from './matmul-kernels.ts'

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

/** Inner dimension, columns and rows of one block: packed panels and the rows read against them stay in the second-level cache. */
const DEPTH = 256
const WIDTH = 256
const HEIGHT = 96

/** Values of scratch memory that `simdMatmul` needs: the packed right factor of a block, its packed left factor, and a narrow result. */
export const matmulScratch = (): number => DEPTH * WIDTH + DEPTH * HEIGHT + panelColumns(true) * HEIGHT

/** SIMD products of arrays that are views of `memory`. `scratchAt` is the byte address of `matmulScratch()` values that belong to this thread. */
export function simdMatmul(memory: WebAssembly.Memory, scratchAt: number, module: WebAssembly.Module, wide: boolean): Matmul {
  const panelWidth = panelColumns(wide)
  const kernels = new WebAssembly.Instance(module, { memory: { 0: memory } }).exports as unknown as MatmulKernels
  const packed = new Float32Array(memory.buffer, scratchAt, DEPTH * WIDTH)
  const tilesAt = scratchAt + 4 * DEPTH * WIDTH
  const edgeAt = tilesAt + 4 * DEPTH * HEIGHT
  const edge = new Float32Array(memory.buffer, edgeAt, panelWidth * HEIGHT)
  return (aT, bT, M, N, K, a, aAt, aStride, b, bAt, bStride, c, cAt, cStride, accumulate) => {
    const aBytes = a.byteOffset + 4 * aAt
    const bBytes = b.byteOffset + 4 * bAt
    const cBytes = c.byteOffset + 4 * cAt
    const aStep = 4 * aStride
    /** Rows m…m+height-1 of the product with one panel. */
    const rows = (from: number, panel: number, to: number, toStep: number, depth: number, height: number, add: number) => {
      const count = Math.floor(height / TILE)
      const done = count * TILE
      if (count > 0) {
        if (aT) kernels.packedTiles(tilesAt, 0, panel, to, toStep, depth, count, add)
        else kernels.rowTiles(from, aStep, panel, to, toStep, depth, count, add)
      }
      if (done === height) return
      const singles = aT ? kernels.columnSingles : kernels.rowSingles
      singles(from + (aT ? 4 * done : aStep * done), aStep, panel, to + toStep * done, toStep, depth, height - done, add)
    }
    for (let k = 0; k < K; k += DEPTH) {
      const depth = Math.min(DEPTH, K - k)
      const add = accumulate || k > 0 ? 1 : 0
      const panelBytes = 4 * panelWidth * depth
      for (let left = 0; left < N; left += WIDTH) {
        const width = Math.min(WIDTH, N - left)
        const whole = Math.floor(width / panelWidth)
        for (let j = 0; j < whole; j++) {
          const n = left + j * panelWidth
          if (bT) kernels.packColumns(scratchAt + j * panelBytes, bBytes + 4 * (n * bStride + k), 4 * bStride, depth)
          else kernels.packRows(scratchAt + j * panelBytes, bBytes + 4 * (k * bStride + n), 4 * bStride, depth)
        }
        // The last, narrow panel is filled up with zeros and multiplied aside.
        const rest = width - whole * panelWidth
        if (rest > 0)
          for (let i = 0; i < depth; i++)
            for (let j = 0; j < panelWidth; j++) {
              const n = left + whole * panelWidth + j
              packed[(whole * depth + i) * panelWidth + j] = j < rest ? b[bT ? bAt + n * bStride + k + i : bAt + (k + i) * bStride + n]! : 0
            }
        for (let m = 0; m < M; m += HEIGHT) {
          const height = Math.min(HEIGHT, M - m)
          const from = aBytes + 4 * (aT ? k * aStride + m : m * aStride + k)
          // Rows of a transposed factor are far apart: packed once, they are read from the cache for every panel.
          if (aT) for (let i = 0; i + TILE <= height; i += TILE) kernels.packTile(tilesAt + 4 * depth * i, from + 4 * i, aStep, depth)
          for (let j = 0; j < whole; j++)
            rows(from, scratchAt + j * panelBytes, cBytes + 4 * (m * cStride + left + j * panelWidth), 4 * cStride, depth, height, add)
          if (rest === 0) continue
          rows(from, scratchAt + whole * panelBytes, edgeAt, 4 * panelWidth, depth, height, 0)
          for (let i = 0; i < height; i++)
            for (let j = 0; j < rest; j++) {
              const at = cAt + (m + i) * cStride + left + whole * panelWidth + j
              c[at] = add ? c[at]! + edge[i * panelWidth + j]! : edge[i * panelWidth + j]!
            }
        }
      }
    }
  }
}
