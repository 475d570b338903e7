/**
 * Experts of many rows: the rows are sorted by expert on the device into groups of one expert, so that a matrix is read once per group. There
 * are as many groups as the worst case needs; workgroups of unused ones end at once. Teams take eight rows of a group, with the sums that
 * a row has alone; of prompts that give each expert enough rows, tiles take 32.
 */
import type { Gated } from '../../../architecture/architecture.ts'
import { columns } from '../../tensor.ts'
import { EIGHT, elementOf, loadFunction, planeParams, planeValues, UNIT, unitsOf } from '../formats.ts'
import type { Lowering } from '../plan.ts'
import type { Moe } from '../record.ts'
import type { Rows } from '../rows.ts'
import type { Temporary, Vector, Weight } from '../tensor.ts'
import { ACTIVATIONS, grid, LINEAR, teamGrid, teams, workgroupOf } from '../wgsl.ts'
import { gatedExpression, gatedKey, gatedParams, gatedValues } from './elementwise.ts'
import { loadX } from './product.ts'
import { isRagged, SMALL_TILES, type Tile, type TileText, tileBody, tileFor, tileInvocations, tileKey, tileModule } from './tile-text.ts'

/** Rows of a group of teams; a group of tiles has the rows of a tile. */
const ROWS = 8
/** Teams group from so many rows on. */
const LEAST_ROWS = 16
/** Tiles are taken from so many rows of an expert on, on average: with fewer, most of a tile would be empty. */
const LEAST_TILED_ROWS = 16
const SORTING_WORKGROUP = 256
const MOST_EXPERTS = 1024

/** Experts with adapters take row after row. */
const mayGroup = ({ route, gateUp, down }: Moe): boolean =>
  route.logits.shape[1]! <= MOST_EXPERTS && !gateUp.adapter && !down.adapter && gateUp.weight.shape[1]! % 2 === 0

/** Teams of whole workgroups take row after row too. */
export const worthGrouping = (node: Moe, rows: Rows, { variants }: Lowering): boolean =>
  variants.subgroups && rows.count >= LEAST_ROWS && mayGroup(node)

/** Whether so many rows of prompts are computed in tiles. */
export const worthTiling = (node: Moe, { count }: Rows): boolean =>
  mayGroup(node) && count * node.route.active >= LEAST_TILED_ROWS * node.route.logits.shape[1]!

/** What the experts of each row give. -> [T·A, D], of which only the pairs of `rows` are written */
export function lowerGrouped({ x, route, gateUp, down, activation, y }: Moe, rows: Rows, tiled: boolean, to: Lowering): Temporary {
  const { chosen, active, logits } = route
  const pairs = rows.count * active
  const experts = logits.shape[1]!
  const perGroup = tiled ? SMALL_TILES[0]!.rows : ROWS
  const most = Math.min(pairs, experts + Math.floor(pairs / perGroup))
  const [list, groups] = [to.scratch(most, perGroup), to.scratch(most)]
  const listed = rows.list !== undefined
  to.dispatch(sorting(perGroup, listed, to), { chosen, n: pairs, active, rowList: rows.list ?? 0, experts, list, groups, most }, [1, 1, 1])
  const hidden = to.scratch(chosen.count, columns(down.weight))
  const each = to.scratch(chosen.count, columns(y))
  const shared = { list, groups, most, active }
  const multiply = tiled ? tiles : products
  multiply({ ...shared, weight: gateUp.weight, bias: gateUp.bias, x, own: false, gated: activation, y: hidden }, to)
  multiply({ ...shared, weight: down.weight, bias: down.bias, x: hidden, own: true, gated: undefined, y: each }, to)
  return each
}

/**
 * Lists the pairs (row, choice) by expert: `groups` holds the expert of each group plus 1, 0 where there is none; `list` the pairs of each group
 * plus 1, 0 where there are fewer. Pairs of an expert keep their order, so the same rows give the same groups.
 */
