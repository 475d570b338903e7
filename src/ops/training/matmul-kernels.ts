/**
 * Generated SIMD for f32 matrix products: packs the right factor into panels of columns, then multiplies tiles of four rows × a panel.
 * It knows nothing of models; `matmul.ts` cuts the work into calls of these functions.
 * Source of the scheme: Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
 */
import { type FunctionBuilder, f32x4, i8x16, i32, type Local, type Memory, ModuleBuilder, type V128 } from '../wasm/encoder.ts'

/** Rows of a tile. */
export const TILE = 4
/** Columns of a panel: with vectors of 8 lanes (ops/wasm/features.ts, `wide`) a tile has eight sums, which keep the multiply-adds busy. */
export const panelColumns = (wide: boolean): number => (wide ? 16 : 8)

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

/** A panel has P = `panelColumns` columns. Pointers and strides in bytes. */
export interface MatmulKernels {
  /** Panel of rows: out[k][0…P-1] = b[k·stride …], k = 0…depth-1. */
  packRows(out: number, b: number, stride: number, depth: number): void
  /** Panel of columns: out[k][j] = b[j·stride + k], j = 0…P-1. */
  packColumns(out: number, b: number, stride: number, depth: number): void
  /** Tile of a transposed left factor: out[k][0…3] = a[k·stride …]. */
  packTile(out: number, a: number, stride: number, depth: number): void
  /** c[m][0…P-1] (+)= Σ_k a[m·stride + k]·panel[k][·] for tiles of four rows; depth a positive number. */
  rowTiles: ProductKernel
  /** The same for single rows. */
  rowSingles: ProductKernel
  /** The same for packed tiles, which lie one behind the other; the stride of a is not read. */
  packedTiles: ProductKernel
  /** c[m][0…P-1] (+)= Σ_k a[k·stride + m]·panel[k][·]: single rows of a left factor that is read transposed. */
  columnSingles: ProductKernel
}

/** Bytes of the module; it imports one memory as `memory.0`. */
export function matmulModule(shared: boolean, wide: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const memory = module.memory(shared)
  const columns = panelColumns(wide)
  packing(module, memory, columns)
  const product = (name: string, tile: number, left: 'rows' | 'packed' | 'columns') =>
    module.func(
      name,
      { a: 'i32', aStride: 'i32', panel: 'i32', c: 'i32', cStride: 'i32', depth: 'i32', tiles: 'i32', accumulate: 'i32' },
      (f, p) => {
        const vectors = Array.from({ length: columns / 4 }, () => f.v128())
        const sums = Array.from({ length: tile }, () => vectors.map(() => f.v128()))
        const aRows = Array.from({ length: left === 'rows' ? tile : 1 }, () => f.i32())
        const cRows = Array.from({ length: tile }, () => f.i32())
        const b = f.i32()
        const zero = f.v128()
        /** Bytes from one k to the next in the rows of a, where that is a constant. */
        const aStep = left === 'packed' ? 4 * tile : 4
        const step = (k: number) => {
          for (const [c, vector] of vectors.entries()) f.set(vector, memory.v128(b, 4 * columns * k + 16 * c))
          sums.forEach((row, m) => {
            const value = f.v128(left === 'rows' ? memory.splat32(aRows[m]!, aStep * k) : memory.splat32(aRows[0]!, aStep * k + 4 * m))
            for (const [c, sum] of row.entries()) f.set(sum, f32x4.relaxedMadd(value, vectors[c]!, sum))
          })
        }
        const steps = (count: number) => {
          for (let k = 0; k < count; k++) step(k)
          f.advance(b, 4 * columns * count)
          for (const row of aRows) f.advance(row, left === 'columns' ? p.aStride : aStep * count)
        }
        const chain = (rows: Local<'i32'>[], base: Local<'i32'>, stride: Local<'i32'>) =>
          rows.forEach((row, m) => {
            f.set(row, m === 0 ? base : i32.add(rows[m - 1]!, stride))
          })
        f.times(p.tiles, () => {
          chain(aRows, p.a, p.aStride)
          chain(cRows, p.c, p.cStride)
          f.set(b, p.panel)
          const begin = (first: (m: number, c: number) => V128) => () => {
            for (const [m, row] of sums.entries()) for (const [c, sum] of row.entries()) f.set(sum, first(m, c))
          }
          f.if(
            p.accumulate,
            begin((m, c) => memory.v128(cRows[m]!, 16 * c)),
            begin(() => zero),
          )
          if (left === 'columns') f.times(p.depth, () => steps(1))
          else {
            f.times(i32.shrU(p.depth, 2), () => steps(4))
            f.times(i32.and(p.depth, 3), () => steps(1))
          }
          // The last vector of a row first: so pairs may be joined.
          sums.forEach((row, m) => {
            for (let c = row.length - 1; c >= 0; c--) f.do(memory.storeV128(cRows[m]!, row[c]!, 16 * c))
          })
          f.advance(p.a, left === 'rows' ? i32.mul(p.aStride, tile) : left === 'packed' ? i32.shl(p.depth, 4) : 4)
          f.advance(p.c, i32.mul(p.cStride, tile))
        })
      },
    )
  product('rowTiles', TILE, 'rows')
  product('rowSingles', 1, 'rows')
  product('packedTiles', TILE, 'packed')
  product('columnSingles', 1, 'columns')
  return module.encode()
}

