/**
 * Our server and llama-server under the same load, in turns on one machine. Both run on the same GGUF file and stay up; each burst goes to one
 * of them: so many clients ask at once, all with prompts that nobody has asked before, and read streams of a fixed length. The order is A B B A.
 * Writes bench/results/server.json, from which `node bench/report.ts` makes docs/benchmarks.md.
 *
 *   node bench/peers/server.ts --llama-server PATH/llama-server --gguf SmolLM2-135M-Instruct.Q8_0.gguf [--precision fast+faithful]
 *       [--at-once 1,2,4,8,16] [--prompt 190] [--generate 64] [--bursts 2] [--rounds 1] [--threads 2] [--out FILE]
 *
 * llama-server is built from the sources that PyPI's llama-cpp-python holds: cmake -B build -DGGML_NATIVE=ON && cmake --build build -t llama-server.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { ServerFigures, ServerRow } from '../figures.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { values } = parseArgs({
  options: {
    'llama-server': { type: 'string' },
    gguf: { type: 'string' },
    precision: { type: 'string', default: 'fast' },
    'at-once': { type: 'string', default: '1,2,4,8,16' },
    prompt: { type: 'string', default: '190' },
    generate: { type: 'string', default: '64' },
    bursts: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string', default: join(root, 'bench/results/server.json') },
  },
})
if (!values['llama-server'] || !values.gguf) throw new Error('--llama-server PROGRAM and --gguf FILE are needed')
const gguf = resolve(values.gguf)
const [prompt, generate, bursts, rounds] = [values.prompt, values.generate, values.bursts, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
]
const levels = values['at-once'].split(',').map(Number)
const slots = Math.max(...levels)
const context = Math.ceil((prompt + generate) / 256) * 256

interface Peer {
  name: string
  child: ChildProcess
  url: string
  model: string
  readySeconds: number
}

/** What one client saw, in ms from its request on. */
interface Seen {
  first: number
  between: number[]
  end: number
}

const peers: Peer[] = []
let asked = 0
try {
  for (const precision of values.precision.split('+')) peers.push(await ours(precision))
  peers.push(await llamaServer(values['llama-server']))
  const ids = await tokens()
  const loadAverage = loadavg()[0]!
  for (const peer of peers) await burst(peer, 1, ids)
  const rows: ServerRow[] = []
  for (const atOnce of levels) {
    const seen = new Map<Peer, { all: Seen[]; seconds: number }>(peers.map((peer) => [peer, { all: [], seconds: 0 }]))
    for (let round = 0; round < rounds; round++)
      for (const order of [peers, peers.toReversed()])
        for (const peer of order)
          for (let n = 0; n < bursts; n++) {
            const { all, seconds } = await burst(peer, atOnce, ids)
            const sum = seen.get(peer)!
            sum.all.push(...all)
            sum.seconds += seconds
          }
    for (const [{ name }, { all, seconds }] of seen) {
      const first = all.map((each) => each.first)
      const row = {
        server: name,
        atOnce,
        requestsPerSecond: rounded(all.length / seconds, 2),
        tokensPerSecond: rounded((all.length * generate) / seconds, 1),
        firstP50: Math.round(quantile(first, 0.5)),
        firstP95: Math.round(quantile(first, 0.95)),
        betweenP50: rounded(
          quantile(
            all.flatMap(({ between }) => between),
            0.5,
          ),
          1,
        ),
      }
      rows.push(row)
      console.log(Object.values(row).join('  '))
    }
    write(rows, loadAverage) // after every level: a run that is cut keeps what it has
  }
} finally {
  for (const { child } of peers) child.kill('SIGTERM')
}

function write(rows: ServerRow[], loadAverage: number): void {
  const machines = peers.map(({ name, child, readySeconds }) => {
    return { server: name, readySeconds: rounded(readySeconds, 1), peakMiB: Math.round(peakBytes(child.pid!) / 2 ** 20) }
  })
  const figures: ServerFigures = {
    name: basename(gguf, '.gguf'),
    prompt,
    generate,
    slots,
    rows,
    machines,
    loadAverage: rounded(loadAverage, 1),
  }
  const cpu = `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`
  const results = { kind: 'server', date: new Date().toISOString().slice(0, 10), cpu, node: process.version, figures: [figures] }
  mkdirSync(dirname(values.out), { recursive: true })
  writeFileSync(values.out, `${JSON.stringify(results, undefined, 2)}\n`)
}

