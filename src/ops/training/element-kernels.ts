/**
 * Generated SIMD for the elementwise work of training: softmax rows, activations with their slopes, norms, rotations, sums, AdamW. Each is the
 * vector form of the plain loop beside which it is called.
 */
import { ModuleBuilder } from '../wasm/encoder.ts'
import { activationKernels } from './activation-kernels.ts'
import { attentionKernels } from './attention-kernels.ts'
import { decodeKernels } from './decode-kernels.ts'
import { normKernels } from './norm-kernels.ts'
import { adamwKernel, rotateKernels, sumKernels } from './row-kernels.ts'

/** The numbers of a gated activation (`gatedSplit` says the formula). */
export type GatedForm = [alpha: number, limit: number, plus: number]
type GatedKernel = (gate: number, up: number, out: number, count: number, ...form: GatedForm) => void
type GatedSlopesKernel = (gate: number, up: number, dOut: number, dGate: number, dUp: number, count: number, ...form: GatedForm) => void

/** Pointers in bytes, counts in values. */
export interface ElementKernels {
  /** Scores [n, stride] -> causal probabilities in place; columns outside of the window become 0. `stride` is a multiple of 4 values, n of them used. */
  softmaxCausal(p: number, n: number, stride: number, window: number, scale: number, sink: number, hasSink: number): void
  /** d p -> d score in place, times scale; returns Σ_t (1 - Σ_s p)·Σ_s p·d. */
  softmaxCausalBackward(p: number, d: number, n: number, stride: number, scale: number): number
  /**
   * out[i] = g·σ(alpha·g)·(u + plus) with g = min(gate, limit), u = clamp(up, ±limit).
   * Interleaved: `gate` points to gate 0, up 0, gate 1, up 1 …, and `up` is not read.
   */
  gatedInterleaved: GatedKernel
  gatedSplit: GatedKernel
  /** Writes d gate and d up, interleaved, to `dGate`. */
  gatedInterleavedBackward: GatedSlopesKernel
  /** Adds to d gate and d up. */
  gatedSplitBackward: GatedSlopesKernel
  geluTanh(x: number, out: number, count: number): void
  /** Adds to d x. */
  geluTanhBackward(x: number, dOut: number, dx: number, count: number): void
  /** One row: out = exp(x - max), returns the sum; `max` is returned by `rowMax`. */
  rowMax(x: number, count: number): number
  expRow(x: number, out: number, count: number, max: number): number
  /** out[i] = a[i] + factor·b[i]; `out` may be `a`. */
  sum(a: number, b: number, out: number, count: number, factor: number): void
  /** into[o] += Σ_t from[t·width + o] */
  sumRows(from: number, into: number, rows: number, width: number): void
  /** Rows of `width` values, a multiple of 4. The backward forms add to every gradient. */
  layerNorm(x: number, gain: number, bias: number, y: number, rows: number, width: number, eps: number): void
  layerNormBackward(
    x: number,
    gain: number,
    dy: number,
    dx: number,
    dGain: number,
    dBias: number,
    rows: number,
    width: number,
    eps: number,
  ): void
  rmsNorm(x: number, gain: number, y: number, rows: number, width: number, eps: number, unitOffset: number): void
  rmsNormBackward(
    x: number,
    gain: number,
    dy: number,
    dx: number,
    dGain: number,
    rows: number,
    width: number,
    eps: number,
    unitOffset: number,
  ): void
  /** Rotates pairs (i, i + half) of every head; cos and sin [rows, half], half a multiple of 4. */
  rotate(x: number, y: number, cos: number, sin: number, rows: number, heads: number, half: number): void
  /** Adds the inverse rotation. */
  rotateBack(dy: number, dx: number, cos: number, sin: number, rows: number, heads: number, half: number): void
  /** One step of AdamW on `count` values, a multiple of 4; clears the gradient. */
  adamw(
    values: number,
    gradients: number,
    first: number,
    second: number,
    count: number,
    keep: number,
    rate: number,
    beta1: number,
    beta2: number,
    correction2: number,
    eps: number,
    factor: number,
  ): void
  /** `count` values of bf16, a multiple of 8, to f32. */
  decodeBf16(from: number, to: number, count: number): void
  /** `count` values of MXFP4, a multiple of 32, to f32; `factors`: of each block half of its scale, in f32. */
  decodeMxfp4(blocks: number, factors: number, to: number, count: number): void
}

export function elementModule(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const memory = module.memory(shared)
  attentionKernels(module, memory)
  activationKernels(module, memory)
  sumKernels(module, memory)
  normKernels(module, memory)
  rotateKernels(module, memory)
  adamwKernel(module, memory)
  decodeKernels(module, memory)
  return module.encode()
}
