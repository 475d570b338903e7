/**
 * Events of an answer -> a message of Anthropic's API and the events of its stream: one block after the other, each opened before its
 * deltas and closed after them. The whole message and the stream are made by the same code.
 */
import type { ChatEvent, FinishEvent } from '../../chat/messages.ts'
import { newId } from '../http/names.ts'
import { argumentsObject } from '../run.ts'

export interface MessageEvent {
  type: string
  [field: string]: unknown
}

interface Block {
  type: string
  [field: string]: unknown
}

/** Why an answer ended, in the words of this API. */
function stopReasonOf({ reason, stopText }: FinishEvent): string {
  if (reason === 'tool-calls') return 'tool_use'
  if (reason === 'context') return 'model_context_window_exceeded'
  if (reason !== 'stop') return 'max_tokens' // also a document under a schema that a stop text cut
  return stopText === undefined ? 'end_turn' : 'stop_sequence'
}

/** Prompt tokens that were found in the cache are not among `input_tokens`. */
function usageOf(promptTokens: number, cachedTokens: number, completionTokens: number) {
  return {
    input_tokens: promptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
  }
}

export interface BuilderOptions {
  model: string
  promptTokens: number
  /** Makes the signature of a thinking block. */
  sign(thinking: string): Promise<string>
  /** `hidden`: there are no blocks of thinking. `omitted`: there are, and their text stands in the signature only. */
  thinking: 'shown' | 'omitted' | 'hidden'
}

export class MessageBuilder {
  readonly message: { content: Block[]; [field: string]: unknown }
  readonly #options: BuilderOptions

  constructor(options: BuilderOptions) {
    this.#options = options
    this.message = {
      id: newId('msg'),
      type: 'message',
      role: 'assistant',
      model: options.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usageOf(options.promptTokens, 0, 0),
    }
  }

  start(): MessageEvent {
    return { type: 'message_start', message: structuredClone(this.message) }
  }

  async of(event: ChatEvent): Promise<MessageEvent[]> {
    const { thinking } = this.#options
    if (thinking === 'hidden' && event.type.startsWith('reasoning-')) return []
    switch (event.type) {
      case 'reasoning-start':
        return [this.#open({ type: 'thinking', thinking: '', signature: '' })]
      case 'text-start':
        return [this.#open({ type: 'text', text: '' })]
      case 'tool-call-start':
        return [this.#open({ type: 'tool_use', id: event.id, name: event.name, input: {} })]
      case 'reasoning-delta':
        return thinking === 'omitted' ? [] : [this.#delta({ type: 'thinking_delta', thinking: event.delta })]
      case 'text-delta':
        return [this.#delta({ type: 'text_delta', text: event.delta })]
      case 'tool-call-delta':
        return [this.#delta({ type: 'input_json_delta', partial_json: event.argumentsDelta })]
      case 'reasoning-end': {
        const signature = await this.#options.sign(event.text)
        Object.assign(this.#block, { thinking: thinking === 'omitted' ? '' : event.text, signature })
        return [this.#delta({ type: 'signature_delta', signature }), this.#close()]
      }
      case 'text-end':
        this.#block.text = event.text
        return [this.#close()]
      case 'tool-call-end':
        this.#block.input = argumentsObject(event.arguments)
        return [this.#close()]
      case 'finish':
        return this.#finish(event)
      default:
        return []
    }
  }

  #finish(finish: FinishEvent): MessageEvent[] {
    const { promptTokens, cachedTokens, completionTokens } = finish.usage
    const ending = { stop_reason: stopReasonOf(finish), stop_sequence: finish.reason === 'stop' ? (finish.stopText ?? null) : null }
    const usage = usageOf(promptTokens, cachedTokens, completionTokens)
    Object.assign(this.message, ending, { usage })
    return [{ type: 'message_delta', delta: ending, usage }, { type: 'message_stop' }]
  }

  get #block(): Block {
    return this.message.content.at(-1)!
  }

  get #index(): number {
    return this.message.content.length - 1
  }

  #open(block: Block): MessageEvent {
    this.message.content.push(block)
    return { type: 'content_block_start', index: this.#index, content_block: { ...block } }
  }

  #delta(delta: object): MessageEvent {
    return { type: 'content_block_delta', index: this.#index, delta }
  }

  #close(): MessageEvent {
    return { type: 'content_block_stop', index: this.#index }
  }
}
