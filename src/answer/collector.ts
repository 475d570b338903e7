/** Collects the parts of an answer from its events, for use as the next assistant message. The parts so far are there at any time. */
import { type AssistantMessage, type AssistantPart, type ChatEvent, type ToolCallPart, textOf } from '../chat/messages.ts'

export class AnswerCollector {
  readonly #parts: AssistantPart[] = []

  add(event: ChatEvent): void {
    const open = this.#parts.at(-1)
    if (event.type === 'reasoning-start') this.#parts.push({ type: 'reasoning', text: '' })
    else if (event.type === 'text-start')
      this.#parts.push(event.phase === 'commentary' ? { type: 'text', text: '', phase: event.phase } : { type: 'text', text: '' })
    else if (event.type === 'tool-call-start') this.#parts.push({ type: 'tool-call', id: event.id, name: event.name, arguments: '' })
    else if (event.type === 'tool-call-delta' && open?.type === 'tool-call') open.arguments += event.argumentsDelta
    else if ((event.type === 'text-delta' || event.type === 'reasoning-delta') && open && open.type !== 'tool-call')
      open.text += event.delta
  }

  /** All parts but empty ones. */
  get parts(): AssistantPart[] {
    return this.#parts.filter((part) => part.type === 'tool-call' || part.text !== '')
  }

  get message(): AssistantMessage {
    return { role: 'assistant', content: this.parts }
  }

  get toolCalls(): ToolCallPart[] {
    return this.parts.filter((part) => part.type === 'tool-call')
  }

  /** The answer itself, commentary included. */
  get text(): string {
    return textOf(this.parts, 'text')
  }
}