const sorting = (perGroup: number, listed: boolean, to: Lowering) =>
  to.shader(`sort by expert ${perGroup}${listed ? ' listed' : ''}`, () => ({
    params: 'chosen n active rowList experts list groups most',
    workgroup: SORTING_WORKGROUP,
    module: `var<workgroup> needed: array<u32, ${MOST_EXPERTS}>;
fn pairOf(p: u32) -> u32 { return ${listed ? 'host[$rowList + p / $active] * $active + p % $active' : 'p'}; }`,
    body: `for (var e = lane; e < $experts; e += ${SORTING_WORKGROUP}u) {
  var count = 0u;
  for (var p = 0u; p < $n; p++) { if (u32(act[$chosen + pairOf(p)]) == e) { count++; } }
  needed[e] = (count + ${perGroup - 1}u) / ${perGroup}u;
}
workgroupBarrier();
var used = 0u;
for (var e = 0u; e < $experts; e++) { used += needed[e]; }
for (var g = used + lane; g < $most; g += ${SORTING_WORKGROUP}u) { act[$groups + g] = 0.0; }
for (var e = lane; e < $experts; e += ${SORTING_WORKGROUP}u) {
  var first = 0u;
  for (var f = 0u; f < e; f++) { first += needed[f]; }
  var at = $list + first * ${perGroup}u;
  for (var p = 0u; p < $n; p++) { let pair = pairOf(p); if (u32(act[$chosen + pair]) == e) { act[at] = f32(pair + 1u); at++; } }
  for (; at < $list + (first + needed[e]) * ${perGroup}u; at++) { act[at] = 0.0; }
  for (var g = first; g < first + needed[e]; g++) { act[$groups + g] = f32(e + 1u); }
}`,
  }))

interface GroupedProduct {
  weight: Weight
  bias: Vector | undefined
  x: Temporary
  /** A row of x for each pair, not for each row of the batch. */
  own: boolean
  gated: Gated | undefined
  list: Temporary
  groups: Temporary
  most: number
  active: number
  y: Temporary
}

function products(node: GroupedProduct, to: Lowering): void {
  const { weight, bias, x, own, gated, list, groups, most, active, y } = node
  const { variants } = to
  const [, O, I] = weight.shape as [number, number, number]
  const outputs = gated ? O / 2 : O
  const ragged = I % UNIT !== 0
  const teamCount = gated ? outputs : Math.ceil(outputs / 2)
  const workgroup = workgroupOf(variants, teamCount)
  const key = `grouped ${weight.format.name}${bias ? '+' : ''}${ragged ? ' ragged' : ''}${own ? ' own' : ''} ${gated ? gatedKey(gated) : ''} ${workgroup}`
  const shader = to.shader(key, () => textOf(node, ragged, workgroup, to))
  const values = { x, y, list, groups, n: teamCount, active, inner: I, units: unitsOf(I), outputs, rows: O, bias: bias?.at ?? 0 }
  const activation = gated ? gatedValues(gated) : {}
  for (const piece of weight.pieces) {
    const part = { first: piece.row / O, count: piece.rows / O, ...planeValues(weight.format, 0, piece) }
    to.dispatch(shader, { ...values, ...activation, ...part }, teamGrid(variants, teamCount, most), [piece.buffer])
  }
}

/** A team computes two rows of the matrix, which become one where they are gated, for the rows of a group. */
function textOf({ weight, bias, own, gated }: GroupedProduct, ragged: boolean, workgroup: number, { variants }: Lowering) {
  const { module, body } = teams(variants, workgroup)
  const all = Array.from({ length: ROWS }, (_, r) => r)
  const names = [0, 1].flatMap((n) => all.map((r) => `s${n}_${r}`))
  const sum = (n: string, row: string) => `(s[${n} * ${ROWS}u + r]${bias ? ` + vectors[$bias + e * $rows + ${row}]` : ''})`
  const finish = gated
    ? `for (var r = member; r < ${ROWS}u; r += members) {
  let pair = u32(act[$list + wg.z * ${ROWS}u + r]);
  if (pair > 0u) { act[$y + (pair - 1u) * $outputs + team] = ${gatedExpression(gated, sum('0u', 'o'), sum('1u', 'o + 1u'))}; }
}`
    : `for (var i = member; i < ${2 * ROWS}u; i += members) {
  let r = i % ${ROWS}u; let n = i / ${ROWS}u; let pair = u32(act[$list + wg.z * ${ROWS}u + r]);
  if (pair > 0u && o + n < $outputs) { act[$y + (pair - 1u) * $outputs + o + n] = ${sum('n', 'o + n')}; }
}`
  return {
    params: `x y list groups n active inner units outputs rows bias first count ${planeParams(weight.format, 0)} ${gated ? gatedParams(gated) : ''}`,
    bindings: [['r', elementOf(weight.format)] as const],
    workgroup,
    subgroups: variants.subgroups,
    module: `${EIGHT}\n${ACTIVATIONS}\n${loadFunction(weight.format, 0)}\n${module}`,
    body: `${body}
if (team >= $n) { return; }
let mark = u32(act[$groups + wg.z]);
if (mark == 0u || mark - 1u - $first >= $count) { return; }
let e = mark - 1u; let o = team * 2u;
${all.map((r) => `let x_${r} = $x + (max(u32(act[$list + wg.z * ${ROWS}u + ${r}u]), 1u) - 1u)${own ? '' : ' / $active'} * $inner;`).join('\n')}
let at0 = ((e - $first) * $rows + o) * $units; let at1 = ((e - $first) * $rows + min(o + 1u, $rows - 1u)) * $units;
${names.map((name) => `var ${name} = 0.0;`).join(' ')}
for (var u = member; u < $units; u += members) {
  let k = u * 8u;
  ${all.map((r) => loadX(r, `x_${r}`, ragged, undefined)).join('\n  ')}
  ${[0, 1].map((n) => `{ let w = load0(at${n} + u); ${all.map((r) => `s${n}_${r} += dot(w.a, xa_${r}) + dot(w.b, xb_${r});`).join(' ')} }`).join('\n  ')}
}
var s = array<f32, ${names.length}>(${names.map((name) => `teamAdd(${name}, lane)`).join(', ')});
${finish}`,
  }
}

