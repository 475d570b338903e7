/**
 * Generated SIMD for the elementwise work of training: softmax rows, activations with their slopes, sums. Each is the vector form of the plain
 * loop beside which it is called; the exponential is a polynomial good to 2 units in the last place of f32.
 * Source of the exponential: Cody & Waite 1980 range reduction, coefficients of Cephes expf (Moshier).
 */
import {
  type FunctionBuilder,
  f32,
  f32x4,
  i8x16,
  i32,
  i32x4,
  type Local,
  type Memory,
  ModuleBuilder,
  type Statement,
  type V128,
  v128,
} from '../wasm/encoder.ts'

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
}

const splat = (value: number): V128 => f32x4.splat(value)
const LANES = i32x4.const([0, 1, 2, 3])

/** e^x, lanes of f32; below -87.3 it is 0 or nearly so, above 88 it saturates. */
function exp(f: FunctionBuilder, x: V128): Local<'v128'> {
  const clamped = f.v128(f32x4.pmax(f32x4.pmin(x, splat(88)), splat(-87.3)))
  const n = f.v128(f32x4.nearest(f32x4.mul(clamped, splat(Math.LOG2E))))
  const r = f.v128(f32x4.relaxedMadd(n, splat(2.1219444e-4), f32x4.relaxedMadd(n, splat(-0.693359375), clamped)))
  const p = f.v128(splat(1.98756915e-4))
  for (const c of [1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1])
    f.set(p, f32x4.relaxedMadd(p, r, splat(c)))
  f.set(p, f32x4.add(f32x4.relaxedMadd(p, f32x4.mul(r, r), r), splat(1)))
  const power = i32x4.shl(i32x4.add(i32x4.truncSatF32x4S(n), i32x4.splat(127)), 23)
  return f.v128(f32x4.mul(p, power))
}

/** 1 / (1 + e^-z) */
const sigmoid = (f: FunctionBuilder, z: V128): Local<'v128'> => f.v128(f32x4.div(splat(1), f32x4.add(splat(1), exp(f, f32x4.neg(z)))))

const lane = (x: V128, i: number) => f32x4.extractLane(x, i)
const horizontalSum = (x: V128) => f32.add(f32.add(lane(x, 0), lane(x, 1)), f32.add(lane(x, 2), lane(x, 3)))
const horizontalMax = (x: V128) => f32.max(f32.max(lane(x, 0), lane(x, 1)), f32.max(lane(x, 2), lane(x, 3)))

/** Reads, writes and sums of a vector at a byte offset from a pointer. */
const vectorsOf = (memory: Memory) => ({
  at: (base: Local<'i32'>, offset: Local<'i32'>): V128 => memory.v128(i32.add(base, offset)),
  put: (base: Local<'i32'>, offset: Local<'i32'>, value: V128): Statement => memory.storeV128(i32.add(base, offset), value),
  addAt(f: FunctionBuilder, base: Local<'i32'>, offset: Local<'i32'>, value: V128): void {
    const to = f.i32(i32.add(base, offset))
    f.do(memory.storeV128(to, f32x4.add(memory.v128(to), value)))
  },
})

export function elementModule(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder()
  const memory = module.memory(shared)
  attentionKernels(module, memory)
  activationKernels(module, memory)
  sumKernels(module, memory)
  normKernels(module, memory)
  rotateKernels(module, memory)
  adamwKernel(module, memory)
  return module.encode()
}

