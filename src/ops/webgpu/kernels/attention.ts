/**
 * Attention of one row and head per workgroup, over pieces of 256 positions counted from the oldest visible one. A long row of a decoding
 * batch is split: a workgroup per piece, then one dispatch that joins them; other rows go through their pieces in one workgroup. Keys and
 * values of a batch are stored in the cache first. Contract in ops.ts; online softmax: Milakov & Gimelshein 2018; split rows: Dao et al. 2023.
 */
import type { Lowering, Value } from '../plan.ts'
import type { AttentionNode } from '../record.ts'
import type { Temporary } from '../tensor.ts'
import { ACTIVATIONS, EACH_WORKGROUP, eachValue, grid, sums } from '../wgsl.ts'
import { subgroupKey } from './norm.ts'

/** Positions of a piece. */
export const PIECE = 256
const WORKGROUP = 64
/** Pieces that a split row has at least: a plan then serves until a row has more, and the next has twice as many. */
const LEAST_PIECES = 8

/** How many pieces the rows of a batch are split into; 1: not at all. */
export function piecesOf({ batch, window, cache }: Pick<AttentionNode, 'batch' | 'window' | 'cache'>): number {
  if (!batch.single || !cache) return 1
  const needed = Math.ceil(Math.min(batch.longest, window ?? batch.longest) / PIECE)
  return needed === 1 ? 1 : Math.max(LEAST_PIECES, 2 ** Math.ceil(Math.log2(needed)))
}

/** Statements that find the row `t`, its slot, and the visible positions: `oldest` the first, `visible` their number. */
const VISIBLE = `let slot = host[$slots + t]; let position = host[$positions + t];
let oldest = select(0u, position + 1u - min($window, position + 1u), $window > 0u);`

export function lowerAttention(node: AttentionNode, to: Lowering): void {
  const { k, v, cache, batch } = node
  if (cache) store(node, k, v, to)
  const pieces = piecesOf(node)
  const T = batch.rows
  const { heads, valueDim } = node
  const partial = pieces > 1 ? to.scratch(T * heads * pieces, valueDim + 2) : undefined
  for (const group of cache?.groups ?? [undefined]) {
    const shader = attend(node, partial !== undefined, to)
    const values: Record<string, Value> = {
      q: node.q,
      k,
      v: v ?? k,
      y: partial ?? node.y,
      heads,
      kvHeads: node.kvHeads,
      keyDim: node.keyDim,
      valueDim,
      valueRow: v ? valueDim : node.keyDim,
      scale: node.scale,
      window: node.window ?? 0,
      cap: node.softcap ?? 1,
      sinks: node.sinks?.at ?? 0,
      slots: batch.slots,
      positions: batch.positions,
      firsts: batch.firsts,
      ring: cache?.ring ?? 0,
      firstSlot: group?.first ?? 0,
      slotCount: group?.slots ?? 0,
      pieces,
    }
    to.dispatch(shader, values, [heads, T, pieces], group ? [group.keys, ...(v ? [group.values] : [])] : [])
  }
  if (partial) combine(node, partial, pieces, to)
}

/** Keys and values of the rows into the cache. */
function store({ batch, cache, kvHeads }: AttentionNode, k: Temporary, v: Temporary | undefined, to: Lowering): void {
  const { groups, ring, keyDim, valueDim } = cache!
  const shader = to.shader('store', () => ({
    params: 'x n width head ring slots positions firstSlot slotCount',
    bindings: [['w', 'f32']],
    workgroup: EACH_WORKGROUP,
    body: eachValue(`let t = i / $width; let at = i % $width; let g = at / $head;
let slot = host[$slots + t] - $firstSlot;
if (slot >= $slotCount) { return; }
let row = (slot * ($width / $head) + g) * $ring + host[$positions + t] % $ring;
b0[row * $head + at % $head] = act[$x + i];`),
  }))
  for (const { first, slots, keys, values } of groups)
    for (const [x, head, buffer] of [[k, keyDim, keys] as const, ...(v ? [[v, valueDim, values] as const] : [])]) {
      const width = kvHeads * head
      const words = { slots: batch.slots, positions: batch.positions, firstSlot: first, slotCount: slots }
      to.dispatch(shader, { x, n: x.count, width, head, ring, ...words }, grid(Math.ceil(x.count / EACH_WORKGROUP)), [buffer])
    }
}

/** The end of a softmax: sums `l` and largest score `m` of a row, with the sink. */
const finish = (sinks: boolean): string =>
  sinks
    ? 'let sink = vectors[$sinks + h]; let top = max(m, sink); let part = exp(m - top) / (l * exp(m - top) + exp(sink - top));'
    : 'let part = 1.0 / l;'

