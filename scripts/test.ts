/**
 * Runs the tests: every test/**\/*.test.ts, or those whose path contains one of the arguments. Two files at a time, each in a
 * process of its own. Prints one line per file, every failure, every skip with its reason, and a summary.
 */
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { run } from 'node:test'
import { swiftshaderEnvironment } from './chromium-package.ts'
import { root } from './sources.ts'

const CONCURRENCY = 2
const TEST_TIMEOUT_MS = 180_000

interface Tally {
  passed: number
  failed: number
  skipped: number
  ms: number
}

const wanted = process.argv.slice(2)
const files = readdirSync(join(root, 'test'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((file) => !wanted.length || wanted.some((part) => relative(root, file).includes(part)))
  .sort()
if (!files.length) {
  console.error(`no test file matches ${wanted.join(' ') || 'test/**/*.test.ts'}`)
  process.exit(1)
}

// Test processes inherit the environment: tests of WebGPU find a driver that computes on the CPU.
Object.assign(process.env, await swiftshaderEnvironment())

// What Node.js makes of a source file is kept for the other test processes, and for the programs that they start.
process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'compile')

const started = performance.now()
const tallies = new Map<string, Tally>(files.map((file) => [file, { passed: 0, failed: 0, skipped: 0, ms: 0 }]))
const failures: string[] = []
const skips = new Map<string, number>()
/** Tests that several files share are declared in a file of their own, and counted there. */
function tallyOf(file: string | undefined): Tally {
  const name = file ?? ''
  const tally = tallies.get(name) ?? { passed: 0, failed: 0, skipped: 0, ms: 0 }
  tallies.set(name, tally)
  return tally
}
const nameOf = (file: string | undefined): string => (file ? relative(root, file) : '(unknown file)')

const stream = run({ files, concurrency: CONCURRENCY, timeout: TEST_TIMEOUT_MS, cwd: root })
stream.on('test:pass', (event) => {
  if (event.details.type === 'suite') return
  const tally = tallyOf(event.file)
  if (event.name === event.file) {
    // The file itself is reported as a test where it declares none.
    console.log(`     –     ${nameOf(event.file)}  declares no test here`)
    return
  }
  const { skip, todo } = event
  if (skip !== undefined || todo !== undefined) {
    tally.skipped++
    const reason = typeof skip === 'string' && skip ? skip : typeof todo === 'string' && todo ? `to do: ${todo}` : 'no reason given'
    const line = `${nameOf(event.file)}: ${reason}`
    skips.set(line, (skips.get(line) ?? 0) + 1)
  } else tally.passed++
})
stream.on('test:fail', (event) => {
  const cause = event.details.error.cause
  // A failing child fails its parents too; only the cause is worth printing.
  if ((event.details.error as { failureType?: string }).failureType === 'subtestsFailed') return
  const tally = tallyOf(event.file)
  tally.failed++
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause ?? event.details.error.message)
  failures.push(`${nameOf(event.file)}: ${event.name}\n${text.replace(/^/gm, '    ')}`)
})
stream.on('test:summary', (event) => {
  if (event.file === undefined) return
  const tally = tallies.get(event.file)
  if (!tally) return
  tally.ms = event.duration_ms
  const notes = [`${tally.passed} passed`, tally.skipped && `${tally.skipped} skipped`, tally.failed && `${tally.failed} FAILED`]
  console.log(`${(tally.ms / 1000).toFixed(1).padStart(6)} s  ${nameOf(event.file)}  ${notes.filter(Boolean).join(', ')}`)
})
stream.on('test:stderr', (event) => process.stderr.write(event.message))
stream.resume()
await new Promise((resolve) => stream.once('end', resolve))

const sum = (key: keyof Tally) => [...tallies.values()].reduce((total, tally) => total + tally[key], 0)
if (failures.length) console.log(`\nFailures:\n\n${failures.join('\n\n')}`)
if (skips.size)
  console.log(`\nSkipped:\n${[...skips].map(([line, count]) => `  ${line}${count > 1 ? ` (${count} tests)` : ''}`).join('\n')}`)
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(`\n${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped in ${files.length} files, ${seconds} s`)
process.exitCode = failures.length ? 1 : 0
