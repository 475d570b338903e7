/**
 * OpenAI's custom tools, whose input is a text in place of JSON: to the model each is a function with one text, `input`. A regular
 * expression or a grammar of the format is told to the model and enforced.
 */
import type { AskedTool } from '../answer/ask.ts'
import { asObject, parsed } from '../json/json.ts'
import type { CustomTool } from './schemas/common.ts'

export function customTool({ name, description, format }: CustomTool): AskedTool {
  const { syntax, definition = '' } = format?.type === 'grammar' ? format : {}
  const told = syntax === 'lark' ? `The input follows this grammar:\n${definition}` : undefined
  return {
    name,
    description: [description, told].filter(Boolean).join('\n\n') || undefined,
    parameters: {
      type: 'object',
      properties: { input: { type: 'string', ...(syntax === 'regex' && { pattern: `^(?:${definition})$` }) } },
      required: ['input'],
      additionalProperties: false,
    },
    strict: syntax !== undefined,
    form: syntax === 'lark' ? { grammar: definition, notation: 'lark', property: 'input' } : undefined,
  }
}

/** The text of a call; what is no such call stays as it is. */
export function inputOf(args: string): string {
  const { input } = asObject(parsed(args))
  return typeof input === 'string' ? input : args
}

/** A call of a custom tool as the model writes it. */
export const customArguments = (input: string): string => JSON.stringify({ input })
