/**
 * How weights lie on the device, and the shader text that reads them. Numbers of a row stand in planes of their own, so that neighbouring
 * invocations read neighbouring words; the planes of the block formats follow from their descriptions (block-formats.ts) and take as many
 * bytes as the published blocks:
 *
 *   0  codes, the low 8, 4 or 2 bits (or whole f32, f16, bf16)    1  codes, the further 1 or 2 bits
 *   2  factor and multiple of each run of values, as one string of bits    3  scale and offset of each block
 *
 * A shader reads units of eight neighbouring values.
 */
import { BLOCK_FORMATS, type BlockFormat, fieldBits, scalePlaces } from '../block-formats.ts'
import { type DType, FP8_BLOCK, isBlocks, MXFP4_BLOCK } from '../dtype.ts'

/** Values of a unit. */
export const UNIT = 8

export interface WeightFormat {
  readonly name: string
  /** Bits of a number in plane 0 and in plane 1. */
  readonly low: 32 | 16 | 8 | 4 | 2
  readonly high: 0 | 1 | 2
  /** Values of a block that shares a scale, and of a run that shares a factor. */
  readonly block: number
  readonly span: number
  readonly factorBits: number
  readonly multipleBits: number
  /** Bits of a block in plane 3: its scale, then its offset. */
  readonly scaleBits: 0 | 8 | 16 | 32
  /** Where the blocks are those of block-formats.ts. */
  readonly blocks?: BlockFormat
}

const dense = (name: string, low: 32 | 16): WeightFormat => ({
  name,
  low,
  high: 0,
  block: UNIT,
  span: UNIT,
  factorBits: 0,
  multipleBits: 0,
  scaleBits: 0,
})
const scaled = (name: string, low: 8 | 4, block: number, scaleBits: 8 | 32): WeightFormat => ({
  name,
  low,
  high: 0,
  block,
  span: block,
  factorBits: 0,
  multipleBits: 0,
  scaleBits,
})

function ofBlocks(name: string, blocks: BlockFormat): WeightFormat {
  const { bits, length, span, scale, factor, offset } = blocks
  const low = bits === 8 ? 8 : bits >= 4 ? 4 : 2
  return {
    name,
    low,
    high: (bits - low) as 0 | 1 | 2,
    block: length,
    span,
    factorBits: factor ? fieldBits(factor.of(0)) : 0,
    multipleBits: offset?.of ? fieldBits(offset.of(0)) : 0,
    scaleBits: scale.format === 'e8m0' ? 8 : scalePlaces(blocks).length === 2 ? 32 : 16,
    blocks,
  }
}

const known = new Map<DType, WeightFormat>()

export function formatOf(dtype: DType): WeightFormat {
  let format = known.get(dtype)
  if (!format) {
    if (isBlocks(dtype)) format = ofBlocks(dtype, BLOCK_FORMATS[dtype])
    else if (dtype === 'mxfp4') format = scaled('mxfp4', 4, MXFP4_BLOCK, 8)
    else if (dtype === 'fp8') format = scaled('fp8', 8, FP8_BLOCK, 32)
    else format = dense(dtype, dtype === 'f32' ? 32 : 16)
    known.set(dtype, format)
  }
  return format
}

/** Units of a row. */
export const unitsOf = (width: number): number => Math.ceil(width / UNIT)

/** Bytes of each plane for `values` values, a multiple of the block. */
export function planeBytes({ low, high, block, span, factorBits, multipleBits, scaleBits }: WeightFormat, values: number): number[] {
  return [(values * low) / 8, (values * high) / 8, ((values / span) * (factorBits + multipleBits)) / 8, ((values / block) * scaleBits) / 8]
}

/** First words of the planes, and the words of all, each plane at a multiple of four words. One more word may be read behind plane 2. */
export function planesOf(format: WeightFormat, values: number): { planes: number[]; words: number } {
  let words = 0
  const planes = planeBytes(format, values).map((bytes, n) => {
    const at = words
    words += Math.ceil((Math.ceil(bytes / 4) + (n === 2 && bytes > 0 ? 1 : 0)) / 4) * 4
    return at
  })
  return { planes, words: Math.max(4, words) }
}

/** WGSL type of the elements of a weight's binding. */
export const elementOf = ({ low }: WeightFormat): string => (low >= 16 ? 'vec4<u32>' : 'u32')

