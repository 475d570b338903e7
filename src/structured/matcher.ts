/**
 * Computes which tokens of a vocabulary may come next. The mask of a stack is the union of parts,
 * one per item from the top: the tokens that fit inside the top item, then the tokens in which the
 * top item ends and the next one continues, and so on. A part depends only on an item and a set of
 * trie nodes. It is cached, so the vocabulary is walked once per part, not once per stack.
 */
import type { Grammar } from './grammar.ts'
import { ALIKE_BYTES, type Item } from './item.ts'
import type { Cell, State } from './machine.ts'
import type { ByteAutomaton } from './pattern.ts'
import { stringIndex } from './string-body.ts'
import type { TokenTrie } from './token-trie.ts'

/** One text in progress under a grammar. */
export interface Matcher {
  /**
   * The allowed ids: id i is bit i & 31 of word i >> 5. The next call reuses the array.
   * @param tokensLeft how many tokens may still come, the next one included. Only tokens after which
   * the text can be completed in time are allowed, if there are any.
   */
  mask(tokensLeft?: number): Uint32Array
  /** Appends an id. Returns false, and changes nothing, when the id is not allowed. */
  accept(id: number): boolean
  /** Whether the text is a complete document, so that stop ids may come. It may still be continued (another digit). */
  isComplete(): boolean
  /** An independent copy. */
  clone(): Matcher
}

/** Trie nodes at which an item ended inside a token. The tokens below these nodes continue with the next item. */
interface Exits {
  readonly nodes: readonly number[]
  /** The part of each item that continues at these nodes. */
  readonly parts: Map<Item, Part>
}

interface Part {
  /** Allowed ids as a mask, when there are many. */
  readonly mask: Uint32Array | undefined
  /** Allowed ids, and how many bytes complete the item after each. For a string: only ids that end it. */
  readonly ids: Int32Array
  readonly costs: Uint32Array
  /** The largest of `costs`. */
  readonly mostCost: number
  readonly exits: Exits
}

const QUOTE = 0x22
/** Limit of a table's cache, which is cleared beyond it. */
const MOST_PART_BYTES = 2 ** 26
/** Most bytes that complete a started character of a string: `\ud800\udc00` at worst. */
const CHARACTER_BYTES = 11

/** Makes matchers of one grammar over one vocabulary. They share its cache. */
export class MaskTable {
  readonly grammar: Grammar
  readonly trie: TokenTrie
  readonly words: number
  readonly #root: Exits = { nodes: [0], parts: new Map() }
  readonly #stringParts = new Map<string, Part>()
  #partBytes = 0
  /** States along the path of the walk. */
  readonly #path: State[]
  readonly #patternPath: Float64Array

  constructor(grammar: Grammar, trie: TokenTrie) {
    this.grammar = grammar
    this.trie = trie
    this.words = (trie.vocabSize + 31) >> 5
    this.#path = new Array(trie.longest + 1)
    this.#patternPath = new Float64Array(trie.longest + 1)
  }

  matcher(): Matcher {
    this.grammar.trim()
    return new TableMatcher(this, this.grammar.start)
  }

  /** Adds the ids that a stack allows and after which at most `bytesLeft` bytes complete the text. */
  add(stack: Cell, bytesLeft: number, mask: Uint32Array): void {
    let exits = this.#root
    const { shown } = stack.item!
    const top = shown === undefined ? stack : this.grammar.machine.push(shown, stack.below!)
    for (let cell = top; cell.item !== undefined && exits.nodes.length > 0; cell = cell.below!) {
      const item = (this.trie.longest <= ALIKE_BYTES && cell.item.alike) || cell.item
      let part = exits.parts.get(item)
      if (part === undefined) {
        part = this.#part(exits, item)
        this.#remember(exits, item, part)
      }
      const left = bytesLeft - cell.below!.cost
      const string = exits === this.#root ? cell.item.string : undefined
      const { ids, costs } = part
      if ((string === undefined ? part.mostCost : CHARACTER_BYTES + string.least + 1) > left) {
        if (string !== undefined) stringIndex(this.trie).addClosing(string.least, string.most, left, mask)
        for (let i = 0; i < ids.length; i++) if (costs[i]! <= left) mask[ids[i]! >> 5]! |= 1 << (ids[i]! & 31)
      } else if (part.mask === undefined) for (const id of ids) mask[id >> 5]! |= 1 << (id & 31)
      else for (let i = 0; i < mask.length; i++) mask[i]! |= part.mask[i]!
      exits = part.exits
    }
  }

