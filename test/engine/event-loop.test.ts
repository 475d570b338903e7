/**
 * The caller's thread stays free: a timer of 5 ms fires on time while a prompt of several chunks is read and ids are decoded, with a model
 * large enough that every step takes longer than that (four layers, a vocabulary of 32,000; random weights written into a
 * temporary directory).
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Architecture } from '../../src/architecture/architecture.ts'
import { preset } from '../../src/architecture/presets.ts'
import { synthesizeCheckpoint } from '../../src/checkpoint/synth-node.ts'
import { type IdsModel, loadIds } from '../../src/load-model-node.ts'
import { someIds } from './model.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-event-loop-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const PERIOD_MS = 5

/**
 * How late each tick of a 5 ms timer came while `work` ran, in ms, sorted: by the clock, and in CPU time of this
 * thread. Only the latter is caused by this project; a busy machine does not change it.
 */
async function lateness(work: () => Promise<unknown>): Promise<{ wall: number[]; own: number[] }> {
  const [wall, own]: [number[], number[]] = [[], []]
  const cpu = () => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1000
  }
  let [due, spent] = [performance.now() + PERIOD_MS, cpu()]
  let timer = setTimeout(function tick() {
    wall.push(Math.max(0, performance.now() - due))
    const now = cpu()
    own.push(now - spent)
    ;[due, spent] = [performance.now() + PERIOD_MS, now]
    timer = setTimeout(tick, PERIOD_MS)
  }, PERIOD_MS)
  await work()
  clearTimeout(timer)
  const sorted = (list: number[]) => list.sort((a, b) => a - b)
  return { wall: sorted(wall), own: sorted(own) }
}

const percentile = (sorted: number[], p: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]!

let model: IdsModel
before(async () => {
  const { layers, ...sizes } = preset('Qwen3-0.6B')!
  const small: Architecture = { ...sizes, layers: layers.slice(0, 4), vocabSize: 32_000 }
  await synthesizeCheckpoint(small, directory, { threads: 1 })
  model = await loadIds(directory, { context: 512, slots: 2, chunk: 128, threads: 2 })
})
after(() => model?.dispose())

for (const [what, options] of [
  ['prefill of 384 ids', { prompt: 384, maxTokens: 1, temperature: 0 }],
  ['decode of 24 ids', { prompt: 2, maxTokens: 24, temperature: 1 }],
] as const)
  test(`a timer fires on time during ${what}`, async (t) => {
    const { prompt, maxTokens, temperature } = options
    const ids = someIds(prompt, model.architecture.vocabSize, prompt)
    const { wall, own } = await lateness(
      () => model.engine.generate(ids, { maxTokens, stopIds: [], sampling: { temperature, seed: 1 } }).result,
    )
    const show = (sorted: number[]) => `median ${percentile(sorted, 0.5).toFixed(1)}, 99 % ${percentile(sorted, 0.99).toFixed(1)}`
    t.diagnostic(`${wall.length} ticks; late by ms: ${show(wall)}; of the thread's own work: ${show(own)}`)
    assert.ok(wall.length >= 5, `only ${wall.length} ticks`)
    // Other programs delay every tick; only the thread's own work between two ticks is checked.
    assert.ok(percentile(own, 0.99) < 20, `${percentile(own, 0.99)} ms of work without a pause`)
  })
