/**
 * `lineage train`: trains a small model of a step from GPT-2 to gpt-oss or of a config.json, the embedded model, or any checkpoint
 * further, on a text or on conversations.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Command, Option } from 'commander'
import type { Architecture } from '../architecture/architecture.ts'
import { configFromJson } from '../architecture/config-json.ts'
import { fileFolder } from '../checkpoint/source-node.ts'
import { account } from '../compare/account.ts'
import { closestNames } from '../json/names.ts'
import { parsePythonJson } from '../json/python.ts'
import { readText } from '../load-model.ts'
import { leaves, weightSpecs } from '../model/weights.ts'
import { MXFP4_BLOCK, storedBytes } from '../ops/dtype.ts'
import { size } from '../ops/tensor.ts'
import { byteTokenizerJson, characterTokenizerJson } from '../tokenizer/build.ts'
import { tokenizerFileNames, tokenizerFiles } from '../tokenizer/files.ts'
import { promptIds } from '../tokenizer/prompt.ts'
import { tokenizerFromJson } from '../tokenizer/tokenizer-json.ts'
import { trainBpe } from '../tokenizer/train-bpe.ts'
import {
  ABACUS_CHAT_TEMPLATE,
  ABACUS_GENERATION,
  ABACUS_SETTINGS,
  ABACUS_TOKENIZER_CONFIG,
  abacusArchitecture,
  abacusData,
} from '../train/abacus/recipe.ts'
import { conversationData, readConversations } from '../train/data/conversations.ts'
import { textData } from '../train/data/text.ts'
import { LiveLine } from '../train/live-line.ts'
import { adapterParts, adapterSpecs, DEFAULT_TARGETS, TARGETS, withoutBalance } from '../train/low-rank.ts'
import { claimRun } from '../train/run-directory-node.ts'
import { type RunOptions, trainingRun } from '../train/run-node.ts'
import type { TokenizerSource } from '../train/save-node.ts'
import { SMALL, type SmallSizes, smallModels, smallSideRoads } from '../train/small-models.ts'
import { companionsOf, openStart, type Start } from '../train/start-node.ts'
import { DEFAULT_SETTINGS, type LogRecord, type TrainingData } from '../train/trainer.ts'
import { interruptSignal, modelDirectory, parseCount, parseNumber } from './support/model.ts'
import { fit } from './support/progress.ts'
import { readOptionFile } from './support/read-file.ts'
import { short, UsageError } from './support/terminal.ts'

interface Options {
  data?: string
  from?: string
  tokenizer?: string
  out?: string
  fresh?: boolean
  resume?: boolean
  force?: boolean
  steps?: number
  batch: number
  block?: number
  accumulate: number
  rate?: number
  finalRate?: number
  warmup?: number
  decay?: number
  clip?: number
  dropout?: number
  evaluateEvery?: number
  saveEvery?: number
  patience?: number
  quantiseFrom?: number
  lora?: number
  loraAlpha?: number
  loraRs?: boolean
  loraOn: readonly string[]
  layers: number
  heads: number
  width: number
  seed: number
  threads: number
  memory: number
  inline?: boolean
}

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
    .option('--layers <n>', 'layers of a step', parseCount, SMALL.layers)
    .option('--heads <n>', 'query heads of a step', parseCount, SMALL.heads)
    .option('--width <n>', 'hidden size of a step', parseCount, SMALL.width)
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

/** Tokens per window of a checkpoint, unless its context is shorter or --block asks for others. */
const MOST_BLOCK = 512

