/**
 * Tensors of a GGUF file in another order or form than they are stored in, as sources that rearrange what they read: so the rest of
 * the loader sees the published layout. Bytes move; of two kinds of F32 vectors the values change.
 */
import type { Architecture } from '../../architecture/architecture.ts'
import type { TensorEntry } from '../safetensors.ts'

/** Architectures whose files have the values of a rotated pair side by side in q and k. */
const PERMUTED = new Set(['llama', 'mistral3', 'granite', 'olmo', 'smollm3', 'deepseek'])
/** Architectures whose files have 1 + w as gain of a norm. */
export const UNIT_OFFSET = new Set(['gemma', 'gemma2', 'gemma3'])

/**
 * The number of heads in q or k, where a file of this architecture has the two values of a rotated pair side by side in them.
 * @param kind `general.architecture`
 */
export function permutedHeads(tensor: string, kind: string, { layers }: Architecture): number | undefined {
  const [, layer, which] = /^blk\.(\d+)\.attn_([qk])\.(?:weight|bias)$/.exec(tensor) ?? []
  if (which === undefined || !PERMUTED.has(kind)) return undefined
  const attention = layers[Number(layer)]?.attention
  if (attention?.kind !== 'multiHead') return undefined
  return which === 'q' ? attention.heads : attention.kvHeads
}

/** Rows are rearranged in bands of about this size. */
const BAND_BYTES = 1 << 20

/**
 * A tensor of the same shape, made in units of `unitBytes`.
 * @param change turns the stored bytes of whole units into those of the view
 */
function changed(of: TensorEntry, unitBytes: number, change: (stored: Uint8Array<ArrayBuffer>) => Uint8Array): TensorEntry {
  const most = Math.max(1, Math.floor(BAND_BYTES / unitBytes)) * unitBytes
  const read = async (offset: number, into: Uint8Array, signal?: AbortSignal) => {
    const end = offset + into.byteLength
    for (let at = offset - (offset % unitBytes); at < end; at += most) {
      const stored = new Uint8Array(Math.min(most, Math.ceil((end - at) / unitBytes) * unitBytes))
      await of.source.read(of.offset + at, stored, signal)
      const from = Math.max(0, offset - at)
      into.set(change(stored).subarray(from, Math.min(stored.byteLength, end - at)), at + from - offset)
    }
  }
  return { ...of, offset: 0, source: { name: of.source.name, size: of.byteLength, read, close: async () => {} } }
}

/**
 * q or k with the rows of each head as published. GGUF files of the LLaMA line have the two values of a rotated pair side by side:
 * row 2i + j of a head is published row j·(rows / 2) + i.
 */
export function unpermuted(entry: TensorEntry, heads: number): TensorEntry {
  const rowBytes = entry.byteLength / entry.shape[0]!
  const headRows = entry.shape[0]! / heads
  const half = headRows / 2
  return changed(entry, rowBytes * headRows, (stored) => {
    const out = new Uint8Array(stored.byteLength)
    for (let row = 0; row * rowBytes < stored.byteLength; row++) {
      const inHead = row % headRows
      const from = row - inHead + 2 * (inHead % half) + (inHead < half ? 0 : 1)
      out.set(stored.subarray(from * rowBytes, (from + 1) * rowBytes), row * rowBytes)
    }
    return out
  })
}

/** The logarithms of the rates of a state-space layer, of which GGUF files hold -e^x, in F32. Rounded to 32 bits. */
export function logOfNegative(entry: TensorEntry): TensorEntry {
  return changed(entry, 4, (stored) => {
    const values = new Float32Array(stored.buffer, 0, stored.byteLength / 4)
    for (let i = 0; i < values.length; i++) values[i] = Math.log(-values[i]!)
    return stored
  })
}

/** The gain w of Gemma's norms, of which GGUF files hold 1 + w, in F32. Exact from 1 + w = 0.5 on. */
export function lessOne(entry: TensorEntry): TensorEntry {
  return changed(entry, 4, (stored) => {
    const values = new Float32Array(stored.buffer, 0, stored.byteLength / 4)
    for (let i = 0; i < values.length; i++) values[i]! -= 1
    return stored
  })
}
