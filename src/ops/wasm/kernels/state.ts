/**
 * The ops of state-space layers: a short convolution and the selective scan (Gu & Dao 2023, arXiv 2312.00752). Lanes are channels, so a
 * channel's sums have one order, whatever rows a call has. Workers take channels, and go through the rows of one slot after the other.
 */
import type { Batch, Scan, StatePart } from '../../ops.ts'
import { advance } from '../../state.ts'
import { rowsOf, type Tensor } from '../../tensor.ts'
import type { BatchData } from '../batches.ts'
import type { OpContext } from '../context.ts'
import { type FunctionBuilder, f32x4, i32, type V128 } from '../encoder.ts'
import { type Context, integers, Kernel, share } from '../kernel.ts'
import type { WasmStatePart } from '../kv-cache.ts'
import { SCRATCH_BYTES } from '../layout.ts'
import type { KernelModule } from '../simd.ts'
import type { WasmTensor } from '../tensor.ts'

/** `state` lies in `arena`; 0: the rows of a run begin with a state of zeros, which nobody keeps. */
const COMMON = ['arena', 'state', 'x', 'y', 'channels', 'segments', 'count', 'rows'] as const

/** Calls `run` with every run of rows: its first row, how many, the bytes that the states of earlier slots take, and whether there is a past. */
function overRuns(
  c: Context,
  { segments, count, state }: { segments: number; count: number; state: number },
  stateBytes: number,
  run: (first: number, rows: number, at: number, continues: number) => void,
): void {
  for (let word = segments / 4, end = word + 4 * count; word < end; word += 4) {
    const [slot, first, rows, position] = [c.words[word]!, c.words[word + 1]!, c.words[word + 2]!, c.words[word + 3]!]
    run(first, rows, slot * stateBytes, state && position ? 1 : 0)
  }
}

/** ln(1 + e^x) as max(x, 0) + 2·artanh(u / (2 + u)) with u = e^-|x|: the series converges fast, since the argument is at most 1/3. */
function emitSoftplus(k: KernelModule, f: FunctionBuilder, x: V128): V128 {
  const u = k.exp(f, f32x4.neg(f32x4.abs(x)))
  const s = f.v128(f32x4.div(u, f32x4.add(u, k.splat(2))))
  const z = f.v128(f32x4.mul(s, s))
  const series = f.v128(k.splat(2 / 15))
  for (const n of [13, 11, 9, 7, 5, 3, 1]) f.set(series, k.madd(series, z, k.splat(2 / n)))
  return f32x4.add(f32x4.pmax(x, k.splat(0)), f32x4.mul(s, series))
}

/** `bias` may be 0. */
export const convolutionKernel = new Kernel('convolution', integers(...COMMON, 'weight', 'bias', 'taps'), {
  emit(k) {
    const pointers = { x: 'i32', weight: 'i32', bias: 'i32', y: 'i32', state: 'i32' } as const
    const numbers = { count: 'i32', stride: 'i32', rows: 'i32', taps: 'i32', biased: 'i32', continues: 'i32', keeps: 'i32' } as const
    k.module.func('convolve', { ...pointers, ...numbers }, (f, p) => {
      const { x, weight, bias, y, state, count, stride, rows, taps } = p
      k.walk(f, count, [x, weight, bias, y, state], (s) => {
        const value = f.v128()
        /** Sets `value` to row `index` of the run; earlier ones lie in the state, whose last row comes before row 0. */
        const read = (index: ReturnType<typeof f.i32>) =>
          f.if(
            i32.geS(index, 0),
            () => f.set(value, s.load(f.i32(i32.add(x, i32.mul(index, stride))))),
            () => {
              f.set(value, k.splat(0))
              f.if(p.continues, () => {
                f.set(value, s.load(f.i32(i32.add(state, i32.mul(i32.add(index, taps), stride))), k.weights))
              })
            },
          )
        const index = f.i32(i32.sub(1, taps))
        const to = f.i32(y)
        f.times(rows, () => {
          const sum = f.v128(k.splat(0))
          f.if(p.biased, () => f.set(sum, s.load(bias)))
          const w = f.i32(weight)
          f.times(taps, () => {
            read(index)
            f.set(sum, k.madd(s.load(w), value, sum))
            f.advance(w, stride)
            f.advance(index, 1)
          })
          s.store(to, f32x4.div(sum, f32x4.add(k.splat(1), k.exp(f, f32x4.neg(sum)))))
          f.advance(to, stride)
          f.set(index, i32.add(i32.sub(index, taps), 1))
        })
        f.if(p.keeps, () => {
          f.set(index, i32.sub(rows, taps))
          const kept = f.i32(state)
          f.times(taps, () => {
            read(index)
            s.store(kept, value, k.weights)
            f.advance(kept, stride)
            f.advance(index, 1)
          })
        })
      })
    })
  },
  work: ({ rows, channels, taps }) => rows * channels * (taps * 4 + 24),
  run(c, command) {
    const { arena, state, x, y, channels, weight, bias, taps } = command
    const [from, to] = share(c, channels, 16)
    if (from >= to) return
    const stride = channels * 4
    overRuns(c, command, taps * stride, (first, rows, at, continues) => {
      const [row, column] = [first * stride + from * 4, from * 4]
      const places = [x + row, weight + column, bias + column, y + row, state + at + column] as const
      c.on(arena).convolve!(...places, to - from, stride, rows, taps, bias ? 1 : 0, continues, state ? 1 : 0)
    })
  },
})

/** Bytes of scratch per value of a state: four rates and four values. */
const LANES_BYTES = 32

