/**
 * Two replicas behind HAProxy and nginx with the recipes of docs/proxies.md: what fails when one of them ends or is killed under load.
 * `node bench/proxies.ts [haproxy|nginx] [requests]`; both programs must be installed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const page = readFileSync(new URL('../docs/proxies.md', import.meta.url), 'utf8')
const directory = mkdtempSync(join(tmpdir(), 'lineage-proxies-'))
const children = new Set<ChildProcess>()
const CLIENTS = 8

type Kind = 'haproxy' | 'nginx'

interface Outcome {
  stream: boolean
  /** Whether bytes of the answer had come. */
  began: boolean
  problem?: string
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

function start(command: string, args: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

async function until(url: string, ok: (status: number) => boolean): Promise<void> {
  for (let i = 0; i < 600; i++) {
    const status = await fetch(url).then(
      ({ status }) => status,
      () => 0,
    )
    if (ok(status)) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${url}: not ready after 30 s`)
}

/** The recipe of the page with ports of this machine. */
function recipe(kind: Kind, ports: { front: number; replicas: number[] }): string {
  const text = new RegExp(`\`\`\`${kind}\n(.*?)\`\`\``, 's').exec(page)![1]!
  const local = text
    .replace('10.0.0.11:8080', `127.0.0.1:${ports.replicas[0]}`)
    .replace('10.0.0.12:8080', `127.0.0.1:${ports.replicas[1]}`)
    .replace('bind :8080', `bind 127.0.0.1:${ports.front}`)
    .replace('listen 8080', `listen 127.0.0.1:${ports.front}`)
  if (kind === 'haproxy') return local
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`)
  return `daemon off; pid ${directory}/pid; error_log stderr crit; events {}\nhttp { access_log off; ${places.join(' ')}\n${local}}`
}

async function ask(front: string, n: number): Promise<Outcome> {
  const stream = n % 2 === 0
  const outcome: Outcome = { stream, began: false }
  try {
    const response = await fetch(`${front}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'abacus', stream, messages: [{ role: 'user', content: `What is ${n} + ${n * 7}?` }] }),
    })
    outcome.began = response.ok
    const text = await response.text()
    if (!response.ok) outcome.problem = `${response.status} ${text.slice(0, 200)}`
    else if (stream && !text.includes('data: [DONE]')) outcome.problem = 'the stream ended in silence'
    else if (!stream && JSON.parse(text).choices.length !== 1) outcome.problem = 'no answer'
  } catch (error) {
    const { message, cause } = error as Error
    outcome.problem = `error: ${message} ${(cause as Error | undefined)?.message ?? ''}`
  }
  return outcome
}

async function run(kind: Kind, signal: 'SIGTERM' | 'SIGKILL', requests: number): Promise<Outcome[]> {
  const replicas = [await freePort(), await freePort()]
  const front = await freePort()
  const main = new URL('../src/cli/main.ts', import.meta.url).pathname
  const servers = replicas.map((port) =>
    start(process.execPath, [main, 'serve', '--port', String(port), '--threads', '1', '--log', 'none', '--drain-delay', '5']),
  )
  await Promise.all(replicas.map((port) => until(`http://127.0.0.1:${port}/readyz`, (status) => status === 200)))
  const file = join(directory, `${kind}.conf`)
  writeFileSync(file, recipe(kind, { front, replicas }))
  const proxy = kind === 'haproxy' ? start('haproxy', ['-db', '-f', file]) : start('nginx', ['-c', file, '-p', directory])
  const url = `http://127.0.0.1:${front}`
  await until(`${url}/livez`, (status) => status === 200)
  await new Promise((resolve) => setTimeout(resolve, 3000)) // two checks of HAProxy: both replicas are up
  const outcomes: Outcome[] = []
  let next = 0
  const exit = new Promise<number | null>((resolve) => servers[0]!.once('exit', resolve))
  const client = async () => {
    while (next < requests) {
      const n = next++
      if (n === Math.floor(requests / 5)) servers[0]!.kill(signal)
      outcomes.push(await ask(url, n))
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  const code = await exit
  if (signal === 'SIGTERM' && code !== 0) outcomes.push({ stream: false, began: false, problem: `the replica ended with ${code}` })
  for (const child of [proxy, ...servers]) child.kill('SIGKILL')
  return outcomes
}

const [only, count = '500'] = process.argv.slice(2)
try {
  for (const kind of ['haproxy', 'nginx'] as const) {
    if (only !== undefined && only !== kind) continue
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const outcomes = await run(kind, signal, Number(count))
      const failed = outcomes.filter(({ problem }) => problem !== undefined)
      const before = failed.filter(({ began }) => !began)
      const silent = failed.filter(({ problem }) => problem === 'the stream ended in silence')
      process.stdout.write(
        `${kind} ${signal}: ${outcomes.length} requests, ${failed.length} failed, ${before.length} of them before their first byte, ${silent.length} in silence\n`,
      )
      for (const { problem } of failed.slice(0, 5)) process.stdout.write(`  ${problem}\n`)
      if (before.length + silent.length > 0 || (signal === 'SIGTERM' && failed.length > 0)) process.exitCode = 1
    }
  }
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true })
}
