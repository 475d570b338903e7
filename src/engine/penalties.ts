/**
 * Changes logits in place before the draw: penalties for ids already seen, a bias per id, a mask of
 * allowed ids. Repetition penalty: Keskar et al. 2019 (CTRL); presence and frequency penalty as in
 * the OpenAI API.
 */
import type { SamplingOptions } from './sampling-options.ts'

/** What penalties look at: how often each id occurs in the answer, and which ids occur at all. */
export interface Seen {
  readonly counts: ReadonlyMap<number, number>
  readonly all: ReadonlySet<number>
}

/** Penalties, bias and mask, in place. logits [V]. */
export function adjust(logits: Float32Array, options: SamplingOptions, seen: Seen, mask: Uint32Array | undefined): void {
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias } = options
  if (repetitionPenalty !== 1) for (const id of seen.all) logits[id]! *= logits[id]! > 0 ? 1 / repetitionPenalty : repetitionPenalty
  if (presencePenalty !== 0 || frequencyPenalty !== 0)
    for (const [id, count] of seen.counts) logits[id]! -= presencePenalty + frequencyPenalty * count
  if (logitBias) for (const [id, bias] of logitBias) if (id < logits.length) logits[id]! += bias
  if (!mask) return
  for (let start = 0; start < logits.length; start += 32) {
    const word = mask[start >> 5] ?? 0
    if (word === 0xffffffff) continue
    const end = Math.min(start + 32, logits.length)
    for (let id = start; id < end; id++) if (!((word >>> (id & 31)) & 1)) logits[id] = Number.NEGATIVE_INFINITY
  }
}
