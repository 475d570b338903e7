/** The conversations that requests save (`lineage serve --slot-save-path`): a file each, in a directory of their key. */
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { MissingFileError } from '../../checkpoint/errors.ts'
import { fileSource } from '../../checkpoint/source-node.ts'
import { SlotError } from '../../engine/engine.ts'
import { DiskSpaceError } from '../../files/disk-space-node.ts'
import { sweepTemporary, writeAtomically } from '../../files/write-node.ts'
import type { SlotFiles } from '../../server/operations/slots.ts'

/** One key cannot fill the directory with names. */
const MOST_FILES = 256

export async function slotDirectory(directory: string): Promise<SlotFiles> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const folderOf = (key: string) => (key === 'anonymous' ? directory : join(directory, key))
  return {
    async write(key, name, fill) {
      const folder = folderOf(key)
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await sweepTemporary(folder)
      const names = await readdir(folder)
      if (names.length >= MOST_FILES && !names.includes(name))
        throw new SlotError(`${names.length} conversations are saved already, the most of one key; save under a name that exists`)
      try {
        let result!: Awaited<ReturnType<typeof fill>>
        await writeAtomically(join(folder, name), async (file) => {
          await file.chmod(0o600) // as private as the directory
          result = await fill(async (bytes) => {
            await file.writeFile(bytes)
          })
        })
        return result
      } catch (error) {
        if (error instanceof DiskSpaceError) throw new SlotError('the disk of the server is full; nothing was saved')
        throw error
      }
    },
    async open(key, name) {
      try {
        return await fileSource(join(folderOf(key), name))
      } catch (error) {
        if (error instanceof MissingFileError) return undefined // a directory
        throw error
      }
    },
  }
}
