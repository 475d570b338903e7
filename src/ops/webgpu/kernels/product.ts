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
  workgroup: number
}

export function lowerProduct(node: Product, to: Lowering): void {
  const [first, ...others] = node.parts
  if (others.length)
    dispatchPieces(
      node,
      node.parts.map(({ weight }) => weight.pieces[0]!),
      to,
    )
  else for (const piece of first!.weight.pieces) dispatchPieces(node, [piece], to)
}

function dispatchPieces(node: Product, pieces: readonly Piece[], to: Lowering): void {
  const { parts, norm, gated, residual, x, ys } = node
  const [groups, perGroup, inner] = matricesOf(parts[0]!.weight)
  const T = x.count / (groups * inner)
  const R = rowsTogether(T)
  const outputs = gated ? pieces[0]!.rows : pieces.reduce((sum, { rows }) => sum + rows, 0)
  let N = R === 8 ? 2 : Math.min(rowsEach(outputs), R > 1 ? 2 : 4)
  while (groups > 1 && (perGroup % N !== 0 || pieces.some(({ rows, row }) => rows % N !== 0 || row % N !== 0))) N /= 2
  const counts = (gated ? pieces.slice(0, 1) : pieces).map(({ rows }) => Math.ceil(rows / N))
  const count = counts.reduce((a, b) => a + b)
  const shape: Shape = { R, N, ragged: inner % UNIT !== 0, grouped: groups > 1, workgroup: workgroupOf(to.variants, count) }
  const shader = to.shader(keyOf(node, shape, to), () => textOf(node, shape, to))
  const values: Record<string, Value> = {
    x,
    rows: T,
    inner,
    stride: groups * inner,
    units: unitsOf(inner),
    ...(norm ? normValues(norm) : { width: 0, eps: 0, gain: 0, normBias: 0 }),
    residual: residual ? residual.a : 0,
    keep: node.keep ?? 0,
    factor: residual?.factor ?? 1,
  }
  let first = 0
  parts.forEach(({ weight, bias }, n) => {
    const piece = pieces[n]!
    const [count, rows] = matricesOf(weight)
    Object.assign(values, planeValues(weight.format, n, piece))
    values[`y${n}`] = ys[Math.min(n, ys.length - 1)]!
    values[`rows${n}`] = piece.rows
    values[`row${n}`] = piece.row
    values[`width${n}`] = count * rows
    values[`bias${n}`] = bias?.at ?? 0
    values[`first${n}`] = first
    first += counts[n] ?? 0
  })
  values.perGroup = perGroup
  node.values?.forEach(({ value }, n) => {
    values[`value${n}`] = value
  })
  if (gated) Object.assign(values, gatedValues(gated))
  to.dispatch(
    shader,
    values,
    teamGrid(to.variants, count, Math.ceil(T / R)),
    pieces.map(({ buffer }) => buffer),
  )
}

function keyOf({ parts, norm, keep, gated, values, residual }: Product, { R, N, ragged, grouped, workgroup }: Shape, to: Lowering): string {
  const formats = parts.map(({ weight, bias }) => `${weight.format.name}${bias ? '+' : ''}`).join(' ')
  return `product ${formats} ${R}x${N}${ragged ? ' ragged' : ''}${grouped ? ' grouped' : ''}${norm ? ` norm ${normKey(norm)}${keep ? ' keep' : ''}` : ''}${gated ? ` ${gatedKey(gated)}` : ''}${(values ?? []).map(({ kind }) => ` ${kind}`).join('')}${residual ? ' residual' : ''} ${subgroupKey(to.variants)} ${workgroup}`
}

/** The first team keeps the normed rows. */
const keepRow = (r: number, norm: Norm): string => `if (team == 0u) {
  for (var d = member; d < $width; d += members) { act[$keep + x_${r} - $x + d] = ${normed(`act[x_${r} + d]`, 'd', r, norm)}; }
}`

function textOf(node: Product, shape: Shape, { variants }: Lowering) {
  const { parts, norm, gated, residual } = node
  const { R, N, ragged, grouped, workgroup } = shape
  const all = Array.from({ length: R }, (_, r) => r)
  const rows = Array.from({ length: N }, (_, n) => n)
  const { module, body } = teams(variants, workgroup)
  const xAt = (r: number) => `$x + min(wg.z * ${R}u + ${r}u, $rows - 1u) * $stride`
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
  const finish = (n: number, value: string) => {
    let y = value
    for (const [i, { kind }] of (node.values ?? []).entries()) y = valueExpression(kind, y, `$value${i}`)
    if (residual) y = `act[$residual + t * $width${n} + $row${n} + row] + $factor * ${y}`
    return `for (var i = member; i < ${N * R}u; i += members) {
  let row = o + i / ${R}u; let t = wg.z * ${R}u + i % ${R}u;
  if (row < $rows${n} && t < $rows) { act[$y${n} + t * $width${n} + $row${n} + row] = ${y}; }
}`
  }
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
      'x rows inner stride units residual factor:f keep perGroup',
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
