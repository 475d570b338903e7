/** Dense weights into int8 (fast precision) in groups of 16 rows (layout in formats.ts), rounded while loading. repack.ts does all formats of blocks. */
import { f32, f32x4, i8x16, i16x8, i32, type Local, v128 } from '../encoder.ts'
import { FORMAT, GROUP_FORMATS, GROUP_ROWS } from '../formats.ts'
import { integers, Kernel, share } from '../kernel.ts'
import { bf16High, bf16Low } from '../simd.ts'
import { largestMagnitude } from './quantize.ts'

const INT8_BYTES = GROUP_FORMATS[FORMAT.int8]!.unitBytes

/** Published rows in the heap, f32 or (with the flag) bf16, into groups; the last group is padded with zeros. */
export const packInt8Kernel = new Kernel('packInt8', integers('arena', 'to', 'from', 'rows', 'columns', 'bf16'), {
  emit(k) {
    const { heap, weights } = k
    for (const source of ['f32', 'bf16'] as const)
      k.module.func(
        `packInt8_${source}`,
        { to: 'i32', from: 'i32', rows: 'i32', blocks: 'i32', scratch: 'i32' },
        (f, { to, from, rows, blocks, scratch }) => {
          // Row after row of the group; a row's pairs are 32 bytes apart.
          f.times(rows, () => {
            const target = f.i32(to)
            const scale = f.i32(to)
            f.times(blocks, () => {
              const values: Local<'v128'>[] = []
              for (let i = 0; i < 4; i++) {
                if (source === 'bf16') {
                  const eight = f.v128(heap.v128(from, i * 16))
                  values.push(f.v128(bf16Low(eight, v128.zero())), f.v128(bf16High(eight, v128.zero())))
                } else values.push(f.v128(heap.v128(from, i * 32)), f.v128(heap.v128(from, i * 32 + 16)))
              }
              // The scale is rounded up to bf16, so that the largest value still fits into 127 steps.
              const bits = f.i32(i32.reinterpretF32(f32.div(largestMagnitude(k, f, values), 127)))
              f.set(bits, i32.and(i32.add(bits, 0xffff), 0xffff0000 | 0))
              const step = f32.reinterpretI32(bits)
              const inverse = f.v128(f32x4.splat(f32.select(f32.gt(step, 0), f32.div(1, step), 0)))
              const rounded = (i: number) => k.truncate(f32x4.nearest(f32x4.mul(values[i]!, inverse)))
              const narrow = (i: number) => i16x8.narrowI32x4S(rounded(i), rounded(i + 1))
              f.do(
                heap.storeV128(scratch, i8x16.narrowI16x8S(narrow(0), narrow(2))),
                heap.storeV128(scratch, i8x16.narrowI16x8S(narrow(4), narrow(6)), 16),
              )
              for (let j = 0; j < 16; j++) f.do(weights.storeU16(target, heap.u16(scratch, j * 2), j * 2 * GROUP_ROWS))
              f.do(weights.storeU16(scale, i32.shrU(bits, 16), 32 * GROUP_ROWS))
              f.advance(target, INT8_BYTES)
              f.advance(scale, INT8_BYTES)
              f.advance(from, source === 'bf16' ? 64 : 128)
            })
            f.advance(to, 2)
          })
        },
      )
    k.module.func('clearWeights', { to: 'i32', bytes: 'i32' }, (f, { to, bytes }) => void f.do(weights.fill(to, 0, bytes)))
  },
  run(c, { arena, to, from, rows, columns, bf16 }) {
    const kernels = c.on(arena)
    const blocks = columns / 32
    const [first, end] = share(c, Math.ceil(rows / GROUP_ROWS))
    for (let g = first; g < end; g++) {
      const target = to + g * blocks * INT8_BYTES
      const count = Math.min(GROUP_ROWS, rows - g * GROUP_ROWS)
      if (count < GROUP_ROWS) kernels.clearWeights!(target, blocks * INT8_BYTES)
      kernels[bf16 ? 'packInt8_bf16' : 'packInt8_f32']!(target, from + g * GROUP_ROWS * columns * (bf16 ? 2 : 4), count, blocks, c.scratch)
    }
  },
})
