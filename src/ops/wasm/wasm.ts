/**
 * The backend on the CPU: every op becomes commands for kernels in WebAssembly (kernels/), run by a pool of threads (pool.ts) over weights
 * in arenas (memories.ts). Ops return at once; only promises wait. Any number of threads gives the same bits.
 *
 * Faithful precision multiplies dense weights as published with f32 activations, and weights in blocks (mxfp4, the formats of GGUF) with
 * activations of 16 bits per block of 32.
 */
import { binary } from '../../numbers/bytes.ts'
import { type Backend, MemoryError } from '../backend.ts'
import { size } from '../tensor.ts'
import { Batches } from './batches.ts'
import type { OpContext, Precision } from './context.ts'
import type { FormatModule } from './executor.ts'
import { type Features, probeFeatures } from './features.ts'
import type { Format } from './formats.ts'
import { Heap } from './heap.ts'
import { compile, coreCount } from './host.ts'
import { add } from './kernels/add.ts'
import { attention } from './kernels/attention.ts'
import { clamp, scale, softcap } from './kernels/elementwise.ts'
import { rowsOfTable } from './kernels/embed.ts'
import { gated } from './kernels/gated.ts'
import { gelu } from './kernels/gelu.ts'
import { join } from './kernels/join.ts'
import { type Built, buildFormatModules, buildModule } from './kernels/kernels.ts'
import { linear } from './kernels/linear.ts'
import { moe } from './kernels/moe.ts'
import { layerNorm, rmsNorm } from './kernels/norm.ts'
import { rope } from './kernels/rope.ts'
import { route } from './kernels/route.ts'
import { convolution, selectiveScan } from './kernels/state.ts'
import { cacheBytes, createCache } from './kv-cache.ts'
import { spillAt } from './layout.ts'
import { createMemory, LARGEST_MEMORY, Memories } from './memories.ts'
import { InlinePool, ThreadPool } from './pool.ts'
import { LoadingContext, loadWeight, tableOnDemand } from './weights.ts'

export interface WasmOptions {
  /** Compute threads; default: the number of cores. 0: everything runs in the caller's thread, as it also does where memory cannot be shared. */
  threads?: number
  /** `faithful` (default) or `fast`: dense bf16 weights become int8, weights in blocks of up to 6 bits meet activations of 8 bits. */
  precision?: Precision
  /** Size of the memories that hold weights and caches, at most (and by default) 4 GiB less a page. */
  arenaBytes?: number
  /**
   * Most bytes that weights and caches may take together; what would go beyond is refused with a MemoryError. Default: what the machine has
   * free, or in a page what the browser reports (often at most 8 GiB, whatever the machine has).
   */
  memoryBytes?: number
  /** Do without features that this engine has. For tests of the stand-ins. */
  without?: readonly (keyof Features)[]
}

export interface WasmBackend extends Backend {
  readonly threads: number
}

/** @throws RangeError for a bad `threads`, MemoryError when the engine gives no memory, Error without SIMD */
export async function createWasmBackend(options: WasmOptions = {}): Promise<WasmBackend> {
  const probed = probeFeatures()
  const features: Features = { ...probed, ...Object.fromEntries((options.without ?? []).map((name) => [name, false])) }
  const wanted = options.threads ?? coreCount()
  if (!Number.isInteger(wanted) || wanted < 0) throw new RangeError(`threads: expected a whole number of at least 0, got ${wanted}`)
  const shared = features.threads && wanted > 0
  const memory = largestHeap(shared)
  const ready = ({ bytes, constants, constantsAt }: Built) => {
    new Int32Array(memory.buffer).set(constants, constantsAt / 4)
    return compile(bytes, features.wide)
  }
  const build = () => ready(buildModule(features, shared))
  const pool = shared ? await ThreadPool.start(build, memory, wanted) : new InlinePool(await build(), memory)
  const heap = new Heap(memory, pool, features.multiMemory)
  const { arenaBytes = LARGEST_MEMORY, memoryBytes, precision = 'faithful' } = options
  const memories = new Memories(
    { memory, allocator: heap.temporaries },
    { arenaBytes, memoryBytes, shared, separate: features.multiMemory, firstPlace: spillAt(pool.threads) },
    (arena, memory) => pool.attach({ arena, memory }),
  )
  const context = { pool, heap, batches: new Batches(heap), precision }
  return assemble(context, memories, async (format) => {
    const modules: FormatModule[] = []
    for (const built of buildFormatModules(features, shared, format, precision))
      modules.push({ module: await ready(built), weightsFirst: built.weightsFirst })
    pool.attach({ format, modules })
  })
}

