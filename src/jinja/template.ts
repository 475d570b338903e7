/**
 * Chat templates: the language of jinja2 3.1 with the settings of transformers (trim_blocks, lstrip_blocks, loop controls, generation
 * blocks, `tojson`, `strftime_now`, `raise_exception`), in an immutable sandbox with bounded steps. A leaf: knows nothing of chats.
 */

import { entriesOf } from '../json/lossless.ts'
import { strftime } from './format.ts'
import { callable, textArgument } from './functions.ts'
import { GLOBALS } from './globals.ts'
import { Interpreter, Scope } from './interpreter.ts'
import { fail, STEPS, TemplateError, TemplateLimitError, withBudget } from './limits.ts'
import type { Statement } from './nodes.ts'
import { parse } from './parser.ts'
import { type Marks, withMarks } from './text.ts'
import { Dict, strOf, type Value } from './values.ts'

export type { Marks, Value }
export { Dict, TemplateError, TemplateLimitError }

export interface RenderSettings {
  /** What `strftime_now` says; by default the present. */
  now?: Date
  /** Characters of the variables that stand for others, see text.ts. */
  marks?: Marks
  /** What the render may spend, see limits.ts. */
  steps?: number
  /** An undefined value that is printed or filtered is an error, as with jinja2's StrictUndefined. Default false. */
  strict?: boolean
}

export class Template {
  readonly #body: readonly Statement[]

  /** @throws TemplateError when the text is no template */
  constructor(text: string) {
    this.#body = withBudget(STEPS, () => parse(text))
  }

  /**
   * The text that the template gives for these variables.
   * @throws TemplateError when the template refuses them (`raise_exception`), uses what Python would refuse, or needs too many steps
   */
  render(variables: Dict, { now, marks, steps = STEPS, strict }: RenderSettings = {}): string {
    const globals = new Scope()
    for (const [name, value] of GLOBALS) globals.set(name, value)
    globals.set(
      'raise_exception',
      callable('raise_exception', 'message', (message) => fail(strOf(message!))),
    )
    globals.set(
      'strftime_now',
      callable('strftime_now', 'format', (format) => strftime(now ?? new Date(), textArgument(format, 'format'))),
    )
    for (const [name, value] of variables.entries()) globals.set(strOf(name), value)
    return withMarks(marks, () => withBudget(steps, () => new Interpreter(strict).text(this.#body, new Scope(globals))))
  }
}

/**
 * A value of parsed JSON as a value of templates. Keys keep their order; a number is an int or a float as it was written, where
 * `readJson` has read it. A field that is undefined is left out.
 * @param text changes every string, keys included
 */
export function fromJson(value: unknown, text: (text: string) => string = (same) => same): Value {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'bigint') return value ?? null
  if (typeof value === 'string') return text(value)
  if (typeof value === 'number') return numberOf(value, JSON.stringify(value))
  const items = entriesOf(value as object).filter(([, item]) => item !== undefined)
  const entries = items.map(
    ([key, item, spelling]) => [text(key), spelling ? numberOf(item as number, spelling) : fromJson(item, text)] as const,
  )
  return Array.isArray(value) ? entries.map(([, item]) => item) : new Dict(entries)
}

function numberOf(value: number, spelling: string): Value {
  return /^-?\d+$/.test(spelling) ? BigInt(spelling) : value
}
