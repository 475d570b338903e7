/**
 * `lineage train`: trains a small model of a step from GPT-2 to gpt-oss or of a config.json, the embedded model, or any checkpoint
 * further, on a text or on conversations.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Command, Option } from 'commander'
import type { Architecture } from '../architecture/architecture.ts'
import { configFromJson } from '../architecture/config-json.ts'
import { account } from '../compare/account.ts'
import { closestNames } from '../json/names.ts'
import { parsePythonJson } from '../json/python.ts'
import { byteTokenizerJson, characterTokenizerJson } from '../tokenizer/build.ts'
import { tokenizerFileNames, tokenizerFiles } from '../tokenizer/files.ts'
import { promptIds } from '../tokenizer/prompt.ts'
import { tokenizerFromJson } from '../tokenizer/tokenizer-json.ts'
import { trainBpe } from '../tokenizer/train-bpe.ts'
import { trainAbacus } from '../train/abacus/run-node.ts'
import { textData } from '../train/data/text.ts'
import { LiveLine } from '../train/live-line.ts'
import { DEFAULT_TARGETS, TARGETS } from '../train/low-rank.ts'
import { REINFORCE } from '../train/reinforce.ts'
import { claimRun } from '../train/run-directory-node.ts'
import { trainingRun } from '../train/run-node.ts'
import type { TokenizerSource } from '../train/save-node.ts'
import { SMALL, type SmallSizes, smallModels, smallSideRoads } from '../train/small-models.ts'
import { DEFAULT_SETTINGS, type LogRecord } from '../train/trainer.ts'
import { interruptSignal, parseCount, parseNumber } from './support/model.ts'
import { fit } from './support/progress.ts'
import { readNonEmptyFile } from './support/read-file.ts'
import { short, UsageError } from './support/terminal.ts'
import { reinforcing, withTeacher } from './train/answers.ts'
import { fineTuning, MOST_BLOCK } from './train/fine-tuning.ts'
import { changes, isConversations, type Options, type Prepared, quantised, refuseWithoutEffect, shared } from './train/options.ts'

export function register(program: Command): void {
  program
    .command('train')
    .description(
      `Trains a model on this machine and saves it in the published layout, or in a general one where no published family can say what the model is.\n\nWHAT is a step from GPT-2 to gpt-oss (${stepNames().join(', ')}), the path of a config.json, or abacus for the embedded model by its recipe.`,
    )
    .argument('[what]', 'a step, a config.json, or abacus')
    .option('--from <model>', 'start from the weights of this checkpoint instead: fine-tuning')
    .option('--data <file>', 'text to train on, or conversations (.jsonl); the last tenth is held out')
    .option(
      '--tokenizer <kind>',
      'char, byte, bpe:SIZE (learned from the text), or a directory with tokenizer files (default: char; with --from that of the model)',
    )
    .option('--out <directory>', 'where the run goes (default: runs/WHAT)')
    .option('--fresh', 'train WHAT from random weights although it is a directory that holds weights')
    .option('--force', 'begin anew and replace the run in --out')
    .option('--resume', 'continue the run in --out exactly where its last state was saved')
    .option('--steps <n>', 'optimiser steps', parseCount)
    .option('--batch <n>', 'windows per step', parseCount, 12)
    .option('--block <tokens>', `tokens per window (default: ${SMALL.block}; with --from the context, at most ${MOST_BLOCK})`, parseCount)
    .option('--accumulate <n>', 'parts into which a step is cut to save memory', parseCount, 1)
    .option('--rate <x>', 'highest learning rate', parseNumber)
    .option('--final-rate <x>', 'learning rate at the end of the cosine', parseNumber)
    .option('--warmup <n>', 'steps of linear warm-up', parseCount)
    .option('--decay <x>', 'weight decay of matrices', parseNumber)
    .option('--clip <x>', 'largest gradient norm', parseNumber)
    .option('--dropout <p>', 'dropout of the step gpt2 (later steps have none)', parseNumber)
    .option('--evaluate-every <n>', 'steps between evaluations', parseCount)
    .option('--save-every <n>', 'steps between saved states', parseCount)
    .option('--patience <n>', 'stop after this many evaluations without a better loss, keep the best', parseCount)
    .option('--quantise-from <step>', 'from this step on read experts through MXFP4', parseCount)
    .option('--lora <rank>', 'with --from: train a LoRA adapter of this rank beside the weights, which stay as published', parseCount)
    .option('--lora-alpha <x>', 'its factor is alpha / rank (default: twice the rank)', parseNumber)
    .option('--lora-rs', 'rank-stabilized: the factor is alpha / sqrt(rank)')
    .option('--lora-on <names>', `matrices with an adapter: some of ${TARGETS.join(', ')}`, parseNames, DEFAULT_TARGETS)
    .option('--reinforce <file>', 'with --from: learn from own answers to the questions of this file, checked against its answers')
    .option('--group <n>', `answers to each question, rewarded against one another (default: ${REINFORCE.group})`, parseCount)
    .option('--prompts <n>', `questions of a round (default: ${REINFORCE.prompts})`, parseCount)
    .option('--updates <n>', `steps on the answers of a round (default: ${REINFORCE.updates})`, parseCount)
    .option('--clip-ratio <x>', `how far one round may change a probability (default: ${REINFORCE.clip})`, parseNumber)
    .option('--kl <x>', `weight of the divergence from the start (default: ${REINFORCE.kl})`, parseNumber)
    .option('--length-price <x>', 'taken from the reward, which is 1 for a right answer, per 100 tokens (default: 0)', parseNumber)
    .option('--temperature <t>', 'of the answers that are drawn (default: 1)', parseNumber)
    .option('--answer-tokens <n>', `most tokens of an answer that is drawn (default: ${REINFORCE.maxTokens})`, parseCount)
    .option('--distill <teacher>', 'learn the distribution of this model, which has the same tokenizer, instead of the tokens alone')
    .option('--distill-share <x>', 'share of the teacher in the loss; the rest is that of the tokens (default: 1)', parseNumber)
    .option('--on-policy', 'with --distill: on what the student writes after the questions of --data')
    .option('--layers <n>', 'layers of a step', parseCount, SMALL.layers)
    .option('--heads <n>', 'query heads of a step', parseCount, SMALL.heads)
    .option('--width <n>', 'hidden size of a step', parseCount, SMALL.width)
    .option('--scale <x>', 'of abacus: factor on the steps of every stage', parseNumber)
    .option('--seed <n>', 'same seed, same weights, bit for bit', parseNumber, 1)
    .option('--threads <n>', 'shards of a step, one thread each; part of what a seed reproduces', parseCount, 2)
    .option('--memory <MiB>', 'results one thread may hold', parseCount, 384)
    .addOption(new Option('--inline', 'all shards in one thread').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  lineage train gpt2 --data shakespeare.txt --dropout 0 --steps 2000\n  lineage train mxfp4 --data shakespeare.txt\n  lineage train --from Qwen/Qwen3-0.6B --data conversations.jsonl --steps 200\n  lineage train abacus',
    )
    .action(run)
}

const stepModels = (sizes: SmallSizes) => [...smallModels(sizes), ...smallSideRoads(sizes)]
const stepNames = (): string[] => stepModels({ ...SMALL, vocabSize: 65 }).map(({ name }) => name)

async function run(what: string | undefined, options: Options, command: Command): Promise<void> {
  if (options.lora !== undefined && options.from === undefined) throw new UsageError('--lora needs --from MODEL')
  if ((what === undefined) === (options.from === undefined))
    throw new UsageError('give WHAT to train, or --from MODEL to start from its weights')
  if (options.reinforce !== undefined && (options.from === undefined || options.data !== undefined || options.distill !== undefined))
    throw new UsageError('--reinforce FILE needs --from MODEL, and takes neither --data nor --distill')
  if (what !== undefined && what !== 'abacus') checkWhat(what)
  refuseWithoutEffect(command, options, what === 'abacus' ? 'abacus' : stepNames().includes(what ?? '') ? 'step' : 'other')
  if (what === 'abacus') return abacus(options)
  const prepared =
    what !== undefined
      ? await textRun(what, options)
      : options.reinforce === undefined
        ? await fineTuning(options)
        : await reinforcing(options)
  const plain = options.distill === undefined ? prepared : await withTeacher(prepared, options)
  const { total, activeWithEmbeddings: active } = account(plain.architecture, { context: 1 }).parameters
  const out = plain.out!
  await claimRun(out, options)
  process.stderr.write(
    `${plain.title}: ${short(total)} parameters${active < total ? `, ${short(active)} active` : ''}, ${plain.settings.steps} steps, run in ${out}\n`,
  )
  const log = progressLog(plain.settings.steps)
  const signal = interruptSignal()
  const result = await trainingRun({ ...plain, log, signal }).catch((error) => {
    if (error !== signal.reason) throw error
  })
  if (!result) {
    process.stdout.write('stopped before the first step\n')
    process.exitCode = 130
    return
  }
  if (process.stderr.isTTY) process.stderr.write('\n')
  const last = result.records.findLast((record) => record.kind === 'evaluation')
  if (last)
    process.stdout.write(
      `held-out loss ${last.loss.toFixed(4)} after ${last.step} steps; ${result.progress.step} steps in ${Math.round(result.progress.seconds)} s\n`,
    )
  if (result.savedLoss !== null) process.stdout.write(`held-out loss of the saved model ${result.savedLoss.toFixed(4)}\n`)
  process.stdout.write(
    plain.lowRank
      ? `adapter in ${result.model}; use it with: lineage chat ${options.from} --adapter ${result.model}\n`
      : `model in ${result.model}\n`,
  )
  const { step, evaluated } = result.progress
  if (!signal.aborted || (step >= plain.settings.steps && evaluated === step)) return
  process.stdout.write(`stopped; continue with --resume --out ${out}\n`)
  process.exitCode = 130
}

/** Shows the progress of a run of so many steps on standard error. */
function progressLog(steps: number): (record: LogRecord) => void {
  const live = new LiveLine(steps)
  let drawn = 0
  return (record) => {
    const line = live.update(record)
    const now = performance.now()
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${fit(line, process.stderr)}`)
    else if (record.kind === 'evaluation' || now - drawn > 10_000) {
      drawn = now
      process.stderr.write(`${line}\n`)
    }
  }
}

/** The embedded model by its recipe. */
async function abacus(options: Options): Promise<void> {
  const fixed = Object.entries(changes({ ...options, seed: undefined })).map(([name]) => name)
  if (fixed.length > 0)
    throw new UsageError(`abacus is trained by its recipe, which sets ${fixed.join(', ')}; --scale shortens all of its stages`)
  const { out = 'runs/abacus', scale = 1, seed, resume, force } = options
  let log: (record: LogRecord) => void = () => {}
  const signal = interruptSignal()
  const { shards, threaded, arenaMiB } = shared(options)
  const model = await trainAbacus({
    ...{ out, scale, seed, resume, force, signal, shards, threaded, arenaMiB },
    log: (record) => log(record),
    onStage(stage, steps, directory) {
      if (process.stderr.isTTY) process.stderr.write('\n')
      process.stderr.write(`${stage}: ${steps} steps, run in ${directory}\n`)
      log = progressLog(steps)
    },
  })
  process.stdout.write(model === null ? `\nstopped; continue with: lineage train abacus --resume --out ${out}\n` : `\nmodel in ${model}\n`)
  if (model === null) process.exitCode = 130
}

/** For commander's argument parser. */
const parseNames = (text: string): string[] => text.split(',').map((name) => name.trim())

async function textRun(what: string, options: Options): Promise<Prepared> {
  if (options.data === undefined) throw new UsageError('--data FILE is needed: the text to train on')
  if (isConversations(options.data)) throw new UsageError(`${options.data}: conversations need a model with a chat format: --from MODEL`)
  const text = readNonEmptyFile('--data', options.data)
  const { block = SMALL.block } = options
  const { source, ids, vocabSize, prefix } = await tokenize(options.tokenizer ?? 'char', text)
  const architecture = quantised(chooseArchitecture(what, { ...options, block }, vocabSize), options)
  const steps = options.steps ?? DEFAULT_SETTINGS.steps
  const settings = { ...DEFAULT_SETTINGS, evaluateEvery: Math.max(1, Math.round(steps / 8)), ...changes(options) }
  const data = textData(ids, {
    block,
    batch: options.batch,
    parts: options.threads * options.accumulate,
    seed: settings.seed,
    prefix,
  })
  return {
    ...shared(options),
    architecture,
    data,
    settings,
    out: options.out ?? `runs/${basename(what, '.json')}`,
    tokenizer: source,
    title: `${architecture.name} on ${basename(options.data)}`,
  }
}

interface Tokenized {
  source: TokenizerSource
  ids: Int32Array
  vocabSize: number
  prefix?: readonly number[]
}

async function tokenize(kind: string, text: string): Promise<Tokenized> {
  if (kind === 'char' || kind === 'byte') {
    const json = kind === 'char' ? characterTokenizerJson(text) : byteTokenizerJson([])
    const tokenizer = tokenizerFromJson(json, `the ${kind} tokenizer`)
    return { source: { json }, ids: Int32Array.from(tokenizer.encode(text)), vocabSize: tokenizer.vocabSize }
  }
  const size = /^bpe:(\d+)$/.exec(kind)?.[1]
  if (size !== undefined) {
    // Nothing is learned from the part that is held out.
    const json = trainBpe(text.slice(0, Math.floor(0.9 * text.length)), Number(size))
    const tokenizer = tokenizerFromJson(json, 'the bpe tokenizer')
    return { source: { json }, ids: Int32Array.from(tokenizer.encode(text)), vocabSize: tokenizer.vocabSize }
  }
  if (!existsSync(kind) || !statSync(kind).isDirectory())
    throw new UsageError(`--tokenizer: expected char, byte, bpe:SIZE or a directory, got ${kind}`)
  const read = async (name: string) => (existsSync(join(kind, name)) ? readFileSync(join(kind, name)) : undefined)
  const tokenizer = await tokenizerFiles(read)
  const copies = tokenizerFileNames.map((name) => join(kind, name)).filter((path) => existsSync(path))
  const ids = Int32Array.from(promptIds(tokenizer, text, { special: false, bos: false }))
  return { source: { json: null, copies }, ids, vocabSize: tokenizer.vocabSize, prefix: tokenizer.prefix }
}

/** @throws UsageError when it is neither a step nor there */
function checkWhat(what: string): void {
  if (stepNames().includes(what) || existsSync(what)) return
  const [closest] = closestNames(what, [...stepNames(), 'abacus'], 1)
  throw new UsageError(`unknown step "${what}": expected one of ${stepNames().join(', ')}, a config.json, or abacus; closest: ${closest}`)
}

function chooseArchitecture(what: string, options: Options & { block: number }, vocabSize: number): Architecture {
  const { layers, heads, width, block, dropout = SMALL.dropout } = options
  const model = stepModels({ vocabSize, block, layers, heads, width, dropout }).find(({ name }) => name === what)
  if (model) return model.architecture
  const isDirectory = statSync(what).isDirectory()
  if (isDirectory && !options.fresh && readdirSync(what).some((name) => name.endsWith('.safetensors')))
    throw new UsageError(
      `${what} holds the weights of a model: --from ${what} trains them further, --fresh trains its configuration from random weights`,
    )
  const path = isDirectory ? join(what, 'config.json') : what
  const architecture = configFromJson(parsePythonJson(readFileSync(path, 'utf8')), path)
  if (architecture.vocabSize < vocabSize)
    throw new UsageError(`${path}: vocab_size is ${architecture.vocabSize}, the tokenizer has ${vocabSize} ids`)
  if (architecture.maxPositionEmbeddings < block)
    throw new UsageError(`${path}: the context is ${architecture.maxPositionEmbeddings} tokens, --block asks for ${block}`)
  return architecture
}