function attentionKernels(module: ModuleBuilder, memory: Memory): void {
  /** All bits where low <= column + lane <= t. */
  const inside = (column: Local<'i32'>, low: Local<'i32'>, t: Local<'i32'>): V128 => {
    const index = i32x4.add(i32x4.splat(column), LANES)
    return v128.andNot(i32x4.gtS(i32x4.add(i32x4.splat(t), i32x4.splat(1)), index), i32x4.gtS(i32x4.splat(low), index))
  }
  module.func(
    'softmaxCausal',
    { p: 'i32', n: 'i32', stride: 'i32', window: 'i32', scale: 'f32', sink: 'f32', hasSink: 'i32' },
    (f, { p, n, stride, window, scale, sink, hasSink }) => {
      const scales = f.v128(f32x4.splat(scale))
      const bytes = f.i32(i32.shl(stride, 2))
      f.for(0, n, 1, (t) => {
        const low = f.i32(i32.sub(i32.add(t, 1), window))
        f.set(low, i32.select(i32.ltS(low, 0), 0, low))
        const start = f.i32(i32.and(low, -4))
        const end = f.i32(i32.add(t, 1))
        const largest = f.v128(f32x4.splat(f32.select(hasSink, sink, -3e38)))
        const mask = f.v128()
        f.for(start, end, 4, (s) => {
          const at = i32.add(p, i32.shl(s, 2))
          f.set(largest, f32x4.pmax(largest, v128.bitselect(f32x4.mul(memory.v128(at), scales), largest, inside(s, low, t))))
        })
        const top = f.f32(horizontalMax(largest))
        const tops = f.v128(f32x4.splat(top))
        const sums = f.v128(v128.zero())
        f.for(start, end, 4, (s) => {
          const at = f.i32(i32.add(p, i32.shl(s, 2)))
          f.set(mask, inside(s, low, t))
          const e = f.v128(v128.and(exp(f, f32x4.sub(f32x4.mul(memory.v128(at), scales), tops)), mask))
          f.do(memory.storeV128(at, e))
          f.set(sums, f32x4.add(sums, e))
        })
        const total = f.f32(horizontalSum(sums))
        f.if(hasSink, () => f.set(total, f32.add(total, lane(exp(f, f32x4.splat(f32.sub(sink, top))), 0))))
        const inverse = f.v128(f32x4.splat(f32.div(1, total)))
        f.do(memory.fill(p, 0, i32.shl(start, 2)))
        f.for(start, end, 4, (s) => {
          const at = f.i32(i32.add(p, i32.shl(s, 2)))
          f.do(memory.storeV128(at, f32x4.mul(memory.v128(at), inverse)))
        })
        const rest = f.i32(i32.shl(i32.and(i32.add(t, 4), -4), 2))
        f.do(memory.fill(i32.add(p, rest), 0, i32.sub(bytes, rest)))
        f.advance(p, bytes)
      })
    },
  )
  module.func(
    'softmaxCausalBackward',
    { p: 'i32', d: 'i32', n: 'i32', stride: 'i32', scale: 'f32' },
    (f, { p, d, n, stride, scale }) => {
      const bytes = f.i32(i32.shl(stride, 2))
      const sink = f.f32(0)
      const zero = f.i32(0)
      const scales = f.v128(f32x4.splat(scale))
      f.for(0, n, 1, (t) => {
        const dots = f.v128(v128.zero())
        const masses = f.v128(v128.zero())
        const end = f.i32(i32.add(t, 1))
        f.for(0, end, 4, (s) => {
          const offset = f.i32(i32.shl(s, 2))
          const probability = f.v128(memory.v128(i32.add(p, offset)))
          // Columns beyond t hold whatever was there before: masked, not multiplied by zero.
          const slope = f.v128(v128.and(memory.v128(i32.add(d, offset)), inside(s, zero, t)))
          f.set(dots, f32x4.add(dots, f32x4.mul(probability, slope)))
          f.set(masses, f32x4.add(masses, probability))
          f.do(memory.storeV128(i32.add(d, offset), slope))
        })
        const dot = f.f32(horizontalSum(dots))
        f.set(sink, f32.add(sink, f32.mul(f32.sub(1, horizontalSum(masses)), dot)))
        const all = f.v128(f32x4.splat(dot))
        f.for(0, end, 4, (s) => {
          const offset = f.i32(i32.shl(s, 2))
          const at = f.i32(i32.add(d, offset))
          f.do(memory.storeV128(at, f32x4.mul(f32x4.mul(memory.v128(i32.add(p, offset)), f32x4.sub(memory.v128(at), all)), scales)))
        })
        const rest = f.i32(i32.shl(i32.and(i32.add(t, 4), -4), 2))
        f.do(memory.fill(i32.add(d, rest), 0, i32.sub(bytes, rest)))
        f.advance(p, bytes)
        f.advance(d, bytes)
      })
      return sink
    },
    'f32',
  )
}

function activationKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put, addAt } = vectorsOf(memory)
  const each = (f: FunctionBuilder, count: Local<'i32'>, body: (offset: Local<'i32'>) => void) => {
    const bytes = f.i32(i32.shl(count, 2))
    f.for(0, bytes, 16, body)
  }
  interface Constants {
    alpha: Local<'v128'>
    limit: Local<'v128'>
    plus: Local<'v128'>
  }
  const constants = (f: FunctionBuilder, p: { alpha: Local<'f32'>; limit: Local<'f32'>; plus: Local<'f32'> }): Constants => ({
    alpha: f.v128(f32x4.splat(p.alpha)),
    limit: f.v128(f32x4.splat(p.limit)),
    plus: f.v128(f32x4.splat(p.plus)),
  })
  const clampUp = (f: FunctionBuilder, up: V128, { limit }: Constants) => f.v128(f32x4.pmax(f32x4.pmin(up, limit), f32x4.neg(limit)))
  const value = (f: FunctionBuilder, gate: Local<'v128'>, up: Local<'v128'>, c: Constants): V128 => {
    const g = f.v128(f32x4.pmin(gate, c.limit))
    const sigma = sigmoid(f, f32x4.mul(c.alpha, g))
    return f32x4.mul(f32x4.mul(g, sigma), f32x4.add(clampUp(f, up, c), c.plus))
  }
  /** Slopes of gate and up, times d. */
  const slopes = (f: FunctionBuilder, gate: Local<'v128'>, up: Local<'v128'>, d: Local<'v128'>, c: Constants) => {
    const g = f.v128(f32x4.pmin(gate, c.limit))
    const u = clampUp(f, up, c)
    const sigma = sigmoid(f, f32x4.mul(c.alpha, g))
    const inner = f32x4.add(splat(1), f32x4.mul(f32x4.mul(c.alpha, g), f32x4.sub(splat(1), sigma)))
    const dGate = f.v128(v128.and(f32x4.mul(f32x4.mul(d, f32x4.add(u, c.plus)), f32x4.mul(sigma, inner)), f32x4.le(gate, c.limit)))
    const dUp = f.v128(v128.and(f32x4.mul(f32x4.mul(d, g), sigma), f32x4.eq(u, up)))
    return { dGate, dUp }
  }
  const EVEN = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]
  const ODD = EVEN.map((i) => i + 4)
  const LOW = [0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23]
  const HIGH = LOW.map((i) => i + 8)
  const shuffle = i8x16.shuffle
  const unmix = (f: FunctionBuilder, mixed: Local<'i32'>, offset: Local<'i32'>) => {
    const from = f.i32(i32.add(mixed, i32.shl(offset, 1)))
    const a = f.v128(memory.v128(from))
    const b = f.v128(memory.v128(from, 16))
    return { gate: f.v128(shuffle(a, b, EVEN)), up: f.v128(shuffle(a, b, ODD)) }
  }

  const form = { alpha: 'f32', limit: 'f32', plus: 'f32' } as const
  for (const interleaved of [true, false]) {
    const name = interleaved ? 'gatedInterleaved' : 'gatedSplit'
    const load = (f: FunctionBuilder, p: { gate: Local<'i32'>; up: Local<'i32'> }, offset: Local<'i32'>) =>
      interleaved ? unmix(f, p.gate, offset) : { gate: f.v128(at(p.gate, offset)), up: f.v128(at(p.up, offset)) }
    module.func(name, { gate: 'i32', up: 'i32', out: 'i32', count: 'i32', ...form }, (f, p) => {
      const c = constants(f, p)
      each(f, p.count, (offset) => {
        const { gate, up } = load(f, p, offset)
        f.do(put(p.out, offset, value(f, gate, up, c)))
      })
    })
    const pointers = { gate: 'i32', up: 'i32', dOut: 'i32', dGate: 'i32', dUp: 'i32' } as const
    module.func(`${name}Backward`, { ...pointers, count: 'i32', ...form }, (f, p) => {
      const c = constants(f, p)
      each(f, p.count, (offset) => {
        const { gate, up } = load(f, p, offset)
        const { dGate, dUp } = slopes(f, gate, up, f.v128(at(p.dOut, offset)), c)
        if (interleaved) {
          const to = f.i32(i32.add(p.dGate, i32.shl(offset, 1)))
          f.do(memory.storeV128(to, shuffle(dGate, dUp, LOW)), memory.storeV128(to, shuffle(dGate, dUp, HIGH), 16))
        } else {
          addAt(f, p.dGate, offset, dGate)
          addAt(f, p.dUp, offset, dUp)
        }
      })
    })
  }

  // gelu(x) = x·σ(2·sqrt(2/π)·(x + 0.044715·x³)), the tanh form rewritten.
  const ROOT = 2 * Math.sqrt(2 / Math.PI)
  const CUBE = 0.044715
  const geluSigma = (f: FunctionBuilder, x: Local<'v128'>) => {
    const square = f32x4.mul(x, x)
    return sigmoid(f, f32x4.mul(f32x4.mul(splat(ROOT), x), f32x4.add(splat(1), f32x4.mul(splat(CUBE), square))))
  }
  module.func('geluTanh', { x: 'i32', out: 'i32', count: 'i32' }, (f, p) => {
    each(f, p.count, (offset) => {
      const x = f.v128(at(p.x, offset))
      f.do(put(p.out, offset, f32x4.mul(x, geluSigma(f, x))))
    })
  })
  module.func('geluTanhBackward', { x: 'i32', dOut: 'i32', dx: 'i32', count: 'i32' }, (f, p) => {
    each(f, p.count, (offset) => {
      const x = f.v128(at(p.x, offset))
      const sigma = geluSigma(f, x)
      const inner = f32x4.mul(splat(ROOT), f32x4.add(splat(1), f32x4.mul(splat(3 * CUBE), f32x4.mul(x, x))))
      const slope = f32x4.add(sigma, f32x4.mul(f32x4.mul(x, inner), f32x4.mul(sigma, f32x4.sub(splat(1), sigma))))
      addAt(f, p.dx, offset, f32x4.mul(at(p.dOut, offset), slope))
    })
  })
}

function sumKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put } = vectorsOf(memory)
  const whole = (f: FunctionBuilder, count: Local<'i32'>) => f.i32(i32.shl(i32.and(count, -4), 2))
  const all = (f: FunctionBuilder, count: Local<'i32'>) => f.i32(i32.shl(count, 2))
  module.func(
    'rowMax',
    { x: 'i32', count: 'i32' },
    (f, p) => {
      const largest = f.v128(splat(-3e38))
      const bytes = whole(f, p.count)
      f.for(0, bytes, 16, (offset) => f.set(largest, f32x4.pmax(largest, at(p.x, offset))))
      const top = f.f32(horizontalMax(largest))
      f.for(bytes, all(f, p.count), 4, (offset) => f.set(top, f32.max(top, memory.f32(i32.add(p.x, offset)))))
      return top
    },
    'f32',
  )
  module.func(
    'expRow',
    { x: 'i32', out: 'i32', count: 'i32', max: 'f32' },
    (f, p) => {
      const tops = f.v128(f32x4.splat(p.max))
      const sums = f.v128(v128.zero())
      const bytes = whole(f, p.count)
      f.for(0, bytes, 16, (offset) => {
        const e = exp(f, f32x4.sub(at(p.x, offset), tops))
        f.do(put(p.out, offset, e))
        f.set(sums, f32x4.add(sums, e))
      })
      const total = f.f32(horizontalSum(sums))
      f.for(bytes, all(f, p.count), 4, (offset) => {
        const e = f.f32(lane(exp(f, f32x4.splat(f32.sub(memory.f32(i32.add(p.x, offset)), p.max))), 0))
        f.do(memory.storeF32(i32.add(p.out, offset), e))
        f.set(total, f32.add(total, e))
      })
      return total
    },
    'f32',
  )
  module.func('sum', { a: 'i32', b: 'i32', out: 'i32', count: 'i32', factor: 'f32' }, (f, p) => {
    const factors = f.v128(f32x4.splat(p.factor))
    const bytes = whole(f, p.count)
    f.for(0, bytes, 16, (offset) => f.do(put(p.out, offset, f32x4.add(at(p.a, offset), f32x4.mul(factors, at(p.b, offset))))))
    f.for(bytes, all(f, p.count), 4, (offset) => {
      const addend = f32.mul(p.factor, memory.f32(i32.add(p.b, offset)))
      f.do(memory.storeF32(i32.add(p.out, offset), f32.add(memory.f32(i32.add(p.a, offset)), addend)))
    })
  })
  module.func('sumRows', { from: 'i32', into: 'i32', rows: 'i32', width: 'i32' }, (f, p) => {
    const stride = f.i32(i32.shl(p.width, 2))
    const bytes = whole(f, p.width)
    f.for(0, bytes, 16, (offset) => {
      const total = f.v128(at(p.into, offset))
      const row = f.i32(i32.add(p.from, offset))
      f.times(p.rows, () => {
        f.set(total, f32x4.add(total, memory.v128(row)))
        f.advance(row, stride)
      })
      f.do(put(p.into, offset, total))
    })
    f.for(bytes, stride, 4, (offset) => {
      const total = f.f32(memory.f32(i32.add(p.into, offset)))
      const row = f.i32(i32.add(p.from, offset))
      f.times(p.rows, () => {
        f.set(total, f32.add(total, memory.f32(row)))
        f.advance(row, stride)
      })
      f.do(memory.storeF32(i32.add(p.into, offset), total))
    })
  })
}

function normKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put, addAt } = vectorsOf(memory)
  /** 1 / sqrt(Σ squares / width + eps), in all lanes. */
  const inverseRoot = (f: FunctionBuilder, squares: Local<'v128'>, width: Local<'f32'>, eps: Local<'f32'>) =>
    f.v128(f32x4.splat(f32.div(1, f32.sqrt(f32.add(f32.div(horizontalSum(squares), width), eps)))))

  module.func('layerNorm', { x: 'i32', gain: 'i32', bias: 'i32', y: 'i32', rows: 'i32', width: 'i32', eps: 'f32' }, (f, p) => {
    const bytes = f.i32(i32.shl(p.width, 2))
    const width = f.f32(f32.convertI32(p.width))
    f.times(p.rows, () => {
      const { mean, inverse } = moments(f, p.x, bytes, width, p.eps)
      f.for(0, bytes, 16, (o) => {
        const normed = f32x4.mul(f32x4.sub(at(p.x, o), mean), inverse)
        f.do(put(p.y, o, f32x4.add(f32x4.mul(normed, at(p.gain, o)), at(p.bias, o))))
      })
      f.advance(p.x, bytes)
      f.advance(p.y, bytes)
    })
  })
  function moments(f: FunctionBuilder, x: Local<'i32'>, bytes: Local<'i32'>, width: Local<'f32'>, eps: Local<'f32'>) {
    const sums = f.v128(v128.zero())
    f.for(0, bytes, 16, (o) => f.set(sums, f32x4.add(sums, at(x, o))))
    const mean = f.v128(f32x4.splat(f32.div(horizontalSum(sums), width)))
    const squares = f.v128(v128.zero())
    f.for(0, bytes, 16, (o) => {
      const away = f.v128(f32x4.sub(at(x, o), mean))
      f.set(squares, f32x4.add(squares, f32x4.mul(away, away)))
    })
    return { mean, inverse: inverseRoot(f, squares, width, eps) }
  }
  module.func(
    'layerNormBackward',
    { x: 'i32', gain: 'i32', dy: 'i32', dx: 'i32', dGain: 'i32', dBias: 'i32', rows: 'i32', width: 'i32', eps: 'f32' },
    (f, p) => {
      const bytes = f.i32(i32.shl(p.width, 2))
      const width = f.f32(f32.convertI32(p.width))
      f.times(p.rows, () => {
        const { mean, inverse } = moments(f, p.x, bytes, width, p.eps)
        const sums = f.v128(v128.zero())
        const products = f.v128(v128.zero())
        f.for(0, bytes, 16, (o) => {
          const normed = f.v128(f32x4.mul(f32x4.sub(at(p.x, o), mean), inverse))
          const slope = f.v128(at(p.dy, o))
          addAt(f, p.dGain, o, f32x4.mul(slope, normed))
          addAt(f, p.dBias, o, slope)
          const scaled = f.v128(f32x4.mul(slope, at(p.gain, o)))
          f.set(sums, f32x4.add(sums, scaled))
          f.set(products, f32x4.add(products, f32x4.mul(scaled, normed)))
        })
        const sum = f.v128(f32x4.splat(f32.div(horizontalSum(sums), width)))
        const product = f.v128(f32x4.splat(f32.div(horizontalSum(products), width)))
        f.for(0, bytes, 16, (o) => {
          const normed = f32x4.mul(f32x4.sub(at(p.x, o), mean), inverse)
          const inner = f32x4.sub(f32x4.sub(f32x4.mul(at(p.dy, o), at(p.gain, o)), sum), f32x4.mul(normed, product))
          addAt(f, p.dx, o, f32x4.mul(inverse, inner))
        })
        f.advance(p.x, bytes)
        f.advance(p.dy, bytes)
        f.advance(p.dx, bytes)
      })
    },
  )
  const meanSquare = (f: FunctionBuilder, x: Local<'i32'>, bytes: Local<'i32'>) => {
    const squares = f.v128(v128.zero())
    f.for(0, bytes, 16, (o) => {
      const value = f.v128(at(x, o))
      f.set(squares, f32x4.add(squares, f32x4.mul(value, value)))
    })
    return squares
  }
  module.func('rmsNorm', { x: 'i32', gain: 'i32', y: 'i32', rows: 'i32', width: 'i32', eps: 'f32', unitOffset: 'f32' }, (f, p) => {
    const bytes = f.i32(i32.shl(p.width, 2))
    const width = f.f32(f32.convertI32(p.width))
    const unit = f.v128(f32x4.splat(p.unitOffset))
    f.times(p.rows, () => {
      const inverse = inverseRoot(f, meanSquare(f, p.x, bytes), width, p.eps)
      f.for(0, bytes, 16, (o) => f.do(put(p.y, o, f32x4.mul(f32x4.mul(at(p.x, o), inverse), f32x4.add(at(p.gain, o), unit)))))
      f.advance(p.x, bytes)
      f.advance(p.y, bytes)
    })
  })
  module.func(
    'rmsNormBackward',
    { x: 'i32', gain: 'i32', dy: 'i32', dx: 'i32', dGain: 'i32', rows: 'i32', width: 'i32', eps: 'f32', unitOffset: 'f32' },
    (f, p) => {
      const bytes = f.i32(i32.shl(p.width, 2))
      const width = f.f32(f32.convertI32(p.width))
      const unit = f.v128(f32x4.splat(p.unitOffset))
      f.times(p.rows, () => {
        const inverse = inverseRoot(f, meanSquare(f, p.x, bytes), width, p.eps)
        const products = f.v128(v128.zero())
        f.for(0, bytes, 16, (o) => {
          const slope = f.v128(at(p.dy, o))
          const value = f.v128(at(p.x, o))
          addAt(f, p.dGain, o, f32x4.mul(f32x4.mul(slope, value), inverse))
          f.set(products, f32x4.add(products, f32x4.mul(f32x4.mul(slope, f32x4.add(at(p.gain, o), unit)), value)))
        })
        const pull = f.v128(f32x4.mul(f32x4.mul(inverse, inverse), f32x4.splat(f32.div(horizontalSum(products), width))))
        f.for(0, bytes, 16, (o) => {
          const inner = f32x4.sub(f32x4.mul(at(p.dy, o), f32x4.add(at(p.gain, o), unit)), f32x4.mul(at(p.x, o), pull))
          addAt(f, p.dx, o, f32x4.mul(inverse, inner))
        })
        f.advance(p.x, bytes)
        f.advance(p.dy, bytes)
        f.advance(p.dx, bytes)
      })
    },
  )
}

