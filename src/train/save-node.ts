/**
 * A trained model as a checkpoint directory in the published layout: config.json, model.safetensors,
 * generation_config.json and the tokenizer's files.
 */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { saveCheckpoint } from '../checkpoint/save-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import type { ParameterLayout } from './parameters.ts'

export interface TokenizerSource {
  /** tokenizer.json as an object; null where `copies` holds other files. */
  json: object | null
  /** Further fields of tokenizer_config.json. */
  config?: Record<string, unknown>
  /** Text of chat_template.jinja. */
  chatTemplate?: string
  /** Files to copy as they are. */
  copies?: readonly string[]
}

/** Writes the directory; the weights are cut from the flat array. */
export async function saveModel(
  directory: string,
  architecture: Architecture,
  layout: ParameterLayout,
  values: Float32Array,
  tokenizer: TokenizerSource,
  generation: Record<string, unknown> = {},
): Promise<void> {
  const places = new Map(layout.parameters.map(({ spec, at, count }) => [spec.name, { at, count }]))
  await mkdir(directory, { recursive: true })
  const write = (name: string, content: object) => writeFileAtomically(join(directory, name), `${JSON.stringify(content, null, 2)}\n`)
  if (tokenizer.json) {
    await writeFileAtomically(join(directory, 'tokenizer.json'), `${JSON.stringify(tokenizer.json)}\n`)
    await write('tokenizer_config.json', {
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: architecture.maxPositionEmbeddings,
      ...tokenizer.config,
    })
  }
  if (tokenizer.chatTemplate) await writeFileAtomically(join(directory, 'chat_template.jinja'), tokenizer.chatTemplate)
  for (const file of tokenizer.copies ?? []) await copyFile(file, join(directory, file.slice(file.search(/[^\\/]*$/))))
  const ids = architecture.eosTokenIds
  const end = ids.length > 0 ? { eos_token_id: ids.length === 1 ? ids[0] : ids } : {}
  await write('generation_config.json', { ...end, ...generation })
  await saveCheckpoint(directory, architecture, ({ name }) => {
    const { at, count } = places.get(name)!
    return values.slice(at, at + count)
  })
}
