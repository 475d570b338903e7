/**
 * The backend on WebGPU. Ops check shapes and record nodes (record.ts); what waits turns the nodes into dispatches and submits them
 * (plan.ts, queue.ts). Activations are f32, weights stay as published; a row has the same result alone and among others where it is decoded.
 */
import type { Backend } from '../backend.ts'
import { cacheBytes } from '../cache-size.ts'
import type { AttentionOptions, ExpertsAdapter, Routing } from '../ops.ts'
import { advance } from '../state.ts'
import { columns, matricesOf, rowsOf, size, type Tensor } from '../tensor.ts'
import { Buffers } from './buffers.ts'
import { type Device, type DeviceOptions, openDevice } from './device.ts'
import { recordDraw } from './draw.ts'
import { fuse } from './fuse.ts'
import { piecesOf } from './kernels/attention.ts'
import { createCache, type GpuLayerCache, type GpuStatePart } from './kv-cache.ts'
import { Plans } from './plan.ts'
import { Queue } from './queue.ts'
import { type ExpertMatrix, type Node, Recorder, type Route, type ValueKind } from './record.ts'
import { splitForm } from './rows.ts'
import { type Temporary, temporary, vector, weight } from './tensor.ts'
import { loadVector, loadWeight } from './weights.ts'

export interface WebgpuOptions extends DeviceOptions {
  /** Without fusion every op is a dispatch of its own. For tests: the results must agree. */
  fused?: boolean | undefined
}

export interface WebgpuBackend extends Backend {
  readonly device: Device
  readonly buffers: Buffers
  readonly plans: Plans
}

/** In the form of a pass: there is none. No number of a temporary, no place and no size is this. */
const NOTHING = -0.5

interface GpuRouting extends Routing {
  readonly route: Route
}

export const createWebgpuBackend = async (options: WebgpuOptions = {}): Promise<WebgpuBackend> =>
  assemble(await openDevice(options), options.fused ?? true)

