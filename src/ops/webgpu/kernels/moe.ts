/**
 * Experts: which ones a row goes to (`choose`), and their products. One team of `experts` computes some rows of the matrix of the a-th
 * expert of a row t; the matrices of all experts lie one after the other. Contracts of `route` and `moe` in ops.ts.
 */
import type { Gated, Router } from '../../../architecture/architecture.ts'
import { columns, rowsOf } from '../../tensor.ts'
import { EIGHT, elementOf, loadFunction, planeParams, planeValues, UNIT, unitsOf } from '../formats.ts'
import type { Lowering, Value } from '../plan.ts'
import type { ExpertMatrix, Moe, Route } from '../record.ts'
import { allFew, allRows, type Rows } from '../rows.ts'
import type { Piece, Temporary, Vector, Weight } from '../tensor.ts'
import { ACTIVATIONS, EACH_WORKGROUP, eachValue, grid, LINEAR, teamGrid, teams, type Variants, workgroupOf } from '../wgsl.ts'
import { gatedExpression, gatedKey, gatedParams, gatedValues } from './elementwise.ts'
import { lowerGrouped, worthGrouping, worthTiling } from './grouped.ts'
import { subgroupKey } from './norm.ts'
import { loadX, lowerFew, rowNumber } from './product.ts'

export function lowerRoute(node: Route, to: Lowering): void {
  const { x, weight, bias, logits, router, norm } = node
  // A router is small, and a near tie of experts should not depend on how many rows a chunk has.
  lowerFew({ op: 'product', x: norm?.x ?? x, norm, keep: norm?.y, parts: [{ weight, bias }], ys: [logits] }, allRows(rowsOf(logits)), to)
  if (choosesInExperts(node, to)) return
  const { kind } = router
  const groups = kind === 'topkSoftmax' ? undefined : router.groups
  const normalize = kind !== 'topkSoftmax' && router.normalize
  const key = `choose ${kind}${groups ? ` groups ${groups.best}` : ''}${normalize ? ' normalize' : ''}${node.correction ? ' correction' : ''}`
  const shader = to.shader(key, () => ({
    params: 'logits wish sums chosen y experts active correction groups open factor:f n',
    workgroup: EACH_WORKGROUP,
    module: ACTIVATIONS,
    body: chooseText(router, node.correction !== undefined),
  }))
  const [T, E] = logits.shape as [number, number]
  const [wish, sums] = [to.scratch(T, E), to.scratch(T, groups?.count ?? 1)]
  const factor = kind === 'topkSoftmax' ? 1 : (router.scale ?? 1)
  const values = { logits, chosen: node.chosen, y: node.y, experts: E, active: node.active, correction: node.correction?.at ?? 0 }
  to.dispatch(
    shader,
    { ...values, groups: groups?.count ?? 1, open: groups?.chosen ?? 1, factor, n: T, wish, sums },
    grid(Math.ceil(T / EACH_WORKGROUP)),
  )
}

const CLOSED = '-3.0e38'

/** Teams of whole workgroups choose beforehand, because they need to know that all of them compute the same expert. */
const choosesInExperts = ({ inExperts }: Route, { variants }: Lowering): boolean => Boolean(inExperts) && variants.subgroups

/**
 * `choose(t, count)`: the best `count` experts of a row and their logits, found by all members of a team. Each holds every n-th logit; ties go
 * to the lowest index.
 */
