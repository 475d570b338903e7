/** How tensors are distributed over files, and the names of the files: the conventions of the hub. */
import { publishedBytes, type TensorShape } from './safetensors.ts'

/** The conventional size limit of one shard. */
export const SHARD_BYTES = 5e9

/** Tensors in order, a new shard whenever the next one would exceed the limit. */
export function shardTensors<T extends TensorShape>(tensors: readonly T[], shardBytes: number): { shards: T[][]; tensorBytes: number } {
  const shards: T[][] = [[]]
  let inShard = 0
  let tensorBytes = 0
  for (const tensor of tensors) {
    const bytes = publishedBytes(tensor.dtype, tensor.shape)
    if (inShard > 0 && inShard + bytes > shardBytes) {
      shards.push([])
      inShard = 0
    }
    shards.at(-1)!.push(tensor)
    inShard += bytes
    tensorBytes += bytes
  }
  return { shards, tensorBytes }
}

/** model.safetensors, or model-00001-of-0000N.safetensors. */
export function shardNames(count: number): string[] {
  if (count === 1) return ['model.safetensors']
  const padded = (number: number) => String(number).padStart(5, '0')
  return Array.from({ length: count }, (_, i) => `model-${padded(i + 1)}-of-${padded(count)}.safetensors`)
}

/** The text of an index file; undefined where one file holds everything. */
export function indexText(
  shards: readonly (readonly { name: string }[])[],
  names: readonly string[],
  tensorBytes: number,
): string | undefined {
  if (shards.length === 1) return undefined
  const map: Record<string, string> = {}
  for (const [number, tensors] of shards.entries()) for (const { name } of tensors) map[name] = names[number]!
  return `${JSON.stringify({ metadata: { total_size: tensorBytes }, weight_map: map }, null, 2)}\n`
}
