/**
 * The items of a schema's nodes: how each value is written. They are built when the machine first
 * meets them.
 */
import type { Steps } from './cooperative.ts'
import { barrier, distinct, Earlier, fresh, recorded, shortest } from './distinct.ts'
import { choice, costOfSequence, type Draft, type Item, noBytes, oneByte, reader, type Sequence } from './item.ts'
import type { NumberAutomaton } from './number-automaton.ts'
import { ByteAutomaton } from './pattern.ts'
import type { ArrayNode, EitherNode, NodeId, ObjectNode, Property, SchemaNode, Undeclared } from './schema.ts'
import { refuse, schemaLimits } from './schema-fields.ts'
import { bytesToClean, clean, closed, nextPhase } from './string-body.ts'
import { type TextTrie, textNodes } from './text-trie.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const utf8 = new TextEncoder()

/** The items of one schema. */
export class Items {
  readonly #nodes: readonly SchemaNode[]
  readonly #items = new Map<string, Item>()
  readonly #tries = new Map<string, TextTrie>()
  readonly #costs = new Map<string, Float64Array>()
  readonly #nodeCost: number[]
  /** Texts of a node that all differ, shortest first, as many as were asked for so far. */
  readonly #different = new Map<NodeId, string[]>()

  private constructor(nodes: readonly SchemaNode[]) {
    this.#nodes = nodes
    this.#nodeCost = nodes.map(() => Number.POSITIVE_INFINITY)
  }

  static *of(nodes: readonly SchemaNode[]): Steps<Items> {
    const items = new Items(nodes)
    yield* items.#measure()
    const unique = nodes.filter((node): node is ArrayNode => node.kind === 'array' && node.unique !== undefined && node.least > 1)
    for (const node of unique) yield* items.#measureUnique(node)
    if (unique.length > 0) yield* items.#measure()
    yield* items.#checkChoices()
    return items
  }