function chooseInTeam(active: number, experts: number, { leastSubgroup }: Variants): string {
  const room = Math.ceil(experts / leastSubgroup)
  return `var<private> bestExpert: array<u32, ${active}>; var<private> bestLogit: array<f32, ${active}>;
fn choose(t: u32, count: u32, member: u32, members: u32, lane: u32) {
  var mine: array<f32, ${room}>;
  for (var c = 0u; c < ${room}u; c++) { let e = member + c * members; mine[c] = ${CLOSED}; if (e < $experts) { mine[c] = act[$logits + t * $experts + e]; } }
  for (var a = 0u; a < count; a++) {
    var best = ${CLOSED}; var at = 0u;
    for (var c = 0u; c < ${room}u; c++) { if (mine[c] > best) { best = mine[c]; at = member + c * members; } }
    let top = teamMax(best, lane);
    let e = u32(-teamMax(select(${CLOSED}, -f32(at), best == top), lane));
    bestExpert[a] = e; bestLogit[a] = top;
    if (e % members == member) { mine[e / members] = ${CLOSED}; }
  }
}
fn weightOf(a: u32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < ${active}u; i++) { sum += exp(bestLogit[i] - bestLogit[0]); }
  return exp(bestLogit[a] - bestLogit[0]) / sum * $routed;
}`
}

/** One invocation per row. */
function chooseText(router: Router, corrected: boolean): string {
  const { kind } = router
  const sigmoid = kind === 'sigmoidTopk'
  const groups = kind === 'topkSoftmax' ? undefined : router.groups
  const score = sigmoid ? `sigmoid(v)${corrected ? ' + vectors[$correction + e]' : ''}` : 'v'
  const shareOf = sigmoid ? 'sigmoid(act[begun + e])' : 'exp(act[begun + e] - top)'
  const closing = groups
    ? `let width = $experts / $groups;
for (var g = 0u; g < $groups; g++) {
  var first = ${CLOSED}; var second = ${CLOSED};
  for (var i = 0u; i < width; i++) {
    let w = act[wish + g * width + i];
    if (w > first) { second = first; first = w; } else if (w > second) { second = w; }
  }
  ${
    sigmoid
      ? `act[sums + g] = first${groups.best === 2 ? ' + select(0.0, second, width > 1u)' : ''};`
      : `act[sums + g] = exp(first - top)${groups.best === 2 ? ' + select(0.0, exp(second - top), width > 1u)' : ''};`
  }
}
for (var n = 0u; n < $groups - $open; n++) {
  var worst = 0u; var least = 3.0e38;
  for (var g = 0u; g < $groups; g++) { if (act[sums + g] <= least && act[sums + g] > ${CLOSED}) { least = act[sums + g]; worst = g; } }
  act[sums + worst] = ${CLOSED};
  for (var i = 0u; i < width; i++) { act[wish + worst * width + i] = ${CLOSED}; }
}`
    : ''
  const total =
    kind === 'softmaxTopk' && !router.normalize
      ? 'for (var e = 0u; e < $experts; e++) { sum += exp(act[begun + e] - top); }'
      : kind === 'sigmoidTopk' && !router.normalize
        ? 'sum = 1.0;'
        : `for (var a = 0u; a < $active; a++) { let e = u32(act[to + a]); sum += ${shareOf}; }`
  return `let t = (${LINEAR}) * ${EACH_WORKGROUP}u + lane;
if (t >= $n) { return; }
let wish = $wish + t * $experts; let sums = $sums + t * $groups;
let begun = $logits + t * $experts; let to = $chosen + t * $active;
for (var e = 0u; e < $experts; e++) { let v = act[begun + e]; act[wish + e] = ${score}; }
var top = ${CLOSED};
for (var e = 0u; e < $experts; e++) { top = max(top, act[begun + e]); }
${closing}
for (var a = 0u; a < $active; a++) {
  var best = 0u; var largest = ${CLOSED};
  for (var e = 0u; e < $experts; e++) { if (act[wish + e] > largest) { largest = act[wish + e]; best = e; } }
  act[wish + best] = ${CLOSED};
  act[to + a] = f32(best);
}
var sum = 0.0;
${total}
for (var a = 0u; a < $active; a++) { let e = u32(act[to + a]); act[$y + t * $active + a] = ${shareOf} / sum * $factor; }`
}

