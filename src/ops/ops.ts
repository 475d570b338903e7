/**
 * The vocabulary: every numeric step a model may take, named as the field names it. Whoever implements
 * it gives a feature: `reference` and `wasm` run models, `meter` counts, `probe` watches, `tape` differentiates.
 *
 * Letters used in every shape:
 *   T query rows · S cached positions · D hidden size · H query heads · G key/value heads · K head size, of keys
 *   U value size, K unless said otherwise · F feed-forward width · E experts · A active experts · V vocabulary · L layers · R rows whose logits are wanted
 *
 * Rules: ops enqueue in order and return at once (only `Backend` waits); temporaries are f32 and live until the
 * enclosing `scope` ends; the dtype of a weight is a property of its tensor and never changes the mathematics.
 */
import type { Gated, Gelu, Pairing, Router } from '../architecture/architecture.ts'
import type { Tensor } from './tensor.ts'

/**
 * T rows of one call: each has a token id, a sequence slot and a position in that sequence. The rows of one slot are
 * contiguous and their positions ascend by one; different slots may follow one another in any order. One prompt chunk,
 * one decode step of forty conversations or a training batch are the same thing.
 */
export interface Batch {
  readonly ids: Int32Array
  readonly slots: Int32Array
  readonly positions: Int32Array
}

/** Ids on the device, where `Backend.drawAndKeep` left them: row t has the id of row rows[t] of that draw. */
export interface DrawnIds {
  /** [R, 1] */
  readonly drawn: Tensor
  readonly rows: Int32Array
}

/** Frequencies of a rotary embedding, computed from the architecture in f64 (`model/rope.ts`). */
export interface Rotation {
  readonly headDim: number
  /** R, how many values at the beginning of a head are rotated; the rest pass unchanged. */
  readonly rotaryDim: number
  readonly pairing: Pairing
  /** R/2 angles per position. */
  readonly inverseFrequencies: Float64Array
  /** Factor on cos and sin (YaRN's concentration; 1 elsewhere). */
  readonly amplitude: number
}

/** Keys and values of one layer for all slots of a cache; only the backend that made it can look inside. */
export interface LayerCache {
  readonly kvHeads: number
  /** Width of a key and of a value of one head. */
  readonly keyDim: number
  readonly valueDim: number
  /** The first `valueDim` values of a key are its value too, so only keys are kept (latent attention). */
  readonly valuesInKeys?: boolean
  readonly window: number | null
}

/** The state of one layer for all slots of a cache, instead of keys and values. Its ops take one part each. */
export interface LayerState {
  readonly parts: readonly StatePart[]
}

/** One part of the state of a layer, `values` numbers per slot; only the backend that made it can look inside. */
export interface StatePart {
  readonly values: number
  /** Per slot: the position whose row comes next. A row at position 0 begins anew, whatever the state is. */
  readonly next: Int32Array
}

export interface AttentionOptions {
  heads: number
  kvHeads: number
  /** K, width of a query and of a key of one head. */
  keyDim: number
  /** U, width of a value of one head; equal to K in multi-head attention, smaller in latent attention. */
  valueDim: number
  scale: number
  /** Keys a query sees, itself included; null: all. */
  window: number | null
  /** [H] raw logits that join the denominator of the softmax. */
  sinks?: Tensor
  softcap: number | null
  /** Without a cache a row sees the earlier rows of its slot in this batch only. */
  cache?: LayerCache
  /** Training only: dropout on the attention probabilities. Ops without `dropout` do not read it. */
  dropout?: number
}

/** The coefficients of a selective scan of C channels with N values each; in the paper Δ before softplus, B, C, log -A and D. */
export interface Scan {
  /** [T, C] */
  step: Tensor
  /** [T, N] */
  input: Tensor
  /** [T, N] */
  output: Tensor
  /** [N, C] */
  logRate: Tensor
  /** [C] */
  skip: Tensor
}

/** Which experts each row goes to and with what weight; stays on the device. */
export interface Routing {
  readonly experts: number
  readonly active: number
  /** [T, A] weights; the indices belong to the backend. */
  readonly weights: Tensor
}

export interface Experts {
  /** [E, 2F, D]; row 2j is gate j, row 2j + 1 is up j. */
  gateUp: Tensor
  /** [E, 2F], interleaved likewise. */
  gateUpBias?: Tensor
  gateUpAdapter?: ExpertsAdapter
  /** [E, D, F] */
  down: Tensor
  /** [E, D] */
  downBias?: Tensor
  downAdapter?: ExpertsAdapter
}

/** What is added to the matrix of every expert: W_e + scale·b_e·a_e. a [E, n, I], b [E, O, n]. Hu et al. 2021. */
export interface ExpertsAdapter {
  a: Tensor
  b: Tensor
  scale: number
}

export interface Ops {
  /**
   * Runs `body` in a scope of its own and returns what it returns. The temporaries of the scope end with it; those that the result is or
   * holds (in arrays and plain objects) live on in the enclosing scope. `name` ('layers.3', 'layers.3.attention') tells an observer what
   * the result is; it changes nothing else.
   */
  scope<R>(name: string, body: () => R): R

  /** Rows of a table, times `scale`. y[t] = table[index[t]]·scale. table [V, D] -> [T, D]. Used for tokens (batch.ids) and learned positions (batch.positions). */
  embed(table: Tensor, index: Int32Array, scale: number): Tensor

  /** The same with ids that are on the device, on backends that keep drawn ids. An id of -1 gives any row. table [V, D] -> [T, D]. */
  embedDrawn?(table: Tensor, index: DrawnIds, scale: number): Tensor

