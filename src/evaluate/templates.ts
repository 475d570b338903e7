/**
 * Prompts and answers of a task are jinja templates over the fields of a record, and jinja expressions where a value is needed. Every
 * name must exist. `regex_replace`, `hellaswag` and `wikitext` are functions for texts that are cleaned before they are shown.
 */
import { callable, textArgument } from '../jinja/functions.ts'
import { Dict, fromJson, Template, TemplateError } from '../jinja/template.ts'
import type { Json } from '../json/json.ts'
import { TaskError } from './errors.ts'

/** A template, or an expression whose value is read as JSON. */
export interface Rendered {
  /** @throws TaskError naming the field and the place of the record */
  text(variables: Json, place: string): string
}

export interface Evaluated {
  value(variables: Json, place: string): unknown
}

const FUNCTIONS = [
  callable('regex_replace', 'text pattern by', (text, pattern, by) =>
    textArgument(text, 'text').replace(regex(textArgument(pattern, 'pattern'), 'g'), textArgument(by, 'by')),
  ),
  callable('hellaswag', 'text', (text) => hellaswag(textArgument(text, 'text'))),
  callable('wikitext', 'text', (text) => wikitext(textArgument(text, 'text'))),
]

/** @throws TaskError when the text is no template */
export function template(source: string, field: string): Rendered {
  const parsed = parse(source, field)
  // As in Python, a template loses one newline at its end; a prompt keeps it.
  const end = source.endsWith('\n') ? '\n' : ''
  return { text: (variables, place) => render(parsed, variables, field, place) + end }
}

/** @throws TaskError when the text is no expression */
export function expression(source: string, field: string): Evaluated {
  const parsed = parse(`{{ (${source}) | tojson }}`, field)
  return { value: (variables, place) => JSON.parse(render(parsed, variables, field, place)) }
}

/** A regular expression of a task. @throws TaskError */
export function regex(pattern: string, flags: string, field = 'pattern'): RegExp {
  try {
    return new RegExp(pattern, `${flags}u`)
  } catch (error) {
    throw new TaskError(`${field}: ${JSON.stringify(pattern)} is no regular expression of JavaScript: ${(error as Error).message}`)
  }
}

function parse(source: string, field: string): Template {
  try {
    return new Template(source)
  } catch (error) {
    if (error instanceof TemplateError) throw new TaskError(`${field}: ${JSON.stringify(source)} is no jinja: ${error.message}`)
    throw error
  }
}

function render(parsed: Template, variables: Json, field: string, place: string): string {
  try {
    const fields = fromJson(variables) as Dict
    const functions = FUNCTIONS.map((each) => [each.name, each] as const)
    return parsed.render(new Dict([...functions, ['record', fields], ...fields.entries()]), { strict: true })
  } catch (error) {
    if (error instanceof TemplateError) throw new TaskError(`${place}: the ${field} of the task cannot be made: ${error.message}`)
    throw error
  }
}

/** HellaSwag's texts without the marks of WikiHow, as lm-evaluation-harness shows them. */
function hellaswag(text: string): string {
  return text
    .trim()
    .replaceAll(' [title]', '. ')
    .replace(/\[.*?\]/g, '')
    .replaceAll('  ', ' ')
}

/** WikiText without the blanks of its tokenisation. From lm-evaluation-harness, which has it from Megatron-LM. */
function wikitext(text: string): string {
  let plain = text
    .replaceAll("s '", "s'")
    .replace(/\/' [0-9]\//g, "/'[0-9]/")
    .replaceAll(' @-@ ', '-')
    .replaceAll(' @,@ ', ',')
    .replaceAll(' @.@ ', '.')
  for (const mark of ':;.!?,') plain = plain.replaceAll(` ${mark} `, `${mark} `)
  return plain
    .replace(/\(\s*([^)]*?)\s*\)/g, '($1)')
    .replace(/\[\s*([^\]]*?)\s*\]/g, '[$1]')
    .replace(/\{\s*([^}]*?)\s*\}/g, '{$1}')
    .replace(/"\s*([^"]*?)\s*"/g, '"$1"')
    .replace(/'\s*([^']*?)\s*'/g, "'$1'")
    .replaceAll('= = = =', '====')
    .replaceAll('= = =', '===')
    .replaceAll('= =', '==')
    .replaceAll(' \u00b0 ', '\u00b0')
    .replaceAll(' \n', '\n')
    .replaceAll('\n ', '\n')
    .replaceAll(' N ', ' 1 ')
    .replaceAll(" 's", "'s")
}