  #remember(exits: Exits, item: Item, part: Part): void {
    this.#partBytes += (part.mask?.byteLength ?? 0) + part.ids.byteLength + part.costs.byteLength + 4 * part.exits.nodes.length + 200
    if (this.#partBytes > MOST_PART_BYTES) {
      this.#root.parts.clear()
      this.#stringParts.clear()
      this.#partBytes = 0
    }
    exits.parts.set(item, part)
  }

  #part(exits: Exits, item: Item): Part {
    if (exits === this.#root && item.string !== undefined) return this.#stringPart(item.string)
    const found = new Findings(this.trie)
    if (item.pattern !== undefined) this.#walkPattern(exits, item.pattern.automaton, item.pattern.position, found)
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

  /** The same walk for a `pattern`, whose automaton is a table. */
  #walkPattern(exits: Exits, automaton: ByteAutomaton, start: number, found: Findings): void {
    const { byte, depth, end } = this.trie
    const path = this.#patternPath
    for (const exit of exits.nodes) {
      path[depth[exit]!] = start
      for (let node = exit + 1; node < end[exit]!; ) {
        const from = path[depth[node]! - 1]!
        const to = automaton.next(from, byte[node]!)
        if (to !== -1) {
          found.tokens(node, automaton.distance(to) + 1)
          path[depth[node]!] = to
          node++
          continue
        }
        if (byte[node] === QUOTE && automaton.accepts(from)) {
          found.tokens(node, 0)
          found.exit(node)
        }
        node = end[node]!
      }
    }
  }

  /** Inside a string nearly every token is allowed. StringIndex answers without a walk. */
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

  /** A shortest completion as tokens, taking the longest token at each step; it ends early beyond `most` tokens. */
  shortestCompletion(from: State, most: number): number[] {
    const { machine } = this.grammar
    const { byte, end, token } = this.trie
    const ids: number[] = []
    for (let state = from; !state.isEnd && ids.length <= most; ) {
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
      if (best === -1) return [] // no token in the vocabulary has this byte
      ids.push(best)
      state = after
    }
    return ids
  }
}

/** Collects the results of a walk over the trie. */
class Findings {
  readonly #trie: TokenTrie
  readonly #ids: number[] = []
  readonly #costs: number[] = []
  readonly #exits: number[] = []
  #mostCost = 0

  constructor(trie: TokenTrie) {
    this.#trie = trie
  }

  /** Records that the tokens ending at a node are allowed, and that `cost` bytes complete the item after them. */
  tokens(node: number, cost: number): void {
    for (let id = this.#trie.token[node]!; id !== -1; id = this.#trie.twin[id]!) {
      this.#ids.push(id)
      this.#costs.push(cost)
      if (cost > this.#mostCost) this.#mostCost = cost
    }
  }

  /** Records that the item may end at a node; the tokens below continue with the next item. */
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
    // A token has at least one byte, so `tokensLeft` tokens reach an end that is `tokensLeft` bytes away.
    const inReach = cost <= tokensLeft
    if (!inReach && this.#force(tokensLeft)) return mask
    const bytesLeft = inReach ? tokensLeft - 1 : Number.POSITIVE_INFINITY
    for (const stack of stacks) this.#table.add(stack, bytesLeft, mask)
    // Only a number too large to end comes no nearer to its end: it goes on until the budget cuts it.
    if (!this.#state.isEnd && mask.every((word) => word === 0))
      for (const stack of stacks) this.#table.add(stack, Number.POSITIVE_INFINITY, mask)
    return mask
  }

  /** One byte per token was too pessimistic. If a shortest completion just fits, only its next token is allowed. */
  #force(tokensLeft: number): boolean {
    if (this.#state.cost > tokensLeft * 8) return false
    const ids = this.#table.shortestCompletion(this.#state, tokensLeft)
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

/** The next byte of a shortest completion. */
function cheapest(machine: Grammar['machine'], from: State): { byte: number; state: State } {
  let best: { byte: number; state: State } | undefined
  for (let byte = 0; byte < 256; byte++) {
    const state = machine.step(from, byte)
    if (state !== null && (best === undefined || state.cost < best.state.cost)) best = { byte, state }
  }
  if (best === undefined) throw new Error('structured output: a state from which nothing leads on')
  return best
}
