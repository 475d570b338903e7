/**
 * Products of a few rows with matrices: the members of a team take every n-th unit of a row of the matrix, and their sums are added
 * up in one order, whatever the number of rows of x. So a row of x has the same result to the last bit alone and among others.
 * With what may stand before (a norm) and after (bias, activation, residual) in the same dispatch. Contract of `linear` in ops.ts.
 */
import type { Gated } from '../../../architecture/architecture.ts'
import { matricesOf } from '../../tensor.ts'
import { EIGHT, elementOf, loadFunction, planeParams, planeValues, UNIT, unitsOf } from '../formats.ts'
import type { Lowering, Value } from '../plan.ts'
import type { Norm, Part, ValueKind } from '../record.ts'
import type { Rows } from '../rows.ts'
import type { Piece, Temporary } from '../tensor.ts'
import { ACTIVATIONS, teamGrid, teams, workgroupOf } from '../wgsl.ts'
import { gatedExpression, gatedKey, gatedParams, gatedValues, valueExpression } from './elementwise.ts'
import { NORM_PARAMS, normed, normKey, normValues, statistics, subgroupKey } from './norm.ts'

export interface Product {
  readonly op: 'product'
  readonly x: Temporary
  /** Applied to x first. */
  readonly norm?: Norm | undefined
  readonly parts: readonly Part[]
  /** Where the normed rows are kept too. */
  readonly keep?: Temporary | undefined
  /** The result of each part; of two gated parts there is one result. */
  readonly ys: readonly Temporary[]
  readonly gated?: Gated | undefined
  readonly values?: readonly { readonly kind: ValueKind; readonly value: number }[] | undefined
  /** y = residual + factor·(W·x + b) */
  readonly residual?: { readonly a: Temporary; readonly factor: number } | undefined
}

/** Rows of x that one team takes: the sums of a row are the same whatever it is. */
const rowsTogether = (rows: number): number => (rows === 1 ? 1 : rows <= 16 ? 4 : 8)

/** Rows of the matrix per team: few where the matrix is small, so that there are many teams. */
const rowsEach = (rows: number): number => (rows < 4096 ? 1 : rows < 16384 ? 2 : 4)

/** Eight values of row `base` of x from place `k` on, as `xa_r` and `xb_r`; zero beyond the width of a ragged matrix. */
export function loadX(r: number, base: string, ragged: boolean, norm: Norm | undefined): string {
  const one = (i: number) => {
    const v = `act[${base} + k + ${i}u]`
    const value = norm ? normed(v, `(k + ${i}u)`, r, norm) : v
    return ragged ? `select(0.0, ${value}, k + ${i}u < $inner)` : value
  }
  const four = (from: number) => `vec4<f32>(${[0, 1, 2, 3].map((i) => one(from + i)).join(', ')})`
  return `let xa_${r} = ${four(0)}; let xb_${r} = ${four(4)};`
}

/** What product() needs to know to write the text for one piece of each part. */
interface Shape {
  R: number
  N: number
  ragged: boolean
  grouped: boolean
  /** Rows are taken from a list. */
  listed: boolean
  workgroup: number
}

/** The pieces of each dispatch: one of each matrix, or one after the other of a single one. */
export const piecesOf = ({ parts }: Product): readonly (readonly Piece[])[] =>
  parts.length > 1 ? [parts.map(({ weight }) => weight.pieces[0]!)] : parts[0]!.weight.pieces.map((piece) => [piece])

/** Some rows, each with the sums that it has alone. */
export function lowerFew(node: Product, rows: Rows, to: Lowering): void {
  for (const pieces of piecesOf(node)) dispatchPieces(node, pieces, rows, to)
}

