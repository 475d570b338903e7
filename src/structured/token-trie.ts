/**
 * The vocabulary as a trie over bytes, stored in preorder: a walk is one pass over flat arrays, and
 * skipping the subtree of a rejected prefix is one jump. Special tokens are left out.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { finish, type Steps } from './cooperative.ts'

export interface TokenTrie {
  /** Number of ids; masks have ceil(vocabSize / 32) words. */
  readonly vocabSize: number
  /** Nodes; node 0 is the root. */
  readonly size: number
  /** [size] the byte that leads to a node. */
  readonly byte: Uint8Array
  /** [size] the first node after a node's subtree. */
  readonly end: Int32Array
  /** [size] number of bytes from the root. */
  readonly depth: Uint16Array
  /** [size] an id that ends at a node, or -1. */
  readonly token: Int32Array
  /** [vocabSize] another id with the same bytes, or -1. */
  readonly twin: Int32Array
  /** Bytes of the longest token. */
  readonly longest: number
  /** The bytes of an id; undefined for special tokens and unknown ids. */
  bytesOf(id: number): Uint8Array | undefined
}

/** Ids between two pauses. */
const IDS_OF_STEP = 1024

const tries = new WeakMap<Tokenizer, TokenTrie>()

/** The trie of a tokenizer, built once. Takes some hundred milliseconds for 200,000 ids. */
export const tokenTrie = (tokenizer: Tokenizer): TokenTrie => finish(trieSteps(tokenizer))

/** `tokenTrie` as a computation that can be paused. */
export function* trieSteps(tokenizer: Tokenizer): Steps<TokenTrie> {
  let trie = tries.get(tokenizer)
  if (trie === undefined) tries.set(tokenizer, (trie = yield* build(tokenizer)))
  return trie
}

interface Text {
  readonly bytes: Uint8Array
  readonly id: number
}

function* build(tokenizer: Tokenizer): Steps<TokenTrie> {
  const { vocabSize } = tokenizer
  const byStart: Text[][] = [] // by the first two bytes, so that sorting has pauses
  const byId: (Uint8Array | undefined)[] = new Array(vocabSize)
  let total = 1
  for (let id = 0; id < vocabSize; id++) {
    if (id % IDS_OF_STEP === 0) yield
    if (tokenizer.isSpecial(id)) continue
    let bytes: Uint8Array
    try {
      bytes = tokenizer.bytes(id)
    } catch (error) {
      if (error instanceof RangeError) continue // an unused id
      throw error
    }
    if (bytes.length === 0 || bytes.length > 0xffff) continue
    const start = bytes[0]! * 257 + (bytes.length === 1 ? 0 : bytes[1]! + 1)
    byStart[start] ??= []
    byStart[start].push({ bytes, id })
    byId[id] = bytes
    total += bytes.length
  }
  const texts: Text[] = []
  for (let start = 0; start < byStart.length; start++) {
    const group = byStart[start]
    if (group === undefined) continue
    yield
    for (const text of group.sort((a, b) => compareBytes(a.bytes, b.bytes))) texts.push(text)
  }

  const byte = new Uint8Array(total)
  const end = new Int32Array(total)
  const depth = new Uint16Array(total)
  const token = new Int32Array(total).fill(-1)
  const twin = new Int32Array(vocabSize).fill(-1)
  let size = 1
  let longest = 0
  const path: number[] = [0] // nodes from the root to the last token
  let last = new Uint8Array(0)
  for (const [i, { bytes, id }] of texts.entries()) {
    if (i % IDS_OF_STEP === 0) yield
    if (bytes.length > longest) longest = bytes.length
    let shared = 0
    while (shared < last.length && shared < bytes.length && last[shared] === bytes[shared]) shared++
    while (path.length > shared + 1) end[path.pop()!] = size
    for (let at = shared; at < bytes.length; at++) {
      byte[size] = bytes[at]!
      depth[size] = at + 1
      path.push(size++)
    }
    const node = path[path.length - 1]!
    twin[id] = token[node]!
    token[node] = id
    last = bytes as Uint8Array<ArrayBuffer>
  }
  for (const node of path) end[node] = size
  return {
    vocabSize,
    size,
    byte: byte.slice(0, size),
    end: end.slice(0, size),
    depth: depth.slice(0, size),
    token: token.slice(0, size),
    twin,
    longest,
    bytesOf: (id) => byId[id],
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  for (let i = 0; i < shorter; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return a.length - b.length
}
