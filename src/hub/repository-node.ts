/**
 * One revision of a repository on the hub: its files with size and hash, and a folder over them of which only the bytes that are
 * asked for are fetched. So the loader itself can judge a model before its weights are downloaded.
 */
import type { Folder, Source } from '../checkpoint/source.ts'
import { bytesSource, truncated } from '../checkpoint/source.ts'
import { isWeights } from '../checkpoint/source-node.ts'
import { Gate } from '../files/gate.ts'
import { isObject } from '../json/json.ts'
import { checkModelId, checkRevision, isCommit } from './cache-node.ts'
import { bodyOf, hashOf, type RemoteFile, transferError } from './download-node.ts'
import { type Environment, hubEndpoint, hubToken } from './environment-node.ts'
import { HubClient, HubError, type HubHttpOptions, TransferError } from './http.ts'
import { proxyHint, withProxy } from './proxy-node.ts'

export interface Repository {
  readonly id: string
  readonly commit: string
  /** The names of all files, also of those that no model needs. */
  readonly names: readonly string[]
  /** Size and hash of one file. @throws HubError when the hub does not say them */
  file(name: string): Promise<RemoteFile>
}

/** What the hub says about the content of a file. */
type Content = Pick<RemoteFile, 'size' | 'hash'>

export interface HubOptions {
  readonly env?: Environment
  readonly signal?: AbortSignal
  readonly http?: Pick<HubHttpOptions, 'tries' | 'retryMs' | 'stallMs' | 'longestWaitMs'>
}

/** Runs a task with a client for the hub of the environment, through its proxy. */
export async function withHub<T>(
  { env = process.env, signal, http }: HubOptions,
  onWait: HubHttpOptions['onWait'],
  task: (client: HubClient, endpoint: string) => Promise<T>,
): Promise<T> {
  const endpoint = hubEndpoint(env)
  const client = new HubClient({ ...http, token: await hubToken(env), hint: proxyHint(env), signal, onWait })
  return withProxy(env, () => task(client, endpoint))
}

/** Opens a model on the hub for a task that reads its configuration and its headers. Nothing is written to the disk. */
export function withHubFolder<T>(id: string, revision: string, options: HubOptions, task: (folder: Folder) => Promise<T>): Promise<T> {
  return withHub(options, undefined, async (client, endpoint) =>
    task(remoteFolder(client, await openRepository(client, endpoint, checkModelId(id), checkRevision(revision)))),
  )
}

/** Asks the hub for the files of a revision. */
export async function openRepository(client: HubClient, endpoint: string, id: string, revision: string): Promise<Repository> {
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
  const contents = new Map<string, Content | undefined>()
  for (const entry of answer.siblings)
    if (isObject(entry) && typeof entry.rfilename === 'string') contents.set(entry.rfilename, readSibling(entry))
  const commit = answer.sha
  return {
    id,
    commit,
    names: [...contents.keys()],
    async file(name) {
      const at = `${endpoint}/${id}/resolve/${commit}/${name.split('/').map(encodeURIComponent).join('/')}`
      if (!contents.get(name)) contents.set(name, await askContent(client, at))
      const content = contents.get(name)
      if (!content)
        throw new HubError(
          `${at}: expected size and hash of the file, in the listing or in the headers. Is HF_ENDPOINT (${endpoint}) a model hub?`,
        )
      return { name, url: at, ...content }
    },
  }
}

function readSibling({ blobId, lfs, size: plainSize }: Record<string, unknown>): Content | undefined {
  return isObject(lfs) ? contentOf(lfs.size, lfs.sha256 ?? lfs.oid) : contentOf(plainSize, blobId)
}

/** Hashes become file names, so nothing else may pass. */
function contentOf(size: unknown, hex: unknown): Content | undefined {
  if (!Number.isSafeInteger(size) || (size as number) < 0 || typeof hex !== 'string' || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hex))
    return undefined
  return { size: size as number, hash: { kind: hex.length === 64 ? 'sha256' : 'git-sha1', hex } }
}

