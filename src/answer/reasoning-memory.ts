/**
 * The reasoning before each tool call, by call id and tenant. Many clients send a call back without the reasoning that led to it, and
 * models use tools worse without it. Bounded, in memory only; the entries of a tenant that were unused for longest go first.
 */
import { Shares } from './shares.ts'

export class ReasoningMemory {
  readonly #reasoning: Shares<string>
  readonly #longest: number

  constructor(entriesPerTenant = 8192, maxChars = 32 * 2 ** 20) {
    this.#reasoning = new Shares({ entriesPerOwner: entriesPerTenant, size: maxChars })
    this.#longest = maxChars / 4
  }

  get size(): number {
    return this.#reasoning.count
  }

  remember(tenant: string, callId: string, reasoning: string): void {
    if (reasoning !== '' && reasoning.length <= this.#longest) this.#reasoning.add(tenant, callId, reasoning, reasoning.length)
  }

  recall(tenant: string, callId: string): string | undefined {
    this.#reasoning.touch(tenant, callId)
    return this.#reasoning.get(tenant, callId)
  }
}
