/**
 * Products of many rows. A workgroup computes a tile of rows × outputs: some values of each of its rows and of each of its rows of the
 * matrix are staged in workgroup memory at a time, the weights decoded on the way, so that a matrix is read once per tile of rows. An invocation
 * adds up 4 × 4 sums over the whole width in one order, so a row has the same result in a tile of any size beside any other rows.
 */
import { matricesOf } from '../../tensor.ts'
import { EIGHT, elementOf, loadFunction, planeParams, UNIT, unitsOf, type WeightFormat } from '../formats.ts'
import type { Lowering, Value } from '../plan.ts'
import { allFew, type Rows } from '../rows.ts'
import type { Piece } from '../tensor.ts'
import { ACTIVATIONS, grid, LINEAR } from '../wgsl.ts'
import { gatedExpression, gatedKey, gatedParams, valueExpression } from './elementwise.ts'
import { lowerNorm } from './norm.ts'
import { lowerFew, type Product, piecesOf, valuesOf } from './product.ts'

/** Rows and outputs of a workgroup, and the values of each that are staged at a time. */
export interface Tile {
  readonly rows: number
  readonly outputs: number
  readonly step: number
}

/** The largest needs 16 KiB of workgroup memory and 256 invocations, which every device has. */
export const TILES: readonly Tile[] = [
  { rows: 64, outputs: 64, step: 32 },
  { rows: 32, outputs: 64, step: 32 },
  { rows: 32, outputs: 32, step: 16 },
]
/** A smaller tile is taken where a dispatch has fewer workgroups. */
const ENOUGH_WORKGROUPS = 1000
/** Matrices with fewer rows would leave most of a tile empty. */
const LEAST_OUTPUTS = 32
const LARGEST_STEP = 32
/** Rows, and outputs, of an invocation. */
const EACH = 4

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/** What the text of a tile depends on. */
export interface TileText {
  readonly tile: Tile
  readonly formats: readonly WeightFormat[]
  /** The width is no multiple of what is staged at a time. */
  readonly ragged: boolean
  /** The first value of row `r` of the tile in `act`. */
  readonly rowOf: (r: string) => string
  /** Of row `n` of the matrix in the tile: its first unit, and which of the matrices it belongs to. */
  readonly unitOf: (n: string) => string
  readonly matrixOf?: ((n: string) => string) | undefined
  /** Statements for what the invocation has summed up: row `r` of the tile, output `n`, the value; of pairs both values. */
  readonly put: (r: string, n: string, value: string, up: string) => string
  /** The second half of the tile's outputs are the partners of the first half. */
  readonly pairs: boolean
}

export const tileInvocations = ({ rows, outputs }: Tile): number => (rows * outputs) / EACH / EACH

export const tileModule = ({
  tile,
  formats,
}: TileText): string => `var<workgroup> staged: array<vec4<f32>, ${((tile.rows + tile.outputs) * tile.step) / 4}>;
${formats.map(loadFunction).join('\n')}
fn load(part: u32, unit: u32) -> Eight {
  ${formats.map((_, n) => (n + 1 < formats.length ? `if (part == ${n}u) { return load${n}(unit); }` : `return load${n}(unit);`)).join(' ')}
}`

/**
 * The loop over the width, then `put` for each sum, which goes through the invocation's own part of the workgroup memory so that the text of
 * `put` stands once. Staged vectors lie so that neighbouring invocations use neighbouring ones.
 */