async function run(what: string | undefined, options: Options): Promise<void> {
  if (options.lora !== undefined && options.from === undefined) throw new UsageError('--lora needs --from MODEL')
  if ((what === undefined) === (options.from === undefined))
    throw new UsageError('give WHAT to train, or --from MODEL to start from its weights')
  const plain = what === undefined ? await fineTuning(options) : what === 'abacus' ? abacusRun(options) : await textRun(what, options)
  const { total, activeWithEmbeddings: active } = account(plain.architecture, { context: 1 }).parameters
  const out = plain.out!
  await claimRun(out, options)
  process.stderr.write(
    `${plain.title}: ${short(total)} parameters${active < total ? `, ${short(active)} active` : ''}, ${plain.settings.steps} steps, run in ${out}\n`,
  )
  const live = new LiveLine(plain.settings.steps)
  let drawn = 0
  const log = (record: LogRecord) => {
    const line = live.update(record)
    const now = performance.now()
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${fit(line, process.stderr)}`)
    else if (record.kind === 'evaluation' || now - drawn > 10_000) {
      drawn = now
      process.stderr.write(`${line}\n`)
    }
  }
  const signal = interruptSignal()
  const result = await trainingRun({ ...plain, log, signal })
  if (process.stderr.isTTY) process.stderr.write('\n')
  const last = result.records.findLast((record) => record.kind === 'evaluation')
  if (last)
    process.stdout.write(
      `held-out loss ${last.loss.toFixed(4)} after ${result.progress.step} steps, ${Math.round(result.progress.seconds)} s\n`,
    )
  if (result.savedLoss !== null) process.stdout.write(`held-out loss of the saved model ${result.savedLoss.toFixed(4)}\n`)
  process.stdout.write(
    plain.lowRank
      ? `adapter in ${result.model}; use it with: lineage chat ${options.from} --adapter ${result.model}\n`
      : `model in ${result.model}\n`,
  )
  if (!signal.aborted || result.progress.step >= plain.settings.steps) return
  process.stdout.write(`stopped; continue with --resume --out ${out}\n`)
  process.exitCode = 130
}

type Prepared = Omit<RunOptions, 'log' | 'signal'>

function shared(options: Options): Pick<Prepared, 'resume' | 'shards' | 'threaded' | 'arenaMiB'> {
  return {
    resume: options.resume ?? false,
    shards: options.threads,
    threaded: !options.inline,
    arenaMiB: options.memory,
  }
}

function changes(options: Options): Partial<Prepared['settings']> {
  const { steps, rate, finalRate, warmup, decay, clip, evaluateEvery, saveEvery, patience, quantiseFrom, seed } = options
  const given = {
    steps,
    learningRate: rate,
    finalLearningRate: finalRate,
    warmup,
    weightDecay: decay,
    clip,
    evaluateEvery,
    saveEvery,
    patience,
    quantiseFrom,
    seed,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

function abacusRun(options: Options): Prepared {
  const settings = { ...ABACUS_SETTINGS, ...changes(options) }
  const data = abacusData(options.threads, settings.seed)
  const tokenizer = { json: data.tokenizerJson, config: ABACUS_TOKENIZER_CONFIG, chatTemplate: ABACUS_CHAT_TEMPLATE }
  return {
    ...shared(options),
    architecture: abacusArchitecture(),
    data,
    settings,
    out: options.out ?? 'runs/abacus',
    tokenizer,
    generation: ABACUS_GENERATION,
    title: 'abacus',
  }
}

async function textRun(what: string, options: Options): Promise<Prepared> {
  checkWhat(what)
  if (options.data === undefined) throw new UsageError('--data FILE is needed: the text to train on')
  if (isConversations(options.data)) throw new UsageError(`${options.data}: conversations need a model with a chat format: --from MODEL`)
  const text = readOptionFile('--data', options.data)
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

const isConversations = (file: string): boolean => file.endsWith('.jsonl')

/** A checkpoint further, on a text or on conversations. The data are those of `eval --held-out 0.1`. */
async function fineTuning(options: Options): Promise<Prepared> {
  if (options.data === undefined) throw new UsageError('--data FILE is needed: a text, or conversations as .jsonl')
  if (options.tokenizer !== undefined) throw new UsageError('--tokenizer: with --from the tokenizer of the model is used')
  const directory = await modelDirectory(options.from!)
  const folder = await fileFolder(directory)
  const start = await openStart(folder)
  const { dropout, steps = 500 } = options
  const all = dropout === undefined ? start.architecture.dropout : { embedding: dropout, attention: dropout, residual: dropout }
  const packs = start.architecture.expertDtype === 'mxfp4' && options.lora === undefined ? 1 : undefined
  const given: Options = { ...options, steps, quantiseFrom: options.quantiseFrom ?? packs }
  const architecture = quantised({ ...start.architecture, dropout: all }, given)
  const { tokenizer, format } = await readText(folder)
  const context = architecture.maxPositionEmbeddings
  const block = options.block ?? Math.min(context, MOST_BLOCK)
  if (block > context) throw new UsageError(`--block ${block}: ${architecture.name} has a context of ${context} tokens`)
  const rates = options.lora === undefined ? FINE_TUNING : LOW_RANK
  const settings = { ...rates, warmup: Math.ceil(steps / 20), evaluateEvery: Math.max(1, Math.round(steps / 8)), ...changes(given) }
  const sizes = { block, batch: options.batch, parts: options.threads * options.accumulate, seed: settings.seed }
  const text = readOptionFile('--data', options.data)
  let data: TrainingData
  if (isConversations(options.data)) {
    const conversations = conversationData(readConversations(text, basename(options.data)), format, tokenizer, sizes)
    const { training, heldOut, tooLong } = conversations.counts
    const left = tooLong > 0 ? `, ${tooLong} longer than --block ${block} left out` : ''
    process.stderr.write(`${training} sequences to learn from, ${heldOut} held out${left}\n`)
    data = conversations
  } else {
    const ids = Int32Array.from(promptIds(tokenizer, text, { special: false, bos: false }))
    data = textData(ids, { ...sizes, prefix: tokenizer.prefix })
  }
  return {
    ...shared(options),
    ...(await companionsOf(directory)),
    architecture: withoutBalance(architecture),
    saved: architecture,
    data,
    settings,
    ...(options.lora === undefined ? { start: start.fill } : { lowRank: lowRankOf(start, options) }),
    out: options.out ?? `runs/${basename(directory)}-tuned`,
    title: `${architecture.name} on ${basename(options.data)}`,
  }
}

/** The adapters of --lora, and the base that they stand beside. */
function lowRankOf({ architecture, frozen }: Start, options: Options): Prepared['lowRank'] {
  const { lora: rank = 1, loraAlpha: alpha = 2 * rank, loraRs: rankStabilized = false, loraOn: targets } = options
  if (options.quantiseFrom !== undefined) throw new UsageError('--quantise-from: with --lora the weights of the model stay as they are')
  const adapters = adapterSpecs(architecture, { rank, alpha, rankStabilized, targets })
  const trained = adapters.flatMap(adapterParts).reduce((sum, { shape }) => sum + size(shape), 0)
  const bytes = leaves(weightSpecs(architecture)).reduce((sum, { dtype, shape }) => sum + storedBytes(dtype, size(shape)), 0)
  process.stderr.write(
    `${adapters.length} adapters of rank ${rank}, ${short(trained)} parameters; memory: base ${mib(bytes)}, adapters ${mib(4 * trained * (3 + options.threads))}, results up to ${mib(options.threads * options.memory * 2 ** 20)}\n`,
  )
  return {
    load: async (signal) => ({ base: await frozen({ signal }), adapters }),
    meta: { base: options.from!, alpha, rankStabilized },
  }
}

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** For commander's argument parser. */
const parseNames = (text: string): string[] => text.split(',').map((name) => name.trim())

/** A gentle rate, and little decay: the weights are good already. */
const FINE_TUNING = { ...DEFAULT_SETTINGS, learningRate: 5e-5, finalLearningRate: 5e-6, beta2: 0.999, weightDecay: 0.01 }

const LOW_RANK = { ...FINE_TUNING, learningRate: 2e-4, finalLearningRate: 2e-5, weightDecay: 0 }

/** Experts that are read through MXFP4 in training are saved so, and every dtype of the saved model is one that files have. */
function quantised(architecture: Architecture, { quantiseFrom }: Options): Architecture {
  const dtype = ['f32', 'bf16', 'f16'].includes(architecture.dtype) ? architecture.dtype : 'bf16'
  const packed = architecture.expertDtype === 'mxfp4'
  if (quantiseFrom === undefined) return { ...architecture, dtype, expertDtype: packed ? 'mxfp4' : dtype }
  const experts = architecture.layers.flatMap(({ feedForward }) => (feedForward.kind === 'moe' ? [feedForward.intermediateSize] : []))
  if (experts.length === 0) throw new UsageError('--quantise-from: the model has no experts')
  if ([architecture.hiddenSize, ...experts].some((width) => width % MXFP4_BLOCK))
    throw new UsageError(`--quantise-from: MXFP4 needs widths in multiples of ${MXFP4_BLOCK}`)
  return { ...architecture, dtype, expertDtype: 'mxfp4' }
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
