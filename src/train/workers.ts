/**
 * All shards of a training run behind one interface. The trainer does not know whether they share its thread or have workers.
 * The number of shards is part of the configuration, so any number of threads gives the same numbers.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { type TrainingModules, trainingModules } from '../ops/training/backend.ts'
import type { AdamStep } from './adamw.ts'
import { fillVectors, type LowRankTraining, vectorLength } from './low-rank.ts'
import { initializeParameters, type ParameterLayout, parameterLayout } from './parameters.ts'
import { type AttentionMass, type Evaluation, type Example, type MemoryPlan, planMemory, Shard } from './shard.ts'

export interface WorkerOptions {
  shards: number
  /** Bytes of results one shard may hold during a pass. */
  arenaBytes: number
  seed: number
  /** Trains adapters beside a base instead of all weights. */
  lowRank?: LowRankTraining
  /** Of workers in this thread: lets its other events happen, such as an interruption. */
  pause?: () => Promise<unknown>
}

type Method = 'accumulate' | 'evaluate' | 'score' | 'attentionMass' | 'reduce' | 'update' | 'quantise'

/** A method of a shard and its arguments: a message that may cross threads. */
export interface ShardRequest {
  method: Method
  args: unknown[]
}

export const handle = (shard: Shard, { method, args }: ShardRequest): unknown =>
  (shard[method] as (...args: unknown[]) => unknown).apply(shard, args)

/** Sends a request to shard i and waits for its result. */
export type Send = (shard: number, request: ShardRequest) => Promise<unknown>

export class TrainingWorkers {
  readonly architecture: Architecture
  readonly layout: ParameterLayout
  readonly plan: MemoryPlan
  readonly values: Float32Array
  readonly first: Float32Array
  readonly second: Float32Array
  readonly #send: Send
  readonly close: () => Promise<void>

  constructor(
    architecture: Architecture,
    { memory, plan }: WorkerMemory,
    send: Send,
    close: () => Promise<void>,
    lowRank?: LowRankTraining,
  ) {
    this.architecture = architecture
    this.layout = parameterLayout(architecture, lowRank)
    this.plan = plan
    this.#send = send
    this.close = close
    const flat = (at: number) => new Float32Array(memory.buffer, at, this.layout.length)
    this.values = flat(plan.values)
    this.first = flat(plan.first)
    this.second = flat(plan.second)
  }

  /** Sum of the losses of all counted rows times `scale`. */
  async accumulate(examples: readonly Example[], scale: number, seed: number): Promise<number> {
    const losses = await this.#all('accumulate', (i) => [this.#examplesOf(i, examples), scale, seed + 7919 * i])
    return losses.reduce((sum, loss) => sum + loss, 0)
  }

  async evaluate(examples: readonly Example[]): Promise<Evaluation> {
    const parts = await this.#all('evaluate', (i) => [this.#examplesOf(i, examples)])
    const correct = examples.map((_, i) => parts[i % this.plan.shards]!.correct[Math.floor(i / this.plan.shards)]!)
    return { loss: parts.reduce((sum, p) => sum + p.loss, 0), rows: parts.reduce((sum, p) => sum + p.rows, 0), correct }
  }

  /** Per example: the log-probabilities of the targets, or with `whole` of all tokens, [rows, V]. */
  async score(examples: readonly Example[], whole = false): Promise<Float32Array[]> {
    const parts = await this.#all('score', (i) => [this.#examplesOf(i, examples), whole])
    return examples.map((_, i) => parts[i % this.plan.shards]![Math.floor(i / this.plan.shards)]!)
  }

  /** What the counted rows attend to, per layer. */
  async attentionMass(examples: readonly Example[]): Promise<AttentionMass[]> {
    return (await this.#send(0, { method: 'attentionMass', args: [examples] })) as AttentionMass[]
  }

  /** Sums gradients over shards. Returns the norm, and the name of a tensor whose gradient is not finite. */
  async reduce(): Promise<{ norm: number; broken: string | null }> {
    const parts = await this.#all('reduce', () => [])
    const at = parts.find(({ broken }) => broken >= 0)?.broken
    const broken = at === undefined ? null : this.layout.parameters.findLast((p) => p.at <= at)!.spec.name
    return { norm: Math.sqrt(parts.reduce((sum, { squares }) => sum + squares, 0)), broken }
  }

  async update(options: AdamStep): Promise<void> {
    await this.#all('update', () => [options])
  }

  async quantise(on: boolean): Promise<void> {
    await this.#all('quantise', () => [on])
  }

  #all<M extends Method>(method: M, args: (shard: number) => Parameters<Shard[M]>): Promise<ReturnType<Shard[M]>[]> {
    const answers = Array.from({ length: this.plan.shards }, (_, i) => this.#send(i, { method, args: args(i) }))
    return Promise.all(answers) as Promise<ReturnType<Shard[M]>[]>
  }

  /** Example i goes to shard i mod shards. */
  #examplesOf(shard: number, examples: readonly Example[]): Example[] {
    return examples.filter((_, i) => i % this.plan.shards === shard)
  }
}

export interface WorkerMemory {
  memory: WebAssembly.Memory
  plan: MemoryPlan
  modules: TrainingModules
}

/** The shared memory of all shards with fresh weights in it, and the kernels. */
export function workerMemory(architecture: Architecture, options: WorkerOptions): WorkerMemory {
  const { lowRank } = options
  const layout = parameterLayout(architecture, lowRank)
  const rounds = layout.parameters.some(({ spec }) => spec.use === 'experts')
  const vectors = lowRank ? vectorLength(lowRank) : 0
  const plan = planMemory(layout.length, options.shards, options.arenaBytes, vectors, rounds)
  const pages = Math.ceil(plan.totalBytes / 65536)
  if (pages > 65536)
    throw new RangeError(
      `training needs ${(plan.totalBytes / 2 ** 30).toFixed(1)} GiB, more than the 4 GiB of a WebAssembly memory: use fewer shards, smaller arenas, or train adapters instead of all weights`,
    )
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true })
  initializeParameters(architecture, layout, new Float32Array(memory.buffer, plan.values, layout.length), options.seed, lowRank)
  if (lowRank) fillVectors(lowRank, new Float32Array(memory.buffer, plan.vectors, vectors))
  return { memory, plan, modules: trainingModules(true) }
}

/** Shards that take turns in this thread. */
export function inlineWorkers(architecture: Architecture, options: WorkerOptions): TrainingWorkers {
  const { memory, plan, modules } = workerMemory(architecture, options)
  const shards = Array.from({ length: options.shards }, (_, i) => new Shard(architecture, memory, plan, i, modules, options.lowRank))
  const send: Send = async (i, request) => {
    if (i === 0) await options.pause?.()
    return handle(shards[i]!, request)
  }
  return new TrainingWorkers(architecture, { memory, plan, modules }, send, async () => {}, options.lowRank)
}
