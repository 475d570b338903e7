/**
 * Writes the recorded evidence of `lineage verify`. `node scripts/record-evidence.ts DIRECTORY` takes the results that
 * `lineage experiment NAME --out DIRECTORY` wrote, adds or replaces them in src/verify/recorded/trainings.ts, and leaves the others.
 * `node scripts/record-evidence.ts --times WORDS` takes the times again on this machine, which the words describe.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createBackend } from '../src/load-model-node.ts'
import type { SmallRunResult } from '../src/train/small-run.ts'
import type { RecordedRun, RecordedTraining } from '../src/verify/evidence.ts'
import { TRAININGS } from '../src/verify/recorded/trainings.ts'
import { measureTimes } from '../src/verify/times.ts'
import { root } from './sources.ts'

interface Written {
  name: string
  seeds: number
  scale: number
  results: SmallRunResult[]
}

/** Six digits are more than seeds agree in. */
const short = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value

function training(file: string): RecordedTraining {
  const { name, seeds, scale, results } = JSON.parse(readFileSync(file, 'utf8')) as Written
  const runs = results.map(({ label, seed, parameters, loss, bestLoss, accuracy, tokensPerSecond, diverged, attention }): RecordedRun => {
    const rest = diverged === undefined && attention === undefined ? [] : [{ diverged, attention }]
    return [label, seed, parameters, loss ?? Number.NaN, bestLoss, accuracy, Math.round(tokensPerSecond), ...rest] as unknown as RecordedRun
  })
  const scaled = scale === 1 ? '' : ` --scale ${scale}`
  return {
    experiment: name,
    command: `lineage experiment ${name} --seeds ${seeds}${scaled}`,
    date: statSync(file).mtime.toISOString().slice(0, 10),
    seeds,
    scale,
    runs,
  }
}

function write(name: string, head: string, type: string, constant: string, value: unknown): void {
  const path = join(root, 'src/verify/recorded', name)
  writeFileSync(
    path,
    `/** ${head} */\nimport type { ${type.replace(/^readonly |\[\]$/g, '')} } from '../evidence.ts'\n\nexport const ${constant}: ${type} = ${JSON.stringify(value, short, 1)}\n`,
  )
  console.log(`${path}; format it: biome check --write ${path}`)
}

const [first, ...words] = process.argv.slice(2)
if (first === undefined) throw new Error('expected a directory that lineage experiment --out wrote, or --times and words about the machine')
if (first === '--times') {
  const backend = await createBackend({ threads: 0 })
  const times = { date: new Date().toISOString().slice(0, 10), machine: words.join(' '), ...(await measureTimes(backend)) }
  await backend.dispose()
  write('times.ts', 'Times of ops and small models, written by scripts/record-evidence.ts.', 'DatedTimes', 'RECORDED_TIMES', times)
} else {
  const files = readdirSync(first).filter((name) => name.endsWith('.json'))
  const added = files.map((name) => training(join(first, name)))
  const kept = TRAININGS.filter(({ experiment }) => !added.some((each) => each.experiment === experiment))
  const all = [...kept, ...added].sort((a, b) => (a.experiment < b.experiment ? -1 : 1))
  write(
    'trainings.ts',
    'Results of trainings, written by scripts/record-evidence.ts from what `lineage experiment --out` wrote.',
    'readonly RecordedTraining[]',
    'TRAININGS',
    all,
  )
}
