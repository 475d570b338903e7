/**
 * Directories of checkpoints as outputs. A command leaves a sign in the metadata of its weight files, and replaces only a checkpoint
 * that has this sign in all of them.
 */
import { readdir, realpath, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { OutputExistsError } from '../files/output-node.ts'
import { sweepTemporary } from '../files/write-node.ts'
import { CheckpointError } from './errors.ts'
import { readHeader } from './safetensors.ts'
import { fileSource } from './source-node.ts'

type Metadata = Readonly<Record<string, string>>

/** The metadata of weight files that a command writes. */
export const madeBy = (command: string): Metadata => ({ made_by: command })

/** The files that make a checkpoint together. One of another model beside them would change it. */
const WEIGHTS = /\.safetensors(\.index\.json)?$|^(config|generation_config)\.json$/
const TEXTS =
  /^(tokenizer.*|vocab\.(json|bpe)|merges\.txt|encoder\.json|special_tokens_map\.json|added_tokens\.json|chat_template.*|additional_chat_templates)$/

export interface ClaimOptions {
  readonly force?: boolean | undefined
  /** Files of an earlier run of the command that it continues with. */
  readonly keep?: (name: string) => boolean
  /** Leaves tokenizer and template where they lie, since the command uses them. */
  readonly keepTexts?: boolean
}

/**
 * Makes sure that a command may write a checkpoint into a directory. Removes what an earlier run of the same command left there, and
 * with `force` the files of any checkpoint. Other files stay.
 * @param sign the metadata that all weight files of the command have
 * @throws OutputExistsError when another checkpoint, or a part of one, is there
 */
export async function claimDirectory(directory: string, sign: Metadata, options: ClaimOptions = {}): Promise<void> {
  const { force = false, keep = () => false, keepTexts = false } = options
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    if (error.code === 'ENOTDIR') throw new Error(`${directory}: expected a directory or nothing, found a file.`, { cause: error })
    throw error
  })
  await sweepTemporary(directory)
  const weights = names.filter((name) => WEIGHTS.test(name))
  const texts = names.filter((name) => TEXTS.test(name))
  const isOwn = weights.length === 0 ? keepTexts || texts.length === 0 : await haveSign(directory, weights, sign)
  if (!isOwn && !force) {
    const found = [...weights, ...texts].slice(0, 3).join(', ')
    throw new OutputExistsError(directory, `there are files of a model that this command did not write (${found}).`)
  }
  // What a killed synthesis left of files that this one does not write.
  const parts = names.filter(
    (name) => /\.safetensors\.part(\.pieces)?$/.test(name) && names.includes(`${name.replace(/\.pieces$/, '')}.pieces`),
  )
  const stale = parts.filter((name) => !keep(name.replace(/\.part.*/, '')))
  const replaced = [...stale, ...weights, ...(keepTexts && isOwn ? [] : texts)].filter((name) => !keep(name))
  for (const name of replaced) await rm(join(directory, name), { recursive: true, force: true })
}

/** Whether two paths are one directory, perhaps through links. */
export async function isSameDirectory(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([one, other].map((path) => realpath(path).catch(() => resolve(path))))
  return a === b
}

/** Whether there are weight files, and each has the sign. */
async function haveSign(directory: string, names: readonly string[], sign: Metadata): Promise<boolean> {
  const files = names.filter((name) => name.endsWith('.safetensors'))
  for (const name of files) {
    const source = await fileSource(join(directory, name)).catch(() => undefined)
    if (!source) return false
    try {
      const { metadata } = await readHeader(source)
      if (Object.entries(sign).some(([key, value]) => !metadata[key]?.startsWith(value))) return false
    } catch (error) {
      if (error instanceof CheckpointError) return false
      throw error
    } finally {
      await source.close()
    }
  }
  return files.length > 0
}
