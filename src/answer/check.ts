/**
 * What programs hand over, checked at run time: JavaScript has no types there, and a misspelt name would change the answer in silence.
 * Errors are ChatErrors that name the field.
 */
import { ChatError, type Message } from '../chat/messages.ts'
import { SAMPLING_NAMES } from '../engine/sampling-options.ts'
import { unknownOption } from '../json/names.ts'
import type { Ask } from './ask.ts'
import type { ContinuationAsk } from './continuation.ts'

const ASK: Readonly<Record<keyof Ask | 'maxRounds', true>> = {
  thinking: true,
  tools: true,
  toolChoice: true,
  parallelToolCalls: true,
  builtinTools: true,
  schema: true,
  undeclared: true,
  schemaName: true,
  schemaDescription: true,
  regex: true,
  choice: true,
  grammar: true,
  identity: true,
  knowledgeCutoff: true,
  currentDate: true,
  prefill: true,
  prefillReasoning: true,
  continueFinalMessage: true,
  sampling: true,
  maxTokens: true,
  minTokens: true,
  stop: true,
  logprobs: true,
  repetitionLimit: true,
  cacheKey: true,
  signal: true,
  fields: true,
  maxRounds: true,
}
const LEVELS: readonly unknown[] = ['low', 'medium', 'high']
const CHOICES: readonly unknown[] = ['auto', 'none', 'required']
const ROLES = ['system', 'developer', 'user', 'assistant', 'tool']
const PARTS: Readonly<Record<string, readonly string[]>> = {
  text: ['text'],
  reasoning: ['text'],
  'tool-call': ['id', 'name', 'arguments'],
}

/** @throws ChatError on an unknown name, level or choice */
export function checkAsk(ask: Ask): void {
  checkOptions(ask, ASK)
  const { thinking, toolChoice = 'auto' } = ask
  if (typeof thinking === 'string') checkLevel('thinking', thinking)
  if (typeof thinking === 'object' && thinking !== null) {
    const wrong = unknownOption(thinking, { effort: true, budget: true })
    if (wrong) throw new ChatError(`thinking.${wrong.name}`, wrong.problem)
    if (thinking.effort !== undefined) checkLevel('thinking.effort', thinking.effort)
  }
  if (typeof toolChoice !== 'object' && !CHOICES.includes(toolChoice))
    throw new ChatError('toolChoice', `expected auto, none, required, { name } or { allowed, mode }, got ${shown(toolChoice)}`)
}

const CONTINUATION: Readonly<Record<keyof ContinuationAsk, true>> = {
  sampling: true,
  maxTokens: true,
  minTokens: true,
  stop: true,
  logprobs: true,
  cacheKey: true,
  signal: true,
  schema: true,
  regex: true,
  choice: true,
  grammar: true,
}

/** @param others options that the caller reads itself. @throws ChatError on an unknown option, or `stop` that is no list of texts */
export function checkContinuation(ask: ContinuationAsk, others: Readonly<Record<string, true>>): void {
  checkOptions(ask, { ...CONTINUATION, ...others })
}

function checkOptions(ask: Pick<Ask, 'stop'>, known: Readonly<Record<string, true>>): void {
  const unknown = unknownOption(ask, known)
  if (unknown && Object.hasOwn(SAMPLING_NAMES, unknown.name)) throw new ChatError(unknown.name, `write it as sampling: { ${unknown.name} }`)
  if (unknown) throw new ChatError(unknown.name, unknown.problem)
  const { stop } = ask
  if (stop !== undefined && (!Array.isArray(stop) || stop.some((text) => typeof text !== 'string' || text === '')))
    throw new ChatError('stop', `expected a list of texts, got ${shown(stop)}`)
}

function checkLevel(field: string, level: unknown): void {
  if (!LEVELS.includes(level)) throw new ChatError(field, `expected low, medium or high, got ${shown(level)}`)
}

/** @throws ChatError on a message that is none: its role, its content, its parts */
export function checkMessages(messages: readonly Message[]): void {
  if (!Array.isArray(messages)) throw new ChatError('messages', `expected a list of messages, got ${shown(messages)}`)
  for (const [i, message] of messages.entries()) {
    const place = `messages[${i}]`
    if (typeof message !== 'object' || message === null) throw new ChatError(place, `expected a message, got ${shown(message)}`)
    const { role, content } = message as Message
    if (!ROLES.includes(role)) throw new ChatError(`${place}.role`, `expected one of ${ROLES.join(', ')}, got ${shown(role)}`)
    if (typeof content === 'string') continue
    if (role !== 'assistant' || !Array.isArray(content))
      throw new ChatError(`${place}.content`, `expected a text${role === 'assistant' ? ' or a list of parts' : ''}, got ${shown(content)}`)
    for (const [j, part] of content.entries()) {
      const fields = Object.hasOwn(PARTS, part?.type) ? PARTS[part.type]! : undefined
      if (!fields)
        throw new ChatError(`${place}.content[${j}].type`, `expected one of ${Object.keys(PARTS).join(', ')}, got ${shown(part?.type)}`)
      const missing = fields.find((name) => typeof (part as unknown as Record<string, unknown>)[name] !== 'string')
      if (missing) throw new ChatError(`${place}.content[${j}].${missing}`, 'expected a text')
    }
  }
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object'
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value)
}
