/**
 * `lineage serve`: the OpenAI and Ollama APIs for local models. Sets models, limits and keys; the
 * server is src/server.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { type Command, Option } from 'commander'
import { type App, type AppOptions, createApp } from '../server/http/app.ts'
import type { LogLine } from '../server/http/context.ts'
import { defaultLimits, type Limits } from '../server/http/limits.ts'
import type { ModelEntry } from '../server/models/model.ts'
import { isSocket, type Listening, type ListenOptions, listen, nodeDirectory } from '../server/node.ts'
import { DirectoryStore } from '../server/responses/store-directory.ts'
import { cacheManager } from './support/manage-models.ts'
import { addRunOptions, parseCount, parsePort, parseWhole, type RunOptions } from './support/model.ts'
import { readOptionFile } from './support/read-file.ts'
import { type Purposes, servedEntries } from './support/served-entry.ts'
import { slotDirectory } from './support/slot-files.ts'
import { parseBytes, UsageError } from './support/terminal.ts'

interface Options extends RunOptions, Purposes {
  host: string
  port: number
  apiKey: string[]
  apiKeyFile?: string
  allowHost: string[]
  allowOrigin: string[]
  insecure?: boolean
  parallel: number
  maxQueue: number
  maxTokens?: number
  memory?: number
  store?: string
  slotSavePath?: string
  drain: number
  alias: string[]
  pathPrefix?: string
  manageModels?: boolean
  reasoningEffort?: 'none' | 'low' | 'medium' | 'high'
  reasoningBudget?: number
  tlsCert?: string
  tlsKey?: string
  drainDelay: number
  metricsPort?: number
  currentDate?: string
  log: 'text' | 'json' | 'none'
}

/** The model that comes with the package. */
const EMBEDDED = 'abacus'

const collect = (value: string, before: string[]) => [...before, value]

export function register(program: Command): void {
  const command = program
    .command('serve')
    .description('Serves models under /v1 (OpenAI) and /api (Ollama). Models are loaded when first asked for, the first one at once.')
    .argument('[models...]', `directories or names of models (default: ${EMBEDDED}, which comes with the package)`)
    .option('--host <address>', 'address to bind; other than loopback needs a key; a path ending with .sock is a Unix socket', '127.0.0.1')
    .option('--tls-cert <file>', 'serve HTTPS with this certificate chain (PEM)')
    .option('--tls-key <file>', 'the private key of the certificate (PEM)')
    .option('--port <n>', 'port; 0 takes a free one', parsePort, 8080)
    .option('--metrics-port <n>', 'a port for /metrics and probes, without keys; 0 takes a free one', parsePort)
    .option('--api-key <key>', 'accept this key (repeatable; better: LINEAGE_API_KEY or --api-key-file)', collect, [])
    .option('--api-key-file <file>', 'accept the keys of this file, one a line')
    .option('--allow-host <name>', 'accept this Host name too; *.NAME all under it, * all (repeatable)', collect, [])
    .option('--allow-origin <origin>', 'let pages of this origin use the server (repeatable)', collect, [])
    .option('--insecure', 'bind other addresses without a key')
    .option('--parallel <n>', 'answers decoded at once', parseCount, 4)
    .option('--max-queue <n>', 'answers that may wait', parseCount, defaultLimits.queueLength)
    .option('--max-tokens <n>', 'most tokens of one answer', parseCount)
    .option('--alias <name>', 'answer to this name too; NAME=MODEL where several are served (repeatable)', collect, [])
    .option('--embeddings', 'the models are embedding models that pool the last token, whatever their files say')
    .option('--reranking', 'the models are reranking models of the kind of Qwen3-Reranker')
    .option('--manage-models', 'let requests download, copy and delete models (/api/pull, /api/copy, /api/delete)')
    .option('--path-prefix <path>', 'serve all paths under this one, e.g. /llm')
    .option('--memory <size>', 'memory for loaded models, e.g. 16GB', parseBytes)
    .option('--store <dir>', 'keep stored responses in this directory')
    .option('--slot-save-path <dir>', 'let requests save and restore conversations in this directory (/slots)')
    .option('--drain <seconds>', 'time for running answers after SIGTERM', parseCount, defaultLimits.drainMs / 1000)
    .option('--drain-delay <seconds>', 'time after SIGTERM in which /readyz fails and new work is still taken', parseWhole, 0)
    .option('--current-date <date>', 'tell the models this date (YYYY-MM-DD); it changes every prompt')
    .addOption(
      new Option('--reasoning-effort <level>', 'how much to think where a request says nothing of it').choices([
        'none',
        'low',
        'medium',
        'high',
      ]),
    )
    .option('--reasoning-budget <n>', 'most tokens of the thinking of one answer; 0: none', parseWhole)
    .option('--generic-tools', 'describe tools in the system message where the chat template of a model knows none')
    .option('--log <format>', 'text, json or none', 'text')
  addRunOptions(command)
    .addHelpText(
      'after',
      '\nExamples:\n  lineage serve\n  lineage serve openai/gpt-oss-20b --parallel 2 --context 32k\n  lineage serve Qwen/Qwen3-8B --adapter sql=loras/sql --adapter legal=loras/legal',
    )
    .action(serve)
}