/** All clients ask in the same moment; the time is that of the slowest. */
async function burst(peer: Peer, atOnce: number, ids: readonly number[]): Promise<{ all: Seen[]; seconds: number }> {
  const prompts = Array.from({ length: atOnce }, () => nextPrompt(ids))
  const started = performance.now()
  const all = await Promise.all(prompts.map((each) => ask(peer, each)))
  return { all, seconds: (performance.now() - started) / 1000 }
}

/** A prompt whose first ids no other prompt has, so that no cache helps. */
function nextPrompt(ids: readonly number[]): number[] {
  const from = (asked * 131) % (ids.length - prompt)
  return [1000 + (asked++ % 20_000), ...ids.slice(from, from + prompt - 1)]
}

async function ask({ url, model }: Peer, prompt: readonly number[]): Promise<Seen> {
  const body = { model, prompt, max_tokens: generate, temperature: 0, ignore_eos: true, stream: true }
  const started = performance.now()
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`)
  const times: number[] = []
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of response.body!) {
    const now = performance.now() - started
    const events = (rest + decoder.decode(bytes, { stream: true })).split('\n\n')
    rest = events.pop()!
    for (const event of events) if (/"text":"[^"]/.test(event)) times.push(now)
  }
  if (times.length < generate / 2) throw new Error(`${url}: ${times.length} pieces of text, expected about ${generate}`)
  return { first: times[0]!, between: times.slice(1).map((time, i) => time - times[i]!), end: times.at(-1)! }
}

/** Ids of a long text, from our server. */
async function tokens(): Promise<number[]> {
  const content = readFileSync(join(root, 'docs/log.md'), 'utf8').slice(0, 40_000)
  const ids: number[] = []
  for (let at = 0; at < content.length; at += 800) {
    const response = await fetch(`${peers[0]!.url}/tokenize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ content: content.slice(at, at + 800) }),
    })
    if (!response.ok) throw new Error(await response.text())
    ids.push(...((await response.json()) as { tokens: number[] }).tokens)
  }
  return ids
}

function ours(precision: string): Promise<Peer> {
  const sizes = ['--parallel', String(slots), '--context', String(context), '--threads', values.threads]
  const args = [join(root, 'src/cli/main.ts'), 'serve', gguf, '--port', '0', '--log', 'none', '--precision', precision, ...sizes]
  return start(`Lineage, ${precision}`, process.execPath, args, /at (http:\S+)\/v1/)
}

function llamaServer(program: string): Promise<Peer> {
  const args = ['-m', gguf, '--host', '127.0.0.1', '--port', '18999', '-np', String(slots), '-c', String(context * slots)]
  const threads = ['-t', values.threads, '-tb', values.threads, '--no-webui']
  return start('llama-server', program, [...args, ...threads], /listening on (http:\/\/[\d.]+:\d+)/)
}

async function start(name: string, program: string, args: string[], says: RegExp): Promise<Peer> {
  const began = performance.now()
  const env = { ...process.env, LD_LIBRARY_PATH: dirname(program) }
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env })
  const url = await new Promise<string>((found, failed) => {
    let text = ''
    child.stderr!.on('data', (data) => {
      text = (text + data).slice(-20_000)
      const [, address] = says.exec(text) ?? []
      if (address) found(address)
    })
    child.once('error', failed)
    child.once('exit', () => failed(new Error(`${name} did not start: ${text.slice(-1000)}`)))
  })
  while (!(await fetch(`${url}/health`)).ok) await new Promise((resolve) => setTimeout(resolve, 20))
  const readySeconds = (performance.now() - began) / 1000
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] }
  return { name, child, url, model: data[0]!.id, readySeconds }
}

/** Linux tells it of each process. */
function peakBytes(pid: number): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)
}

function quantile(all: readonly number[], share: number): number {
  const sorted = all.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

function rounded(value: number, decimals: number): number {
  return Number(value.toFixed(decimals))
}
