/**
 * Time per training step of nanoGPT's small CPU recipe (character level, 4 layers, 4 heads, width 128, block 64, batch 12, no dropout), as
 * GFLOP/s and as a share of the f32 peak of the same machine in the same run. `node bench/train.ts TEXT [STEPS] [THREADS]`.
 * Operations are counted at the calls of the matrix product. The time includes everything else in a step.
 */
import { readFileSync } from 'node:fs'
import { machineLimits } from '../src/cli/support/machine-limits.ts'
import { characterTokenizerJson } from '../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../src/tokenizer/tokenizer-json.ts'
import { textData } from '../src/train/data/text.ts'
import { Shard } from '../src/train/shard.ts'
import { smallGpt2 } from '../src/train/small-models.ts'
import { DEFAULT_SETTINGS, train } from '../src/train/trainer.ts'
import { workerMemory } from '../src/train/workers.ts'
import { threadWorkers } from '../src/train/workers-node.ts'

const [file, steps = '300', threads = '2'] = process.argv.slice(2)
if (!file) throw new Error('give the path of a text')
const text = readFileSync(file, 'utf8')
const tokenizer = tokenizerFromJson(characterTokenizerJson(text), 'characters')
const ids = Int32Array.from(tokenizer.encode(text))
const architecture = smallGpt2({ vocabSize: tokenizer.vocabSize, block: 64, layers: 4, heads: 4, width: 128, dropout: 0 })
const shards = Number(threads)
const data = textData(ids, { block: 64, batch: 12, parts: shards, seed: 1 })

/** Floating-point operations of the matrix products of one step. */
function flopPerStep(): number {
  const { memory, plan, modules } = workerMemory(architecture, { shards: 1, arenaBytes: 256 << 20, seed: 1 })
  const shard = new Shard(architecture, memory, plan, 0, modules)
  let flop = 0
  shard.watchProducts((M, N, K) => {
    flop += 2 * M * N * K
  })
  shard.accumulate(data.examples(1), 1 / 768, 1)
  return flop
}

const workers = threadWorkers(architecture, { shards, arenaBytes: 256 << 20, seed: 1 })
const times: number[] = []
let last = performance.now()
await train(
  workers,
  data,
  { ...DEFAULT_SETTINGS, steps: Number(steps), evaluateEvery: 1e9, saveEvery: 1e9 },
  {
    log: (record) => {
      const now = performance.now()
      if (record.kind === 'step') times.push(now - last)
      last = performance.now()
    },
  },
)
await workers.close()
const steady = times.slice(Math.floor(times.length / 5)).sort((a, b) => a - b)
const median = steady[Math.floor(steady.length / 2)]!
const gflops = flopPerStep() / 1e9
const { f32PerSecond } = await machineLimits(shards)
const peak = (2 * f32PerSecond) / 1e9
const report = (name: string, ms: number) =>
  console.log(
    `${name}: ${ms.toFixed(1)} ms per step, ${((1000 * gflops) / ms).toFixed(1)} GFLOP/s, ${((100_000 * gflops) / ms / peak).toFixed(0)} % of ${peak.toFixed(0)} GFLOP/s`,
  )
console.log(`${gflops.toFixed(2)} GFLOP in the matrix products of a step, ${shards} threads`)
report('median', median)
report('fastest tenth', steady[Math.floor(steady.length / 10)]!)
