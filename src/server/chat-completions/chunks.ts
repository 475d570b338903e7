/**
 * Events of an answer -> the choices of chat completion chunks. The role comes once, reasoning and content never share a
 * chunk. A request with `functions` gets its call as it was before `tool_calls`.
 */
import type { ChatEvent, FinishReason } from '../../chat/messages.ts'
import { inputOf } from '../custom-tools.ts'
import { openaiFinish, stopReason } from '../run.ts'

/** Why an answer to a request with `functions` ended. */
export function legacyFinish(reason: FinishReason): string {
  return reason === 'tool-calls' ? 'function_call' : openaiFinish(reason)
}

export class ChatChunks {
  readonly #index: number
  readonly #legacy: boolean
  readonly #custom: ReadonlySet<string>
  #inCustom = false
  #calls = -1
  #logprobs: object[] = []

  /** @param custom names of the custom tools, whose calls come whole */
  constructor(index: number, legacy = false, custom: ReadonlySet<string> = new Set()) {
    this.#index = index
    this.#legacy = legacy
    this.#custom = custom
  }

  first(): object {
    return this.#choice({ role: 'assistant', content: '' })
  }

  /** Goes out with the next piece of content, or with the end. */
  token(entry: object): void {
    this.#logprobs.push(entry)
  }

  of(event: ChatEvent): object[] {
    switch (event.type) {
      case 'reasoning-delta':
        return [this.#choice({ reasoning: event.delta, reasoning_content: event.delta })]
      case 'text-delta':
        return [this.#scored({ content: event.delta })]
      case 'tool-call-start':
        this.#calls++
        this.#inCustom = this.#custom.has(event.name)
        if (this.#inCustom) return [this.#call({ id: event.id, type: 'custom', custom: { name: event.name, input: '' } })]
        return [this.#call({ id: event.id, type: 'function', function: { name: event.name, arguments: '' } })]
      case 'tool-call-end':
        return this.#inCustom ? [this.#call({ custom: { input: inputOf(event.arguments) } })] : []
      case 'tool-call-delta':
        if (this.#inCustom) return []
        return [this.#call({ function: { arguments: event.argumentsDelta } })]
      case 'finish':
        return [
          {
            ...this.#scored({}),
            finish_reason: this.#legacy ? legacyFinish(event.reason) : openaiFinish(event.reason),
            stop_reason: stopReason(event.reason),
          },
        ]
      default:
        return []
    }
  }

  /** With the entries that came since the last one. */
  #scored(delta: object): object {
    const choice = this.#choice(delta)
    return this.#logprobs.length === 0 ? choice : { ...choice, logprobs: { content: this.#logprobs.splice(0), refusal: null } }
  }

  #call(call: { id?: string; type?: string; function?: object; custom?: object }): object {
    if (this.#legacy) return this.#choice({ function_call: call.function })
    return this.#choice({ tool_calls: [{ index: this.#calls, ...call }] })
  }

  #choice(delta: object): { index: number; delta: object; logprobs: null; finish_reason: string | null } {
    return { index: this.#index, delta, logprobs: null, finish_reason: null }
  }
}