async function serve(names: string[], options: Options): Promise<void> {
  const keys = apiKeys(options)
  if (!isLoopback(options.host) && keys.length === 0 && !options.insecure)
    throw new UsageError(`--host ${options.host} is reachable from other machines: set LINEAGE_API_KEY, or pass --insecure`)
  const limits: Limits = {
    ...defaultLimits,
    queueLength: options.maxQueue,
    drainMs: options.drain * 1000,
    outputTokens: options.maxTokens ?? defaultLimits.outputTokens,
    reasoningTokens: options.reasoningBudget || defaultLimits.reasoningTokens,
  }
  if (options.adapter && names.length > 1) throw new UsageError('--adapter: give one model, the base of the adapters')
  const models = (await Promise.all((names.length > 0 ? names : [EMBEDDED]).map((name) => servedEntries(name, options)))).flat()
  const named = withAliases(models, options.alias)
  const store = options.store ? await DirectoryStore.open(await nodeDirectory(options.store), limits) : undefined
  const log = logger(options.log)
  for (const name of store?.unreadable ?? [])
    log({ time: new Date().toISOString(), level: 'error', store: options.store, unreadable: name })
  const appOptions: AppOptions = {
    models: named,
    preload: [models[0]!.id],
    apiKeys: keys,
    prefix: pathPrefix(options.pathPrefix),
    thinking: options.reasoningEffort === 'none' || options.reasoningBudget === 0 ? false : options.reasoningEffort,
    slotFiles: options.slotSavePath === undefined ? undefined : await slotDirectory(options.slotSavePath),
    manager: options.manageModels ? cacheManager(options) : undefined,
    hosts: [...options.allowHost, hostname(), `${hostname().split('.')[0]}.local`, ...(isLoopback(options.host) ? [] : [options.host])],
    origins: options.allowOrigin,
    limits,
    log,
    version: version(),
    memoryBytes: options.memory,
    store,
    secret: process.env.LINEAGE_SECRET || undefined,
    currentDate: options.currentDate || undefined,
  }
  const { host, port, metricsPort } = options
  const listening = await listenAt(() => createApp(appOptions), { host, port, metricsPort, limits, tls: tlsFiles(options) })
  const base = `${listening.url}${appOptions.prefix ?? ''}/v1`
  process.stderr.write(`lineage: serving ${models.map(({ id }) => id).join(', ')} at ${base}\n`)
  if (listening.metricsUrl) process.stderr.write(`lineage: metrics at ${listening.metricsUrl}/metrics\n`)
  if (!isLoopback(options.host) && keys.length === 0)
    process.stderr.write('lineage: everyone who can reach this address can use the server (--insecure)\n')
  const failed = listening.app.ready.then(() => new Promise<never>(() => {}))
  try {
    await Promise.race([untilSignal(listening, options.drainDelay * 1000), failed])
  } catch (error) {
    await listening.close(0)
    throw error
  }
}

async function listenAt(make: () => App, options: ListenOptions): Promise<Listening> {
  try {
    return await listen(make, options)
  } catch (error) {
    const { code, port } = error as NodeJS.ErrnoException & { port?: number }
    if (code !== 'EADDRINUSE') throw error
    throw new Error(`another program listens on port ${port}; choose another one, or 0 for a free one`)
  }
}

/** Each alias belongs to the model that it names, or to the first one. */
function withAliases(models: readonly ModelEntry[], aliases: readonly string[]): ModelEntry[] {
  const given = aliases.map((alias) => {
    const [, name = alias, of] = /^([^=]+)=(.+)$/.exec(alias) ?? []
    const model = of === undefined ? models[0]! : models.find(({ id, aliases = [] }) => id === of || aliases.includes(of))
    if (!model) throw new UsageError(`--alias ${alias}: ${of} is not served; there are ${models.map(({ id }) => id).join(', ')}`)
    const taken = models.find(({ id }) => id === name)
    if (taken || name === '') throw new UsageError(`--alias ${alias}: ${taken ? 'a model has this name' : 'expected a name'}`)
    return { name, model }
  })
  return models.map((model) => ({ ...model, listedAliases: given.filter((each) => each.model === model).map(({ name }) => name) }))
}

function pathPrefix(path: string | undefined): string | undefined {
  if (path === undefined) return undefined
  if (!/^(\/[\w.~-]+)+\/?$/.test(path)) throw new UsageError(`--path-prefix ${path}: expected a path such as /llm`)
  return path.replace(/\/$/, '')
}

/** Resolves after SIGTERM or SIGINT, when all answers have ended. The second signal ends the process at once. */
function untilSignal(listening: Listening, delayMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false
    const stop = () => {
      if (stopping) process.exit(1)
      stopping = true
      process.stderr.write('lineage: finishing running answers\n')
      listening.close(undefined, delayMs).then(resolve, reject)
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}

function apiKeys({ apiKey, apiKeyFile }: Options): string[] {
  const inFile = apiKeyFile ? readOptionFile('--api-key-file', apiKeyFile).split('\n') : []
  const keys = [...apiKey, ...(process.env.LINEAGE_API_KEY ?? '').split(','), ...inFile]
    .map((key) => key.trim())
    .filter((key) => key !== '')
  if (apiKeyFile && keys.length === 0) throw new UsageError(`${apiKeyFile} contains no key; one key a line is expected`)
  return keys
}

function tlsFiles({ tlsCert, tlsKey }: Options): { cert: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) throw new UsageError('HTTPS needs both --tls-cert and --tls-key')
  return { cert: readFileSync(tlsCert, 'utf8'), key: readFileSync(tlsKey, 'utf8') }
}

/** Who cannot be reached from other machines. */
const isLoopback = (host: string) => isSocket(host) || host === 'localhost' || host === '::1' || /^127\./.test(host)

function logger(format: string): (line: LogLine) => void {
  if (format === 'none') return () => {}
  if (format === 'json') return (line) => process.stderr.write(`${JSON.stringify(line)}\n`)
  if (format !== 'text') throw new UsageError(`--log ${format}: expected text, json or none`)
  return ({ time, level, ...facts }) => {
    const fields = Object.entries(facts).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${JSON.stringify(value)}`]))
    process.stderr.write(`${time} ${level} ${fields.join(' ')}\n`)
  }
}

function version(): string {
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version
}
