/** `lineage pull`: downloads a published model from the hub into the cache that it shares with Python's tools. */
import type { Command } from 'commander'
import { findPreset, nearestNames, unpublished } from '../architecture/presets.ts'
import type { Folder } from '../checkpoint/source.ts'
import { type PullOptions, pull } from '../hub/hub-node.ts'
import { checkModel } from '../load-model.ts'
import { machineMemory } from './support/inspect-report.ts'
import { pullProgress } from './support/pull-progress.ts'
import { binary, UsageError } from './support/terminal.ts'

export function register(program: Command): void {
  program
    .command('pull')
    .description(
      'Downloads what is needed to run a model into the cache that Python tools share (HF_HOME, HF_HUB_CACHE).\nInterrupted at any moment and run again, it continues; every file is verified. Whether the model can be loaded is known before the first weight is fetched.',
    )
    .argument('<id>', 'model id on the hub, with :QUANT for a GGUF file of it, or the name of a published model')
    .option('--revision <revision>', 'branch, tag or commit', 'main')
    .option('--connections <n>', 'transfers at once (1 to 64)', '8')
    .option('--verify', 'compare the hash of every file that is there already, and fetch damaged ones again')
    .option('--anyway', 'download also a model that this version cannot load')
    .addHelpText(
      'after',
      '\nEnvironment: HF_TOKEN for private and gated models, HF_ENDPOINT for a mirror, HF_HUB_OFFLINE=1 to use what is there,\nHTTPS_PROXY, HTTP_PROXY and NO_PROXY for a proxy, HF_HOME or HF_HUB_CACHE for the place of the cache.\n\nExamples:\n  lineage pull openai/gpt-oss-20b\n  lineage pull Qwen3-0.6B\n  lineage pull hf.co/ggml-org/gpt-oss-20b-GGUF\n  lineage pull Qwen/Qwen3-8B-GGUF:Q4_K_M\n  HF_ENDPOINT=https://mirror.example lineage pull openai-community/gpt2',
    )
    .action(
      async (name: string, options: { revision: string; connections: string; verify?: boolean; anyway?: boolean }, command: Command) => {
        const connections = Number(options.connections)
        if (!Number.isInteger(connections) || connections < 1 || connections > 64) {
          command.error(`--connections: expected a whole number from 1 to 64, got ${options.connections}`)
        }
        const never = unpublished(name)
        if (never) throw new UsageError(never)
        const id = name.includes('/') ? name : findPreset(name)?.repositories[0]
        if (id === undefined)
          throw new UsageError(
            `unknown model "${name}"; closest: ${nearestNames(name).join(', ')}. Others are pulled by their id on the hub (ORG/NAME).`,
          )
        process.stdout.write(`${await pullModel(id, { ...options, connections })}\n`)
      },
    )
}

/** Pulls a model with progress on standard error and returns its directory. Ctrl-C aborts it cleanly. */
export async function pullModel(
  id: string,
  options: Pick<PullOptions, 'revision' | 'connections' | 'verify' | 'anyway'> = {},
): Promise<string> {
  const progress = pullProgress(process.stderr, id)
  const stop = new AbortController()
  const interrupt = () => stop.abort(new Error(`interrupted; run "lineage pull ${id}" again to continue`))
  process.once('SIGINT', interrupt)
  try {
    let isJudged = false
    const check = async (folder: Folder) => {
      const weightBytes = await checkModel(folder)
      if (!isJudged && weightBytes > machineMemory())
        process.stderr.write(`${id}: its weights take ${binary(weightBytes)}, this machine has ${binary(machineMemory())} of memory\n`)
      isJudged = true
    }
    const result = await pull(id, { ...options, check, signal: stop.signal, onEvent: progress.onEvent })
    const { directory, downloadedBytes, totalBytes, problem } = result
    progress.end()
    const news = downloadedBytes > 0 ? `${binary(downloadedBytes)} of ${binary(totalBytes)} downloaded and verified` : 'all of it was there'
    process.stderr.write(`${id}: ${news}\n`)
    if (problem) process.stderr.write(`${id}: downloaded, but this version cannot load it: ${problem.message}\n`)
    return directory
  } finally {
    progress.end()
    process.off('SIGINT', interrupt)
  }
}
