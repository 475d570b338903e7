/**
 * What a text can be held to: a JSON schema, a regular expression, one of several texts, or a grammar. All of them become
 * a Grammar for the same machine.
 */
import { finish, type Steps } from './cooperative.ts'
import { checkedRules, type Expression, either, type Rules } from './expression.ts'
import { Grammar, schemaSteps } from './grammar.ts'
import { parseGrammar } from './grammar-text.ts'
import { parseLark } from './lark.ts'
import { type CodeRange, common, complement } from './regex.ts'
import type { SchemaOptions } from './schema.ts'
import { TextItems } from './text-items.ts'
import { regexExpression, respelled } from './text-regex.ts'
import { UnsupportedTextError } from './unsupported.ts'

export type Form =
  /** A JSON value under this schema. */
  | { readonly schema: unknown; readonly undeclared?: SchemaOptions['undeclared'] }
  /** The whole text matches this expression. */
  | { readonly regex: string }
  /** The text is one of these. */
  | { readonly choice: readonly string[] }
  /**
   * The text follows the rule `root` of this grammar in GBNF or EBNF, or `start` in Lark's notation. Default notation: Lark's where `::=`
   * is nowhere. With `property` the text is that of the one property of a JSON object.
   */
  | { readonly grammar: string; readonly notation?: 'gbnf' | 'lark'; readonly property?: string }

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
  if ('grammar' in form) {
    const { grammar, notation = /::=/.test(grammar) || !/^\s*[?!]*\w+\s*:/m.test(grammar) ? 'gbnf' : 'lark', property } = form
    const rules = notation === 'lark' ? parseLark(grammar) : parseGrammar(grammar)
    return property === undefined ? rules : inObject(property, rules)
  }
  return { start: 'root', rules: new Map([['root', 'regex' in form ? wholeText(form.regex) : oneOf(form.choice)]]) }
}

function wholeText(regex: string): Expression {
  try {
    return regexExpression(regex)
  } catch (error) {
    throw error instanceof SyntaxError ? new UnsupportedTextError(error.message) : error
  }
}

/** The rules of a JSON object that has the text as its one property. */
function inObject(property: string, { start, rules }: Rules): Rules {
  const name = JSON.stringify(property)
  const object: Expression = { sequence: [{ texts: [`{${name}:"`, `{${name}: "`] }, { rule: start }, { texts: ['"}'] }] }
  const text = (each: string): Expression => ({ texts: [JSON.stringify(each).slice(1, -1)] })
  const inner = [...rules].map(([rule, body]): [string, Expression] => [rule, respelled(body, text, spelledInJson)])
  return { start: '{', rules: new Map([...inner, ['{', object]]) }
}

/** Characters that a JSON text spells as they are. */
const PLAIN: readonly CodeRange[] = complement([
  [0, 0x1f],
  [0x22, 0x22],
  [0x5c, 0x5c],
])

function spelledInJson(set: readonly CodeRange[]): Expression {
  const texts: string[] = []
  for (const code of [...Array(0x20).keys(), 0x22, 0x5c])
    if (set.some(([first, last]) => first <= code && code <= last)) texts.push(JSON.stringify(String.fromCodePoint(code)).slice(1, -1))
  const plain: Expression = { set: common(set, PLAIN) }
  return texts.length === 0 ? plain : either([plain, { texts }])
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
