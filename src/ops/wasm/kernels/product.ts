/**
 * Products of grouped formats (formats.ts) with rows of integers (quantize.ts), generated from the description of a format: lanes are rows of
 * the weight, sums of a run are exact in integers, then scaled and added to the f32 sums of the rows, run after run. All kernels add in
 * the same order, so that a row of x has the same result alone and among others.
 *
 * Few rows of x: one or two at a time, weights as they are packed.       Many: blocks unpacked in scratch, two rows at a time.
 *
 *   16 rows   ▒ ▒ 2 × 4 sums of a run and 2 × 4 totals                    16 rows   ▒ ▒ 2 × 4 sums of a run and 2 × 4 totals
 *
 * An unpacked block: its integers, then for each run the 16 scales and the 16 offsets as f32.
 *
 *   i16   columns 2j, 2j + 1 of rows 0…15 (j = 0…15, 2 bytes each)                                                  1024 bytes
 *   i8    columns 4j … 4j + 3 of rows 0…15 (j = 0…7, 1 byte each)                                                    512 bytes
 *
 * Neighbouring vectors go through the same operations and are stored together, so that the engine can join them (features.ts, `wide`).
 */
import type { Precision } from '../context.ts'
import { type FunctionBuilder, f32, f32x4, i16x8, i32, i32x4, type Local, type V128 } from '../encoder.ts'
import { GROUP_FORMATS, GROUP_ROWS, type GroupFormat, LANE_COLUMNS } from '../formats.ts'
import type { KernelModule } from '../simd.ts'
import { eachBlock, eachLane, type Integers, integersOf, type Scales } from './codes.ts'
import { ACTIVATION, ACTIVATIONS, type Activation } from './quantize.ts'

/** What grouped.ts knows of a format and a kind of activations: columns of a unit and its bytes. */
export interface Product {
  readonly columns: number
  /** In the weight, in a row of x, and unpacked. */
  readonly weightBytes: number
  readonly xBytes: number
  readonly unpacked: number
}

const INTEGER_BYTES = { i8: 512, i16: 1024 } as const
/** Bytes of an unpacked block, and of the scales and offsets of one of its runs. */
const runBytes = ({ offset }: GroupFormat) => 4 * GROUP_ROWS * (offset ? 2 : 1)
const unpackedBytes = (format: GroupFormat, activation: Activation) => INTEGER_BYTES[activation] + (32 / format.span) * runBytes(format)

const PRODUCTS = GROUP_FORMATS.map((format) =>
  ACTIVATIONS.map((activation): Product | undefined => {
    if (!format || !integersOf(format, activation)) return undefined
    const blocks = format.columns / 32
    return {
      columns: format.columns,
      weightBytes: format.unitBytes,
      xBytes: blocks * ACTIVATION[activation].bytes,
      unpacked: blocks * unpackedBytes(format, activation),
    }
  }),
)

/** The kind of activations that a grouped format is multiplied with: 8 bits only in fast precision, and where codes are short enough. */
export const activationFor = (format: number, precision: Precision): Activation =>
  precision === 'fast' && PRODUCTS[format]![ACTIVATIONS.indexOf('i8')] ? 'i8' : 'i16'

/** The product of a format with a kind of activation (index of ACTIVATIONS). */
export const productOf = (format: number, activation: number): Product => PRODUCTS[format]![activation]!

const four = <T>(make: (q: number) => T): T[] => [0, 1, 2, 3].map(make)
type Sums = readonly (readonly Local<'v128'>[])[]

/** One format with one kind of activations, and the module that its kernels go into. */
class Generator {
  readonly k: KernelModule
  readonly format: GroupFormat
  readonly activation: Activation
  readonly integers: Integers

  constructor(k: KernelModule, format: GroupFormat, activation: Activation, integers: Integers) {
    this.k = k
    this.format = format
    this.activation = activation
    this.integers = integers
  }

