/**
 * Events of an answer -> the response object and its stream events, in the one order that the strict clients accept:
 * added and done are nested, every part is announced before its first delta, ids and indexes never change.
 */
import type { ChatEvent, FinishEvent, TextToken } from '../../chat/messages.ts'
import { inputOf } from '../custom-tools.ts'
import type { ErrorBody } from '../http/errors.ts'
import { newId, unixSeconds } from '../http/names.ts'
import { stopReason } from '../run.ts'
import type { StoredItem } from './store.ts'

export interface ResponseEvent {
  type: string
  sequence_number: number
  [field: string]: unknown
}

export interface ResponseObject {
  id: string
  status: string
  output: StoredItem[]
  [field: string]: unknown
}

export interface BuilderOptions {
  /** Seals reasoning for the client to carry, when it asked for that. */
  seal?: (text: string) => Promise<string>
  /** Log-probabilities of the final text, when asked for. */
  logprobs?: (token: TextToken) => object
  /** Names of the custom tools: their calls are items of their own kind. */
  custom?: ReadonlySet<string>
  /** Ids of the items, in order, where they exist already (a replay). */
  ids?: readonly string[]
}

export function responsesUsage({ usage }: FinishEvent) {
  const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = usage
  return {
    input_tokens: promptTokens,
    output_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 },
    output_tokens_details: { reasoning_tokens: reasoningTokens },
  }
}

type Ending =
  | { type: 'reasoning-end'; text: string }
  | { type: 'text-end'; text: string }
  | { type: 'tool-call-end'; name: string; arguments: string }

export class ResponseBuilder {
  readonly response: ResponseObject
  readonly #options: BuilderOptions
  #sequence = 0
  #item: StoredItem | undefined
  #logprobs: object[] = []
  #allLogprobs: object[] = []
  /** The end of a part waits for the next event, which tells whether the part is whole. */
  #ending: Ending | undefined

  constructor(response: ResponseObject, options: BuilderOptions) {
    this.response = response
    this.#options = options
  }

