/**
 * The results file of a run: JSON Lines, a head with what was measured and then one outcome a line, appended as it comes. A run with the same
 * head goes on where the file ends; half a line at the end, which a killed run leaves, is cut off.
 */
import { open, readFile, stat } from 'node:fs/promises'
import { diskFull } from '../files/disk-space-node.ts'
import { asObject, isObject, type Json } from '../json/json.ts'
import { TaskError } from './errors.ts'
import type { Outcome } from './plan.ts'

/** What must be equal for a run to go on. */
export type Head = Readonly<Record<string, unknown>>

export interface Results {
  /** Outcomes of earlier runs. */
  readonly earlier: readonly Outcome[]
  append(outcome: Outcome): Promise<void>
  close(): Promise<void>
}

const MARK = 'lineage_eval'

/**
 * @param force begin anew where the file belongs to another run
 * @throws TaskError when the file belongs to another run or is something else; nothing was changed then
 */
export async function openResults(path: string, head: Head, { force = false } = {}): Promise<Results> {
  const text = await existing(path)
  const first = JSON.stringify({ [MARK]: 1, ...head })
  const found = text === undefined || text === '' ? undefined : read(path, text)
  const different = found && differenceOf(found.head, asObject(JSON.parse(first)))
  if (different && !force)
    throw new TaskError(`${path}: holds ${different}. Nothing was changed. Choose another file, or begin anew with --force.`)
  const goesOn = found !== undefined && !different
  const handle = await open(path, goesOn ? 'r+' : 'w').catch((error: Error) => {
    throw new TaskError(`${path}: cannot be written: ${error.message}`)
  })
  let end = goesOn ? found.bytes : 0
  const write = async (line: string) => {
    const bytes = Buffer.from(`${line}\n`)
    try {
      await handle.write(bytes, 0, bytes.length, end)
    } catch (error) {
      throw diskFull(error, path)
    }
    end += bytes.length
  }
  if (goesOn) await handle.truncate(end)
  else await write(first)
  // Lines are written one after another, whoever calls.
  let last: Promise<void> = Promise.resolve()
  return {
    earlier: goesOn ? found.outcomes : [],
    append(outcome) {
      last = last.then(() => write(JSON.stringify(outcome)))
      return last
    },
    async close() {
      await last.catch(() => {})
      await handle.close()
    },
  }
}

async function existing(path: string): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (!found) return undefined
  if (!found.isFile()) throw new TaskError(`${path}: expected a place for a file of results, found something else`)
  return readFile(path, 'utf8')
}

function read(path: string, text: string): { head: Json; outcomes: Outcome[]; bytes: number } {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const [first = '', ...lines] = whole.split('\n')
  const head = object(first)
  if (head?.[MARK] !== 1)
    throw new TaskError(`${path}: expected a file of results that lineage eval wrote, found something else. Nothing was changed.`)
  const outcomes = lines
    .filter((line) => line !== '')
    .map((line, i) => {
      const outcome = object(line)
      if (typeof outcome?.id !== 'string')
        throw new TaskError(`${path}:${i + 2}: expected an outcome with an id, found ${JSON.stringify(line.slice(0, 80))}`)
      return outcome as unknown as Outcome
    })
  return { head, outcomes, bytes: Buffer.byteLength(whole) }
}

function object(line: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The first field in which two heads differ, in words. */
function differenceOf(old: Json, now: Json): string | undefined {
  const key = [...new Set([...Object.keys(old), ...Object.keys(now)])].find(
    (each) => JSON.stringify(old[each]) !== JSON.stringify(now[each]),
  )
  if (key === undefined) return undefined
  const short = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 100)
  return `another run: its ${key} is ${short(old[key])}, and now it is ${short(now[key])}`
}