  /** Elementwise a + factor·b, factor 1 if absent. [T, D] + [T, D] -> [T, D]. */
  add(a: Tensor, b: Tensor, factor?: number): Tensor

  /**
   * y = x·Wᵀ + b. x [T, I], weight [O, I] of any dtype, bias [O] -> [T, O]. Sums in f32 or better.
   * A weight [n, O, I] is a matrix for each of n groups of columns, as of heads with matrices of their own: x [T, n·I] -> [T, n·O].
   */
  linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor

  /** Columns of a and b side by side for each of `heads` heads. a [T, H·K], b [T, H·U] -> [T, H·(K + U)]. */
  join(a: Tensor, b: Tensor, heads: number): Tensor

  /** (x - mean) / sqrt(variance + eps)·gain + bias over the last axis, biased variance; gain 1 and bias 0 where they are absent. Ba et al. 2016. [T, D] -> [T, D]. */
  layerNorm(x: Tensor, gain: Tensor | undefined, bias: Tensor | undefined, eps: number): Tensor

  /**
   * x / sqrt(mean(x²) + eps)·(gain + unitOffset) over groups of gain.length values: the whole row when gain is [D], each head
   * when it is [K]. Zhang & Sennrich 2019. Statistics in f32 or better. Shape unchanged.
   */
  rmsNorm(x: Tensor, gain: Tensor, eps: number, unitOffset: 0 | 1): Tensor

  /**
   * Rotates pair i of every head by position·inverseFrequencies[i]; cos and sin times amplitude. Pair i is (i, i + R/2), or
   * (2i, 2i + 1) where pairs are interleaved. Su et al. 2021.
   * x [T, H·K] -> [T, H·K]. Angles in f64, then rounded.
   */
  rope(x: Tensor, rotation: Rotation, batch: Batch): Tensor

  /**
   * Causal scaled dot-product attention with grouped heads, sliding window, sinks and soft cap.
   * p = softmax over allowed s of cap(q·k_s·scale), sink logits only in the denominator; y = Σ p_s v_s. Query head h reads
   * key/value head floor(h·G/H). With a cache k and v are stored first at (slot, position), then the row sees all of its slot
   * that its window allows. q [T, H·K], k [T, G·K], v [T, G·U] -> [T, H·U]. Without v the first U values of a key are its value.
   */
  attention(q: Tensor, k: Tensor, v: Tensor | undefined, batch: Batch, options: AttentionOptions): Tensor

  /**
   * Causal convolution of every channel over the rows of its slot, then SiLU: y[t, c] = silu(bias[c] + Σ_k weight[k, c]·x[t - W + 1 + k, c]);
   * rows before position 0 are zero. `state`: the last W rows of x [W, C]; without one a row sees the earlier rows of its slot in this batch only.
   * x [T, C], weight [W, C], bias [C] -> [T, C].
   */
  convolution(x: Tensor, weight: Tensor, bias: Tensor | undefined, batch: Batch, state?: StatePart): Tensor

  /**
   * A linear recurrence whose coefficients depend on the row, over the rows of a slot: Δ = softplus(step[t, c]),
   * h[n, c] = exp(-Δ·e^logRate[n, c])·h[n, c] + Δ·input[t, n]·x[t, c], y[t, c] = skip[c]·x[t, c] + Σ_n output[t, n]·h[n, c]; h is zero before
   * position 0. `state`: h [N, C]; without one a row sees the earlier rows of its slot in this batch only. Gu & Dao 2023, arXiv 2312.00752, Algorithm 2.
   * x [T, C] -> [T, C].
   */
  selectiveScan(x: Tensor, scan: Scan, batch: Batch, state?: StatePart): Tensor

  /** GELU, tanh or erf form. Hendrycks & Gimpel 2016. Shape unchanged. */
  gelu(x: Tensor, activation: Gelu): Tensor

  /** A gated activation of two equal shapes: SwiGLU, clamped SwiGLU or GeGLU. Shazeer 2020. [T, F], [T, F] -> [T, F]. */
  gated(gate: Tensor, up: Tensor, activation: Gated): Tensor

  /**
   * Chooses `active` of E experts per row. logits = x·Wᵀ + b in f32; the k largest (ties: lowest index); groups, scores and weights by
   * `router`. `correction` [E] is added to the scores to choose, not to weigh. x [T, D], weight [E, D] -> weights [T, A].
   */
  route(x: Tensor, weight: Tensor, bias: Tensor | undefined, active: number, router: Router, correction?: Tensor): Routing

  /** y[t] = Σ_a weight[t, a]·(down_e·gated(gateUp_e·x[t] + b1_e) + b2_e) with e the a-th expert of row t; adapters change the matrices. [T, D] -> [T, D]. */
  moe(x: Tensor, routing: Routing, experts: Experts, activation: Gated): Tensor

  /** factor·x. Granite's divided logits. Shape unchanged. */
  scale(x: Tensor, factor: number): Tensor

  /** The given rows, in the given order. [T, D] -> [R, D]. */
  select(x: Tensor, rows: Int32Array): Tensor

  /** cap·tanh(x / cap). Gemma 2. Shape unchanged. */
  softcap(x: Tensor, cap: number): Tensor

  /** min(max(x, -limit), limit). Shape unchanged. */
  clamp(x: Tensor, limit: number): Tensor

  /**
   * Training only, so a backend that only runs models leaves it out: zeroes values with probability p and scales the rest by
   * 1/(1 - p). Identity where p is 0. Srivastava et al. 2014. Shape unchanged.
   */
  dropout?(x: Tensor, p: number): Tensor
}
