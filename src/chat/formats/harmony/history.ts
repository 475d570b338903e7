/**
 * Which harmony messages a conversation becomes: one system message from the options, one developer message with the
 * instructions and tools, then the turns, where finished turns lose their thinking. Their wording is harmony-prompt's matter.
 */
import {
  argumentsOf,
  checkTools,
  type Effort,
  type Message,
  offeredTools,
  partsOf,
  type RenderOptions,
  toolNameOf,
} from '../../messages.ts'
import type { ToolNames } from '../tool-names.ts'
import { builtinNamespaces } from './builtins.ts'
import type { HarmonyMessage } from './message.ts'
import { developerText, systemText } from './prompt.ts'
import type { ToolNamespace } from './types.ts'

/** Finished turns lose their thinking: analysis stays exactly when no message on channel final comes after it. */
export function dropStaleAnalysis(messages: readonly HarmonyMessage[]): HarmonyMessage[] {
  const lastFinal = messages.findLastIndex((message) => message.channel === 'final')
  return messages.filter(
    (message, i) => i > lastFinal || message.channel !== 'analysis' || message.recipient !== undefined || message.role !== 'assistant',
  )
}

/**
 * What openai/harmony does by itself (`auto_drop_analysis`): when the last message of the assistant is final, analysis before the
 * first final message goes. Less than the rule above, which is what its authors intend; kept for comparison with the library.
 */
export function autoDropAnalysis(messages: readonly HarmonyMessage[]): HarmonyMessage[] {
  if (messages.findLast((message) => message.role === 'assistant')?.channel !== 'final') return [...messages]
  const firstFinal = messages.findIndex((message) => message.channel === 'final')
  return messages.filter((message, i) => i > firstFinal || message.channel !== 'analysis')
}

/** A conversation of the API as harmony messages, system message included. */
export const fromConversation = (...conversation: Parameters<typeof withAllAnalysis>): HarmonyMessage[] =>
  dropStaleAnalysis(withAllAnalysis(...conversation))

/** The same with the thinking of all turns. */
export function withAllAnalysis(messages: readonly Message[], options: RenderOptions, names: ToolNames, effort: Effort): HarmonyMessage[] {
  checkTools(offeredTools(options))
  const tools = offeredTools(options).map((tool) => ({ ...tool, name: names.toIdentifier(tool.name) }))
  const builtins = (options.builtinTools ?? []).map((name) => builtinNamespaces[name])
  const isBuiltin = (name: string) => builtins.some((namespace) => namespace.name === name.split('.')[0])
  const address = (name: string) => (isBuiltin(name) ? name : `functions.${names.toIdentifier(name)}`)
  const isInstruction = (message: Message) => message.role === 'system' || message.role === 'developer'

  // All instructions at the beginning make one developer message, which also carries the tools.
  const body = messages.findIndex((message) => !isInstruction(message))
  const leading = body < 0 ? messages : messages.slice(0, body)
  const namespaces: ToolNamespace[] = tools.length > 0 ? [{ name: 'functions', tools }] : []
  const instructions = leading.map((message) => message.content).filter((text) => text !== '')
  const developer = developerText(instructions.join('\n\n'), namespaces, options.responseFormat)
  const result: HarmonyMessage[] = [{ role: 'system', content: systemText({ ...options, effort, builtins, functions: tools.length > 0 }) }]
  if (developer !== '') result.push({ role: 'developer', content: developer })

  for (let i = leading.length; i < messages.length; i++) {
    const message = messages[i]!
    if (message.role === 'user') result.push({ role: 'user', content: message.content, name: message.name || undefined })
    else if (message.role === 'tool') {
      const name = toolNameOf(messages, i)
      result.push({
        role: 'tool',
        name: address(name),
        recipient: 'assistant',
        channel: isBuiltin(name) ? 'analysis' : 'commentary',
        content: message.content,
      })
    } else if (message.role === 'assistant') {
      const parts = partsOf(message)
      const lastCall = parts.findLastIndex((part) => part.type === 'tool-call')
      parts.forEach((part, p) => {
        if (part.type === 'reasoning') result.push({ role: 'assistant', channel: 'analysis', content: part.text })
        else if (part.type === 'text')
          result.push({ role: 'assistant', channel: part.phase ?? (p < lastCall ? 'commentary' : 'final'), content: part.text })
        else if (isBuiltin(part.name))
          result.push({ role: 'assistant', recipient: part.name, channel: 'analysis', contentType: 'code', content: part.arguments })
        else
          result.push({
            role: 'assistant',
            recipient: address(part.name),
            channel: 'commentary',
            contentType: '<|constrain|>json',
            content: argumentsOf(part),
          })
      })
    } else result.push({ role: 'developer', content: developerText(message.content, []) })
  }
  return result
}
