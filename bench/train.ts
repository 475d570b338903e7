/**
 * nanoGPT's small CPU recipe (characters, 4 layers, 4 heads, width 128, block 64, batch 12, no dropout): time of a training step, as GFLOP/s and as a
 * share of the f32 peak of the same machine in the same run. With --peer beside PyTorch, both in turns (A B B A …); writes bench/results/training.json.
 *
 *   node bench/train.ts TEXT [--peer PYTHON] [--rounds 8] [--steps 40] [--threads 2] [--plain] [--out FILE]
 *
 * PYTHON is an interpreter with torch; --plain takes PyTorch's default AdamW instead of its fused one. Operations are counted at the calls of the
 * matrix product. The time includes everything else in a step.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { machineLimits } from '../src/cli/support/machine-limits.ts'
import { characterTokenizerJson } from '../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../src/tokenizer/tokenizer-json.ts'
import { textData } from '../src/train/data/text.ts'
import { Shard } from '../src/train/shard.ts'
import { smallGpt2 } from '../src/train/small-models.ts'
import { DEFAULT_SETTINGS, FRESH, train } from '../src/train/trainer.ts'
import { workerMemory } from '../src/train/workers.ts'
import { threadWorkers } from '../src/train/workers-node.ts'
import { startTorch } from './peers/torch.ts'
import { median, option } from './peers/visit.ts'

/** Raw times of both engines, in the order of the rounds. */
export interface TrainingResults {
  kind: 'training'
  date: string
  cpu: string
  node: string
  /** PyTorch's version and form of AdamW; absent without a peer. */
  peer?: string
  threads: number
  loadAverage: number
  gflop: number
  peakGflops: number
  /** Milliseconds of the steps of each visit. */
  lineage: number[][]
  torch: number[][]
}

if (import.meta.main) await main()

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      peer: { type: 'string' },
      rounds: { type: 'string' },
      steps: { type: 'string' },
      threads: { type: 'string' },
      plain: { type: 'boolean', default: false },
      out: { type: 'string', default: fileURLToPath(new URL('results/training.json', import.meta.url)) },
    },
  })
  const [file] = positionals
  if (!file) throw new Error('give the path of a text')
  const [rounds, steps, threads] = [option(values.rounds, 8), option(values.steps, 40), option(values.threads, 2)]
  const own = startLineage(file, threads)
  const torch =
    values.peer === undefined ? undefined : await startTorch(values.peer, [file, String(threads), values.plain ? 'plain' : 'fused'])
  try {
    const loadAverage = loadavg()[0]!
    await own.run(steps)
    await torch?.run(steps)
    const results: TrainingResults = {
      kind: 'training',
      date: new Date().toISOString().slice(0, 10),
      cpu: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
      node: process.version,
      peer: torch && `PyTorch ${torch.version}${values.plain ? '' : ', fused AdamW'}`,
      threads,
      loadAverage,
      gflop: own.gflop,
      peakGflops: 0,
      lineage: [],
      torch: [],
    }
    const visit = { lineage: own.run, torch: torch?.run }
    for (let round = 0; round < rounds; round++)
      for (const name of round % 2 ? (['torch', 'lineage'] as const) : (['lineage', 'torch'] as const)) {
        const times = await visit[name]?.(steps)
        if (times) results[name].push(times)
      }
    results.peakGflops = (2 * (await machineLimits(threads)).f32PerSecond) / 1e9
    report(results)
    if (torch) writeFileSync(values.out, `${JSON.stringify(results)}\n`)
  } finally {
    await own.close()
    torch?.close()
  }
}

function report({ lineage, torch, gflop, peakGflops, threads, peer }: TrainingResults): void {
  const line = (name: string, ms: number) =>
    console.log(
      `${name}: ${ms.toFixed(1)} ms per step, ${((1000 * gflop) / ms).toFixed(1)} GFLOP/s, ${((100_000 * gflop) / ms / peakGflops).toFixed(0)} % of ${peakGflops.toFixed(0)} GFLOP/s`,
    )
  console.log(`${gflop.toFixed(2)} GFLOP in the matrix products of a step, ${threads} threads`)
  line('Lineage, median', median(lineage.flat()))
  line('Lineage, median of the fastest visit', Math.min(...lineage.map(median)))
  if (torch.length === 0) return
  line(`${peer}, median`, median(torch.flat()))
  line(`${peer}, median of the fastest visit`, Math.min(...torch.map(median)))
  console.log(
    `Lineage takes ${(median(torch.flat()) / median(lineage.flat())).toFixed(2)} steps for one of ${peer}; by rounds: ${lineage.map((times, i) => (median(torch[i]!) / median(times)).toFixed(2)).join(', ')}`,
  )
}

function startLineage(file: string, threads: number) {
  const text = readFileSync(file, 'utf8')
  const tokenizer = tokenizerFromJson(characterTokenizerJson(text), 'characters')
  const ids = Int32Array.from(tokenizer.encode(text))
  const architecture = smallGpt2({ vocabSize: tokenizer.vocabSize, block: 64, layers: 4, heads: 4, width: 128, dropout: 0 })
  const whole = textData(ids, { block: 64, batch: 12, parts: threads, seed: 1 })
  const data = { ...whole, evaluation: () => whole.evaluation().slice(0, 1) } // of which no time is taken
  const workers = threadWorkers(architecture, { shards: threads, arenaBytes: 256 << 20, seed: 1 })
  let progress = FRESH
  return {
    gflop: flopPerStep(architecture, data.examples(1)) / 1e9,
    close: workers.close,
    /** Milliseconds of the next steps. */
    async run(steps: number): Promise<number[]> {
      const times: number[] = []
      let last = performance.now()
      const settings = { ...DEFAULT_SETTINGS, steps: progress.step + steps, evaluateEvery: 1e9, saveEvery: 1e9 }
      const log = ({ kind }: { kind: string }) => {
        const now = performance.now()
        if (kind === 'step') times.push(now - last)
        last = now
      }
      progress = await train(workers, data, settings, { log }, progress)
      return times
    },
  }
}

/** Floating-point operations of the matrix products of one step. */
function flopPerStep(...[architecture, examples]: [Parameters<typeof workerMemory>[0], Parameters<Shard['accumulate']>[0]]): number {
  const { memory, plan, modules } = workerMemory(architecture, { shards: 1, arenaBytes: 256 << 20, seed: 1 })
  const shard = new Shard(architecture, memory, plan, 0, modules)
  let flop = 0
  shard.watchProducts((M, N, K) => {
    flop += 2 * M * N * K
  })
  shard.accumulate(examples, 1 / 768, 1)
  return flop
}
