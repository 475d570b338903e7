/**
 * What a text can be held to: a JSON schema, a regular expression, one of several texts, or a grammar. All of them become
 * a Grammar for the same machine.
 */
import { finish, type Steps } from './cooperative.ts'
import { checkedRules, type Expression, either, elementsOf, type Rules } from './expression.ts'
import { Grammar, schemaSteps } from './grammar.ts'
import { parseGrammar } from './grammar-text.ts'
import { parseRegex, type Regex } from './regex.ts'
import type { SchemaOptions } from './schema.ts'
import { TextItems } from './text-items.ts'
import { UnsupportedTextError } from './unsupported.ts'

export type Form =
  /** A JSON value under this schema. */
  | { readonly schema: unknown; readonly undeclared?: SchemaOptions['undeclared'] }
  /** The whole text matches this expression. */
  | { readonly regex: string }
  /** The text is one of these. */
  | { readonly choice: readonly string[] }
  /** The text follows the rule `root` of this grammar (GBNF or EBNF). */
  | { readonly grammar: string }

const MOST_CHOICES = 10_000
const MOST_CHARACTERS = 500_000

/** @throws UnsupportedSchemaError or UnsupportedTextError */
export function* formSteps(form: Form): Steps<Grammar> {
  if ('schema' in form) return yield* schemaSteps(form.schema, form)
  const { start, rules } = yield* checkedRules(rulesOf(form))
  const items = yield* TextItems.of({ start, rules })
  if (items.cost(start) === Number.POSITIVE_INFINITY) throw new UnsupportedTextError('no text of finite length satisfies it')
  return new Grammar(items.rule(start))
}

/** Compiles a form without a vocabulary, at once: to check it. Throws as `formSteps` does. */
export const compileForm = (form: Form): Grammar => finish(formSteps(form))

function rulesOf(form: Exclude<Form, { schema: unknown }>): Rules {
  if ('grammar' in form) return parseGrammar(form.grammar)
  return { start: 'root', rules: new Map([['root', 'regex' in form ? wholeText(form.regex) : oneOf(form.choice)]]) }
}

function wholeText(regex: string): Expression {
  try {
    return withoutAssertions(parseRegex(regex, 'whole'))
  } catch (error) {
    throw error instanceof SyntaxError ? new UnsupportedTextError(error.message) : error
  }
}

/** A text that is no JSON string is read without looking ahead. */
function withoutAssertions(regex: Regex): Expression {
  if ('set' in regex) return regex
  if ('sequence' in regex) return { sequence: regex.sequence.map(withoutAssertions) }
  if ('either' in regex) return either(regex.either.map((branch) => spelled(withoutAssertions(branch))))
  if ('repeat' in regex) return { ...regex, repeat: withoutAssertions(regex.repeat) }
  throw new SyntaxError(`${'ahead' in regex ? 'lookaround' : "'^' or '$' elsewhere than at the ends"} is not supported here`)
}

/** With the characters at the start as a text, so that many alternatives share one tree. */
function spelled(expression: Expression): Expression {
  const elements = elementsOf(expression)
  const codes: number[] = []
  for (const element of elements) {
    const [range, ...others] = 'set' in element ? element.set : []
    if (range === undefined || others.length > 0 || range[0] !== range[1]) break
    codes.push(range[0])
  }
  if (codes.length === 0) return expression
  return { sequence: [{ texts: [String.fromCodePoint(...codes)] }, ...elements.slice(codes.length)] }
}

function oneOf(choice: readonly string[]): Expression {
  const texts = [...new Set(choice)]
  if (texts.length === 0) throw new UnsupportedTextError('it needs at least one text')
  if (texts.length > MOST_CHOICES) throw new UnsupportedTextError(`it has ${texts.length} texts; at most ${MOST_CHOICES} are supported`)
  const characters = texts.reduce((sum, text) => sum + text.length, 0)
  if (characters > MOST_CHARACTERS)
    throw new UnsupportedTextError(`its texts have ${characters} characters; at most ${MOST_CHARACTERS} are supported`)
  return either([{ texts }])
}
