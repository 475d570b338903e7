/**
 * `pull`: downloads a published model from the hub into the shared cache. The loader judges configuration and headers before the first
 * weight is fetched, and the finished download before it counts as one. Every hash is verified.
 */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { INDEX, weightFiles } from '../checkpoint/checkpoint.ts'
import { ReadFailedError } from '../checkpoint/errors.ts'
import { ggufFiles, ggufFolder } from '../checkpoint/gguf/folder.ts'
import { openModel, readArchitecture } from '../checkpoint/load.ts'
import { missingFrom } from '../checkpoint/other-formats.ts'
import type { Folder } from '../checkpoint/source.ts'
import { fileFolder, isWeights } from '../checkpoint/source-node.ts'
import { DiskSpaceError, freeBytes, requireSpace } from '../files/disk-space-node.ts'
import { Gate } from '../files/gate.ts'
import { abbreviate } from '../json/json.ts'
import { adopt, damagedFiles, sweepBlobs, sweepRemoved } from './blobs-node.ts'
import { checkModelId, checkRevision, findSnapshot, linkIntoSnapshot, lockPath, modelFolder, writeRef } from './cache-node.ts'
import { bytesOnDisk, download, isIntact, type RemoteFile, readOnDisk } from './download-node.ts'
import { type Environment, hubCacheDirectory, isOn } from './environment-node.ts'
import { type HubClient, HubError } from './http.ts'
import { withLock } from './lock-node.ts'
import { chooseGguf, parseReference } from './reference.ts'
import { type HubOptions, openRepository, type Repository, remoteFolder, withHub } from './repository-node.ts'

/** The model was found, but it cannot be run by this version: another family, another format, damaged files on the hub. */
export class UnsupportedModelError extends HubError {
  override name = 'UnsupportedModelError'
}

/** An event of a pull, for a progress display. */
export type PullEvent =
  /** Another process is pulling the same model; this one waits and then uses its files. */
  | { kind: 'locked'; holder: string }
  | { kind: 'plan'; files: readonly { name: string; size: number; present: number }[]; totalBytes: number }
  /** Bytes on disk of one file, and of all files. */
  | { kind: 'progress'; name: string; bytes: number; allBytes: number }
  | { kind: 'done'; name: string }
  /** A request failed and is repeated after a delay. */
  | { kind: 'pause'; reason: string; milliseconds: number }
  /** The bytes of a file on disk are compared with its hash. */
  | { kind: 'verify'; name: string }
  /** They were not the published ones; the file was removed and is fetched again. */
  | { kind: 'damaged'; name: string }

export interface PullOptions extends HubOptions {
  /** Branch, tag or commit; 'main' if absent. */
  readonly revision?: string
  readonly onEvent?: (event: PullEvent) => void
  /** Number of parallel transfers. */
  readonly connections?: number
  /** Bytes per range request; an interrupted piece is fetched again. */
  readonly pieceBytes?: number
  /** Returns the free bytes of a disk. */
  readonly freeBytes?: (directory: string) => Promise<number>
  /** Compares the hash of every file that is there already, and fetches the damaged ones again. */
  readonly verify?: boolean
  /** Downloads also a model that cannot be loaded. */
  readonly anyway?: boolean
  /**
   * Judges a folder as the loader would, without reading weights. Default: configuration and headers. It is asked before the first
   * weight file is fetched, with a folder on the hub, and for the finished download.
   * @throws any error of the loader
   */
  readonly check?: (folder: Folder) => Promise<unknown>
}

export interface PullResult {
  /** The snapshot: a directory to load; of a GGUF model its first file. */
  readonly directory: string
  readonly commit: string
  readonly files: readonly string[]
  readonly totalBytes: number
  /** Bytes that were not on disk before. */
  readonly downloadedBytes: number
  /** Why the model cannot be loaded; only with `anyway`. */
  readonly problem?: Error
}

/**
 * Downloads a model into the cache, completes or updates it. After an interruption, a new call fetches only what is missing.
 * @throws UnsupportedModelError before any weight is fetched; other HubErrors, DiskSpaceError, ModelIdError, or the signal's reason
 */
export async function pull(name: string, options: PullOptions = {}): Promise<PullResult> {
  const env = options.env ?? process.env
  const cache = hubCacheDirectory(env)
  const { id, gguf } = parseReference(name)
  checkModelId(id)
  if (isOn(env.HF_HUB_OFFLINE)) return offline(name, cache, options)
  await makeCache(cache, env)
  const onWait = (holder: string) => options.onEvent?.({ kind: 'locked', holder })
  return withLock(lockPath(cache, id), () => new Pull(id, gguf, cache, options).run(), { signal: options.signal, onWait })
}

