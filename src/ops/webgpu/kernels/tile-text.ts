/**
 * The shader text of a tile of rows × outputs: some values of each of its rows and of each of its rows of the matrix are staged in workgroup
 * memory at a time, the weights decoded on the way. An invocation adds up 4 × 4 sums over the whole width in one order, by parts of as many
 * values in every tile, so a row has the same result in a tile of any size beside any other rows.
 */
import { loadFunction, UNIT, type WeightFormat } from '../formats.ts'

/** Rows and outputs of a workgroup, and the values of each that are staged at a time. */
export interface Tile {
  readonly rows: number
  readonly outputs: number
  readonly step: number
}

/** The largest needs 16 KiB of workgroup memory and 256 invocations, which every device has. */
const TILES: readonly Tile[] = [
  { rows: 64, outputs: 64, step: 32 },
  { rows: 32, outputs: 64, step: 32 },
  { rows: 32, outputs: 32, step: 16 },
]
/** Tiles of 32 rows. */
export const SMALL_TILES = TILES.slice(1)
/** A smaller tile is taken where a dispatch has fewer workgroups. */
const ENOUGH_WORKGROUPS = 1000
const LARGEST_STEP = 32
/** Rows, and outputs, of an invocation. */
const EACH = 4
/** Vectors that are summed up by themselves: a sum of sums loses less to rounding than one long sum. Every step is a multiple. */
const PART_VECTORS = 4

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
  const sums = each.map((r) => `part_${r} += vec4<f32>(${each.map((n) => `dot(x_${r}, w_${n})`).join(', ')});`)
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
  for (var part_begin = 0u; part_begin < ${stepVectors}u; part_begin += ${PART_VECTORS}u) {
    ${each.map((r) => `var part_${r} = vec4<f32>();`).join(' ')}
    for (var v = part_begin; v < part_begin + ${PART_VECTORS}u; v++) {
      ${each.map((r) => `let x_${r} = staged[v * ${rows}u + x + ${(r * rows) / EACH}u];`).join(' ')}
      ${each.map((n) => `let w_${n} = staged[${matrix}u + v * ${outputs}u + y + ${n * across}u];`).join(' ')}
      ${sums.join('\n      ')}
    }
    ${each.map((r) => `sum_${r} += part_${r};`).join(' ')}
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
export const tileFor = (workgroups: (tile: Tile) => number, tiles = TILES): Tile =>
  tiles.find((tile) => workgroups(tile) >= ENOUGH_WORKGROUPS) ?? tiles.at(-1)!

export const tileKey = ({ rows, outputs }: Tile): string => `${rows}x${outputs}`
export const isRagged = (width: number): boolean => width % LARGEST_STEP !== 0
