/**
 * Texts that hardly fit into the context: their tokens are counted in slices, so that the event loop is free, and counting ends where it is
 * clear that they are too many. Texts of usual length go by; the tokenizer reads them at once later.
 */
import { checkFits, checkLength } from '../answer/answer.ts'
import { inSlices } from '../structured/cooperative.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import type { ServedModel } from './models/model.ts'

/** Texts of people have 3 to 5. */
const USUAL_CHARACTERS_PER_TOKEN = 6
const PIECE_CHARACTERS = 2048
/** So many tokens more than the whole text a piece may have, because its ends may cut words. */
const CUT_TOKENS = 8

/**
 * @param field what errors call the text
 * @throws ChatError when the texts together have more tokens than the context
 */
export async function checkLongTexts(texts: readonly string[], model: ServedModel, field: string, signal?: AbortSignal): Promise<void> {
  const { context } = model.engine
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  checkLength(characters, context, field)
  if (characters <= context * USUAL_CHARACTERS_PER_TOKEN) return
  checkFits(await inSlices(countSteps(texts, model.tokenizer, context), { signal }), context, field)
}

/** A number of tokens that the texts have at least; counts no further than `enough`. */
function* countSteps(texts: readonly string[], tokenizer: Tokenizer, enough: number): Generator<void, number, void> {
  let tokens = 0
  for (const text of texts) {
    for (let at = 0; at < text.length && tokens < enough; at += PIECE_CHARACTERS) {
      tokens += Math.max(0, tokenizer.encode(text.slice(at, at + PIECE_CHARACTERS)).length - CUT_TOKENS)
      yield
    }
  }
  return tokens
}
