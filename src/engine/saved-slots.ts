/**
 * Conversations of the KV cache as files: the ids of a slot, its keys and values or states, and its snapshots. A file names the model
 * by a hash and carries a digest of every piece; all of it is checked before a slot is touched. No file system here: bytes go out
 * through a function and come in through a source.
 *
 *   magic (8 bytes) · u32 length of the header · header (JSON) · pieces of the body, each with a SHA-256 of the digest before it and itself
 *   body: ids (i32) · contents of the slot · snapshots
 */
import type { Architecture } from '../architecture/architecture.ts'
import { shortContext } from '../model/rope.ts'
import { forward } from '../model/transformer.ts'
import type { Weights } from '../model/weights.ts'
import type { Backend, CacheSnapshot, CacheTransfer, KvCache } from '../ops/backend.ts'
import { BusyError, SlotError } from './errors.ts'
import { MAX_SNAPSHOTS, type SlotState } from './prefix-cache.ts'
import type { Scheduler } from './scheduler.ts'

export interface SlotOptions {
  /** Default: the one of this key that was used last; to restore, the free one that was used longest ago. */
  slot?: number
  /** As in `GenerateOptions`. Default ''. */
  cacheKey?: string
}

/** Random access to a saved conversation. */
export interface SlotSource {
  readonly size: number
  /** Fills all of `into` with the bytes from `offset` on, or throws. */
  read(offset: number, into: Uint8Array): Promise<void>
}

/** What was saved, restored or erased: positions of the cache, and bytes of the file (0 when erased). */
export interface SlotResult {
  readonly slot: number
  readonly positions: number
  readonly bytes: number
}

/** Conversations kept in the slots of an engine. */
export interface Slots {
  list(cacheKey?: string): SlotState[]
  /**
   * Writes a conversation in pieces of at most 4 MiB, one after the other.
   * @throws SlotError where the slot holds none of this key, BusyError while it computes an answer, RangeError for a slot that does not
   * exist, what `write` throws
   */
  save(write: (bytes: Uint8Array) => Promise<void>, options?: SlotOptions): Promise<SlotResult>
  /**
   * Puts a saved conversation into a slot; the next prompt that begins with it continues there. Nothing is changed before the whole file
   * is checked.
   * @throws SlotError for a file that is damaged, of another model, precision or version, or longer than the context; BusyError, RangeError
   */
  restore(source: SlotSource, options?: SlotOptions): Promise<SlotResult>
  /** Forgets the conversation of a slot. Throws as `save` does. */
  erase(options?: SlotOptions): Promise<SlotResult>
}

/** What the slots belong to. */
interface Parts {
  readonly backend: Backend
  readonly architecture: Architecture
  readonly weights: Weights
  readonly cache: KvCache
  readonly scheduler: Scheduler
  /** The key of prefixes for a cache key: adapters have their own. */
  readonly keyOf: (cacheKey: string) => string
}

interface Header {
  readonly model: string
  readonly ids: number
  /** Positions of the snapshots, ascending. */
  readonly snapshots: readonly number[]
}

const MAGIC = new TextEncoder().encode('LINSLOT1')
const START = MAGIC.length + 4
const MAX_HEADER = 4096
const PIECE = 4 << 20
const DIGEST = 32
/** Ids of the passage whose logits identify a model. */
const PROBE_IDS = 16

