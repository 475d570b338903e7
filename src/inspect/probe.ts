/**
 * An `Ops` that calls another one and reports what passes: every named result, attention maps with their sink mass, and the
 * chosen experts. It changes no value. Probabilities and choices are private to a backend, so the probe repeats these two
 * computations in f64 from the backend's inputs. It is slow.
 */
import type { Backend } from '../ops/backend.ts'
import { ExpertChoice as Choice } from '../ops/expert-choice.ts'
import type { AttentionOptions, Batch, Ops, Routing } from '../ops/ops.ts'
import { columns, isTensor, rowsOf, type Tensor } from '../ops/tensor.ts'

/** The result of a scope: 'layers.3.attention', 'logits'. */
export interface NamedResult {
  kind: 'result'
  name: string
  shape: readonly number[]
  values: Float32Array
}

/** One attention call. */
export interface AttentionMap {
  kind: 'attention'
  /** Name of the scope. */
  name: string
  heads: number
  /** Positions of the rows; row t belongs to slot `slots[t]`. */
  positions: readonly number[]
  slots: readonly number[]
  /** [T][H]: probabilities over positions `first … first + p.length - 1` of the row's slot. Their sum is below 1 with a sink. */
  rows: { first: number; p: Float64Array }[][]
  /** [T][H] probability that went to the sink; 0 without. */
  sinkMass: number[][]
}

/** One routing. */
export interface ExpertChoice {
  kind: 'experts'
  name: string
  experts: number
  /** [T][A] chosen experts, best first. */
  chosen: number[][]
  /** [T][A] their weights as the backend computed them. */
  weights: number[][]
  /** [E] how many rows chose each. */
  load: number[]
}

type Router = Parameters<Ops['route']>[4]

export type Observation = NamedResult | AttentionMap | ExpertChoice

export interface Probe extends Ops {
  /** Waits for the backend, returns all observations in the order of the forward pass (none with `each`) and empties the list. */
  observations(): Promise<Observation[]>
}

export interface ProbeOptions {
  /** Which scopes to report; all of them if absent. */
  wants?: (name: string) => boolean
  /** Positions whose attention is computed; all of them if absent. The others have an empty row. */
  attends?: (position: number) => boolean
  /** Takes each observation as soon as its values are there, in place of the list: so that not all of them are held at once. */
  each?: (observation: Observation) => void
}

export function createProbe(backend: Backend, { wants = () => true, attends = () => true, each }: ProbeOptions = {}): Probe {
  let seen: Promise<Observation | undefined>[] = []
  const scopes: string[] = []
  // Keys of earlier calls by scope and slot. A cache cannot be read, so the probe must see all calls from position 0 on.
  const history = new Map<string, Float32Array[]>()
  const here = (): string => scopes.at(-1) ?? ''
  const report = (observation: Promise<Observation>): void => {
    seen.push(each ? observation.then((value) => void each(value)) : observation)
  }
  const probe: Probe = {
    ...delegate(backend),
    scope(name, body) {
      scopes.push(name)
      try {
        return backend.scope(name, () => {
          const result = body()
          if (wants(name) && isTensor(result))
            report(backend.read(result).then((values): NamedResult => ({ kind: 'result', name, shape: result.shape, values })))
          return result
        })
      } finally {
        scopes.pop()
      }
    },
    attention(q, k, v, batch, options) {
      const name = here()
      if (wants(name)) report(attentionMap(backend, name, q, k, batch, options, { history, attends }))
      return backend.attention(q, k, v, batch, options)
    },
    route(x, weight, bias, active, router, correction) {
      const routing = backend.route(x, weight, bias, active, router, correction)
      const name = here()
      if (wants(name)) report(expertChoice(backend, name, backend.linear(x, weight, bias), routing, router, correction))
      return routing
    },
    async observations() {
      const all = await Promise.all(seen)
      seen = []
      return all.filter((observation) => observation !== undefined)
    },
  }
  return probe
}

