/**
 * The vocabulary as a trie of bytes, in preorder, so that a walk is one pass over flat arrays and a rejected prefix is one jump.
 * Special tokens are left out: a grammar is about text.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'

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

const tries = new WeakMap<Tokenizer, TokenTrie>()

/** The trie of a tokenizer, built once. Takes some hundred milliseconds for 200,000 ids. */
export function tokenTrie(tokenizer: Tokenizer): TokenTrie {
  let trie = tries.get(tokenizer)
  if (trie === undefined) tries.set(tokenizer, (trie = build(tokenizer)))
  return trie
}

function build(tokenizer: Tokenizer): TokenTrie {
  const { vocabSize } = tokenizer
  const texts: { bytes: Uint8Array; id: number }[] = []
  const byId: (Uint8Array | undefined)[] = new Array(vocabSize)
  for (let id = 0; id < vocabSize; id++) {
    if (tokenizer.isSpecial(id)) continue
    let bytes: Uint8Array
    try {
      bytes = tokenizer.bytes(id)
    } catch (error) {
      if (error instanceof RangeError) continue // a gap in the ids
      throw error
    }
    if (bytes.length === 0 || bytes.length > 0xffff) continue
    texts.push({ bytes, id })
    byId[id] = bytes
  }
  texts.sort((a, b) => compareBytes(a.bytes, b.bytes))

  let total = 1
  for (const { bytes } of texts) total += bytes.length
  const byte = new Uint8Array(total)
  const end = new Int32Array(total)
  const depth = new Uint16Array(total)
  const token = new Int32Array(total).fill(-1)
  const twin = new Int32Array(vocabSize).fill(-1)
  let size = 1
  let longest = 0
  const path: number[] = [0] // nodes from the root to the last token
  let last = new Uint8Array(0)
  for (const { bytes, id } of texts) {
    if (bytes.length > longest) longest = bytes.length
    let shared = 0
    while (shared < last.length && shared < bytes.length && last[shared] === bytes[shared]) shared++
    while (path.length > shared + 1) end[path.pop()!] = size
    for (let i = shared; i < bytes.length; i++) {
      byte[size] = bytes[i]!
      depth[size] = i + 1
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