/** The matrix of each chosen expert times a row. */
interface ExpertProduct {
  /** Those of the T rows that are computed. */
  rows: Rows
  weight: Weight
  bias: Vector | undefined
  /** [T, I], or [T·A, I] with `own`: a row for each of the experts. */
  x: Temporary
  own: boolean
  chosen: Temporary
  active: number
  /** Pairs of rows become one value. */
  gated?: Gated | undefined
  /** Joins the experts of a row: Σ_a weight·(W x + b), plus a residual; y is then [T, O], else [T·A, O]. */
  mix?: { readonly weights: Temporary; readonly residual: Temporary | undefined; readonly factor: number } | undefined
  /** The logits that experts are chosen from here; otherwise `chosen` holds them. */
  route?: Route | undefined
  /** y += scale·W·x, in place. */
  addTo?: number | undefined
  y: Temporary
}

/** The number of an expert; without subgroups the compiler must know that it is the same for the whole workgroup. */
const expertText = (subgroups: boolean): string =>
  subgroups
    ? 'fn expert(lane: u32, at: u32) -> u32 { return u32(act[at]); }'
    : `var<workgroup> expertOf: u32;
fn expert(lane: u32, at: u32) -> u32 { if (lane == 0u) { expertOf = u32(act[at]); } return workgroupUniformLoad(&expertOf); }`

function lowerExperts(node: ExpertProduct, to: Lowering): void {
  for (const [n, piece] of node.weight.pieces.entries()) dispatchExperts(node, piece, n > 0, to)
}

function dispatchExperts(node: ExpertProduct, piece: Piece, later: boolean, to: Lowering): void {
  const { weight, bias, x, own, active, gated, mix, addTo, y } = node
  const [experts, O, I] = weight.shape as [number, number, number]
  const { route } = node
  const { rows } = node
  const outputs = gated ? O / 2 : O
  const N = outputs < 2048 || outputs % 2 ? 1 : 2
  const ragged = I % UNIT !== 0
  const wide = Math.ceil(outputs / N)
  const count = mix ? wide : wide * active
  const workgroup = workgroupOf(to.variants, count)
  const key = `experts ${weight.format.name}${bias ? '+' : ''} x${N}${ragged ? ' ragged' : ''}${own ? ' own' : ''}${gated ? ` ${gatedKey(gated)}` : ''}${
    mix ? ` mix${mix.residual ? ' residual' : ''}` : ''
  }${rows.list === undefined ? '' : ' listed'}${addTo === undefined ? '' : ' add'}${later ? ' later' : ''}${
    route ? ` choose ${active} of ${experts}` : ''
  } ${subgroupKey(to.variants)} ${workgroup}`
  const shader = to.shader(key, () => textOf(node, N, ragged, later, workgroup, to))
  const values: Record<string, Value> = {
    x,
    y,
    chosen: route ? 0 : node.chosen,
    logits: route ? route.logits : 0,
    list: rows.list ?? 0,
    experts,
    routed: route?.router.kind === 'softmaxTopk' ? (route.router.scale ?? 1) : 1,
    active,
    inner: I,
    units: unitsOf(I),
    outputs,
    rows: O,
    first: piece.row / O,
    count: piece.rows / O,
    bias: bias?.at ?? 0,
    scale: addTo ?? 1,
    weights: mix && !route ? mix.weights : 0,
    residual: mix?.residual ?? 0,
    factor: mix?.factor ?? 1,
    ...planeValues(weight.format, 0, piece),
    ...(gated ? gatedValues(gated) : {}),
  }
  to.dispatch(shader, { ...values, wide, n: count }, teamGrid(to.variants, count, rows.count), [piece.buffer])
}

