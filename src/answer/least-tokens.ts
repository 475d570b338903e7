/** A driver under which no id that ends an answer is drawn before so many ids: `min_tokens` and `ignore_eos` of load generators. */
import type { Driver } from '../engine/engine.ts'
import type { ChatModel } from './answer.ts'
import { isEmpty, type TokenMask } from './token-mask.ts'

/** @param least so many ids come first; Infinity: ids that end an answer never come */
export function withLeastTokens<E>(driver: Driver<E>, { format, tokenizer }: ChatModel, least: number): Driver<E> {
  const all = new Uint32Array(Math.ceil(tokenizer.vocabSize / 32)).fill(0xffff_ffff)
  if (tokenizer.vocabSize % 32 > 0) all[all.length - 1] = (1 << (tokenizer.vocabSize % 32)) - 1
  const unbound = without(format.stopIds, all)
  let taken = 0
  return {
    mask(tokensLeft) {
      const allowed = driver.mask?.(tokensLeft)
      if (taken >= least) return allowed
      if (allowed === undefined) return unbound
      const rest = without(format.stopIds, allowed)
      return isEmpty(rest) ? allowed : rest // a form that is complete ends
    },
    take(token) {
      taken++
      return driver.take(token)
    },
  }
}

function without(ids: readonly number[], mask: TokenMask): TokenMask {
  const rest = mask.slice()
  for (const id of ids) if (id >> 5 < rest.length) rest[id >> 5]! &= ~(1 << (id & 31))
  return rest
}
