/**
 * An `Ops` that computes nothing: it follows shapes through the real forward pass and counts multiply-adds, bytes of weights,
 * and what attention reads from and keeps in the cache. Every number of `inspect` and `compare` comes from here or from the
 * weight tree. Matrix products and attention are counted. Norms, activations and rotations are below one percent and left out.
 */
import type { Gated, Gelu, Router } from '../architecture/architecture.ts'
import type { CacheSnapshot, CacheSpec, KvCache } from '../ops/backend.ts'
import { storedBytes } from '../ops/dtype.ts'
import type { AttentionOptions, Batch, Experts, LayerCache, LayerState, Ops, Rotation, Routing, StatePart } from '../ops/ops.ts'
import { columns, matricesOf, rowsOf, size, type Tensor } from '../ops/tensor.ts'

/** What one op of the forward pass costs. */
export interface Reading {
  op: keyof Ops
  /** The innermost scope, 'layers.3.attention'. */
  scope: string
  /** Name of the first weight involved, where there is one. */
  weight?: string
  multiplyAdds: number
  /** Bytes of weights as they are published, each matrix once per call; of a mixture at most the chosen experts. */
  weightBytes: number
  /** Keys and values read from the cache, those of this call included. */
  cacheReadBytes: number
  /** Keys and values that the cache holds afterwards. */
  cacheKeptBytes: number
  /** States that are read and written, in f32 whatever the cache: the same for every context. */
  stateBytes: number
}

export interface Meter extends Ops {
  readonly readings: readonly Reading[]
  /** Sums over all readings. */
  total(): Omit<Reading, 'op' | 'scope' | 'weight'>
}

/**
 * @param cacheBytesPerValue 2 for a bf16 cache, the convention of published figures; 4 for f32.
 * @param storedAs bytes of a whole weight; by its dtype if absent
 */
export function createMeter(
  cacheBytesPerValue = 2,
  storedAs = ({ dtype, shape }: Tensor): number => storedBytes(dtype, size(shape)),
): Meter {
  const readings: Reading[] = []
  const scopes: string[] = []
  const temporary = (...shape: number[]): Tensor => ({ shape, dtype: 'f32' })
  const bytesOf = (weight: Tensor | undefined, share = 1): number => (weight ? storedAs(weight) * share : 0)
  const note = (op: keyof Ops, weights: (Tensor | undefined)[], cost: Partial<Reading> = {}) => {
    const first = weights.find((weight) => weight?.name)
    const weightBytes = weights.reduce((sum, weight) => sum + bytesOf(weight), 0)
    const zero = { multiplyAdds: 0, weightBytes, cacheReadBytes: 0, cacheKeptBytes: 0, stateBytes: 0 }
    readings.push({ op, scope: scopes.at(-1) ?? '', ...(first && { weight: first.name }), ...zero, ...cost })
  }
  return {
    readings,
    total() {
      const sum = { multiplyAdds: 0, weightBytes: 0, cacheReadBytes: 0, cacheKeptBytes: 0, stateBytes: 0 }
      for (const reading of readings) {
        sum.multiplyAdds += reading.multiplyAdds
        sum.weightBytes += reading.weightBytes
        sum.cacheReadBytes += reading.cacheReadBytes
        sum.cacheKeptBytes += reading.cacheKeptBytes
        sum.stateBytes += reading.stateBytes
      }
      return sum
    },
    scope(name, body) {
      scopes.push(name)
      try {
        return body()
      } finally {
        scopes.pop()
      }
    },
    embed(table, index) {
      const width = columns(table)
      note('embed', [], { weight: table.name, weightBytes: storedBytes(table.dtype, index.length * width) })
      return temporary(index.length, width)
    },
    add(a, b) {
      same('add', a, b)
      return a
    },
    linear(x, weight, bias) {
      const [groups, rows, inputs] = matricesOf(weight)
      const outputs = groups * rows
      if (columns(x) !== groups * inputs) mismatch('linear', `${groups * inputs} columns for ${weight.name}`, x)
      note('linear', [weight, bias], { multiplyAdds: rowsOf(x) * outputs * inputs })
      return temporary(...x.shape.slice(0, -1), outputs)
    },
    join(a, b, heads) {
      if (columns(a) % heads) mismatch('join', `columns of ${heads} heads`, a)
      if (columns(b) % heads) mismatch('join', `columns of ${heads} heads`, b)
      return temporary(rowsOf(a), columns(a) + columns(b))
    },
    layerNorm(x, gain, bias) {
      note('layerNorm', [gain, bias])
      return x
    },
    rmsNorm(x, gain) {
      if (columns(x) % columns(gain)) mismatch('rmsNorm', `a multiple of ${columns(gain)} columns`, x)
      note('rmsNorm', [gain])
      return x
    },
    rope(x: Tensor, rotation: Rotation) {
      if (columns(x) % rotation.headDim) mismatch('rope', `heads of ${rotation.headDim}`, x)
      return x
    },
    attention(q, k, v, batch, options) {
      const { heads, kvHeads, keyDim, valueDim, sinks } = options
      if (columns(q) !== heads * keyDim) mismatch('attention', `${heads} heads of ${keyDim}`, q)
      if (columns(k) !== kvHeads * keyDim) mismatch('attention', `${kvHeads} heads of ${keyDim}`, k)
      if (v && columns(v) !== kvHeads * valueDim) mismatch('attention', `${kvHeads} heads of ${valueDim}`, v)
      const { seen, kept } = visible(batch, options)
      const perPosition = kvHeads * (keyDim + (v ? valueDim : 0)) * cacheBytesPerValue
      note('attention', [sinks], {
        multiplyAdds: seen * heads * (keyDim + valueDim), // q·k and p·v
        cacheReadBytes: options.cache ? kept * perPosition : 0,
        cacheKeptBytes: options.cache ? kept * perPosition : 0,
      })
      return temporary(rowsOf(q), heads * valueDim)
    },
    convolution(x, weight, bias, batch, state) {
      const [taps, channels] = matrix('convolution', weight)
      if (columns(x) !== channels) mismatch('convolution', `${channels} columns`, x)
      note('convolution', [weight, bias], { multiplyAdds: size(x.shape) * taps, stateBytes: stateBytes(batch, state) })
      return x
    },
    selectiveScan(x, { step, input, output, logRate, skip }, batch, state) {
      const [values, channels] = matrix('selectiveScan', logRate)
      if (columns(x) !== channels) mismatch('selectiveScan', `${channels} columns`, x)
      same('selectiveScan', x, step)
      for (const part of [input, output]) if (columns(part) !== values) mismatch('selectiveScan', `${values} columns`, part)
      // Per value of the state: its decay, the input, the output.
      note('selectiveScan', [logRate, skip], { multiplyAdds: size(x.shape) * values * 3, stateBytes: stateBytes(batch, state) })
      return x
    },
    gelu(x: Tensor, _activation: Gelu) {
      return x
    },
    gated(gate: Tensor, up: Tensor, _activation: Gated) {
      same('gated', gate, up)
      return gate
    },
    route(x: Tensor, weight: Tensor, bias: Tensor | undefined, active: number, _router: Router, correction?: Tensor): Routing {
      const [experts, inputs] = matrix('route', weight)
      if (columns(x) !== inputs) mismatch('route', `${inputs} columns`, x)
      note('route', [weight, bias, correction], { multiplyAdds: rowsOf(x) * experts * inputs })
      return { experts, active, weights: temporary(rowsOf(x), active) }
    },
    moe(x: Tensor, routing: Routing, experts: Experts) {
      const { gateUp, gateUpBias, down, downBias } = experts
      const perExpert = (size(gateUp.shape) + size(down.shape)) / routing.experts
      const chosen = Math.min(routing.experts, rowsOf(x) * routing.active) / routing.experts
      note('moe', [gateUp, gateUpBias, down, downBias], {
        multiplyAdds: rowsOf(x) * routing.active * perExpert,
        weightBytes: [gateUp, gateUpBias, down, downBias].reduce((sum, weight) => sum + bytesOf(weight, chosen), 0),
      })
      return temporary(...x.shape)
    },
    select(x, rows) {
      return temporary(rows.length, columns(x))
    },
    scale: (x) => x,
    softcap: (x) => x,
    clamp: (x) => x,
  }
}

