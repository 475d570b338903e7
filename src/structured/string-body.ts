/**
 * What may stand between the quotes of a JSON string, byte by byte: well-formed UTF-8 without control
 * characters, and the escapes of RFC 8259 with surrogates in pairs only. Also an index of the
 * vocabulary: it says which tokens fit into a string of at most n more characters without a walk,
 * because most decoding steps ask this.
 */
import { finish, type Steps } from './cooperative.ts'
import type { TokenTrie } from './token-trie.ts'

/** Nodes between two pauses. */
const NODES_OF_STEP = 4096

/** States inside a string: `clean` is between two characters, `closed` is after the closing quote. */
export const phases = [
  'dead',
  'clean',
  'closed',
  'more1',
  'more2',
  'more3',
  'afterE0',
  'afterED',
  'afterF0',
  'afterF4',
  'escape',
  'hex1',
  'hex2',
  'hex3',
  'hex4',
  'afterD',
  'high3',
  'high4',
  'pairBackslash',
  'pairU',
  'low1',
  'low2',
  'low3',
  'low4',
] as const
type PhaseName = (typeof phases)[number]

const number = Object.fromEntries(phases.map((name, i) => [name, i])) as Record<PhaseName, number>
export const clean = number.clean
export const closed = number.closed

/** [phases, 256] phase after a byte; 0 means that the byte is not allowed. */
export const nextPhase = table()

/** [phases] fewest bytes that lead to `clean`. */
export const bytesToClean = distances()

function table(): Uint8Array {
  const next = new Uint8Array(phases.length * 256)
  const set = (from: PhaseName, first: number, last: number, to: PhaseName) => {
    for (let byte = first; byte <= last; byte++) next[number[from] * 256 + byte] = number[to]
  }
  const hex = (from: PhaseName, to: PhaseName, digits = '0123456789abcdefABCDEF') => {
    for (const digit of digits) set(from, digit.charCodeAt(0), digit.charCodeAt(0), to)
  }
  set('clean', 0x20, 0x7f, 'clean')
  set('clean', 0x22, 0x22, 'closed')
  set('clean', 0x5c, 0x5c, 'escape')
  set('clean', 0xc2, 0xdf, 'more1')
  set('clean', 0xe0, 0xef, 'more2')
  set('clean', 0xf1, 0xf3, 'more3')
  set('clean', 0xe0, 0xe0, 'afterE0')
  set('clean', 0xed, 0xed, 'afterED')
  set('clean', 0xf0, 0xf0, 'afterF0')
  set('clean', 0xf4, 0xf4, 'afterF4')
  set('more1', 0x80, 0xbf, 'clean')
  set('more2', 0x80, 0xbf, 'more1')
  set('more3', 0x80, 0xbf, 'more2')
  set('afterE0', 0xa0, 0xbf, 'more1')
  set('afterED', 0x80, 0x9f, 'more1')
  set('afterF0', 0x90, 0xbf, 'more2')
  set('afterF4', 0x80, 0x8f, 'more2')
  hex('escape', 'clean', '"\\/bfnrt')
  hex('escape', 'hex1', 'u')
  hex('hex1', 'hex2')
  hex('hex1', 'afterD', 'dD')
  hex('hex2', 'hex3')
  hex('hex3', 'hex4')
  hex('hex4', 'clean')
  hex('afterD', 'hex3', '01234567')
  hex('afterD', 'high3', '89abAB')
  hex('high3', 'high4')
  hex('high4', 'pairBackslash')
  hex('pairBackslash', 'pairU', '\\')
  hex('pairU', 'low1', 'u')
  hex('low1', 'low2', 'dD')
  hex('low2', 'low3', 'cdefCDEF')
  hex('low3', 'low4')
  hex('low4', 'clean')
  return next
}

function distances(): Uint8Array {
  const distance = new Uint8Array(phases.length).fill(99)
  distance[clean] = 0
  for (let changed = true; changed; ) {
    changed = false
    for (let phase = 3; phase < phases.length; phase++)
      for (let byte = 0; byte < 256; byte++) {
        const to = nextPhase[phase * 256 + byte]!
        if (to !== 0 && distance[to]! + 1 < distance[phase]!) {
          distance[phase] = distance[to]! + 1
          changed = true
        }
      }
  }
  return distance
}

