/**
 * Lineage and llama.cpp in alternation on the same machine. In every round each engine loads, measures and ends; the order changes from
 * round to round. Writes bench/results/peers.json, from which `node bench/report.ts` makes docs/benchmarks.md.
 *
 *   mkdir peers && cd peers && npm install node-llama-cpp@3.22.1 --ignore-scripts   # a folder of its own, 725 MB
 *   lineage synth gpt-oss-20b synth/gpt-oss-20b                                     # and a GGUF of the same shapes
 *   node bench/peers/run.ts --peer peers --case gpt-oss-20b=synth/gpt-oss-20b,peers/gpt-oss-20b-q8_0.gguf,fast+faithful,2
 *
 * A case is NAME=CHECKPOINT,GGUF,PRECISIONS,PEER_THREADS; several precisions and several thread counts are joined by +.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openModel } from '../../src/checkpoint/load.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import type { BenchReport } from '../../src/cli/support/bench-report.ts'
import { account } from '../../src/compare/account.ts'
import { median, option, type PeerCase, type PeerResults, type Series, type Visit } from './visit.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { values } = parseArgs({
  options: {
    peer: { type: 'string' },
    case: { type: 'string', multiple: true },
    prompt: { type: 'string' },
    generate: { type: 'string' },
    rounds: { type: 'string' },
    repeat: { type: 'string' },
    out: { type: 'string', default: join(root, 'bench/results/peers.json') },
  },
})
const [prompt, generate] = [option(values.prompt, 512), option(values.generate, 32)]
const [rounds, repeat] = [option(values.rounds, 3), option(values.repeat, 2)]
const sizes = ['--prompt', String(prompt), '--generate', String(generate), '--repeat', String(repeat)]
if (!values.peer || !values.case)
  throw new Error('--peer FOLDER and at least one --case NAME=CHECKPOINT,GGUF,PRECISIONS,PEER_THREADS are needed')
const peer = resolve(values.peer)
const { version } = JSON.parse(readFileSync(join(peer, 'node_modules/node-llama-cpp/package.json'), 'utf8'))

const results: PeerResults = {
  kind: 'peers',
  date: new Date().toISOString().slice(0, 10),
  cpu: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
  node: process.version,
  peer: `node-llama-cpp ${version}`,
  cases: [],
}
for (const text of values.case) {
  try {
    results.cases.push(await measure(text))
    write() // after every case: a run that is cut keeps what it has
  } catch (error) {
    console.error(`${text}: ${(error as Error).message}`)
    process.exitCode = 1
  }
}

async function measure(text: string): Promise<PeerCase> {
  const match = /^([^=]+)=([^,]+),([^,]+),([^,]+),([^,]+)$/.exec(text)
  if (!match) throw new Error(`--case ${text}: expected NAME=CHECKPOINT,GGUF,PRECISIONS,PEER_THREADS`)
  const [, name, checkpoint, gguf, precisions, peerThreads] = match as unknown as [string, string, string, string, string, string]
  for (const file of [checkpoint, gguf]) if (!existsSync(file)) throw new Error(`${file}: no such file`)
  const opened = await openModel(await fileFolder(checkpoint))
  await opened.checkpoint.close()
  const { architecture } = opened
  const { work } = account(architecture, { context: prompt + generate / 2 })
  const threads = availableParallelism()
  const series: Series[] = [
    ...peerThreads.split('+').map((count): Series => ({ engine: 'llama.cpp', precision: '', threads: Number(count), visits: [] })),
    ...precisions.split('+').map((precision): Series => ({ engine: 'lineage', precision, threads, visits: [] })),
  ]
  const found: PeerCase = {
    ...{ name, prompt, generate, series },
    readBytesPerSecond: [],
    decodeBytes: work.decodeWeightBytes + work.decodeCacheBytes,
    loadAverage: loadavg()[0]!,
  }
  for (let round = 0; round < rounds; round++) {
    for (const each of round % 2 ? series.toReversed() : series) {
      const visit =
        each.engine === 'lineage' ? await visitLineage(checkpoint, each, found) : await visitPeer(gguf, each, architecture.vocabSize)
      each.visits.push(visit)
      const [prefill, decode] = [(1000 * prompt) / median(visit.prefillMs), 1000 / median(visit.decodeMs)]
      console.log(
        `${name} ${each.engine} ${each.precision} ${each.threads} threads: ${prefill.toFixed(1)} and ${decode.toFixed(2)} tokens/s`,
      )
    }
  }
  return found
}

async function visitLineage(checkpoint: string, { precision }: Series, found: PeerCase): Promise<Visit> {
  const report: BenchReport = JSON.parse(
    await run([join(root, 'src/cli/main.ts'), 'bench', checkpoint, ...sizes, '--precision', precision, '--json']),
  )
  found.readBytesPerSecond.push(...report.limits.map(({ readBytesPerSecond }) => readBytesPerSecond.median))
  return {
    prefillMs: report.runs.map((each) => each.prefillMs),
    decodeMs: report.runs.map((each) => each.decodeMs),
    loadMs: report.loadMs,
    peakResidentBytes: report.memory.peakResidentBytes,
  }
}

async function visitPeer(gguf: string, { threads }: Series, vocab: number): Promise<Visit> {
  return JSON.parse(
    await run([join(root, 'bench/peers/llama-cpp.ts'), peer, gguf, ...sizes, '--threads', String(threads), '--vocab', String(vocab)]),
  )
}

/** Runs Node and gives its last line of output. */
function run(args: string[]): Promise<string> {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    child.on('error', fail)
    child.on('close', (code) => (code === 0 ? done(out.trim().split('\n').at(-1)!) : fail(new Error(`${args[0]} ended with ${code}`))))
  })
}

function write(): void {
  const out = resolve(values.out)
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(`${out}.tmp`, `${JSON.stringify(results, null, 1)}\n`)
  renameSync(`${out}.tmp`, out)
}
