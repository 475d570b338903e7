/**
 * What a schema is compiled to: nodes that say how a value is written. A node may allow less than its
 * schema, never more: every value written under it is valid. schema-reader.ts makes the nodes.
 */
import type { NumberAutomaton } from './number-automaton.ts'
import type { ByteAutomaton, StringRules } from './pattern.ts'

/** Index of a node; schemas may refer to each other. */
export type NodeId = number

export interface Property {
  readonly name: string
  readonly node: NodeId
  readonly required: boolean
}

/** Properties whose names are not declared. */
export interface Undeclared {
  /** What their names match; undefined: any name. Without an automaton there is no such name. */
  readonly names: { automaton: ByteAutomaton | undefined } | undefined
  readonly node: NodeId
}

export interface LiteralNode {
  readonly kind: 'literal'
  /** One of these JSON texts. */
  texts: readonly string[]
}

export interface StringNode {
  readonly kind: 'string'
  readonly rules: StringRules
  /** The automaton of the rules where they have patterns; `none`: no string satisfies them. */
  pattern: ByteAutomaton | 'none' | undefined
}

export interface NumberNode {
  readonly kind: 'number'
  automaton: NumberAutomaton
  readonly integer: boolean
}

/** `properties` in this order, then any number of undeclared ones. */
export interface ObjectNode {
  readonly kind: 'object'
  readonly properties: readonly Property[]
  readonly undeclared: readonly Undeclared[]
  readonly least: number
  readonly most: number
  /** Whether the schema allows undeclared names, although they may not be written. */
  readonly isOpen: boolean
}

/** The elements of `prefix`, then any number of `items`. */
export interface ArrayNode {
  readonly kind: 'array'
  readonly prefix: readonly NodeId[]
  readonly items: NodeId | undefined
  readonly least: number
  readonly most: number
  /** Where it says that no two elements may be equal; undefined: they may. */
  readonly unique: string | undefined
}

/** A value of one of these. */
export interface EitherNode {
  readonly kind: 'either'
  readonly branches: readonly NodeId[]
  /** The schema that lists them, if one does. */
  readonly path?: string
}

/** No value. */
export interface NeverNode {
  readonly kind: 'never'
}

export type SchemaNode = NeverNode | EitherNode | LiteralNode | StringNode | NumberNode | ObjectNode | ArrayNode

export interface SchemaNodes {
  readonly nodes: readonly SchemaNode[]
  readonly root: NodeId
  /** Why some schemas that hold together have no value, if any. */
  readonly conflict: string | undefined
}

export interface SchemaOptions {
  /**
   * Whether names may be written that an object with `properties` does not declare, where its schema says nothing
   * about them. JSON Schema allows them; `closed` writes only declared ones. Default `closed`.
   */
  undeclared?: 'closed' | 'open' | undefined
}
