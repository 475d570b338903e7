/**
 * C = A·B and C = Aᵀ·B in f32, the two products a linear layer needs backwards (A·Bᵀ is `linear`). Columns of C are vector lanes: a panel of
 * 8 columns of B is packed into scratch, then 4 rows of C at a time take one broadcast value of A per k.
 *
 *            8 columns                      workers own columns of C in multiples of 8,
 *   A  ▒     B ▓▓▓▓▓▓▓▓  k ▼                so that no sum is ever split
 *      ▒  ×    ▓▓▓▓▓▓▓▓       → C 4 × 8, 8 accumulators
 *      ▒       ▓▓▓▓▓▓▓▓
 */
import { type FunctionBuilder, f32x4, i32, type Local } from '../encoder.ts'
import { type Kernel, share } from '../kernel.ts'
import type { KernelModule } from '../simd.ts'

/** k per packed panel: 8 columns × 512 are 16 KiB. */
const DEPTH = 512

function emitPanel(k: KernelModule): void {
  const { heap } = k
  // Eight columns of B (fewer at the right edge, padded with zeros) one behind the other.
  k.module.func('packPanel', { b: 'i32', stride: 'i32', depth: 'i32', width: 'i32', to: 'i32' }, (f, { b, stride, depth, width, to }) => {
    f.times(depth, () => {
      f.if(
        i32.geU(width, 8),
        () => f.do(heap.storeV128(to, heap.v128(b)), heap.storeV128(to, heap.v128(b, 16), 16)),
        () => {
          f.do(heap.storeV128(to, f32x4.splat(0)), heap.storeV128(to, f32x4.splat(0), 16))
          f.do(heap.copy(to, b, i32.shl(width, 2)))
        },
      )
      f.advance(b, stride)
      f.advance(to, 32)
    })
    return undefined
  })
  k.module.func(
    'timesPanel',
    {
      a: 'i32',
      aRow: 'i32',
      aStep: 'i32',
      panel: 'i32',
      depth: 'i32',
      c: 'i32',
      cRow: 'i32',
      rows: 'i32',
      width: 'i32',
      accumulate: 'i32',
    },
    (f, { a, aRow, aStep, panel, depth, c, cRow, rows, width, accumulate }) => {
      const tile = (height: number) => emitRows(k, f, height, { a, aRow, aStep, panel, depth, c, cRow, width, accumulate })
      f.while(
        () => i32.geU(rows, 4),
        () => {
          tile(4)
          f.set(a, i32.add(a, i32.shl(aRow, 2)))
          f.set(c, i32.add(c, i32.shl(cRow, 2)))
          f.set(rows, i32.sub(rows, 4))
        },
      )
      f.times(rows, () => {
        tile(1)
        f.advance(a, aRow)
        f.advance(c, cRow)
      })
      return undefined
    },
  )
}

type Names = 'a' | 'aRow' | 'aStep' | 'panel' | 'depth' | 'c' | 'cRow' | 'width' | 'accumulate'

function emitRows(k: KernelModule, f: FunctionBuilder, height: number, p: Record<Names, Local<'i32'>>): void {
  const { heap } = k
  const rows = [f.i32(p.a)]
  const targets = [f.i32(p.c)]
  for (let r = 1; r < height; r++) {
    rows.push(f.i32(i32.add(rows[r - 1]!, p.aRow)))
    targets.push(f.i32(i32.add(targets[r - 1]!, p.cRow)))
  }
  const sums = rows.map(() => [0, 1].map(() => f.v128(f32x4.splat(0))))
  const at = f.i32(p.panel)
  f.times(p.depth, () => {
    const b = [f.v128(heap.v128(at)), f.v128(heap.v128(at, 16))]
    for (let r = 0; r < height; r++) {
      const value = f.v128(heap.splat32(rows[r]!))
      for (let i = 0; i < 2; i++) f.set(sums[r]![i]!, k.madd(value, b[i]!, sums[r]![i]!))
      f.advance(rows[r]!, p.aStep)
    }
    f.advance(at, 32)
  })
  for (let r = 0; r < height; r++) {
    const c = targets[r]!
    f.if(
      i32.geU(p.width, 8),
      () => {
        f.if(p.accumulate, () => {
          for (let i = 0; i < 2; i++) f.set(sums[r]![i]!, f32x4.add(sums[r]![i]!, heap.v128(c, i * 16)))
        })
        for (let i = 0; i < 2; i++) f.do(heap.storeV128(c, sums[r]![i]!, i * 16))
      },
      () => {
        // The right edge: fewer than eight columns, value by value.
        for (let lane = 0; lane < 7; lane++)
          f.if(i32.gtU(p.width, lane), () => {
            const value = f32x4.extractLane(sums[r]![lane >> 2]!, lane & 3)
            f.if(
              p.accumulate,
              () => f.do(heap.storeLow32(c, f32x4.add(f32x4.splat(value), heap.zero32(c, lane * 4)), lane * 4)),
              () => f.do(heap.storeF32(c, value, lane * 4)),
            )
          })
      },
    )
  }
}

/** [a, b, c, M, N, K, a transposed, accumulate]: a is [M, K], or [K, M] if transposed; b [K, N]; c [M, N] */
export const matmul: Kernel = {
  emit: emitPanel,
  run(context, [a, b, c, M, N, K, transposed, accumulate]) {
    const { packPanel, timesPanel } = context.on(0)
    const [from, to] = share(context, N!, 8)
    const aRow = transposed ? 4 : K! * 4
    const aStep = transposed ? M! * 4 : 4
    for (let column = from; column < to; column += 8)
      for (let k = 0; k < K!; k += DEPTH) {
        const depth = Math.min(DEPTH, K! - k)
        const width = Math.min(8, N! - column)
        packPanel!(b! + (k * N! + column) * 4, N! * 4, depth, width, context.scratch)
        const keep = k > 0 || accumulate ? 1 : 0
        timesPanel!(a! + k * aStep, aRow, aStep, context.scratch, depth, c! + column * 4, N! * 4, M!, width, keep)
      }
  },
}
