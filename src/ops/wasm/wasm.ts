/**
 * The backend on the CPU: every op becomes commands for kernels in WebAssembly (kernels/), run by a pool of threads (pool.ts) over weights in
 * arenas (memories.ts). Ops return at once; only `read`, `weight` and `snapshot` wait. Any number of threads gives the same bits.
 *
 * Faithful precision multiplies dense weights as published with f32 activations, and mxfp4 experts with activations of 16 bits per block of 32.
 */
import type { Gated, Gelu } from '../../architecture/architecture.ts'
import { type Backend, MemoryError, type ReadRow } from '../backend.ts'
import type { AttentionOptions, Batch } from '../ops.ts'
import { columns, rowsOf, size, type Tensor, tensorsIn } from '../tensor.ts'
import { type BatchData, Batches } from './batches.ts'
import { type Features, probeFeatures } from './features.ts'
import { FORMAT, type Format, isGrouped, rowBytes } from './formats.ts'
import { compile, coreCount } from './host.ts'
import { BLOCK, rowBytes as cacheRowBytes, STORAGES } from './kernels/attention.ts'
import { GATED_FORMS } from './kernels/gated.ts'
import { GELU_FORMS } from './kernels/gelu.ts'
import { buildModule, OP } from './kernels/kernels.ts'
import { ACTIVATION_BYTES, ACTIVATIONS, type Activation } from './kernels/quantize.ts'
import { cacheBytes, createCache, sameWidths, storageOf, type WasmLayerCache } from './kv-cache.ts'
import { afterScratch, CONSTANTS } from './layout.ts'
import { createMemory, gigabytes, LARGEST_MEMORY, Memories } from './memories.ts'
import { Allocator, type Block } from './memory.ts'
import { floatBits, InlinePool, type Pool, ThreadPool } from './pool.ts'
import type { Band, WasmRouting, WasmTensor } from './tensor.ts'
import { loadWeight, tableOnDemand, type Workshop } from './weights.ts'

export interface WasmOptions {
  /** Compute threads; default: the number of cores. 0: everything runs in the caller's thread, as it also does where memory cannot be shared. */
  threads?: number
  /** `faithful` (default) or `fast`: dense bf16 weights become int8, activations of experts int8. */
  precision?: 'faithful' | 'fast'
  /** Size of the memories that hold weights and caches, at most (and by default) 4 GiB less a page. */
  arenaBytes?: number
  /** Do without features that this engine has. For tests of the stand-ins. */
  without?: readonly (keyof Features)[]
}

/** Bytes of the area the host writes and workers only read: ids, positions, uploads. Untouched pages cost nothing. */
const HOST_BYTES = 512 << 20
/** How much of it weights take up on their way to their places. */
const STAGING_BYTES = 128 << 20

export async function createWasmBackend(options: WasmOptions = {}): Promise<WasmBackend> {
  const probed = probeFeatures()
  const features: Features = { ...probed, ...Object.fromEntries((options.without ?? []).map((name) => [name, false])) }
  const wanted = options.threads ?? coreCount()
  if (!Number.isInteger(wanted) || wanted < 0) throw new RangeError(`threads: expected a whole number of at least 0, got ${wanted}`)
  const shared = features.threads && wanted > 0
  const heap = largestHeap(shared)
  const build = async () => {
    const { bytes, constants } = buildModule(features, shared)
    new Int32Array(heap.buffer).set(constants, CONSTANTS / 4)
    return compile(bytes, features.wide)
  }
  const pool = shared ? await ThreadPool.start(build, heap, wanted) : new InlinePool(await build(), heap)
  return assemble(pool, heap, shared, features.multiMemory, options)
}

/** 4 GiB of address space where the engine gives that much, else the half, and so on. */
function largestHeap(shared: boolean): WebAssembly.Memory {
  for (let bytes = LARGEST_MEMORY; ; bytes /= 2) {
    try {
      return createMemory(bytes, shared)
    } catch (error) {
      if (bytes < 256 << 20) throw new MemoryError(`the engine gives no WebAssembly memory of ${gigabytes(bytes)}: ${error}`)
    }
  }
}

export interface WasmBackend extends Backend {
  readonly threads: number
}

