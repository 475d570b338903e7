/**
 * A compiled schema, independent of any vocabulary. The limits in schema.ts, regex.ts and pattern.ts
 * bound the cost of compiling. Most of the automaton is built later, while text is generated.
 */
import { finish, type Steps } from './cooperative.ts'
import type { Item } from './item.ts'
import { Machine, type State } from './machine.ts'
import type { SchemaOptions } from './schema.ts'
import { Items } from './schema-items.ts'
import { readSchema } from './schema-reader.ts'
import { UnsupportedSchemaError } from './unsupported.ts'

export class Grammar {
  readonly #root: Item
  #machine = new Machine()
  #start: State | undefined

  constructor(root: Item) {
    this.#root = root
  }

  get machine(): Machine {
    return this.#machine
  }

  /** The state before the first byte. */
  get start(): State {
    return (this.#start ??= this.#machine.start([this.#root]))
  }

  /** Drops the cached automaton when it has grown large. Texts in progress are not affected. */
  trim(): void {
    if (this.#machine.size <= MOST_CELLS) return
    this.#machine = new Machine()
    this.#start = undefined
  }
}

/** Cells that a grammar caches between texts; each takes about 200 bytes. */
const MOST_CELLS = 100_000

/** The schema behind `json_object`: any JSON object. */
export const anyObject = { type: 'object' } as const

/**
 * @param schema a parsed JSON schema
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export const compileSchema = (schema: unknown, options?: SchemaOptions): Grammar => finish(schemaSteps(schema, options))

/** `compileSchema` as a computation that can be paused. */
export function* schemaSteps(schema: unknown, options?: SchemaOptions): Steps<Grammar> {
  const { nodes, root, conflict } = yield* readSchema(schema, options)
  const items = yield* Items.of(nodes)
  if (items.nodeCost(root) === Number.POSITIVE_INFINITY) {
    throw new UnsupportedSchemaError('', `no finite value satisfies it${conflict === undefined ? '' : ` (${conflict})`}`)
  }
  return new Grammar(items.value(root))
}
