/**
 * The cache of model files on disk, in the layout of Python's huggingface_hub, so that both share it:
 * models--ORG--NAME/{blobs/HASH, refs/REVISION, snapshots/COMMIT/FILE -> ../../blobs/HASH}.
 * It does not use the network.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, link, lstat, mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/errors.ts'
import { fileFolder } from '../checkpoint/source-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'

/** A malformed model id or revision. */
export class ModelIdError extends Error {
  override name = 'ModelIdError'
}

export type Environment = Readonly<Record<string, string | undefined>>

/** HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
export function hubCacheDirectory(env: Environment = process.env): string {
  return env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hubHome(env), 'hub')
}

function hubHome(env: Environment): string {
  return expandHome(env.HF_HOME || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'))
}

const expandHome = (path: string): string => (path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(2)) : path)

/** HF_TOKEN, else the file that `hf auth login` writes. */
export async function hubToken(env: Environment = process.env): Promise<string | undefined> {
  const given = env.HF_TOKEN?.trim() || env.HUGGING_FACE_HUB_TOKEN?.trim()
  if (given) return given
  if (isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined
  const text = await readFile(env.HF_TOKEN_PATH || join(hubHome(env), 'token'), 'utf8').catch(() => '')
  return text.trim() || undefined
}

/** Whether a switch in the environment is on, by the rule of huggingface_hub. */
export const isOn = (value: string | undefined): boolean => /^(1|ON|YES|TRUE)$/i.test(value ?? '')

/** 'ORG/NAME' or 'NAME'. */
export function checkModelId(id: string): string {
  const valid = /^[A-Za-z0-9_][\w.-]{0,95}(\/[A-Za-z0-9_][\w.-]{0,95})?$/.test(id) && !/--|\.\./.test(id) && !id.endsWith('.git')
  if (!valid) throw new ModelIdError(`"${id.slice(0, 100)}" is not a model id: expected ORG/NAME, such as openai/gpt-oss-20b.`)
  return id
}

export function checkRevision(revision: string): string {
  if (/^[\w][\w./-]{0,200}$/.test(revision) && !/\.\.|\/\/|\/$/.test(revision)) return revision
  throw new ModelIdError(`"${revision.slice(0, 100)}" is not a revision: expected a branch, a tag or a commit.`)
}

export const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text)

/** The folder of a model in the cache. */
export const modelFolder = (cache: string, id: string): string => join(cache, `models--${checkModelId(id).replace('/', '--')}`)

/** The lock file of a pull. It is outside the model's folder, so removing the model keeps the lock. */
export const lockPath = (cache: string, id: string): string =>
  join(cache, '.locks', `models--${checkModelId(id).replace('/', '--')}`, 'lineage.lock')

/** Links a blob into a snapshot: a relative symbolic link, or else a hard link, or else a copy. */
export async function linkIntoSnapshot(blob: string, snapshotFile: string, makeLink: typeof symlink = symlink): Promise<void> {
  await mkdir(dirname(snapshotFile), { recursive: true })
  // The caller holds the lock, so a file left by a killed run can be replaced.
  const temporary = `${snapshotFile}.tmp`
  await rm(temporary, { force: true })
  const target = relative(dirname(snapshotFile), blob)
  await makeLink(target, temporary)
    .catch(() => link(blob, temporary))
    .catch(() => copyFile(blob, temporary))
  await rename(temporary, snapshotFile)
}

/** Records the commit of a branch or tag. */
export async function writeRef(folder: string, revision: string, commit: string): Promise<void> {
  if (revision !== commit) await writeFileAtomically(join(folder, 'refs', ...revision.split('/')), commit)
}

/** The snapshot directory of a cached revision, complete or not; undefined when it is not in the cache. */
export async function snapshotDirectory(cache: string, id: string, revision = 'main'): Promise<string | undefined> {
  const folder = modelFolder(cache, id)
  const ref = join(folder, 'refs', ...checkRevision(revision).split('/'))
  const commit = isCommit(revision) ? revision : (await readFile(ref, 'utf8').catch(() => '')).trim()
  if (!isCommit(commit)) return undefined
  const directory = join(folder, 'snapshots', commit)
  return existsSync(directory) ? directory : undefined
}

/** The directory of a cached model that can be loaded (it has config.json and every shard), or undefined. */
export async function findCachedModel(id: string, options: { cache?: string; revision?: string } = {}): Promise<string | undefined> {
  const directory = await snapshotDirectory(options.cache ?? hubCacheDirectory(), id, options.revision)
  return directory !== undefined && (await isLoadable(directory)) ? directory : undefined
}

