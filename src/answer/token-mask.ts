/** Sets of token ids as the engine takes them: id i is bit i & 31 of word i >> 5. */
import type { Matcher } from '../structured/structured.ts'

export type TokenMask = Uint32Array

export function maskOf(ids: readonly number[]): TokenMask {
  const mask = new Uint32Array((Math.max(0, ...ids) >> 5) + 1)
  for (const id of ids) mask[id >> 5]! |= 1 << (id & 31)
  return mask
}

export function union(a: TokenMask, b: TokenMask): TokenMask {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a]
  const mask = long.slice()
  short.forEach((word, i) => {
    mask[i]! |= word
  })
  return mask
}

export function isEmpty(mask: TokenMask): boolean {
  return mask.every((word) => word === 0)
}

/** What may come in a text under a form: where it is complete, the model may also stop. */
export function maskWithStops(matcher: Matcher, stopIds: readonly number[], tokensLeft: number): TokenMask {
  const mask = matcher.mask(tokensLeft)
  return matcher.isComplete() ? union(mask, maskOf(stopIds)) : mask
}

/** Whether a text under a form is complete and nothing can follow. */
export function isOver(matcher: Matcher): boolean {
  return matcher.isComplete() && isEmpty(matcher.mask())
}
