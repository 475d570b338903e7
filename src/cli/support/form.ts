/** The flags that say what an answer must follow, read and checked before a model is loaded. */
import type { Command } from 'commander'
import type { Ask } from '../../answer/ask.ts'
import type { JsonSchema } from '../../chat/messages.ts'
import { readJson } from '../../json/lossless.ts'
import { compileForm, type Form, UnsupportedSchemaError, UnsupportedTextError } from '../../structured/structured.ts'
import { readOptionFile } from './read-file.ts'
import { UsageError } from './terminal.ts'

export interface FormFlags {
  schema?: string
  regex?: string
  choice?: string[]
  grammar?: string
}

export const FORM_FLAGS = ['schema', 'regex', 'choice', 'grammar'] as const

export function addFormOptions(command: Command): Command {
  return command
    .option('--schema <file>', 'a JSON schema the answer must follow')
    .option('--regex <expression>', 'a regular expression that the whole answer must match')
    .option('--choice <text>', 'the answer is one of these texts; may be repeated', (text, all: string[] = []) => [...all, text])
    .option('--grammar <file>', 'a grammar the answer must follow, in GBNF, EBNF or the notation of Lark')
}

/**
 * What the flags ask for, as part of an Ask.
 * @throws UsageError for two of them; Error that names the flag and the file: unreadable, no JSON, or what cannot be enforced
 */
export async function readForm(flags: FormFlags): Promise<Pick<Ask, keyof FormFlags>> {
  const [flag, other] = FORM_FLAGS.filter((name) => flags[name] !== undefined)
  if (flag === undefined) return {}
  if (other) throw new UsageError(`an answer follows one form: give --${flag} or --${other}`)
  const from = flag === 'schema' || flag === 'grammar' ? flags[flag]! : undefined
  const text = from === undefined ? undefined : readOptionFile(`--${flag}`, from)
  const form: Form =
    flag === 'schema'
      ? { schema: parse(text!, from!) }
      : flag === 'grammar'
        ? { grammar: text! }
        : flag === 'regex'
          ? { regex: flags.regex! }
          : { choice: flags.choice! }
  try {
    compileForm(form)
  } catch (error) {
    if (!(error instanceof UnsupportedSchemaError || error instanceof UnsupportedTextError)) throw error
    throw new Error(`--${flag}: ${from ?? 'this'} cannot be enforced: ${error.message}`)
  }
  return form as Pick<Ask, keyof FormFlags>
}

function parse(text: string, path: string): JsonSchema {
  try {
    return readJson(text) as JsonSchema
  } catch (error) {
    throw new Error(`--schema: ${path} is not JSON: ${(error as Error).message}`)
  }
}
