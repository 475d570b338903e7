/**
 * Load on the server: many clients at once, a third of which disconnect at random. Every other answer must be complete and equal to the
 * answer to the same question alone. Then throughput of 8 parallel answers, interleaved with the engine's own batched decode of 8.
 *
 *   node bench/server-load.ts [MODEL] [--clients 64] [--seconds 60] [--parallel 8] [--threads N] [--tokens 48] [--rounds 3] [--length 192] [--context 1024]
 *
 * MODEL may be a directory, also one of `lineage synth`; random weights rarely stop by themselves, so --tokens and --length are what every
 * answer takes: choose them smaller for a slow model (--tokens 12 --length 32). --rounds 0 leaves the second part out.
 *
 * 64 clients for five minutes, equal answers and flat memory: node bench/server-load.ts --clients 64 --seconds 300 --rounds 0
 *
 * --before DIR: DIR is a checkout of another version, with its dependencies. Both servers run, and the clients ask one and then the other,
 * --seconds each, --turns times. Other load on the machine meets both. Prints the median of the ratios.
 *   node bench/server-load.ts --seconds 15 --turns 8 --rounds 0 --before ../lineage-before
 *
 * Talks to a server that it starts on the loopback interface and stops. Exits 1 when an answer differs, a slot leaks or memory grows.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { modelDirectory } from '../src/cli/support/model.ts'
import { loadModel } from '../src/load-model-node.ts'
import { median } from './peers/visit.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '60' },
    parallel: { type: 'string', default: '8' },
    threads: { type: 'string', default: String(cpus().length) },
    tokens: { type: 'string', default: '48' },
    rounds: { type: 'string', default: '3' },
    before: { type: 'string' },
    turns: { type: 'string', default: '6' },
    length: { type: 'string', default: '192' },
    context: { type: 'string', default: '1024' },
  },
})
const model = positionals[0] ?? 'abacus'
/** The server's name of the model: the last part of a path. */
const modelId = basename(model)
const [clients, seconds, parallel, threads, tokens, rounds, context, length] = (
  ['clients', 'seconds', 'parallel', 'threads', 'tokens', 'rounds', 'context', 'length'] as const
).map((name) => Number(values[name])) as [number, number, number, number, number, number, number, number]

interface Server {
  readonly child: ChildProcess
  readonly url: string
}

let failed = false
const here = fileURLToPath(new URL('..', import.meta.url))
const servers: Server[] = []
try {
  servers.push(await startServer(here))
  if (values.before !== undefined) {
    servers.push(await startServer(resolve(values.before)))
    await beside(servers[0]!, servers[1]!, Number(values.turns))
  } else await load(servers[0]!)
  if (rounds > 0) await throughput(servers[0]!)
} finally {
  for (const { child } of servers) child.kill('SIGTERM')
}
process.exitCode = failed ? 1 : 0

/** Starts `lineage serve` of the checkout at `root`. */
async function startServer(root: string): Promise<Server> {
  const options = { port: 0, log: 'none', parallel, threads, context, 'max-queue': 512 }
  const args = [
    join(root, 'src/cli/main.ts'),
    'serve',
    model,
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const url = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stderr!.on('data', (data) => {
      text += data
      const found = /at (http:\S+)\/v1/.exec(text)
      if (found) resolve(found[1]!)
    })
    child.once('exit', () => reject(new Error(`the server of ${root} did not start: ${text}`)))
  })
  while (!(await fetch(`${url}/readyz`)).ok) await pause(50)
  return { child, url }
}

interface Ask {
  messages: { role: string; content: string }[]
  reasoning_effort: string
}

/** Questions of different lengths that share beginnings, so that the prefix cache is at work. */
function asks(): Ask[] {
  return Array.from({ length: 24 }, (_, i) => ({
    messages: [{ role: 'user', content: `What is ${i * 7 + 3} ${'+-*'[i % 3]} ${i + 11}?${' Please answer with care.'.repeat(i % 4)}` }],
    reasoning_effort: ['low', 'medium', 'high'][i % 3]!,
  }))
}