function textOf(node: ExpertProduct, N: number, ragged: boolean, later: boolean, workgroup: number, { variants }: Lowering) {
  const { weight, bias, own, gated, mix, addTo, route } = node
  const chosenAt = route ? 'bestExpert[a]' : 'expert(lane, $chosen + t * $active + a)'
  const weightAt = route ? 'weightOf(a)' : 'act[$weights + t * $active + a]'
  const per = gated ? 2 : 1
  const rows = Array.from({ length: N * per }, (_, n) => n)
  const { module, body: teamText } = teams(variants, workgroup)
  const names = rows.map((n) => `s${n}`)
  const sumsOf = `let xAt = $x + ${own ? '(t * $active + a)' : 't'} * $inner;
${rows.map((n) => `let at${n} = ((e - $first) * $rows + min(o + ${n}u, $rows - 1u)) * $units; var s${n} = 0.0;`).join('\n')}
for (var u = member; u < $units; u += members) {
  let k = u * 8u; ${loadX(0, 'xAt', ragged, undefined)}
  ${rows.map((n) => `{ let w = load0(at${n} + u); s${n} += dot(w.a, xa_0) + dot(w.b, xb_0); }`).join('\n  ')}
}
var s = array<f32, ${names.length}>(${names.map((name) => `teamAdd(${name}, lane)`).join(', ')});`
  const sum = (index: string, row: string) => `(s[${index}]${bias ? ` + vectors[$bias + e * $rows + ${row}]` : ''})`
  const one = gated ? gatedExpression(gated, sum('i * 2u', 'o + i * 2u'), sum('i * 2u + 1u', 'o + i * 2u + 1u')) : sum('i', 'o + i')
  const inside = 'e - $first < $count'
  const old = addTo === undefined ? '' : 'act[to] + $scale * '
  const mine = `for (var i = member; i < ${N}u; i += members)`
  const body = mix
    ? `${route ? 'choose(t, $active, member, members, lane);' : ''}
var mixed = array<f32, ${N}>();
for (var a = 0u; a < $active; a++) {
  let e = ${chosenAt};
  if (${inside}) {
    ${sumsOf}
    ${mine} { mixed[i] += ${weightAt} * ${one}; }
  }
}
${mine} {
  let to = $y + t * $outputs + o + i;
  if (o + i < $outputs) { act[to] = ${
    later ? 'act[to] + $factor * mixed[i]' : mix.residual ? 'act[$residual + t * $outputs + o + i] + $factor * mixed[i]' : 'mixed[i]'
  }; }
}`
    : `let a = team / $wide;${route ? ' choose(t, a + 1u, member, members, lane);' : ''} let e = ${chosenAt};
if (!(${inside})) { return; }
${sumsOf}
${mine} {
  let to = $y + (t * $active + a) * $outputs + o / ${per}u + i;
  if (o / ${per}u + i < $outputs) { act[to] = ${old}${one}; }
}`
  return {
    params: `n wide x y list chosen logits experts routed:f active inner units outputs rows first count bias scale:f weights residual factor:f ${planeParams(weight.format, 0)} ${
      gated ? gatedParams(gated) : ''
    }`,
    bindings: [['r', elementOf(weight.format)] as const],
    workgroup,
    subgroups: variants.subgroups,
    module: `${EIGHT}\n${ACTIVATIONS}\n${loadFunction(weight.format, 0)}\n${module}\n${
      route ? chooseInTeam(node.active, weight.shape[0]!, variants) : expertText(variants.subgroups)
    }`,
    body: `${teamText}\nif (team >= $n) { return; }\nlet t = ${rowNumber('wg.z', node.rows.list !== undefined)}; let o = team % $wide * ${N * per}u;\n${body}`,
  }
}

export function lowerMoe(node: Moe, to: Lowering): void {
  const split = to.splitOf(node.x, rowsOf(node.x))
  const { few, tiled } = worthTiling(node, split.tiled) ? split : allFew(split.rows)
  if (tiled.count) {
    const each = lowerGrouped(node, tiled, true, to)
    lowerMix(each, node.route.y, node.route.active, node.residual, node.y, tiled, to)
  }
  if (few.count) lowerFewRows(node, few, to)
}

