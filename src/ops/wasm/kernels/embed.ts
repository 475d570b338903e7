/**
 * y[t] = table[index[t]]·scale. Rows of a table that stays as published (f32 or bf16), or of a matrix that is int8 in blocks.
 * Workers take rows; `select` is the same with a temporary as table.
 */
import { f32, f32x4, i32, i32x4 } from '../encoder.ts'
import { FORMAT, GROUP_ROWS, INT8_BLOCK_BYTES, rowBytes } from '../formats.ts'
import { type Kernel, share } from '../kernel.ts'

/** [arena, table, format, index list, y, rows, columns, scale (float)] */
export const embed: Kernel = {
  emit(k) {
    const parameters = { w: 'i32', y: 'i32', columns: 'i32', scale: 'f32' } as const
    k.module.func('embed_f32', parameters, (f, { w, y, columns, scale }) => {
      k.walk(f, columns, [w, y], (s) => s.store(y, f32x4.mul(s.load(w, k.weights), f32x4.splat(scale))))
      return undefined
    })
    k.module.func('embed_bf16', parameters, (f, { w, y, columns, scale }) => {
      f.times(i32.shrU(columns, 2), () => {
        f.do(k.heap.storeV128(y, f32x4.mul(i32x4.shl(k.weights.load16x4U(w), 16), f32x4.splat(scale))))
        f.advance(w, 8)
        f.advance(y, 16)
      })
      f.times(i32.and(columns, 3), () => {
        f.do(k.heap.storeF32(y, f32.mul(f32.reinterpretI32(i32.shl(k.weights.u16(w), 16)), scale)))
        f.advance(w, 2)
        f.advance(y, 4)
      })
      return undefined
    })
  },
  work: ([, , , , , rows, columns]) => rows! * columns! * 2,
  run(c, [arena, table, format, index, y, rows, columns], floats) {
    const [from, to] = share(c, rows!)
    const kernels = c.on(arena!)
    if (format === FORMAT.int8) {
      const blocks = columns! / 32
      for (let t = from; t < to; t++) {
        const id = c.words[index! / 4 + t]!
        const at = table! + Math.floor(id / GROUP_ROWS) * blocks * INT8_BLOCK_BYTES + (id % GROUP_ROWS) * 2
        kernels.embed_int8!(at, y! + t * columns! * 4, blocks, floats[7]!)
      }
      return
    }
    const row = format === FORMAT.bf16 ? kernels.embed_bf16! : kernels.embed_f32!
    for (let t = from; t < to; t++) {
      const at = table! + c.words[index! / 4 + t]! * rowBytes(format!, columns!)
      row(at, y! + t * columns! * 4, columns!, floats[7]!)
    }
  },
}
