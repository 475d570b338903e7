/**
 * Attention of one row and head per team, whose members hold some places of the query and of the result each. A long row of a decoding batch
 * is split into pieces of 256 positions, counted from the oldest visible one: a team per piece; a workgroup joins its few pieces, one more
 * dispatch many. Keys and values of a batch are stored in the cache first. Contract in ops.ts; online softmax: Milakov & Gimelshein 2018; split rows: Dao et al. 2023.
 */
import type { Lowering, Value } from '../plan.ts'
import type { AttentionNode, Norm, Placing } from '../record.ts'
import type { Temporary } from '../tensor.ts'
import {
  ACTIVATIONS,
  EACH_WORKGROUP,
  eachValue,
  grid,
  LINEAR,
  TEAM_WORKGROUP,
  teamGrid,
  teams,
  type Variants,
  workgroupOf,
} from '../wgsl.ts'
import { pairText } from './elementwise.ts'
import { subgroupKey } from './norm.ts'

/** Positions of a piece. */
const PIECE = 256
/** Positions that a team takes together. */
const TOGETHER = 4
/** Pieces that a split row has at least: a plan then serves until a row has more, and the next has twice as many. */
const LEAST_PIECES = 8

/** How many pieces the rows of a batch are split into; 1: not at all. */
export function piecesOf({ batch, window, cache, v }: Pick<AttentionNode, 'batch' | 'window' | 'cache' | 'v'>): number {
  if (batch.singleCount === 0 || !cache || !v) return 1
  const needed = Math.ceil(Math.min(batch.longestSingle, window ?? batch.longestSingle) / PIECE)
  return needed === 1 ? 1 : Math.max(LEAST_PIECES, 2 ** Math.ceil(Math.log2(needed)))
}

/** Statements that find the row `t`, its slot, and the visible positions: `oldest` the first, `visible` their number. */
const VISIBLE = `let slot = host[$slots + t]; let position = host[$positions + t];
let oldest = select(0u, position + 1u - min($window, position + 1u), $window > 0u);`

export function lowerAttention(node: AttentionNode, to: Lowering): void {
  const { place, batch } = node
  if (place && batch.singleCount < batch.rows) {
    // A prompt beside sequences that are decoded: each kind of rows by its own shader, so that it has the bits it has alone.
    attendRows({ ...node, place: undefined }, true, to)
    attendRows(node, false, to)
  } else attendRows(node, false, to)
}

/** Attention of all rows, of those of longer runs (`prompt`), or with `place` of those that are a run by themselves. */
function attendRows(node: AttentionNode, prompt: boolean, to: Lowering): void {
  const { cache, batch, place, v, heads, valueDim } = node
  if (cache && !place) store(node, prompt, to)
  const pieces = prompt ? 1 : piecesOf(node)
  const rows = place ? batch.singleCount : batch.rows
  const joined = pieces > 1 && fitsTogether(pieces, valueDim, to.variants)
  const partial = pieces > 1 && !joined ? to.scratch(rows * heads * pieces, valueDim + 2) : undefined
  const k = place?.k ?? node.k
  for (const group of cache?.groups ?? [undefined]) {
    const values: Record<string, Value> = {
      q: place?.q ?? node.q,
      k,
      v: v ?? k,
      y: partial ?? node.y,
      n: heads * rows,
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
      rowList: batch.singles,
      ...(place ? placeValues(place) : {}),
    }
    const buffers = group ? [group.keys, ...(v ? [group.values] : [])] : []
    const workgroups = joined ? grid(heads * rows) : teamGrid(to.variants, heads * rows, pieces)
    to.dispatch(attend(node, prompt, joined ? 'joined' : partial ? 'split' : 'whole', to), values, workgroups, buffers)
  }
  if (partial) combine(node, partial, pieces, rows, to)
}

/** Keys and values of the rows into the cache. */
function store({ batch, cache, kvHeads, k, v }: AttentionNode, prompt: boolean, to: Lowering): void {
  const { groups, ring, keyDim, valueDim } = cache!
  const shader = to.shader('store', () => ({
    params: 'x n width head ring slots positions longer only firstSlot slotCount',
    bindings: [['w', 'f32']],
    workgroup: EACH_WORKGROUP,
    body: eachValue(`let t = i / $width; let at = i % $width; let g = at / $head;
let slot = host[$slots + t] - $firstSlot;
if (slot >= $slotCount || host[$longer + t] < $only) { return; }
let row = (slot * ($width / $head) + g) * $ring + host[$positions + t] % $ring;
b0[row * $head + at % $head] = act[$x + i];`),
  }))
  for (const { first, slots, keys, values } of groups)
    for (const [x, head, buffer] of [[k, keyDim, keys] as const, ...(v ? [[v, valueDim, values] as const] : [])]) {
      const width = kvHeads * head
      const { positions, longer } = batch
      const words = { slots: batch.slots, positions, longer, only: prompt ? 1 : 0, firstSlot: first, slotCount: slots }
      to.dispatch(shader, { x, n: x.count, width, head, ring, ...words }, grid(Math.ceil(x.count / EACH_WORKGROUP)), [buffer])
    }
}

