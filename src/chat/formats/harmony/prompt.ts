/**
 * The texts of harmony's system and developer messages, word for word as openai/harmony 0.0.8 writes them.
 * The system message says identity, effort, channels and trained tools. What APIs call a system prompt goes into the developer message.
 */
import { writeJson } from '../../../json/lossless.ts'
import type { RenderOptions } from '../../messages.ts'
import { linesOf, type ToolNamespace, toolsSection } from './types.ts'

export interface SystemSettings {
  identity?: string
  knowledgeCutoff?: string | null
  currentDate?: string
  effort?: string
  channels?: readonly string[]
  builtins?: readonly ToolNamespace[]
  /** Whether a developer message defines functions. */
  functions?: boolean
}

export function systemText(settings: SystemSettings): string {
  const {
    identity = 'You are ChatGPT, a large language model trained by OpenAI.',
    knowledgeCutoff = '2024-06',
    currentDate,
    effort = 'medium',
  } = settings
  const { channels = ['analysis', 'commentary', 'final'], builtins = [], functions = false } = settings
  const about = [identity]
  if (knowledgeCutoff !== null) about.push(`Knowledge cutoff: ${knowledgeCutoff}`)
  if (currentDate !== undefined) about.push(`Current date: ${currentDate}`)
  const sections = [about.join('\n'), `Reasoning: ${effort}`]
  if (builtins.length > 0) sections.push(toolsSection(builtins))
  const callsTo = functions ? "\nCalls to these tools must go to the commentary channel: 'functions'." : ''
  sections.push(`# Valid channels: ${channels.join(', ')}. Channel must be included for every message.${callsTo}`)
  return sections.join('\n\n')
}

export function developerText(
  instructions: string,
  namespaces: readonly ToolNamespace[],
  responseFormat?: RenderOptions['responseFormat'],
): string {
  const sections: string[] = []
  if (instructions !== '') sections.push(`# Instructions\n\n${instructions}`)
  if (namespaces.length > 0) sections.push(toolsSection(namespaces))
  if (responseFormat) {
    const about = linesOf(responseFormat.description).map((line) => `// ${line}\n`)
    sections.push(`# Response Formats\n\n## ${responseFormat.name}\n\n${about.join('')}${writeJson(responseFormat.schema)}`)
  }
  return sections.join('\n\n')
}
