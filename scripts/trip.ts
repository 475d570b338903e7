/**
 * What one real question runs: `lineage chat "What is 47 + 85?"` under the engine's own coverage, in a process of its own
 * (a second and a half). A file counts when one of its functions ran; its lines are those of the functions that ran.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './sources.ts'

export const QUESTION = 'What is 47 + 85?'

interface Coverage {
  result: { url: string; functions: { functionName: string; ranges: { startOffset: number; endOffset: number; count: number }[] }[] }[]
}

/** Path below the root -> lines of its functions that ran, for every file of src/, in order of their paths. */
export function trip(): Map<string, number> {
  const folder = mkdtempSync(join(tmpdir(), 'lineage-trip-'))
  try {
    const args = [join(root, 'src/cli/main.ts'), 'chat', '--quiet', '--temperature', '0', QUESTION]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      env: { ...process.env, NODE_V8_COVERAGE: folder },
      encoding: 'utf8',
    })
    if (status !== 0 || stdout.trim() !== '132') throw new Error(`lineage chat "${QUESTION}": expected 132, got ${stdout}${stderr}`)
    const ran = new Map<string, Set<number>>()
    for (const name of readdirSync(folder)) {
      // One file per thread.
      for (const { url, functions } of (JSON.parse(readFileSync(join(folder, name), 'utf8')) as Coverage).result) {
        if (!url.startsWith('file:')) continue
        const path = relative(root, fileURLToPath(url)).replaceAll('\\', '/')
        if (!path.startsWith('src/')) continue
        const text = readFileSync(join(root, path), 'utf8')
        const lineAt = (offset: number): number => text.slice(0, offset).split('\n').length
        for (const { functionName, ranges } of functions) {
          const { startOffset, endOffset, count } = ranges[0]!
          if (count === 0 || (functionName === '' && startOffset === 0)) continue // the module itself is no function
          const lines = ran.get(path) ?? new Set<number>()
          for (let line = lineAt(startOffset); line <= lineAt(endOffset); line++) lines.add(line)
          ran.set(path, lines)
        }
      }
    }
    return new Map([...ran].map(([path, lines]): [string, number] => [path, lines.size]).sort(([a], [b]) => (a < b ? -1 : 1)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}