/** A closing quote inside a token: the node after it, and the number of characters before it. */
export interface Exit {
  readonly node: number
  readonly characters: number
}

/** Classifies all tokens for a string that is between two characters. */
export class StringIndex {
  readonly #exits: Exit[] = []
  #most = 0
  readonly #words: number
  readonly #byCharacters: number[][] = [] // ids that stay inside the string, by the characters they begin
  readonly #toClean: Uint8Array // [vocabSize] bytes that complete the last, unfinished character of an id
  readonly #upTo: Uint32Array[] = []

  private constructor(trie: TokenTrie) {
    this.#words = (trie.vocabSize + 31) >> 5
    this.#toClean = new Uint8Array(trie.vocabSize)
  }

  static *of(trie: TokenTrie): Steps<StringIndex> {
    const index = new StringIndex(trie)
    const phaseAt = new Uint8Array(trie.longest + 1)
    const charactersAt = new Uint16Array(trie.longest + 1)
    phaseAt[0] = clean
    let pauseAt = 0
    for (let node = 1; node < trie.size; ) {
      if (node > pauseAt) {
        pauseAt = node + NODES_OF_STEP
        yield
      }
      const depth = trie.depth[node]!
      const before = phaseAt[depth - 1]!
      const phase = nextPhase[before * 256 + trie.byte[node]!]!
      if (phase === 0) {
        node = trie.end[node]!
        continue
      }
      const characters = charactersAt[depth - 1]! + (before === clean && phase !== closed ? 1 : 0)
      if (phase === closed) {
        index.#exits.push({ node, characters })
        node = trie.end[node]!
        continue
      }
      phaseAt[depth] = phase
      charactersAt[depth] = characters
      for (let id = trie.token[node]!; id !== -1; id = trie.twin[id]!) {
        index.#byCharacters[characters] ??= []
        index.#byCharacters[characters].push(id)
        index.#toClean[id] = bytesToClean[phase]!
      }
      node++
    }
    index.#most = Math.max(index.#byCharacters.length - 1, ...index.exits.map(({ characters }) => characters), 0)
    return index
  }

  /** Nodes right after a closing quote. */
  get exits(): readonly Exit[] {
    return this.#exits
  }

  /** The most characters that one token begins. */
  get most(): number {
    return this.#most
  }

  /** The mask of the tokens that stay inside the string and begin at most `characters` characters. Read-only. */
  upTo(characters: number): Uint32Array {
    const most = Math.min(characters, this.most)
    for (let i = this.#upTo.length; i <= most; i++) {
      const mask = i === 0 ? new Uint32Array(this.#words) : this.#upTo[i - 1]!.slice()
      for (const id of this.#byCharacters[i] ?? []) mask[id >> 5]! |= 1 << (id & 31)
      this.#upTo.push(mask)
    }
    return this.#upTo[most]!
  }

  /** Adds tokens that stay inside a string of `least` to `most` more characters that `bytesLeft` bytes can close. */
  addClosing(least: number, most: number, bytesLeft: number, mask: Uint32Array): void {
    const limit = Math.min(most, this.#byCharacters.length - 1)
    for (let characters = 0; characters <= limit; characters++) {
      const spare = bytesLeft - Math.max(0, least - characters) - 1 // bytes available to complete a character
      if (spare < 0) continue
      for (const id of this.#byCharacters[characters] ?? []) if (this.#toClean[id]! <= spare) mask[id >> 5]! |= 1 << (id & 31)
    }
  }
}

const indexes = new WeakMap<TokenTrie, StringIndex>()

/** The index of a trie. Built once. */
export const stringIndex = (trie: TokenTrie): StringIndex => indexes.get(trie) ?? finish(indexSteps(trie))

/** `stringIndex` as a computation that can be paused. */
export function* indexSteps(trie: TokenTrie): Steps<StringIndex> {
  let index = indexes.get(trie)
  if (index === undefined) indexes.set(trie, (index = yield* StringIndex.of(trie)))
  return index
}