/** The end of a softmax: sums `l` and largest score `m` of a row, with the sink. */
const finish = (sinks: boolean): string =>
  sinks
    ? 'let sink = vectors[$sinks + h]; let top = max(m, sink); let part = exp(m - top) / (l * exp(m - top) + exp(sink - top));'
    : 'let part = 1.0 / l;'

/** Places of a row of `width` that one member holds at most. */
const places = (width: number, { subgroups, leastSubgroup }: Variants): number =>
  2 ** Math.ceil(Math.log2(Math.max(1, width / (subgroups ? leastSubgroup : TEAM_WORKGROUP))))

/** One team for all positions of a row, one for each piece, or one for each piece in a workgroup that joins them. */
type Teams = 'whole' | 'split' | 'joined'

/** Invocations of a workgroup that joins the pieces of a row and head. */
const JOINING = 256
/** Most values of a result that such a workgroup keeps per piece. */
const MOST_KEPT = 256

/** f32 that a piece keeps of its result, before its largest score and its sum. */
const keptWidth = (valueDim: number, variants: Variants): number => places(valueDim, variants) * variants.leastSubgroup

/** Whether the pieces of a row are few and small enough for one workgroup, so that nothing has to be joined after it. */
const fitsTogether = (pieces: number, valueDim: number, variants: Variants): boolean =>
  variants.subgroups && pieces <= LEAST_PIECES && keptWidth(valueDim, variants) <= MOST_KEPT

