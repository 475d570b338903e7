/**
 * Blocks of GGUF files into groups of 16 rows (layout in formats.ts), while loading: bits move, no number changes. Generated from where a
 * format has its bits (block-formats.ts): first the codes of 16 rows as bytes in scratch, then planes of them, transposed.
 */
import type { Field } from '../../block-formats.ts'
import { type FunctionBuilder, type I32, i8x16, i16x8, i32, type Local, type V128, v128 } from '../encoder.ts'
import { GROUP_FORMATS, GROUP_ROWS, type GroupFormat } from '../formats.ts'
import { integers, Kernel, share } from '../kernel.ts'
import { type KernelModule, transpose8 } from '../simd.ts'

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
  if (bits !== 1 || !fields.every((field, i) => field.at === at + (i >> 3) && field.shift === (i & 7)))
    throw new RangeError('a block format has neighbours neither in neighbouring bytes nor in neighbouring bits')
  const spread = i8x16.shuffle(k.heap.splat16(block, at), v128.zero(), [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
  const single = k.bytes(fields.map((field) => 1 << field.shift))
  return v128.and(i8x16.eq(v128.and(spread, single), single), k.splatInteger(inBytes(1 << to)))
}

/** The number that some fields hold. */
const scalar = (k: KernelModule, block: Local<'i32'>, fields: readonly Field[]): I32 =>
  fields
    .map(({ at, shift, bits, to }) => i32.shl(i32.and(i32.shrU(k.heap.u8(block, at), shift), (1 << bits) - 1), to))
    .reduce((a, b) => i32.or(a, b))

/** One group: `rows` rows of `rowBytes` bytes in the heap, `units` units of each; `codes`: scratch for the codes of one unit. */
export function emitRepack(k: KernelModule, format: GroupFormat): void {
  const { source } = format
  if (!source) return
  const { heap, weights } = k
  const runs = Array.from({ length: source.length / source.span }, (_, run) => run)
  k.module.func(
    'repack',
    { to: 'i32', from: 'i32', rows: 'i32', units: 'i32', rowBytes: 'i32', codes: 'i32' },
    (f, { to, from, rows, units, rowBytes, codes }) => {
      f.times(units, () => {
        const [block, line, byte, half] = [f.i32(from), f.i32(codes), f.i32(to), f.i32(to)]
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
          if (format.scale === 'e8m0') f.do(weights.storeU8(byte, heap.u8(block, source.scale.at), format.scaleAt))
          else f.do(weights.storeU16(half, heap.u16(block, source.scale.at), format.scaleAt))
          if (format.ofScale) f.do(weights.storeU8(byte, scalar(k, block, source.offset!.of!(0)), format.offsetAt))
          else if (source.offset) f.do(weights.storeU16(half, heap.u16(block, source.offset.at), format.offsetAt))
          for (const run of runs) repackFactors(k, f, format, block, byte, run)
          f.advance(block, rowBytes)
          f.advance(line, source.length)
          f.advance(byte, 1)
          f.advance(half, 2)
        })
        f.set(line, codes)
        f.advance(to, format.headerBytes)
        f.times(source.length / 32, () => {
          emitPlanes(k, f, format, line, to, source.length)
          f.advance(line, 32)
          f.advance(to, format.blockBytes)
        })
        f.advance(from, source.bytes)
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

/** The planes of a block of 32 columns, from lines of bytes that are `step` bytes apart. */
function emitPlanes(
  k: KernelModule,
  f: FunctionBuilder,
  { planes }: GroupFormat,
  lines: Local<'i32'>,
  to: Local<'i32'>,
  step: number,
): void {
  for (const half of [0, 1])
    for (const part of [0, 1]) {
      const eight = Array.from({ length: 8 }, (_, r) => f.v128(k.heap.v128(lines, (half * 8 + r) * step + part * 16)))
      const pairs = transpose8(f, eight) // columns 2j, 2j + 1 of eight rows, j = 8·part …
      for (const { bits, to: bit, at } of planes) {
        const perByte = 8 / bits
        const mask = ((1 << bits) - 1) << bit
        for (let i = 0; i < 8 / perByte; i++) {
          const fields = pairs.slice(i * perByte, (i + 1) * perByte).map((codes, t) => {
            if (bits === 8) return codes
            const own = v128.and(codes, k.splatInteger(inBytes(mask)))
            const distance = bits * t - bit
            return distance > 0 ? i16x8.shl(own, distance) : distance < 0 ? i16x8.shrU(own, -distance) : own
          })
          const at16 = at + ((part * 8) / perByte + i) * 32 + half * 16
          f.do(
            k.weights.storeV128(
              to,
              fields.reduce((a, b) => v128.or(a, b)),
              at16,
            ),
          )
        }
      }
    }
}

/** Published rows in the heap into groups; the last group is padded with zeros. */
export const repackKernel = new Kernel('repack', integers('arena', 'to', 'from', 'format', 'rows', 'columns'), {
  run(c, { arena, to, from, format, rows, columns }) {
    const { unitBytes, source } = GROUP_FORMATS[format]!
    const units = columns / source!.length
    const rowBytes = units * source!.bytes
    const { repack } = c.on(arena, format)
    const [first, end] = share(c, Math.ceil(rows / GROUP_ROWS))
    for (let g = first; g < end; g++) {
      const target = to + g * units * unitBytes
      const count = Math.min(GROUP_ROWS, rows - g * GROUP_ROWS)
      if (count < GROUP_ROWS) c.on(arena).clearWeights!(target, units * unitBytes)
      repack!(target, from + g * GROUP_ROWS * rowBytes, count, units, rowBytes, c.scratch)
    }
  },
})
