/**
 * OpenAI's custom tools, whose input is a text in place of JSON: to the model each is a function with one text, `input`. A regular
 * expression of the format is enforced; a grammar in Lark's notation, which this server does not compile, is told to the model.
 */
import type { AskedTool } from '../answer/ask.ts'
import { asObject, parsed } from '../json/json.ts'
import type { CustomTool } from './schemas/common.ts'

export function customTool({ name, description, format }: CustomTool): AskedTool {
  const regex = format?.type === 'grammar' && format.syntax === 'regex' ? format.definition : undefined
  const lark = format?.type === 'grammar' && format.syntax === 'lark' ? `The input follows this grammar:\n${format.definition}` : undefined
  return {
    name,
    description: [description, lark].filter(Boolean).join('\n\n') || undefined,
    parameters: {
      type: 'object',
      properties: { input: { type: 'string', ...(regex && { pattern: `^(?:${regex})$` }) } },
      required: ['input'],
      additionalProperties: false,
    },
    strict: regex !== undefined,
  }
}

/** The text of a call; what is no such call stays as it is. */
export function inputOf(args: string): string {
  const { input } = asObject(parsed(args))
  return typeof input === 'string' ? input : args
}

/** A call of a custom tool as the model writes it. */
export const customArguments = (input: string): string => JSON.stringify({ input })