function attend(node: AttentionNode, prompt: boolean, kind: Teams, to: Lowering) {
  const { variants } = to
  const { cache, v, softcap, sinks, heads, keyDim, valueDim, place } = node
  const joined = kind === 'joined'
  const workgroup = joined ? JOINING : workgroupOf(variants, heads * (place ? node.batch.singleCount : node.batch.rows))
  const [ofKey, ofValue] = [places(keyDim, variants), places(valueDim, variants)]
  const key = `attention ${cache ? 'cached ' : ''}${v ? '' : 'keys '}${softcap === null ? '' : 'cap '}${sinks ? 'sinks ' : ''}${kind === 'whole' ? '' : `${kind} `}${
    prompt ? 'prompt ' : ''
  }${place ? placeKey(place) : ''}`
  return to.shader(`${key}${ofKey} ${ofValue} ${subgroupKey(variants)} ${workgroup}`, () => {
    const { module, body } = teams(variants, workgroup)
    const kept = keptWidth(valueDim, variants)
    const stride = kept + 2
    const each = (f: (n: number) => string, between = '\n') => Array.from({ length: TOGETHER }, (_, n) => f(n)).join(between)
    const rowOf = (n: number) =>
      cache
        ? `((inGroup * $kvHeads + g) * $ring + (oldest + min(j + ${n}u, last)) % $ring)`
        : `((begin + min(j + ${n}u, last)) * $kvHeads + g)`
    const own = (n: number, kept: string, mine: string) => (place ? `select(${kept}, ${mine}, j + ${n}u == own)` : kept)
    const keyAt = (n: number) => (cache ? own(n, `b0[key_${n} + i]`, 'newKey[c]') : `act[$k + key_${n} + i]`)
    const valueAt = (n: number) =>
      own(n, `${cache ? (v ? 'b1[' : 'b0[') : 'act[$v + '}value_${n} + u]`, 'act[$v + (t * $kvHeads + g) * $valueDim + u]')
    const score = (n: number) => (softcap === null ? `dot_${n} * $scale` : `$cap * boundedTanh(dot_${n} * $scale / $cap)`)
    return {
      params: `q k v y n heads kvHeads keyDim valueDim valueRow scale:f window cap:f sinks slots positions firsts ring firstSlot slotCount pieces rowList ${place ? PLACE_PARAMS : ''}`,
      bindings: cache ? [['w', 'f32'] as const, ...(v ? [['w', 'f32'] as const] : [])] : [],
      workgroup,
      subgroups: variants.subgroups,
      module: `${ACTIVATIONS}\n${module}${joined ? `\nvar<workgroup> kept: array<f32, ${LEAST_PIECES * stride}>;` : ''}`,
      body: `${joined ? `let members = subgroupSize; let member = subgroupLane; let team = ${LINEAR};` : body}
if (team >= $n) { return; }
let h = team % $heads; let r = team / $heads; let t = ${place ? 'host[$rowList + r]' : 'r'};
${prompt ? 'if (host[$firsts + t] == t && (t + 1u == $n / $heads || host[$firsts + t + 1u] == t + 1u)) { return; }' : ''}
${VISIBLE}
${
  cache
    ? 'let inGroup = slot - $firstSlot; if (inGroup >= $slotCount) { return; } let visible = position + 1u - oldest;'
    : 'let begin = t - min(t - host[$firsts + t], position - oldest); let visible = t + 1u - begin;'
}
let g = h * $kvHeads / $heads;
var query: array<f32, ${ofKey}>; var result: array<f32, ${ofValue}>;
${
  place
    ? `${placed('query', '$q + (t * $heads + h) * $keyDim', 'q', place.qNorm, place, ofKey)}
var newKey: array<f32, ${ofKey}>;
${placed('newKey', '$k + (t * $kvHeads + g) * $keyDim', 'k', place.kNorm, place, ofKey)}
let own = visible - 1u;`
    : `for (var c = 0u; c < ${ofKey}u; c++) { let i = member + c * members; if (i < $keyDim) { query[c] = act[$q + (t * $heads + h) * $keyDim + i]; } }`
}
${
  joined
    ? `for (var piece = lane / subgroupSize; piece * ${PIECE}u < visible; piece += ${JOINING}u / subgroupSize) {
for (var c = 0u; c < ${ofValue}u; c++) { result[c] = 0.0; }`
    : ''
}
var m = -3.0e38; var l = 0.0;
let start = ${joined ? `piece * ${PIECE}u` : kind === 'split' ? `wg.z * ${PIECE}u` : '0u'};
let end = ${kind === 'whole' ? 'visible' : `min(visible, start + ${PIECE}u)`};
${kind === 'split' ? 'if (start >= end) { return; }' : ''}
let last = end - 1u;
${place ? storeOwn(ofKey, ofValue) : ''}
for (var j = start; j < end; j += ${TOGETHER}u) {
  ${each((n) => `let row_${n} = ${rowOf(n)}; let key_${n} = row_${n} * $keyDim; let value_${n} = row_${n} * $valueRow; var part_${n} = 0.0;`)}
  for (var c = 0u; c < ${ofKey}u; c++) { let i = member + c * members; if (i < $keyDim) { ${each((n) => `part_${n} += query[c] * ${keyAt(n)};`, ' ')} } }
  ${each((n) => `let dot_${n} = teamAdd(part_${n}, lane); let s_${n} = select(-3.0e38, ${score(n)}, j + ${n}u <= last);`)}
  let next = max(m, max(max(s_0, s_1), max(s_2, s_3)));
  let rescale = exp(m - next);
  ${each((n) => `let e_${n} = exp(s_${n} - next);`, ' ')}
  l = l * rescale + ((e_0 + e_1) + (e_2 + e_3));
  m = next;
  for (var c = 0u; c < ${ofValue}u; c++) {
    let u = member + c * members;
    if (u < $valueDim) { result[c] = result[c] * rescale + (${each((n) => `e_${n} * ${valueAt(n)}`, ' + ')}); }
  }
}
${
  kind === 'whole'
    ? `${finish(sinks !== undefined)}
for (var c = 0u; c < ${ofValue}u; c++) { let u = member + c * members; if (u < $valueDim) { act[$y + (t * $heads + h) * $valueDim + u] = result[c] * part; } }`
    : joined
      ? `${keepPiece('kept', `piece * ${stride}u`, `${kept}u`, ofValue)}
}
workgroupBarrier();
${joinPieces(`(visible - 1u) / ${PIECE}u + 1u`, (p, i) => `kept[${p} * ${stride}u + ${i}]`, `${kept}u`, JOINING, sinks !== undefined)}`
      : keepPiece('act', '$y + ((r * $heads + h) * $pieces + wg.z) * ($valueDim + 2u)', '$valueDim', ofValue)
}`,
    }
  })
}

/** Statements that keep the result of a piece, its largest score and its sum, in `array` from `at` on. */
const keepPiece = (array: string, at: string, width: string, ofValue: number): string => `let to = ${at};
for (var c = 0u; c < ${ofValue}u; c++) { let u = member + c * members; if (u < $valueDim) { ${array}[to + u] = result[c]; } }
if (member == 0u) { ${array}[to + ${width}] = m; ${array}[to + ${width} + 1u] = l; }`

