/**
 * All shards of a run as one: the trainer speaks to a crew and does not know whether its shards share this thread or have their own.
 * Any number of threads gives the same numbers, because the number of shards is part of the configuration.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { type TrainingModules, trainingModules } from '../ops/training/backend.ts'
import type { AdamStep } from './adamw.ts'
import { initializeParameters, type ParameterLayout, parameterLayout } from './parameters.ts'
import { type AttentionMass, type Evaluation, type Example, type MemoryPlan, planMemory, Shard } from './shard.ts'

export interface CrewOptions {
  shards: number
  /** Bytes of results one shard may hold during a pass. */
  arenaBytes: number
  seed: number
}

/** What the shards are asked, as messages that may cross threads. */
export type Order =
  | { kind: 'accumulate'; examples: Example[]; scale: number; seed: number }
  | { kind: 'evaluate'; examples: Example[] }
  | { kind: 'attentionMass'; examples: Example[] }
  | { kind: 'reduce' }
  | { kind: 'update'; options: AdamStep }
  | { kind: 'quantise'; on: boolean }

export function obey(shard: Shard, order: Order): unknown {
  switch (order.kind) {
    case 'accumulate':
      return shard.accumulate(order.examples, order.scale, order.seed)
    case 'evaluate':
      return shard.evaluate(order.examples)
    case 'attentionMass':
      return shard.attentionMass(order.examples)
    case 'reduce':
      return shard.reduce()
    case 'update':
      return shard.update(order.options)
    case 'quantise':
      return shard.quantise(order.on)
  }
}

/** Sends an order to shard i and waits for its answer. */
export type Send = (shard: number, order: Order) => Promise<unknown>

export class Crew {
  readonly architecture: Architecture
  readonly layout: ParameterLayout
  readonly plan: MemoryPlan
  readonly values: Float32Array
  readonly first: Float32Array
  readonly second: Float32Array
  private readonly send: Send
  readonly close: () => Promise<void>

  constructor(architecture: Architecture, memory: WebAssembly.Memory, plan: MemoryPlan, send: Send, close: () => Promise<void>) {
    this.architecture = architecture
    this.layout = parameterLayout(architecture)
    this.plan = plan
    this.send = send
    this.close = close
    const flat = (at: number) => new Float32Array(memory.buffer, at, this.layout.length)
    this.values = flat(plan.values)
    this.first = flat(plan.first)
    this.second = flat(plan.second)
  }

  private all<T>(order: (shard: number) => Order): Promise<T[]> {
    return Promise.all(Array.from({ length: this.plan.shards }, (_, i) => this.send(i, order(i)))) as Promise<T[]>
  }
  /** Example i goes to shard i mod shards. */
  private deal(examples: readonly Example[], shard: number): Example[] {
    return examples.filter((_, i) => i % this.plan.shards === shard)
  }

  /** Sum of the losses of all counted rows times `scale`. */
  async accumulate(examples: readonly Example[], scale: number, seed: number): Promise<number> {
    const losses = await this.all<number>((i) => ({ kind: 'accumulate', examples: this.deal(examples, i), scale, seed: seed + 7919 * i }))
    return losses.reduce((sum, loss) => sum + loss, 0)
  }

  async evaluate(examples: readonly Example[]): Promise<Evaluation> {
    const parts = await this.all<Evaluation>((i) => ({ kind: 'evaluate', examples: this.deal(examples, i) }))
    const correct = examples.map((_, i) => parts[i % this.plan.shards]!.correct[Math.floor(i / this.plan.shards)]!)
    return { loss: parts.reduce((sum, p) => sum + p.loss, 0), rows: parts.reduce((sum, p) => sum + p.rows, 0), correct }
  }

  /** Where the counted rows look, per layer. */
  async attentionMass(examples: readonly Example[]): Promise<AttentionMass[]> {
    return (await this.send(0, { kind: 'attentionMass', examples: [...examples] })) as AttentionMass[]
  }

  /** Sums gradients over shards; the norm, and the name of a tensor whose gradient is not finite. */
  async reduce(): Promise<{ norm: number; broken: string | null }> {
    const parts = await this.all<{ squares: number; broken: number }>(() => ({ kind: 'reduce' }))
    const at = parts.find(({ broken }) => broken >= 0)?.broken
    const broken = at === undefined ? null : this.layout.parameters.findLast((p) => p.at <= at)!.spec.name
    return { norm: Math.sqrt(parts.reduce((sum, { squares }) => sum + squares, 0)), broken }
  }

  async update(options: AdamStep): Promise<void> {
    await this.all(() => ({ kind: 'update', options }))
  }

  async quantise(on: boolean): Promise<void> {
    await this.all(() => ({ kind: 'quantise', on }))
  }
}

/** The memory of a crew with fresh weights in it, and its kernels. */
export function crewMemory(
  architecture: Architecture,
  options: CrewOptions,
): { memory: WebAssembly.Memory; plan: MemoryPlan; modules: TrainingModules } {
  const layout = parameterLayout(architecture)
  const plan = planMemory(layout.length, options.shards, options.arenaBytes)
  const pages = Math.ceil(plan.totalBytes / 65536)
  if (pages > 65536)
    throw new RangeError(
      `training needs ${(plan.totalBytes / 2 ** 30).toFixed(1)} GiB, more than the 4 GiB of a WebAssembly memory: use fewer shards or smaller arenas`,
    )
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  initializeParameters(architecture, layout, new Float32Array(memory.buffer, plan.values, layout.length), options.seed)
  return { memory, plan, modules: trainingModules(true) }
}

/** A crew whose shards take turns in this thread. */
export function inlineCrew(architecture: Architecture, options: CrewOptions): Crew {
  const { memory, plan, modules } = crewMemory(architecture, options)
  const shards = Array.from({ length: options.shards }, (_, i) => new Shard(architecture, memory, plan, i, modules))
  const send: Send = async (i, order) => obey(shards[i]!, order)
  return new Crew(architecture, memory, plan, send, async () => {})
}