function assemble(pool: Pool, heap: WebAssembly.Memory, shared: boolean, separate: boolean, options: WasmOptions): WasmBackend {
  const heapBytes = heap.buffer.byteLength
  const hostStart = afterScratch(pool.threads)
  const hostEnd = hostStart + Math.min(HOST_BYTES, Math.floor(heapBytes / 4))
  /** Written by the host. A block may be used again only when the commands that read it have run. */
  const host = new Allocator(hostStart, hostEnd)
  const retired: { position: number; block: Block }[] = []
  const temporaries = new Allocator(hostEnd, heapBytes - 65536)
  const arenaBytes = options.arenaBytes ?? LARGEST_MEMORY
  const memories = new Memories({ memory: heap, allocator: temporaries }, { arenaBytes, shared, separate }, (arena, memory) =>
    pool.attach(arena, memory),
  )
  const words = new Int32Array(heap.buffer)
  const floats = new Float32Array(heap.buffer)
  const bytes = new Uint8Array(heap.buffer)
  const precision = options.precision ?? 'faithful'
  const held = { weights: 0, caches: 0, vectors: 0 }
  const scopes: Block[][] = []

  // Temporaries.

  function temporary(count: number, what: string): Block {
    const block = temporaries.allocate(count)
    if (!block)
      throw new MemoryError(
        `${what}: no ${gigabytes(count)} left in the heap of ${gigabytes(heapBytes)} (${gigabytes(temporaries.used)} in use)`,
      )
    return block
  }

  function allocate(shape: readonly number[], what: string): WasmTensor {
    const block = temporary(size(shape) * 4 + 64, what) // 64: kernels may read a vector beyond the end
    scopes.at(-1)?.push(block)
    return { shape, dtype: 'f32', arena: 0, address: block.address, format: FORMAT.f32, block }
  }

  /** Runs `body` with scratch of the heap that is free again afterwards. */
  function withScratch<T>(counts: readonly number[], body: (...addresses: number[]) => T): T {
    const blocks = counts.map((count) => temporary(count, 'scratch'))
    try {
      return body(...blocks.map((block) => block.address))
    } finally {
      for (const block of blocks) temporaries.release(block)
    }
  }

  // What the host writes.

  function reclaim(): void {
    while (retired.length > 0 && pool.done(retired[0]!.position)) host.release(retired.shift()!.block)
  }
  function hostBlock(count: number): Block {
    reclaim()
    const block = host.allocate(count)
    if (!block)
      throw new MemoryError(
        `upload: no ${gigabytes(count)} left of the ${gigabytes(hostEnd - hostStart)} between host and kernels; read a result first`,
      )
    return block
  }
  /** Free when everything enqueued so far has run. */
  const retire = (block: Block) => void retired.push({ position: pool.position(), block })

  function stage(data: ArrayBufferView): Block {
    const block = hostBlock(data.byteLength)
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), block.address)
    return block
  }

  const mover = {
    copy: (to: { arena: number; address: number }, from: { arena: number; address: number }, count: number) =>
      pool.enqueue(OP.copy, [to.arena, to.address, from.arena, from.address, count]),
    async download(block: Block, count: number) {
      temporaries.pin(block)
      temporaries.release(block)
      try {
        await pool.settled()
        return bytes.slice(block.address, block.address + count)
      } finally {
        temporaries.unpin(block)
      }
    },
    stage,
    temporary,
    release: retire,
  }

  const batches = new Batches({ words, floats, hostBlock, retire })

  // Weights.

  /** A tensor that kernels read as f32 in the heap: a temporary or a vector. */
  const inHeap = (x: Tensor, what: string): WasmTensor => {
    const tensor = own(x, what)
    if (tensor.arena !== 0 && separate)
      throw new TypeError(`${what}: ${x.name ?? 'a weight'} must be made with use 'vector' (or be a temporary)`)
    return tensor
  }
  function own(x: Tensor, what: string): WasmTensor {
    if (typeof (x as WasmTensor).address !== 'number')
      throw new TypeError(`${what}: tensor ${x.name ?? `[${x.shape}]`} belongs to another backend`)
    return x as WasmTensor
  }
  const addressOf = (x: Tensor | undefined, what: string): number => (x ? inHeap(x, what).address : 0)

  /** A copy in the heap that stays. */
  function keep(data: ArrayBufferView): Block {
    const block = temporary(data.byteLength + 64, 'weights')
    held.vectors += block.bytes
    const staged = stage(data)
    mover.copy({ arena: 0, address: block.address }, { arena: 0, address: staged.address }, data.byteLength)
    retire(staged)
    return block
  }

  /** Blocks that are being filled, and who waits for one. */
  let lent = 0
  let draining: Promise<void> | undefined
  const waiters: (() => void)[] = []
  const workshop: Workshop = {
    pool,
    memories,
    precision,
    async hostBlock(count) {
      // Loading may run ahead of the readers that fill blocks and of the workers that convert them: wait until some are free again.
      for (;;) {
        reclaim()
        if (host.used + count <= STAGING_BYTES || (retired.length === 0 && lent === 0)) {
          const block = hostBlock(count)
          lent++
          return block
        }
        if (retired.length > 0) await (draining ??= pool.settled().finally(() => (draining = undefined)))
        else await new Promise<void>((resolve) => waiters.push(resolve))
      }
    },
    hostBytes: (address, length) => bytes.subarray(address, address + length),
    retire(block) {
      lent--
      retire(block)
      for (const resolve of waiters.splice(0)) resolve()
    },
    keep,
  }

  // Ops.

  const gatedForm = (a: Gated): number[] => {
    const form = a.kind === 'geglu' ? (a.approximation === 'tanh' ? 'gegluTanh' : 'gegluErf') : a.kind
    const [alpha, limit] = a.kind === 'clampedSwiglu' ? [a.alpha, a.limit] : [0, 0]
    return [GATED_FORMS.indexOf(form), floatBits(alpha), floatBits(limit)]
  }

  const bytesOf = (kind: Activation, rows: number, width: number) => rows * (width / 32) * ACTIVATION_BYTES[kind]
  const kindOf = (format: Format): Activation => (format === FORMAT.mxfp4 && precision === 'fast' ? 'i8' : 'i16')
  const indexOf = (kind: Activation) => ACTIVATIONS.indexOf(kind)

  const storage = storageOf(precision)
  const storageIndex = STORAGES.indexOf(storage)

  const quantized = new WeakMap<Tensor, { kind: Activation; block: Block }>()
  /** Address of x in integer blocks; made once for the products of the same x in one scope (q, k and v). */
  function inBlocks(x: WasmTensor, kind: Activation): number {
    const known = quantized.get(x)
    if (known && known.kind === kind && !known.block.released) return known.block.address
    const [T, width] = [rowsOf(x), columns(x)]
    const block = temporary(bytesOf(kind, T, width), 'activations')
    pool.enqueue(OP.quantize, [x.address, block.address, T, width, indexOf(kind)])
    scopes.at(-1)?.push(block)
    quantized.set(x, { kind, block })
    return block.address
  }

  /** y[rows] = x·Wᵀ + b for a weight of any format; `x` is f32 in the heap. */
  function multiply(x: WasmTensor, w: WasmTensor, bias: number, y: number, T: number, rows: number): void {
    const width = columns(x)
    if (isGrouped(w.format)) {
      const kind = kindOf(w.format)
      const q = inBlocks(x, kind)
      pool.enqueue(OP.linearGrouped, [w.arena, w.address, w.format, q, y, bias, T, width, rows, indexOf(kind)])
    } else pool.enqueue(OP.linear, [w.arena, w.address, w.format, x.address, y, bias, T, width, rows])
  }

  /** The same for a matrix in several places: its bands are columns of y. */
  function multiplyBands(x: WasmTensor, w: WasmTensor, bands: readonly Band[], bias: number, y: number, T: number): void {
    const rows = w.shape[0]!
    for (const { row, rows: count, arena, address } of bands) {
      const part = { ...w, arena, address }
      const partBias = bias && bias + row * 4
      if (T === 1) multiply(x, part, partBias, y + row * 4, 1, count)
      else
        withScratch([T * count * 4 + 64], (narrow) => {
          multiply(x, part, partBias, narrow!, T, count)
          for (let t = 0; t < T; t++)
            mover.copy({ arena: 0, address: y + (t * rows + row) * 4 }, { arena: 0, address: narrow! + t * count * 4 }, count * 4)
        })
    }
  }

  function linear(x: Tensor, weightTensor: Tensor, bias?: Tensor): WasmTensor {
    const w = own(weightTensor, 'linear')
    const [rows, width] = w.shape as [number, number]
    if (w.shape.length !== 2 || width !== columns(x))
      throw new RangeError(`linear: x [${x.shape}] times ${w.name ?? 'weight'} [${w.shape}]: the last axes differ`)
    const T = rowsOf(x)
    const y = allocate([...x.shape.slice(0, -1), rows], 'linear')
    const input = inHeap(x, 'linear')
    const b = addressOf(bias, 'linear')
    if (w.bands) multiplyBands(input, w, w.bands, b, y.address, T)
    else multiply(input, w, b, y.address, T, rows)
    return y
  }

  /** An elementwise op of one input and further argument words. */
  function map(op: number, x: Tensor, what: string, ...rest: number[]): WasmTensor {
    const y = allocate(x.shape, what)
    pool.enqueue(op, [inHeap(x, what).address, y.address, size(x.shape), ...rest])
    return y
  }

  function rowsOfTable(table: Tensor, index: Int32Array, scale: number, what: string): WasmTensor {
    const w = own(table, what)
    const [rows, width] = w.shape as [number, number]
    for (const row of index)
      if (!(row >= 0 && row < rows)) throw new RangeError(`${what}: row ${row} of ${w.name ?? 'a tensor'} with ${rows} rows`)
    if (w.format === FORMAT.mxfp4) throw new TypeError(`${what}: ${w.name} is mxfp4; a table must be f32, f16 or bf16`)
    const y = allocate([index.length, width], what)
    const run = (from: { arena: number; address: number }, list: Block, first: number, count: number) => {
      const [entries, to] = [list.address + first * 4, y.address + first * width * 4]
      pool.enqueue(OP.embed, [from.arena, from.address, w.format, entries, to, count, width, floatBits(scale)])
    }
    const T = index.length
    if (w.bands) {
      const bands = Array.from(index, (row) => w.bands!.findLast((band) => band.row <= row)!)
      const list = stage(index.map((row, t) => row - bands[t]!.row))
      for (let t = 0, end = 0; t < T; t = end) {
        while (end < T && bands[end] === bands[t]) end++
        run(bands[t]!, list, t, end - t)
      }
      retire(list)
      return y
    }
    const gathered = w.readRow && gather(w, w.readRow, index)
    const list = stage(gathered ? index.map((_, t) => t) : index)
    run(gathered ? { arena: 0, address: gathered.address } : w, list, 0, T)
    retire(list)
    if (gathered) retire(gathered)
    return y
  }

  /** The rows of a table that is not in memory, one after the other, read while the caller waits. */
  function gather(w: WasmTensor, readRow: ReadRow, index: Int32Array): Block {
    const each = rowBytes(w.format, columns(w))
    const block = hostBlock(index.length * each)
    try {
      index.forEach((row, t) => {
        readRow(row, bytes.subarray(block.address + t * each, block.address + (t + 1) * each))
      })
    } catch (error) {
      host.release(block)
      throw error
    }
    return block
  }

  function attention(q: Tensor, k: Tensor, v: Tensor, batch: Batch, o: AttentionOptions): WasmTensor {
    sameWidths('attention', o.keyDim, o.valueDim)
    const y = allocate(q.shape, 'attention')
    const T = rowsOf(q)
    const group = o.heads / o.kvHeads
    const run = (data: BatchData, arena: number, keys: number, values: number, ring: number) => {
      const [ka, va] = [inHeap(k, 'attention').address, inHeap(v, 'attention').address]
      pool.enqueue(OP.storeKeys, [
        arena,
        keys,
        values,
        ka,
        va,
        T,
        o.kvHeads,
        o.keyDim,
        ring,
        data.slotList,
        data.positionList,
        storageIndex,
      ])
      pool.enqueue(OP.attention, [
        arena,
        keys,
        values,
        inHeap(q, 'attention').address,
        y.address,
        o.kvHeads,
        group,
        o.keyDim,
        ring,
        o.window ?? 0x7fffffff,
        floatBits(o.scale),
        floatBits(o.softcap ?? 0),
        addressOf(o.sinks, 'attention'),
        data.segmentList,
        data.segments,
        data.positions.reduce((sum, position) => sum + Math.min(position + 1, o.window ?? position + 1), 0),
        storageIndex,
      ])
    }
    const data = batches.of(batch)
    if (o.cache) {
      const cache = o.cache as WasmLayerCache
      run(data, cache.arena, cache.keys, cache.values, cache.ring)
    } else {
      const plain = batches.withoutCache(data)
      // One ring as long as the longest run, for every run.
      const ring = Math.ceil((plain.positions.reduce((a, b) => Math.max(a, b), 0) + 1) / BLOCK) * BLOCK
      const bytes = (plain.slots.at(-1)! + 1) * o.kvHeads * ring * cacheRowBytes(storage, o.keyDim)
      withScratch([bytes + 4096, bytes + 4096], (keys, values) => run(plain, 0, keys!, values!, ring))
    }
    return y
  }

  const backend: WasmBackend = {
    name: 'wasm',
    threads: pool.threads,

    scope(_, body) {
      scopes.push([])
      let kept: (Block | undefined)[] = []
      try {
        const result = body()
        kept = tensorsIn(result).map((tensor) => (tensor as WasmTensor).block)
        return result
      } finally {
        for (const block of scopes.pop()!) {
          if (!kept.includes(block)) temporaries.release(block)
          else scopes.at(-1)?.push(block)
        }
      }
    },
    embed: (table, index, scale) => rowsOfTable(table, index, scale, 'embed'),
    select: (x, rows) => rowsOfTable(x, rows, 1, 'select'),
    add(a, b) {
      const y = allocate(a.shape, 'add')
      pool.enqueue(OP.add, [inHeap(a, 'add').address, inHeap(b, 'add').address, y.address, size(a.shape)])
      return y
    },
    linear,
    layerNorm(x, gain, bias, eps) {
      const y = allocate(x.shape, 'layerNorm')
      const [xa, ga, ba] = [inHeap(x, 'layerNorm').address, addressOf(gain, 'layerNorm'), addressOf(bias, 'layerNorm')]
      pool.enqueue(OP.layerNorm, [xa, ga, ba, y.address, rowsOf(x), columns(x), floatBits(eps)])
      return y
    },
    rmsNorm(x, gain, eps, unitOffset) {
      const y = allocate(x.shape, 'rmsNorm')
      const width = size(gain.shape)
      const [xa, ga] = [inHeap(x, 'rmsNorm').address, addressOf(gain, 'rmsNorm')]
      pool.enqueue(OP.rmsNorm, [xa, ga, y.address, size(x.shape) / width, width, floatBits(eps), floatBits(unitOffset)])
      return y
    },
    rope(x, rotation, batch) {
      const y = allocate(x.shape, 'rope')
      const table = batches.rotationTable(batches.of(batch), rotation)
      const heads = columns(x) / rotation.headDim
      pool.enqueue(OP.rope, [inHeap(x, 'rope').address, table, y.address, rowsOf(x), heads, rotation.headDim])
      return y
    },
    attention,
    gelu: (x, activation: Gelu) => map(OP.gelu, x, 'gelu', GELU_FORMS.indexOf(activation.approximation)),
    gated(gate, up, activation) {
      const y = allocate(gate.shape, 'gated')
      pool.enqueue(OP.gated, [
        inHeap(gate, 'gated').address,
        inHeap(up, 'gated').address,
        y.address,
        size(gate.shape),
        ...gatedForm(activation),
      ])
      return y
    },
    softcap: (x, cap) => map(OP.softcap, x, 'softcap', floatBits(cap)),

    route(x, weightTensor, bias, active, router): WasmRouting {
      const w = own(weightTensor, 'route')
      const [experts] = w.shape as [number]
      const T = rowsOf(x)
      const weights = allocate([T, active], 'route')
      const indices = allocate([T, active], 'route')
      withScratch([T * experts * 4 + 64], (logits) => {
        multiply(inHeap(x, 'route'), w, addressOf(bias, 'route'), logits!, T, experts)
        const all = router.order === 'softmaxTopk' ? 1 : 0
        pool.enqueue(OP.route, [logits!, weights.address, indices.address, T, experts, active, all, router.normalize ? 1 : 0])
      })
      return { experts, active, weights, indices }
    },

    moe(x, routing, experts, activationForm) {
      const { weights, indices, active, experts: E } = routing as WasmRouting
      const [gateUp, down] = [own(experts.gateUp, 'moe'), own(experts.down, 'moe')]
      const T = rowsOf(x)
      const [D, F] = [columns(x), columns(down)]
      const pairs = T * active
      const y = allocate([T, D], 'moe')
      const grouped = isGrouped(gateUp.format)
      const kind = kindOf(gateUp.format)
      const hiddenBlocks = grouped ? bytesOf(kind, pairs, F) : 64
      const input = grouped ? inBlocks(inHeap(x, 'moe'), kind) : inHeap(x, 'moe').address
      const sizes = [(E + 1) * 4, pairs * 4, pairs * 2 * F * 4 + 64, pairs * F * 4 + 64, pairs * D * 4 + 64, hiddenBlocks]
      withScratch(sizes, (starts, list, wide, hidden, narrow, blocks) => {
        const product = (w: WasmTensor, from: number, to: number, bias: number, rows: number, width: number, byPair: number) =>
          pool.enqueue(OP.expertLinear, [
            w.format,
            from,
            to,
            bias,
            rows,
            width,
            E,
            starts!,
            list!,
            active,
            byPair,
            w.parts!,
            indexOf(kind),
            pairs,
          ])
        pool.enqueue(OP.group, [indices.address, T, E, active, starts!, list!])
        product(gateUp, input, wide!, addressOf(experts.gateUpBias, 'moe'), 2 * F, D, 0)
        pool.enqueue(OP.gatedPairs, [wide!, hidden!, pairs * F, ...gatedForm(activationForm)])
        if (grouped) pool.enqueue(OP.quantize, [hidden!, blocks!, pairs, F, indexOf(kind)])
        product(down, grouped ? blocks! : hidden!, narrow!, addressOf(experts.downBias, 'moe'), D, F, 1)
        pool.enqueue(OP.combine, [narrow!, y.address, weights.address, T, D, active, list!])
      })
      return y
    },

    async weight(spec, fill, readRow) {
      if (readRow && spec.use === 'table') return tableOnDemand(spec, readRow)
      const { tensor, bytes } = await loadWeight(workshop, spec, fill)
      held.weights += bytes
      return tensor
    },
    cacheBytes: (spec) => cacheBytes(spec, storage),
    async cache(spec) {
      const cache = createCache(spec, storage, memories, mover)
      held.caches += cache.bytes
      return {
        ...cache,
        dispose() {
          held.caches -= cache.bytes
          cache.dispose()
        },
      }
    },
    upload(values, shape) {
      if (values.length !== size(shape)) throw new RangeError(`upload: ${values.length} values for the shape [${shape}]`)
      const y = allocate(shape, 'upload')
      const staged = stage(values)
      mover.copy({ arena: 0, address: y.address }, { arena: 0, address: staged.address }, values.byteLength)
      retire(staged)
      return y
    },
    async read(x, into) {
      const tensor = inHeap(x, 'read')
      if (tensor.block) temporaries.pin(tensor.block)
      try {
        await pool.settled()
        const [from, count] = [tensor.address / 4, size(x.shape)]
        if (!into || into.length < count) return floats.slice(from, from + count)
        into.set(floats.subarray(from, from + count))
        return into.subarray(0, count)
      } finally {
        if (tensor.block) temporaries.unpin(tensor.block)
      }
    },
    run: async (body, into) => backend.scope('run', () => backend.read(body(), into)),
    settled: () => pool.settled(),
    failed: pool.failed,
    memory() {
      reclaim()
      const temporary = temporaries.used - held.vectors + host.used
      return { weights: held.weights + held.vectors, caches: held.caches, temporaries: temporary }
    },
    dispose: () => pool.dispose(),
  }
  return backend
}