/** Names of the parameters that say where the planes of binding `n` begin. */
export const planeParams = (format: WeightFormat, n: number): string => {
  const used = [format.high > 0, format.factorBits + format.multipleBits > 0, format.scaleBits > 0]
  return used.flatMap((is, i) => (is ? [`p${n}_${i + 1}`] : [])).join(' ')
}

/** Their values for a piece. */
export const planeValues = (format: WeightFormat, n: number, piece: { readonly planes: readonly number[] }): Record<string, number> =>
  Object.fromEntries(
    planeParams(format, n)
      .split(' ')
      .filter(Boolean)
      .map((name) => [name, piece.planes[Number(name.at(-1))]!]),
  )

/**
 * Declares `fn load<n>(unit: u32) -> Eight`: the values of unit `unit` of binding `b<n>`, counted over all rows of the piece. `struct Eight`
 * has two vectors `a` and `b`.
 */
export function loadFunction(format: WeightFormat, n: number): string {
  const name = `fn load${n}(unit: u32) -> Eight`
  const b = `b${n}`
  if (format.low === 32) return `${name} { return Eight(bitcast<vec4<f32>>(${b}[unit * 2u]), bitcast<vec4<f32>>(${b}[unit * 2u + 1u])); }`
  if (format.name === 'bf16')
    return `${name} { let w = ${b}[unit]; let lo = bitcast<vec4<f32>>(w << vec4<u32>(16u)); let hi = bitcast<vec4<f32>>(w & vec4<u32>(0xffff0000u));
return Eight(vec4<f32>(lo.x, hi.x, lo.y, hi.y), vec4<f32>(lo.z, hi.z, lo.w, hi.w)); }`
  if (format.low === 16)
    return `${name} { let w = ${b}[unit]; let p = unpack2x16float(w.x); let q = unpack2x16float(w.y); let r = unpack2x16float(w.z); let s = unpack2x16float(w.w);
return Eight(vec4<f32>(p, q), vec4<f32>(r, s)); }`
  const added = format.blocks?.offset ? ' + offsetOf' : ''
  const { codes, numbers } = format.low === 8 ? eightBits(format, b) : fewBits(format, n)
  return `${numbers}
${name} { ${codes}
${factors(format, n)}
return Eight(scaleOf * a${added}, scaleOf * b${added}); }`
}

/** Codes of eight bits: signed integers, or E4M3. */
function eightBits(format: WeightFormat, b: string): { codes: string; numbers: string } {
  const words = `let w0 = ${b}[unit * 2u]; let w1 = ${b}[unit * 2u + 1u];`
  if (format.name !== 'fp8')
    return {
      numbers: '',
      codes: `${words} let s = vec4<u32>(24u, 16u, 8u, 0u);
let a = vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(w0) << s) >> vec4<u32>(24u)); let b = vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(w1) << s) >> vec4<u32>(24u));`,
    }
  // Exponent and mantissa moved to their places in f32; 2^120 corrects the exponent. Subnormals: the mantissa as an integer times 2^-9.
  const numbers = `fn e4m3_${b}(w: u32) -> vec4<f32> {
  let c = (vec4<u32>(w) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
  let m = c & vec4<u32>(127u);
  let normal = bitcast<vec4<f32>>((m << vec4<u32>(20u)) + vec4<u32>(120u << 23u));
  let v = select(normal, vec4<f32>(m) * 0.001953125, m < vec4<u32>(8u));
  return select(v, -v, c > vec4<u32>(127u));
}`
  return { numbers, codes: `${words} let a = e4m3_${b}(w0); let b = e4m3_${b}(w1);` }
}