/** Some rows, each with the sums that it has alone. */
function lowerFewRows(node: Moe, rows: Rows, to: Lowering): void {
  if (worthGrouping(node, rows, to)) {
    const each = lowerGrouped(node, rows, false, to)
    lowerMix(each, node.route.y, node.route.active, node.residual, node.y, rows, to)
    return
  }
  const { x, route, gateUp, down, activation, y, residual } = node
  const { chosen, active } = route
  const pairs = chosen.count
  const F = columns(down.weight)
  const hidden = to.scratch(pairs, F)
  const choice = { rows, chosen, active, route: choosesInExperts(route, to) ? route : undefined }
  if (gateUp.adapter) {
    const wide = to.scratch(pairs, 2 * F)
    adapted(gateUp, x, false, wide, choice, to)
    lowerPairs(wide, hidden, activation, to)
  } else lowerExperts({ ...choice, weight: gateUp.weight, bias: gateUp.bias, x, own: false, gated: activation, y: hidden }, to)
  if (down.adapter) {
    const each = to.scratch(pairs, columns(y))
    adapted(down, hidden, true, each, choice, to)
    lowerMix(each, route.y, active, residual, y, rows, to)
    return
  }
  const mix = { weights: route.y, residual: residual?.a, factor: residual?.factor ?? 1 }
  lowerExperts({ ...choice, weight: down.weight, bias: down.bias, x: hidden, own: true, mix, y }, to)
}

/** W_e·x + b + scale·b_e·a_e·x for each chosen expert. */
function adapted(
  matrix: ExpertMatrix,
  x: Temporary,
  own: boolean,
  y: Temporary,
  choice: Pick<ExpertProduct, 'rows' | 'chosen' | 'active' | 'route'>,
  to: Lowering,
) {
  const { a, b, scale } = matrix.adapter!
  lowerExperts({ ...choice, weight: matrix.weight, bias: matrix.bias, x, own, y }, to)
  const low = to.scratch(y.shape[0]!, a.shape[1]!)
  lowerExperts({ ...choice, weight: a, bias: undefined, x, own, y: low }, to)
  lowerExperts({ ...choice, weight: b, bias: undefined, x: low, own: true, addTo: scale, y }, to)
}

/** Gate and up side by side in one row. */
function lowerPairs(x: Temporary, y: Temporary, activation: Gated, to: Lowering): void {
  const shader = to.shader(`pairs ${gatedKey(activation)}`, () => ({
    params: `x y n ${gatedParams(activation)}`,
    workgroup: EACH_WORKGROUP,
    module: ACTIVATIONS,
    body: eachValue(`act[$y + i] = ${gatedExpression(activation, 'act[$x + 2u * i]', 'act[$x + 2u * i + 1u]')};`),
  }))
  to.dispatch(shader, { x, y, n: y.count, ...gatedValues(activation) }, grid(Math.ceil(y.count / EACH_WORKGROUP)))
}

/** Σ_a weight[t, a]·x[t·A + a], plus a residual, of some rows. */
function lowerMix(
  x: Temporary,
  weights: Temporary,
  active: number,
  residual: Moe['residual'],
  y: Temporary,
  rows: Rows,
  to: Lowering,
): void {
  const listed = rows.list !== undefined
  const shader = to.shader(`mix${residual ? ' residual' : ''}${listed ? ' listed' : ''}`, () => ({
    params: 'x y n list weights active width residual factor:f',
    workgroup: EACH_WORKGROUP,
    body: eachValue(`let t = ${rowNumber('i / $width', listed)}; let d = i % $width; let at = t * $width + d; var sum = 0.0;
for (var a = 0u; a < $active; a++) { sum += act[$weights + t * $active + a] * act[$x + (t * $active + a) * $width + d]; }
act[$y + at] = ${residual ? 'act[$residual + at] + $factor * sum' : 'sum'};`),
  }))
  const [width, n] = [columns(y), rows.count * columns(y)]
  const values = { x, y, n, list: rows.list ?? 0, weights, active, width, residual: residual?.a ?? 0, factor: residual?.factor ?? 1 }
  to.dispatch(shader, values, grid(Math.ceil(n / EACH_WORKGROUP)))
}
