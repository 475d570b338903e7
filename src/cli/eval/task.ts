/** `lineage eval --task`: a task on a model of this machine or behind a URL, with results that survive an interruption. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Effort } from '../../chat/messages.ts'
import { fileFolder } from '../../checkpoint/source-node.ts'
import { loadTask, readData } from '../../evaluate/data-node.ts'
import { type EvaluateOptions, type Evaluation, evaluate, isAsked } from '../../evaluate/evaluate.ts'
import { localSubject } from '../../evaluate/local-subject.ts'
import type { DataFile } from '../../evaluate/records.ts'
import { remoteSubject } from '../../evaluate/remote-subject.ts'
import { openResults } from '../../evaluate/results-node.ts'
import { commandSandbox } from '../../evaluate/sandbox-node.ts'
import type { Subject } from '../../evaluate/subject.ts'
import type { Task } from '../../evaluate/task.ts'
import { claimFile, replaceFile } from '../../files/output-node.ts'
import { readTokenizer } from '../../load-model.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { type BackendOptions, interruptSignal, modelDirectory, openModel, type RunOptions } from '../support/model.ts'
import { painter, UsageError } from '../support/terminal.ts'
import { progressLine, reportText, taskChart } from './task-report.ts'

export interface TaskOptions extends BackendOptions, Pick<RunOptions, 'adapter' | 'context'> {
  task?: string
  data?: string[]
  shotsData?: string[]
  shots?: number
  limit?: number
  out?: string
  effort?: Effort[]
  repeats?: number
  maxTokens?: number
  temperature?: number
  topP?: number
  parallel?: number
  url?: string
  tokenizer?: string
  apiKeyFile?: string
  grader?: string
  graderModel?: string
  sandbox?: string
  sandboxSeconds?: number
  export?: string
  svg?: string
  json?: string
  force?: boolean
  seed: number
}

const DEFAULT_PARALLEL = 8

export async function runTask(model: string, name: string, options: TaskOptions): Promise<void> {
  const task = withShots(await loadTask(name), options.shots)
  checkUsage(task, options)
  if (options.export) await claimFile(options.export, { force: options.force, own: /^\{"task_id":/ })
  const data = await readAll(options.data ?? task.data, `the task ${task.name} needs its data: name the file with --data`)
  const shots = 'shots' in task && task.shots ? await readAll(options.shotsData ?? task.shots.data, '') : []
  const items: EvaluateOptions = { data, shots, limit: options.limit, seed: options.seed }
  const results = options.out ? await openResults(options.out, headOf(model, task, items, options), options) : undefined
  const signal = interruptSignal()
  const { subject, dispose } = await subjectOf(model, options)
  const line = progressLine(process.stderr, task.name)
  try {
    const evaluation = await evaluate(task, subject, {
      ...items,
      efforts: options.effort,
      repeats: options.repeats,
      maxTokens: options.maxTokens,
      temperature: options.temperature,
      topP: options.topP,
      parallel: options.parallel,
      grader: graderOf(options),
      sandbox: options.sandbox ? commandSandbox(options.sandbox, 1000 * (options.sandboxSeconds ?? 30)) : undefined,
      earlier: results?.earlier,
      signal,
      async onOutcome(outcome, progress) {
        await results?.append(outcome)
        line.update(progress)
      },
    })
    line.end()
    await report(task, subject, evaluation, options)
    // A run in which nothing could be asked is no measurement.
    if (evaluation.outcomes.length > 0 && evaluation.outcomes.every(({ error }) => error !== undefined)) process.exitCode = 1
    if (evaluation.interrupted === undefined) return
    if (!signal.aborted) throw evaluation.interrupted
    process.exitCode = 130
  } finally {
    line.end()
    await dispose()
    await results?.close()
  }
}

function withShots(task: Task, count: number | undefined): Task {
  if (count === undefined) return task
  if (!('prompt' in task)) throw new UsageError(`--shots: a task of the kind "${task.kind}" has no prompt for solved examples`)
  if (count === 0) return { ...task, shots: undefined }
  const { data = [], separator = '\n\n', match } = task.shots ?? {}
  return { ...task, shots: { data, separator, match, count } }
}

function checkUsage(task: Task, options: TaskOptions): void {
  const asked = ['effort', 'repeats', 'maxTokens', 'temperature', 'topP', 'svg', 'export'] as const
  const given = asked.find((key) => options[key] !== undefined)
  if (given && !isAsked(task))
    throw new UsageError(
      `--${given.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}: a task of the kind "${task.kind}" generates no answers`,
    )
  if (options.sandbox && task.kind !== 'code') throw new UsageError(`--sandbox: a task of the kind "${task.kind}" has no programs`)
  if ((options.grader || options.graderModel) && task.kind !== 'rubric')
    throw new UsageError(`--grader: a task of the kind "${task.kind}" has no rubrics`)
  if (!options.grader !== !options.graderModel) throw new UsageError('--grader URL and --grader-model NAME belong together')
  if (!options.url && (options.tokenizer || options.apiKeyFile)) throw new UsageError('--tokenizer and --api-key-file belong to --url')
  if (options.url && options.adapter) throw new UsageError('--adapter: with --url the server chooses; name the adapter as the model')
}

async function readAll(files: readonly string[], missing: string): Promise<DataFile[]> {
  if (files.length === 0 && missing) throw new UsageError(missing)
  return Promise.all(files.map(readData))
}

async function subjectOf(model: string, options: TaskOptions): Promise<{ subject: Subject; dispose: () => Promise<void> }> {
  const { url, parallel = DEFAULT_PARALLEL } = options
  if (url) {
    const tokenizer = options.tokenizer ? await tokenizerIn(options.tokenizer) : undefined
    const subject = remoteSubject({ url, model, parallel, tokenizer, context: options.context, apiKey: keyOf(options) })
    return { subject, dispose: async () => {} }
  }
  const loaded = await openModel(await modelDirectory(model), { ...options, slots: parallel })
  return { subject: localSubject(loaded, model), dispose: () => loaded.dispose() }
}

const tokenizerIn = async (directory: string): Promise<Tokenizer> => readTokenizer(await fileFolder(directory))

const keyOf = ({ apiKeyFile }: TaskOptions): string | undefined =>
  (apiKeyFile ? readFileSync(apiKeyFile, 'utf8').trim() : process.env.OPENAI_API_KEY) || undefined

function graderOf(options: TaskOptions): Subject | undefined {
  const { grader, graderModel, parallel } = options
  return grader && graderModel ? remoteSubject({ url: grader, model: graderModel, parallel, apiKey: keyOf(options) }) : undefined
}

/** What two runs must have in common so that one goes on with the outcomes of the other. Efforts, repeats and the limit may grow. */
function headOf(model: string, task: Task, { data, shots = [], seed }: EvaluateOptions, options: TaskOptions) {
  const files = (some: readonly DataFile[]) =>
    Object.fromEntries(some.map(({ name, text }) => [basename(name), createHash('sha256').update(text).digest('hex')]))
  const { maxTokens, temperature, topP, url, adapter, precision, context, grader, graderModel, sandbox } = options
  return {
    task: task.name,
    description: task.source,
    model,
    url,
    adapter,
    precision: url ? undefined : precision,
    context,
    data: files(data),
    shots: 'shots' in task && task.shots ? { ...task.shots, data: files(shots) } : undefined,
    seed: isAsked(task) ? seed : undefined,
    maxTokens,
    temperature,
    topP,
    grader: grader && `${graderModel} at ${grader}`,
    sandbox,
  }
}

async function report(task: Task, subject: Subject, evaluation: Evaluation, options: TaskOptions): Promise<void> {
  const { outcomes, summaries, total, interrupted } = evaluation
  process.stdout.write(reportText(task, subject.name, evaluation, painter(), options.out))
  if (outcomes.length === 0) return
  if (options.json) {
    const { kind, name } = task
    const all = { task: name, kind, model: subject.name, complete: interrupted === undefined, done: outcomes.length, total, summaries }
    await replaceFile(options.json, `${JSON.stringify(all, null, 2)}\n`)
  }
  if (options.svg) await replaceFile(options.svg, taskChart(task.name, subject.name, summaries))
  if (options.export) {
    const lines = outcomes
      .filter(({ error }) => error === undefined)
      .map(({ id, completion, text, effort, repeat }) => JSON.stringify({ task_id: id, completion: completion ?? text, effort, repeat }))
    await replaceFile(options.export, lines.map((line) => `${line}\n`).join(''))
  }
}