/** Parameters of a product of some rows with pieces of its matrices. */
export function valuesOf(node: Product, pieces: readonly Piece[], rows: Rows): Record<string, Value> {
  const { parts, x, ys, residual, gated } = node
  const [groups, , inner] = matricesOf(parts[0]!.weight)
  const values: Record<string, Value> = {
    x,
    rows: rows.count,
    list: rows.list ?? 0,
    stride: groups * inner,
    residual: residual ? residual.a : 0,
    factor: residual?.factor ?? 1,
  }
  parts.forEach(({ weight, bias }, n) => {
    const [count, rows] = matricesOf(weight)
    Object.assign(values, planeValues(weight.format, n, pieces[n]!))
    values[`y${n}`] = ys[Math.min(n, ys.length - 1)]!
    values[`row${n}`] = pieces[n]!.row
    values[`width${n}`] = count * rows
    values[`bias${n}`] = bias?.at ?? 0
  })
  node.values?.forEach(({ value }, n) => {
    values[`value${n}`] = value
  })
  return Object.assign(values, gated ? gatedValues(gated) : {})
}

function dispatchPieces(node: Product, pieces: readonly Piece[], { count: T, list }: Rows, to: Lowering): void {
  const { parts, norm, gated } = node
  const [groups, perGroup, inner] = matricesOf(parts[0]!.weight)
  const R = rowsTogether(T)
  const outputs = gated ? pieces[0]!.rows : pieces.reduce((sum, { rows }) => sum + rows, 0)
  let N = R === 8 ? 2 : Math.min(rowsEach(outputs), R > 1 ? 2 : 4)
  while (groups > 1 && (perGroup % N !== 0 || pieces.some(({ rows, row }) => rows % N !== 0 || row % N !== 0))) N /= 2
  const counts = (gated ? pieces.slice(0, 1) : pieces).map(({ rows }) => Math.ceil(rows / N))
  const count = counts.reduce((a, b) => a + b)
  const shape: Shape = {
    R,
    N,
    ragged: inner % UNIT !== 0,
    grouped: groups > 1,
    listed: list !== undefined,
    workgroup: workgroupOf(to.variants, count),
  }
  const shader = to.shader(keyOf(node, shape, to), () => textOf(node, shape, to))
  const values: Record<string, Value> = {
    ...valuesOf(node, pieces, { count: T, list }),
    inner,
    units: unitsOf(inner),
    ...(norm ? normValues(norm) : { width: 0, eps: 0, gain: 0, normBias: 0 }),
    keep: node.keep ?? 0,
    perGroup,
  }
  let first = 0
  pieces.forEach(({ rows }, n) => {
    values[`rows${n}`] = rows
    values[`first${n}`] = first
    first += counts[n] ?? 0
  })
  to.dispatch(
    shader,
    values,
    teamGrid(to.variants, count, Math.ceil(T / R)),
    pieces.map(({ buffer }) => buffer),
  )
}

/** The matrices of a product and what is fused with it, in the key of its shader. */
export function productKey(
  { parts, gated, values = [], residual }: Product,
  flags: { [name in 'ragged' | 'grouped' | 'listed']: boolean },
): string {
  const formats = parts.map(({ weight, bias }) => `${weight.format.name}${bias ? '+' : ''}`)
  const set = Object.entries(flags).flatMap(([name, on]) => (on ? [name] : []))
  return [
    ...formats,
    ...set,
    ...(gated ? [gatedKey(gated)] : []),
    ...values.map(({ kind }) => kind),
    ...(residual ? ['residual'] : []),
  ].join(' ')
}

function keyOf(node: Product, { R, N, ragged, grouped, listed, workgroup }: Shape, to: Lowering): string {
  const norm = node.norm ? ` norm ${normKey(node.norm)}${node.keep ? ' keep' : ''}` : ''
  return `product ${productKey(node, { ragged, grouped, listed })} ${R}x${N}${norm} ${subgroupKey(to.variants)} ${workgroup}`
}

/** A statement: `value` and what is fused with it becomes output `row` of row `t`. */
export function storeText({ values = [], residual }: Product, part: number, value: string): string {
  const at = `t * $width${part} + $row${part} + row`
  const y = values.reduce((text, { kind }, i) => valueExpression(kind, text, `$value${i}`), value)
  return `act[$y${part} + ${at}] = ${residual ? `act[$residual + ${at}] + $factor * ${y}` : y};`
}

/** The number of a row, which may stand in a list. */
export const rowNumber = (r: string, listed: boolean): string => (listed ? `host[$list + ${r}]` : r)

