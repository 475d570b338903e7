/** `lineage logits`: the logits after every id of a prompt, as a safetensors file, to compare with another engine. */
import type { Command } from 'commander'
import { writeSafetensors } from '../checkpoint/write-node.ts'
import { readLogits } from '../engine/read-logits.ts'
import { claimFile } from '../files/output-node.ts'
import type { IdsModel } from '../load-model-node.ts'
import { cacheSpec } from '../model/cache-spec.ts'
import {
  addAdapterOption,
  addBackendOptions,
  type BackendOptions,
  interruptSignal,
  openIds,
  parseIds,
  type RunOptions,
} from './support/model.ts'

interface Options extends BackendOptions, Pick<RunOptions, 'adapter'> {
  ids: number[]
  out: string
  force?: boolean
}

/** Rows per pass. Their logits take 51 MB at a vocabulary of 200,000. */
const ROWS = 64
/** A safetensors file with the one tensor `logits`. */
const OWN_LOGITS = /^.{1,8}\{("__metadata__":\{[^}]*\},)?"logits":\{[^}]*\}\s*\}/s

export function register(program: Command): void {
  const command = program
    .command('logits')
    .description('Writes the logits after every id of a prompt: tensor `logits` [T, V] in f32, T ids, V the vocabulary.')
    .argument('<model>', 'directory of a checkpoint')
    .requiredOption('--ids <ids>', 'the prompt, such as "1 2 3"', parseIds)
    .requiredOption('--out <file>', 'safetensors file to write')
    .option('--force', 'replace a file of another origin that is there')
  addAdapterOption(addBackendOptions(command))
    .addHelpText('after', '\nExample:\n  lineage logits models/synth-20b --ids "1 2 3" --out logits.safetensors')
    .action(logits)
}

async function logits(name: string, options: Options): Promise<void> {
  const { ids, out } = options
  await claimFile(out, { force: options.force, own: OWN_LOGITS })
  const signal = interruptSignal()
  const model = await openIds(name, { ...options, context: Math.max(2, ids.length), slots: 1, chunk: ROWS, signal })
  try {
    const { vocabSize } = model.architecture
    const wrong = ids.find((id) => id >= vocabSize)
    if (wrong !== undefined) throw new RangeError(`--ids: ${wrong} is not below the vocabulary of ${vocabSize}`)
    const shape = [ids.length, vocabSize]
    await writeSafetensors(out, [{ name: 'logits', dtype: 'F32', shape, bytes: () => rows(model, ids) }], { signal })
    process.stderr.write(`${out}: logits [${shape.join(', ')}] by ${model.backend.name}\n`)
  } finally {
    await model.dispose()
  }
}

/** The bytes of the tensor, a few rows at a time. */
async function* rows(model: IdsModel, ids: readonly number[]): AsyncGenerator<Uint8Array> {
  const cache = await model.backend.cache(cacheSpec(model.architecture, 1, ids.length, ROWS))
  try {
    for (let at = 0; at < ids.length; at += ROWS) {
      const piece = Int32Array.from(ids.slice(at, at + ROWS))
      const batch = { ids: piece, slots: new Int32Array(piece.length), positions: piece.map((_, t) => at + t) }
      const values = await readLogits(model, batch, { cache }) // [T, V]
      yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    }
  } finally {
    cache.dispose()
  }
}
