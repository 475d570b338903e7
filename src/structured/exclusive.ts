/** Whether the branches of `oneOf` exclude each other: a cheap check, which may miss that they do. */
import type { Steps } from './cooperative.ts'
import type { NodeId, ObjectNode, SchemaNode } from './schema.ts'
import { kindOf, refuse, schemaLimits } from './schema-fields.ts'

type Shape = Exclude<SchemaNode, { kind: 'either' }>

export class Exclusive {
  readonly #nodes: readonly SchemaNode[]
  readonly #spoken: ReadonlyMap<SchemaNode, readonly string[]>
  #comparisons = 0

  /** @param spoken the types of nodes without `type`: their schemas also allow all values of other types, which are not written */
  constructor(nodes: readonly SchemaNode[], spoken: ReadonlyMap<SchemaNode, readonly string[]>) {
    this.#nodes = nodes
    this.#spoken = spoken
  }

  /** @throws UnsupportedSchemaError at a branch that may have a value in common with an earlier one */
  *check(branches: readonly NodeId[], path: string): Steps<void> {
    for (const [i, branch] of branches.entries())
      for (const before of branches.slice(0, i)) {
        yield
        if (!this.#disjoint(branch, before))
          refuse(
            `${path}/oneOf/${i}`,
            'oneOf is supported only where its branches visibly exclude each other (by a declared type, or by a required property with different constants); use anyOf',
          )
      }
  }

  #disjoint(a: NodeId, b: NodeId): boolean {
    const [left, right] = [this.#shapes(a), this.#shapes(b)]
    this.#compare(left.length * right.length)
    return left.every((x) => right.every((y) => this.#shapesDisjoint(x, y)))
  }

  #compare(count: number): void {
    this.#comparisons += count
    if (this.#comparisons > schemaLimits.comparisons) refuse('', 'the branches of oneOf are too many to tell apart; use anyOf')
  }

  /** The alternatives of a node, without `either`. */
  #shapes(id: NodeId, seen = new Set<NodeId>()): Shape[] {
    if (seen.has(id)) return []
    seen.add(id)
    this.#compare(1)
    const node = this.#nodes[id]!
    return node.kind === 'either' ? node.branches.flatMap((branch) => this.#shapes(branch, seen)) : [node]
  }

  /** Whether a schema without `type` allows values that another writes, because they are of a type that it does not speak of. */
  #isSilent(node: Shape, other: Shape): boolean {
    const spoken = this.#spoken.get(node)
    if (spoken === undefined || other.kind === 'never') return false
    if (other.kind === 'literal') this.#compare(other.texts.length)
    const types = other.kind === 'literal' ? other.texts.map((text) => kindOf(JSON.parse(text))) : [other.kind]
    return types.some((type) => !spoken.includes(type))
  }

  #shapesDisjoint(a: Shape, b: Shape): boolean {
    if (this.#isSilent(a, b) || this.#isSilent(b, a)) return false
    if (a.kind === 'never' || b.kind === 'never') return true
    if (a.kind === 'literal' && b.kind === 'literal') {
      // Two objects or arrays can be equal although their texts differ (order, spelling); numbers, too.
      const names = (text: string) => (/^[{[]/.test(text) ? [text, text[0]!] : /^[-\d]/.test(text) ? [String(Number(text))] : [text])
      const seen = new Set(b.texts.flatMap(names))
      this.#compare(a.texts.length + b.texts.length)
      return !a.texts.some((text) => names(text).some((name) => seen.has(name)))
    }
    if (a.kind === 'literal') return a.texts.every((text) => kindOf(JSON.parse(text)) !== b.kind)
    if (b.kind === 'literal') return this.#shapesDisjoint(b, a)
    if (a.kind !== b.kind) return true
    if (a.kind !== 'object' || b.kind !== 'object') return false
    return this.#objectsDisjoint(a, b)
  }

  #objectsDisjoint(a: ObjectNode, b: ObjectNode): boolean {
    this.#compare(a.properties.length * b.properties.length)
    const lacks = (node: ObjectNode, other: ObjectNode) =>
      node.properties.some(({ name, required }) => required && !other.isOpen && !other.properties.some((mine) => mine.name === name))
    const differs = a.properties.some((mine) => {
      const theirs = b.properties.find(({ name }) => name === mine.name)
      if (theirs === undefined || !mine.required || !theirs.required) return false
      const [left, right] = [this.#shapes(mine.node), this.#shapes(theirs.node)]
      return left.every((x) => right.every((y) => (x.kind !== y.kind || x.kind === 'literal') && this.#shapesDisjoint(x, y)))
    })
    if (differs || lacks(a, b) || lacks(b, a)) return true
    // Where undeclared names are allowed but not written: a value of one lacks a name that the other requires.
    const never = (node: ObjectNode, other: ObjectNode) =>
      node.undeclared.length === 0 &&
      other.properties.some(({ name, required }) => required && !node.properties.some((mine) => mine.name === name))
    return never(a, b) && never(b, a)
  }
}