/** The same in tiles, one for each group and run of outputs. */
function tiles(node: GroupedProduct, to: Lowering): void {
  const { weight, bias, x, own, gated, list, groups, most, active, y } = node
  const [, O, I] = weight.shape as [number, number, number]
  const outputs = gated ? O / 2 : O
  const across = (tile: Tile) => Math.ceil(outputs / (gated ? tile.outputs / 2 : tile.outputs))
  const tile = tileFor((tile) => across(tile) * most, SMALL_TILES)
  const ragged = isRagged(I)
  const key = `tile of experts ${tileKey(tile)} ${weight.format.name}${bias ? '+' : ''}${ragged ? ' ragged' : ''}${own ? ' own' : ''} ${gated ? gatedKey(gated) : ''}`
  const shader = to.shader(key, () => tileTextOf(node, tile, ragged))
  const values = { x, y, list, groups, active, inner: I, units: unitsOf(I), outputs, rows: O, bias: bias?.at ?? 0, tiles: across(tile) }
  const activation = gated ? gatedValues(gated) : {}
  for (const piece of weight.pieces) {
    const part = { first: piece.row / O, count: piece.rows / O, ...planeValues(weight.format, 0, piece) }
    to.dispatch(shader, { ...values, ...activation, ...part }, grid(across(tile), most), [piece.buffer])
  }
}

/** Gate and up of an output are neighbouring rows of the matrix; a tile has all gates first. */
function tileTextOf({ weight, bias, own, gated }: GroupedProduct, tile: Tile, ragged: boolean) {
  const outputs = gated ? tile.outputs / 2 : tile.outputs
  const row = (n: string) => (gated ? `2u * (begin + (${n}) % ${outputs}u) + (${n}) / ${outputs}u` : `begin + ${n}`)
  const biased = (value: string, row: string) => (bias ? `(${value} + vectors[$bias + e * $rows + ${row}])` : value)
  const text: TileText = {
    tile,
    formats: [weight.format],
    ragged,
    rowOf: (r) => `$x + (max(u32(act[$list + wg.z * ${tile.rows}u + ${r}]), 1u) - 1u)${own ? '' : ' / $active'} * $inner`,
    unitOf: (n) => `((e - $first) * $rows + min(${row(n)}, $rows - 1u)) * $units`,
    put: (r, n, value, up) => `put(e, wg.z * ${tile.rows}u + ${r}, begin + ${n}, ${value}, ${gated ? up : '0.0'});`,
    pairs: gated !== undefined,
  }
  const value = gated ? gatedExpression(gated, biased('value', '2u * o'), biased('up', '2u * o + 1u')) : biased('value', 'o')
  return {
    params: `x y list groups active inner units outputs rows bias first count tiles ${planeParams(weight.format, 0)} ${gated ? gatedParams(gated) : ''}`,
    bindings: [['r', elementOf(weight.format)] as const],
    workgroup: tileInvocations(tile),
    module: `${EIGHT}
${ACTIVATIONS}
${tileModule(text)}
var<workgroup> markOf: u32;
fn put(e: u32, at: u32, o: u32, value: f32, up: f32) {
  let pair = u32(act[$list + at]);
  if (pair > 0u && o < $outputs) { act[$y + (pair - 1u) * $outputs + o] = ${value}; }
}`,
    body: `let tile = ${LINEAR};
if (tile >= $tiles) { return; }
if (lane == 0u) { markOf = u32(act[$groups + wg.z]); }
let mark = workgroupUniformLoad(&markOf);
if (mark == 0u || mark - 1u - $first >= $count) { return; }
let e = mark - 1u; let begin = tile * ${outputs}u;
${tileBody(text)}`,
  }
}
