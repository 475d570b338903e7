/**
 * WGSL of the draw: the rule of `ops/draw.ts` for one row of logits per y of the grid. Logits are compared as integer keys that
 * have the order of the numbers, and all sums are of integers, so no result depends on the order of atomic operations. A cut is
 * found as a radix sort would find it: four levels of 8 bits each, by counts (top-k) or by weights in units of 2^-40 (top-p).
 * The arithmetic stands in draw-numbers.ts.
 */
import type { ShaderText } from '../wgsl.ts'
import { DRAW_NUMBERS } from './draw-numbers.ts'

/** Words before those of the rows: the number of changes, and the first word of the changes. */
export const HEADER_WORDS = 2
/** Words per row at the start of `words`. */
export const ROW_WORDS = 8
/** Words of one entry of the changes. */
export const CHANGE_WORDS = 4
/** Bits of a row's flags. */
export const GREEDY = 1
export const TOP_P = 2
export const MASK = 4
/** Ids farther below the largest logit, in temperatures, are never drawn. */
export const FARTHEST = 64
/** Bins of a level, and threads of the workgroups that count in them. */
const BINS = 256
/** Threads of all workgroups where the vocabulary is small. */
const NARROW = 64
/** Most workgroups per row in the dispatches that pass over the vocabulary. */
export const MAX_GROUPS = 128
const LEVELS = 4
/** Words of a row in `state`: the best of each workgroup, the winner of each workgroup, states after levels, histograms, the cut. */
const BEST = 0
const WINNER = BEST + 2 * MAX_GROUPS
const AFTER = WINNER + 2 * MAX_GROUPS
const AFTER_WORDS = 8
const HISTOGRAMS = AFTER + 2 * LEVELS * AFTER_WORDS
const CUT = HISTOGRAMS + 2 * LEVELS * 2 * BINS
export const STATE_WORDS = CUT + 8

/** In the order in which they run. `level` runs once per level. */
export type DrawKernel = 'change' | 'best' | 'level' | 'ties' | 'race' | 'choose'
/** Levels 0…3 find the cut of top-k, levels 4…7 that of top-p. */
export const TOP_K_LEVELS = [0, 1, 2, 3] as const
export const TOP_P_LEVELS = [4, 5, 6, 7] as const

const common = (threads: number): string => `
const NONE = 0xffffffffu;
const INFINITY_KEY = 0xff800000u;
const GREEDY = ${GREEDY}u;
const TOP_P = ${TOP_P}u;
const MASK = ${MASK}u;
const FARTHEST = ${FARTHEST}.0;

var<workgroup> first: array<u32, ${threads}>;
var<workgroup> second: array<u32, ${threads}>;
var<workgroup> bins: array<atomic<u32>, ${2 * BINS}>;

fn word(r: u32, i: u32) -> u32 { return host[$words + ${HEADER_WORDS}u + r * ${ROW_WORDS}u + i]; }
fn inverseTemperature(r: u32) -> f32 { return bitcast<f32>(word(r, 0u)); }
fn topK(r: u32) -> u32 { return word(r, 1u); }
fn topP(r: u32) -> u32 { return word(r, 2u); }
fn flags(r: u32) -> u32 { return word(r, 3u); }
fn limit(r: u32) -> f32 { return bitcast<f32>(word(r, 4u)); }
fn noise(r: u32) -> u32 { return word(r, 5u); }

fn placeOf(r: u32, id: u32) -> u32 { return $logits + r * $vocabulary + id; }
fn keyAt(r: u32, id: u32) -> u32 { return keyOf(bitcast<u32>(act[placeOf(r, id)])); }

/** Distance below the largest logit in temperatures. */
fn distanceOf(key: u32, best: u32, r: u32) -> f32 { return (logitOf(best) - logitOf(key)) * inverseTemperature(r); }

fn load(at: u32) -> u32 { return atomicLoad(&b0[at]); }
fn store(at: u32, value: u32) { atomicStore(&b0[at], value); }

/** The largest key, on ties the lowest id, over the workgroup: of each sixteen invocations, then of all. */
fn largest(key: u32, id: u32, at: u32) -> vec2u {
  first[at] = key;
  second[at] = id;
  workgroupBarrier();
  if (at < ${threads / 16}u) {
    var found = vec2u(first[at * 16u], second[at * 16u]);
    for (var i = 1u; i < 16u; i++) { found = larger(found, vec2u(first[at * 16u + i], second[at * 16u + i])); }
    first[at * 16u] = found.x;
    second[at * 16u] = found.y;
  }
  workgroupBarrier();
  var found = vec2u(first[0], second[0]);
  for (var i = 16u; i < ${threads}u; i += 16u) { found = larger(found, vec2u(first[i], second[i])); }
  workgroupBarrier();
  return found;
}
fn larger(a: vec2u, b: vec2u) -> vec2u { return select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y)); }
/** What the workgroups of a row left in \`place\`, brought together by each workgroup that needs it. */
fn gathered(place: u32, at: u32) -> vec2u {
  if ($groups == 1u) { return vec2u(load(place), load(place + 1u)); }
  var found = vec2u(0u, NONE);
  for (var i = at; i < $groups; i += ${threads}u) { found = larger(found, vec2u(load(place + 2u * i), load(place + 2u * i + 1u))); }
  return largest(found.x, found.y, at);
}

/** Whether the row looks for a cut by this level. */
fn seeks(r: u32, level: u32) -> bool {
  return (flags(r) & GREEDY) == 0u && select(topK(r) > 0u, (flags(r) & TOP_P) != 0u, level >= ${LEVELS}u);
}
`

