/**
 * Structured output that fails closed: JSON schema -> grammar -> mask of allowed tokens at every step. What is not enforced is
 * refused (`UnsupportedSchemaError`), and every text that a matcher calls complete parses and validates.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { compileSchema, type Grammar } from './grammar.ts'
import { MaskTable, type Matcher } from './matcher.ts'
import { stringIndex } from './string-body.ts'
import { type TokenTrie, tokenTrie } from './token-trie.ts'

export { anyObject, compileSchema, type Grammar } from './grammar.ts'
export type { Matcher } from './matcher.ts'
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

/**
 * Compiles a schema for a tokenizer.
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export function constraint(schema: unknown, tokenizer: Tokenizer): Constraint {
  const grammar = compileSchema(schema)
  const trie = tokenTrie(tokenizer)
  stringIndex(trie) // built here rather than at a token
  return { matcher: () => matcher(grammar, trie) }
}
