/** A call of the AI SDK in the form that all endpoints share. What a text model cannot use is an error; what it can do without, a warning. */
import type { LanguageModelV3CallOptions, LanguageModelV3Prompt, LanguageModelV3ToolResultOutput, SharedV3Warning } from '@ai-sdk/provider'
import { type AssistantPart, ChatError, type JsonSchema, type Message } from '../chat/messages.ts'
import type { ApiEffort } from '../server/effort.ts'
import type { AskedChoice, AskedFormat, OfferedTool } from '../server/plan.ts'
import type { Ask } from '../server/prepare.ts'

/** `providerOptions: { lineage: … }` */
export interface LineageProviderOptions {
  reasoningEffort?: ApiEffort
  /** Thinking on or off, where the model has a switch. */
  thinking?: boolean
  /** Reasoning tokens after which the answer must begin. */
  thinkingBudget?: number
  minP?: number
  parallelToolCalls?: boolean
}

export function aiAsk(
  options: LanguageModelV3CallOptions,
  recall: (callId: string) => string | undefined,
): { ask: Ask; warnings: SharedV3Warning[] } {
  const warnings: SharedV3Warning[] = []
  const own = (options.providerOptions?.lineage ?? {}) as LineageProviderOptions
  const tools = (options.tools ?? []).flatMap((tool, i): OfferedTool[] => {
    if (tool.type !== 'function') {
      warnings.push({ type: 'unsupported', feature: `provider tool ${tool.id}` })
      return []
    }
    const { name, description, inputSchema, strict } = tool
    return [
      {
        name,
        ...(description ? { description } : {}),
        parameters: inputSchema as JsonSchema,
        strict: strict ?? false,
        param: `tools[${i}]`,
      },
    ]
  })
  const { temperature, topP, topK, presencePenalty, frequencyPenalty, seed } = options
  const sampling = { temperature, topP, topK, presencePenalty, frequencyPenalty, seed, minP: own.minP }
  return {
    warnings,
    ask: {
      messages: options.prompt.flatMap((message, i) => messagesOf(message, `prompt[${i}]`, recall)),
      tools,
      toolChoice: choiceOf(options),
      parallel: own.parallelToolCalls ?? true,
      format: formatOf(options),
      effort: own.reasoningEffort,
      thinkingEnabled: own.thinking,
      reasoningBudget: own.thinkingBudget,
      sampling: Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined)),
      maxTokens: options.maxOutputTokens,
      stop: options.stopSequences ?? [],
      logprobs: undefined,
      answers: 1,
    },
  }
}

function messagesOf(message: LanguageModelV3Prompt[number], where: string, recall: (callId: string) => string | undefined): Message[] {
  switch (message.role) {
    case 'system':
      return [{ role: 'system', content: message.content }]
    case 'user':
      return [
        {
          role: 'user',
          content: message.content.map((part, i) => (part.type === 'text' ? part.text : noFiles(`${where}.content[${i}]`))).join(''),
        },
      ]
    case 'assistant': {
      const parts = message.content.flatMap((part, i): AssistantPart[] => {
        if (part.type === 'text' || part.type === 'reasoning') return part.text === '' ? [] : [{ type: part.type, text: part.text }]
        if (part.type === 'tool-call') {
          const text = typeof part.input === 'string' ? part.input : JSON.stringify(part.input ?? {})
          return [{ type: 'tool-call', id: part.toolCallId, name: part.toolName, arguments: text }]
        }
        return part.type === 'file' ? noFiles(`${where}.content[${i}]`) : []
      })
      const called = parts.find((part) => part.type === 'tool-call')
      const remembered = called && !parts.some((part) => part.type === 'reasoning') ? recall(called.id) : undefined
      return [{ role: 'assistant', content: remembered ? [{ type: 'reasoning', text: remembered }, ...parts] : parts }]
    }
    case 'tool':
      return message.content.flatMap((part): Message[] =>
        part.type === 'tool-result'
          ? [{ role: 'tool', toolCallId: part.toolCallId, name: part.toolName, content: resultText(part.output) }]
          : [],
      )
  }
}

function resultText(output: LanguageModelV3ToolResultOutput): string {
  switch (output.type) {
    case 'text':
    case 'error-text':
      return output.value
    case 'json':
    case 'error-json':
      return JSON.stringify(output.value)
    case 'execution-denied':
      return `The call was denied${output.reason ? `: ${output.reason}` : '.'}`
    case 'content':
      return output.value.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('')
  }
}

function choiceOf({ toolChoice }: LanguageModelV3CallOptions): AskedChoice {
  if (!toolChoice) return 'auto'
  return toolChoice.type === 'tool' ? { name: toolChoice.toolName } : toolChoice.type
}

function formatOf({ responseFormat }: LanguageModelV3CallOptions): AskedFormat {
  if (responseFormat?.type !== 'json') return { type: 'text' }
  const { schema, name, description } = responseFormat
  if (!schema) return { type: 'json_object' }
  return {
    type: 'json_schema',
    name: name ?? 'response',
    schema: schema as JsonSchema,
    param: 'responseFormat.schema',
    ...(description ? { description } : {}),
  }
}

function noFiles(field: string): never {
  throw new ChatError(field, 'this model reads text only; files cannot be used')
}