/** How far a cut is found. */
const CUTS = `
/**
 * Where a cut stands: ids with a difference of keys below \`key\` are kept, and \`need\` more (ids or weight) of those that share
 * the decided upper bits of \`key\`. \`all\`: nothing is cut off.
 */
struct After { key: u32, all: u32, need: vec2u, found: vec2u }
fn stored(row: u32, level: u32) -> After {
  let at = row + ${AFTER}u + level * ${AFTER_WORDS}u;
  return After(load(at), load(at + 1u), vec2u(load(at + 2u), load(at + 3u)), vec2u(load(at + 4u), load(at + 5u)));
}

struct Sums { through: vec2u, total: vec2u }
/** The sum of the invocations up to this one, and of all. */
fn sumsOf(own: vec2u, at: u32) -> Sums {
  first[at] = own.x;
  second[at] = own.y;
  workgroupBarrier();
  if (at < ${BINS / 16}u) {
    for (var i = at * 16u + 1u; i < at * 16u + 16u; i++) {
      let sum = add(vec2u(first[i - 1u], second[i - 1u]), vec2u(first[i], second[i]));
      first[i] = sum.x;
      second[i] = sum.y;
    }
  }
  workgroupBarrier();
  var sums = Sums(vec2u(first[at], second[at]), vec2u());
  for (var i = 15u; i < ${BINS}u; i += 16u) {
    let part = vec2u(first[i], second[i]);
    if (i < at - at % 16u) { sums.through = add(sums.through, part); }
    sums.total = add(sums.total, part);
  }
  workgroupBarrier();
  return sums;
}

/**
 * Chooses the bin of a level in which the cut lies, from the histogram that the level has left. All workgroups find the same; the
 * first one keeps it for later dispatches.
 */
fn resolve(row: u32, r: u32, level: u32, best: u32, at: u32, keep: bool) -> After {
  let byWeight = level >= ${LEVELS}u;
  let shift = 24u - 8u * (level % ${LEVELS}u);
  let bin = row + ${HISTOGRAMS}u + (level * ${BINS}u + at) * 2u;
  let own = vec2u(load(bin), load(bin + 1u));
  let sums = sumsOf(own, at);
  let through = sums.through;
  let total = sums.total;

  var before = After(0u, 0u, vec2u(topK(r), 0u), vec2u());
  if (level % ${LEVELS}u != 0u) {
    before = stored(row, level - 1u);
  } else if (byWeight) {
    // Ids on the cut of top-k that are not kept were counted too.
    var surplus = vec2u();
    if (topK(r) > 0u) {
      let k = stored(row, ${LEVELS - 1}u);
      if (k.all == 0u) { surplus = times(weightOf(max(0.0, distanceOf(best - k.key, best, r))), k.found.x - k.need.x); }
    }
    before.need = shareOf(subtract(total, surplus), topP(r));
  }
  let isNone = before.all != 0u || less(total, before.need);
  let previous = subtract(through, own);
  workgroupBarrier();
  // The first bin in which the sum reaches the need. A need of nothing is met by the first id.
  atomicStore(&bins[at], 0u);
  atomicStore(&bins[at + ${BINS}u], 0u);
  workgroupBarrier();
  let wanted = select(before.need, vec2u(1u, 0u), before.need.x == 0u && before.need.y == 0u);
  if (less(previous, wanted) && !less(through, wanted) && !isNone) {
    let need = subtract(wanted, previous);
    atomicStore(&bins[0], 1u);
    atomicStore(&bins[1], before.key | (at << shift));
    atomicStore(&bins[2], need.x);
    atomicStore(&bins[3], need.y);
    atomicStore(&bins[4], own.x);
    atomicStore(&bins[5], own.y);
  }
  workgroupBarrier();
  let result = After(
    atomicLoad(&bins[1]), select(1u, 0u, atomicLoad(&bins[0]) != 0u),
    vec2u(atomicLoad(&bins[2]), atomicLoad(&bins[3])), vec2u(atomicLoad(&bins[4]), atomicLoad(&bins[5])),
  );
  workgroupBarrier();
  if (keep && at == 0u) {
    let to = row + ${AFTER}u + level * ${AFTER_WORDS}u;
    store(to, result.key);
    store(to + 1u, result.all);
    store(to + 2u, result.need.x);
    store(to + 3u, result.need.y);
    store(to + 4u, result.found.x);
    store(to + 5u, result.found.y);
  }
  return result;
}
`