/** Whether config.json and all safetensors files (by the index) exist and have valid headers. */
export async function isLoadable(directory: string): Promise<boolean> {
  if (!existsSync(join(directory, 'config.json'))) return false
  try {
    await (await openCheckpoint(await fileFolder(directory))).close()
    return true
  } catch (error) {
    if (error instanceof CheckpointError) return false
    throw error
  }
}

export interface CachedModel {
  readonly id: string
  readonly folder: string
  /** Directory of the newest loadable snapshot, if any. */
  readonly directory: string | undefined
  readonly state: 'complete' | 'incomplete' | 'no safetensors'
  /** Bytes on disk of all revisions and parts. */
  readonly bytes: number
  readonly revisions: readonly { commit: string; refs: readonly string[] }[]
  /** Newest change of a snapshot. */
  readonly modified: Date | undefined
}

/** Every model in the cache, whoever downloaded it, by name. */
export async function listCachedModels(cache = hubCacheDirectory()): Promise<CachedModel[]> {
  const names = await readdir(cache).catch(() => [])
  const models: CachedModel[] = []
  for (const name of names.sort()) {
    const id = /^models--(.+)$/.exec(name)?.[1]?.replace('--', '/')
    if (id !== undefined && /^[\w./-]+$/.test(id)) models.push(await describeModel(join(cache, name), id))
  }
  return models
}

async function describeModel(folder: string, id: string): Promise<CachedModel> {
  const refs = await readRefs(join(folder, 'refs'))
  const commits = (await readdir(join(folder, 'snapshots')).catch(() => [])).filter(isCommit)
  const dated = await Promise.all(
    commits.map(async (commit) => ({ commit, modified: (await stat(join(folder, 'snapshots', commit))).mtime })),
  )
  dated.sort((a, b) => b.modified.getTime() - a.modified.getTime())
  let directory: string | undefined
  let hasSafetensors = false
  for (const { commit } of dated) {
    const snapshot = join(folder, 'snapshots', commit)
    hasSafetensors ||= (await readdir(snapshot)).some((file) => /\.safetensors(\.index\.json)?$/.test(file))
    if (await isLoadable(snapshot)) {
      directory = snapshot
      break
    }
  }
  const hasParts = (await readdir(join(folder, 'blobs')).catch(() => [])).some((file) => /\.(part|incomplete)$/.test(file))
  return {
    id,
    folder,
    directory,
    state: directory ? 'complete' : hasSafetensors || hasParts ? 'incomplete' : 'no safetensors',
    bytes: await diskBytes(folder),
    revisions: dated.map(({ commit }) => ({ commit, refs: refs.filter((ref) => ref.commit === commit).map((ref) => ref.name) })),
    modified: dated[0]?.modified,
  }
}

async function readRefs(directory: string, prefix = ''): Promise<{ name: string; commit: string }[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => [])
  const nested = entries.map(async (entry): Promise<{ name: string; commit: string }[]> => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return readRefs(path, `${prefix}${entry.name}/`)
    return [{ name: prefix + entry.name, commit: (await readFile(path, 'utf8')).trim() }]
  })
  return (await Promise.all(nested)).flat().filter(({ name, commit }) => isCommit(commit) && !name.endsWith('.tmp'))
}

/** Disk usage of a folder in bytes: links count 0, sparse files their written blocks, hard links once. */
async function diskBytes(folder: string, seen = new Set<string>()): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += await diskBytes(path, seen)
    else if (entry.isFile()) {
      const { dev, ino, size, blocks } = await lstat(path)
      const identity = `${dev}:${ino}`
      if (!seen.has(identity)) bytes += blocks === undefined ? size : Math.min(size, blocks * 512)
      seen.add(identity)
    }
  }
  return bytes
}

/** Removes every revision of a model. Returns the freed bytes, or undefined when the model is not in the cache. */
export async function removeCachedModel(id: string, cache = hubCacheDirectory()): Promise<number | undefined> {
  const folder = modelFolder(cache, id)
  if (!existsSync(folder)) return undefined
  const bytes = await diskBytes(folder)
  // Rename first, so that an interrupted removal leaves no partial model under the model's name.
  const doomed = join(await realpath(cache), `.removed-${randomUUID()}`)
  await rename(folder, doomed)
  await rm(doomed, { recursive: true, force: true })
  return bytes
}
