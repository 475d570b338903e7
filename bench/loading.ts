/**
 * Speed of loading a checkpoint, compared with plain reading of the same files in pieces of 64 MiB. The runs alternate, each in its
 * own process: from the disk (the file cache is emptied before every run, which needs root on Linux) and from the file cache. Plain
 * reading either reuses one buffer or keeps all bytes, as a loader must. Writes bench/results/loading.json.
 *   node bench/loading.ts NAME=CHECKPOINT …
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface LoadingCase {
  name: string
  bytes: number
  from: 'disk' | 'file cache'
  /** Seconds of every round. */
  plain: number[]
  kept: number[]
  faithful: number[]
  fast: number[]
}

export interface LoadingResults {
  kind: 'loading'
  date: string
  cpu: string
  node: string
  cases: LoadingCase[]
}

const root = fileURLToPath(new URL('..', import.meta.url))
const out = join(root, 'bench/results/loading.json')
const ROUNDS = 3
const PIECE = 64 << 20

const filesOf = (directory: string) =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.safetensors'))
    .map((name) => join(directory, name))

/** Seconds of reading every file from front to back, into one buffer or (`keep`) into fresh memory. */
function plain(directory: string, keep: boolean): number {
  const buffer = new Uint8Array(PIECE).fill(1)
  const pieces: Uint8Array[] = []
  const start = performance.now()
  for (const file of filesOf(directory)) {
    const descriptor = openSync(file, 'r')
    for (;;) {
      const piece = keep ? new Uint8Array(PIECE) : buffer
      if (readSync(descriptor, piece, 0, PIECE, null) === 0) break
      pieces.push(piece)
    }
    closeSync(descriptor)
  }
  return (performance.now() - start) / 1000
}

function child(args: string[]): string {
  return execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
    .trim()
    .split('\n')
    .at(-1)!
}

function load(directory: string, precision: string): number {
  const generate = [
    join(root, 'src/cli/main.ts'),
    'generate',
    directory,
    '--ids',
    '1',
    '--max-tokens',
    '1',
    '--json',
    '--precision',
    precision,
  ]
  return JSON.parse(child(generate)).loadMs / 1000
}

function emptyFileCache(): boolean {
  try {
    execFileSync('sync', [])
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return true
  } catch {
    return false
  }
}

if (process.argv[2] === '--plain') {
  console.log(plain(process.argv[3]!, process.argv[4] === 'keep'))
} else {
  const results: LoadingResults = {
    kind: 'loading',
    date: new Date().toISOString().slice(0, 10),
    cpu: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
    node: process.version,
    cases: [],
  }
  for (const text of process.argv.slice(2)) {
    const [name, directory] = text.split('=')
    if (!name || !directory) throw new Error(`${text}: expected NAME=CHECKPOINT`)
    const bytes = filesOf(directory).reduce((sum, file) => sum + statSync(file).size, 0)
    for (const from of ['disk', 'file cache'] as const) {
      const found: LoadingCase = { name, bytes, from, plain: [], kept: [], faithful: [], fast: [] }
      const prepared = () => {
        if (from === 'disk' && !emptyFileCache()) throw new Error('only root may empty the file cache (/proc/sys/vm/drop_caches)')
      }
      for (let round = 0; round < ROUNDS; round++) {
        prepared()
        found.plain.push(Number(child([fileURLToPath(import.meta.url), '--plain', directory])))
        prepared()
        found.kept.push(Number(child([fileURLToPath(import.meta.url), '--plain', directory, 'keep'])))
        for (const precision of ['faithful', 'fast'] as const) {
          prepared()
          found[precision].push(load(directory, precision))
        }
      }
      results.cases.push(found)
      console.log(JSON.stringify(found))
      mkdirSync(dirname(out), { recursive: true })
      writeFileSync(`${out}.tmp`, `${JSON.stringify(results, null, 1)}\n`)
      renameSync(`${out}.tmp`, out)
    }
  }
}