/** 4 GiB of address space where the engine gives that much, else the half, and so on. */
function largestHeap(shared: boolean): WebAssembly.Memory {
  for (let bytes = LARGEST_MEMORY; ; bytes /= 2) {
    try {
      return createMemory(bytes, shared)
    } catch (error) {
      if (bytes < 256 << 20) throw new MemoryError(`the engine gives no WebAssembly memory of ${binary(bytes)}: ${error}`)
    }
  }
}

/** `attachKernels` makes the kernels of a grouped format known to the pool. */
function assemble(context: OpContext, memories: Memories, attachKernels: (format: Format) => Promise<void>): WasmBackend {
  const { pool, heap, precision } = context
  const loading = new LoadingContext(context, memories, attachKernels)
  const held = { weights: 0, caches: 0 }
  return {
    name: 'wasm',
    threads: pool.threads,

    scope: (_, body) => heap.scope(body),
    embed: (table, index, scale) => rowsOfTable(context, table, index, scale, 'embed'),
    select: (x, rows) => rowsOfTable(context, x, rows, 1, 'select'),
    add: (a, b, factor) => add(context, a, b, factor),
    linear: (x, weight, bias) => linear(context, x, weight, bias),
    join: (a, b, heads) => join(context, a, b, heads),
    layerNorm: (x, gain, bias, eps) => layerNorm(context, x, gain, bias, eps),
    rmsNorm: (x, gain, eps, unitOffset) => rmsNorm(context, x, gain, eps, unitOffset),
    rope: (x, rotation, batch) => rope(context, x, rotation, batch),
    attention: (q, k, v, batch, options) => attention(context, q, k, v, batch, options),
    convolution: (x, weight, bias, batch, state) => convolution(context, x, weight, bias, batch, state),
    selectiveScan: (x, scan, batch, state) => selectiveScan(context, x, scan, batch, state),
    gelu: (x, activation) => gelu(context, x, activation),
    gated: (gate, up, activation) => gated(context, gate, up, activation),
    scale: (x, factor) => scale(context, x, factor),
    softcap: (x, cap) => softcap(context, x, cap),
    clamp: (x, limit) => clamp(context, x, limit),
    route: (x, weight, bias, active, router, correction) => route(context, x, weight, bias, active, router, correction),
    moe: (x, routing, experts, activation) => moe(context, x, routing, experts, activation),

    ordersColumns: true,
    async weight(spec, fill, readRow) {
      if (readRow && spec.use === 'table') return tableOnDemand(spec, readRow)
      const { tensor, bytes } = await loadWeight(loading, spec, fill)
      held.weights += bytes
      if (!spec.order) return tensor
      const { columns, inputs } = spec.order
      return { ...tensor, shape: [spec.shape[0]!, inputs], order: { address: heap.keep(columns).address, width: columns.length } }
    },
    cacheBytes: (spec) => cacheBytes(spec, precision),
    async cache(spec) {
      const cache = createCache(spec, precision, memories, heap)
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
      const y = heap.result(shape, 'upload')
      heap.put(y.address, values)
      return y
    },
    read: (x, into) => heap.read(x, into),
    run: async (body, into) => heap.scope(() => heap.read(body(), into)),
    draw: (logits, draws) => heap.draw(logits, draws),
    settled: () => pool.settled(),
    failed: pool.failed,
    memory() {
      heap.reclaim()
      const temporaries = heap.temporaries.used - heap.kept + heap.hostUsed
      return { weights: held.weights + heap.kept, caches: held.caches, temporaries }
    },
    dispose: () => pool.dispose(),
  }
}
