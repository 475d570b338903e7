/** Full fine-tuning of a small real model gives the losses of PyTorch from the same start, step by step (scripts/oracles/fine-tuning.py). */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { readText } from '../../src/load-model.ts'
import { random } from '../../src/random/stream.ts'
import { promptIds } from '../../src/tokenizer/prompt.ts'
import { stories } from '../../src/train/data/stories.ts'
import { textData } from '../../src/train/data/text.ts'
import type { Example } from '../../src/train/shard.ts'
import { openStart } from '../../src/train/start-node.ts'
import { DEFAULT_SETTINGS, train } from '../../src/train/trainer.ts'
import { inlineWorkers } from '../../src/train/workers.ts'

const model = fileURLToPath(new URL('../../../shared/real/stories260K', import.meta.url))
const golden = JSON.parse(readFileSync(new URL('../fixtures/fine-tuning-torch.json', import.meta.url), 'utf8'))

test('20 steps on stories260K', { skip: existsSync(model) ? false : 'the model is not on this machine' }, async () => {
  const folder = await fileFolder(model)
  const start = await openStart(folder)
  const { tokenizer } = await readText(folder)
  const ids = Int32Array.from(promptIds(tokenizer, stories(random(1), 30_000), { special: false, bos: false }))
  const data = textData(ids, { block: 128, batch: 8, parts: 2, seed: 3, prefix: tokenizer.prefix })
  const settings = { ...DEFAULT_SETTINGS, steps: 20, warmup: 5, evaluateEvery: 20 }
  if (process.env.BATCHES) {
    const plain = ({ batch, rows, targets }: Example) => ({
      ids: [...batch.ids],
      slots: [...batch.slots],
      rows: [...rows],
      targets: [...targets],
    })
    const steps = Array.from({ length: settings.steps }, (_, i) => data.examples(i + 1).map(plain))
    writeFileSync(process.env.BATCHES, JSON.stringify({ settings, steps, evaluation: data.evaluation().map(plain) }))
  }
  const workers = inlineWorkers(start.architecture, { shards: 2, arenaBytes: 256 << 20, seed: 1 })
  await start.fill(workers.layout, workers.values)
  const losses: Record<'step' | 'evaluation', number[]> = { step: [], evaluation: [] }
  await train(workers, data, settings, { evaluateFirst: true, log: ({ kind, loss }) => losses[kind].push(loss) })
  for (const [ours, theirs] of [
    [losses.step, golden.losses],
    [losses.evaluation, golden.heldOut],
  ] as [number[], number[]][]) {
    assert.equal(ours.length, theirs.length)
    ours.forEach((loss, i) => {
      assert.ok(Math.abs(loss - theirs[i]!) < 1e-5, `${i}: ${loss} against ${theirs[i]}`)
    })
  }
  assert.ok(losses.evaluation[1]! < losses.evaluation[0]! - 1)
})
