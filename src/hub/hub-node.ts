/**
 * `pull`: downloads a published model from the hub into the shared cache. It lists the files, chooses
 * those that running the model needs, checks the disk, downloads in parallel and verifies every hash.
 * Only then the files get their names.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { freeBytes, requireSpace } from '../files/disk-space-node.ts'
import { Gate } from '../files/gate.ts'
import { isObject } from '../json/json.ts'
import {
  checkModelId,
  checkRevision,
  type Environment,
  findCachedModel,
  hubCacheDirectory,
  hubToken,
  isCommit,
  isOn,
  linkIntoSnapshot,
  lockPath,
  modelFolder,
  writeRef,
} from './cache-node.ts'
import { bytesOnDisk, download, type RemoteFile } from './download-node.ts'
import { HubClient, HubError, type HubHttpOptions, HubNotFoundError } from './http.ts'
import { withLock } from './lock-node.ts'

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

export interface PullOptions {
  /** Branch, tag or commit; 'main' if absent. */
  readonly revision?: string
  readonly signal?: AbortSignal
  readonly onEvent?: (event: PullEvent) => void
  /** Number of parallel transfers. */
  readonly connections?: number
  /** Bytes per range request; an interrupted piece is fetched again. */
  readonly pieceBytes?: number
  readonly env?: Environment
  readonly http?: Pick<HubHttpOptions, 'tries' | 'retryMs' | 'stallMs' | 'longestWaitMs'>
  /** Returns the free bytes of a disk. */
  readonly freeBytes?: (directory: string) => Promise<number>
}

export interface PullResult {
  /** The snapshot: a directory to load. */
  readonly directory: string
  readonly commit: string
  readonly files: readonly string[]
  readonly totalBytes: number
  /** Bytes that were not on disk before. */
  readonly downloadedBytes: number
}

/**
 * Downloads a model into the cache or updates it. After an interruption, a new call fetches only what
 * is missing.
 * @throws HubError subclasses, DiskSpaceError, ModelIdError, or the signal's reason
 */
export async function pull(id: string, options: PullOptions = {}): Promise<PullResult> {
  const env = options.env ?? process.env
  const cache = hubCacheDirectory(env)
  checkModelId(id)
  if (isOn(env.HF_HUB_OFFLINE)) return offline(id, cache, options.revision)
  await mkdir(cache, { recursive: true })
  const onWait = (holder: string) => options.onEvent?.({ kind: 'locked', holder })
  return withLock(lockPath(cache, id), () => pullLocked(id, cache, env, options), { signal: options.signal, onWait })
}

async function offline(id: string, cache: string, revision: string | undefined): Promise<PullResult> {
  const directory = await findCachedModel(id, { cache, revision })
  if (!directory) throw new HubError(`${id} is not in the cache (${cache}) and HF_HUB_OFFLINE is set. Unset it to pull the model.`)
  return { directory, commit: directory.split(/[\\/]/).at(-1)!, files: [], totalBytes: 0, downloadedBytes: 0 }
}

async function pullLocked(id: string, cache: string, env: Environment, options: PullOptions): Promise<PullResult> {
  const { connections = 8, pieceBytes = 16 << 20, onEvent } = options
  const failure = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, failure.signal]) : failure.signal
  const onWait = (reason: string, milliseconds: number) => onEvent?.({ kind: 'pause', reason, milliseconds })
  const client = new HubClient({ ...options.http, token: await hubToken(env), signal, onWait })
  const endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
  const { commit, files } = await listFiles(client, endpoint, id, checkRevision(options.revision ?? 'main'))

  const folder = modelFolder(cache, id)
  const blobs = join(folder, 'blobs')
  await mkdir(blobs, { recursive: true })
  const blobOf = (file: RemoteFile) => join(blobs, file.hash.hex)
  const planned = await Promise.all(files.map(async (file) => ({ file, present: await bytesOnDisk(file, blobOf(file), pieceBytes) })))
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0)
  let allBytes = planned.reduce((sum, { present }) => sum + present, 0)
  const downloadedBytes = totalBytes - allBytes
  onEvent?.({ kind: 'plan', files: planned.map(({ file, present }) => ({ name: file.name, size: file.size, present })), totalBytes })
  await requireSpace(blobs, downloadedBytes, options.freeBytes ?? freeBytes)

  const gate = new Gate(connections)
  const downloadFile = async ({ file, present }: { file: RemoteFile; present: number }) => {
    let bytes = present
    await download(file, blobOf(file), {
      client,
      pieceBytes,
      connection: (task) => gate.run(task),
      abort: (reason) => failure.abort(reason),
      onBytes(count) {
        bytes += count
        allBytes += count
        onEvent?.({ kind: 'progress', name: file.name, bytes, allBytes })
      },
    })
    onEvent?.({ kind: 'done', name: file.name })
  }
  const outcomes = await Promise.allSettled(
    planned.map((each) =>
      downloadFile(each).catch((error) => {
        failure.abort(error)
        throw error
      }),
    ),
  )
  options.signal?.throwIfAborted()
  if (failure.signal.aborted) throw failure.signal.reason
  const failed = outcomes.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason

  const directory = join(folder, 'snapshots', commit)
  for (const file of files) await linkIntoSnapshot(blobOf(file), join(directory, file.name))
  await writeRef(folder, options.revision ?? 'main', commit)
  return { directory, commit, files: files.map(({ name }) => name), totalBytes, downloadedBytes }
}

