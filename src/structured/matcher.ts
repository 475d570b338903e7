/**
 * Which tokens of a vocabulary may come next. The mask of a stack is put together from its items, top first: what the top item
 * allows by itself, then what the item below allows for the tokens in whose middle the top item ends, and so on. Each part depends
 * on an item and a set of trie nodes only and is kept, so that no walk over the vocabulary is repeated for another stack.
 */
import type { Grammar } from './grammar.ts'
import type { Item } from './item.ts'
import type { Cell, State } from './machine.ts'
import type { ByteAutomaton } from './pattern.ts'
import { stringIndex } from './string-body.ts'
import type { TokenTrie } from './token-trie.ts'

/** One text being written under a grammar. */
export interface Matcher {
  /**
   * The ids that may come next: id i is bit i & 31 of word i >> 5. The array is reused by the next call.
   * @param tokensLeft so many tokens, the next one included, may still come: steers to an end that fits, if there is one
   */
  mask(tokensLeft?: number): Uint32Array
  /** Takes an id; false, and no change, when it may not come. */
  accept(id: number): boolean
  /** Whether the text is a whole document: the stop ids may come. More may be allowed all the same (another digit). */
  isComplete(): boolean
  /** An independent matcher at the same place. */
  clone(): Matcher
}

/** Trie nodes at which an item ended inside of a token: the tokens below them go on with the next item. */
interface Exits {
  readonly nodes: readonly number[]
  /** What each item makes of them. */
  readonly parts: Map<Item, Part>
}

interface Part {
  /** Allowed ids as a mask, when there are many. */
  readonly mask: Uint32Array | undefined
  /** Allowed ids, and how many bytes complete the item after each. Inside of a string: only those that end it. */
  readonly ids: Int32Array
  readonly costs: Uint32Array
  /** The most bytes that complete the item after one of the ids. */
  readonly mostCost: number
  readonly exits: Exits
}

const quote = 0x22
/** What a table may keep; beyond that it starts anew. */
const mostPartBytes = 2 ** 26
/** Bytes that complete a character of a string that was begun: `\ud800\udc00` at worst. */
const characterBytes = 11

/** A factory for matchers of one grammar over one vocabulary; what it learns serves all of them. */
export class MaskTable {
  readonly grammar: Grammar
  readonly trie: TokenTrie
  readonly words: number
  readonly #root: Exits = { nodes: [0], parts: new Map() }
  readonly #stringParts = new Map<string, Part>()
  #partBytes = 0
  /** States along the path of the walk. */
  readonly #path: State[]
  readonly #patternPath: Int32Array

  constructor(grammar: Grammar, trie: TokenTrie) {
    this.grammar = grammar
    this.trie = trie
    this.words = (trie.vocabSize + 31) >> 5
    this.#path = new Array(trie.longest + 1)
    this.#patternPath = new Int32Array(trie.longest + 1)
  }

  matcher(): Matcher {
    this.grammar.trim()
    return new TableMatcher(this, this.grammar.start)
  }

  /** Adds the ids that a stack allows, as far as a text of at most `bytesLeft` bytes completes everything after them. */
  add(stack: Cell, bytesLeft: number, mask: Uint32Array): void {
    let exits = this.#root
    for (let cell = stack; cell.item !== undefined && exits.nodes.length > 0; cell = cell.below!) {
      let part = exits.parts.get(cell.item)
      if (part === undefined) {
        part = this.#part(exits, cell.item)
        this.#remember(exits, cell.item, part)
      }
      const left = bytesLeft - cell.below!.cost
      const string = exits === this.#root ? cell.item.string : undefined
      const { ids, costs } = part
      if ((string === undefined ? part.mostCost : characterBytes + string.least + 1) > left) {
        if (string !== undefined) stringIndex(this.trie).addClosing(string.least, string.most, left, mask)
        for (let i = 0; i < ids.length; i++) if (costs[i]! <= left) mask[ids[i]! >> 5]! |= 1 << (ids[i]! & 31)
      } else if (part.mask === undefined) for (const id of ids) mask[id >> 5]! |= 1 << (id & 31)
      else for (let i = 0; i < mask.length; i++) mask[i]! |= part.mask[i]!
      exits = part.exits
    }
  }