/** Row of the grid, and where its words of the state begin. */
const row = (threads: number): string => `let at = lane;
let r = wg.y;
let row = r * ${STATE_WORDS}u;
let start = wg.x * ${threads}u + lane;
let stride = groups.x * ${threads}u;`

/** Penalties and bias: entries (row, id, factor, summand), sorted, so that the first of an id does all of them in order. */
const CHANGE = `let count = host[$words];
let changes = $words + host[$words + 1u];
let end = changes + count * ${CHANGE_WORDS}u;
for (var i = start; i < count; i += stride) {
  var entry = changes + i * ${CHANGE_WORDS}u;
  let changed = host[entry];
  let id = host[entry + 1u];
  if (i > 0u && host[entry - ${CHANGE_WORDS}u] == changed && host[entry - ${CHANGE_WORDS - 1}u] == id) { continue; }
  var logit = act[placeOf(changed, id)];
  while (entry < end && host[entry] == changed && host[entry + 1u] == id) {
    let factor = bitcast<f32>(host[entry + 2u]);
    if (factor != 1.0) { logit = select(logit * factor, logit / factor, logit > 0.0); }
    logit += bitcast<f32>(host[entry + 3u]);
    entry += ${CHANGE_WORDS}u;
  }
  act[placeOf(changed, id)] = logit;
}`

