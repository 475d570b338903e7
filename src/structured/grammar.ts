/**
 * A compiled schema: what may be written, independent of any vocabulary. Compiling is bounded by the limits of schema.ts, regex.ts
 * and pattern.ts; most of the automaton is made while text is being written.
 */
import { type Item, Items } from './item.ts'
import { Machine, type State } from './machine.ts'
import { readSchema } from './schema.ts'
import { finish, type Steps } from './slices.ts'
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

  /** Forgets what texts have taught it, when that is much. Texts that are being written go on. */
  trim(): void {
    if (this.#machine.size <= mostCells) return
    this.#machine = new Machine()
    this.#start = undefined
  }
}

/** Stacks that a grammar remembers between texts; each is about 200 bytes. */
const mostCells = 100_000

/** The schema behind `json_object`: any JSON object. */
export const anyObject = { type: 'object' } as const

/**
 * @param schema a parsed JSON schema
 * @throws UnsupportedSchemaError naming the JSON pointer of what can't be enforced
 */
export const compileSchema = (schema: unknown): Grammar => finish(schemaSteps(schema))

/** The same with pauses. */
export function* schemaSteps(schema: unknown): Steps<Grammar> {
  const { nodes, root } = yield* readSchema(schema)
  const items = yield* Items.of(nodes)
  if (items.nodeCost(root) === Number.POSITIVE_INFINITY) throw new UnsupportedSchemaError('', 'no finite value satisfies it')
  return new Grammar(items.value(root))
}
