/**
 * Structured output: a JSON schema, a regular expression, choices or a grammar -> Grammar -> mask of allowed tokens at
 * every step. What cannot be enforced is refused. Every text that a matcher reports as complete has the wanted form.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { finish, inSlices, type SliceOptions, type Steps } from './cooperative.ts'
import { type Form, formSteps } from './form.ts'
import type { Grammar } from './grammar.ts'
import { MaskTable, type Matcher } from './matcher.ts'
import { indexSteps } from './string-body.ts'
import { type TokenTrie, trieSteps } from './token-trie.ts'

export { SliceTimeoutError } from './cooperative.ts'
export { compileForm, type Form } from './form.ts'
export { anyObject, compileSchema, type Grammar } from './grammar.ts'
export type { Matcher } from './matcher.ts'
export { type TokenTrie, tokenTrie } from './token-trie.ts'
export { UnsupportedSchemaError, UnsupportedTextError } from './unsupported.ts'

/** A compiled form together with a vocabulary. */
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
 * Compiles what a text must follow for a tokenizer, at once.
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced; UnsupportedTextError for other forms
 */
export const constraint = (form: Form, tokenizer: Tokenizer): Constraint => finish(constraintSteps(form, tokenizer))

/** `constraint` in slices of a few milliseconds, for a thread that has other work. */
export function compileConstraint(form: Form, tokenizer: Tokenizer, options?: SliceOptions): Promise<Constraint> {
  return inSlices(constraintSteps(form, tokenizer), options)
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

function* constraintSteps(form: Form, tokenizer: Tokenizer): Steps<Constraint> {
  const grammar = yield* formSteps(form)
  const trie = yield* vocabularySteps(tokenizer)
  return { matcher: () => matcher(grammar, trie) }
}
