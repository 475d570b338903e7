/**
 * The walk: ten files that a newcomer follows one token through. Prints each stop with its lines and fails above the budget; a
 * stop that does not exist yet is listed as missing.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './sources.ts'

export const BUDGET_LINES = 1000

export const STOPS: readonly { file: string; what: string }[] = [
  { file: 'src/cli/chat.ts', what: 'a line typed by a person' },
  { file: 'src/chat/formats/harmony/harmony.ts', what: 'becomes a conversation in the format the model was trained on' },
  { file: 'src/tokenizer/tokenizer.ts', what: 'becomes token ids' },
  { file: 'src/engine/engine.ts', what: 'is scheduled in batches and decoded token by token' },
  { file: 'src/model/transformer.ts', what: 'runs through the layers' },
  { file: 'src/model/attention.ts', what: 'looks back at earlier tokens' },
  { file: 'src/ops/reference/attention.ts', what: 'with this arithmetic' },
  { file: 'src/model/feed-forward.ts', what: 'is worked on by a few experts' },
  { file: 'src/engine/sampler.ts', what: 'becomes the choice of one next token' },
  { file: 'src/chat/formats/harmony/parser.ts', what: 'and is read back as reasoning, answer or tool call' },
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

if (import.meta.main) {
  const { stops, total, missing } = measure()
  stops.forEach(({ file, what, lines }, index) => {
    console.log(`${String(index + 1).padStart(4)}  ${String(lines ?? 'missing').padStart(7)}  ${file.padEnd(32)}  ${what}`)
  })
  console.log(`walk: ${total} of ${BUDGET_LINES} lines${missing ? `, ${missing} of ${stops.length} stops missing` : ''}`)
  process.exitCode = total > BUDGET_LINES ? 1 : 0
}
