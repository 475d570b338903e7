/**
 * The only file here that differs between Node.js and a page: workers, memory of the machine, flags of V8.
 * Everything else in ops/wasm is plain JavaScript and WebAssembly.
 */
// No imports: the bundler of a page must not look for Node's modules.
const builtin = globalThis.process?.getBuiltinModule
const node = builtin
  ? { threads: builtin('node:worker_threads'), os: builtin('node:os'), fs: builtin('node:fs'), v8: builtin('node:v8') }
  : undefined

/** Whether `compileNow` can set V8's flags: only in Node.js. */
export const canSetFlags = node !== undefined

export interface WorkerHandle {
  post(message: unknown): void
  onMessage(listener: (message: never) => void): void
  /** An error that nobody caught, or the end of the thread, `terminate` included. */
  onError(listener: (error: Error) => void): void
  /** Whether this worker keeps the process alive; pages ignore it. */
  keepAlive(alive: boolean): void
  terminate(): Promise<void>
}

/** Number of cores. */
export const coreCount = (): number => (node ? node.os.availableParallelism() : (globalThis.navigator?.hardwareConcurrency ?? 1))

/** Bytes that can still be used without swapping; undefined in a page. File cache counts as free. */
export function availableMemory(): number | undefined {
  if (!node) return undefined
  const limits = [fieldOf('/proc/meminfo', /^MemAvailable:\s+(\d+) kB/m, 1024) ?? node.os.freemem()]
  // A container's limit (cgroup v2): what its processes hold without the files it has read.
  const limit = fieldOf('/sys/fs/cgroup/memory.max', /^(\d+)/)
  const used = fieldOf('/sys/fs/cgroup/memory.current', /^(\d+)/)
  const files = fieldOf('/sys/fs/cgroup/memory.stat', /^file (\d+)/m)
  if (limit !== undefined && used !== undefined) limits.push(limit - used + (files ?? 0))
  return Math.min(...limits)
}

/** In a page: bytes of the machine's memory as the browser reports them, a power of two and often at most 8 GiB; undefined elsewhere. */
export function reportedMemory(): number | undefined {
  const { deviceMemory } = (globalThis.navigator ?? {}) as { deviceMemory?: number }
  return deviceMemory === undefined || node ? undefined : deviceMemory * 2 ** 30
}

function fieldOf(file: string, pattern: RegExp, factor = 1): number | undefined {
  try {
    const match = pattern.exec(node!.fs.readFileSync(file, 'utf8'))
    return match ? Number(match[1]) * factor : undefined
  } catch {
    return undefined
  }
}

/** How many functions of a module `compile` can have optimised: the first ones. */
export const OPTIMISED_FUNCTIONS = 31

/**
 * Compiles a module with its first functions optimised at once, instead of after some thousand calls. `wide` lets V8 join pairs of neighbouring
 * 128-bit operations into 256-bit ones where the processor has them. The flags apply to this module only and are reset at once
 * (docs/decisions/0008 gives the reasons). In a page this is a plain compilation. Threads must not do it at the same time.
 */
export function compileNow(bytes: Uint8Array<ArrayBuffer>, wide: boolean): WebAssembly.Module {
  if (!node) return new WebAssembly.Module(bytes)
  const { v8 } = node
  const given = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(' ')].map((flag) => flag.replaceAll('_', '-'))
  const flags = [
    [`--wasm-tier-mask-for-testing=${2 ** OPTIMISED_FUNCTIONS - 1}`, '--wasm-tier-mask-for-testing=0'],
    ['--no-wasm-lazy-compilation', '--wasm-lazy-compilation'],
    ...(wide ? [['--experimental-wasm-revectorize', '--no-experimental-wasm-revectorize']] : []),
  ].filter(([set]) => !given.includes(set!))
  for (const [set] of flags) v8.setFlagsFromString(set!)
  try {
    return new WebAssembly.Module(bytes)
  } finally {
    for (const [, reset] of flags) v8.setFlagsFromString(reset!)
  }
}

/** The same, without blocking a page. */
export const compile = async (bytes: Uint8Array<ArrayBuffer>, wide: boolean): Promise<WebAssembly.Module> =>
  node ? compileNow(bytes, wide) : WebAssembly.compile(bytes)

/** Starts `worker.ts` beside this file (or its compiled form). */
export function startWorker(): WorkerHandle {
  if (node) {
    const url = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)
    const worker = new node.threads.Worker(url, { name: 'lineage', execArgv: [] }) // flags like --input-type would break it
    return {
      post: (message) => worker.postMessage(message),
      onMessage: (listener) => void worker.on('message', listener as (message: unknown) => void),
      onError(listener) {
        worker.on('error', (error) => listener(error as Error))
        worker.on('exit', (code) => listener(new Error(`a compute thread ended with code ${code}`)))
      },
      keepAlive: (alive) => (alive ? worker.ref() : worker.unref()),
      terminate: async () => void (await worker.terminate()),
    }
  }
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener('message', (event) => (listener as (message: unknown) => void)(event.data)),
    onError: (listener) => worker.addEventListener('error', (event) => listener(new Error(event.message))),
    keepAlive: () => {},
    terminate: async () => worker.terminate(),
  }
}

/** In a worker: messages from and to the thread that started it. */
export function onHostMessage(listener: (message: never) => void): void {
  if (node) node.threads.parentPort!.on('message', listener as (message: unknown) => void)
  else globalThis.addEventListener('message', (event) => (listener as (message: unknown) => void)((event as MessageEvent).data))
}

export function postToHost(message: unknown): void {
  if (node) node.threads.parentPort!.postMessage(message)
  else (globalThis as unknown as { postMessage(message: unknown): void }).postMessage(message)
}
