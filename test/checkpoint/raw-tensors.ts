/** The published tensors of a checkpoint with all their bytes, for tests that take checkpoints apart and put others together. */
import { cpSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts'
import type { PublishedDtype } from '../../src/checkpoint/safetensors.ts'
import { fileFolder } from '../../src/checkpoint/source-node.ts'
import { type OutgoingTensor, writeSafetensors } from '../../src/checkpoint/write-node.ts'
import { FP4_VALUES, toBf16 } from '../../src/ops/dtype.ts'

export const fixtures = join(import.meta.dirname, '../fixtures/checkpoints')

export interface Raw extends OutgoingTensor {
  data: Buffer
}

export const tensor = (name: string, dtype: Raw['dtype'], shape: readonly number[], data: Buffer): Raw => ({
  name,
  dtype,
  shape,
  data,
  bytes: () => [data],
})

/** All tensors of a checkpoint directory. */
export async function rawTensors(directory: string): Promise<Map<string, Raw>> {
  const checkpoint = await openCheckpoint(await fileFolder(directory))
  const raw = new Map<string, Raw>()
  for (const entry of checkpoint.tensors.values()) {
    const data = Buffer.alloc(entry.byteLength)
    await entry.source.read(entry.offset, data)
    raw.set(entry.name, tensor(entry.name, entry.dtype as PublishedDtype, entry.shape, data))
  }
  await checkpoint.close()
  return raw
}

/** A new directory with the fixture's config.json (or another one) and these tensors. */
export async function checkpointDirectory(parent: string, fixture: string, tensors: Iterable<Raw>, config?: unknown): Promise<string> {
  const path = mkdtempSync(join(parent, `${fixture}-`))
  if (config) writeFileSync(join(path, 'config.json'), JSON.stringify(config))
  else cpSync(join(fixtures, fixture, 'config.json'), join(path, 'config.json'))
  await writeSafetensors(join(path, 'model.safetensors'), [...tensors])
  return path
}

/** The values of published MXFP4 tensors [E, O, I/32, 16] and [E, O, I/32], row-major [E, O, I]. */
export function mxfp4Values(blocks: Buffer, scales: Buffer): Float32Array {
  const values = new Float32Array(blocks.byteLength * 2)
  for (let i = 0; i < values.length; i++) {
    const byte = blocks[i >> 1]!
    values[i] = FP4_VALUES[i % 2 ? byte >> 4 : byte & 15]! * 2 ** (scales[i >> 5]! - 127)
  }
  return values
}

/** tiny-gpt-oss with its experts as community checkpoints have them: bf16, [E, in, out], no suffix. */
export async function dequantisedGptOss(): Promise<Raw[]> {
  const raw = await rawTensors(join(fixtures, 'tiny-gpt-oss'))
  const dense: Raw[] = []
  for (const one of raw.values()) {
    const match = /^(.*(?:gate_up_proj|down_proj))_(blocks|scales)$/.exec(one.name)
    if (!match) dense.push(one)
    if (match?.[2] !== 'blocks') continue
    const [E, O, groups] = one.shape as [number, number, number, number]
    const I = groups * 32
    const values = mxfp4Values(one.data, raw.get(`${match[1]}_scales`)!.data)
    const out = new Uint16Array(E * I * O)
    for (let e = 0; e < E; e++)
      for (let o = 0; o < O; o++) for (let i = 0; i < I; i++) out[(e * I + i) * O + o] = toBf16(values[(e * O + o) * I + i]!)
    dense.push(tensor(match[1]!, 'BF16', [E, I, O], Buffer.from(out.buffer)))
  }
  return dense
}