/** One streamed answer as text. Disconnects after a number of pieces or milliseconds, also in the queue. */
async function answer(
  { url }: Server,
  ask: Ask,
  leaveAfter = Number.POSITIVE_INFINITY,
  leaveAfterMs?: number,
): Promise<{ text: string | undefined; firstByteMs: number; status: number }> {
  const controller = new AbortController()
  const started = performance.now()
  const timer = leaveAfterMs === undefined ? undefined : setTimeout(() => controller.abort(), leaveAfterMs)
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: modelId, ...ask, temperature: 0, max_tokens: tokens, stream: true }),
    signal: controller.signal,
  }).catch((error) => {
    if (controller.signal.aborted) return undefined
    throw error
  })
  if (!response) return { text: undefined, firstByteMs: 0, status: 200 }
  if (!response.ok) {
    await response.body?.cancel()
    return { text: undefined, firstByteMs: 0, status: response.status }
  }
  let firstByteMs = 0
  let raw = ''
  let pieces = 0
  const decoder = new TextDecoder()
  try {
    for await (const bytes of response.body!) {
      firstByteMs ||= performance.now() - started
      raw += decoder.decode(bytes, { stream: true })
      if (++pieces >= leaveAfter) {
        controller.abort()
        return { text: undefined, firstByteMs, status: 200 }
      }
    }
  } catch (error) {
    if (controller.signal.aborted) return { text: undefined, firstByteMs, status: 200 }
    throw error
  } finally {
    clearTimeout(timer)
  }
  if (!raw.endsWith('data: [DONE]\n\n')) return { text: 'INCOMPLETE', firstByteMs, status: 200 }
  const chunks = raw
    .split('\n\n')
    .filter((line) => line.startsWith('data: {'))
    .map((line) => JSON.parse(line.slice(6)))
  const deltas = chunks
    .flatMap(({ choices }) => choices)
    .map(({ delta, finish_reason }) => (delta.reasoning ?? '') + (delta.content ?? '') + (finish_reason ? `[${finish_reason}]` : ''))
  return { text: deltas.join(''), firstByteMs, status: 200 }
}

async function load(server: Server): Promise<{ complete: number; p99: number }> {
  const { child, url } = server
  const questions = asks()
  const expected: string[] = []
  const started = performance.now()
  for (const question of questions) expected.push((await answer(server, question)).text!)
  // Roughly the time of an answer under full load. Clients disconnect anywhere within it.
  const typicalMs = ((performance.now() - started) / questions.length) * Math.max(1, clients / parallel)
  const until = performance.now() + seconds * 1000
  const firstBytes: number[] = []
  const memory: number[] = []
  let complete = 0
  let left = 0
  let refused = 0
  let different = 0
  const watch = setInterval(() => memory.push(residentBytes(child.pid!)), 500)
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let turn = 0; performance.now() < until; turn++) {
        const i = (client * 7 + turn) % questions.length
        const leaves = Math.random() < 1 / 3
        const { text, firstByteMs, status } = await answer(
          server,
          questions[i]!,
          leaves ? 1 + Math.floor(Math.random() * 20) : undefined,
          leaves ? Math.random() * typicalMs : undefined,
        )
        if (firstByteMs > 0) firstBytes.push(firstByteMs)
        if (status !== 200) {
          refused++
          await pause(200)
        } else if (text === undefined) left++
        else if (text === expected[i]) complete++
        else {
          different++
          if (different <= 3) console.error(`different:\n  alone ${expected[i]}\n  now   ${text}`)
        }
      }
    }),
  )
  clearInterval(watch)
  await pause(1000)
  const slots = (await (await fetch(`${url}/slots`)).json()) as { is_processing: boolean }[]
  const busy = slots.filter(({ is_processing }) => is_processing).length
  const { server_load: work } = (await (await fetch(`${url}/load`)).json()) as { server_load: number }
  firstBytes.sort((a, b) => a - b)
  const half = memory.slice(Math.floor(memory.length / 2))
  const third = Math.max(1, Math.floor(half.length / 3))
  const growth = mean(half.slice(-third)) / mean(half.slice(0, third)) - 1
  console.log(
    `${clients} clients, ${seconds} s, ${parallel} slots: ${complete} answers complete and equal, ${different} different, ${left} left early, ${refused} refused`,
  )
  console.log(`first byte: median ${quantile(firstBytes, 0.5).toFixed(0)} ms, p99 ${quantile(firstBytes, 0.99).toFixed(0)} ms`)
  console.log(`resident: ${(mean(half) / 2 ** 20).toFixed(0)} MiB in the second half, growth ${(100 * growth).toFixed(1)} %`)
  console.log(`afterwards: ${busy} of ${slots.length} slots in use, ${work} answers running or waiting`)
  if (different > 0 || busy > 0 || work > 0) failed = true
  if (seconds >= 120 && growth > 0.1) failed = true // before that the heap of a fresh process is still finding its size
  return { complete, p99: quantile(firstBytes, 0.99) }
}