  /** The events that open the stream. */
  start(queued = false): ResponseEvent[] {
    const events = [this.#event('response.created', { response: this.#snapshot() })]
    if (queued) events.push(this.#event('response.queued', { response: this.#snapshot() }))
    this.response.status = 'in_progress'
    return [...events, this.#event('response.in_progress', { response: this.#snapshot() })]
  }

  async of(event: ChatEvent): Promise<ResponseEvent[]> {
    if (event.type === 'warning' || event.type === 'tool-result') return []
    if (event.type === 'text-token') {
      if (this.#options.logprobs) this.#logprobs.push(this.#options.logprobs(event))
      return []
    }
    const whole = event.type !== 'finish' || event.reason === 'stop' || event.reason === 'tool-calls'
    const before = await this.#close(whole)
    return [...before, ...this.#then(event)]
  }

  /** The last event, after `finish` was given to `of`. */
  end(finish: FinishEvent): ResponseEvent {
    const { response } = this
    const whole = finish.reason === 'stop' || finish.reason === 'tool-calls'
    response.status = whole ? 'completed' : 'incomplete'
    response.completed_at = whole ? unixSeconds() : null
    response.incomplete_details = whole ? null : { reason: 'max_output_tokens', stop_reason: stopReason(finish.reason) }
    response.usage = responsesUsage(finish)
    return this.#event(`response.${response.status}`, { response: this.#snapshot() })
  }

  /** The events of a failure in the middle: one error in both known shapes, then the failed response. */
  fail(error: ErrorBody): ResponseEvent[] {
    this.response.status = 'failed'
    this.response.error = { code: error.code ?? 'server_error', message: error.message }
    const { code, message, param } = error
    return [this.#event('error', { code, message, param, error }), this.#event('response.failed', { response: this.#snapshot() })]
  }

  /** The client or an operator ended it. */
  cancel(): ResponseEvent {
    this.response.status = 'cancelled'
    return this.#event('response.incomplete', { response: this.#snapshot() }) // no client knows an event of that name
  }

  #then(event: ChatEvent): ResponseEvent[] {
    switch (event.type) {
      case 'reasoning-start':
        return this.#open(
          { id: this.#id('rs'), type: 'reasoning', status: 'in_progress', summary: [], content: [] },
          { type: 'reasoning_text', text: '' },
        )
      case 'text-start': {
        const phase = event.phase === 'commentary' ? 'commentary' : 'final_answer'
        const item = { id: this.#id('msg'), type: 'message', status: 'in_progress', role: 'assistant', phase, content: [] }
        this.#allLogprobs = []
        return this.#open(item, { type: 'output_text', text: '', annotations: [], logprobs: [] })
      }
      case 'tool-call-start':
        if (this.#options.custom?.has(event.name))
          return this.#open({
            id: this.#id('ctc'),
            type: 'custom_tool_call',
            status: 'in_progress',
            call_id: event.id,
            name: event.name,
            input: '',
          })
        return this.#open({
          id: this.#id('fc'),
          type: 'function_call',
          status: 'in_progress',
          call_id: event.id,
          name: event.name,
          arguments: '',
        })
      case 'reasoning-delta':
        return [this.#event('response.reasoning_text.delta', { ...this.#place(true), delta: event.delta })]
      case 'text-delta': {
        const logprobs = this.#logprobs.splice(0)
        this.#allLogprobs.push(...logprobs)
        return [this.#event('response.output_text.delta', { ...this.#place(true), delta: event.delta, logprobs })]
      }
      case 'tool-call-delta':
        if (this.#item?.type === 'custom_tool_call') return [] // the text comes whole, when its JSON is complete
        return [this.#event('response.function_call_arguments.delta', { ...this.#place(false), delta: event.argumentsDelta })]
      case 'reasoning-end':
      case 'text-end':
      case 'tool-call-end':
        this.#ending = event
        return []
      default:
        return []
    }
  }

  #open(item: StoredItem, part?: object): ResponseEvent[] {
    this.#item = item
    this.response.output.push(item)
    const added = this.#event('response.output_item.added', { output_index: this.response.output.length - 1, item: structuredClone(item) })
    return part ? [added, this.#event('response.content_part.added', { ...this.#place(true), part })] : [added]
  }

  async #close(whole: boolean): Promise<ResponseEvent[]> {
    const ending = this.#ending
    const item = this.#item
    this.#ending = undefined
    if (!ending || !item) return []
    const events: ResponseEvent[] = []
    if (ending.type === 'tool-call-end' && item.type === 'custom_tool_call') {
      const input = inputOf(ending.arguments)
      item.input = input
      if (input !== '') events.push(this.#event('response.custom_tool_call_input.delta', { ...this.#place(false), delta: input }))
      events.push(this.#event('response.custom_tool_call_input.done', { ...this.#place(false), input }))
    } else if (ending.type === 'tool-call-end') {
      item.arguments = ending.arguments
      events.push(
        this.#event('response.function_call_arguments.done', { ...this.#place(false), name: ending.name, arguments: ending.arguments }),
      )
    } else {
      const { text } = ending
      this.#allLogprobs.push(...this.#logprobs.splice(0)) // of ids whose text does not come out
      const logprobs = this.#allLogprobs
      const part =
        ending.type === 'reasoning-end' ? { type: 'reasoning_text', text } : { type: 'output_text', text, annotations: [], logprobs }
      item.content = [part]
      const done = ending.type === 'reasoning-end' ? { text } : { text, logprobs }
      const name = ending.type === 'reasoning-end' ? 'reasoning_text' : 'output_text'
      events.push(this.#event(`response.${name}.done`, { ...this.#place(true), ...done }))
      events.push(this.#event('response.content_part.done', { ...this.#place(true), part }))
      if (ending.type === 'reasoning-end' && this.#options.seal) item.encrypted_content = await this.#options.seal(text)
    }
    item.status = whole ? 'completed' : 'incomplete'
    events.push(this.#event('response.output_item.done', { output_index: this.response.output.length - 1, item: structuredClone(item) }))
    this.#item = undefined
    return events
  }

  #id(prefix: string): string {
    return this.#options.ids?.[this.response.output.length] ?? newId(prefix)
  }

  #place(inPart: boolean): object {
    const place = { item_id: this.#item!.id, output_index: this.response.output.length - 1 }
    return inPart ? { ...place, content_index: 0 } : place
  }

  #event(type: string, fields: object): ResponseEvent {
    return { type, sequence_number: this.#sequence++, ...fields }
  }

  #snapshot(): ResponseObject {
    return structuredClone(this.response)
  }
}
