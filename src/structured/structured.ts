/**
 * Structured output: JSON schema -> grammar -> mask of allowed tokens at every step. A schema that
 * cannot be enforced is refused (`UnsupportedSchemaError`). Every text that a matcher reports as
 * complete parses and validates.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { finish, inSlices, type SliceOptions, type Steps } from './cooperative.ts'
import { type Grammar, schemaSteps } from './grammar.ts'
import { MaskTable, type Matcher } from './matcher.ts'
import { indexSteps } from './string-body.ts'
import { type TokenTrie, trieSteps } from './token-trie.ts'

export { SliceTimeoutError } from './cooperative.ts'
export { anyObject, compileSchema, type Grammar } from './grammar.ts'
export type { Matcher } from './matcher.ts'
export { type TokenTrie, tokenTrie } from './token-trie.ts'
export { UnsupportedSchemaError } from './unsupported.ts'

/** A compiled schema together with a vocabulary. */
export interface Constraint {
  /** Starts a new text. */
  matcher(): Matcher
}

const tables = new WeakMap<Grammar, WeakMap<TokenTrie, MaskTable>>()

/** A matcher at the start of a text. Matchers of the same grammar and trie share a cache. */
export function matcher(grammar: Grammar, trie: TokenTrie): Matcher {
  let ofGrammar = tables.get(grammar)
  if (ofGrammar === undefined) tables.set(grammar, (ofGrammar = new WeakMap()))
  let table = ofGrammar.get(trie)
  if (table === undefined) ofGrammar.set(trie, (table = new MaskTable(grammar, trie)))
  return table.matcher()
}

/**
 * Compiles a schema for a tokenizer, at once.
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export const constraint = (schema: unknown, tokenizer: Tokenizer): Constraint => finish(constraintSteps(schema, tokenizer))

/** `constraint` in slices of a few milliseconds, for a thread that has other work. */
export function compileConstraint(schema: unknown, tokenizer: Tokenizer, options?: SliceOptions): Promise<Constraint> {
  return inSlices(constraintSteps(schema, tokenizer), options)
}

/** Builds, in slices, what every schema needs of a vocabulary, so that the first schema does not wait for it. */
export function prepareVocabulary(tokenizer: Tokenizer, options?: SliceOptions): Promise<void> {
  return inSlices(vocabularySteps(tokenizer), options).then(() => {})
}

function* vocabularySteps(tokenizer: Tokenizer): Steps<TokenTrie> {
  const trie = yield* trieSteps(tokenizer)
  yield* indexSteps(trie) // build it now, not at the first token
  return trie
}

function* constraintSteps(schema: unknown, tokenizer: Tokenizer): Steps<Constraint> {
  const grammar = yield* schemaSteps(schema)
  const trie = yield* vocabularySteps(tokenizer)
  return { matcher: () => matcher(grammar, trie) }
}