export function savedSlots(parts: Parts): Slots {
  const { backend, architecture, weights, cache, scheduler, keyOf } = parts
  const { prefixes } = scheduler
  let identity: Promise<string> | undefined
  const model = () => {
    identity ??= identify(backend, architecture, weights, cache).catch((error) => {
      identity = undefined // there may be memory for it the next time
      throw error
    })
    return identity
  }

  const transfer = (): CacheTransfer => {
    if (cache.transfer) return cache.transfer
    throw new SlotError(`the backend ${backend.name} cannot save conversations`)
  }

  /** Runs `work` on the slot that is meant, which no job gets meanwhile. `newest`: of several, the one that was used last. */
  async function holding(
    { slot, cacheKey = '' }: SlotOptions,
    { full, newest, empty }: { full: boolean; newest: boolean; empty: boolean },
    work: (state: SlotState) => Promise<SlotResult>,
  ): Promise<SlotResult> {
    const states = () => prefixes.list(keyOf(cacheKey))
    const { length } = states()
    if (slot !== undefined && !(Number.isInteger(slot) && slot >= 0 && slot < length))
      throw new RangeError(`slot ${slot}: expected 0 to ${length - 1}`)
    for (let n = 0; n < length; n++) await scheduler.swept(n)
    const meant = states().filter((state) => slot === undefined || state.slot === slot)
    const order = newest ? 1 : -1
    const [state] = meant
      .filter(({ busy, positions = 0 }) => !busy && (!full || positions > 0))
      .sort((a, b) => order * (b.lastUsed - a.lastUsed))
    const which = slot === undefined ? 'every slot' : `slot ${slot}`
    if (!state && meant.some(({ busy }) => busy)) throw new BusyError(`${which} computes an answer; try again when it has ended`)
    if (!state) throw new SlotError(slot === undefined ? 'no slot holds a conversation of this key' : `${which} holds none of this key`)
    prefixes.hold(state.slot, empty)
    try {
      return await scheduler.during(() => work(state))
    } catch (error) {
      if (empty) prefixes.hold(state.slot, true) // half of a conversation is none
      throw error
    } finally {
      prefixes.release(state.slot)
      scheduler.wake()
    }
  }

  return {
    list: (cacheKey = '') => prefixes.list(keyOf(cacheKey)),

    async save(write, options = {}) {
      const bytewise = transfer()
      const name = await model()
      return holding(options, { full: true, newest: true, empty: false }, async ({ slot }) => {
        const { ids, snapshots } = prefixes.contents(slot)
        const header: Header = { model: name, ids: ids.length, snapshots: snapshots.map(({ position }) => position) }
        const start = startOf(header)
        await write(start)
        let digest = await sha256(start)
        let bytes = start.length
        for (const piece of piecesOf(header, bytewise)) {
          const content = await read(piece, slot, ids, snapshots)
          digest = await sha256(digest, content)
          await write(content)
          await write(digest)
          bytes += content.length + DIGEST
        }
        return { slot, positions: ids.length, bytes }
      })

      async function read({ part, from, count }: Piece, slot: number, ids: readonly number[], snapshots: readonly CacheSnapshot[]) {
        if (part === 'ids') return new Uint8Array(Int32Array.from(ids.slice(from / 4, (from + count) / 4)).buffer)
        if (part === 'contents') return bytewise.read(slot, ids.length, from, count)
        return (await bytewise.snapshotBytes(snapshots[part]!)).subarray(from, from + count)
      }
    },

    async restore(source, options = {}) {
      const bytewise = transfer()
      const { header, start } = await readHeader(source)
      if (header.model !== (await model()))
        throw new SlotError('the file was saved with another model, adapter, precision or version, whose keys and values differ')
      const { capacity } = cache.spec
      if (header.ids > capacity) throw new SlotError(`the conversation has ${header.ids} positions; the context here is ${capacity}`)
      const pieces = piecesOf(header, bytewise)
      const size = pieces.reduce((sum, { count }) => sum + count + DIGEST, start.length)
      if (source.size !== size) throw new SlotError(`the file has ${source.size} bytes, expected ${size}; it is damaged`)
      const ids = new Int32Array(header.ids)
      let digest = await sha256(start)
      for await (const { part, from, content, its } of contentsOf(source, pieces, start.length)) {
        digest = await sha256(digest, content)
        if (!its.every((byte, i) => byte === digest[i])) throw new SlotError('the file is damaged: a digest differs')
        if (part === 'ids') new Uint8Array(ids.buffer).set(content, from)
      }
      const wrong = ids.find((id) => id < 0 || id >= architecture.vocabSize)
      if (wrong !== undefined) throw new SlotError(`the file holds the id ${wrong}; ids go from 0 to ${architecture.vocabSize - 1}`)
      return holding(options, { full: false, newest: false, empty: true }, async ({ slot }) => {
        const snapshots = header.snapshots.map((position) => new Uint8Array(bytewise.snapshotSize(position)))
        for await (const { part, from, content } of contentsOf(source, pieces, start.length)) {
          if (part === 'contents') await bytewise.write(slot, ids.length, from, content)
          else if (part !== 'ids') snapshots[part]!.set(content, from)
        }
        prefixes.fill(slot, keyOf(options.cacheKey ?? ''), {
          ids: [...ids],
          snapshots: header.snapshots.map((position, n) => bytewise.snapshotOf(position, snapshots[n]!)),
        })
        return { slot, positions: ids.length, bytes: size }
      })
    },

    erase: (options = {}) =>
      holding(options, { full: true, newest: true, empty: true }, async ({ slot, positions = 0 }) => ({ slot, positions, bytes: 0 })),
  }
}

