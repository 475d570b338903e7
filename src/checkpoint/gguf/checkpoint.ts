/**
 * The tensors of a GGUF model, in one file or in split ones, as the loader wants them: experts one by one, the rows of q and k in
 * published order, the gains of Gemma's norms less one. Refuses types that are not read.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import { configFromJson } from '../../architecture/config-json.ts'
import type { Json } from '../../json/json.ts'
import type { Checkpoint } from '../checkpoint.ts'
import { DuplicateTensorError, UnknownDtypeError } from '../errors.ts'
import type { TensorEntry } from '../safetensors.ts'
import type { Source } from '../source.ts'
import type { GgufHeader } from './header.ts'
import { ggufNames } from './names.ts'
import { GGML_BY_NAME, GGML_TYPES } from './types.ts'
import { lessOne, logOfNegative, permutedHeads, UNIT_OFFSET, unpermuted } from './views.ts'

/** @param headers of the files of one model, the first with all metadata */
export function ggufCheckpoint(name: string, headers: readonly GgufHeader[], sources: readonly Source[], config: Json): Checkpoint {
  const stored = new Map<string, TensorEntry>()
  for (const { tensors } of headers) {
    for (const entry of tensors.values()) {
      const other = stored.get(entry.name)
      if (other) {
        const came = `the same name in ${other.source.name}`
        throw new DuplicateTensorError({ file: entry.source.name, tensor: entry.name, expected: 'every tensor in one file only', came })
      }
      stored.set(entry.name, entry)
    }
  }
  const kind = String(headers[0]!.metadata.get('general.architecture'))
  const architecture = configFromJson(config, name)
  const tensors = new Map<string, TensorEntry>()
  for (const entry of stored.values()) {
    checkType(entry)
    for (const view of viewsOf(entry, kind, architecture)) tensors.set(view.name, view)
  }
  let tensorBytes = 0
  for (const entry of stored.values()) tensorBytes += entry.byteLength
  const close = async () => {
    await Promise.all(sources.map((source) => source.close()))
  }
  return { name, tensors, sources, tensorBytes, names: (architecture, has) => ggufNames(architecture, has), close }
}

const EXPERTS = /^(blk\.\d+\.ffn_(?:gate|up|down|gate_up))_exps\.(weight|bias)$/

/** What stands for a stored tensor. */
function viewsOf(entry: TensorEntry, kind: string, architecture: Architecture): TensorEntry[] {
  const [, part, tail] = EXPERTS.exec(entry.name) ?? []
  if (part !== undefined && tail !== undefined) return expertEntries(entry, part, tail)
  const heads = permutedHeads(entry.name, kind, architecture)
  if (heads) return [entry.shape[0]! % (2 * heads) === 0 ? unpermuted(entry, heads) : entry]
  if (UNIT_OFFSET.has(kind) && entry.dtype === 'F32' && entry.name.endsWith('norm.weight')) return [lessOne(entry)]
  if (entry.dtype === 'F32' && entry.name.endsWith('.ssm_a')) return [logOfNegative(entry)]
  return [entry]
}

/** The experts of a stacked tensor one by one: `blk.N.ffn_up.E.weight`, as old files name them. */
function expertEntries(entry: TensorEntry, part: string, tail: string): TensorEntry[] {
  if (part.endsWith('down') && tail === 'bias') return [entry]
  const [count, ...shape] = entry.shape as [number, ...number[]]
  const byteLength = entry.byteLength / count
  const experts = Array.from({ length: count }, (_, expert) => ({
    ...entry,
    shape,
    byteLength,
    offset: entry.offset + expert * byteLength,
  }))
  if (!part.endsWith('gate_up')) return experts.map((one, expert) => ({ ...one, name: `${part}.${expert}.${tail}` }))
  return experts.flatMap((one, expert) => {
    const half = { ...one, shape: [shape[0]! / 2, ...shape.slice(1)], byteLength: byteLength / 2 }
    const stem = part.slice(0, -'gate_up'.length)
    return [
      { ...half, name: `${stem}gate.${expert}.${tail}` },
      { ...half, name: `${stem}up.${expert}.${tail}`, offset: one.offset + half.byteLength },
    ]
  })
}

/** @throws UnknownDtypeError naming tensor and type where tensors of the type are not read */
function checkType({ name: tensor, dtype, source }: TensorEntry): void {
  if (GGML_BY_NAME.get(dtype)?.dtype !== undefined) return
  const read = [...GGML_TYPES.values()].flatMap((type) => (type.dtype === undefined ? [] : [type.name]))
  throw new UnknownDtypeError({
    file: source.name,
    tensor,
    expected: `a type that is read (${read.join(', ')})`,
    came: dtype,
    remedy: `Take another file of the same model: ${read.includes('Q4_K') ? 'Q4_K_M or Q8_0' : 'F16 or BF16'}.`,
  })
}
