/**
 * Shared by the commands that run a model: the directory of a MODEL argument, the options of backend and
 * context, and a progress line during loading.
 */
import { availableParallelism } from 'node:os'
import { basename, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { WrongFormatError } from '../../checkpoint/errors.ts'
import { missingFrom } from '../../checkpoint/other-formats.ts'
import { fileFolder } from '../../checkpoint/source-node.ts'
import { dropDamaged } from '../../hub/blobs-node.ts'
import { type LocatedDirectory, locateModel } from '../../hub/locate-node.ts'
import {
  BACKENDS,
  type BackendOptions,
  type IdsModel,
  type LoadIdsOptions,
  type LoadModelOptions,
  loadIds,
  loadModel,
  type Model,
  withAdapter,
} from '../../load-model-node.ts'
import { pullModel } from '../pull.ts'
import { transferLine } from './progress.ts'
import { parseTokens, UsageError } from './terminal.ts'

/** Options of every command that runs a model: those of the backend, and the context. */
export interface RunOptions extends BackendOptions, Pick<LoadModelOptions, 'genericTools'>, Pick<LoadIdsOptions, 'lowMemory'> {
  context?: number
  /** LoRA directories of PEFT by name. Commands that run one answer take one. */
  adapter?: Record<string, string>
  /** No notes and no progress on standard error. */
  quiet?: boolean
}

export type { BackendOptions }

/**
 * The checkpoint directory of a MODEL: a path, a model of this package, or one in the shared cache by
 * Hugging Face id or preset name. A missing one is pulled if the user agrees.
 */
export const modelDirectory = async (model: string): Promise<string> => (await locate(model)).directory

async function locate(model: string, quiet?: boolean): Promise<LocatedDirectory> {
  const located = await locateModel(model)
  if ('directory' in located) {
    if (located.note && !quiet) process.stderr.write(`${located.note}\n`)
    const folder = await fileFolder(located.directory)
    if (folder.checkpoint) return located // a GGUF file has its configuration inside
    const config = await folder.open('config.json')
    await config?.close()
    if (config) return located
    const error = await missingFrom(folder, 'config.json')
    if (error instanceof WrongFormatError) throw error
    throw new UsageError(`${located.directory}: expected a directory with config.json and safetensors files, found no config.json`)
  }
  const { id, problem } = located
  const state = problem ? `is incomplete on this machine (${problem.message})` : 'is not on this machine'
  if (await agrees(`${id} ${state}. Download it?`)) return { id, directory: await pullModel(id) }
  throw new UsageError(`${id} ${state}; fetch it with: lineage pull ${id}`)
}

/** Asks on a terminal. Without a terminal the answer is no. */
async function agrees(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test(await lines.question(`${question} [y/N] `))
  } finally {
    lines.close()
  }
}

/** Adds the options of BackendOptions. */
export function addBackendOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--backend <name>', 'where to compute; webgpu is the GPU, by the package webgpu').choices(BACKENDS).default('wasm'),
    )
    .addOption(
      new Option('--precision <p>', 'faithful to the published numbers, or fast').choices(['faithful', 'fast']).default('faithful'),
    )
    .option('--threads <n>', 'compute threads (default: the number of cores, which is also the most)', parseThreads)
}

/** Adds the options of RunOptions. */
export function addRunOptions(command: Command): Command {
  return addAdapterOption(addBackendOptions(command))
    .option('--context <tokens>', 'longest prompt plus answer, e.g. 8192 or 32k', parseTokens)
    .option('--low-memory', 'leave the embedding table on disk and read its rows as they are needed')
}

export const addAdapterOption = (command: Command): Command =>
  command.option('--adapter <dir>', 'run with this LoRA directory of PEFT beside the model; NAME=DIR gives it a name', collectAdapters)

function collectAdapters(value: string, before: Record<string, string> = {}): Record<string, string> {
  const [, given, directory] = /^(?:([^=/\\]+)=)?(.+)$/s.exec(value) ?? []
  if (directory === undefined) throw new InvalidArgumentError('Expected a directory, or NAME=DIR.')
  const name = given ?? basename(resolve(directory))
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`The adapter "${name}" is there already; name one of them with NAME=DIR.`)
  return { ...before, [name]: directory }
}