  get #runs(): number[] {
    return Array.from({ length: 32 / this.format.span }, (_, run) => run)
  }

  /** Σx of a run as integers, in all lanes. */
  #sumOf(x: Local<'i32'>, run: number): V128 {
    const sum = this.k.heap.splat32(x, this.#sumAt(run))
    return this.activation === 'i8' ? i32x4.extaddPairwiseI16x8S(sum) : sum
  }

  #sumAt(run: number): number {
    return ACTIVATION[this.activation].sums + (this.format.span === 32 ? 0 : 4 + 4 * run)
  }

  /** total += scale·sum + offset·Σx, all four vectors of each row of x. `sums` are 32-bit integers. */
  #add(f: FunctionBuilder, totals: Sums, sums: readonly (readonly V128[])[], x: readonly Local<'i32'>[], run: number, of: Scales): void {
    const { k, format, activation, integers } = this
    const scales = of.scales.map((vector) => f.v128(vector))
    const offsets = of.offsets?.map((vector) => f.v128(vector))
    totals.forEach((ofRow, n) => {
      const step = f.v128(k.heap.splat32(x[n]!, ACTIVATION[activation].scale))
      const shift = integers.centre - integers.zero
      const more = activation === 'i8' && shift !== 0 ? f.v128(i32x4.mul(this.#sumOf(x[n]!, run), k.splatInteger(shift))) : undefined
      const all = offsets && f.v128(f32x4.mul(f32x4.convertI32x4S(this.#sumOf(x[n]!, run)), step))
      if (format.scale === 'e8m0') f.set(step, f32x4.mul(step, k.splat(0.5)))
      ofRow.forEach((total, q) => {
        const sum = sums[n]![q]!
        f.set(total, k.madd(f32x4.convertI32x4S(more ? i32x4.add(sum, more) : sum), f32x4.mul(scales[q]!, step), total))
        if (all) f.set(total, k.madd(offsets[q]!, format.offset === -1 ? f32x4.neg(all) : all, total))
      })
    })
  }

  /** Sums of a run begin with -zero·Σx (16 bits) or -centre·Σx (8 bits), or are not set where that is nothing. Returns whether they are. */
  #start(f: FunctionBuilder, x: Local<'i32'>, run: number, sums: readonly Local<'v128'>[]): boolean {
    const { k, activation, integers } = this
    const by = -(activation === 'i16' ? integers.zero : integers.centre)
    if (by === 0) return false
    const sum = k.heap.splat32(x, this.#sumAt(run))
    const start = f.v128(
      activation === 'i16' ? i32x4.mul(sum, k.splatInteger(by)) : i16x8.mul(sum, k.splatInteger((by & 0xffff) * 0x10001)),
    )
    for (const one of sums) f.set(one, start)
    return true
  }

  /**
   * Kernel for `count` rows of x: groups of blocks as one stream. With 8 bits the module has the weights as its first memory: sums go through
   * `spill` there, because the engine begins to join vectors at neighbouring stores to the first memory.
   */
  emitRows(count: 1 | 2): void {
    const { k, format, activation } = this
    const { heap, weights } = k
    const rows = count === 1 ? [0] : [0, 1]
    k.module.func(
      `rows_${count}`,
      {
        ...{ w: 'i32', units: 'i32', groups: 'i32', bias: 'i32', biasStep: 'i32', spill: 'i32' },
        ...Object.fromEntries(rows.flatMap((n) => [`x${n}`, `y${n}`].map((pointer) => [pointer, 'i32' as const]))),
      },
      (f, parameters) => {
        const run = parameters as Record<string, Local<'i32'>>
        const pointers = (kind: string) => rows.map((n) => run[`${kind}${n}`]!)
        const [x, y] = [pointers('x'), pointers('y')]
        const totals = rows.map(() => four(() => f.v128()))
        f.times(run.groups!, () => {
          const start = activation === 'i8' ? { memory: weights, at: run.spill! } : { memory: heap, at: run.bias! }
          if (activation === 'i8') f.do(...four((q) => weights.storeV128(run.spill!, heap.v128(run.bias!, q * 16), q * 16)))
          for (const ofRow of totals) for (const [q, total] of ofRow.entries()) f.set(total, start.memory.v128(start.at, q * 16))
          const p = x.map((row) => f.i32(row))
          f.times(run.units!, () => {
            eachBlock(k, f, format, run.w!, (scalesOf) => {
              for (const n of this.#runs) {
                const sums = activation === 'i8' ? this.#rows8(f, run.w!, p, n) : this.#rows16(f, run.w!, p, n)
                this.#add(f, totals, sums, p, n, scalesOf(n))
              }
              for (const row of p) f.advance(row, ACTIVATION[activation].bytes)
            })
          })
          f.advance(run.bias!, run.biasStep!)
          totals.forEach((ofRow, n) => {
            if (activation === 'i8') {
              k.storeRun(f, run.spill!, ofRow, 0, weights)
              for (let q = 0; q < 4; q++) f.do(heap.storeV128(y[n]!, weights.v128(run.spill!, q * 16), q * 16))
            } else k.storeRun(f, y[n]!, ofRow)
            f.advance(y[n]!, 64)
          })
        })
      },
    )
  }

  /** Codes become pairs of 16 bits. */
  #rows16(f: FunctionBuilder, w: Local<'i32'>, x: readonly Local<'i32'>[], run: number): Sums {
    const { k, format, integers } = this
    const sums = x.map(() => four(() => f.v128()))
    const started = x.map((row, n) => this.#start(f, row, run, sums[n]!))
    const pairs: Local<'v128'>[][] = []
    eachLane(k, f, format, integers, 2, w, run, (j, half, codes) => {
      pairs[j] ??= x.map((row) => f.v128(k.heap.splat32(row, j * 4)))
      const wide = [f.v128(i16x8.extendLowI8x16S(codes)), f.v128(i16x8.extendHighI8x16S(codes))]
      sums.forEach((ofRow, n) => {
        wide.forEach((weights, i) => {
          const first = !started[n] && j === (run * format.span) / 2
          k.accumulate(f, ofRow[2 * half + i]!, i32x4.dotI16x8S(weights, pairs[j]![n]!), first)
        })
      })
    })
    return sums
  }

  /** The 8-bit dot product: the even and the odd pairs of columns add up in the two halves of a lane, so that 16 bits hold them. */
  #rows8(f: FunctionBuilder, w: Local<'i32'>, x: readonly Local<'i32'>[], run: number): V128[][] {
    const { k, format, integers } = this
    const sums = x.map(() => four(() => f.v128()))
    const started = x.map((row, n) => this.#start(f, row, run, sums[n]!))
    const words: Local<'v128'>[][] = []
    eachLane(k, f, format, integers, 4, w, run, (j, quarter, codes) => {
      words[j] ??= x.map((row) => f.v128(k.heap.splat32(row, j * 4)))
      sums.forEach((ofRow, n) => {
        const sum = ofRow[quarter]!
        const product = k.dotPairs(words[j]![n]!, codes)
        f.set(sum, !started[n] && j === (run * format.span) / 4 ? product : i16x8.add(sum, product))
      })
    })
    return sums.map((ofRow) => ofRow.map((sum) => i32x4.extaddPairwiseI16x8S(sum)))
  }

  /** Units into the scratch of the tile. */
  emitUnpack(): void {
    const { k, format, activation, integers } = this
    k.module.func('unpack', { w: 'i32', to: 'i32', units: 'i32' }, (f, { w, to, units }) => {
      f.times(units, () => {
        eachBlock(k, f, format, w, (scalesOf) => {
          for (const run of this.#runs) {
            eachLane(k, f, format, integers, LANE_COLUMNS[activation], w, run, (j, part, codes) => {
              if (activation === 'i8') f.do(k.heap.storeV128(to, codes, j * 64 + part * 16))
              else k.storeRun(f, to, [i16x8.extendLowI8x16S(codes), i16x8.extendHighI8x16S(codes)], j * 64 + part * 32)
            })
            const at = INTEGER_BYTES[activation] + run * runBytes(format)
            const { scales, offsets } = scalesOf(run)
            k.storeRun(f, to, scales, at)
            if (offsets) k.storeRun(f, to, offsets, at + 64)
          }
          f.advance(to, unpackedBytes(format, activation))
        })
      })
    })
  }

  /** Two rows of x at a time, of the list, times unpacked blocks; y has the sums so far. */
  emitTile(): void {
    const { k, format, activation } = this
    const { heap } = k
    k.module.func(
      'tile',
      { unpacked: 'i32', blocks: 'i32', list: 'i32', pairs: 'i32', xOffset: 'i32', yOffset: 'i32' },
      (f, { unpacked, blocks, list, pairs, xOffset, yOffset }) => {
        const totals = [0, 1].map(() => four(() => f.v128()))
        const sums = [0, 1].map(() => four(() => f.v128()))
        f.times(pairs, () => {
          const pointer = (entry: number, offset: Local<'i32'>) => f.i32(i32.add(heap.i32(list, entry), offset))
          const x = [pointer(0, xOffset), pointer(8, xOffset)]
          const y = [pointer(4, yOffset), pointer(12, yOffset)]
          const w = f.i32(unpacked)
          totals.forEach((ofRow, n) => {
            ofRow.forEach((total, q) => {
              f.set(total, heap.v128(y[n]!, q * 16))
            })
          })
          f.times(blocks, () => {
            for (const run of this.#runs) {
              const started = x.map((row, n) => this.#start(f, row, run, sums[n]!))
              if (activation === 'i8') this.#tile8(f, w, x, run, sums, started)
              else this.#tile16(f, w, x, run, sums, started)
              const finished = activation === 'i8' ? sums.map((ofRow) => ofRow.map((sum) => i32x4.extaddPairwiseI16x8S(sum))) : sums
              const at = INTEGER_BYTES[activation] + run * runBytes(format)
              const vectors = (from: number) => four((q) => heap.v128(w, from + q * 16))
              this.#add(f, totals, finished, x, run, { scales: vectors(at), offsets: format.offset && vectors(at + 64) })
            }
            for (const row of x) f.advance(row, ACTIVATION[activation].bytes)
            f.advance(w, unpackedBytes(format, activation))
          })
          totals.forEach((ofRow, n) => {
            k.storeRun(f, y[n]!, ofRow)
          })
          f.advance(list, 16)
        })
      },
    )
  }

  #tile16(f: FunctionBuilder, w: Local<'i32'>, x: readonly Local<'i32'>[], run: number, sums: Sums, started: readonly boolean[]): void {
    const { k, format } = this
    const first = (run * format.span) / 2
    for (let j = first; j < first + format.span / 2; j++) {
      const pair = x.map((row) => f.v128(k.heap.splat32(row, j * 4)))
      for (let q = 0; q < 4; q++) {
        const weight = f.v128(k.heap.v128(w, j * 64 + q * 16))
        sums.forEach((ofRow, n) => {
          k.accumulate(f, ofRow[q]!, i32x4.dotI16x8S(weight, pair[n]!), !started[n] && j === first)
        })
      }
    }
  }

  #tile8(f: FunctionBuilder, w: Local<'i32'>, x: readonly Local<'i32'>[], run: number, sums: Sums, started: readonly boolean[]): void {
    const { k, format } = this
    const first = (run * format.span) / 4
    for (let j = first; j < first + format.span / 4; j++) {
      const word = x.map((row) => f.v128(k.heap.splat32(row, j * 4)))
      for (let q = 0; q < 4; q++) {
        const weight = f.v128(k.heap.v128(w, j * 64 + q * 16))
        sums.forEach((ofRow, n) => {
          const product = k.dotPairs(word[n]!, weight)
          f.set(ofRow[q]!, !started[n] && j === first ? product : i16x8.add(ofRow[q]!, product))
        })
      }
    }
  }

  /** One row of a group that is unpacked: its values times `factor`. `from` is at the row's lane. */
  emitPick(): void {
    const { k, format, integers, activation } = this
    const { heap } = k
    const bits = 32 / LANE_COLUMNS[activation]
    k.module.func('pick', { from: 'i32', y: 'i32', blocks: 'i32', factor: 'f32' }, (f, { from, y, blocks, factor }) => {
      f.times(blocks, () => {
        const lanes = f.i32(from)
        for (const run of this.#runs) {
          const at = INTEGER_BYTES[activation] + run * runBytes(format)
          const scale = f.f32(format.scale === 'e8m0' ? f32.mul(heap.f32(from, at), 0.5) : heap.f32(from, at))
          const offset = f.f32(format.offset === undefined ? 0 : f32.mul(heap.f32(from, at + 64), format.offset))
          f.times(format.span / LANE_COLUMNS[activation], () => {
            const lane = f.i32(heap.i32(lanes))
            for (let i = 0; i < LANE_COLUMNS[activation]; i++) {
              const integer = i32.shrS(i32.shl(lane, 32 - bits * (i + 1)), 32 - bits)
              const product = f32.mul(f32.convertI32(i32.sub(integer, integers.zero)), scale)
              const value = format.offset === undefined ? product : f32.add(product, offset)
              f.do(heap.storeF32(y, f32.mul(value, factor), i * 4))
            }
            f.advance(lanes, 64)
            f.advance(y, 4 * LANE_COLUMNS[activation])
          })
        }
        f.advance(from, unpackedBytes(format, activation))
      })
    })
  }
}

const generator = (k: KernelModule, format: GroupFormat, activation: Activation) =>
  new Generator(k, format, activation, integersOf(format, activation)!)

/** The kernels of a format for few rows. They are a module of their own: with 8 bits its first memory is that of the weights. */
export function emitRows(k: KernelModule, format: GroupFormat, activation: Activation): void {
  const own = generator(k, format, activation)
  own.emitRows(1)
  own.emitRows(2)
}

/** The kernels of a format for many rows, and for rows of a table. */
export function emitTiles(k: KernelModule, format: GroupFormat, activation: Activation): void {
  const own = generator(k, format, activation)
  own.emitTile()
  own.emitUnpack()
  own.emitPick()
}