/** The ops of a backend as plain functions, so that some of them can be replaced. */
function delegate(backend: Backend): Ops {
  return {
    scope: (name, body) => backend.scope(name, body),
    embed: (table, index, scale) => backend.embed(table, index, scale),
    add: (a, b, factor) => backend.add(a, b, factor),
    linear: (x, weight, bias) => backend.linear(x, weight, bias),
    join: (a, b, heads) => backend.join(a, b, heads),
    layerNorm: (x, gain, bias, eps) => backend.layerNorm(x, gain, bias, eps),
    rmsNorm: (x, gain, eps, unitOffset) => backend.rmsNorm(x, gain, eps, unitOffset),
    rope: (x, rotation, batch) => backend.rope(x, rotation, batch),
    attention: (q, k, v, batch, options) => backend.attention(q, k, v, batch, options),
    convolution: (x, weight, bias, batch, state) => backend.convolution(x, weight, bias, batch, state),
    selectiveScan: (x, scan, batch, state) => backend.selectiveScan(x, scan, batch, state),
    gelu: (x, activation) => backend.gelu(x, activation),
    gated: (gate, up, activation) => backend.gated(gate, up, activation),
    route: (x, weight, bias, active, router, correction) => backend.route(x, weight, bias, active, router, correction),
    moe: (x, routing, experts, activation) => backend.moe(x, routing, experts, activation),
    select: (x, rows) => backend.select(x, rows),
    scale: (x, factor) => backend.scale(x, factor),
    clamp: (x, limit) => backend.clamp(x, limit),
    softcap: (x, cap) => backend.softcap(x, cap),
  }
}

async function attentionMap(
  backend: Backend,
  name: string,
  q: Tensor,
  k: Tensor,
  batch: Batch,
  options: AttentionOptions,
  { history, attends }: { history: Map<string, Float32Array[]>; attends: (position: number) => boolean },
): Promise<AttentionMap> {
  // Enqueue the reads now, while the tensors live. What follows the first await may run later.
  const reading = Promise.all([backend.read(q), backend.read(k), options.sinks ? backend.read(options.sinks) : null])
  const { heads, kvHeads, keyDim, scale, window, softcap, cache } = options
  const [positions, slots] = [Array.from(batch.positions), Array.from(batch.slots)]
  const [queries, keys, sinks] = await reading
  const width = kvHeads * keyDim
  const rows: AttentionMap['rows'] = []
  const sinkMass: number[][] = []
  const inBatch = new Map<string, Float32Array[]>()
  positions.forEach((position, t) => {
    const store = cache ? history : inBatch
    const key = `${name} ${slots[t]}`
    const memory = store.get(key) ?? []
    store.set(key, memory)
    const start = cache ? 0 : positions[slots.indexOf(slots[t]!)]!
    memory[position - start] = keys.slice(t * width, (t + 1) * width)
    if (!attends(position)) {
      rows.push([])
      sinkMass.push([])
      return
    }
    const first = Math.max(start, window === null ? 0 : position - window + 1)
    const perHead = Array.from({ length: heads }, (_, h) => {
      const at = Math.floor((h * kvHeads) / heads) * keyDim
      const scores = Float64Array.from({ length: position - first + 1 }, (_, index) => {
        const past = memory[first - start + index]
        if (!past) throw new RangeError(`${name}: position ${first + index} of slot ${slots[t]} was not observed; begin at position 0`)
        let score = 0
        for (let i = 0; i < keyDim; i++) score += queries[(t * heads + h) * keyDim + i]! * past[at + i]!
        score *= scale
        return softcap === null ? score : softcap * Math.tanh(score / softcap)
      })
      return softmax(scores, sinks ? sinks[h]! : Number.NEGATIVE_INFINITY)
    })
    rows.push(perHead.map(({ p }) => ({ first, p })))
    sinkMass.push(perHead.map(({ sink }) => sink))
  })
  return { kind: 'attention', name, heads, positions, slots, rows, sinkMass }
}

function softmax(scores: Float64Array, sinkLogit: number): { p: Float64Array; sink: number } {
  const largest = scores.reduce((a, b) => Math.max(a, b), sinkLogit)
  const p = scores.map((score) => Math.exp(score - largest))
  const sink = Math.exp(sinkLogit - largest)
  const sum = p.reduce((a, b) => a + b, sink)
  return { p: p.map((value) => value / sum), sink: sink / sum }
}

async function expertChoice(
  backend: Backend,
  name: string,
  logits: Tensor,
  { weights, active }: Routing,
  router: Router,
  correction: Tensor | undefined,
): Promise<ExpertChoice> {
  const reading = Promise.all([backend.read(logits), backend.read(weights), correction && backend.read(correction)])
  const [rows, experts] = [rowsOf(logits), columns(logits)]
  const [scores, shares, added] = await reading
  const load = new Array<number>(experts).fill(0)
  const rule = new Choice(experts, active, router)
  const chosen = Array.from({ length: rows }, (_, t) => {
    const best = new Int32Array(active)
    rule.row(scores.subarray(t * experts, (t + 1) * experts), added, best, 0)
    for (const expert of best) load[expert]!++
    return [...best]
  })
  return {
    kind: 'experts',
    name,
    experts,
    chosen,
    weights: chosen.map((_, t) => Array.from(shares.subarray(t * active, (t + 1) * active))),
    load,
  }
}
