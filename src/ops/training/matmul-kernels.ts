/**
 * Generated SIMD for f32 matrix products: packs the right factor into panels of eight columns, then multiplies tiles of rows × 8.
 * It knows nothing of models; `matmul.ts` cuts the work into calls of these functions.
 * Source of the scheme: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
import { f32x4, i32, type Local, ModuleBuilder, type V128 } from '../wasm/encoder.ts'

/** Columns of a panel. */
export const PANEL = 8
/** Rows of a tile: as many as keep the multiply-adds busy, with vectors of 4 lanes or of 8 (ops/wasm/features.ts, `wide`). */
export const tileRows = (wide: boolean): number => (wide ? 8 : 4)

/** `tiles` counts tiles or single rows; `accumulate` is 0 or 1. */
type ProductKernel = (
  a: number,
  aStride: number,
  panel: number,
  c: number,
  cStride: number,
  depth: number,
  tiles: number,
  accumulate: number,
) => void

export interface MatmulKernels {
  /** Panel of rows: out[k][0…7] = b[k·stride …], k = 0…depth-1. Pointers and strides in bytes. */
  packRows(out: number, b: number, stride: number, depth: number): void
  /** Panel of columns: out[k][j] = b[j·stride + k], j = 0…7. */
  packColumns(out: number, b: number, stride: number, depth: number): void
  /** c[m][0…7] (+)= Σ_k a[m·stride + k]·panel[k][·] for tiles of `tileRows` rows; depth a positive number. */
  rowTiles: ProductKernel
  /** The same for single rows. */
  rowSingles: ProductKernel
  /** c[m][0…7] (+)= Σ_k a[k·stride + m]·panel[k][·]: the left factor is read transposed. */
  columnTiles: ProductKernel
  columnSingles: ProductKernel
}

/** Bytes of the module; it imports one memory as `memory.0`. */
export function matmulModule(shared: boolean, wide: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const memory = module.memory(shared)

  module.func('packRows', { out: 'i32', b: 'i32', stride: 'i32', depth: 'i32' }, (f, p) => {
    f.times(p.depth, () => {
      f.do(memory.storeV128(p.out, memory.v128(p.b)), memory.storeV128(p.out, memory.v128(p.b, 16), 16))
      f.advance(p.out, 32)
      f.advance(p.b, p.stride)
    })
  })

  module.func('packColumns', { out: 'i32', b: 'i32', stride: 'i32', depth: 'i32' }, (f, p) => {
    const rows = [p.b]
    for (let j = 1; j < PANEL; j++) rows.push(f.i32(i32.add(rows[j - 1]!, p.stride)))
    f.times(p.depth, () => {
      for (let j = 0; j < PANEL; j++) f.do(memory.storeF32(p.out, memory.f32(rows[j]!), 4 * j))
      for (const row of rows) f.advance(row, 4)
      f.advance(p.out, 32)
    })
  })

  const product = (name: string, tile: number, transposed: boolean) =>
    module.func(
      name,
      { a: 'i32', aStride: 'i32', panel: 'i32', c: 'i32', cStride: 'i32', depth: 'i32', tiles: 'i32', accumulate: 'i32' },
      (f, p) => {
        const sums = Array.from({ length: tile }, () => [f.v128(), f.v128()] as const)
        const aRows = Array.from({ length: transposed ? 1 : tile }, () => f.i32())
        const cRows = Array.from({ length: tile }, () => f.i32())
        const b = f.i32()
        const low = f.v128()
        const high = f.v128()
        const zero = f.v128()
        const step = (k: number) => {
          f.set(low, memory.v128(b, 32 * k))
          f.set(high, memory.v128(b, 32 * k + 16))
          for (let m = 0; m < tile; m++) {
            const value = f.v128(transposed ? memory.splat32(aRows[0]!, 4 * m) : memory.splat32(aRows[m]!, 4 * k))
            f.set(sums[m]![0], f32x4.relaxedMadd(value, low, sums[m]![0]) as V128)
            f.set(sums[m]![1], f32x4.relaxedMadd(value, high, sums[m]![1]) as V128)
          }
        }
        f.times(p.tiles, () => {
          const chain = (rows: Local<'i32'>[], base: Local<'i32'>, stride: Local<'i32'>) =>
            rows.forEach((row, m) => {
              f.set(row, m === 0 ? base : i32.add(rows[m - 1]!, stride))
            })
          chain(aRows, p.a, p.aStride)
          chain(cRows, p.c, p.cStride)
          f.set(b, p.panel)
          f.if(
            p.accumulate,
            () =>
              sums.forEach(([left, right], m) => {
                f.set(left, memory.v128(cRows[m]!))
                f.set(right, memory.v128(cRows[m]!, 16))
              }),
            () =>
              sums.forEach(([left, right]) => {
                f.set(left, zero)
                f.set(right, zero)
              }),
          )
          if (transposed) {
            f.times(p.depth, () => {
              step(0)
              f.advance(b, 32)
              f.advance(aRows[0]!, p.aStride)
            })
          } else {
            f.times(i32.shrU(p.depth, 2), () => {
              for (let k = 0; k < 4; k++) step(k)
              f.advance(b, 128)
              for (const row of aRows) f.advance(row, 16)
            })
            f.times(i32.and(p.depth, 3), () => {
              step(0)
              f.advance(b, 32)
              for (const row of aRows) f.advance(row, 4)
            })
          }
          sums.forEach(([left, right], m) => {
            f.do(memory.storeV128(cRows[m]!, right, 16), memory.storeV128(cRows[m]!, left)) // the upper one first: so they may be joined
          })
          f.advance(p.a, transposed ? 4 * tile : i32.mul(p.aStride, tile))
          f.advance(p.c, i32.mul(p.cStride, tile))
        })
      },
    )
  product('rowTiles', tileRows(wide), false)
  product('rowSingles', 1, false)
  product('columnTiles', tileRows(wide), true)
  product('columnSingles', 1, true)
  return module.encode()
}
