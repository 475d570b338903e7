/** Golden values of a tiny checkpoint: prompts, logits, hidden states, greedy continuations. A minimal safetensors reader on purpose independent of ours. */
import { readFileSync } from 'node:fs'

export interface Golden {
  ids: Int32Array[]
  logits: Float32Array[]
  /** [prompt][layer]; empty where none were recorded */
  hidden: Float32Array[][]
  greedy: Int32Array[]
}

/** All tensors of a file by name. */
export function readTensors(file: string): Record<string, Float32Array | Int32Array> {
  const bytes = readFileSync(file)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  const entries = Object.entries<{ dtype: string; data_offsets: [number, number] }>(header).filter(([name]) => name !== '__metadata__')
  return Object.fromEntries(
    entries.map(([name, { dtype, data_offsets }]) => {
      const [from, to] = data_offsets.map((offset) => 8 + headerLength + offset)
      const data = new Uint8Array(bytes.subarray(from, to)).buffer
      return [name, dtype === 'I32' ? new Int32Array(data) : new Float32Array(data)]
    }),
  )
}

export function readGolden(file: string): Golden {
  const tensors = readTensors(file)
  const list = <T>(prefix: string): T[] => {
    const found: T[] = []
    for (let n = 0; tensors[`${prefix}.${n}`]; n++) found.push(tensors[`${prefix}.${n}`] as T)
    return found
  }
  const ids = list<Int32Array>('ids')
  return { ids, logits: list('logits'), hidden: ids.map((_, n) => list<Float32Array>(`hidden.${n}`)), greedy: list('greedy') }
}