/** What the hub says about the content of a file. */
type Content = Pick<RemoteFile, 'size' | 'hash'>

/** The commit of a revision and the files of it that are needed. */
async function listFiles(
  client: HubClient,
  endpoint: string,
  id: string,
  revision: string,
): Promise<{ commit: string; files: RemoteFile[] }> {
  const url = `${endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}?blobs=true`
  const answer = await client.get(
    url,
    () => ({ accept: 'application/json' }),
    async (response) => {
      try {
        return (await response.json()) as unknown
      } catch (cause) {
        throw new HubError(`${url} did not answer with JSON. Is HF_ENDPOINT (${endpoint}) a model hub?`, { cause })
      }
    },
  )
  const bad = (what: string) => new HubError(`${url}: expected ${what}. Is HF_ENDPOINT (${endpoint}) a model hub?`)
  if (!isObject(answer) || typeof answer.sha !== 'string' || !isCommit(answer.sha)) throw bad('"sha" with the commit')
  if (!Array.isArray(answer.siblings)) throw bad('"siblings" with the files')
  const siblings = new Map<string, Content | undefined>()
  for (const entry of answer.siblings) {
    if (isObject(entry) && typeof entry.rfilename === 'string') siblings.set(entry.rfilename, readSibling(entry))
  }
  const commit = answer.sha
  const files = neededFiles([...siblings.keys()], id).map((name): RemoteFile => {
    const sibling = siblings.get(name)
    if (!sibling) throw bad(`size and hash of ${name}`)
    return { name, url: `${endpoint}/${id}/resolve/${commit}/${encodeURIComponent(name)}`, ...sibling }
  })
  return { commit, files }
}

function readSibling(entry: Record<string, unknown>): Content | undefined {
  const { blobId, lfs } = entry
  const size = isObject(lfs) ? lfs.size : entry.size
  if (!Number.isSafeInteger(size) || (size as number) < 0) return undefined
  // Hashes become file names, so nothing else may pass.
  if (isObject(lfs)) {
    const hex = lfs.sha256 ?? lfs.oid
    if (typeof hex !== 'string' || !/^[0-9a-f]{64}$/.test(hex)) return undefined
    return { size: size as number, hash: { kind: 'sha256', hex } }
  }
  if (typeof blobId !== 'string' || !isCommit(blobId)) return undefined
  return { size: size as number, hash: { kind: 'git-sha1', hex: blobId } }
}

const SMALL_FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'chat_template.jinja',
  'chat_template.json',
  'additional_chat_templates/tool_use.jinja',
]
const SHARD = /^model--?\d{5}-of-\d{5}\.safetensors$/
const INDEX = 'model.safetensors.index.json'

/**
 * The files that running a model needs: configuration, tokenizer, chat template, safetensors. Other
 * formats and layouts are skipped.
 * @throws HubNotFoundError when there is no config.json or no safetensors file.
 */
export function neededFiles(all: readonly string[], id: string): string[] {
  const has = (name: string) => all.includes(name)
  const small = SMALL_FILES.filter(has)
  const bpe = has('tokenizer.json') ? [] : ['vocab.json', 'merges.txt'].filter(has)
  const weights = has(INDEX) ? [INDEX, ...all.filter((name) => SHARD.test(name)).sort()] : ['model.safetensors'].filter(has)
  if (!has('config.json') || weights.length === 0) {
    const missing = has('config.json') ? 'model.safetensors' : 'config.json'
    const seen = all.filter((name) => /\.(safetensors|bin|gguf|pt|pth|onnx)$/.test(name)).slice(0, 5)
    throw new HubNotFoundError(
      `${id} has no ${missing}${seen.length > 0 ? ` (but ${seen.join(', ')})` : ''}. Choose a repository with config.json and safetensors files in the published layout.`,
    )
  }
  return [...small, ...bpe, ...weights]
}
