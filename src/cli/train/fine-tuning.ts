import { basename, resolve } from 'node:path'
import { fileFolder } from '../../checkpoint/source-node.ts'
import { readText } from '../../load-model.ts'
import { leaves, weightSpecs } from '../../model/weights.ts'
import { storedBytes } from '../../ops/dtype.ts'
import { size } from '../../ops/tensor.ts'
import { promptIds } from '../../tokenizer/prompt.ts'
import { conversationData, readConversations } from '../../train/data/conversations.ts'
import { textData } from '../../train/data/text.ts'
import { adapterParts, adapterSpecs, withoutBalance } from '../../train/low-rank.ts'
import { companionsOf, openStart, type Start } from '../../train/start-node.ts'
import { DEFAULT_SETTINGS, type TrainingData } from '../../train/trainer.ts'
import { modelDirectory } from '../support/model.ts'
import { readNonEmptyFile } from '../support/read-file.ts'
import { binary, short, UsageError } from '../support/terminal.ts'
import { changes, isConversations, type Options, type Prepared, quantised, shared } from './options.ts'

/** Tokens per window of a checkpoint, unless its context is shorter or --block asks for others. */
export const MOST_BLOCK = 512

/** A checkpoint further, on a text or on conversations. The data are those of `eval --held-out 0.1`. */
export async function fineTuning(options: Options): Promise<Prepared> {
  if (options.data === undefined) throw new UsageError('--data FILE is needed: a text, or conversations as .jsonl')
  if (options.tokenizer !== undefined) throw new UsageError('--tokenizer: with --from the tokenizer of the model is used')
  const text = readNonEmptyFile('--data', options.data)
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
    ...(await companionsOf(folder)),
    architecture: withoutBalance(architecture),
    saved: architecture,
    data,
    settings,
    ...(options.lora === undefined ? { start: start.fill } : { lowRank: lowRankOf(start, options) }),
    out: options.out ?? `runs/${basename(resolve(options.from!))}-tuned`,
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
    `${adapters.length} adapters of rank ${rank}, ${short(trained)} parameters; memory: base ${binary(bytes)}, adapters ${binary(4 * trained * (3 + options.threads))}, results up to ${binary(options.threads * options.memory * 2 ** 20)}\n`,
  )
  return {
    load: async (signal) => ({ base: await frozen({ signal }), adapters }),
    meta: { base: options.from!, alpha, rankStabilized },
  }
}

/** A gentle rate, and little decay: the weights are good already. */
export const FINE_TUNING = { ...DEFAULT_SETTINGS, learningRate: 5e-5, finalLearningRate: 5e-6, beta2: 0.999, weightDecay: 0.01 }

const LOW_RANK = { ...FINE_TUNING, learningRate: 2e-4, finalLearningRate: 2e-5, weightDecay: 0 }
