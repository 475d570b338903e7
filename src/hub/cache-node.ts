/**
 * The cache of model files on disk, in the layout of Python's huggingface_hub, so that both share it:
 * models--ORG--NAME/{blobs/HASH, refs/REVISION, snapshots/COMMIT/FILE -> ../../blobs/HASH}.
 * It does not use the network.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { copyFile, link, lstat, mkdir, readdir, readFile, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { openCheckpoint } from '../checkpoint/checkpoint.ts'
import { CheckpointError } from '../checkpoint/errors.ts'
import { openModel } from '../checkpoint/load.ts'
import { missingFrom } from '../checkpoint/other-formats.ts'
import { fileFolder } from '../checkpoint/source-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import { FieldError } from '../json/fields.ts'
import { sweepRemoved } from './blobs-node.ts'
import { hubCacheDirectory } from './environment-node.ts'
import { chooseGguf, parseReference } from './reference.ts'

/** A malformed model id or revision. */
export class ModelIdError extends Error {
  override name = 'ModelIdError'
}

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

/** A snapshot in the cache. */
export interface Snapshot {
  /** Of a GGUF model the path of its file. */
  readonly directory: string
  /** Why it cannot be loaded: a file is missing or damaged. */
  readonly problem?: CheckpointError
  /** Why this one was chosen, where no ref names it. */
  readonly note?: string
}

/**
 * The snapshot of a revision that can be loaded, or else the one to complete; undefined when there is none. For `main`, where its ref
 * is missing (a cache filled by commit or copied by hand) or leads to an incomplete snapshot, that is the newest one that can be loaded.
 */
export async function findSnapshot(name: string, options: { cache?: string; revision?: string } = {}): Promise<Snapshot | undefined> {
  const { id, gguf } = parseReference(name)
  const { cache = hubCacheDirectory(), revision = 'main' } = options
  const folder = modelFolder(cache, id)
  const ref = join(folder, 'refs', ...checkRevision(revision).split('/'))
  const commit = isCommit(revision) ? revision : (await readFile(ref, 'utf8').catch(() => '')).trim()
  const named = isCommit(commit) && existsSync(join(folder, 'snapshots', commit)) ? await checkSnapshot(folder, commit, gguf) : undefined
  if (revision !== 'main' || (named && !named.problem)) return named
  for (const { commit: other } of await datedCommits(folder)) {
    const snapshot = await checkSnapshot(folder, other, gguf)
    if (snapshot.problem) continue
    return {
      ...snapshot,
      note: `${id}: the snapshot ${other.slice(0, 8)} is used; refs/main ${named ? 'leads to an incomplete one' : 'is not in the cache'}.`,
    }
  }
  return named
}

async function checkSnapshot(folder: string, commit: string, gguf: string | undefined): Promise<Snapshot> {
  const directory = await modelPath(join(folder, 'snapshots', commit), gguf)
  return { directory, problem: await problemOf(directory) }
}

/** The directory of a snapshot, or the GGUF file in it that is meant. */
export async function modelPath(snapshot: string, gguf: string | undefined): Promise<string> {
  const names = (await readdir(snapshot, { recursive: true }).catch(() => [])).map((name) => name.replaceAll('\\', '/'))
  if (gguf === undefined && names.some((name) => name.endsWith('.safetensors'))) return snapshot
  const chosen = chooseGguf(names, gguf)
  if ('files' in chosen) return join(snapshot, chosen.files[0]!)
  return gguf === undefined ? snapshot : join(snapshot, `${gguf}.gguf`)
}

/** The directory of a cached model that can be loaded (it has config.json and every shard), or undefined. */
export async function findCachedModel(id: string, options: { cache?: string; revision?: string } = {}): Promise<string | undefined> {
  const snapshot = await findSnapshot(id, options)
  return snapshot?.problem ? undefined : snapshot?.directory
}

/** The commits with a snapshot, the newest first. */
async function datedCommits(folder: string): Promise<{ commit: string; modified: Date }[]> {
  const commits = (await readdir(join(folder, 'snapshots')).catch(() => [])).filter(isCommit)
  const dated = commits.map(async (commit) => ({ commit, modified: (await stat(join(folder, 'snapshots', commit))).mtime }))
  return (await Promise.all(dated)).sort((a, b) => b.modified.getTime() - a.modified.getTime())
}

/** Whether config.json and all safetensors files (by the index), or a GGUF file, exist and have valid headers. */
export const isLoadable = async (directory: string): Promise<boolean> => (await problemOf(directory)) === undefined

async function problemOf(directory: string): Promise<CheckpointError | undefined> {
  try {
    const folder = await fileFolder(directory)
    const config = await folder.open('config.json')
    if (!config) throw await missingFrom(folder, 'config.json')
    await config.close()
    await (await openCheckpoint(folder)).close()
    return undefined
  } catch (error) {
    if (error instanceof CheckpointError) return error
    // The files are whole. It is the loader that refuses a configuration, as it does beside safetensors files.
    if (error instanceof FieldError) return undefined
    throw error
  }
}

export interface CachedModel {
  readonly id: string
  readonly folder: string
  /** Directory of the newest loadable snapshot, or a GGUF file in it, if any. */
  readonly directory: string | undefined
  /** `unsupported`: complete, but this version cannot load it. */
  readonly state: 'complete' | 'unsupported' | 'incomplete' | 'no safetensors'
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
  const dated = await datedCommits(folder)
  let directory: string | undefined
  let hasWeights = false
  for (const { commit } of dated) {
    const snapshot = await modelPath(join(folder, 'snapshots', commit), undefined)
    const names = await readdir(join(folder, 'snapshots', commit), { recursive: true })
    hasWeights ||= names.some((file) => /\.(safetensors(\.index\.json)?|gguf)$/.test(file))
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
    state: directory
      ? (await isSupported(directory))
        ? 'complete'
        : 'unsupported'
      : hasWeights || hasParts
        ? 'incomplete'
        : 'no safetensors',
    bytes: await diskBytes(folder),
    revisions: dated.map(({ commit }) => ({ commit, refs: refs.filter((ref) => ref.commit === commit).map((ref) => ref.name) })),
    modified: dated[0]?.modified,
  }
}

/** Whether configuration and headers of a complete model are those of a model that can be loaded. */
const isSupported = async (directory: string): Promise<boolean> =>
  openModel(await fileFolder(directory)).then(
    async ({ checkpoint }) => {
      await checkpoint.close()
      return true
    },
    () => false,
  )

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
  await sweepRemoved(cache)
  const doomed = join(await realpath(cache), `.removed-${randomUUID()}`)
  await rename(folder, doomed)
  await rm(doomed, { recursive: true, force: true })
  return bytes
}
