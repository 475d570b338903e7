/**
 * Measures everything in docs/benchmarks.md, most important first: half an hour on a quiet machine with two cores and 16 GB of free memory.
 *   node bench/all.ts SYNTH PEERS
 * SYNTH holds the checkpoints of `lineage synth` (gpt-oss-20b, qwen3-0.6b, gpt2, and qwen3-30b-8: Qwen3-30B-A3B with 8 layers), PEERS
 * node-llama-cpp and the GGUF files named below. What is missing is left out.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const [synth, peers] = process.argv.slice(2).map((folder) => resolve(folder)) as [string, string]
if (!synth || !peers) throw new Error('usage: node bench/all.ts SYNTH PEERS')
const here = fileURLToPath(new URL('.', import.meta.url))

/** Checkpoint, GGUF, Lineage's precisions, threads of llama.cpp (small models are faster with one). */
const LARGE = [['gpt-oss-20b', 'gpt-oss-20b-q8_0.gguf', 'fast+faithful', '2']]
const SMALL = [
  ['qwen3-0.6b', 'qwen3-0.6b-bf16.gguf', 'faithful', '1+2'],
  ['qwen3-0.6b', 'qwen3-0.6b-q8_0.gguf', 'fast', '1+2'],
  ['qwen3-30b-8', 'qwen3-30b-8-q8_0.gguf', 'fast+faithful', '1+2'],
  ['gpt2', 'gpt2-f32.gguf', 'faithful', '1+2'],
  ['gpt2', 'gpt2-q8_0.gguf', 'fast', '1+2'],
]

beside(LARGE, 'peers-large.json', ['--rounds', '2', '--repeat', '1'])
beside(SMALL, 'peers-small.json', ['--rounds', '2', '--repeat', '2'])
const checkpoints = ['gpt-oss-20b', 'qwen3-0.6b', 'gpt2'].filter((name) => existsSync(join(synth, name)))
run('engine/run.ts', ...checkpoints.map((name) => `${name}=${join(synth, name)}`))
run(
  'loading.ts',
  ...['qwen3-0.6b', 'gpt-oss-20b'].filter((name) => existsSync(join(synth, name))).map((name) => `${name}=${join(synth, name)}`),
)
run('report.ts')

function beside(cases: string[][], out: string, options: string[]): void {
  const wanted = cases.flatMap(([name, gguf, precisions, threads]) => {
    const files = [join(synth, name!), join(peers, gguf!)]
    if (files.every((file) => existsSync(file))) return ['--case', `${name} (${gguf})=${files.join(',')},${precisions},${threads}`]
    console.log(`left out: ${files.join(' and ')}`)
    return []
  })
  if (wanted.length > 0) run('peers/run.ts', '--peer', peers, '--out', join(here, 'results', out), ...options, ...wanted)
}

function run(script: string, ...args: string[]): void {
  const { status } = spawnSync(process.execPath, [join(here, script), ...args], { stdio: 'inherit' })
  if (status !== 0) process.exitCode = 1
}
