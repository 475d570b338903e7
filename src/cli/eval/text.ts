/** `lineage eval --data`: loss, perplexity and bits per byte of a text, in windows as `lineage train` cuts them. */
import { replaceFile } from '../../files/output-node.ts'
import { promptIds } from '../../tokenizer/prompt.ts'
import { evaluationStarts } from '../../train/data/text.ts'
import { type BackendOptions, openModel, type RunOptions } from '../support/model.ts'
import { readOptionFile } from '../support/read-file.ts'
import { UsageError } from '../support/terminal.ts'

export interface TextOptions extends BackendOptions, Pick<RunOptions, 'adapter'> {
  heldOut?: number
  block?: number
  windows: number
  json?: string
}

export interface TextLoss {
  /** Nats per token. */
  loss: number
  perplexity: number
  bitsPerByte: number
  tokens: number
  block: number
}

export async function scoreText(directory: string, file: string, options: TextOptions): Promise<void> {
  const result = await textLoss(directory, file, options)
  process.stdout.write(
    `loss ${result.loss.toFixed(4)} nats per token  perplexity ${result.perplexity.toFixed(3)}  ${result.bitsPerByte.toFixed(4)} bits per byte  (${result.tokens} tokens, windows of ${result.block})\n`,
  )
  if (options.json) await replaceFile(options.json, `${JSON.stringify(result, null, 2)}\n`)
}

export async function textLoss(directory: string, file: string, options: TextOptions): Promise<TextLoss> {
  const model = await openModel(directory, { ...options, slots: 8, context: longContext(options.block) })
  try {
    const { tokenizer } = model
    // A model that was trained with a BOS reads badly without one, so every window begins with it.
    const all = Int32Array.from(promptIds(tokenizer, readOptionFile('--data', file), { special: false, bos: false }))
    const { prefix = [] } = tokenizer
    const ids = all.subarray(Math.floor(all.length * (1 - (options.heldOut ?? 1))))
    const { architecture } = model
    const block = options.block ?? Math.min(architecture.maxPositionEmbeddings, 1024)
    if (block > architecture.maxPositionEmbeddings)
      throw new UsageError(`--block ${block}: ${architecture.name} has a context of ${architecture.maxPositionEmbeddings} tokens`)
    if (prefix.length >= block) throw new UsageError(`--block ${block}: the tokenizer puts ${prefix.length} ids before every text`)
    if (ids.length < block + 1 - prefix.length)
      throw new UsageError(`${file}: ${ids.length} tokens are fewer than one window of ${block} needs; choose a shorter --block`)
    let loss = 0
    let rows = 0
    let bytes = 0
    const own = block + 1 - prefix.length
    const scores = evaluationStarts(ids.length, block, options.windows, prefix.length).map((start) =>
      model.engine.score([...prefix, ...ids.subarray(start, start + own)], { from: Math.max(1, prefix.length) }),
    )
    for (const window of await Promise.all(scores)) {
      rows += window.length
      for (const { id, logprob } of window) {
        loss -= logprob
        bytes += tokenizer.bytes(id).length
      }
    }
    return { loss: loss / rows, perplexity: Math.exp(loss / rows), bitsPerByte: loss / Math.LN2 / bytes, tokens: rows, block }
  } finally {
    await model.dispose()
  }
}

/** The context to reserve where the usual 8192 positions are too few. A wrong --block gets its error when the model is known. */
const longContext = (block = 0): number | undefined => (block > 8192 ? block : undefined)