async function makeCache(cache: string, env: Environment): Promise<void> {
  try {
    await mkdir(join(cache, '.locks'), { recursive: true })
  } catch (cause) {
    const variable = env.HF_HUB_CACHE ? 'HF_HUB_CACHE' : 'HF_HOME'
    throw new HubError(`${cache}: the cache cannot be written (${(cause as Error).message}). Set ${variable} to a directory that can be.`, {
      cause,
    })
  }
  await sweepRemoved(cache)
}

async function offline(id: string, cache: string, { revision, verify, signal, onEvent }: PullOptions): Promise<PullResult> {
  const snapshot = await findSnapshot(id, { cache, revision })
  const why = 'and HF_HUB_OFFLINE is set. Unset it to pull the model.'
  if (!snapshot) throw new HubError(`${id} is not in the cache (${cache}) ${why}`)
  if (snapshot.problem)
    throw new HubError(`${id} is incomplete in the cache ${why} ${snapshot.problem.message}`, { cause: snapshot.problem })
  const { directory } = snapshot
  if (verify) {
    const damaged = await damagedFiles(directory, {
      signal,
      onFile: (name) => onEvent?.({ kind: 'verify', name }),
    })
    if (damaged.length > 0) throw new HubError(`${id}: damaged in the cache: ${damaged.map(({ name }) => name).join(', ')} ${why}`)
  }
  const commit = /[\\/]snapshots[\\/]([^\\/]+)/.exec(directory)?.[1] ?? basename(directory)
  return { directory, commit, files: [], totalBytes: 0, downloadedBytes: 0 }
}

const defaultCheck = async (folder: Folder): Promise<void> => (await openModel(folder)).checkpoint.close()

/** A content to have on disk. `inPlace`: its bytes are in the snapshot itself, since links are refused there. */
interface Planned {
  /** The first file that has it. */
  readonly file: RemoteFile
  present: number
  inPlace: boolean
}

/** One pull, under the lock of its model. */
class Pull {
  readonly #id: string
  /** The quantisation of a GGUF file that is wanted, or its name. */
  readonly #gguf: string | undefined
  readonly #options: PullOptions
  readonly #folder: string
  readonly #blobs: string
  readonly #pieceBytes: number
  readonly #failure = new AbortController()
  readonly #signal: AbortSignal
  /** By the name of the file. Files of the same content share one blob, and so one entry. */
  readonly #planned = new Map<string, Planned>()
  /** Names of files whose hash this run has computed. */
  readonly #intact = new Set<string>()
  #hasWeights = false
  #allBytes = 0
  #downloadedBytes = 0

  constructor(id: string, gguf: string | undefined, cache: string, options: PullOptions) {
    this.#id = id
    this.#gguf = gguf
    this.#options = options
    this.#folder = modelFolder(cache, id)
    this.#blobs = join(this.#folder, 'blobs')
    this.#pieceBytes = options.pieceBytes ?? 16 << 20
    this.#signal = options.signal ? AbortSignal.any([options.signal, this.#failure.signal]) : this.#failure.signal
  }

