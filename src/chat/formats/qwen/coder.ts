/** Qwen3-Coder's own syntax of tools: definitions and calls as tags. Source: its published chat template. */
import { strip } from '../../../jinja/text.ts'
import { asObject, isObject, type Json, parsed } from '../../../json/json.ts'
import { entriesOf } from '../../../json/lossless.ts'
import type { ToolCallPart, ToolDefinition } from '../../messages.ts'
import type { PromptText } from '../prompt-text.ts'
import { pythonJson, pythonText } from './python-json.ts'

const callSyntax = `If you choose to call a tool ONLY reply in the following format with NO suffix:

<tool_call>
<function=example_function_name>
<parameter=example_parameter_1>
value_1
</parameter>
<parameter=example_parameter_2>
value_2
</parameter>
</function>
</tool_call>

<IMPORTANT>
Reminder:
- Function calls MUST follow the specified format: the tool calling block MUST begin with an opening <tool_call> tag and end with a closing </tool_call> tag.
- Required parameters MUST be specified
- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after
- If there is no function call available, answer the question like normal with your current knowledge and do not tell the user about function calls
</IMPORTANT>`

export function coderTools(prompt: PromptText, tools: readonly ToolDefinition[]): void {
  prompt.template('# Tools\n\nYou have access to the following tools:\n\n<tools>')
  for (const { name, description, parameters } of tools) {
    const lines = ['', '<function>', `<name>${name}</name>`]
    if (description !== undefined) lines.push(`<description>${strip(description, null)}</description>`)
    lines.push('<parameters>')
    const schema = asObject(parameters)
    for (const [key, value] of entriesOf(asObject(schema.properties))) {
      const { type, description: about } = asObject(value)
      lines.push('<parameter>', `<name>${key}</name>`)
      if (type !== undefined) lines.push(`<type>${pythonText(type)}</type>`)
      if (typeof about === 'string') lines.push(`<description>${strip(about, null)}</description>`)
      lines.push(...extras(asObject(value), 'type', 'description', 'name'), '</parameter>')
    }
    lines.push(...extras(schema, 'type', 'properties'), '</parameters>', '</function>')
    prompt.plain(lines.join('\n'))
  }
  prompt.template(`\n</tools>\n\n${callSyntax}`)
}

/** A call of the history. Arguments that are no JSON object cannot be split into parameters and are written as they are. */
export function coderCall(prompt: PromptText, call: ToolCallPart): void {
  const args = parsed(call.arguments)
  prompt.template('<tool_call>\n').plain(`<function=${call.name}>\n`)
  if (!isObject(args)) prompt.plain(call.arguments === '' ? '' : `${call.arguments}\n`)
  for (const [key, value, spelling] of entriesOf(asObject(args)))
    prompt.plain(`<parameter=${key}>\n${jsonOrText(value, spelling)}\n</parameter>\n`)
  prompt.plain('</function>\n').template('</tool_call>')
}

/** The fields of a schema that have no place of their own. */
function extras(schema: Json, ...known: string[]): string[] {
  const others = entriesOf(schema).filter(([key]) => !known.includes(key))
  return others.map(([key, value, spelling]) => `<${key}>${jsonOrText(value, spelling)}</${key}>`)
}

/** The template prints lists and objects as JSON, other values as Python's text. */
const jsonOrText = (value: unknown, spelling: string | undefined): string =>
  typeof value === 'object' && value !== null ? pythonJson(value) : pythonText(value, spelling)