/** A mirror may list names only. The headers of the file then say its size and its hash. */
async function askContent(client: HubClient, url: string): Promise<Content | undefined> {
  const read = async ({ headers }: Response) => {
    const size = headers.get('x-linked-size') ?? headers.get('content-length')
    const tag = headers.get('x-linked-etag') ?? headers.get('etag')
    return contentOf(size === null ? undefined : Number(size), tag?.replace(/^W\/|"/g, ''))
  }
  return client.get(url, () => ({}), read, 'HEAD')
}

/** Bytes at the beginning of a weight file that one request fetches; most headers are shorter. */
const HEAD_BYTES = 64 << 10
/** Requests for headers at once. */
const RANGE_REQUESTS = 8

/** Reads bytes of a file that are on disk; false where they are not. */
type ReadOnDisk = (file: RemoteFile, offset: number, into: Uint8Array) => Promise<boolean>

type FetchRange = (file: RemoteFile, offset: number, length: number) => Promise<Uint8Array>

/** The repository as a folder. A small file is fetched whole and checked; of a weight file only the ranges that are read are fetched. */
export function remoteFolder(client: HubClient, repository: Repository, onDisk: ReadOnDisk = async () => false): Folder {
  const gate = new Gate(RANGE_REQUESTS)
  const fetchRange: FetchRange = (file, offset, length) => gate.run(() => range(client, file, offset, length))
  return {
    name: repository.id,
    list: async () => repository.names.filter((name) => !name.includes('/')),
    async open(name) {
      if (!repository.names.includes(name)) return undefined
      const file = await repository.file(name)
      const label = `${repository.id}/${name}`
      if (isWeights(name)) return rangeSource(fetchRange, file, label, onDisk)
      const bytes = new Uint8Array(file.size)
      return bytesSource((await onDisk(file, 0, bytes)) ? bytes : await wholeFile(client, file), label)
    },
  }
}

async function wholeFile(client: HubClient, file: RemoteFile): Promise<Uint8Array> {
  const bytes = await client.get(
    file.url,
    () => ({}),
    async (response) => new Uint8Array(await response.arrayBuffer()),
  )
  const found = hashOf(file, [bytes])
  if (found !== file.hash.hex)
    throw new HubError(`${file.name}: expected ${file.hash.kind} ${file.hash.hex}, got ${found} from ${new URL(file.url).host}.`)
  return bytes
}

function rangeSource(fetchRange: FetchRange, file: RemoteFile, name: string, onDisk: ReadOnDisk): Source {
  let head: Promise<Uint8Array> | undefined
  const headBytes = Math.min(file.size, HEAD_BYTES)
  return {
    name,
    size: file.size,
    async read(offset, into) {
      const end = offset + into.byteLength
      if (end > file.size) throw truncated(name, offset, into.byteLength, file.size)
      if (into.byteLength === 0 || (await onDisk(file, offset, into))) return
      if (end > headBytes) into.set(await fetchRange(file, offset, into.byteLength))
      else into.set((await (head ??= fetchRange(file, 0, headBytes))).subarray(offset, end))
    },
    async close() {},
  }
}

/** A range of a file. Of a server that ignores ranges only as much is read as is needed. */
async function range(client: HubClient, file: RemoteFile, offset: number, length: number): Promise<Uint8Array> {
  const headers = () => ({ range: `bytes=${offset}-${offset + length - 1}` })
  return client.get(file.url, headers, async (response, watch) => {
    const came = response.headers.get('content-range')
    if (response.status === 206 && !came?.startsWith(`bytes ${offset}-`)) {
      await response.body?.cancel()
      throw new TransferError(`the server sent "${came}" for bytes from ${offset}`, 0)
    }
    const bytes = new Uint8Array(length)
    let skip = response.status === 206 ? 0 : offset
    let at = 0
    try {
      for await (const chunk of bodyOf(response)) {
        watch.feed()
        const part = chunk.subarray(Math.min(skip, chunk.byteLength)).subarray(0, length - at)
        skip -= Math.min(skip, chunk.byteLength)
        bytes.set(part, at)
        at += part.byteLength
        if (at === length) break
      }
    } catch (error) {
      throw transferError(error, 0)
    }
    if (at < length) throw new TransferError(`the connection closed after ${at} of ${length} bytes`, 0)
    return bytes
  })
}