/** Statements that join the pieces of a row and head, in their order; `read` gives value `i` of piece `p`. */
const joinPieces = (used: string, read: (p: string, i: string) => string, width: string, workgroup: number, sinks: boolean): string => {
  const [top, sum] = [read('p', width), read('p', `${width} + 1u`)]
  return `let used = ${used};
var m = -3.0e38;
for (var p = 0u; p < used; p++) { m = max(m, ${top}); }
var l = 0.0;
for (var p = 0u; p < used; p++) { l += ${sum} * exp(${top} - m); }
${finish(sinks)}
for (var u = lane; u < $valueDim; u += ${workgroup}u) {
  var sum = 0.0;
  for (var p = 0u; p < used; p++) { sum += ${read('p', 'u')} * exp(${top} - m); }
  act[$y + (t * $heads + h) * $valueDim + u] = sum * part;
}`
}

const PLACE_PARAMS = 'qGain kGain qEps:f kEps:f qOffset:f kOffset:f rotary table'

const placeKey = ({ qNorm, kNorm, rope }: Placing): string =>
  `placed ${qNorm ? 'q ' : ''}${kNorm ? 'k ' : ''}${rope ? `${rope.pairing} ` : ''}`

const placeValues = ({ qNorm, kNorm, rope }: Placing): Record<string, number> => ({
  qGain: qNorm?.gain?.at ?? 0,
  kGain: kNorm?.gain?.at ?? 0,
  qEps: qNorm?.eps ?? 0,
  kEps: kNorm?.eps ?? 0,
  qOffset: qNorm?.unitOffset ?? 0,
  kOffset: kNorm?.unitOffset ?? 0,
  rotary: rope?.rotaryDim ?? 0,
  table: rope?.table ?? 0,
})

/** Statements that fill the array `into` with the places of a head that begins at `base`, normed and rotated. */
function placed(into: string, base: string, of: 'q' | 'k', norm: Norm | undefined, { rope }: Placing, count: number): string {
  const value = (i: string) => `act[${of}Base + ${i}]${norm ? ` * ${of}Factor * (vectors[$${of}Gain + ${i}] + $${of}Offset)` : ''}`
  const factor = norm
    ? `var ${of}Squares = 0.0;
for (var i = member; i < $keyDim; i += members) { let x = act[${of}Base + i]; ${of}Squares += x * x; }
let ${of}Factor = inverseSqrt(teamAdd(${of}Squares, lane) / f32($keyDim) + $${of}Eps);`
    : ''
  const pair = rope && pairText(rope.pairing, 'i')
  const rotated = pair
    ? `let half = $rotary / 2u; if (i < $rotary) {
  let row = $table + t * $rotary + ${pair.angle}; let p = ${pair.partner}; let other = ${value('p')};
  x = x * bitcast<f32>(host[row]) + select(other, -other, ${pair.first}) * bitcast<f32>(host[row + half]);
}`
    : ''
  return `let ${of}Base = ${base};
${factor}
for (var c = 0u; c < ${count}u; c++) { let i = member + c * members; if (i < $keyDim) { var x = ${value('i')}; ${rotated} ${into}[c] = x; } }`
}

/** The first head of a group stores the key and the value of its row. */
const storeOwn = (ofKey: number, ofValue: number): string => `if (last == own && h * $kvHeads % $heads < $kvHeads) {
  let row = (inGroup * $kvHeads + g) * $ring + position % $ring;
  for (var c = 0u; c < ${ofKey}u; c++) { let i = member + c * members; if (i < $keyDim) { b0[row * $keyDim + i] = newKey[c]; } }
  for (var c = 0u; c < ${ofValue}u; c++) { let u = member + c * members; if (u < $valueDim) { b1[row * $valueRow + u] = act[$v + (t * $kvHeads + g) * $valueDim + u]; } }
}`

/** Joins the pieces of every row, in their order. */
function combine(node: AttentionNode, partial: Temporary, pieces: number, rows: number, to: Lowering): void {
  const { heads, valueDim, sinks, batch, window, place, y } = node
  const shader = to.shader(`combine${sinks ? ' sinks' : ''}${place ? ' placed' : ''}`, () => ({
    params: 'x y heads valueDim window sinks slots positions pieces rowList',
    workgroup: EACH_WORKGROUP,
    body: `let h = wg.x; let t = ${place ? 'host[$rowList + wg.y]' : 'wg.y'};
${VISIBLE}
let begun = $x + (wg.y * $heads + h) * $pieces * ($valueDim + 2u);
${joinPieces(`(position - oldest) / ${PIECE}u + 1u`, (p, i) => `act[begun + ${p} * ($valueDim + 2u) + ${i}]`, '$valueDim', EACH_WORKGROUP, sinks !== undefined)}`,
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
    rowList: batch.singles,
  }
  to.dispatch(shader, values, [heads, rows, 1])
}
