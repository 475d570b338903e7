/**
 * The input history of earlier runs: one JSON string per line, readable by its owner only. Its loss
 * is never an error.
 */
import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expandPath } from '../../files/path-node.ts'

const MOST_ENTRIES = 1000

/** LINEAGE_HISTORY (empty: no history), else a file in the user's state directory. */
export function historyPath(env: NodeJS.ProcessEnv = process.env): string | undefined {
  if (env.LINEAGE_HISTORY !== undefined) return env.LINEAGE_HISTORY ? expandPath(env.LINEAGE_HISTORY, env) : undefined
  return join(expandPath(env.XDG_STATE_HOME || '~/.local/state', env), 'lineage', 'history')
}

export class InputHistory {
  /** Newest first, as readline wants it. */
  readonly entries: string[] = []
  readonly #path: string | undefined

  constructor(path: string | undefined) {
    this.#path = path
    for (const line of path === undefined ? [] : readLines(path)) {
      try {
        const entry: unknown = JSON.parse(line)
        if (typeof entry === 'string') this.entries.unshift(entry)
      } catch {} // a line cut by a full disk
    }
    if (this.entries.length > MOST_ENTRIES) this.#rewrite()
  }

  add(entry: string): void {
    if (entry.trim() === '' || entry === this.entries[0]) return
    this.entries.unshift(entry)
    if (this.#path === undefined) return
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 })
      appendFileSync(this.#path, `${JSON.stringify(entry)}\n`, { mode: 0o600 })
    } catch {}
  }

  #rewrite(): void {
    this.entries.length = MOST_ENTRIES
    try {
      const temporary = `${this.#path}.${process.pid}`
      writeFileSync(
        temporary,
        this.entries
          .toReversed()
          .map((entry) => `${JSON.stringify(entry)}\n`)
          .join(''),
        { mode: 0o600 },
      )
      renameSync(temporary, this.#path!)
      chmodSync(this.#path!, 0o600)
    } catch {}
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  } catch {
    return []
  }
}