function rotateKernels(module: ModuleBuilder, memory: Memory): void {
  const { at, put, addAt } = vectorsOf(memory)
  const build = (name: 'rotate' | 'rotateBack') =>
    module.func(name, { x: 'i32', y: 'i32', cos: 'i32', sin: 'i32', rows: 'i32', heads: 'i32', half: 'i32' }, (f, p) => {
      const bytes = f.i32(i32.shl(p.half, 2))
      f.times(p.rows, () => {
        f.times(p.heads, () => {
          f.for(0, bytes, 16, (o) => {
            const high = f.i32(i32.add(o, bytes))
            const [a, b] = [f.v128(at(p.x, o)), f.v128(at(p.x, high))]
            const [c, s] = [f.v128(at(p.cos, o)), f.v128(at(p.sin, o))]
            if (name === 'rotate') {
              f.do(put(p.y, o, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s))))
              f.do(put(p.y, high, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s))))
            } else {
              addAt(f, p.y, o, f32x4.add(f32x4.mul(a, c), f32x4.mul(b, s)))
              addAt(f, p.y, high, f32x4.sub(f32x4.mul(b, c), f32x4.mul(a, s)))
            }
          })
          f.advance(p.x, i32.shl(bytes, 1))
          f.advance(p.y, i32.shl(bytes, 1))
        })
        f.advance(p.cos, bytes)
        f.advance(p.sin, bytes)
      })
    })
  build('rotate')
  build('rotateBack')
}

