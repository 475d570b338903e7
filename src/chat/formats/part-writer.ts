/** Writes the events of an answer in the order that messages.ts promises. */
import type { ChatEvent, TextPhase, WarningCode } from '../messages.ts'

export type OpenPart = { kind: 'reasoning' } | { kind: 'text'; phase: TextPhase } | { kind: 'tool-call'; id: string; name: string }

export class PartWriter {
  #events: ChatEvent[] = []
  #open: OpenPart | undefined
  #text = ''

  get open(): OpenPart | undefined {
    return this.#open
  }

  /** The events since the last call. */
  take(): ChatEvent[] {
    const events = this.#events
    this.#events = []
    return events
  }

  /** Opens a part, closing the one before. */
  begin(part: OpenPart): void {
    this.end()
    this.#open = part
    this.#text = ''
    if (part.kind === 'reasoning') this.#events.push({ type: 'reasoning-start' })
    else if (part.kind === 'text') this.#events.push({ type: 'text-start', phase: part.phase })
    else this.#events.push({ type: 'tool-call-start', id: part.id, name: part.name })
  }

  write(delta: string): void {
    const part = this.#open
    if (delta === '' || part === undefined) return
    this.#text += delta
    if (part.kind === 'reasoning') this.#events.push({ type: 'reasoning-delta', delta })
    else if (part.kind === 'text') this.#events.push({ type: 'text-delta', delta, phase: part.phase })
    else this.#events.push({ type: 'tool-call-delta', id: part.id, argumentsDelta: delta })
  }

  /** Closes the open part, if any, and returns its text. */
  end(): string {
    const part = this.#open
    const text = this.#text
    this.#open = undefined
    if (part === undefined) return ''
    if (part.kind === 'reasoning') this.#events.push({ type: 'reasoning-end', text })
    else if (part.kind === 'text') this.#events.push({ type: 'text-end', text, phase: part.phase })
    else this.#events.push({ type: 'tool-call-end', id: part.id, name: part.name, arguments: text })
    return text
  }

  warn(code: WarningCode, message: string): void {
    this.#events.push({ type: 'warning', code, message })
  }

  /** Forgets what was written; an open part starts anew. For prompts that end inside a part. */
  restart(): void {
    const part = this.#open
    this.#open = undefined
    this.#events = []
    if (part) this.begin(part)
  }
}

/** A fresh id for a tool call, unique across conversations. */
export function newCallId(): string {
  return `call_${crypto.randomUUID().replaceAll('-', '').slice(0, 24)}`
}
