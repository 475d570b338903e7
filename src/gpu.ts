/**
 * A GPU whose results were checked before a model runs on it, in Node.js and in pages. Where kernels with subgroups are wrong the device is
 * opened again without them. A weight of a format that was not checked at the start is checked when it comes.
 */
import type { Backend } from './ops/backend.ts'
import type { DType } from './ops/dtype.ts'
import { createReferenceBackend } from './ops/reference/reference.ts'
import { type Check, checkFormats, type Formats, selfCheck, USUAL_FORMATS } from './ops/webgpu/self-check.ts'
import { createWebgpuBackend, type WebgpuBackend, type WebgpuOptions } from './ops/webgpu/webgpu.ts'
import { WrongResultsError } from './ops/webgpu/wrong-results.ts'

export interface GpuOptions extends WebgpuOptions {
  /** Whether an adapter that computes on the CPU is taken; default true. */
  software?: boolean | undefined
  /** Whether the results are checked; default: unless the adapter computes on the CPU. */
  check?: boolean | undefined
  /** The formats of the weights that will run; default: those of most checkpoints. */
  formats?: (() => Promise<Formats>) | undefined
}

export interface GpuBackend extends WebgpuBackend {
  /** What the device does without, because its results with it were wrong: in words, with the kernels. */
  readonly dropped: string | undefined
}

/** A device and what a check has found of it. */
export interface Examined {
  readonly backend: GpuBackend
  /** Empty: nothing was checked. */
  readonly checks: readonly Check[]
  /** Formats of weights that were checked. */
  readonly formats: Formats
}

/**
 * The backend on a GPU whose results are right.
 * @throws WrongResultsError that names the kernels; Error that says why there is no device; what `formats` throws
 */
export async function createCheckedBackend(options: GpuOptions = {}): Promise<GpuBackend> {
  const { backend, checks, formats } = await examine(options)
  const wrong = wrongOf(checks)
  if (wrong.length > 0) {
    await backend.dispose()
    throw new WrongResultsError(
      adapterName(backend),
      backend.dropped === undefined ? '' : ', with subgroups and without',
      wrong,
      listed(wrong),
    )
  }
  return checks.length === 0 ? backend : { ...backend, weight: checkedWeights(backend, formats) }
}

/** Opens the device and checks it; where kernels are wrong, once more without subgroups. The caller disposes of the backend. */
export async function examine({ software = true, check, formats: ask, ...options }: GpuOptions = {}): Promise<Examined> {
  let backend = await open(options, software)
  try {
    if (!(check ?? !backend.device.software))
      return { backend: { ...backend, dropped: undefined }, checks: [], formats: { matrices: [], experts: [] } }
    const formats = (await ask?.()) ?? USUAL_FORMATS
    const trusted = createReferenceBackend()
    const checks = await selfCheck(backend, trusted, formats)
    const wrong = wrongOf(checks)
    if (wrong.length === 0 || !backend.device.variants.subgroups) return { backend: { ...backend, dropped: undefined }, checks, formats }
    await backend.dispose()
    backend = await open({ ...options, without: ['subgroups'] }, software)
    const dropped = `subgroups (${listed(wrong)})`
    return { backend: { ...backend, dropped }, checks: await selfCheck(backend, trusted, formats), formats }
  } catch (error) {
    await backend.dispose()
    throw error
  }
}

async function open(options: WebgpuOptions, software: boolean): Promise<WebgpuBackend> {
  const backend = await createWebgpuBackend(options)
  if (software || !backend.device.software) return backend
  await backend.dispose()
  throw new Error(
    `the only WebGPU adapter here is ${adapterName(backend)}, which computes on the CPU; use the backend wasm, or webgpu:software for tests`,
  )
}

/** `weight` of a backend: the first weight of a format that is not among the known ones waits until the format is checked. */
function checkedWeights(backend: WebgpuBackend, { matrices, experts }: Formats): Backend['weight'] {
  const right = {
    matrices: new Map<DType, Promise<void>>(matrices.map((dtype) => [dtype, Promise.resolve()])),
    experts: new Map<DType, Promise<void>>(experts.map((dtype) => [dtype, Promise.resolve()])),
  }
  const check = async (formats: Formats) => {
    const wrong = wrongOf(await checkFormats(backend, createReferenceBackend(), formats))
    if (wrong.length > 0) throw new WrongResultsError(adapterName(backend), '', wrong, listed(wrong))
  }
  return async (spec, ...rest) => {
    const kind = spec.use === 'experts' ? 'experts' : 'matrices'
    let done = spec.use === 'vector' ? undefined : right[kind].get(spec.dtype)
    if (spec.use !== 'vector' && !done) {
      done = check({ matrices: [], experts: [], [kind]: [spec.dtype] })
      right[kind].set(spec.dtype, done)
    }
    await done
    return backend.weight(spec, ...rest)
  }
}

const wrongOf = (checks: readonly Check[]): Check[] => checks.filter(({ problem }) => problem !== undefined)

/** Kernels that an error names; the others are counted. */
const MOST_NAMED = 6

function listed(wrong: readonly Check[]): string {
  const named = wrong.slice(0, MOST_NAMED).map(({ name, problem }) => `${name}: ${problem}`)
  return [...named, ...(wrong.length > MOST_NAMED ? [`${wrong.length - MOST_NAMED} more`] : [])].join('; ')
}

/** What people call the adapter. */
export const adapterName = ({ device: { info } }: WebgpuBackend): string =>
  info.description || info.device || `${info.vendor} ${info.architecture}`.trim() || 'an unnamed adapter'

/** The backend in words, for a log: the adapter, and what it does without. */
export const choiceOf = (backend: GpuBackend): string =>
  `backend webgpu: ${adapterName(backend)}${backend.dropped === undefined ? '' : `, without ${backend.dropped}`}`