/** Codes of two to six bits: low bits from plane 0, further ones from plane 1. */
function fewBits({ low, high, name, blocks }: WeightFormat, n: number): { codes: string; numbers: string } {
  const b = `b${n}`
  const lows =
    low === 4
      ? `let w = ${b}[unit]; var ca = (vec4<u32>(w) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u); var cb = (vec4<u32>(w) >> vec4<u32>(16u, 20u, 24u, 28u)) & vec4<u32>(15u);`
      : `let w = ${b}[unit >> 1u] >> ((unit & 1u) * 16u); var ca = (vec4<u32>(w) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u); var cb = (vec4<u32>(w) >> vec4<u32>(8u, 10u, 12u, 14u)) & vec4<u32>(3u);`
  const plane = `${b}[$p${n}_1 + (unit >> ${high === 1 ? 2 : 1}u)]`
  const highs =
    high === 0
      ? ''
      : high === 1
        ? `let h = ${plane} >> ((unit & 3u) * 8u); ca |= ((vec4<u32>(h) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u)) << vec4<u32>(${low}u); cb |= ((vec4<u32>(h) >> vec4<u32>(4u, 5u, 6u, 7u)) & vec4<u32>(1u)) << vec4<u32>(${low}u);`
        : `let h = ${plane} >> ((unit & 1u) * 16u); ca |= ((vec4<u32>(h) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u)) << vec4<u32>(${low}u); cb |= ((vec4<u32>(h) >> vec4<u32>(8u, 10u, 12u, 14u)) & vec4<u32>(3u)) << vec4<u32>(${low}u);`
  const codes = `${lows} ${highs} let a = number${n}(ca); let b = number${n}(cb);`
  if (name === 'mxfp4' || name === 'mxfp4_gguf')
    // Twice the value of a code of FP4 is a digit of 0xc8643210.
    return {
      codes,
      numbers: `fn number${n}(c: vec4<u32>) -> vec4<f32> {
  let m = vec4<f32>((vec4<u32>(0xc8643210u) >> ((c & vec4<u32>(7u)) * vec4<u32>(4u))) & vec4<u32>(15u));
  return select(m, -m, c > vec4<u32>(7u));
}`,
    }
  if (blocks?.table)
    return {
      codes,
      numbers: `const table${n} = array<f32, 16>(${blocks.table.map((v) => v.toFixed(1)).join(', ')});
fn number${n}(c: vec4<u32>) -> vec4<f32> { var t = table${n}; return vec4<f32>(t[c.x], t[c.y], t[c.z], t[c.w]); }`,
    }
  return { codes, numbers: `fn number${n}(c: vec4<u32>) -> vec4<f32> { return vec4<f32>(c) - vec4<f32>(${blocks!.zero}.0); }` }
}

/** `scaleOf` and `offsetOf` of the run that a unit lies in. */
function factors(format: WeightFormat, n: number): string {
  const { block, span, factorBits, multipleBits, scaleBits, blocks } = format
  const b = `b${n}`
  const lines = [`let blockAt = unit / ${block / UNIT}u;`]
  if (scaleBits === 8) {
    // The scale is halved: the numbers of the codes are doubled.
    lines.push(
      `let e = (${b}[$p${n}_3 + (blockAt >> 2u)] >> ((blockAt & 3u) * 8u)) & 255u; let scaleOf = 0.5 * bitcast<f32>(select(e << 23u, 0x00400000u, e == 0u));`,
    )
    return lines.join(' ')
  }
  if (scaleBits === 32 && !blocks) {
    lines.push(`let scaleOf = bitcast<f32>(${b}[$p${n}_3 + blockAt]);`)
    return lines.join(' ')
  }
  if (scaleBits === 32) lines.push(`let d = unpack2x16float(${b}[$p${n}_3 + blockAt]);`)
  else lines.push(`let d = vec2<f32>(unpack2x16float(${b}[$p${n}_3 + (blockAt >> 1u)] >> ((blockAt & 1u) * 16u)).x);`)
  const bits = factorBits + multipleBits
  if (bits > 0)
    lines.push(
      `let bitAt = (unit / ${span / UNIT}u) * ${bits}u; let wordAt = $p${n}_2 + (bitAt >> 5u); let shift = bitAt & 31u;`,
      `let run = (${b}[wordAt] >> shift) | ((${b}[wordAt + 1u] << 1u) << (31u - shift));`,
    )
  const field = (at: number, width: number) =>
    width === 8 ? `f32(bitcast<i32>(run << ${24 - at}u) >> 24u)` : `f32((run >> ${at}u) & ${2 ** width - 1}u)`
  const zero = blocks!.factor?.zero ?? 0
  lines.push(`let scaleOf = d.x${factorBits ? ` * (${field(0, factorBits)} - ${zero}.0)` : ''};`)
  const { offset } = blocks!
  if (offset) {
    const added = `${offset.at === blocks!.scale.at ? 'd.x' : 'd.y'}${multipleBits ? ` * ${field(factorBits, multipleBits)}` : ''}`
    lines.push(`let offsetOf = vec4<f32>(${offset.sign < 0 ? '-' : ''}(${added}));`)
  }
  return lines.join(' ')
}

export const EIGHT = 'struct Eight { a: vec4<f32>, b: vec4<f32> }'
