/** Events of an answer -> the choices of chat completion chunks. The role comes once, reasoning and content never share a chunk. */
import type { ChatEvent } from '../../chat/messages.ts'
import { openaiFinish } from '../run.ts'

export class ChatChunks {
  readonly #index: number
  #calls = -1
  #logprobs: object[] = []

  constructor(index: number) {
    this.#index = index
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
        return [this.#call({ id: event.id, type: 'function', function: { name: event.name, arguments: '' } })]
      case 'tool-call-delta':
        return [this.#call({ function: { arguments: event.argumentsDelta } })]
      case 'finish':
        return [{ ...this.#scored({}), finish_reason: openaiFinish(event.reason) }]
      default:
        return []
    }
  }

  /** With the entries that came since the last one. */
  #scored(delta: object): object {
    const choice = this.#choice(delta)
    return this.#logprobs.length === 0 ? choice : { ...choice, logprobs: { content: this.#logprobs.splice(0), refusal: null } }
  }

  #call(call: object): object {
    return this.#choice({ tool_calls: [{ index: this.#calls, ...call }] })
  }

  #choice(delta: object): { index: number; delta: object; logprobs: null; finish_reason: string | null } {
    return { index: this.#index, delta, logprobs: null, finish_reason: null }
  }
}
