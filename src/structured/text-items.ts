/**
 * The items of texts described by expressions (expression.ts), for the machine that also runs schemas. An item is made
 * when the machine first meets it. Characters are UTF-8, and a set of characters reads its bytes one by one.
 */
import type { Steps } from './cooperative.ts'
import { type Expression, elementsOf, type Rules, references } from './expression.ts'
import { ALIKE_BYTES, choice, costOfSequence, type Draft, type Item, reader, type Sequence } from './item.ts'
import { type CodeRange, common, normalized } from './regex.ts'

/** Texts as a tree of their bytes. Node 0 is the root; parents precede their children. */
interface TextTree {
  readonly name: string
  readonly nodes: readonly { readonly next: ReadonlyMap<number, number>; readonly ends: readonly number[] }[]
  /** [nodes] bytes from each node to the end of what follows the text. */
  readonly costs: readonly number[]
  /** What follows each text. */
  after(text: number): Sequence
}

type Texts = Extract<Expression, { texts: readonly string[] }>
type Repeat = Extract<Expression, { least: number }>

const NEVER = Number.POSITIVE_INFINITY
const utf8 = new TextEncoder()

/** Characters by the number of bytes after their first byte: its fixed bits, a mask for them, and the codes. */
const CHARACTERS: readonly { lead: number; mask: number; codes: readonly CodeRange[] }[] = [
  { lead: 0, mask: 0x80, codes: [[0, 0x7f]] },
  { lead: 0xc0, mask: 0xe0, codes: [[0x80, 0x7ff]] },
  {
    lead: 0xe0,
    mask: 0xf0,
    codes: [
      [0x800, 0xd7ff],
      [0xe000, 0xffff],
    ],
  },
  { lead: 0xf0, mask: 0xf8, codes: [[0x10000, 0x10ffff]] },
]

export class TextItems {
  readonly #rules: ReadonlyMap<string, Expression>
  readonly #items = new Map<string, Item>()
  readonly #numbers = new Map<Expression, number>()
  readonly #ruleCosts: Map<string, number>

  private constructor({ rules }: Rules) {
    this.#rules = rules
    this.#ruleCosts = new Map([...rules.keys()].map((name) => [name, NEVER]))
  }

  /** Computes the cost of every rule: costs only fall, and a rule is looked at again when one that it uses got cheaper. */
  static *of(rules: Rules): Steps<TextItems> {
    const items = new TextItems(rules)
    const users = new Map([...rules.rules.keys()].map((name) => [name, new Set<string>()]))
    for (const [name, body] of rules.rules) for (const used of references(body)) users.get(used)!.add(name)
    const open = new Set(rules.rules.keys())
    for (const name of open) {
      yield
      open.delete(name)
      const cost = items.#cost(rules.rules.get(name)!)
      if (cost >= items.#ruleCosts.get(name)!) continue
      items.#ruleCosts.set(name, cost)
      for (const user of users.get(name)!) open.add(user)
    }
    return items
  }

  /** Length in bytes of the shortest text of a rule; Infinity when it has none. */
  cost(rule: string): number {
    return this.#ruleCosts.get(rule)!
  }

  rule(name: string): Item {
    return this.#item({ rule: name })
  }

  #cost(expression: Expression): number {
    if ('rule' in expression) return this.cost(expression.rule)
    if ('set' in expression) return CHARACTERS.findIndex(({ codes }) => common(expression.set, codes).length > 0) + 1 || NEVER
    if ('sequence' in expression) return expression.sequence.reduce((sum, part) => sum + this.#cost(part), 0)
    if ('either' in expression) return expression.either.reduce((least, part) => Math.min(least, this.#cost(part)), NEVER)
    if ('repeat' in expression) return expression.least === 0 ? 0 : expression.least * this.#cost(expression.repeat)
    const { texts, after } = expression
    return texts.reduce((least, text, i) => Math.min(least, utf8.encode(text).length + (after ? this.#cost(after[i]!) : 0)), NEVER)
  }

  #sequence(expression: Expression): Sequence {
    return elementsOf(expression).map((part) => this.#item(part))
  }

  /** The alternatives that have an end. */
  #alternatives(branches: readonly Expression[]): readonly Sequence[] {
    return branches.filter((branch) => this.#cost(branch) < NEVER).map((branch) => this.#sequence(branch))
  }

  #item(expression: Expression): Item {
    if ('set' in expression) return this.#set(normalized(expression.set))
    if ('rule' in expression) {
      const { rule } = expression
      return this.#intern(`rule ${rule}`, () =>
        choice(
          () => this.#alternatives([this.#rules.get(rule)!]),
          () => this.cost(rule),
        ),
      )
    }
    let number = this.#numbers.get(expression)
    if (number === undefined) this.#numbers.set(expression, (number = this.#numbers.size))
    if ('repeat' in expression) return this.#repeat(expression, `repeat ${number}`, 0)
    if ('texts' in expression) return this.#texts(expression, `texts ${number}`)
    const cost = this.#cost(expression)
    const branches = 'either' in expression ? expression.either : [expression]
    return this.#intern(`either ${number}`, () =>
      choice(
        () => this.#alternatives(branches),
        () => cost,
      ),
    )
  }

  /** The rest of a repetition after `count` rounds; without a limit, rounds above `least` are all alike. */
  #repeat(expression: Repeat, name: string, count: number): Item {
    const { repeat, least, most } = expression
    return this.#intern(`${name} ${count}`, () => {
      const once = this.#cost(repeat)
      const round = (): Sequence => [
        ...this.#sequence(repeat),
        this.#repeat(expression, name, most === NEVER ? Math.min(count + 1, least) : count + 1),
      ]
      const alternatives = () => [...(count >= least ? [[]] : []), ...(count < most && once < NEVER ? [round()] : [])]
      const cost = count >= least ? 0 : (least - count) * once
      // Far from both limits, a repetition goes on as one without limits, so that its tokens are found once.
      const isFar = count >= least && most !== NEVER && most - count > ALIKE_BYTES
      const alike = isFar ? this.#repeat({ repeat, least: 0, most: NEVER }, `${name} without limits`, 0) : undefined
      return { ...choice(alternatives, () => cost), alike }
    })
  }

