/**
 * Times of single ops and of two small models on a backend. Each number is the shortest of many short runs, which other work on the machine
 * disturbs least; what is compared is measured in turns. Ratios carry over to other machines, times do not.
 */
import type { Architecture } from '../architecture/architecture.ts'
import { account } from '../compare/account.ts'
import { cacheSpec } from '../model/cache-spec.ts'
import { initialize } from '../model/initialize.ts'
import { forward } from '../model/transformer.ts'
import type { Backend } from '../ops/backend.ts'
import type { Tensor } from '../ops/tensor.ts'
import { noise } from './claim.ts'
import { smallSteps } from './small.ts'

/** Seconds of each op on [64, 1024] numbers. */
export type OpTimes = Record<'geluErf' | 'geluTanh' | 'geglu' | 'swiglu' | 'layerNorm' | 'rmsNorm', number>

export interface ShapeTimes {
  parameters: number
  /** Seconds for a prompt of 32 tokens, and for one token after it. */
  prompt: number
  token: number
}

export interface Times {
  ops: OpTimes
  wide: ShapeTimes
  deep: ShapeTimes
}

const [ROWS, WIDTH] = [64, 1024]
const PROMPT = 32
const ROUNDS = 40

/** @param rounds runs of each of which the shortest counts */
export async function measureTimes(backend: Backend, rounds = ROUNDS): Promise<Times> {
  return { ops: await opTimes(backend, rounds), ...(await shapeTimes(backend, rounds)) }
}

/** The shortest of several runs of each, in turns. */
async function shortest<Name extends string>(runs: Record<Name, () => Promise<unknown>>, rounds: number): Promise<Record<Name, number>> {
  const names = Object.keys(runs) as Name[]
  const best = Object.fromEntries(names.map((name) => [name, Number.POSITIVE_INFINITY])) as Record<Name, number>
  for (let round = 0; round <= rounds; round++)
    for (const name of names) {
      const start = performance.now()
      await runs[name]()
      const seconds = (performance.now() - start) / 1000
      // The first round compiles.
      if (round > 0) best[name] = Math.min(best[name], seconds)
    }
  return best
}

/** Repetitions of an op in one run: enough that reading the result does not count. */
const REPEATS = 4

async function opTimes(backend: Backend, rounds: number): Promise<OpTimes> {
  const data = noise(31, ROWS * WIDTH).map((value) => 3 * value)
  const ones = new Float32Array(WIDTH).fill(1)
  const last = Int32Array.of(0)
  const run = (op: (x: Tensor, ones: Tensor) => Tensor) => () =>
    backend.run(() => {
      const [x, gain] = [backend.upload(data, [ROWS, WIDTH]), backend.upload(ones, [WIDTH])]
      let y = op(x, gain)
      for (let i = 1; i < REPEATS; i++) y = op(x, gain)
      return backend.select(y, last)
    })
  const tanh = { kind: 'geglu', approximation: 'tanh' } as const
  const empty = await shortest({ nothing: run((x) => x) }, rounds)
  const times = await shortest(
    {
      geluErf: run((x) => backend.gelu(x, { kind: 'gelu', approximation: 'erf' })),
      geluTanh: run((x) => backend.gelu(x, { kind: 'gelu', approximation: 'tanh' })),
      geglu: run((x) => backend.gated(x, x, tanh)),
      swiglu: run((x) => backend.gated(x, x, { kind: 'swiglu' })),
      layerNorm: run((x, gain) => backend.layerNorm(x, gain, gain, 1e-5)),
      rmsNorm: run((x, gain) => backend.rmsNorm(x, gain, 1e-5, 0)),
    },
    rounds,
  )
  return Object.fromEntries(Object.entries(times).map(([name, seconds]) => [name, (seconds - empty.nothing) / REPEATS])) as OpTimes
}

/** A dense model with rotary positions, RMSNorm and a gate. */
const shaped = (layers: number, width: number): Architecture =>
  smallSteps({ layers, width, vocabSize: 512, block: 2 * PROMPT }).get('no-biases')!

/** Of two models: one is twice as deep, the other about √2 times as wide, as Qwen3-30B-A3B and gpt-oss-20b are. */
async function shapeTimes(backend: Backend, rounds: number): Promise<Record<'wide' | 'deep', ShapeTimes>> {
  const shapes = { wide: shaped(6, 360), deep: shaped(12, 256) }
  const steps = { wide: await stepper(backend, shapes.wide, rounds), deep: await stepper(backend, shapes.deep, rounds) }
  const prompts = await shortest({ wide: steps.wide.prompt, deep: steps.deep.prompt }, rounds)
  const tokens = await shortest({ wide: steps.wide.token, deep: steps.deep.token }, rounds)
  const of = (name: 'wide' | 'deep'): ShapeTimes => ({
    parameters: account(shapes[name], { context: 1 }).parameters.total,
    prompt: prompts[name],
    token: tokens[name],
  })
  return { wide: of('wide'), deep: of('deep') }
}

/** Reads a prompt, and up to `rounds + 1` tokens after it, with random weights. */
async function stepper(backend: Backend, architecture: Architecture, rounds: number) {
  const weights = await initialize(architecture, backend, 1)
  const cache = await backend.cache(cacheSpec(architecture, 1, PROMPT + rounds + 1, PROMPT))
  const read = (from: number, count: number) => {
    const positions = Int32Array.from({ length: count }, (_, i) => from + i)
    const batch = { ids: positions, slots: new Int32Array(count), positions }
    return backend.run(() => forward(backend, architecture, weights, batch, { cache, logitRows: Int32Array.of(count - 1) }))
  }
  let at = PROMPT
  return { prompt: () => read(0, PROMPT), token: () => read(at++, 1) }
}
