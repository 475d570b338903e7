/** Data files and descriptions of tasks on this machine: plain, compressed with gzip, or Parquet where a reader is installed. */
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { parsed } from '../json/json.ts'
import { TaskError } from './errors.ts'
import type { DataFile } from './records.ts'
import { readTask, type Task } from './task.ts'
import { BUILT_IN } from './tasks.ts'

/** Longer files are refused: everything is read at once. */
const MOST_BYTES = 1 << 29

/** A ready-made task by name, or the description in a file. Data named in it are found from its folder. @throws TaskError, FieldError */
export async function loadTask(nameOrFile: string): Promise<Task> {
  const known = Object.hasOwn(BUILT_IN, nameOrFile) ? BUILT_IN[nameOrFile] : undefined
  if (known) return readTask({ name: nameOrFile, ...known }, `the task ${nameOrFile}`)
  if (!(await stat(nameOrFile).catch(() => undefined)))
    throw new TaskError(`${nameOrFile}: no such file, and no ready-made task; these are ${Object.keys(BUILT_IN).join(', ')}`)
  const { text } = await readData(nameOrFile)
  const value = parsed(text)
  if (value === undefined) throw new TaskError(`${nameOrFile}: expected the description of a task in JSON, found something else`)
  const task = readTask(value, nameOrFile)
  const from = (file: string) => resolve(dirname(nameOrFile), file)
  const shots = 'shots' in task && task.shots ? { shots: { ...task.shots, data: task.shots.data.map(from) } } : {}
  return { ...task, data: task.data.map(from), ...shots } as Task
}

/** @throws TaskError on a file that is too long or damaged */
export async function readData(path: string): Promise<DataFile> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) throw new TaskError(`${path}: expected a file, found ${found ? 'something else' : 'nothing'}`)
  if (found.size > MOST_BYTES) throw new TaskError(`${path}: expected at most ${MOST_BYTES} bytes, got ${found.size}; split the file`)
  const bytes = await readFile(path)
  if (/\.parquet$/i.test(path)) return { name: `${basename(path)}.jsonl`, text: await parquetLines(path, bytes) }
  if (!/\.gz$/i.test(path)) return { name: path, text: utf8(path, bytes) }
  try {
    return { name: path.slice(0, -3), text: utf8(path, gunzipSync(bytes, { maxOutputLength: MOST_BYTES })) }
  } catch (error) {
    if (error instanceof TaskError) throw error
    throw new TaskError(`${path}: cannot be decompressed: ${(error as Error).message}`)
  }
}

function utf8(path: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new TaskError(`${path}: expected text in UTF-8, found other bytes`)
  }
}

interface ParquetReader {
  parquetReadObjects(options: { file: ArrayBuffer }): Promise<Record<string, unknown>[]>
}

/** The rows of a Parquet file as JSON Lines, by the package hyparquet, which users install where they need it. */
async function parquetLines(path: string, bytes: Uint8Array): Promise<string> {
  const name = 'hyparquet' // not known to the compiler: it may be missing
  let reader: ParquetReader
  try {
    reader = (await import(name)) as ParquetReader
  } catch {
    throw new TaskError(
      `${path}: reading Parquet needs the package hyparquet (npm install hyparquet); or turn the file into JSON Lines, docs/evaluation.md says how`,
    )
  }
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
  const rows = await reader.parquetReadObjects({ file }).catch((error: Error) => {
    throw new TaskError(`${path}: hyparquet cannot read it: ${error.message}`)
  })
  // Integers of 64 bits come as bigint.
  const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)
  return rows.map((row) => JSON.stringify(row, plain)).join('\n')
}