/** Loads both servers in turns; which of them is first changes from turn to turn. */
async function beside(now: Server, before: Server, turns: number): Promise<void> {
  const answers: number[] = []
  const firstBytes: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    const order = turn % 2 === 0 ? [now, before] : [before, now]
    const results = new Map<Server, { complete: number; p99: number }>()
    for (const server of order) {
      console.log(`\nturn ${turn + 1}, the version ${server === now ? 'of this checkout' : 'before'}`)
      results.set(server, await load(server))
    }
    answers.push(results.get(now)!.complete / results.get(before)!.complete)
    firstBytes.push(results.get(now)!.p99 / results.get(before)!.p99)
  }
  const show = (ratios: number[]) => `${median(ratios).toFixed(2)}x (${ratios.map((ratio) => ratio.toFixed(2)).join(', ')})`
  console.log(`\nmedian of ${turns} turns, this version by the one before: answers ${show(answers)}; first byte, p99 ${show(firstBytes)}`)
}

/** Completions of a fixed length over HTTP against the engine's own, in turns, so that other load on the machine meets both. */
async function throughput({ child, url }: Server): Promise<void> {
  const loaded = await loadModel(await modelDirectory(model), { threads, context, slots: 8 })
  const count = 8
  const stop = loaded.format.stopIds
  const prompts = asks()
    .slice(0, count)
    .map(({ messages }) => loaded.tokenizer.encode(messages[0]!.content))
  const bias = Object.fromEntries(stop.map((id) => [id, -100]))
  const sampling = { temperature: 0, logitBias: new Map(stop.map((id) => [id, -100])) }
  const engine = async () => {
    const started = performance.now()
    const all = await Promise.all(
      prompts.map((prompt) => loaded.engine.generate(prompt, { maxTokens: length, sampling, stopIds: [] }).result),
    )
    return all.reduce((sum, { completionTokens }) => sum + completionTokens, 0) / ((performance.now() - started) / 1000)
  }
  const server = async () => {
    const started = performance.now()
    const all = await Promise.all(
      prompts.map(async (prompt) => {
        const body = {
          model: modelId,
          prompt,
          max_tokens: length,
          temperature: 0,
          logit_bias: bias,
          stream: true,
          stream_options: { include_usage: true },
        }
        const response = await fetch(`${url}/v1/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
        const text = await response.text()
        return Number(/"completion_tokens":(\d+)/.exec(text)?.[1])
      }),
    )
    return all.reduce((sum, tokens) => sum + tokens, 0) / ((performance.now() - started) / 1000)
  }
  const clock: number[] = []
  const processor: number[] = []
  await engine()
  await server()
  for (let round = 0; round < rounds; round++) {
    const cpuBefore = process.cpuUsage()
    const own = await engine()
    const { user, system } = process.cpuUsage(cpuBefore)
    const childBefore = cpuSeconds(child.pid!)
    const served = await server()
    // Processor time is also valid on a busy machine; elapsed time is not.
    const [ownCpu, servedCpu] = [(user + system) / 1e6, cpuSeconds(child.pid!) - childBefore]
    clock.push((100 * served) / own)
    processor.push((100 * ownCpu) / servedCpu)
    console.log(
      `8 at once: engine ${own.toFixed(0)} tokens/s (${ownCpu.toFixed(2)} s of CPU), server ${served.toFixed(0)} tokens/s (${servedCpu.toFixed(2)} s)`,
    )
  }
  console.log(
    `median: the server gives ${median(clock).toFixed(0)} % of the engine's speed by the clock, ${median(processor).toFixed(0)} % by processor time`,
  )
  await loaded.dispose()
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

/** Processor time of a process so far; the kernel counts in hundredths of a second. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