/** The mask, and the largest logit of each workgroup's ids. Clears what the levels count in. */
const BEST_OF_GROUP = `if ($level != 0u) {
  for (var i = ${HISTOGRAMS}u + start; i < ${CUT}u; i += stride) { store(row + i, 0u); }
}
let masked = (flags(r) & MASK) != 0u;
let maskAt = $words + word(r, 6u);
let maskWords = word(r, 7u);
var found = vec2u(0u, NONE);
for (var id = start; id < $vocabulary; id += stride) {
  var key = keyAt(r, id);
  if (masked && ((id >> 5u) >= maskWords || ((host[maskAt + (id >> 5u)] >> (id & 31u)) & 1u) == 0u)) {
    key = 0u;
    act[placeOf(r, id)] = bitcast<f32>($nothing);
  }
  if (key > found.x) { found = vec2u(key, id); }
}
found = largest(found.x, found.y, at);
if (at == 0u) {
  store(row + ${BEST}u + 2u * wg.x, found.x);
  store(row + ${BEST}u + 2u * wg.x + 1u, found.y);
}`

/** Counts the ids of a level's bins, or sums their weights. */
const LEVEL = `let byWeight = $level >= ${LEVELS}u;
let top = gathered(row + ${BEST}u, at);
// What the level before has found; at the start of top-p, where top-k has ended.
var before = After(0u, 0u, vec2u(), vec2u());
if ($level > 0u && seeks(r, $level - 1u)) { before = resolve(row, r, $level - 1u, top.x, at, wg.x == 0u); }
var kept = NONE;
if (byWeight && topK(r) > 0u) {
  var k = before;
  if ($level > ${LEVELS}u) { k = stored(row, ${LEVELS - 1}u); }
  if (k.all == 0u) { kept = k.key; }
}
if ($level == ${LEVELS}u) { before = After(0u, 0u, vec2u(), vec2u()); }

let digit = $level % ${LEVELS}u;
let shift = 24u - 8u * digit;
atomicStore(&bins[at], 0u);
atomicStore(&bins[at + ${BINS}u], 0u);
workgroupBarrier();
if (seeks(r, $level) && top.x != 0u && before.all == 0u) {
  for (var id = start; id < $vocabulary; id += stride) {
    let key = keyAt(r, id);
    if (key == 0u) { continue; }
    let difference = top.x - key;
    if (difference > kept || (digit > 0u && ((difference ^ before.key) >> ((shift + 8u) & 31u)) != 0u)) { continue; }
    let distance = distanceOf(key, top.x, r);
    if (!(distance < FARTHEST)) { continue; }
    let bin = 2u * ((difference >> shift) & 255u);
    var gain = vec2u(1u, 0u);
    if (byWeight) { gain = weightOf(distance); }
    let old = atomicAdd(&bins[bin], gain.x);
    let carried = gain.y + select(0u, 1u, old + gain.x < old);
    if (carried != 0u) { atomicAdd(&bins[bin + 1u], carried); }
  }
}
workgroupBarrier();
let to = row + ${HISTOGRAMS}u + ($level * ${BINS}u + at) * 2u;
let low = atomicLoad(&bins[2u * at]);
var high = atomicLoad(&bins[2u * at + 1u]);
if (low != 0u) {
  let old = atomicAdd(&b0[to], low);
  if (old + low < old) { high += 1u; }
}
if (high != 0u) { atomicAdd(&b0[to + 1u], high); }`

