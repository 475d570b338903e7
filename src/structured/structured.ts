/**
 * Structured output that fails closed: JSON schema -> grammar -> mask of allowed tokens at every step. What is not enforced is
 * refused (`UnsupportedSchemaError`), and every text that a matcher calls complete parses and validates.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { compileSchema, type Grammar, schemaSteps } from './grammar.ts'
import { MaskTable, type Matcher } from './matcher.ts'
import { finish, inSlices, type SliceOptions, type Steps } from './slices.ts'
import { indexSteps } from './string-body.ts'
import { type TokenTrie, trieSteps } from './token-trie.ts'

export { anyObject, compileSchema, type Grammar } from './grammar.ts'
export type { Matcher } from './matcher.ts'
export { SliceTimeoutError } from './slices.ts'
export { type TokenTrie, tokenTrie } from './token-trie.ts'
export { UnsupportedSchemaError } from './unsupported.ts'

/** A schema ready for a vocabulary. */
export interface Constraint {
  /** A new text. */
  matcher(): Matcher
}

const tables = new WeakMap<Grammar, WeakMap<TokenTrie, MaskTable>>()

/** A matcher at the start of a text; matchers of the same grammar and trie share what they learn. */
export function matcher(grammar: Grammar, trie: TokenTrie): Matcher {
  let ofGrammar = tables.get(grammar)
  if (ofGrammar === undefined) tables.set(grammar, (ofGrammar = new WeakMap()))
  let table = ofGrammar.get(trie)
  if (table === undefined) ofGrammar.set(trie, (table = new MaskTable(grammar, trie)))
  return table.matcher()
}

let last: { text: string; grammar: Grammar } | undefined

/**
 * The grammar of a schema; the last one is remembered by the schema's text, so that the answers of a conversation share it and what its
 * matchers have learned.
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export function grammarOf(schema: unknown): Grammar {
  const text = JSON.stringify(schema) as string | undefined
  if (text !== undefined && last?.text === text) return last.grammar
  const grammar = compileSchema(schema)
  if (text !== undefined) last = { text, grammar }
  return grammar
}

/**
 * Compiles a schema for a tokenizer, at once.
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export function constraint(schema: unknown, tokenizer: Tokenizer): Constraint {
  const grammar = grammarOf(schema)
  const trie = finish(vocabularySteps(tokenizer))
  return { matcher: () => matcher(grammar, trie) }
}

/** The same on a thread that has other work: a few milliseconds at a time. */
export function compileConstraint(schema: unknown, tokenizer: Tokenizer, options?: SliceOptions): Promise<Constraint> {
  return inSlices(constraintSteps(schema, tokenizer), options)
}

/** Makes what every schema needs of a vocabulary, a few milliseconds at a time, so that the first one does not wait for it. */
export function prepareVocabulary(tokenizer: Tokenizer, options?: SliceOptions): Promise<void> {
  return inSlices(vocabularySteps(tokenizer), options).then(() => {})
}

function* vocabularySteps(tokenizer: Tokenizer): Steps<TokenTrie> {
  const trie = yield* trieSteps(tokenizer)
  yield* indexSteps(trie) // built here rather than at a token
  return trie
}

function* constraintSteps(schema: unknown, tokenizer: Tokenizer): Steps<Constraint> {
  const grammar = yield* schemaSteps(schema)
  const trie = yield* vocabularySteps(tokenizer)
  return { matcher: () => matcher(grammar, trie) }
}
