/**
 * The walk: ten files that a newcomer follows one token through. Prints each stop with its lines, what it delegates to and how
 * much one real question runs; fails above the budget. A stop that does not exist is listed as missing.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './sources.ts'
import { QUESTION, trip } from './trip.ts'

export const BUDGET_LINES = 1000

/** `delegates`: files, or folders with a slash at the end, whose work the stop stands for. The longest name that fits a file takes it. */
export const STOPS: readonly { file: string; what: string; delegates?: readonly string[] }[] = [
  { file: 'src/cli/chat.ts', what: 'a line typed by a person', delegates: ['src/cli/chat/', 'src/chat/', 'src/answer/'] },
  {
    file: 'src/chat/formats/harmony/harmony.ts',
    what: 'becomes a conversation in the format the model was trained on',
    delegates: ['src/chat/formats/'],
  },
  { file: 'src/tokenizer/tokenizer.ts', what: 'becomes token ids', delegates: ['src/tokenizer/'] },
  { file: 'src/engine/engine.ts', what: 'is scheduled in batches and decoded token by token', delegates: ['src/engine/'] },
  { file: 'src/model/transformer.ts', what: 'runs through the layers', delegates: ['src/model/'] },
  { file: 'src/model/attention.ts', what: 'looks back at earlier tokens', delegates: ['src/model/rope.ts', 'src/model/cache-spec.ts'] },
  { file: 'src/ops/reference/attention.ts', what: 'with this arithmetic', delegates: ['src/ops/wasm/'] },
  { file: 'src/model/feed-forward.ts', what: 'is worked on by a few experts' },
  {
    file: 'src/engine/sampler.ts',
    what: 'becomes the choice of one next token',
    delegates: ['src/ops/draw.ts', 'src/engine/sampling-options.ts', 'src/random/'],
  },
  {
    file: 'src/chat/formats/harmony/parser.ts',
    what: 'and is read back as reasoning, answer or tool call',
    delegates: [...['harmony/header', 'harmony/reader', 'part-writer'].map((name) => `src/chat/formats/${name}.ts`), 'src/structured/'],
  },
]

export interface Stop {
  file: string
  what: string
  /** null: the file does not exist. */
  lines: number | null
}

export function measure(base: string = root): { stops: Stop[]; total: number; missing: number } {
  const stops = STOPS.map(({ file, what }) => {
    const path = join(base, file)
    return { file, what, lines: existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : null }
  })
  return {
    stops,
    total: stops.reduce((sum, { lines }) => sum + (lines ?? 0), 0),
    missing: stops.filter(({ lines }) => lines === null).length,
  }
}

/** What each stop delegated to on a trip, and what belongs to none: loading the model, and the support of all. */
export function delegated(ran: ReadonlyMap<string, number>): { stops: string[][]; others: string[] } {
  const stops: string[][] = STOPS.map(() => [])
  const others: string[] = []
  const names = STOPS.flatMap(({ delegates = [] }, stop) => delegates.map((name) => ({ name, stop })))
  for (const path of ran.keys()) {
    if (STOPS.some(({ file }) => file === path)) continue
    const fitting = names.filter(({ name }) => (name.endsWith('/') ? path.startsWith(name) : path === name))
    const longest = fitting.sort((a, b) => b.name.length - a.name.length)[0]
    if (longest) stops[longest.stop]!.push(path)
    else others.push(path)
  }
  return { stops, others }
}

export interface Extent {
  files: number
  /** Lines of the functions that ran. */
  lines: number
  /** Files that are a stop or its delegate, and the lines of their functions that ran, kernels of ops/wasm left out. */
  onTheWay: number
  linesOnTheWay: number
}

export function extent(ran: ReadonlyMap<string, number>): Extent {
  const aside = new Set(delegated(ran).others)
  const way = [...ran].filter(([path]) => !aside.has(path) && !path.startsWith('src/ops/wasm/'))
  const sum = (entries: Iterable<[string, number]>): number => [...entries].reduce((total, [, lines]) => total + lines, 0)
  return { files: ran.size, lines: sum(ran), onTheWay: way.length, linesOnTheWay: sum(way) }
}

if (import.meta.main) {
  const { stops, total, missing } = measure()
  const ran = trip()
  const under = delegated(ran).stops
  stops.forEach(({ file, what, lines }, index) => {
    console.log(`${String(index + 1).padStart(4)}  ${String(lines ?? 'missing').padStart(7)}  ${file.padEnd(38)}  ${what}`)
    const ranLines = under[index]!.reduce((sum, path) => sum + ran.get(path)!, 0)
    if (under[index]!.length > 0)
      console.log(
        `${' '.repeat(15)}delegates to ${under[index]!.length} ${under[index]!.length === 1 ? 'file' : 'files'}, functions of ${ranLines} lines ran`,
      )
  })
  console.log(`walk: ${total} of ${BUDGET_LINES} lines${missing ? `, ${missing} of ${stops.length} stops missing` : ''}`)
  const { files, lines, onTheWay, linesOnTheWay } = extent(ran)
  console.log(
    `one question (${QUESTION}) runs ${files} files, functions of ${lines} lines; ${onTheWay} files and ${linesOnTheWay} lines without loading and kernels`,
  )
  process.exitCode = total > BUDGET_LINES ? 1 : 0
}
