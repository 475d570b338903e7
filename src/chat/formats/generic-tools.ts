/**
 * Tools for models whose chat template knows none: the tools are described in the system message, a call is a JSON object, and its
 * result is a user message. Off unless asked for, because such a model was not trained for it. docs/templates.md shows the text.
 */
import { type AssistantMessage, type Message, partsOf, type ToolDefinition, toolNameOf } from '../messages.ts'
import { pythonJson } from './qwen/python-json.ts'

/** What the model is told. */
export function genericToolPrompt(tools: readonly ToolDefinition[]): string {
  const described = tools.map(({ name, description, parameters }) => pythonJson({ name, description, parameters }))
  return `You can call these tools:
${described.join('\n')}

To call a tool, answer with one JSON object and nothing else: {"name": <name of the tool>, "arguments": <object with its arguments>}
The next message will give you the result. If no tool is needed, answer in plain text.`
}

/** A conversation in messages that every template knows. */
export function withGenericTools(messages: readonly Message[], tools: readonly ToolDefinition[]): Message[] {
  const out: Message[] = []
  messages.forEach((message, i) => {
    const last = out.at(-1)
    if (message.role === 'assistant') out.push({ role: 'assistant', content: textOfCalls(message) })
    else if (message.role !== 'tool') out.push(message)
    else {
      const content = `Result of ${toolNameOf(messages, i)}:\n${message.content}`
      if (messages[i - 1]?.role === 'tool') out[out.length - 1] = { role: 'user', content: `${last!.content}\n\n${content}` }
      else out.push({ role: 'user', content })
    }
  })
  if (tools.length === 0) return out
  const [first] = out
  const prompt = genericToolPrompt(tools)
  if (first?.role !== 'system' && first?.role !== 'developer') return [{ role: 'system', content: prompt }, ...out]
  return [{ ...first, content: `${first.content}\n\n${prompt}` }, ...out.slice(1)]
}

/** Reasoning stays where the template can place it; calls become text. */
function textOfCalls(message: AssistantMessage): AssistantMessage['content'] {
  const parts = partsOf(message)
  if (!parts.some((part) => part.type === 'tool-call')) return message.content
  const lines = parts.flatMap((part) => {
    if (part.type === 'reasoning' || (part.type === 'text' && part.text === '')) return []
    return [part.type === 'text' ? part.text : `{"name": ${JSON.stringify(part.name)}, "arguments": ${part.arguments.trim() || '{}'}}`]
  })
  return [...parts.filter((part) => part.type === 'reasoning'), { type: 'text', text: lines.join('\n') }]
}
