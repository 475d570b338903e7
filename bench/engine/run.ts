/**
 * Measures the engine besides the speed of one answer: eight answers at once, a long context, resident memory, the first token of a
 * cold process, a free event loop. Writes bench/results/engine.json, from which `node bench/report.ts` makes docs/benchmarks.md.
 *   node bench/engine/run.ts NAME=CHECKPOINT …       (made by `lineage synth`)
 */
import { spawn } from 'node:child_process'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from '../peers/visit.ts'
import type { Probe } from './probe.ts'

export interface EngineCase {
  name: string
  precision: string
  probe: Probe
  generate: { loadMs: number; residentBytes: number; peakResidentBytes: number; weights: number; caches: number }
  /** From the start of the process to the first id on its output, of cold processes with a warm file cache. */
  firstTokenMs: number[]
  loadAverage: number
}

export interface EngineResults {
  kind: 'engine'
  date: string
  cpu: string
  node: string
  cases: EngineCase[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = join(root, 'src/cli/main.ts')
const out = join(root, 'bench/results/engine.json')
const results: EngineResults = {
  kind: 'engine',
  date: new Date().toISOString().slice(0, 10),
  cpu: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
  node: process.version,
  cases: [],
}

for (const text of process.argv.slice(2)) {
  const [name, directory] = text.split('=')
  if (!name || !directory) throw new Error(`${text}: expected NAME=CHECKPOINT`)
  for (const precision of ['faithful', 'fast']) {
    results.cases.push(await measure(name, directory, precision))
    mkdirSync(dirname(out), { recursive: true })
    writeFileSync(`${out}.tmp`, `${JSON.stringify(results, null, 1)}\n`)
    renameSync(`${out}.tmp`, out)
  }
}

async function measure(name: string, directory: string, precision: string): Promise<EngineCase> {
  const loadAverage = loadavg()[0]!
  const probe: Probe = JSON.parse((await run([join(root, 'bench/engine/probe.ts'), directory, precision])).last)
  const generate = [main, 'generate', directory, '--ids', '1 2 3 4 5 6 7 8', '--precision', precision]
  const { loadMs, memory } = JSON.parse((await run([...generate, '--max-tokens', '16', '--json'])).last)
  const firstTokenMs: number[] = []
  const runs = memory.weights > 2e9 ? 1 : 3 // a large model reads its files for a minute
  for (let n = 0; n < runs; n++) firstTokenMs.push((await run([...generate, '--max-tokens', '1'])).firstOutputMs)
  const found = { name, precision, probe, generate: { loadMs, ...memory }, firstTokenMs, loadAverage }
  const { batch } = probe
  console.log(
    `${name} ${precision}: batch of 8 ${(median(batch[8]) / median(batch[1])).toFixed(2)}x, first token ${median(firstTokenMs).toFixed(0)} ms`,
  )
  return found
}

/** Runs Node: its last line of output, and when the first came. */
function run(args: string[]): Promise<{ last: string; firstOutputMs: number }> {
  return new Promise((done, fail) => {
    const start = performance.now()
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
    let text = ''
    let firstOutputMs = 0
    child.stdout.on('data', (data) => {
      firstOutputMs ||= performance.now() - start
      text += data
    })
    child.on('error', fail)
    child.on('close', (code) => {
      if (code === 0) done({ last: text.trim().split('\n').at(-1)!, firstOutputMs })
      else fail(new Error(`${args.join(' ')} ended with ${code}`))
    })
  })
}