  #remember(exits: Exits, item: Item, part: Part): void {
    this.#partBytes += (part.mask?.byteLength ?? 0) + part.ids.byteLength + part.costs.byteLength + 4 * part.exits.nodes.length + 200
    if (this.#partBytes > mostPartBytes) {
      this.#root.parts.clear()
      this.#stringParts.clear()
      this.#partBytes = 0
    }
    exits.parts.set(item, part)
  }

  #part(exits: Exits, item: Item): Part {
    if (exits === this.#root && item.string !== undefined) return this.#stringPart(item.string)
    const found = new Findings(this.trie)
    if (item.pattern !== undefined) this.#walkPattern(exits, item.pattern.automaton, item.pattern.state, found)
    else this.#walk(exits, item, found)
    return found.part(this.words)
  }

  #walk(exits: Exits, item: Item, found: Findings): void {
    const { byte, depth, end } = this.trie
    const { machine } = this.grammar
    const start = machine.start([item])
    const path = this.#path
    if (start.isEnd) for (const exit of exits.nodes) found.exit(exit)
    for (const exit of exits.nodes) {
      path[depth[exit]!] = start
      for (let node = exit + 1; node < end[exit]!; ) {
        const state = machine.step(path[depth[node]! - 1]!, byte[node]!)
        if (state === null) {
          node = end[node]!
          continue
        }
        found.tokens(node, state.cost)
        if (state.isEnd) found.exit(node)
        path[depth[node]!] = state
        node = state.stacks.length === 0 ? end[node]! : node + 1
      }
    }
  }

  /** The same for the automaton of a pattern alone, which is a table. */
  #walkPattern(exits: Exits, { next, accepts, distance }: ByteAutomaton, start: number, found: Findings): void {
    const { byte, depth, end } = this.trie
    const path = this.#patternPath
    for (const exit of exits.nodes) {
      path[depth[exit]!] = start
      for (let node = exit + 1; node < end[exit]!; ) {
        const from = path[depth[node]! - 1]!
        const to = next[from * 256 + byte[node]!]!
        if (to !== -1) {
          found.tokens(node, distance[to]! + 1)
          path[depth[node]!] = to
          node++
          continue
        }
        if (byte[node] === quote && accepts[from]) {
          found.tokens(node, 0)
          found.exit(node)
        }
        node = end[node]!
      }
    }
  }

  /** Inside of a string nearly every token is allowed; the index knows which without a walk. */
  #stringPart({ least, most }: { least: number; most: number }): Part {
    const index = stringIndex(this.trie)
    const [low, high] = [Math.min(least, index.most + 1), Math.min(most, index.most)]
    const name = `${low} ${high}`
    let part = this.#stringParts.get(name)
    if (part === undefined) {
      const mask = index.upTo(high).slice()
      const ending: number[] = []
      const nodes: number[] = []
      for (const { node, characters } of index.exits) {
        if (characters < low || characters > high) continue
        for (let id = this.trie.token[node]!; id !== -1; id = this.trie.twin[id]!) ending.push(id)
        if (this.trie.end[node]! > node + 1) nodes.push(node)
      }
      for (const id of ending) mask[id >> 5]! |= 1 << (id & 31)
      part = { mask, ids: Int32Array.from(ending), costs: new Uint32Array(ending.length), mostCost: 0, exits: { nodes, parts: new Map() } }
      this.#stringParts.set(name, part)
    }
    return part
  }

  /** The tokens, longest first, of a shortest completion. */
  shortestCompletion(from: State): number[] {
    const { machine } = this.grammar
    const { byte, end, token } = this.trie
    const ids: number[] = []
    for (let state = from; !state.isEnd; ) {
      let node = 0
      let best = -1
      let after: State = state
      for (let at = state; !at.isEnd; ) {
        const next = cheapest(machine, at)
        let child = node + 1
        while (child < end[node]! && byte[child] !== next.byte) child = end[child]!
        if (child >= end[node]!) break
        node = child
        at = next.state
        if (token[node] !== -1) {
          best = token[node]!
          after = at
        }
      }
      if (best === -1) return [] // the vocabulary lacks a byte
      ids.push(best)
      state = after
    }
    return ids
  }
}

