/**
 * What the shaders of the draw are told: the words of the rows, and which dispatches they need. Greedy rows need two, rows with a
 * temperature three, and each of top-k and top-p four or five more.
 */
import type { Draw } from '../draw.ts'
import { columns, rowsOf } from '../tensor.ts'
import type { Buffers } from './buffers.ts'
import {
  CHANGE_WORDS,
  type DrawKernel,
  drawShader,
  FARTHEST,
  GREEDY,
  HEADER_WORDS,
  MASK,
  MAX_GROUPS,
  ROW_WORDS,
  STATE_WORDS,
  TOP_K_LEVELS,
  TOP_P,
  TOP_P_LEVELS,
} from './kernels/draw.ts'
import type { Lowering } from './plan.ts'
import type { Recorder } from './record.ts'
import type { Temporary } from './tensor.ts'

const LARGEST_FLOAT = 3e38
/** Ids that a thread of a workgroup should pass over, so that a workgroup has work. */
const IDS_PER_GROUP = 1024
const CHANGES_PER_GROUP = 256
/** Up to here workgroups are small. */
const NARROW_VOCABULARY = 1024
const MINUS_INFINITY = 0xff800000

/** A dispatch: its kernel, the level it counts (of `best`: 1 where levels follow), and workgroups along x; y counts the rows. */
export interface DrawStep {
  readonly kernel: DrawKernel
  readonly level: number
  readonly groups: number
}

/**
 * Records the draw of one id per row of logits [R, V]. -> R ids as f32 [R, 1], which `keep` gives a place where ids wait for the next pass.
 * @throws RangeError
 */
export function recordDraw(recorder: Recorder, buffers: Buffers, x: Temporary, draws: readonly Draw[], keep = false): Temporary {
  const [rows, vocabulary] = [rowsOf(x), columns(x)]
  if (draws.length !== rows) throw new RangeError(`draw: ${rows} rows of logits, but ${draws.length} draws`)
  buffers.needCounters(rows * STATE_WORDS * 4)
  const words = recorder.words(drawWords(draws, vocabulary))
  const steps = drawSteps(draws, vocabulary)
  const y = recorder.temporary([rows, 1])
  if (keep) buffers.keepDrawn(y)
  const lower = (to: Lowering): void => {
    for (const { kernel, level, groups } of steps) {
      const { key, ...text } = drawShader(kernel, vocabulary <= NARROW_VOCABULARY)
      const values = { vocabulary, logits: x, words, y, groups: groupsOf(vocabulary), level, nothing: MINUS_INFINITY }
      to.dispatch(
        to.shader(key, () => text),
        values,
        [groups, kernel === 'change' ? 1 : rows, 1],
        [buffers.counters],
      )
    }
  }
  const form = steps.flatMap(({ kernel, level, groups }) => [recorder.nameOf(kernel), level, groups])
  return recorder.add({ op: 'other', reads: [x], lower, y }, [
    recorder.numberOf(x),
    rows,
    vocabulary,
    words,
    recorder.numberOf(y),
    steps.length,
    ...form,
  ]).y
}

/** Workgroups per row in dispatches that pass over the vocabulary. */
export const groupsOf = (vocabulary: number): number => Math.min(MAX_GROUPS, Math.ceil(vocabulary / IDS_PER_GROUP))

/** The words of the rows, their changes sorted by row and id, and their masks. */
export function drawWords(draws: readonly Draw[], vocabulary: number): Uint32Array {
  const changes = draws.flatMap((draw, row) => changesOf(draw, row, vocabulary))
  const changesAt = HEADER_WORDS + draws.length * ROW_WORDS
  const masksAt = changesAt + changes.length * CHANGE_WORDS
  const words = new Uint32Array(draws.reduce((sum, { mask }) => sum + (mask?.length ?? 0), masksAt))
  const floats = new Float32Array(words.buffer)
  words.set([changes.length, changesAt])
  let maskAt = masksAt
  draws.forEach((draw, row) => {
    const at = HEADER_WORDS + row * ROW_WORDS
    const { temperature, topK, topP, minP, noise, mask } = draw
    floats[at] = temperature === 0 ? 0 : Math.min(1 / temperature, LARGEST_FLOAT)
    words[at + 1] = topK
    words[at + 2] = Math.max(0, Math.floor(Math.min(topP, 1) * 2 ** 32 - (topP < 1 ? 0 : 1)))
    words[at + 3] = (isGreedy(draw) ? GREEDY : 0) | (topP < 1 ? TOP_P : 0) | (mask ? MASK : 0)
    floats[at + 4] = minP > 0 ? Math.min(-Math.log(minP), FARTHEST) : FARTHEST
    words[at + 5] = noise
    words[at + 6] = maskAt
    words[at + 7] = mask?.length ?? 0
    if (mask) words.set(mask, maskAt)
    maskAt += mask?.length ?? 0
  })
  changes.forEach(({ row, id, factor, add }, i) => {
    const at = changesAt + i * CHANGE_WORDS
    words[at] = row
    words[at + 1] = id
    floats[at + 2] = factor
    floats[at + 3] = add
  })
  return words
}

/** The dispatches that the rows need together, in order. */
export function drawSteps(draws: readonly Draw[], vocabulary: number): DrawStep[] {
  const groups = groupsOf(vocabulary)
  const drawn = draws.filter((draw) => !isGreedy(draw))
  const changes = draws.reduce((sum, draw) => sum + (draw.changes?.ids.length ?? 0), 0)
  const topK = drawn.some(({ topK }) => topK > 0)
  const topP = drawn.some(({ topP }) => topP < 1)
  const steps: DrawStep[] = []
  const step = (kernel: DrawKernel, groups: number, level = 0) => steps.push({ kernel, level, groups })
  // A power of two, so that a few more changes do not make another plan.
  if (changes > 0) step('change', 2 ** Math.ceil(Math.log2(Math.ceil(changes / CHANGES_PER_GROUP))))
  step('best', groups, topK || topP ? 1 : 0)
  if (topK) for (const level of TOP_K_LEVELS) step('level', groups, level)
  if (topP) for (const level of TOP_P_LEVELS) step('level', groups, level)
  if (topK || topP) step('ties', 1)
  if (drawn.length > 0) step('race', groups)
  step('choose', 1)
  return steps
}

const isGreedy = ({ temperature, topK }: Draw): boolean => temperature === 0 || topK === 1

const changesOf = ({ changes }: Draw, row: number, vocabulary: number) =>
  [...(changes?.ids ?? [])]
    .map((id, i) => ({ row, id, factor: changes!.factor[i]!, add: changes!.add[i]! }))
    .filter(({ id }) => id >= 0 && id < vocabulary)
    .sort((a, b) => a.id - b.id)