function adamwKernel(module: ModuleBuilder, memory: Memory): void {
  const { at, put } = vectorsOf(memory)
  const scalars = { keep: 'f32', rate: 'f32', beta1: 'f32', beta2: 'f32', correction2: 'f32', eps: 'f32', factor: 'f32' } as const
  module.func('adamw', { values: 'i32', gradients: 'i32', first: 'i32', second: 'i32', count: 'i32', ...scalars }, (f, p) => {
    const all = (value: Local<'f32'>) => f.v128(f32x4.splat(value))
    const [keep, rate, beta1, beta2] = [all(p.keep), all(p.rate), all(p.beta1), all(p.beta2)]
    const [correction2, eps, factor] = [all(p.correction2), all(p.eps), all(p.factor)]
    const rest1 = f.v128(f32x4.sub(splat(1), beta1))
    const rest2 = f.v128(f32x4.sub(splat(1), beta2))
    const bytes = f.i32(i32.shl(p.count, 2))
    f.for(0, bytes, 16, (o) => {
      const g = f.v128(f32x4.mul(at(p.gradients, o), factor))
      const m = f.v128(f32x4.add(f32x4.mul(beta1, at(p.first, o)), f32x4.mul(rest1, g)))
      const v = f.v128(f32x4.add(f32x4.mul(beta2, at(p.second, o)), f32x4.mul(rest2, f32x4.mul(g, g))))
      const step = f32x4.div(f32x4.mul(rate, m), f32x4.add(f32x4.sqrt(f32x4.div(v, correction2)), eps))
      f.do(put(p.first, o, m), put(p.second, o, v), put(p.values, o, f32x4.sub(f32x4.mul(at(p.values, o), keep), step)))
      f.do(put(p.gradients, o, v128.zero()))
    })
  })
}