/** The last kept id: its difference of keys, and on ties the highest of the ids that are kept. One workgroup per row. */
const TIES = `let best = gathered(row + ${BEST}u, at).x;
var cut = NONE;
var count = NONE;
if (seeks(r, ${LEVELS}u)) {
  let p = resolve(row, r, ${2 * LEVELS - 1}u, best, at, false);
  if (p.all == 0u) {
    // All ids on the cut weigh the same: how many of them are needed, by halving.
    let weight = weightOf(distanceOf(best - p.key, best, r));
    var least = 1u;
    var most = $vocabulary;
    while (least < most) {
      let middle = (least + most) >> 1u;
      if (less(times(weight, middle), p.need)) { least = middle + 1u; } else { most = middle; }
    }
    cut = p.key;
    count = select(NONE, least, less(times(weight, least), p.found));
  } else if (seeks(r, 0u)) {
    let k = stored(row, ${LEVELS - 1}u);
    if (k.all == 0u) {
      cut = k.key;
      count = select(NONE, k.need.x, k.need.x < k.found.x);
    }
  }
} else if (seeks(r, 0u)) {
  let k = resolve(row, r, ${LEVELS - 1}u, best, at, false);
  if (k.all == 0u) {
    cut = k.key;
    count = select(NONE, k.need.x, k.need.x < k.found.x);
  }
}
// The id with number 'count' among those on the cut, in their order.
let share = ($vocabulary + ${BINS - 1}u) / ${BINS}u;
let begin = min($vocabulary, at * share);
let to = min($vocabulary, begin + share);
var own = 0u;
if (count != NONE) {
  for (var id = begin; id < to; id++) {
    let key = keyAt(r, id);
    if (key != 0u && best - key == cut) { own += 1u; }
  }
}
let through = sumsOf(vec2u(own, 0u), at).through.x;
if (at == 0u) {
  store(row + ${CUT}u, cut);
  if (count == NONE) { store(row + ${CUT + 1}u, NONE); }
}
var passed = through - own;
if (count != NONE && passed < count && count <= through) {
  for (var id = begin; id < to; id++) {
    let key = keyAt(r, id);
    if (key == 0u || best - key != cut) { continue; }
    passed += 1u;
    if (passed == count) { store(row + ${CUT + 1}u, id); }
  }
}`

/** Of the ids that are kept, the one that waits least, on ties the lowest; one per workgroup. */
const RACE = `let top = gathered(row + ${BEST}u, at);
var cut = NONE;
var last = NONE;
if (seeks(r, 0u) || seeks(r, ${LEVELS}u)) {
  cut = load(row + ${CUT}u);
  last = load(row + ${CUT + 1}u);
}
let farthest = limit(r);
var winner = vec2u(0u, NONE);
if ((flags(r) & GREEDY) == 0u && top.x != 0u) {
  for (var id = start; id < $vocabulary; id += stride) {
    let key = keyAt(r, id);
    if (key == 0u) { continue; }
    let difference = top.x - key;
    let distance = distanceOf(key, top.x, r);
    if (difference > cut || (difference == cut && id > last) || !(distance < FARTHEST) || distance > farthest) { continue; }
    // Times are positive, so their bits have their order; inverted, the least is the largest.
    let time = ~bitcast<u32>(waiting(hash(noise(r), id)) / exponential(-distance));
    if (time > winner.x) { winner = vec2u(time, id); }
  }
}
winner = largest(winner.x, winner.y, at);
if (at == 0u) {
  store(row + ${WINNER}u + 2u * wg.x, winner.x);
  store(row + ${WINNER}u + 2u * wg.x + 1u, winner.y);
}`

/** The id of each row: the best, or the winner. -1 where no logit is above -Infinity. One workgroup per row. */
const CHOOSE = `let top = gathered(row + ${BEST}u, at);
let raced = (flags(r) & GREEDY) == 0u && top.x != INFINITY_KEY;
let winner = gathered(row + ${WINNER}u, at);
// A number, which is exact for ids below 2^24.
if (at == 0u) { act[$y + r] = f32(i32(select(top.y, winner.y, raced))); }`

const BODIES: Readonly<Record<DrawKernel, string>> = {
  change: CHANGE,
  best: BEST_OF_GROUP,
  level: LEVEL,
  ties: TIES,
  race: RACE,
  choose: CHOOSE,
}

/** @param narrow for a vocabulary that would leave most of the threads without work */
export function drawShader(kernel: DrawKernel, narrow: boolean): ShaderText {
  const counts = kernel === 'level' || kernel === 'ties'
  const threads = narrow && !counts ? NARROW : BINS
  return {
    key: `draw ${kernel} ${threads}`,
    params: 'vocabulary logits words y groups level nothing',
    bindings: [['w', 'atomic<u32>']],
    workgroup: threads,
    module: DRAW_NUMBERS + common(threads) + (counts ? CUTS : ''),
    body: row(threads) + BODIES[kernel],
  }
}
