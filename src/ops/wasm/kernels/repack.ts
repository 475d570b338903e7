/**
 * Blocks of GGUF files into groups of 16 rows (layout in formats.ts), while loading: bits move, no number changes. Generated from where a
 * format has its bits (block-formats.ts): first the codes of 16 rows as bytes in scratch, then planes of them, transposed.
 */
import { BLOCK_FORMATS, type BlockFormat, type Field } from '../../block-formats.ts'
import { type FunctionBuilder, type I32, i8x16, i16x8, i32, type Local, type V128, v128 } from '../encoder.ts'
import { FORMAT, GROUP_FORMATS, GROUP_ROWS, type GroupFormat } from '../formats.ts'
import { integers, Kernel, share } from '../kernel.ts'
import { type KernelModule, transpose, transpose8 } from '../simd.ts'

const inBytes = (value: number) => value * 0x01010101

/** The same field of 16 neighbouring values of a block at `block`, in place as 16 bytes. */
function neighbours(k: KernelModule, block: Local<'i32'>, fields: readonly Field[]): V128 {
  const { at, shift, bits, to } = fields[0]!
  if (fields.every((field, i) => field.at === at + i && field.shift === shift)) {
    const bytes = k.heap.v128(block, at)
    if (bits === 8) return bytes
    const moved = shift > to ? i16x8.shrU(bytes, shift - to) : shift < to ? i16x8.shl(bytes, to - shift) : bytes
    return v128.and(moved, k.splatInteger(inBytes(((1 << bits) - 1) << to)))
  }
  if (fields.every((field, i) => field.at === at + (i >> 1) && field.shift === (i & 1) * bits)) {
    const bytes = k.heap.zero64(block, at)
    const lanes = Array.from({ length: 16 }, (_, i) => (i >> 1) + (i & 1) * 16)
    return v128.and(i8x16.shuffle(bytes, i16x8.shrU(bytes, bits), lanes), k.splatInteger(inBytes((1 << bits) - 1)))
  }
  if (bits !== 1 || !fields.every((field, i) => field.at === at + (i >> 3) && field.shift === (i & 7)))
    throw new RangeError('a block format has neighbours neither in neighbouring bytes nor in neighbouring fields of a byte')
  const spread = i8x16.shuffle(k.heap.splat16(block, at), v128.zero(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
  const single = k.bytes(fields.map((field) => 1 << field.shift))
  return v128.and(i8x16.eq(v128.and(spread, single), single), k.splatInteger(inBytes(1 << to)))
}

/** The number that some fields hold. */
const scalar = (k: KernelModule, block: Local<'i32'>, fields: readonly Field[]): I32 =>
  fields
    .map(({ at, shift, bits, to }) => i32.shl(i32.and(i32.shrU(k.heap.u8(block, at), shift), (1 << bits) - 1), to))
    .reduce((a, b) => i32.or(a, b))

/** MXFP4 as safetensors files have it: 16 bytes of neighbours two by two, and the scales elsewhere. */
const MXFP4_APART: BlockFormat = {
  ...BLOCK_FORMATS.mxfp4_gguf,
  bytes: 16,
  code: (i) => [{ at: i >> 1, shift: (i & 1) * 4, bits: 4, to: 0 }],
}

/** How the format of a file is repacked into lanes of `columns` columns; of mxfp4 both formats of files. */
export function emitRepack(k: KernelModule, format: GroupFormat, columns: 2 | 4): void {
  if (format.source) emitGroup(k, format, columns, format.source, 'repack')
  if (format === GROUP_FORMATS[FORMAT.mxfp4]) emitGroup(k, format, columns, MXFP4_APART, 'repackApart')
}

/**
 * One group: `rows` rows of `rowBytes` bytes in the heap, `units` units of each; `codes`: scratch for the codes of one unit. `scales`: where the
 * scale bytes of the rows lie if they are apart from the blocks.
 */
function emitGroup(k: KernelModule, format: GroupFormat, columns: 2 | 4, source: BlockFormat, name: 'repack' | 'repackApart'): void {
  const { heap, weights } = k
  const runs = Array.from({ length: source.length / source.span }, (_, run) => run)
  k.module.func(
    name,
    { to: 'i32', from: 'i32', rows: 'i32', units: 'i32', rowBytes: 'i32', codes: 'i32', scales: 'i32' },
    (f, { to, from, rows, units, rowBytes, codes, scales }) => {
      f.times(units, () => {
        const [block, line, byte, half, scale] = [f.i32(from), f.i32(codes), f.i32(to), f.i32(to), f.i32(scales)]
        f.times(rows, () => {
          for (let i = 0; i < source.length; i += 16) {
            const sixteen = Array.from({ length: 16 }, (_, n) => source.code(i + n))
            const parts = sixteen[0]!.map((_, p) =>
              neighbours(
                k,
                block,
                sixteen.map((fields) => fields[p]!),
              ),
            )
            f.do(
              heap.storeV128(
                line,
                parts.reduce((a, b) => v128.or(a, b)),
                i,
              ),
            )
          }
          if (name === 'repackApart') f.do(weights.storeU8(byte, heap.u8(scale), format.scaleAt))
          else if (format.scale === 'e8m0') f.do(weights.storeU8(byte, heap.u8(block, source.scale.at), format.scaleAt))
          else f.do(weights.storeU16(half, heap.u16(block, source.scale.at), format.scaleAt))
          if (format.ofScale) f.do(weights.storeU8(byte, scalar(k, block, source.offset!.of!(0)), format.offsetAt))
          else if (source.offset) f.do(weights.storeU16(half, heap.u16(block, source.offset.at), format.offsetAt))
          for (const run of runs) repackFactors(k, f, format, block, byte, run)
          f.advance(block, rowBytes)
          f.advance(line, source.length)
          f.advance(byte, 1)
          f.advance(half, 2)
          f.advance(scale, units)
        })
        f.set(line, codes)
        f.advance(to, format.headerBytes)
        f.times(source.length / 32, () => {
          emitPlanes(k, f, format, columns, line, to, source.length)
          f.advance(line, 32)
          f.advance(to, format.blockBytes)
        })
        f.advance(from, source.bytes)
        f.advance(scales, 1)
      })
    },
  )
}

function repackFactors(k: KernelModule, f: FunctionBuilder, format: GroupFormat, block: Local<'i32'>, to: Local<'i32'>, run: number): void {
  const { source, factors, headerBytes, blockBytes, span } = format
  if (!factors) return
  const perBlock = 32 / span
  const at = headerBytes + Math.floor(run / perBlock) * blockBytes + (run % perBlock) * GROUP_ROWS
  const factor = i32.sub(scalar(k, block, source!.factor!.of(run)), source!.factor!.zero)
  const multiple = source!.offset?.of && scalar(k, block, source!.offset.of(run))
  const both = factors === 'nibbles' && multiple
  f.do(k.weights.storeU8(to, both ? i32.or(factor, i32.shl(multiple, 4)) : factor, at + format.factorsAt))
  if (multiple && !both) f.do(k.weights.storeU8(to, multiple, at + format.multiplesAt))
}

/** The planes of a block of 32 columns, from lines of bytes that are `step` bytes apart: lanes of `columns` columns. */
function emitPlanes(
  k: KernelModule,
  f: FunctionBuilder,
  { planes }: GroupFormat,
  columns: 2 | 4,
  lines: Local<'i32'>,
  to: Local<'i32'>,
  step: number,
): void {
  const load = (row: number, at: number) => f.v128(k.heap.v128(lines, row * step + at))
  for (let part = 0; part < columns; part++)
    for (const first of columns === 2 ? [0, 8] : [0]) {
      // Lanes j = first … first + 7 of the 16/columns rows of this part.
      const lanes =
        columns === 2
          ? transpose8(
              f,
              Array.from({ length: 8 }, (_, r) => load(part * 8 + r, first * 2)),
            )
          : [0, 16].flatMap((at) =>
              transpose(
                f,
                Array.from({ length: 4 }, (_, r) => load(part * 4 + r, at)),
              ),
            )
      for (const { bits, to: bit, at } of planes) {
        const perByte = 8 / bits
        const mask = k.splatInteger(inBytes(((1 << bits) - 1) << bit))
        for (let i = 0; i < 8 / perByte; i++) {
          const fields = lanes.slice(i * perByte, (i + 1) * perByte).map((codes, t) => {
            if (bits === 8) return codes
            const distance = bits * t - bit
            const own = v128.and(codes, mask)
            return distance > 0 ? i16x8.shl(own, distance) : distance < 0 ? i16x8.shrU(own, -distance) : own
          })
          const all = fields.reduce((a, b) => v128.or(a, b))
          f.do(k.weights.storeV128(to, all, at + ((first / perByte + i) * columns + part) * 16))
        }
      }
    }
}

/** Published rows in the heap into groups; the last group is padded with zeros. `scales`: of mxfp4 whose scales lie apart, else 0. */
export const repackKernel = new Kernel('repack', integers('arena', 'to', 'from', 'scales', 'format', 'rows', 'columns'), {
  run(c, { arena, to, from, scales, format, rows, columns }) {
    const { unitBytes, source } = GROUP_FORMATS[format]!
    const units = columns / source!.length
    const rowBytes = units * (scales ? MXFP4_APART.bytes : source!.bytes)
    const kernels = c.on(arena, format)
    const repack = scales ? kernels.repackApart! : kernels.repack!
    const [first, end] = share(c, Math.ceil(rows / GROUP_ROWS))
    for (let g = first; g < end; g++) {
      const target = to + g * units * unitBytes
      const row = g * GROUP_ROWS
      const count = Math.min(GROUP_ROWS, rows - row)
      if (count < GROUP_ROWS) c.on(arena).clearWeights!(target, units * unitBytes)
      repack(target, from + row * rowBytes, count, units, rowBytes, c.scratch, scales && scales + row * units)
    }
  },
})
