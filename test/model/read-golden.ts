/** Golden values of a tiny checkpoint: prompts, logits, hidden states, greedy continuations. A minimal safetensors reader on purpose independent of ours. */
import { readFileSync } from 'node:fs'

export interface Golden {
  ids: Int32Array[]
  logits: Float32Array[]
  /** [prompt][layer]; empty where none were recorded */
  hidden: Float32Array[][]
  greedy: Int32Array[]
}

export function readGolden(file: string): Golden {
  const bytes = readFileSync(file)
  const headerLength = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength))
  const tensor = (name: string) => {
    const entry = header[name]
    if (!entry) return undefined
    const [from, to] = entry.data_offsets
    const data = new Uint8Array(bytes.subarray(8 + headerLength + from, 8 + headerLength + to)).buffer
    return entry.dtype === 'I32' ? new Int32Array(data) : new Float32Array(data)
  }
  const list = <T>(prefix: string): T[] => {
    const found: T[] = []
    for (let n = 0; header[`${prefix}.${n}`]; n++) found.push(tensor(`${prefix}.${n}`) as T)
    return found
  }
  const ids = list<Int32Array>('ids')
  return { ids, logits: list('logits'), hidden: ids.map((_, n) => list<Float32Array>(`hidden.${n}`)), greedy: list('greedy') }
}