export function tileBody({ tile, ragged, rowOf, unitOf, matrixOf, put, pairs }: TileText): string {
  const invocations = tileInvocations(tile)
  const { rows, outputs, step } = tile
  const stepVectors = step / 4
  const stepUnits = step / UNIT
  const across = outputs / EACH
  /** Where the values of the matrix are staged, behind those of the rows. */
  const matrix = rows * stepVectors
  const vectors = range((rows * stepVectors) / invocations)
  const units = range((outputs * stepUnits) / invocations)
  const at = (n: number) => `lane + ${n * invocations}u`
  const one = (n: number, i: number) => {
    const value = `act[row_${n} + begun + ${i}u]`
    return ragged ? `select(0.0, ${value}, column_${n} + begun + ${i}u < $inner)` : value
  }
  const load = (n: number) => `load(${matrixOf ? `matrix_${n}` : '0u'}, unit_${n} + first)`
  const each = range(EACH)
  const sums = each.map((r) => `sum_${r} += vec4<f32>(${each.map((n) => `dot(x_${r}, w_${n})`).join(', ')});`)
  const shown = pairs ? EACH / 2 : EACH
  return `${vectors.map((n) => `let column_${n} = (${at(n)}) % ${stepVectors}u * 4u; let row_${n} = ${rowOf(`(${at(n)}) / ${stepVectors}u`)} + column_${n};`).join('\n')}
${units
  .map((n) => {
    const row = `(${at(n)}) / ${stepUnits}u`
    return `let place_${n} = (${at(n)}) % ${stepUnits}u; let unit_${n} = ${unitOf(row)} + place_${n};${matrixOf ? ` let matrix_${n} = ${matrixOf(row)};` : ''}`
  })
  .join('\n')}
let x = lane / ${across}u; let y = lane % ${across}u;
${each.map((r) => `var sum_${r} = vec4<f32>();`).join(' ')}
for (var first = 0u; first < $units; first += ${stepUnits}u) {
  let begun = first * ${UNIT}u;
  ${vectors.map((n) => `staged[column_${n} / 4u * ${rows}u + (${at(n)}) / ${stepVectors}u] = vec4<f32>(${each.map((i) => one(n, i)).join(', ')});`).join('\n  ')}
  ${units
    .map((n) => {
      const value = ragged
        ? `var w = Eight(vec4<f32>(), vec4<f32>()); if (place_${n} + first < $units) { w = ${load(n)}; }`
        : `let w = ${load(n)};`
      const to = `${matrix}u + place_${n} * ${2 * outputs}u + (${at(n)}) / ${stepUnits}u`
      return `{ ${value} staged[${to}] = w.a; staged[${to} + ${outputs}u] = w.b; }`
    })
    .join('\n  ')}
  workgroupBarrier();
  for (var v = 0u; v < ${stepVectors}u; v++) {
    ${each.map((r) => `let x_${r} = staged[v * ${rows}u + x + ${(r * rows) / EACH}u];`).join(' ')}
    ${each.map((n) => `let w_${n} = staged[${matrix}u + v * ${outputs}u + y + ${n * across}u];`).join(' ')}
    ${sums.join('\n    ')}
  }
  workgroupBarrier();
}
${each.map((r) => `staged[(x + ${(r * rows) / EACH}u) * ${across}u + y] = sum_${r};`).join('\n')}
for (var i = 0u; i < ${EACH * shown}u; i++) {
  let r = x + i / ${shown}u * ${rows / EACH}u; let n = i % ${shown}u; let at = r * ${across}u + y;
  ${put('r', `(y + n * ${across}u)`, 'staged[at][n]', `staged[at][n + ${shown}u]`)}
}`
}

/** The largest tile that gives enough workgroups. */
export const tileFor = (workgroups: (tile: Tile) => number): Tile =>
  TILES.find((tile) => workgroups(tile) >= ENOUGH_WORKGROUPS) ?? TILES.at(-1)!

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
  const { parts, gated, residual } = node
  const [groups, perGroup, inner] = matricesOf(parts[0]!.weight)
  const grouped = groups > 1
  /** Rows of the matrix that tiles do not cross. */
  const whole = (n: number) => (grouped ? perGroup : pieces[n]!.rows)
  const tilesOf = ({ outputs }: Tile) =>
    (gated ? pieces.slice(0, 1) : pieces).map((piece, n) => (piece.rows / whole(n)) * Math.ceil(whole(n) / (gated ? outputs / 2 : outputs)))
  const count = (tile: Tile) => tilesOf(tile).reduce((a, b) => a + b)
  const tile = tileFor((tile) => count(tile) * Math.ceil(rows.count / tile.rows))
  const ragged = inner % LARGEST_STEP !== 0
  const listed = rows.list !== undefined
  const formats = parts.map(({ weight, bias }) => `${weight.format.name}${bias ? '+' : ''}`).join(' ')
  const key = `tile ${tile.rows}x${tile.outputs} ${formats}${ragged ? ' ragged' : ''}${grouped ? ' grouped' : ''}${listed ? ' listed' : ''}${gated ? ` ${gatedKey(gated)}` : ''}${(
    node.values ?? []
  )
    .map(({ kind }) => ` ${kind}`)
    .join('')}${residual ? ' residual' : ''}`
  const shader = to.shader(key, () => textOf(node, tile, ragged, grouped, listed))
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
  const { parts, gated, residual } = node
  const matrices = range(parts.length)
  /** A parameter of the matrix `part`. */
  const param = (name: string, part: string) =>
    matrices.slice(1).reduce((text, n) => `select(${text}, $${name}${n}, ${part} == ${n}u)`, `$${name}0`)
  const outputs = gated ? tile.outputs / 2 : tile.outputs
  const number = (r: string) => (listed ? `host[$list + ${r}]` : r)
  const store = (n: number, value: string): string => {
    let y = value
    for (const [i, { kind }] of (node.values ?? []).entries()) y = `${valueExpression(kind, y, `$value${i}`)}`
    const at = `t * $width${n} + $row${n} + row`
    return `act[$y${n} + ${at}] = ${residual ? `act[$residual + ${at}] + $factor * ${y}` : y};`
  }
  const biased = (n: number, value: string) => (parts[n]!.bias ? `(${value} + vectors[$bias${n} + $row${n} + row])` : value)
  const stored = gated
    ? store(0, gatedExpression(gated, biased(0, 'value'), biased(1, 'up')))
    : matrices
        .map((n) =>
          n + 1 < parts.length ? `if (part == ${n}u) { ${store(n, biased(n, 'value'))} return; }` : store(n, biased(n, 'value')),
        )
        .join('\n  ')
  const text: TileText = {
    tile,
    formats: parts.map(({ weight }) => weight.format),
    ragged,
    rowOf: (r) => `$x + ${number(`min(wg.z * ${tile.rows}u + ${r}, $rows - 1u)`)} * $stride${grouped ? ' + begin / whole * $inner' : ''}`,
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
  let t = ${number('r')};
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