  #texts({ texts, after }: Texts, name: string): Item {
    const known = this.#items.get(`${name} 0`)
    if (known !== undefined) return known
    const nodes = treeOf(texts)
    const costs = new Array<number>(nodes.length).fill(NEVER)
    for (let index = nodes.length - 1; index >= 0; index--) {
      const { ends, next } = nodes[index]!
      for (const end of ends) costs[index] = Math.min(costs[index]!, after ? this.#cost(after[end]!) : 0)
      for (const child of next.values()) costs[index] = Math.min(costs[index]!, 1 + costs[child]!)
    }
    return this.#textNode({ name, nodes, costs, after: (text) => (after ? this.#sequence(after[text]!) : []) }, 0)
  }

  #textNode(tree: TextTree, index: number): Item {
    const { name, costs, nodes } = tree
    const { next, ends } = nodes[index]!
    const reads = () =>
      this.#intern(`${name} reads ${index}`, () =>
        reader(
          (byte) => {
            const child = next.get(byte)
            return child === undefined || costs[child] === NEVER ? undefined : [this.#textNode(tree, child)]
          },
          () => [...next.values()].reduce((least, child) => Math.min(least, 1 + costs[child]!), NEVER),
        ),
      )
    if (ends.length === 0) return reads()
    return this.#intern(`${name} ${index}`, () => {
      const alternatives = () => [...ends.map(tree.after), ...(next.size > 0 ? [[reads()]] : [])]
      return choice(
        () => alternatives().filter((sequence) => costOfSequence(sequence) < NEVER),
        () => costs[index]!,
      )
    })
  }

  #set(ranges: readonly CodeRange[]): Item {
    return this.#intern(`set ${ranges.join()}`, () => {
      const least = this.#cost({ set: ranges })
      const next = (byte: number) => {
        const more = CHARACTERS.findIndex(({ lead, mask }) => (byte & mask) === lead)
        if (more < 0) return undefined
        const { codes, mask } = CHARACTERS[more]!
        return this.#character(common(ranges, codes), more, (byte & ~mask & 0xff) << (6 * more))
      }
      return reader(next, () => least)
    })
  }

  /** What follows in a character when its first bytes say that its code is at least `low`, and `more` bytes are missing. */
  #character(allowed: readonly CodeRange[], more: number, low: number): Sequence | undefined {
    const high = low + 2 ** (6 * more) - 1
    const within = common(allowed, [[low, high]])
    if (within.length === 0) return undefined
    if (more === 0) return []
    const isWhole = within[0]![0] === low && within[0]![1] === high
    const next = (byte: number) =>
      (byte & 0xc0) === 0x80 ? this.#character(within, more - 1, low + ((byte & 0x3f) << (6 * (more - 1)))) : undefined
    // All characters that are free from here on share one item.
    const free = (byte: number) => ((byte & 0xc0) === 0x80 ? this.#character([[0, 2 ** (6 * (more - 1)) - 1]], more - 1, 0) : undefined)
    return [
      this.#intern(isWhole ? `free ${more}` : `character ${within.join()} ${more} ${low}`, () => reader(isWhole ? free : next, () => more)),
    ]
  }

  #intern(name: string, make: () => Draft): Item {
    let item = this.#items.get(name)
    if (item === undefined) this.#items.set(name, (item = { ...make(), id: this.#items.size }))
    return item
  }
}

function treeOf(texts: readonly string[]): TextTree['nodes'] {
  const nodes: { next: Map<number, number>; ends: number[] }[] = [{ next: new Map(), ends: [] }]
  texts.forEach((text, number) => {
    let at = nodes[0]!
    for (const byte of utf8.encode(text)) {
      let child = at.next.get(byte)
      if (child === undefined) at.next.set(byte, (child = nodes.push({ next: new Map(), ends: [] }) - 1))
      at = nodes[child]!
    }
    at.ends.push(number)
  })
  return nodes
}
