/**
 * The backend that trains: every op of the vocabulary with its derivative, over typed arrays in one thread. The precise form (f64, plain
 * loops) is the reference for gradients. The fast form (f32, generated SIMD products) uses a WebAssembly memory that threads may share.
 * Not for inference: it has no caches and keeps all results until `reset`.
 */
import type { Gated } from '../../architecture/architecture.ts'
import type { StoredWeight } from '../decode.ts'
import type { GradientOps } from '../gradients.ts'
import type { AttentionOptions, Batch, Experts, Rotation, Routing, Scan } from '../ops.ts'
import { size, type Tensor } from '../tensor.ts'
import { probeFeatures } from '../wasm/features.ts'
import { compileNow } from '../wasm/host.ts'
import { gatedForward, gatedSlopes, gelu, geluBackward } from './activations.ts'
import { type AttentionMemory, attention, attentionBackward } from './attention.ts'
import * as dense from './dense.ts'
import { type ElementKernels, elementModule } from './element-kernels.ts'
import { Frozen } from './frozen.ts'
import { type Floats, matmulScratch, plainMatmul, simdMatmul } from './matmul.ts'
import { matmulModule } from './matmul-kernels.ts'
import { balanceLoss, balanceLossBackward, type MoeMemory, moe, moeBackward, type Route, route, routeBackward } from './mixture.ts'
import { convolution, convolutionBackward, selectiveScan, selectiveScanBackward } from './state.ts'
import { gradientOf, HeapArena, outputGradient, RegionArena, result, type TrainingContext, Value, value } from './values.ts'

export { Value } from './values.ts'

/** f64 and plain loops. */
export const referenceTraining = (): TrainingBackend => new TrainingBackend({ arena: new HeapArena(), matmul: plainMatmul })

/** The compiled kernels, which threads share. */
export interface TrainingModules {
  matmul: WebAssembly.Module
  elements: WebAssembly.Module
  /** Whether the kernels may use vectors of 8 lanes. */
  wide: boolean
}

export function trainingModules(shared: boolean): TrainingModules {
  const { wide } = probeFeatures()
  return {
    matmul: compileNow(matmulModule(shared, wide), wide),
    elements: compileNow(elementModule(shared), wide),
    wide,
  }
}

/** f32 and SIMD in `memory` from `byteOffset` on, at most `bytes` bytes. */
export function simdTraining(memory: WebAssembly.Memory, byteOffset: number, bytes: number, modules: TrainingModules): TrainingBackend {
  const scratch = matmulScratch() * 4
  const arena = new RegionArena(memory.buffer, byteOffset + scratch, Math.floor((bytes - scratch) / 4))
  const kernels = new WebAssembly.Instance(modules.elements, { memory: { 0: memory } }).exports as unknown as ElementKernels
  return new TrainingBackend({ arena, matmul: simdMatmul(memory, byteOffset, modules.matmul, modules.wide), kernels })
}

export class TrainingBackend implements GradientOps {
  readonly context: { -readonly [K in keyof TrainingContext]: TrainingContext[K] }
  readonly #memories = new WeakMap<object, unknown>()
  /** The table of the last batch, per rotation. */
  readonly #rotationTables = new Map<Rotation, { batch: Batch; table: dense.RotationTable }>()
  /** When not null, every attention adds what it kept, for those who want to look at the probabilities. */
  watched: AttentionMemory[] | null = null
  /** Values that the largest body of `recomputed` took since `reset`. */
  largestBody = 0
  #randomSeed = 0
  #draws = 0

  constructor(context: TrainingContext) {
    this.context = context
  }

  /** Calls `see` at every matrix product from now on: for counting work. */
  watchProducts(see: (M: number, N: number, K: number) => void): void {
    const { matmul } = this.context
    this.context.matmul = (...call) => {
      see(call[2], call[3], call[4])
      matmul(...call)
    }
  }

  reset(randomSeed: number): void {
    this.context.arena.reset()
    this.largestBody = 0
    this.#rotationTables.clear()
    this.#randomSeed = randomSeed
    this.#draws = 0
  }

  /** A tensor over an existing array; with a gradient array it is a weight, without one a constant. */
  tensor(shape: readonly number[], data: Floats, gradient?: Floats, name?: string): Value {
    if (data.length !== size(shape)) throw new RangeError(`${name ?? 'tensor'}: ${data.length} values for shape [${shape}]`)
    const made = new Value(shape, data, gradient !== undefined, name)
    if (gradient) made.gradient = gradient
    return made
  }

  /** A weight that is not trained, as it is published. */
  frozen(shape: readonly number[], stored: StoredWeight, name?: string): Value {
    return new Frozen(shape, stored, name)
  }

  /** Runs work whose results are not needed afterwards. The gradient of x outlives it. */
  within<R>(x: Tensor, work: () => R): R {
    gradientOf(this.context, x)
    const mark = this.context.arena.mark()
    try {
      return work()
    } finally {
      this.context.arena.release(mark)
    }
  }

