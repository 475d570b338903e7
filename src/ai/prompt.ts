/** A call of the AI SDK -> messages and an Ask. What a text model cannot use is an error; what it can do without, a warning. */
import type { LanguageModelV3CallOptions, LanguageModelV3Prompt, LanguageModelV3ToolResultOutput, SharedV3Warning } from '@ai-sdk/provider'
import { ANY_OBJECT, type ApiEffort, type Ask, type AskedTool, thinkingOf } from '../answer/ask.ts'
import { type AssistantPart, ChatError, type JsonSchema, type Message } from '../chat/messages.ts'
import { unknownOption } from '../json/names.ts'

/** `providerOptions: { lineage: … }`. A type and no interface, so that it fits the AI SDK's own type of JSON values. */
export type LineageProviderOptions = {
  reasoningEffort?: ApiEffort
  /** Thinking on or off, where the model has a switch. */
  thinking?: boolean
  /** Reasoning tokens after which the answer must begin. */
  thinkingBudget?: number
  minP?: number
  parallelToolCalls?: boolean
  /** What the answer must follow, where no schema is asked for: a regular expression, one of several texts, or a grammar. */
  regex?: string
  choice?: string[]
  grammar?: string
}

const NAMES: Readonly<Record<keyof LineageProviderOptions, true>> = {
  reasoningEffort: true,
  thinking: true,
  thinkingBudget: true,
  minP: true,
  parallelToolCalls: true,
  regex: true,
  choice: true,
  grammar: true,
}

export function aiAsk(
  options: LanguageModelV3CallOptions,
  recall: (callId: string) => string | undefined,
): { messages: Message[]; ask: Ask; warnings: SharedV3Warning[] } {
  const warnings: SharedV3Warning[] = []
  const own = ownOptions(options.providerOptions?.lineage)
  const tools = (options.tools ?? []).flatMap((tool): AskedTool[] => {
    if (tool.type === 'function') {
      const { name, description, inputSchema, strict } = tool
      return [{ name, description: description || undefined, parameters: inputSchema as JsonSchema, strict }]
    }
    warnings.push({ type: 'unsupported', feature: `provider tool ${tool.id}` })
    return []
  })
  const reasoning = effortFrom(options, warnings)
  const { temperature, topP, topK, presencePenalty, frequencyPenalty, seed } = options
  return {
    warnings,
    messages: options.prompt.flatMap((message, i) => messagesOf(message, `prompt[${i}]`, recall)),
    ask: {
      tools,
      toolChoice: choiceOf(options),
      parallelToolCalls: own.parallelToolCalls,
      ...schemaOf(options),
      regex: own.regex,
      choice: own.choice,
      grammar: own.grammar,
      thinking: thinkingOf(own.reasoningEffort ?? reasoning, own.thinking, own.thinkingBudget),
      sampling: { temperature, topP, topK, presencePenalty, frequencyPenalty, seed, minP: own.minP },
      maxTokens: options.maxOutputTokens,
      stop: options.stopSequences,
      fields: options.responseFormat?.type === 'json' ? { form: 'responseFormat.schema' } : undefined,
    },
  }
}

const EFFORTS: readonly unknown[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] satisfies ApiEffort[]

/** @throws ChatError for an option or an effort that does not exist */
function ownOptions(given: object = {}): LineageProviderOptions {
  const own = given as LineageProviderOptions
  const unknown = unknownOption(own, NAMES)
  if (unknown) throw new ChatError(`providerOptions.lineage.${unknown.name}`, unknown.problem)
  const { reasoningEffort } = own
  if (reasoningEffort !== undefined && ![...EFFORTS, 'max'].includes(reasoningEffort))
    throw new ChatError(
      'providerOptions.lineage.reasoningEffort',
      `expected one of ${EFFORTS.join(', ')} or max, got ${JSON.stringify(reasoningEffort)}`,
    )
  return own
}

/** The option `reasoning` of AI SDK 7, which the types of version 6 do not have. */
function effortFrom(options: LanguageModelV3CallOptions, warnings: SharedV3Warning[]): ApiEffort | undefined {
  const { reasoning } = options as { reasoning?: unknown }
  if (reasoning === undefined || reasoning === null || reasoning === 'provider-default') return undefined
  if (EFFORTS.includes(reasoning)) return reasoning as ApiEffort
  warnings.push({ type: 'unsupported', feature: `reasoning ${JSON.stringify(reasoning)}` })
  return undefined
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

function choiceOf({ toolChoice }: LanguageModelV3CallOptions): Ask['toolChoice'] {
  if (!toolChoice) return 'auto'
  return toolChoice.type === 'tool' ? { name: toolChoice.toolName } : toolChoice.type
}

function schemaOf({ responseFormat }: LanguageModelV3CallOptions): Pick<Ask, 'schema' | 'schemaName' | 'schemaDescription'> {
  if (responseFormat?.type !== 'json') return {}
  const { schema, name, description } = responseFormat
  return schema ? { schema: schema as JsonSchema, schemaName: name, schemaDescription: description || undefined } : ANY_OBJECT
}

function noFiles(field: string): never {
  throw new ChatError(field, 'this model reads text only; files cannot be used')
}