function packing(module: ModuleBuilder, memory: Memory, columns: number): void {
  const parameters = { out: 'i32', b: 'i32', stride: 'i32', depth: 'i32' } as const
  const copies = (name: string, vectors: number) =>
    module.func(name, parameters, (f, p) => {
      f.times(p.depth, () => {
        for (let c = vectors - 1; c >= 0; c--) f.do(memory.storeV128(p.out, memory.v128(p.b, 16 * c), 16 * c))
        f.advance(p.out, 16 * vectors)
        f.advance(p.b, p.stride)
      })
    })
  copies('packRows', columns / 4)
  copies('packTile', TILE / 4)
  module.func('packColumns', parameters, (f, p) => {
    const rows = [p.b]
    for (let j = 1; j < columns; j++) rows.push(f.i32(i32.add(rows[j - 1]!, p.stride)))
    // Squares of 4 × 4 are transposed in registers.
    f.times(i32.shrU(p.depth, 2), () => {
      for (let j = 0; j < columns; j += 4) {
        const square = transposed(
          f,
          [0, 1, 2, 3].map((i) => f.v128(memory.v128(rows[j + i]!))),
        )
        for (const [k, vector] of square.entries()) f.do(memory.storeV128(p.out, vector, 4 * (columns * k + j)))
      }
      for (const row of rows) f.advance(row, 16)
      f.advance(p.out, 16 * columns)
    })
    f.times(i32.and(p.depth, 3), () => {
      for (let j = 0; j < columns; j++) f.do(memory.storeF32(p.out, memory.f32(rows[j]!), 4 * j))
      for (const row of rows) f.advance(row, 4)
      f.advance(p.out, 4 * columns)
    })
  })
}

/** Lane i of vector k of the result is lane k of vector i. */
function transposed(f: FunctionBuilder, rows: readonly V128[]): V128[] {
  const lanes = (words: readonly number[]) => words.flatMap((word) => [0, 1, 2, 3].map((byte) => 4 * word + byte))
  const mixed = (a: V128, b: V128, words: readonly number[]) => f.v128(i8x16.shuffle(a, b, lanes(words)))
  const [LOW, HIGH] = [
    [0, 4, 1, 5],
    [2, 6, 3, 7],
  ] as const
  const [FIRST, SECOND] = [
    [0, 1, 4, 5],
    [2, 3, 6, 7],
  ] as const
  const [a, b, c, d] = rows as [V128, V128, V128, V128]
  const [low, lower] = [mixed(a, b, LOW), mixed(c, d, LOW)]
  const [high, higher] = [mixed(a, b, HIGH), mixed(c, d, HIGH)]
  return [mixed(low, lower, FIRST), mixed(low, lower, SECOND), mixed(high, higher, FIRST), mixed(high, higher, SECOND)]
}