export const scanKernel = new Kernel('selectiveScan', integers(...COMMON, 'step', 'input', 'output', 'logRate', 'skip', 'values'), {
  emit(k) {
    const pointers = { x: 'i32', step: 'i32', input: 'i32', output: 'i32', logRate: 'i32', skip: 'i32', y: 'i32', state: 'i32' } as const
    const numbers = { scratch: 'i32', count: 'i32', stride: 'i32', rows: 'i32', values: 'i32', continues: 'i32', keeps: 'i32' } as const
    k.module.func('scan', { ...pointers, ...numbers }, (f, p) => {
      const { x, step, logRate, skip, y, state, scratch, count, stride, rows, values } = p
      k.walk(f, count, [x, step, logRate, skip, y, state], (s) => {
        const at = f.i32(scratch)
        const [rate, h] = [f.i32(logRate), f.i32(state)]
        f.times(values, () => {
          f.do(k.heap.storeV128(at, f32x4.neg(k.exp(f, s.load(rate)))))
          f.do(k.heap.storeV128(at, k.splat(0), 16))
          f.if(p.continues, () => f.do(k.heap.storeV128(at, s.load(h, k.weights), 16)))
          f.advance(at, LANES_BYTES)
          f.advance(rate, stride)
          f.advance(h, stride)
        })
        const [input, output] = [f.i32(p.input), f.i32(p.output)]
        const [xt, stept, to] = [f.i32(x), f.i32(step), f.i32(y)]
        f.times(rows, () => {
          const u = f.v128(s.load(xt))
          const delta = f.v128(emitSoftplus(k, f, f.v128(s.load(stept))))
          const sum = f.v128(f32x4.mul(s.load(skip), u))
          f.set(u, f32x4.mul(u, delta))
          f.set(at, scratch)
          f.times(values, () => {
            const decay = k.exp(f, f32x4.mul(delta, k.heap.v128(at)))
            const next = f.v128(k.madd(decay, k.heap.v128(at, 16), f32x4.mul(u, k.heap.splat32(input))))
            f.do(k.heap.storeV128(at, next, 16))
            f.set(sum, k.madd(next, k.heap.splat32(output), sum))
            f.advance(at, LANES_BYTES)
            f.advance(input, 4)
            f.advance(output, 4)
          })
          s.store(to, sum)
          for (const pointer of [xt, stept, to]) f.advance(pointer, stride)
        })
        f.if(p.keeps, () => {
          f.set(at, scratch)
          f.set(h, state)
          f.times(values, () => {
            s.store(h, k.heap.v128(at, 16), k.weights)
            f.advance(at, LANES_BYTES)
            f.advance(h, stride)
          })
        })
      })
    })
  },
  work: ({ rows, channels, values }) => rows * channels * values * 24,
  run(c, command) {
    const { arena, state, x, y, channels, step, input, output, logRate, skip, values } = command
    const [from, to] = share(c, channels, 16)
    if (from >= to) return
    const stride = channels * 4
    overRuns(c, command, values * stride, (first, rows, at, continues) => {
      const [row, column, few] = [first * stride + from * 4, from * 4, first * values * 4]
      const places = [
        x + row,
        step + row,
        input + few,
        output + few,
        logRate + column,
        skip + column,
        y + row,
        state + at + column,
      ] as const
      c.on(arena).scan!(...places, c.scratch, to - from, stride, rows, values, continues, state ? 1 : 0)
    })
  },
})

/** The words that both kernels have. */
function common({ heap, batches }: OpContext, op: string, x: Tensor, y: WasmTensor, channels: number, batch: Batch, part?: StatePart) {
  if (part) advance(part, batch)
  const data: BatchData = part ? batches.of(batch) : batches.withoutCache(batches.of(batch))
  const { arena = 0, address = 0 } = (part as WasmStatePart | undefined) ?? {}
  const runs = { segments: data.segmentList, count: data.segments, rows: rowsOf(x) }
  return { arena, state: address, x: heap.address(x, op), y: y.address, channels, ...runs }
}

export function convolution(
  context: OpContext,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  batch: Batch,
  state?: StatePart,
): WasmTensor {
  const { heap, pool } = context
  const [taps, channels] = weight.shape as [number, number]
  const y = heap.result(x.shape, 'convolution')
  const [w, b] = [heap.address(weight, 'convolution'), heap.address(bias, 'convolution')]
  pool.enqueue(convolutionKernel, { ...common(context, 'convolution', x, y, channels, batch, state), weight: w, bias: b, taps })
  return y
}

/** @throws RangeError for more values per channel than the scratch of a worker holds */
export function selectiveScan(context: OpContext, x: Tensor, scan: Scan, batch: Batch, state?: StatePart): WasmTensor {
  const { heap, pool } = context
  const [values, channels] = scan.logRate.shape as [number, number]
  if (values * LANES_BYTES > SCRATCH_BYTES)
    throw new RangeError(
      `selectiveScan: expected at most ${SCRATCH_BYTES / LANES_BYTES} values per channel, got ${values}; use the reference backend`,
    )
  const y = heap.result(x.shape, 'selectiveScan')
  const address = (tensor: Tensor) => heap.address(tensor, 'selectiveScan')
  const [step, input, output] = [address(scan.step), address(scan.input), address(scan.output)]
  const [logRate, skip] = [address(scan.logRate), address(scan.skip)]
  const words = common(context, 'selectiveScan', x, y, channels, batch, state)
  pool.enqueue(scanKernel, { ...words, step, input, output, logRate, skip, values })
  return y
}
