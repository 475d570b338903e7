/**
 * Saves a weight tree as a checkpoint directory in the published layout: names, dtypes and config.json
 * as the family publishes them. config.json is written last, so an interrupted save is not a checkpoint.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Architecture } from '../architecture/architecture.ts'
import { toConfigJson } from '../architecture/to-config-json.ts'
import { requireSpace } from '../files/disk-space-node.ts'
import { writeFileAtomically } from '../files/write-node.ts'
import type { Json } from '../json/json.ts'
import type { Checkpoint } from './checkpoint.ts'
import { Encoder, type ReadValues } from './encode.ts'
import { publishedTensors } from './published.ts'
import type { TensorShape } from './safetensors.ts'
import { indexText, SHARD_BYTES, shardNames, shardTensors } from './shards.ts'
import { type OutgoingTensor, writeSafetensors } from './write-node.ts'

export interface SaveOptions {
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((bytes: number, totalBytes: number) => void) | undefined
  readonly shardBytes?: number
  readonly metadata?: Readonly<Record<string, string>>
  /** Further fields of config.json. */
  readonly config?: Json
}

/**
 * Saves a model whose values are in memory (or come from a backend's `read`). The architecture's
 * `dtype` and `expertDtype` say how they are stored: f32, bf16, f16, and mxfp4 for experts.
 * @returns the names of the files, config.json last
 * @throws UnwritableArchitectureError or WeightsMismatchError when no published layout can hold the
 * model, before anything is written
 */
export async function saveCheckpoint(
  directory: string,
  architecture: Architecture,
  read: ReadValues,
  options: SaveOptions = {},
): Promise<string[]> {
  const encoder = new Encoder(read)
  const tensors = publishedTensors(architecture).map((tensor) => ({ ...tensor, bytes: () => encoder.bytes(tensor) }))
  return saveTensors(directory, architecture, tensors, options)
}

/**
 * Saves published tensors whose bytes come from anywhere, with the config.json of the architecture. That is the configuration of a text
 * model, so tensors of a language model inside a multimodal checkpoint get the names that they have in a text model.
 */
export async function saveTensors<T extends OutgoingTensor & TensorShape>(
  directory: string,
  architecture: Architecture,
  tensors: readonly T[],
  options: SaveOptions = {},
): Promise<string[]> {
  const config = `${JSON.stringify({ ...toConfigJson(architecture), ...options.config }, null, 2)}\n`
  const named = tensors.map((tensor) => ({ ...tensor, name: textName(tensor.name) }))
  const { shards, tensorBytes } = shardTensors(named, options.shardBytes ?? SHARD_BYTES)
  const names = shardNames(shards.length)
  await mkdir(directory, { recursive: true })
  await requireSpace(directory, tensorBytes)
  let done = 0
  const onBytes = (count: number) => {
    done += count
    options.onProgress?.(done, tensorBytes)
  }
  for (const [number, shard] of shards.entries()) {
    const metadata = { format: 'pt', ...options.metadata }
    await writeSafetensors(join(directory, names[number]!), shard, { metadata, signal: options.signal, onBytes })
  }
  const index = indexText(shards, names, tensorBytes)
  if (index !== undefined) await writeFileAtomically(join(directory, 'model.safetensors.index.json'), index)
  await writeFileAtomically(join(directory, 'config.json'), config)
  return [...names, ...(index === undefined ? [] : ['model.safetensors.index.json']), 'config.json']
}

/** The name in a text model of a tensor of a language model inside a multimodal checkpoint; other names stay. */
const textName = (name: string): string => name.replace(/^language_model\./, '').replace(/^model\.language_model\./, 'model.')

/** Whether a checkpoint has a language model inside a multimodal one. */
export const isWrapped = ({ tensors }: Pick<Checkpoint, 'tensors'>): boolean => [...tensors.keys()].some((name) => textName(name) !== name)