/** Collects what a walk allows. */
class Findings {
  readonly #trie: TokenTrie
  readonly #ids: number[] = []
  readonly #costs: number[] = []
  readonly #exits: number[] = []
  #mostCost = 0

  constructor(trie: TokenTrie) {
    this.#trie = trie
  }

  /** The tokens that end at a node are allowed; so many bytes complete the item after them. */
  tokens(node: number, cost: number): void {
    for (let id = this.#trie.token[node]!; id !== -1; id = this.#trie.twin[id]!) {
      this.#ids.push(id)
      this.#costs.push(cost)
      if (cost > this.#mostCost) this.#mostCost = cost
    }
  }

  /** The item may be over at a node; the tokens below go on with the next item. */
  exit(node: number): void {
    if (this.#trie.end[node]! > node + 1) this.#exits.push(node)
  }

  part(words: number): Part {
    let mask: Uint32Array | undefined
    if (this.#ids.length > words) {
      mask = new Uint32Array(words)
      for (const id of this.#ids) mask[id >> 5]! |= 1 << (id & 31)
    }
    const exits = { nodes: this.#exits, parts: new Map() }
    return { mask, ids: Int32Array.from(this.#ids), costs: Uint32Array.from(this.#costs), mostCost: this.#mostCost, exits }
  }
}

class TableMatcher implements Matcher {
  readonly #table: MaskTable
  readonly #mask: Uint32Array
  #state: State

  constructor(table: MaskTable, state: State) {
    this.#table = table
    this.#mask = new Uint32Array(table.words)
    this.#state = state
  }

  mask(tokensLeft = Number.POSITIVE_INFINITY): Uint32Array {
    const mask = this.#mask.fill(0)
    const { cost, stacks } = this.#state
    // A token is at least a byte, so an end that is so many bytes away is in reach.
    const inReach = cost <= tokensLeft
    if (!inReach && this.#force(tokensLeft)) return mask
    const bytesLeft = inReach ? tokensLeft - 1 : Number.POSITIVE_INFINITY
    for (const stack of stacks) this.#table.add(stack, bytesLeft, mask)
    return mask
  }

  /** A byte a token was too pessimistic; when the tokens of a shortest completion just fit, nothing else may come. */
  #force(tokensLeft: number): boolean {
    if (this.#state.cost > tokensLeft * 8) return false
    const ids = this.#table.shortestCompletion(this.#state)
    if (ids.length === 0 || ids.length + 8 < tokensLeft || ids.length > tokensLeft) return false
    this.#mask[ids[0]! >> 5]! |= 1 << (ids[0]! & 31)
    return true
  }

  accept(id: number): boolean {
    const bytes = this.#table.trie.bytesOf(id)
    if (bytes === undefined) return false
    let state: State | null = this.#state
    for (const byte of bytes) {
      state = this.#table.grammar.machine.step(state, byte)
      if (state === null) return false
    }
    this.#state = state
    return true
  }

  isComplete(): boolean {
    return this.#state.isEnd
  }

  clone(): Matcher {
    return new TableMatcher(this.#table, this.#state)
  }
}

/** The byte on a shortest way to the end. */
function cheapest(machine: Grammar['machine'], from: State): { byte: number; state: State } {
  let best: { byte: number; state: State } | undefined
  for (let byte = 0; byte < 256; byte++) {
    const state = machine.step(from, byte)
    if (state !== null && (best === undefined || state.cost < best.state.cost)) best = { byte, state }
  }
  if (best === undefined) throw new Error('structured output: a state from which nothing leads on')
  return best
}
