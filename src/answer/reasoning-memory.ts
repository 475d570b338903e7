/**
 * The reasoning before each tool call, by call id and tenant. Many clients send a call back without the reasoning that led to it, and
 * models use tools worse without it. Bounded, in memory only; the entries unused for longest go first.
 */

export class ReasoningMemory {
  readonly #entries = new Map<string, string>()
  readonly #maxEntries: number
  readonly #maxChars: number
  #chars = 0

  constructor(maxEntries = 8192, maxChars = 32 * 2 ** 20) {
    this.#maxEntries = maxEntries
    this.#maxChars = maxChars
  }

  get size(): number {
    return this.#entries.size
  }

  remember(tenant: string, callId: string, reasoning: string): void {
    if (reasoning === '' || reasoning.length > this.#maxChars / 4) return
    const key = `${tenant}\n${callId}`
    this.#forget(key)
    this.#entries.set(key, reasoning)
    this.#chars += reasoning.length
    while (this.#entries.size > this.#maxEntries || this.#chars > this.#maxChars) this.#forget(this.#entries.keys().next().value!)
  }

  recall(tenant: string, callId: string): string | undefined {
    const key = `${tenant}\n${callId}`
    const found = this.#entries.get(key)
    if (found === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, found)
    return found
  }

  #forget(key: string): void {
    this.#chars -= this.#entries.get(key)?.length ?? 0
    this.#entries.delete(key)
  }
}