/** A piece of the body: of the ids, of the slot's contents, or of the snapshot of this number. */
interface Piece {
  readonly part: 'ids' | 'contents' | number
  readonly from: number
  readonly count: number
}

/** What a body consists of follows from its header. */
function piecesOf({ ids, snapshots }: Header, { size, snapshotSize }: CacheTransfer): Piece[] {
  const parts: [Piece['part'], number][] = [
    ['ids', 4 * ids],
    ['contents', size(ids)],
    ...snapshots.map((position, n): [number, number] => [n, snapshotSize(position)]),
  ]
  return parts.flatMap(([part, bytes]) =>
    Array.from({ length: Math.ceil(bytes / PIECE) }, (_, n) => ({ part, from: n * PIECE, count: Math.min(PIECE, bytes - n * PIECE) })),
  )
}

async function* contentsOf(source: SlotSource, pieces: readonly Piece[], start: number) {
  let at = start
  for (const piece of pieces) {
    const bytes = new Uint8Array(piece.count + DIGEST)
    await source.read(at, bytes)
    at += bytes.length
    yield { ...piece, content: bytes.subarray(0, piece.count), its: bytes.subarray(piece.count) }
  }
}

function startOf(header: Header): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header))
  const bytes = new Uint8Array(START + text.length)
  bytes.set(MAGIC)
  new DataView(bytes.buffer).setUint32(MAGIC.length, text.length, true)
  bytes.set(text, START)
  return bytes
}

async function readHeader(source: SlotSource): Promise<{ header: Header; start: Uint8Array }> {
  const fixed = new Uint8Array(START)
  if (source.size >= START) await source.read(0, fixed)
  if (!MAGIC.every((byte, i) => fixed[i] === byte)) throw new SlotError('the file is no saved conversation of this version')
  const length = new DataView(fixed.buffer).getUint32(MAGIC.length, true)
  if (length > MAX_HEADER || START + length > source.size) throw new SlotError('the file is damaged: its header is too long')
  const start = new Uint8Array(START + length)
  await source.read(0, start)
  let header: Partial<Header> | null
  try {
    header = JSON.parse(new TextDecoder().decode(start.subarray(START)))
  } catch {
    header = null
  }
  const { model, ids = 0, snapshots } = header ?? {}
  const isPosition = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0
  const valid =
    typeof model === 'string' &&
    isPosition(ids) &&
    Array.isArray(snapshots) &&
    snapshots.length <= MAX_SNAPSHOTS &&
    snapshots.every((position, n) => isPosition(position) && position <= ids && position > (snapshots[n - 1] ?? 0))
  if (!valid) throw new SlotError('the file is damaged: its header is not valid')
  return { header: { model, ids, snapshots }, start }
}

/**
 * Names a model with its precision by what it computes: a hash of its architecture, the layout of the cache, whether LongRoPE takes its
 * long factors, and the logits after some ids. Kernels that compute other bits are another model.
 */
async function identify(backend: Backend, architecture: Architecture, weights: Weights, cache: KvCache): Promise<string> {
  const { maxPositionEmbeddings, vocabSize } = architecture
  const long = cache.spec.capacity > shortContext(architecture)
  const count = Math.min(PROBE_IDS, maxPositionEmbeddings)
  const ids = Int32Array.from({ length: count }, (_, n) => (n * 7919 + 13) % vocabSize)
  const batch = { ids, slots: new Int32Array(count), positions: Int32Array.from(ids.keys()) }
  const logits = await backend.run(() => forward(backend, architecture, weights, batch, { logitRows: Int32Array.of(count - 1) }))
  const description = new TextEncoder().encode(JSON.stringify([cache.transfer?.layout, architecture, long]))
  const hash = await sha256(description, new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

async function sha256(...parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', all))
}