/** The first team keeps the normed rows. */
const keepRow = (r: number, norm: Norm): string => `if (team == 0u) {
  for (var d = member; d < $width; d += members) { act[$keep + x_${r} - $x + d] = ${normed(`act[x_${r} + d]`, 'd', r, norm)}; }
}`

function textOf(node: Product, shape: Shape, { variants }: Lowering) {
  const { parts, norm, gated } = node
  const { R, N, ragged, grouped, listed, workgroup } = shape
  const all = Array.from({ length: R }, (_, r) => r)
  const rows = Array.from({ length: N }, (_, n) => n)
  const { module, body } = teams(variants, workgroup)
  const xAt = (r: number) => `$x + ${rowNumber(`min(wg.z * ${R}u + ${r}u, $rows - 1u)`, listed)} * $stride`
  const base = (n: number) => (grouped ? `($row${n} + o) / $perGroup * $inner + ` : '')
  /** The sums of part `n`, one for each of its rows and row of x, as the array `s<n>`. */
  const sumsOf = (n: number) => {
    const names = rows.flatMap((i) => all.map((r) => `s${n}_${i}_${r}`))
    const products = (i: number) => all.map((r) => `s${n}_${i}_${r} += dot(w.a, xa_${r}) + dot(w.b, xb_${r});`).join(' ')
    return `${names.map((name) => `var ${name} = 0.0;`).join(' ')}
${rows.map((i) => `let at${n}_${i} = min(o + ${i}u, $rows${n} - 1u) * $units;`).join(' ')}
for (var u = member; u < $units; u += members) {
  let k = u * 8u;
  ${all.map((r) => loadX(r, `${base(n)}x_${r}`, ragged, norm)).join('\n  ')}
  ${rows.map((i) => `{ let w = load${n}(at${n}_${i} + u); ${products(i)} }`).join('\n  ')}
}
var s${n} = array<f32, ${names.length}>(${names.map((name) => `teamAdd(${name}, lane)`).join(', ')});`
  }
  const finish = (n: number, value: string) => `for (var i = member; i < ${N * R}u; i += members) {
  let row = o + i / ${R}u; let r = wg.z * ${R}u + i % ${R}u;
  if (row < $rows${n} && r < $rows) { let t = ${rowNumber('r', listed)}; ${storeText(node, n, value)} }
}`
  const sum = (n: number) => (parts[n]!.bias ? `(s${n}[i] + vectors[$bias${n} + $row${n} + row])` : `s${n}[i]`)
  const part = (n: number) => `let o = (team - $first${n}) * ${N}u;
if (o >= $rows${n}) { return; }
${sumsOf(n)}
${finish(n, sum(n))}`
  const both = () => `let o = team * ${N}u;
if (o >= $rows0) { return; }
${sumsOf(0)}
${sumsOf(1)}
${finish(0, gatedExpression(gated!, sum(0), sum(1)))}`
  const one = (n: number): string =>
    n + 1 < parts.length ? `if (team < $first${n + 1}) {\n${part(n)}\n} else {\n${one(n + 1)}\n}` : part(n)
  return {
    params: [
      'x rows list inner stride units residual factor:f keep perGroup',
      NORM_PARAMS,
      ...parts.map(({ weight }, n) => `y${n} rows${n} row${n} width${n} bias${n} first${n} ${planeParams(weight.format, n)}`),
      ...(node.values ?? []).map((_, n) => `value${n}:f`),
      gated ? gatedParams(gated) : '',
    ].join(' '),
    bindings: parts.map(({ weight }) => ['r', elementOf(weight.format)] as const),
    workgroup,
    subgroups: variants.subgroups,
    module: `${EIGHT}
${ACTIVATIONS}
${parts.map(({ weight }, n) => loadFunction(weight.format, n)).join('\n')}
${module}`,
    body: `${body}
${all.map((r) => `let x_${r} = ${xAt(r)};`).join('\n')}
${
  norm
    ? statistics(
        norm.kind,
        all.map((r) => `x_${r}`),
      )
    : ''
}
${node.keep ? all.map((r) => keepRow(r, norm!)).join('\n') : ''}
${gated ? both() : one(0)}`,
  }
}
