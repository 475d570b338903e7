/**
 * A compiled schema: what may be written, independent of any vocabulary. Compiling is bounded by the limits of schema.ts, regex.ts
 * and pattern.ts; most of the automaton is made while text is being written.
 */
import { Items } from './item.ts'
import { Machine, type State } from './machine.ts'
import { readSchema } from './schema.ts'
import { UnsupportedSchemaError } from './unsupported.ts'

export interface Grammar {
  readonly machine: Machine
  readonly start: State
}

/** The schema behind `json_object`: any JSON object. */
export const anyObject = { type: 'object' } as const

/**
 * @param schema a parsed JSON schema
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export function compileSchema(schema: unknown): Grammar {
  const { nodes, root } = readSchema(schema)
  const items = new Items(nodes)
  if (items.nodeCost(root) === Number.POSITIVE_INFINITY) throw new UnsupportedSchemaError('', 'no finite value satisfies it')
  const machine = new Machine()
  return { machine, start: machine.start([items.value(root)]) }
}