function assemble(device: Device, fused: boolean): WebgpuBackend {
  const buffers = new Buffers(device)
  const recorder: Recorder = new Recorder((temporary) => queue.end(temporary))
  const plans = new Plans(buffers, fused ? fuse : (nodes) => nodes)
  const queue = new Queue(device, buffers, recorder, plans)
  const held = { weights: 0, caches: 0 }

  // Parts of the form of a pass.
  const name = (x: string | object) => recorder.nameOf(x)
  const number = (x: Temporary | undefined) => (x ? recorder.numberOf(x) : NOTHING)
  const place = (x: { at: number } | undefined) => (x ? x.at : NOTHING)
  const record = <N extends Node>(node: N, ...detail: readonly number[]): N['y'] => {
    queue.mustWork()
    return recorder.add(node, detail).y
  }
  const vectorOf = (x: Tensor | undefined, what: string) => x && vector(x, what)
  const value = (kind: ValueKind, input: Tensor, by: number): Tensor => {
    const x = temporary(input, kind)
    return record({ op: 'value', kind, x, value: by, y: recorder.temporary(x.shape) }, name(kind), number(x), x.count, by)
  }
  const adapterOf = (adapter: ExpertsAdapter | undefined) =>
    adapter && { a: weight(adapter.a, 'moe'), b: weight(adapter.b, 'moe'), scale: adapter.scale }
  const expertsOf = ({ weight, bias, adapter }: ExpertMatrix) =>
    [weight.id, place(bias), ...(adapter ? [adapter.a.id, adapter.b.id, adapter.scale] : [NOTHING])] as const

  return {
    name: 'webgpu',
    device,
    buffers,
    plans,

    scope: (_, body) => recorder.scope(body),

    embed(table, index, scale) {
      const w = weight(table, 'embed')
      const [rows, D] = table.shape as [number, number]
      for (const row of index) if (row < 0 || row >= rows) throw new RangeError(`${table.name ?? 'table'}: row ${row} of ${rows}`)
      const y = recorder.temporary([index.length, D])
      const words = recorder.words(index)
      const node = { op: 'embed', table: w, index: words, drawn: undefined, rows: index.length, scale, y } as const
      return record(node, w.id, words, index.length, scale, NOTHING)
    },

    embedDrawn(table, { drawn, rows: index }, scale) {
      const [w, ids] = [weight(table, 'embedDrawn'), temporary(drawn, 'embedDrawn')]
      if (!ids.open) throw new TypeError('embedDrawn: these drawn ids were released; look them up before')
      for (const row of index) if (row < 0 || row >= ids.count) throw new RangeError(`embedDrawn: row ${row} of ${ids.count} drawn ids`)
      const y = recorder.temporary([index.length, columns(table)])
      const words = recorder.words(index)
      const node = { op: 'embed', table: w, index: words, drawn: ids, rows: index.length, scale, y } as const
      return record(node, w.id, words, index.length, scale, number(ids))
    },

    select(input, index) {
      const x = temporary(input, 'select')
      for (const row of index) if (row < 0 || row >= rowsOf(x)) throw new RangeError(`select: row ${row} of ${rowsOf(x)}`)
      const y = recorder.temporary([index.length, columns(x)])
      const words = recorder.words(index)
      const split = recorder.selection(rowsOf(x), index)
      return record({ op: 'select', x, index: words, split, y }, number(x), words, columns(x), ...splitForm(split))
    },

    add(first, second, factor = 1) {
      const [a, b] = [temporary(first, 'add'), temporary(second, 'add')]
      if (a.count !== b.count) throw new RangeError(`add: [${a.shape}] and [${b.shape}] differ`)
      return record({ op: 'add', a, b, factor, y: recorder.temporary(a.shape) }, number(a), number(b), a.count, factor)
    },

    linear(input, matrix, bias) {
      const [x, w] = [temporary(input, 'linear'), weight(matrix, 'linear')]
      const [groups, rows, I] = matricesOf(w)
      if (columns(x) !== groups * I) throw new RangeError(`linear ${w.name}: input has ${columns(x)} columns, the weight [${w.shape}]`)
      const y = recorder.temporary([...x.shape.slice(0, -1), groups * rows])
      const part = { weight: w, bias: vectorOf(bias, 'linear') }
      return record({ op: 'linear', x, part, y }, number(x), x.count, w.id, place(part.bias))
    },

    join(left, right, heads) {
      const [a, b] = [temporary(left, 'join'), temporary(right, 'join')]
      const y = recorder.temporary([rowsOf(a), columns(a) + columns(b)])
      return record({ op: 'join', a, b, heads, y }, number(a), number(b), heads, a.count, b.count, columns(y))
    },

    layerNorm(input, gain, bias, eps) {
      const x = temporary(input, 'layerNorm')
      const [g, b] = [vectorOf(gain, 'layerNorm'), vectorOf(bias, 'layerNorm')]
      const y = recorder.temporary(x.shape)
      return record(
        { op: 'norm', kind: 'layer', x, gain: g, bias: b, eps, unitOffset: 0, width: columns(x), y },
        name('layer'),
        number(x),
        y.count,
        columns(y),
        place(g),
        place(b),
        eps,
      )
    },

    rmsNorm(input, gain, eps, unitOffset) {
      const [x, g] = [temporary(input, 'rmsNorm'), vector(gain, 'rmsNorm')]
      const width = size(g.shape)
      if (columns(x) % width) throw new RangeError(`rmsNorm: ${columns(x)} columns, expected a multiple of ${width}`)
      const y = recorder.temporary(x.shape)
      return record(
        { op: 'norm', kind: 'rms', x, gain: g, bias: undefined, eps, unitOffset, width, y },
        name('rms'),
        number(x),
        y.count,
        columns(y),
        g.at,
        width,
        eps,
        unitOffset,
      )
    },

    rope(input, rotation, batch) {
      const x = temporary(input, 'rope')
      const { headDim, rotaryDim, pairing } = rotation
      const table = recorder.rotation(recorder.batch(batch), rotation)
      const y = recorder.temporary(x.shape)
      return record(
        { op: 'rope', x, headDim, rotaryDim, pairing, table, y },
        number(x),
        y.count,
        columns(y),
        headDim,
        rotaryDim,
        name(pairing),
        table,
      )
    },

    attention(query, key, values, rows, options: AttentionOptions) {
      const [q, k, v] = [temporary(query, 'attention'), temporary(key, 'attention'), values && temporary(values, 'attention')]
      const { heads, kvHeads, keyDim, valueDim, scale, window, softcap } = options
      const batch = recorder.batch(rows)
      const cache = options.cache as GpuLayerCache | undefined
      if (cache && batch.longest > cache.capacity)
        throw new RangeError(`attention: position ${batch.longest - 1} is beyond the cache's ${cache.capacity} positions`)
      const sinks = vectorOf(options.sinks, 'attention')
      const y = recorder.temporary([batch.rows, heads * valueDim])
      const node = { op: 'attention', q, k, v, batch, heads, kvHeads, keyDim, valueDim, scale, window, softcap, sinks, cache, y } as const
      const shape = [heads, kvHeads, keyDim, valueDim, scale, window ?? NOTHING, softcap ?? NOTHING] as const
      const kept = [place(sinks), cache?.id ?? NOTHING, piecesOf(node)] as const
      return record(node, number(q), number(k), number(v), ...batch.form, batch.slots, ...shape, ...kept)
    },

    convolution(input, kernel, bias, rows, state) {
      const [x, w, b] = [temporary(input, 'convolution'), vector(kernel, 'convolution'), vectorOf(bias, 'convolution')]
      if (state) advance(state, rows)
      const batch = recorder.batch(rows)
      const part = state as GpuStatePart | undefined
      const y = recorder.temporary(x.shape)
      return record(
        { op: 'convolution', x, weight: w, bias: b, batch, state: part, y },
        number(x),
        x.count,
        w.at,
        place(b),
        ...batch.form,
        batch.runs,
        part?.id ?? NOTHING,
      )
    },

    selectiveScan(input, scan, rows, state) {
      const [x, step] = [temporary(input, 'selectiveScan'), temporary(scan.step, 'selectiveScan')]
      const [entering, leaving] = [temporary(scan.input, 'selectiveScan'), temporary(scan.output, 'selectiveScan')]
      const [logRate, skip] = [vector(scan.logRate, 'selectiveScan'), vector(scan.skip, 'selectiveScan')]
      if (state) advance(state, rows)
      const batch = recorder.batch(rows)
      const part = state as GpuStatePart | undefined
      const y = recorder.temporary(x.shape)
      return record(
        { op: 'scan', x, step, input: entering, output: leaving, logRate, skip, batch, state: part, y },
        number(x),
        x.count,
        number(step),
        number(entering),
        entering.count,
        number(leaving),
        logRate.at,
        skip.at,
        ...batch.form,
        batch.runs,
        part?.id ?? NOTHING,
      )
    },

    gelu: (x, { approximation }) => value(approximation === 'tanh' ? 'geluTanh' : 'geluErf', x, 0),
    scale: (x, factor) => value('scale', x, factor),
    softcap: (x, cap) => value('softcap', x, cap),
    clamp: (x, limit) => value('clamp', x, limit),

    gated(first, second, activation) {
      const [gate, up] = [temporary(first, 'gated'), temporary(second, 'gated')]
      const y = recorder.temporary(gate.shape)
      return record({ op: 'gated', gate, up, activation, y }, number(gate), number(up), gate.count, name(activation))
    },

    route(input, matrix, bias, active, router, correction): GpuRouting {
      const [x, w] = [temporary(input, 'route'), weight(matrix, 'route')]
      const [experts] = w.shape as [number]
      const [T, b, c] = [rowsOf(x), vectorOf(bias, 'route'), vectorOf(correction, 'route')]
      const [logits, chosen, y] = [
        [T, experts],
        [T, active],
        [T, active],
      ].map((shape) => recorder.temporary(shape))
      const route: Route = { op: 'route', x, weight: w, bias: b, correction: c, active, router, logits: logits!, chosen: chosen!, y: y! }
      record(route, number(x), T, w.id, place(b), place(c), active, name(router))
      return { experts, active, weights: route.y, route }
    },

    moe(input, routing, experts, activation) {
      const x = temporary(input, 'moe')
      const { route } = routing as GpuRouting
      const gateUp = {
        weight: weight(experts.gateUp, 'moe'),
        bias: vectorOf(experts.gateUpBias, 'moe'),
        adapter: adapterOf(experts.gateUpAdapter),
      }
      const down = { weight: weight(experts.down, 'moe'), bias: vectorOf(experts.downBias, 'moe'), adapter: adapterOf(experts.downAdapter) }
      const y = recorder.temporary(x.shape)
      return record(
        { op: 'moe', x, route, gateUp, down, activation, y },
        number(x),
        y.count,
        number(route.chosen),
        number(route.y),
        ...expertsOf(gateUp),
        ...expertsOf(down),
        name(activation),
      )
    },

    async weight(spec, fill) {
      queue.mustWork()
      if (spec.use === 'vector') {
        const loaded = await loadVector(buffers, spec, fill)
        held.weights += loaded.bytes
        return loaded
      }
      const { weight, bytes } = await loadWeight(buffers, spec, fill)
      held.weights += bytes
      return weight
    },

    cacheBytes,
    async cache(spec) {
      queue.mustWork()
      const cache = await createCache(spec, buffers, queue)
      held.caches += cache.bytes
      return {
        ...cache,
        dispose() {
          held.caches -= cache.bytes
          queue.flushIfWorking() // what is recorded may use the cache
          cache.dispose()
        },
      }
    },

    upload(values, shape) {
      if (values.length !== size(shape)) throw new RangeError(`upload: ${values.length} values for the shape [${shape}]`)
      const y = recorder.temporary(shape)
      const words = recorder.words(values)
      return record({ op: 'upload', words, y }, words, y.count)
    },

    read: (x, into) => queue.read(temporary(x, 'read'), into),
    run: (body, into) => {
      // The result alone outlives the scope: everything else may share its memory.
      const result = temporary(recorder.scope(body), 'run')
      const values = queue.read(result, into)
      recorder.close(result)
      return values
    },
    async draw(logits, draws) {
      queue.mustWork()
      const ids = recordDraw(recorder, buffers, temporary(logits, 'draw'), draws)
      const drawn = queue.read(ids)
      recorder.close(ids)
      return Int32Array.from(await drawn)
    },
    drawAndKeep(logits, draws) {
      queue.mustWork()
      const ids = recordDraw(recorder, buffers, temporary(logits, 'draw'), draws, true)
      const values = queue.read(ids)
      return {
        ids: values.then((drawn) => Int32Array.from(drawn)),
        drawn: ids,
        release: () => {
          if (ids.open) recorder.close(ids)
        },
      }
    },
    settled: () => queue.settled(),
    failed: queue.failed,
    memory: () => ({ weights: held.weights, caches: held.caches, temporaries: buffers.temporaryBytes }),
    async dispose() {
      device.release()
    },
  }
}
