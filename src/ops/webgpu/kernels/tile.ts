/**
 * Products of many rows in tiles (tile-text.ts), so that a matrix is read once for 32 or 64 rows, and the choice between tiles and
 * product.ts. A dispatch takes the largest tile of which it has enough.
 */
import { matricesOf } from '../../tensor.ts'
import { EIGHT, elementOf, planeParams, unitsOf } from '../formats.ts'
import type { Lowering, Value } from '../plan.ts'
import { allFew, type Rows } from '../rows.ts'
import type { Piece } from '../tensor.ts'
import { ACTIVATIONS, grid, LINEAR } from '../wgsl.ts'
import { gatedExpression, gatedParams } from './elementwise.ts'
import { lowerNorm } from './norm.ts'
import { lowerFew, type Product, piecesOf, productKey, rowNumber, storeText, valuesOf } from './product.ts'
import { isRagged, type Tile, type TileText, tileBody, tileFor, tileInvocations, tileKey, tileModule } from './tile-text.ts'

/** Matrices with fewer rows would leave most of a tile empty. */
const LEAST_OUTPUTS = 32

/** Matrices so small, and pieces that begin within one of several matrices, are multiplied as for few rows. */
function fitsTiles({ parts }: Product): boolean {
  const [groups, perGroup] = matricesOf(parts[0]!.weight)
  return perGroup >= LEAST_OUTPUTS && (groups === 1 || parts.every(({ weight }) => weight.pieces.length === 1))
}

export function lowerProduct(node: Product, to: Lowering): void {
  const [groups, , inner] = matricesOf(node.parts[0]!.weight)
  const rows = node.x.count / (groups * inner)
  const { few, tiled } = fitsTiles(node) ? to.splitOf(node.x, rows) : allFew(rows)
  if (few.count) lowerFew(node, few, to)
  if (tiled.count) lowerTiles(node, tiled, to)
}

/** Norms are dispatches of their own: they would be computed anew for every tile. */
function lowerTiles(node: Product, rows: Rows, to: Lowering): void {
  let { x } = node
  if (node.norm) {
    x = to.scratch(...x.shape)
    lowerNorm({ ...node.norm, y: x }, to)
  }
  for (const pieces of piecesOf(node)) dispatchTiles({ ...node, x, norm: undefined }, pieces, rows, to)
}

function dispatchTiles(node: Product, pieces: readonly Piece[], rows: Rows, to: Lowering): void {
  const { parts, gated } = node
  const [groups, perGroup, inner] = matricesOf(parts[0]!.weight)
  const grouped = groups > 1
  /** Rows of the matrix that tiles do not cross. */
  const whole = (n: number) => (grouped ? perGroup : pieces[n]!.rows)
  const tilesOf = ({ outputs }: Tile) =>
    (gated ? pieces.slice(0, 1) : pieces).map((piece, n) => (piece.rows / whole(n)) * Math.ceil(whole(n) / (gated ? outputs / 2 : outputs)))
  const count = (tile: Tile) => tilesOf(tile).reduce((a, b) => a + b)
  const tile = tileFor((tile) => count(tile) * Math.ceil(rows.count / tile.rows))
  const ragged = isRagged(inner)
  const listed = rows.list !== undefined
  const shader = to.shader(`tile ${tileKey(tile)} ${productKey(node, { ragged, grouped, listed })}`, () =>
    textOf(node, tile, ragged, grouped, listed),
  )
  const values: Record<string, Value> = { ...valuesOf(node, pieces, rows), inner, units: unitsOf(inner) }
  let first = 0
  pieces.forEach((_, n) => {
    values[`first${n}`] = first
    values[`whole${n}`] = whole(n)
    first += tilesOf(tile)[n] ?? 0
  })
  to.dispatch(
    shader,
    { ...values, tiles: count(tile) },
    grid(count(tile), Math.ceil(rows.count / tile.rows)),
    pieces.map(({ buffer }) => buffer),
  )
}

function textOf(node: Product, tile: Tile, ragged: boolean, grouped: boolean, listed: boolean) {
  const { parts, gated } = node
  const matrices = [...parts.keys()]
  /** A parameter of the matrix `part`. */
  const param = (name: string, part: string) =>
    matrices.slice(1).reduce((text, n) => `select(${text}, $${name}${n}, ${part} == ${n}u)`, `$${name}0`)
  const outputs = gated ? tile.outputs / 2 : tile.outputs
  const biased = (n: number, value: string) => (parts[n]!.bias ? `(${value} + vectors[$bias${n} + $row${n} + row])` : value)
  const stored = gated
    ? storeText(node, 0, gatedExpression(gated, biased(0, 'value'), biased(1, 'up')))
    : matrices
        .map((n) =>
          n + 1 < parts.length
            ? `if (part == ${n}u) { ${storeText(node, n, biased(n, 'value'))} return; }`
            : storeText(node, n, biased(n, 'value')),
        )
        .join('\n  ')
  const text: TileText = {
    tile,
    formats: parts.map(({ weight }) => weight.format),
    ragged,
    rowOf: (r) =>
      `$x + ${rowNumber(`min(wg.z * ${tile.rows}u + ${r}, $rows - 1u)`, listed)} * $stride${grouped ? ' + begin / whole * $inner' : ''}`,
    unitOf: (n) => `min(begin + ${gated ? `(${n}) % ${outputs}u` : n}, end - 1u) * $units`,
    matrixOf: parts.length === 1 ? undefined : gated ? (n) => `(${n}) / ${outputs}u` : () => 'part',
    put: (r, n, value, up) => `put(part, wg.z * ${tile.rows}u + ${r}, begin + ${n}, end, ${value}, ${gated ? up : '0.0'});`,
    pairs: gated !== undefined,
  }
  return {
    params: [
      'x rows list inner stride units residual factor:f tiles',
      ...parts.map(({ weight }, n) => `y${n} row${n} width${n} bias${n} first${n} whole${n} ${planeParams(weight.format, n)}`),
      ...(node.values ?? []).map((_, n) => `value${n}:f`),
      gated ? gatedParams(gated) : '',
    ].join(' '),
    bindings: parts.map(({ weight }) => ['r', elementOf(weight.format)] as const),
    workgroup: tileInvocations(tile),
    module: `${EIGHT}
${ACTIVATIONS}
${tileModule(text)}
fn put(part: u32, r: u32, row: u32, end: u32, value: f32, up: f32) {
  if (r >= $rows || row >= end) { return; }
  let t = ${rowNumber('r', listed)};
  ${stored}
}`,
    body: `let tile = ${LINEAR};
if (tile >= $tiles) { return; }
${
  gated
    ? 'let part = 0u;'
    : `var part = 0u; ${matrices
        .slice(1)
        .map((n) => `if (tile >= $first${n}) { part = ${n}u; }`)
        .join(' ')}`
}
let whole = ${gated ? '$whole0' : param('whole', 'part')};
let across = (whole + ${outputs - 1}u) / ${outputs}u; let number = tile - ${gated ? '0u' : param('first', 'part')};
let begin = number / across * whole + number % across * ${outputs}u; let end = (number / across + 1u) * whole;
${tileBody(text)}`,
  }
}