  /** The cost of every node. */
  *#measure(): Steps<void> {
    const nodes = this.#nodes
    this.#nodeCost.fill(Number.POSITIVE_INFINITY)
    for (let changed = true; changed; ) {
      changed = false
      // Children mostly follow their parents, so go backwards.
      for (let id = nodes.length - 1; id >= 0; id--) {
        if (id % 16 === 0) yield
        const cost = this.#costOf(nodes[id]!)
        changed ||= cost < this.#nodeCost[id]!
        this.#nodeCost[id] = Math.min(cost, this.#nodeCost[id]!)
      }
    }
  }

  /** Finds the shortest elements that all differ. */
  *#measureUnique(node: ArrayNode): Steps<void> {
    if (node.items === undefined || this.#nodeCost[node.items] === Number.POSITIVE_INFINITY) return
    for (let count = 1; count <= node.least; count++) {
      yield
      if (!this.#hasDifferent(node.items, count))
        return refuse(node.unique!, `there are only ${count - 1} different elements, and minItems is ${node.least}`)
    }
  }

  /** Whether a node has so many different values. */
  #hasDifferent(id: NodeId, count: number): boolean {
    const texts = this.#different.get(id) ?? []
    this.#different.set(id, texts)
    while (texts.length < count) {
      const bytes = shortest([this.value(id)], new Earlier(texts))
      if (bytes === undefined) return false
      texts.push(new TextDecoder().decode(Uint8Array.from(bytes)))
    }
    return true
  }

  /** @throws UnsupportedSchemaError at a choice with more alternatives than the machine follows */
  *#checkChoices(): Steps<void> {
    const checked = new Set<NodeId>()
    for (const [id, node] of this.#nodes.entries()) {
      yield
      if (node.kind !== 'either' || node.path === undefined || checked.has(id)) continue
      let count = 0
      const open = new Set([id])
      for (const each of open) {
        const inner = this.#nodes[each]!
        const { texts, others } = inner.kind === 'either' ? this.#alternatives(inner) : { texts: [each], others: [] }
        if (texts.length > 0) count++
        for (const other of others) open.add(other)
      }
      const most = schemaLimits.alternatives
      if (count > most)
        refuse(node.path, `${count} alternatives of anyOf or oneOf; at most ${most} are supported, all constants of a list counted as one`)
      for (const each of open) checked.add(each) // a choice inside another has no more alternatives
    }
  }

  /** The alternatives of a choice that have a value: its constants, and the other nodes. */
  #alternatives({ branches }: EitherNode): { texts: string[]; others: NodeId[] } {
    const texts: string[] = []
    const others: NodeId[] = []
    for (const id of branches) {
      if (this.#nodeCost[id] === Number.POSITIVE_INFINITY) continue
      const node = this.#nodes[id]!
      const target = this.#behindReferences(node)
      // A list behind a reference stays apart, because many places may share it.
      if (target.kind === 'literal' && (target === node || target.texts.length === 1)) for (const text of target.texts) texts.push(text)
      else others.push(id)
    }
    return { texts, others }
  }

  #behindReferences(node: SchemaNode): SchemaNode {
    let target = node // it has a value, so the references end
    while (target.kind === 'either' && target.branches.length === 1) target = this.#nodes[target.branches[0]!]!
    return target
  }

  /** Length in bytes of the shortest value of a node; Infinity when no finite value exists. */
  nodeCost(node: NodeId): number {
    return this.#nodeCost[node]!
  }

  #costOf(node: SchemaNode): number {
    switch (node.kind) {
      case 'never':
        return Number.POSITIVE_INFINITY
      case 'either':
        return Math.min(...node.branches.map((branch) => this.#nodeCost[branch]!))
      case 'literal':
        return node.texts.reduce((least, text) => Math.min(least, utf8.encode(text).length), Number.POSITIVE_INFINITY)
      case 'string':
        if (node.pattern === 'none') return Number.POSITIVE_INFINITY
        return 2 + (node.pattern === undefined ? node.rules.least : node.pattern.distance(0))
      case 'number':
        return node.automaton.distance(node.automaton.start)
      case 'object':
        return 1 + this.#membersCost(node, 0, 0)
      case 'array':
        return 1 + (node.unique !== undefined && node.items !== undefined ? this.#uniqueCost(node, 0) : this.#elementsCost(node, 0))
    }
  }

  value(id: NodeId): Item {
    const cost = () => this.#nodeCost[id]!
    return this.#intern(`value ${id}`, () => choice(() => this.#valueAlternatives(this.#nodes[id]!, id), cost))
  }

  #valueAlternatives(node: SchemaNode, id: NodeId): readonly Sequence[] {
    switch (node.kind) {
      case 'never':
        return []
      case 'either':
        return this.#branches(node, id)
      case 'literal': {
        const literals = this.#trie(`literal ${id}`, () => node.texts)
        return [[this.#text(`literal ${id}`, literals, 0, () => [])]]
      }
      case 'string': {
        const { rules, pattern } = node
        const body = pattern instanceof ByteAutomaton ? this.#patternBody(pattern, 0) : this.#stringBody(rules.least, rules.most, clean)
        return [[this.#byte('"'), body]]
      }
      case 'number':
        return [[this.#number(node.automaton, node.automaton.start)]]
      case 'object':
        return [[this.#byte('{'), this.#members(node, id, 0, 0)]]
      case 'array':
        return [[this.#byte('['), node.unique === undefined ? this.#elements(node, id, 0) : this.#uniqueElements(node, [])]]
    }
  }

  /** All constants share a trie, because the machine follows only so many alternatives. */
  #branches(node: EitherNode, id: NodeId): readonly Sequence[] {
    const { texts, others } = this.#alternatives(node)
    const name = `constants ${id}`
    const constants =
      texts.length === 0
        ? []
        : [
            [
              this.#text(
                name,
                this.#trie(name, () => texts),
                0,
                () => [],
              ),
            ],
          ]
    return [...constants, ...others.map((other) => [this.value(other)])]
  }

  /** The rest of an object. Undeclared names come last. While they count toward `least`, they must all differ. */
  #members(node: ObjectNode, id: NodeId, index: number, count: number): Item {
    const { properties, least, most } = node
    const counted = Math.min(count, Math.max(least, most === Number.POSITIVE_INFINITY ? 1 : most))
    const alternatives = (): Sequence[] => {
      const sequences: Sequence[] = []
      const groups = this.#groups(node)
      const required = properties.slice(index).some((property) => property.required)
      if (!required && counted >= least) sequences.push([this.#byte('}')])
      const before = counted > 0 ? [this.#byte(','), this.#optionalBlank()] : []
      // Declared properties that may come next: up to the first required one, while enough others remain.
      const candidates: number[] = []
      for (let i = index; i < properties.length; i++) {
        const later = properties.slice(i + 1)
        const reachable = counted + 1 + later.filter((property) => this.#isUsable(property)).length + this.#moreNames(node)
        const needed = counted + 1 + later.filter((property) => property.required).length
        if (this.#isUsable(properties[i]!) && reachable >= least && needed <= most) candidates.push(i)
        if (properties[i]!.required) break
      }
      if (candidates.length > 0) {
        const names = this.#trie(`names ${id} ${candidates.join()}`, () => candidates.map((i) => JSON.stringify(properties[i]!.name)))
        const after = (chosen: number): Sequence => {
          const i = candidates[chosen]!
          return [this.#byte(':'), this.#optionalBlank(), this.value(properties[i]!.node), this.#members(node, id, i + 1, counted + 1)]
        }
        sequences.push([...before, this.#text(`name ${id} ${index} ${counted}`, names, 0, after)])
      }
      const written = index > properties.length // an undeclared property was already written
      if (!required && counted + 1 < least && this.#moreNames(node) > 1) sequences.push(this.#counted(node, id, counted, []))
      else if (groups.length > 0 && !required && counted + 1 <= most && (written || counted + 1 >= least)) {
        const rest = this.#members(node, id, properties.length + 1, Math.max(least, counted + 1))
        for (const { names, node: value } of groups) {
          const name = names?.automaton === undefined ? this.#otherName(this.#declared(node, id), 0) : this.#patternBody(names.automaton, 0)
          sequences.push([...before, this.#byte('"'), name, this.#byte(':'), this.#optionalBlank(), this.value(value), rest])
        }
      }
      return sequences
    }
    return this.#intern(`members ${id} ${index} ${counted}`, () => choice(alternatives, () => this.#membersCost(node, index, counted)))
  }

  /** The cost of the required members plus the cheapest others up to `least`. */
  #membersCost(node: ObjectNode, index: number, count: number): number {
    const cost = ({ name, node: value }: Property) => utf8.encode(JSON.stringify(name)).length + 1 + this.#nodeCost[value]!
    const rest = node.properties.slice(index)
    const required = rest.filter((property) => property.required).map(cost)
    const others = rest.filter((property) => !property.required && this.#isUsable(property)).map(cost)
    const undeclared = this.#groups(node).map(({ names, node: value }) => 3 + (names?.automaton?.distance(0) ?? 1) + this.#nodeCost[value]!)
    const missing = Math.max(0, node.least - count - required.length)
    // Beyond the first, a name needs a character or two to differ.
    const names = Math.min(missing, this.#moreNames(node))
    for (let i = 0; i < names; i++) others.push(Math.min(...undeclared) + (i === 0 ? 0 : names > 80 ? 2 : 1))
    const chosen = [...required, ...others.sort((a, b) => a - b).slice(0, missing)]
    if (missing > others.length || count + chosen.length > node.most) return Number.POSITIVE_INFINITY
    const commas = Math.max(0, chosen.length - (count > 0 ? 0 : 1))
    return chosen.reduce((sum, part) => sum + part, 1 + commas)
  }

  #isUsable(property: Property): boolean {
    return this.#nodeCost[property.node]! < Number.POSITIVE_INFINITY
  }

  /** The undeclared names that may be written. */
  #groups({ undeclared }: ObjectNode): Undeclared[] {
    return undeclared.filter(
      ({ names, node }) => this.#nodeCost[node]! < Number.POSITIVE_INFINITY && (names === undefined || names.automaton !== undefined),
    )
  }

  /** How many more undeclared names may count toward `least`. */
  #moreNames(node: ObjectNode): number {
    const groups = this.#groups(node)
    return groups.length === 0 ? 0 : groups.some(({ names }) => names === undefined) ? Number.POSITIVE_INFINITY : 1
  }

  /** An undeclared property that counts toward `least`, and the rest of the object. */
  #counted(node: ObjectNode, id: NodeId, count: number, names: readonly string[]): Sequence {
    const { node: value } = this.#groups(node).find((group) => group.names === undefined)!
    const earlier = new Earlier([...node.properties.map(({ name }) => JSON.stringify(name)), ...names])
    const before = count > 0 ? [this.#byte(','), this.#optionalBlank()] : []
    const name = [this.#byte('"'), this.#stringBody(0, Number.POSITIVE_INFINITY, clean)]
    const member = [this.#byte(':'), this.#optionalBlank(), this.value(value)]
    const rest = this.#membersCost(node, node.properties.length + 1, count + 1)
    if (count + 1 >= node.least)
      return [...before, ...distinct(name, earlier), ...member, this.#members(node, id, node.properties.length + 1, count + 1)]
    return [
      ...before,
      ...recorded(name, earlier, {
        following: (text) => [...member, ...this.#counted(node, id, count + 1, [...names, text])],
        shown: [...member, barrier(rest)],
        cost: costOfSequence(member) + rest,
      }),
    ]
  }

  #declared({ properties }: ObjectNode, id: NodeId): TextTrie {
    return this.#trie(`declared ${id}`, () => properties.map(({ name }) => name))
  }

  /** The rest of an array with `count` elements. */
  #elements(node: ArrayNode, id: NodeId, count: number): Item {
    const { prefix, items, least, most } = node
    const counted = most === Number.POSITIVE_INFINITY ? Math.min(count, Math.max(least, prefix.length, 1)) : count
    const alternatives = (): Sequence[] => {
      const sequences: Sequence[] = []
      if (counted >= least) sequences.push([this.#byte(']')])
      const next = counted < prefix.length ? prefix[counted] : items
      if (next !== undefined && counted < most && this.#nodeCost[next]! < Number.POSITIVE_INFINITY) {
        const before = counted > 0 ? [this.#byte(','), this.#optionalBlank()] : []
        sequences.push([...before, this.value(next), this.#elements(node, id, counted + 1)])
      }
      return sequences
    }
    return this.#intern(`elements ${id} ${counted}`, () => choice(alternatives, () => this.#elementsCost(node, counted)))
  }

  /** The rest of an array whose elements all differ, after those that are used. */
  #uniqueElements(node: ArrayNode, used: readonly string[]): Item {
    const { items, least, most } = node
    const count = used.length
    const comma = [this.#byte(','), this.#optionalBlank()]
    const cost = () => this.#uniqueCost(node, count)
    const alternatives = (): Sequence[] => {
      const sequences: Sequence[] = count >= least ? [[this.#byte(']')]] : []
      if (items === undefined || count >= most || this.#nodeCost[items] === Number.POSITIVE_INFINITY) return sequences
      const rest = this.#uniqueCost(node, count + 1)
      const mayEnd = count + 1 >= least ? [[this.#byte(']')]] : []
      const mayGoOn = this.#hasAnother(node, count + 1) ? [[...comma, barrier(this.#uniqueCost(node, count + 1, count + 2) - 1)]] : []
      const element = recorded([this.value(items)], new Earlier(used), {
        following: (text) => [this.#uniqueElements(node, [...used, text])],
        shown: [
          fresh(
            choice(
              () => [...mayEnd, ...mayGoOn],
              () => (mayEnd.length > 0 ? 1 : rest),
            ),
          ),
        ],
        cost: rest,
      })
      if (costOfSequence(element) < Number.POSITIVE_INFINITY) sequences.push([...(count > 0 ? comma : []), ...element])
      return sequences
    }
    return fresh(choice(alternatives, cost))
  }

  /** Whether an element certainly differs from any `count` others. One with an escape may not: it is not written after them all. */
  #hasAnother({ items, most }: ArrayNode, count: number): boolean {
    if (count >= most || !this.#hasDifferent(items!, count + 1)) return false
    return !this.#different
      .get(items!)!
      .slice(0, count + 1)
      .some((text) => text.includes('\\'))
  }

  /** @param least how many elements there are in the end, at least */
  #uniqueCost(node: ArrayNode, count: number, least = 0): number {
    const texts = this.#different.get(node.items!) ?? []
    let cost = 1
    for (let i = count; i < Math.max(node.least, least); i++)
      cost += (texts[i] === undefined ? this.#nodeCost[node.items!]! : utf8.encode(texts[i]).length) + (i > 0 ? 1 : 0)
    return cost
  }

  /** In closed form, because an array may require thousands of elements. */
  #elementsCost(node: ArrayNode, count: number): number {
    let cost = 1
    for (let i = count; i < node.least; i++) {
      const next = i < node.prefix.length ? node.prefix[i] : node.items
      if (next === undefined) return Number.POSITIVE_INFINITY
      if (i >= node.prefix.length) return cost + (node.least - i) * this.#nodeCost[next]! + (node.least - Math.max(i, 1))
      cost += this.#nodeCost[next]! + (i > 0 ? 1 : 0)
    }
    return cost
  }

  #stringBody(least: number, most: number, phase: number): Item {
    return this.#intern(`string ${least} ${most} ${phase}`, () => ({
      alternatives: undefined,
      string: phase === clean ? { least, most } : undefined,
      pattern: undefined,
      cost: () => bytesToClean[phase]! + least + 1,
      next: (byte) => {
        const to = nextPhase[phase * 256 + byte]!
        if (to === 0) return undefined
        if (to === closed) return least > 0 ? undefined : []
        if (phase !== clean) return [this.#stringBody(least, most, to)]
        return most > 0 ? [this.#stringBody(Math.max(0, least - 1), most - 1, to)] : undefined
      },
    }))
  }

  #patternBody(automaton: ByteAutomaton, position: number): Item {
    return this.#intern(`pattern ${automaton.name} ${position}`, () => ({
      alternatives: undefined,
      string: undefined,
      pattern: { automaton, position },
      cost: () => automaton.distance(position) + 1,
      next: (byte) => {
        const to = automaton.next(position, byte)
        if (to !== -1) return [this.#patternBody(automaton, to)]
        return byte === QUOTE && automaton.accepts(position) ? [] : undefined
      },
    }))
  }

  /** An undeclared property name. Escapes are not allowed while it is a prefix of a declared name. */
  #otherName(declared: TextTrie, index: number): Item {
    const { phase, next, end } = declared.nodes[index]!
    return this.#intern(`other ${declared.name} ${index}`, () =>
      reader(
        (byte) => {
          if (phase === clean && byte === QUOTE) return end === undefined ? [] : undefined
          const to = byte === BACKSLASH ? 0 : nextPhase[phase * 256 + byte]!
          if (to === 0) return undefined
          const child = next.get(byte)
          return [child === undefined ? this.#stringBody(0, Number.POSITIVE_INFINITY, to) : this.#otherName(declared, child)]
        },
        () => bytesToClean[phase]! + (phase === clean && end !== undefined ? 2 : 1),
      ),
    )
  }

  #number(automaton: NumberAutomaton, state: string): Item {
    const reads = this.#intern(`digit ${automaton.name} ${state}`, () =>
      reader(
        (byte) => {
          const to = automaton.next(state, String.fromCharCode(byte))
          return to === undefined ? undefined : [this.#number(automaton, to)]
        },
        () => Math.max(1, automaton.distance(state)),
      ),
    )
    if (!automaton.canEnd(state)) return reads
    return this.#intern(`number ${automaton.name} ${state}`, () => choice(() => [[], [reads]], noBytes))
  }

  /**
   * The rest of one of the texts of a trie.
   * @param name identifies the trie and what follows it, for interning
   * @param after the items that follow the chosen text
   */
  #text(name: string, trie: TextTrie, index: number, after: (chosen: number) => Sequence): Item {
    const { next, end } = trie.nodes[index]!
    const reads = this.#intern(`text ${name} ${index}`, () =>
      reader(
        (byte) => {
          const child = next.get(byte)
          if (child === undefined) return undefined
          const node = trie.nodes[child]!
          return node.end !== undefined && node.next.size === 0 ? after(node.end) : [this.#text(name, trie, child, after)]
        },
        () => this.#textCosts(name, trie, after)[index]!,
      ),
    )
    if (end === undefined) return reads
    return this.#intern(`end of ${name} ${index}`, () =>
      choice(
        () => [after(end), [reads]],
        () => Math.min(costOfSequence(after(end)), reads.cost()),
      ),
    )
  }

  /** [nodes] bytes from each node (at least one) to the end of what follows the text. */
  #textCosts(name: string, trie: TextTrie, after: (chosen: number) => Sequence): Float64Array {
    let costs = this.#costs.get(name)
    if (costs !== undefined) return costs
    costs = new Float64Array(trie.nodes.length).fill(Number.POSITIVE_INFINITY)
    for (let index = trie.nodes.length - 1; index >= 0; index--)
      for (const child of trie.nodes[index]!.next.values()) {
        const { end } = trie.nodes[child]!
        const here = Math.min(costs[child]!, end === undefined ? Number.POSITIVE_INFINITY : costOfSequence(after(end)))
        costs[index] = Math.min(costs[index]!, 1 + here)
      }
    this.#costs.set(name, costs)
    return costs
  }

  #byte(character: string): Item {
    const expected = character.charCodeAt(0)
    return this.#intern(`byte ${character}`, () => reader((byte) => (byte === expected ? [] : undefined), oneByte))
  }

  /** At most one space after a comma or colon, so that a model cannot write white space without end. */
  #optionalBlank(): Item {
    return this.#intern('blank', () => choice(() => [[], [this.#byte(' ')]], noBytes))
  }

  #trie(name: string, texts: () => readonly string[]): TextTrie {
    let trie = this.#tries.get(name)
    if (trie === undefined) this.#tries.set(name, (trie = { name, nodes: textNodes(texts()) }))
    return trie
  }

  #intern(name: string, make: () => Draft): Item {
    let item = this.#items.get(name)
    if (item === undefined) this.#items.set(name, (item = { ...make(), id: this.#items.size }))
    return item
  }
}
