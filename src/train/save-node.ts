/**
 * A trained model as a checkpoint directory: config.json, model.safetensors, generation_config.json and the tokenizer's files.
 * The directory appears as a whole: all files are written beside it and renamed together.
 */
import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { packMxfp4 } from '../checkpoint/quantize.ts'
import { saveCheckpoint } from '../checkpoint/save-node.ts'
import { writeDirectoryAtomically, writeFileAtomically } from '../files/write-node.ts'
import type { WeightSpec } from '../ops/backend.ts'
import { fromBf16, MXFP4_BLOCK, MXFP4_BLOCK_BYTES, toBf16, unpackMxfp4Block } from '../ops/dtype.ts'
import { byName, type ParameterLayout } from './parameters.ts'

export interface TokenizerSource {
  /** tokenizer.json as an object; null where other files are given. */
  json: object | null
  /** Further fields of tokenizer_config.json. */
  config?: Record<string, unknown>
  /** Text of chat_template.jinja. */
  chatTemplate?: string
  /** Files to copy as they are. */
  copies?: readonly string[]
  /** Further files by name. */
  files?: Readonly<Record<string, string>>
}

/** Writes the directory; the weights are cut from the flat array. `architecture`: a form that can be saved (`writableForm`). */
export async function saveModel(
  directory: string,
  architecture: Architecture,
  layout: ParameterLayout,
  values: Float32Array,
  tokenizer: TokenizerSource,
  generation: Record<string, unknown> = {},
): Promise<void> {
  const places = byName(layout)
  await writeDirectoryAtomically(directory, async (temporary) => {
    const write = (name: string, content: object) => writeFileAtomically(join(temporary, name), `${JSON.stringify(content, null, 2)}\n`)
    if (tokenizer.json) {
      await writeFileAtomically(join(temporary, 'tokenizer.json'), `${JSON.stringify(tokenizer.json)}\n`)
      await write('tokenizer_config.json', {
        tokenizer_class: 'PreTrainedTokenizerFast',
        model_max_length: architecture.maxPositionEmbeddings,
        ...tokenizer.config,
      })
    }
    if (tokenizer.chatTemplate) await writeFileAtomically(join(temporary, 'chat_template.jinja'), tokenizer.chatTemplate)
    const ids = architecture.eosTokenIds
    const end = ids.length > 0 ? { eos_token_id: ids.length === 1 ? ids[0] : ids } : {}
    await write('generation_config.json', { ...end, ...generation })
    for (const file of tokenizer.copies ?? []) await copyFile(file, join(temporary, basename(file)))
    for (const [name, text] of Object.entries(tokenizer.files ?? {})) await writeFileAtomically(join(temporary, name), text)
    await saveCheckpoint(temporary, architecture, ({ name }) => {
      const { at, count } = places.get(name)!
      return values.slice(at, at + count)
    })
  })
}

/** Rounds the weights, in place, to the numbers that a checkpoint holds. Returns whether any dtype is not f32. */
export function roundAsSaved({ parameters }: ParameterLayout, values: Float32Array): boolean {
  for (const { spec, at, count } of parameters) roundTo(spec.dtype, values.subarray(at, at + count))
  return parameters.some(({ spec }) => spec.dtype !== 'f32')
}

function roundTo(dtype: WeightSpec['dtype'], values: Float32Array): void {
  if (dtype === 'bf16') for (let i = 0; i < values.length; i++) values[i] = fromBf16(toBf16(values[i]!))
  else if (dtype === 'f16') for (let i = 0; i < values.length; i++) values[i] = Math.f16round(values[i]!)
  else if (dtype === 'mxfp4') {
    const { blocks, scales } = packMxfp4(values)
    for (const [b, scale] of scales.entries()) unpackMxfp4Block(blocks, MXFP4_BLOCK_BYTES * b, scale, values, MXFP4_BLOCK * b)
  }
}