/** A cache without memory: earlier positions count as present. */
export function meterCache(spec: CacheSpec): KvCache {
  const layers = spec.layers.map((layer): LayerCache | LayerState => {
    if (!('state' in layer)) return { ...layer }
    return { parts: layer.state.map((values) => ({ values, next: new Int32Array(spec.slots) })) }
  })
  const nothing = (): never => {
    throw new TypeError('a metered cache holds no values')
  }
  return { spec, layers, bytes: 0, snapshot: (): Promise<CacheSnapshot> => nothing(), restore: nothing, copy: nothing, dispose() {} }
}

/** How many (query, key) pairs a call has, and how many positions its slots hold at its end. */
function visible(batch: Batch, { window, cache }: AttentionOptions): { seen: number; kept: number } {
  const within = (positions: number) => (window === null ? positions : Math.min(positions, window))
  let seen = 0
  let kept = 0
  let run = 0
  for (let t = 0; t < batch.positions.length; t++) {
    run = t > 0 && batch.slots[t] === batch.slots[t - 1] ? run + 1 : 1
    const positions = cache ? batch.positions[t]! + 1 : run
    seen += within(positions)
    if (t + 1 === batch.positions.length || batch.slots[t + 1] !== batch.slots[t]) kept += within(positions)
  }
  return { seen, kept }
}

/** Bytes of one part of the states of a call's slots. */
const stateBytes = ({ slots }: Batch, state: StatePart | undefined): number => (state ? 4 * state.values * new Set(slots).size : 0)

function matrix(op: string, weight: Tensor): [number, number] {
  if (weight.shape.length !== 2) mismatch(op, 'a matrix', weight)
  return [weight.shape[0]!, weight.shape[1]!]
}

function same(op: string, a: Tensor, b: Tensor): void {
  if (a.shape.join() !== b.shape.join()) mismatch(op, `[${a.shape}]`, b)
}

function mismatch(op: string, expected: string, came: Tensor): never {
  throw new RangeError(`${op}: expected ${expected}, got [${came.shape}]${came.name ? ` (${came.name})` : ''}`)
}
