/**
 * The time of a forward pass by op, for a few layers of a published model with random weights, in one thread (processor time, which a
 * busy machine does not change), and the time of the whole model extrapolated from it.
 *
 *   node bench/kernels/profile.ts gpt-oss-20b --layers 2 --prompt 512 --precision fast --dtype q4_k
 */
import { parseArgs } from 'node:util'
import { preset, presetNames } from '../../src/architecture/presets.ts'
import { cacheSpec } from '../../src/model/cache-spec.ts'
import { forward } from '../../src/model/transformer.ts'
import { leaves, mapWeights, type Weights, weightSpecs } from '../../src/model/weights.ts'
import type { WeightSpec } from '../../src/ops/backend.ts'
import type { DType } from '../../src/ops/dtype.ts'
import type { Batch } from '../../src/ops/ops.ts'
import type { Tensor } from '../../src/ops/tensor.ts'
import { Executor } from '../../src/ops/wasm/executor.ts'
import { createWasmBackend } from '../../src/ops/wasm/wasm.ts'
import { fillRandom } from './random-weight.ts'

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: 'string', default: '2' },
    prompt: { type: 'string', default: '512' },
    batch: { type: 'string', default: '1' },
    steps: { type: 'string', default: '4' },
    precision: { type: 'string', default: 'faithful' },
    dtype: { type: 'string' },
  },
})
const name = positionals[0] ?? 'gpt-oss-20b'
const published = preset(name)
if (!published) throw new Error(`no preset ${name}; there are ${presetNames().join(', ')}`)
const layers = Math.min(Number(flags.layers), published.layers.length)
const architecture = { ...published, layers: published.layers.slice(0, layers) }
const prompt = Number(flags.prompt)
const sequences = Number(flags.batch)

const spent = new Map<string, number>()
const cpu = () => process.cpuUsage().user / 1e3
const run = Executor.prototype.run
Executor.prototype.run = function (kernel, command, alone) {
  const start = cpu()
  run.call(this, kernel as never, command, alone)
  spent.set(kernel.name, (spent.get(kernel.name) ?? 0) + cpu() - start)
}

const backend = await createWasmBackend({ threads: 0, precision: flags.precision as 'faithful' | 'fast' })
/** With --dtype all matrices have this dtype, as in a quantised file. */
const make = ({ name, shape, dtype: published, use }: WeightSpec) => {
  const dtype = use === 'vector' ? published : ((flags.dtype as DType | undefined) ?? published)
  return backend.weight({ name, shape, dtype, use }, async (part, _, into) => fillRandom(dtype, part, into))
}
const specs = weightSpecs(architecture)
const made = new Map<WeightSpec, Tensor>()
const loadStart = cpu()
for (const spec of leaves(specs)) made.set(spec, await make(spec))
console.log(`loaded in ${((cpu() - loadStart) / 1e3).toFixed(1)} s`)
const weights = mapWeights(specs, (spec) => made.get(spec)!) as Weights
const cache = await backend.cache(cacheSpec(architecture, sequences, prompt + 64, prompt))

async function pass(batch: Batch): Promise<number> {
  const start = cpu()
  const logitRows = Int32Array.from(batch.slots.keys()).filter((t) => batch.slots[t] !== batch.slots[t + 1])
  await backend.run(() => forward(backend, architecture, weights, batch, { cache, logitRows }))
  return cpu() - start
}

const rows = (length: number, from: number): Batch => {
  const all = Array.from({ length: sequences }, (_, slot) => Array.from({ length }, (_, i) => ({ slot, position: from + i }))).flat()
  return {
    ids: Int32Array.from(all, () => Math.floor(Math.random() * architecture.vocabSize)),
    slots: Int32Array.from(all, (r) => r.slot),
    positions: Int32Array.from(all, (r) => r.position),
  }
}

function report(what: string, ms: number, perToken: number) {
  console.log(`${what}: ${ms.toFixed(1)} ms, ${(ms / perToken).toFixed(3)} ms per token`)
  for (const [kernel, time] of [...spent].sort((a, b) => b[1] - a[1]))
    if (time > 0.002 * ms)
      console.log(`  ${kernel.padEnd(14)} ${time.toFixed(1).padStart(9)} ms ${((100 * time) / ms).toFixed(1).padStart(5)} %`)
  spent.clear()
}

await pass(rows(Math.min(prompt, 64), 0))
await pass(rows(1, Math.min(prompt, 64)))
spent.clear()
const prefill = await pass(rows(prompt, 0))
report(`prefill of ${sequences} × ${prompt}, ${layers} of ${published.layers.length} layers`, prefill, sequences * prompt)
const step = async (at: number) => pass(rows(1, at))
await step(prompt)
spent.clear()
const steps = Number(flags.steps)
let decode = 0
for (let i = 0; i < steps; i++) decode += await step(prompt + 1 + i)
report(`${steps} decode steps`, decode, steps * sequences)
await backend.dispose()