  recomputed(input: Tensor, body: () => Tensor): { y: Value; again(work: () => void): void } {
    const { arena } = this.context
    const draws = this.#draws
    const mark = arena.mark()
    const made = value(body())
    this.largestBody = Math.max(this.largestBody, arena.mark() - mark)
    arena.release(mark)
    this.#rotationTables.clear()
    const y = result(this.context, made.shape)
    y.data.set(made.data)
    const again = (work: () => void) =>
      this.within(input, () => {
        this.#draws = draws
        value(body()).gradient = outputGradient(y)
        work()
        this.#rotationTables.clear()
      })
    return { y, again }
  }

  /** The values of a result. */
  values(x: Tensor): Floats {
    return value(x).data
  }

  /** The gradient collected so far; undefined without one. */
  gradient(x: Tensor): Floats | undefined {
    return outputGradient(x) ?? undefined
  }

  /** The gradient of a result, zero where nothing was collected yet: for those who fill it. */
  gradientFor(x: Tensor): Floats {
    return gradientOf(this.context, x)!
  }

  /** A seed of its own for every random op of a pass. */
  #drawSeed(): number {
    return Math.imul(this.#randomSeed ^ 0x51ed270b, 0x2c1b3c6d) + Math.imul(++this.#draws, 0x297a2d39)
  }