function attend(node: AttentionNode, split: boolean, to: Lowering) {
  const { variants } = to
  const { cache, v, softcap, sinks, keyDim, valueDim } = node
  const room = [keyDim, valueDim].map((width) => 2 ** Math.ceil(Math.log2(Math.max(64, width))))
  const key = `attention ${cache ? 'cached' : ''} ${v ? 'values' : 'keys'} ${softcap === null ? '' : 'cap'} ${sinks ? 'sinks' : ''} ${split ? 'split' : ''} ${room}`
  return to.shader(`${key} ${subgroupKey(variants)}`, () => {
    const reduced = sums(variants, WORKGROUP, 1)
    const rowOf = cache ? '((slot * $kvHeads + g) * $ring + (oldest + j) % $ring)' : '((begin + j) * $kvHeads + g)'
    const keyAt = cache ? 'b0[begun + i]' : 'act[$k + begun + i]'
    const valueAt = `${cache ? (v ? 'b1[' : 'b0[') : 'act[$v + '}${rowOf} * $valueRow + u]`
    const score = softcap === null ? 'dot' : '$cap * boundedTanh(dot / $cap)'
    const body = `let h = wg.x; let t = wg.y;
${VISIBLE}
${
  cache
    ? 'let inGroup = host[$slots + t] - $firstSlot; if (inGroup >= $slotCount) { return; } let visible = position + 1u - oldest;'
    : 'let begin = t - min(t - host[$firsts + t], position - oldest); let visible = t + 1u - begin;'
}
let g = h * $kvHeads / $heads;
for (var i = lane; i < $keyDim; i += ${WORKGROUP}u) { query[i] = act[$q + (t * $heads + h) * $keyDim + i]; }
for (var u = lane; u < $valueDim; u += ${WORKGROUP}u) { result[u] = 0.0; }
workgroupBarrier();
var m = -3.0e38; var l = 0.0;
let firstPiece = ${split ? `wg.z * ${PIECE}u` : '0u'};
let lastPiece = ${split ? `min(visible, firstPiece + ${PIECE}u)` : 'visible'};
for (var start = firstPiece; start < lastPiece; start += ${PIECE}u) {
  let count = min(${PIECE}u, visible - start);
  var largest = -3.0e38;
  for (var n = lane; n < count; n += ${WORKGROUP}u) {
    let j = start + n; let begun = ${rowOf.replace('slot *', 'inGroup *')} * $keyDim;
    var dot = 0.0;
    for (var i = 0u; i < $keyDim; i++) { dot += query[i] * ${keyAt}; }
    dot *= $scale;
    let s = ${score};
    scores[n] = s;
    largest = max(largest, s);
  }
  ${reduced.reduce(['largest'], 'max')}
  let next = max(m, ${reduced.total(0)});
  workgroupBarrier();
  var weights = 0.0;
  for (var n = lane; n < count; n += ${WORKGROUP}u) { let e = exp(scores[n] - next); scores[n] = e; weights += e; }
  ${reduced.reduce(['weights'])}
  let rescale = exp(m - next);
  l = l * rescale + ${reduced.total(0)};
  m = next;
  for (var u = lane; u < $valueDim; u += ${WORKGROUP}u) {
    var sum = 0.0;
    for (var n = 0u; n < count; n++) { let j = start + n; sum += scores[n] * ${valueAt.replace('slot *', 'inGroup *')}; }
    result[u] = result[u] * rescale + sum;
  }
  workgroupBarrier();
}
${
  split
    ? `let to = $y + ((t * $heads + h) * $pieces + wg.z) * ($valueDim + 2u);
for (var u = lane; u < $valueDim; u += ${WORKGROUP}u) { act[to + u] = result[u]; }
if (lane == 0u) { act[to + $valueDim] = m; act[to + $valueDim + 1u] = l; }`
    : `${finish(sinks !== undefined)}
for (var u = lane; u < $valueDim; u += ${WORKGROUP}u) { act[$y + (t * $heads + h) * $valueDim + u] = result[u] * part; }`
}`
    return {
      params:
        'q k v y heads kvHeads keyDim valueDim valueRow scale:f window cap:f sinks slots positions firsts ring firstSlot slotCount pieces',
      bindings: cache ? [['w', 'f32'] as const, ...(v ? [['w', 'f32'] as const] : [])] : [],
      workgroup: WORKGROUP,
      subgroups: variants.subgroups,
      module: `${ACTIVATIONS}
${reduced.module}
var<workgroup> query: array<f32, ${room[0]}>;
var<workgroup> result: array<f32, ${room[1]}>;
var<workgroup> scores: array<f32, ${PIECE}>;`,
      body,
    }
  })
}

/** Joins the pieces of every row, in their order. */
function combine(node: AttentionNode, partial: Temporary, pieces: number, to: Lowering): void {
  const { heads, valueDim, sinks, batch, window, y } = node
  const shader = to.shader(`combine${sinks ? ' sinks' : ''}`, () => ({
    params: 'x y heads valueDim window sinks slots positions pieces',
    workgroup: WORKGROUP,
    body: `let h = wg.x; let t = wg.y;
${VISIBLE}
let used = (position - oldest) / ${PIECE}u + 1u;
let begun = $x + (t * $heads + h) * $pieces * ($valueDim + 2u);
var m = -3.0e38;
for (var p = 0u; p < used; p++) { m = max(m, act[begun + p * ($valueDim + 2u) + $valueDim]); }
var l = 0.0;
for (var p = 0u; p < used; p++) { let at = begun + p * ($valueDim + 2u) + $valueDim; l += act[at + 1u] * exp(act[at] - m); }
${finish(sinks !== undefined)}
for (var u = lane; u < $valueDim; u += ${WORKGROUP}u) {
  var sum = 0.0;
  for (var p = 0u; p < used; p++) { let at = begun + p * ($valueDim + 2u); sum += act[at + u] * exp(act[at + $valueDim] - m); }
  act[$y + (t * $heads + h) * $valueDim + u] = sum * part;
}`,
  }))
  const values = {
    x: partial,
    y,
    heads,
    valueDim,
    window: window ?? 0,
    sinks: sinks?.at ?? 0,
    slots: batch.slots,
    positions: batch.positions,
    pieces,
  }
  to.dispatch(shader, values, [heads, batch.rows, 1])
}