/** Loads a model without tokenizer, with progress on standard error. */
export const openIds = (model: string, options: RunOptions & LoadIdsOptions = {}): Promise<IdsModel> => open(loadIds, model, options)

/** Loads a model with its tokenizer and chat format, with progress on standard error. */
export const openModel = (model: string, options: RunOptions & LoadModelOptions = {}): Promise<Model> => open(loadModel, model, options)

async function open<O extends LoadIdsOptions & Pick<RunOptions, 'adapter' | 'quiet'>, M extends IdsModel>(
  load: (directory: string, options: O) => Promise<M>,
  model: string,
  options: O,
): Promise<M> {
  const { directory, id } = await locate(model, options.quiet)
  const names = Object.keys(options.adapter ?? {})
  if (names.length > 1)
    throw new UsageError(`--adapter: expected one adapter, got ${names.join(', ')}; only \`lineage serve\` runs several`)
  const line = transferLine(process.stderr, `loading ${model}`)
  const onProgress: LoadIdsOptions['onProgress'] = ({ bytes, totalBytes }) => {
    if (totalBytes > 64 << 20 && !options.quiet) line.update(bytes, totalBytes) // smaller models load too fast for a progress line
  }
  try {
    const onBackend: LoadIdsOptions['onBackend'] = (choice) => options.quiet || process.stderr.write(`${choice}\n`)
    const loaded = await load(directory, { onProgress, onBackend, ...options, adapters: options.adapter })
    return names.length === 0 ? loaded : withAdapter(loaded, names[0]!)
  } catch (error) {
    // A file of the cache may be damaged, which its hash shows.
    const damaged = id && !options.signal?.aborted ? await dropDamaged(directory, error) : []
    if (damaged.length === 0) throw error
    throw new Error(`${id}: damaged in the cache and removed: ${damaged.join(', ')}; fetch it again with: lineage pull ${id}`, {
      cause: error,
    })
  } finally {
    line.end()
  }
}

/** '1 2 3', '1,2,3' or JSON's '[1, 2, 3]' -> ids. For commander's argument parser. */
export function parseIds(text: string): number[] {
  const words = text.split(/[\s,[\]]+/).filter((word) => word !== '')
  const ids = words.map(Number)
  if (ids.length === 0 || words.some((word) => !/^\d+$/.test(word)) || !ids.every(Number.isSafeInteger))
    throw new InvalidArgumentError('Expected token ids such as "1 2 3".')
  return ids
}

/** For commander's argument parser. */
export function parseCount(text: string): number {
  if (!/^\d+$/.test(text) || Number(text) < 1 || !Number.isSafeInteger(Number(text)))
    throw new InvalidArgumentError('Expected a whole number from 1.')
  return Number(text)
}

/** At most the cores of this machine: threads that share one would wait for each other. For commander's argument parser. */
export function parseThreads(text: string): number {
  const threads = parseCount(text)
  const cores = availableParallelism()
  if (threads > cores) process.stderr.write(`--threads ${threads}: this machine has ${cores} cores, so ${cores} threads are used\n`)
  return Math.min(threads, cores)
}

/** For commander's argument parser. */
export const parseWhole = (text: string): number => (text === '0' ? 0 : parseCount(text))

/** For commander's argument parser. */
export function parsePort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) throw new InvalidArgumentError('Expected a port from 0 to 65535.')
  return Number(text)
}

/** For commander's argument parser. */
export function parseNumber(text: string): number {
  if (text.trim() === '' || !Number.isFinite(Number(text))) throw new InvalidArgumentError('Expected a number.')
  return Number(text)
}

/** For commander's argument parser. */
export function parseShare(text: string): number {
  const share = parseNumber(text)
  if (share <= 0 || share > 1) throw new InvalidArgumentError('Expected a number above 0 and up to 1.')
  return share
}

/** An AbortSignal for Ctrl-C. A second Ctrl-C ends the program. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort(new Error('interrupted')))
  return controller.signal
}

/** Resident memory now and at its highest, in bytes. */
export const residentMemory = (): { residentBytes: number; peakResidentBytes: number } => ({
  residentBytes: process.memoryUsage.rss(),
  peakResidentBytes: process.resourceUsage().maxRSS * 1024,
})