  #rotationTable(rotation: Rotation, batch: Batch): dense.RotationTable {
    const known = this.#rotationTables.get(rotation)
    if (known?.batch === batch) return known.table
    const table = dense.rotationTable(this.context, rotation, batch)
    this.#rotationTables.set(rotation, { batch, table })
    return table
  }

  scope<R>(_name: string, body: () => R): R {
    return body()
  }
  seed(loss: Tensor): void {
    gradientOf(this.context, loss)![0] = 1
  }

  embed: GradientOps['embed'] = (table, index, scale) => dense.embed(this.context, value(table), index, scale)
  embedBackward: GradientOps['embedBackward'] = (y, table, index, scale) =>
    dense.embedBackward(this.context, value(y), value(table), index, scale)
  add: GradientOps['add'] = (a, b, factor) => dense.add(this.context, value(a), value(b), factor)
  addBackward: GradientOps['addBackward'] = (y, a, b, factor) => dense.addBackward(this.context, value(y), value(a), value(b), factor)
  linear: GradientOps['linear'] = (x, weight, bias) => dense.linear(this.context, value(x), value(weight), bias && value(bias))
  linearBackward: GradientOps['linearBackward'] = (y, x, weight, bias) =>
    dense.linearBackward(this.context, value(y), value(x), value(weight), bias && value(bias))
  join: GradientOps['join'] = (a, b, heads) => dense.join(this.context, value(a), value(b), heads)
  joinBackward: GradientOps['joinBackward'] = (y, a, b, heads) => dense.joinBackward(this.context, value(y), value(a), value(b), heads)
  layerNorm: GradientOps['layerNorm'] = (x, gain, bias, eps) =>
    dense.layerNorm(this.context, value(x), gain && value(gain), bias && value(bias), eps)
  layerNormBackward: GradientOps['layerNormBackward'] = (y, x, gain, bias, eps) =>
    dense.layerNormBackward(this.context, value(y), value(x), gain && value(gain), bias && value(bias), eps)
  rmsNorm: GradientOps['rmsNorm'] = (x, gain, eps, unitOffset) => dense.rmsNorm(this.context, value(x), value(gain), eps, unitOffset)
  rmsNormBackward: GradientOps['rmsNormBackward'] = (y, x, gain, eps, unitOffset) =>
    dense.rmsNormBackward(this.context, value(y), value(x), value(gain), eps, unitOffset)
  rope: GradientOps['rope'] = (x, rotation, batch) => dense.rope(this.context, value(x), rotation, this.#rotationTable(rotation, batch))
  ropeBackward: GradientOps['ropeBackward'] = (y, x, rotation, batch) =>
    dense.ropeBackward(this.context, value(y), value(x), rotation, this.#rotationTable(rotation, batch))
  attention(q: Tensor, k: Tensor, v: Tensor | undefined, batch: Batch, options: AttentionOptions): Value {
    const { y, memory } = attention(this.context, value(q), value(k), v && value(v), batch, options, this.#drawSeed())
    this.#memories.set(y, memory)
    this.watched?.push(memory)
    return y
  }
  attentionBackward: GradientOps['attentionBackward'] = (y, q, k, v, _, options) =>
    attentionBackward(this.context, value(y), value(q), value(k), v && value(v), options, this.#memories.get(y) as AttentionMemory)
  convolution(x: Tensor, weight: Tensor, bias: Tensor | undefined, batch: Batch): Value {
    const { y, memory } = convolution(this.context, value(x), value(weight), bias && value(bias), batch)
    this.#memories.set(y, memory)
    return y
  }
  convolutionBackward: GradientOps['convolutionBackward'] = (y, x, weight, bias, batch) =>
    convolutionBackward(this.context, value(y), value(x), value(weight), bias && value(bias), batch, this.#memories.get(y) as Floats)
  selectiveScan(x: Tensor, scan: Scan, batch: Batch): Value {
    const { y, memory } = selectiveScan(this.context, value(x), scan, batch)
    this.#memories.set(y, memory)
    return y
  }
  selectiveScanBackward: GradientOps['selectiveScanBackward'] = (y, x, scan, batch) =>
    selectiveScanBackward(this.context, value(y), value(x), scan, batch, this.#memories.get(y) as Floats)
  gelu: GradientOps['gelu'] = (x, activation) => gelu(this.context, value(x), activation)
  geluBackward: GradientOps['geluBackward'] = (y, x, activation) => geluBackward(this.context, value(y), value(x), activation)
  gated(gate: Tensor, up: Tensor, activation: Gated): Value {
    const y = result(this.context, gate.shape)
    gatedForward(this.context, activation, value(gate).data, value(up).data, 1, y.data)
    return y
  }
  gatedBackward(y: Tensor, gate: Tensor, up: Tensor, activation: Gated): void {
    const dy = outputGradient(y)
    if (!dy) return
    const dGate = gradientOf(this.context, gate)!
    const dUp = gradientOf(this.context, up)!
    gatedSlopes(this.context, activation, value(gate).data, value(up).data, 1, dy, dGate, dUp)
  }
  route: GradientOps['route'] = (x, weight, bias, active, router, correction) =>
    route(this.context, value(x), value(weight), bias && value(bias), active, router, correction && value(correction))
  routeBackward: GradientOps['routeBackward'] = (y, x, weight, bias, _, router) =>
    routeBackward(this.context, y as Route, value(x), value(weight), bias && value(bias), router)
  moe(x: Tensor, routing: Routing, experts: Experts, activation: Gated): Value {
    const { y, memory } = moe(this.context, value(x), routing as Route, experts, activation)
    this.#memories.set(y, memory)
    return y
  }
  moeBackward: GradientOps['moeBackward'] = (y, x, routing, experts, activation) =>
    moeBackward(this.context, value(y), value(x), routing as Route, experts, activation, this.#memories.get(y) as MoeMemory)
  select: GradientOps['select'] = (x, rows) => dense.select(this.context, value(x), rows)
  selectBackward: GradientOps['selectBackward'] = (y, x, rows) => dense.selectBackward(this.context, value(y), value(x), rows)
  scale: GradientOps['scale'] = (x, factor) => dense.scale(this.context, value(x), factor)
  scaleBackward: GradientOps['scaleBackward'] = (y, x, factor) => dense.scaleBackward(this.context, value(y), value(x), factor)
  clamp: GradientOps['clamp'] = (x, limit) => dense.clamp(this.context, value(x), limit)
  clampBackward: GradientOps['clampBackward'] = (y, x, limit) => dense.clampBackward(this.context, value(y), value(x), limit)
  softcap: GradientOps['softcap'] = (x, cap) => dense.softcap(this.context, value(x), cap)
  softcapBackward: GradientOps['softcapBackward'] = (y, x, cap) => dense.softcapBackward(this.context, value(y), value(x), cap)
  dropout(x: Tensor, p: number): Tensor {
    if (p === 0) return x
    const seed = this.#drawSeed()
    const y = dense.dropout(this.context, value(x), p, seed)
    this.#memories.set(y, seed)
    return y
  }
  dropoutBackward(y: Tensor, x: Tensor, p: number): void {
    if (p > 0) dense.dropoutBackward(this.context, value(y), value(x), p, this.#memories.get(y) as number)
  }
  crossEntropy(logits: Tensor, targets: Int32Array, scale: number): Value {
    const { y, probabilities } = dense.crossEntropy(this.context, value(logits), targets, scale)
    this.#memories.set(y, probabilities)
    return y
  }
  crossEntropyBackward: GradientOps['crossEntropyBackward'] = (y, logits, targets, scale) =>
    dense.crossEntropyBackward(this.context, value(y), value(logits), targets, scale, this.#memories.get(y) as Floats)
  balanceLoss: GradientOps['balanceLoss'] = (routing) => balanceLoss(this.context, routing as Route)
  balanceLossBackward: GradientOps['balanceLossBackward'] = (y, routing) => balanceLossBackward(this.context, value(y), routing as Route)
  combine: GradientOps['combine'] = (terms, factors) => dense.combine(this.context, terms, factors)
  combineBackward: GradientOps['combineBackward'] = (y, terms, factors) => dense.combineBackward(this.context, value(y), terms, factors)
}