  run(): Promise<PullResult> {
    const { onEvent, revision = 'main' } = this.#options
    const onWait = (reason: string, milliseconds: number) => onEvent?.({ kind: 'pause', reason, milliseconds })
    return withHub({ ...this.#options, signal: this.#signal }, onWait, async (client, endpoint) => {
      const repository = await openRepository(client, endpoint, this.#id, checkRevision(revision))
      const isNew = !existsSync(this.#folder)
      try {
        return await this.#pull(client, repository, revision)
      } catch (error) {
        if (isNew && !this.#hasWeights && error instanceof UnsupportedModelError) await rm(this.#folder, { recursive: true, force: true })
        throw error
      }
    })
  }

  async #pull(client: HubClient, repository: Repository, revision: string): Promise<PullResult> {
    const remote = remoteFolder(client, repository, (file, offset, into) =>
      readOnDisk(file, this.#blobOf(file), this.#pieceBytes, offset, into),
    )
    await mkdir(this.#blobs, { recursive: true })
    const ggufs = this.#ggufFiles(repository)
    if (ggufs) {
      const folder = ggufFolder(remote, ggufs[0]!)
      return this.#rest(client, repository, revision, { texts: [], weights: ggufs, folder, local: (snapshot) => join(snapshot, ggufs[0]!) })
    }
    // The configuration and the index say whether the rest is wanted, and what it is.
    await this.#plan(repository, ['config.json', INDEX])
    await this.#fetch(client, ['config.json', INDEX], false)
    const problem = await this.#judge(async () => {
      if (!repository.names.includes('config.json')) throw await missingFrom(remote, 'config.json', 'no config.json in the repository')
      await readArchitecture(remote)
    })
    const weights = await this.#weightFiles(remote, repository)
    const texts = textFiles(repository.names)
    return this.#rest(client, repository, revision, { texts, weights, folder: remote, local: (snapshot) => snapshot }, problem)
  }

  /** Judges the model on the hub, fetches the files of it that are not there, and judges it again. */
  async #rest(
    client: HubClient,
    repository: Repository,
    revision: string,
    { texts, weights, folder, local }: { texts: string[]; weights: string[]; folder: Folder; local: (snapshot: string) => string },
    problem?: Error,
  ): Promise<PullResult> {
    const { check = defaultCheck, onEvent } = this.#options
    await this.#plan(repository, [...texts, ...weights])
    const planned = [...this.#contents()]
    const totalBytes = planned.reduce((sum, { file }) => sum + file.size, 0)
    const files = planned.map(({ file, present }) => ({ name: file.name, size: file.size, present }))
    onEvent?.({ kind: 'plan', files, totalBytes })
    await requireSpace(this.#blobs, totalBytes - this.#allBytes, this.#options.freeBytes ?? freeBytes)
    await this.#fetch(client, texts)
    problem ??= await this.#judge(() => check(folder))
    this.#hasWeights = true
    await this.#fetch(client, weights)
    const snapshot = join(this.#folder, 'snapshots', repository.commit)
    const directory = local(snapshot)
    await this.#link(snapshot)
    // The loader's own test of what is on the disk now. Damaged files of earlier runs are fetched again.
    problem ??= await this.#judge(
      async () => check(await fileFolder(directory)),
      async () => {
        await this.#fetch(client, weights)
        await this.#link(snapshot)
      },
    )
    await writeRef(this.#folder, revision, repository.commit)
    await sweepBlobs(this.#blobs)
    const { commit } = repository
    return { directory, commit, files: [...this.#planned.keys()], totalBytes, downloadedBytes: this.#downloadedBytes, problem }
  }

  /** The GGUF files of a repository that are wanted: where a quantisation is asked for, and where there are no safetensors files. */
  #ggufFiles({ names }: Repository): string[] | undefined {
    if (this.#gguf === undefined && (ggufFiles(names).length === 0 || names.some((name) => name.endsWith('.safetensors')))) return undefined
    const chosen = chooseGguf(names, this.#gguf)
    if ('files' in chosen) return chosen.files
    const choices = chosen.choices.length > 0 ? `it has ${abbreviate(chosen.choices.join(', '), 400)}` : 'it has no GGUF files'
    const wanted = this.#gguf === undefined ? 'one GGUF file to be named' : `a GGUF file for "${this.#gguf}"`
    throw new UnsupportedModelError(`${this.#id}: expected ${wanted}; ${choices}. Name one behind a colon: ${this.#id}:Q4_K_M`)
  }

  /** The names of the weight files, by the loader's own rule. */
  async #weightFiles(remote: Folder, repository: Repository): Promise<string[]> {
    let files: string[] = []
    const refused = await this.#judge(async () => {
      files = (await weightFiles(remote)).files
    })
    const missing = files.find((name) => !repository.names.includes(name))
    const why = refused?.message ?? (missing && `${INDEX} names ${missing}, which the repository does not have.`)
    if (why) throw new UnsupportedModelError(`${this.#id} cannot be downloaded: ${why}`, { cause: refused })
    return files
  }

  /** What is planned, every content once. */
  #contents(names: Iterable<string> = this.#planned.keys()): Set<Planned> {
    return new Set([...names].flatMap((name) => this.#planned.get(name) ?? []))
  }

  #blobOf(file: RemoteFile): string {
    return join(this.#blobs, file.hash.hex)
  }

  /** Looks at what is on disk of these files, as far as the repository has them. Small files are compared with their hash at once. */
  async #plan(repository: Repository, names: readonly string[]): Promise<void> {
    for (const name of names.filter((name) => repository.names.includes(name) && !this.#planned.has(name))) {
      const file = await repository.file(name)
      const blob = this.#blobOf(file)
      const same = [...this.#contents()].find((other) => !other.inPlace && this.#blobOf(other.file) === blob)
      if (same) {
        this.#planned.set(name, same)
        continue
      }
      const planned = { file, present: await bytesOnDisk(file, blob, this.#pieceBytes), inPlace: false }
      this.#planned.set(name, planned)
      this.#allBytes += planned.present
      if (this.#options.verify || !isWeights(name)) await this.#dropIfDamaged(planned)
      const adopted = planned.present < file.size ? await adopt(file, blob, repository.commit, this.#signal) : undefined
      if (!adopted) continue
      this.#allBytes += file.size - planned.present
      planned.present = file.size
      planned.inPlace = adopted !== blob
      this.#intact.add(name)
    }
  }

  /** Compares a file that is there with its hash, unless this run has done so. Removes it when it is damaged, and returns true. */
  async #dropIfDamaged(planned: Planned): Promise<boolean> {
    const { file, present } = planned
    const blob = this.#blobOf(file)
    if (this.#intact.has(file.name) || present < file.size || !existsSync(blob)) return false
    this.#options.onEvent?.({ kind: 'verify', name: file.name })
    if (await isIntact(file, blob, this.#signal)) {
      this.#intact.add(file.name)
      return false
    }
    await rm(blob, { force: true })
    this.#allBytes -= present
    planned.present = 0
    this.#options.onEvent?.({ kind: 'damaged', name: file.name })
    return true
  }

  /** Downloads what is missing of these files, in parallel. The first failure ends all. */
  async #fetch(client: HubClient, names: readonly string[], report = true): Promise<void> {
    const { connections = 8, onEvent, signal } = this.#options
    const gate = new Gate(connections)
    const planned = [...this.#contents(names)].filter(({ inPlace }) => !inPlace)
    const fetchFile = async (each: Planned) => {
      const { file } = each
      const before = each.present
      await download(file, this.#blobOf(file), {
        client,
        pieceBytes: this.#pieceBytes,
        connection: (task) => gate.run(task),
        abort: (reason) => this.#failure.abort(reason),
        onBytes: (count) => {
          each.present += count
          this.#allBytes += count
          if (report) onEvent?.({ kind: 'progress', name: file.name, bytes: each.present, allBytes: this.#allBytes })
        },
      })
      this.#downloadedBytes += file.size - before
      if (before < file.size) this.#intact.add(file.name)
      if (report) onEvent?.({ kind: 'done', name: file.name })
    }
    const outcomes = await Promise.allSettled(
      planned.map((each) =>
        fetchFile(each).catch((error) => {
          this.#failure.abort(error)
          throw error
        }),
      ),
    )
    signal?.throwIfAborted()
    if (this.#failure.signal.aborted) throw this.#failure.signal.reason
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }

  async #link(directory: string): Promise<void> {
    for (const [name, { file, inPlace }] of this.#planned) if (!inPlace) await linkIntoSnapshot(this.#blobOf(file), join(directory, name))
  }

  /**
   * Runs a test of the loader. When it fails, the files that are there are compared with their hashes; if some were damaged, the test
   * runs again after `repair`.
   * @returns the error of the test with `anyway`
   * @throws UnsupportedModelError without
   */
  async #judge(test: () => Promise<unknown>, repair = async () => {}): Promise<Error | undefined> {
    for (let isRepaired = false; ; isRepaired = true) {
      try {
        await test()
        return undefined
      } catch (error) {
        this.#signal.throwIfAborted()
        if (!isLoaderError(error)) throw error
        let damaged = false
        if (!isRepaired) for (const planned of this.#contents()) if (await this.#dropIfDamaged(planned)) damaged = true
        if (!damaged) {
          if (this.#options.anyway) return error
          const rest = this.#hasWeights ? '' : ' No weights were downloaded; --anyway downloads them.'
          throw new UnsupportedModelError(`${this.#id} cannot be loaded: ${error.message}${rest}`, { cause: error })
        }
        await repair()
      }
    }
  }
}

/** Whether an error is about the content of files, and not about the network or the disk. */
const isLoaderError = (error: unknown): error is Error =>
  error instanceof Error &&
  !(error instanceof HubError || error instanceof DiskSpaceError || error instanceof ReadFailedError || 'syscall' in error)

const TEXT_FILES = [
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'additional_chat_templates/tool_use.jinja',
  'hf_quant_config.json',
  '1_Pooling/config.json',
]

/** The small files beside configuration and index that running a model may need. */
function textFiles(names: readonly string[]): string[] {
  const bpe = names.includes('tokenizer.json') ? [] : ['vocab.json', 'merges.txt']
  return [...TEXT_FILES, ...bpe].filter((name) => names.includes(name))
}
