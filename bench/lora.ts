/**
 * LoRA beside frozen weights: tokens per second of `lineage train --lora 8` on checkpoints of `lineage synth`, and the share of the limit. The limit
 * is the f32 peak of the machine in the same run over the work of a token: 2 operations per multiply-add of a forward pass and 2 of the gradients
 * of the inputs. The work of layers that run twice is not counted as useful.
 *
 *   lineage synth qwen3-0.6b synth/qwen3-0.6b
 *   node bench/lora.ts CHECKPOINT … [--steps 3] [--block 512] [--batch 2] [--threads 2] [--memory 384]
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { fileFolder } from '../src/checkpoint/source-node.ts'
import { machineLimits } from '../src/cli/support/machine-limits.ts'
import { account } from '../src/compare/account.ts'
import { pack } from '../src/train/data/pack.ts'
import { adapterSpecs, DEFAULT_TARGETS, withoutBalance } from '../src/train/low-rank.ts'
import { openStart } from '../src/train/start-node.ts'
import { threadWorkers } from '../src/train/workers-node.ts'
import { median, option } from './peers/visit.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string' },
    block: { type: 'string' },
    batch: { type: 'string' },
    threads: { type: 'string' },
    memory: { type: 'string' },
  },
})
if (positionals.length === 0) throw new Error('give checkpoints')
const [steps, block, batch] = [option(values.steps, 3), option(values.block, 512), option(values.batch, 2)]
const [threads, memory] = [option(values.threads, 2), option(values.memory, 384)]
const load = loadavg()[0]!
const peak = 2 * (await machineLimits(threads)).f32PerSecond

for (const path of positionals) {
  const start = await openStart(await fileFolder(path))
  const architecture = withoutBalance(start.architecture)
  const adapters = adapterSpecs(architecture, { rank: 8, alpha: 16, rankStabilized: false, targets: DEFAULT_TARGETS })
  const lowRank = { base: await start.frozen(), adapters }
  const workers = threadWorkers(architecture, { shards: threads, arenaBytes: memory * 2 ** 20, seed: 1, lowRank })
  const example = (s: number) => {
    const ids = Int32Array.from({ length: block + 1 }, (_, i) => (i * 7919 + s * 104_729) % architecture.vocabSize)
    return pack([{ ids, rows: block, counts: () => true }])
  }
  const examples = Array.from({ length: batch }, (_, s) => example(s))
  const tokens = batch * block
  const seconds: number[] = []
  try {
    for (let step = 0; step <= steps; step++) {
      const begun = performance.now()
      await workers.accumulate(examples, 1 / tokens, step)
      await workers.reduce()
      await workers.update({ step: step + 1, learningRate: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, gradientFactor: 1 })
      if (step > 0) seconds.push((performance.now() - begun) / 1000) // the first one finds out what fits
    }
  } finally {
    await workers.close()
  }
  const flop = 4 * account(architecture, { context: block / 2 }).work.decodeMultiplyAdds
  const rate = tokens / median(seconds)
  console.log(
    `${architecture.name}, ${path}: ${rate.toFixed(1)} tokens/s, ${(flop / 1e9).toFixed(2)} GFLOP per token, ${((100 * rate * flop) / peak).toFixed(0)} % of ${(peak / 1e9).toFixed(0)} GFLOP/s; ${threads} threads, ${batch} x ${block} tokens, ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(1)} GiB resident at most, load average before ${load.toFixed(1)}`,
  )
}
