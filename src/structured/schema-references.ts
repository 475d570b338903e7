/**
 * `$ref`: where in a schema it leads. References to other documents are refused. A pointer (`#/…`) begins at the nearest
 * schema around the reference that has an `$id`, as JSON Schema says (2020-12, section 8.2.1); where it leads nowhere from
 * there, at the root, as some generators mean it.
 */
import type { Json } from '../json/json.ts'
import { attempt, escapePointer, type Located, refuse } from './schema-fields.ts'

export class References {
  readonly #schema: unknown
  /** Schemas by `$id` and by `#$anchor`; made when a reference is no pointer. */
  #named: Map<string, Located> | undefined

  constructor(schema: unknown) {
    this.#schema = schema
  }

  find(reference: unknown, path: string): Located {
    if (typeof reference !== 'string') return refuse(path, `expected a reference, got ${JSON.stringify(reference)}`)
    const root = (this.#schema as Json).$id
    const isOfRoot = typeof root === 'string' && root !== '' && reference.startsWith(`${root}#`)
    const local = isOfRoot ? reference.slice(root.length) : reference
    if (/^#(\/|$)/.test(local)) {
      const names = local.split('/').slice(1)
      const steps = names.map((name) => unescaped(attempt(path, () => decodeURIComponent(name))))
      const whole = { schema: this.#schema, path: '', key: '' }
      const found = (isOfRoot ? undefined : walk(this.#resource(path), steps)) ?? walk(whole, steps)
      return found ?? refuse(path, `${reference} leads nowhere`)
    }
    this.#named ??= named(this.#schema)
    const found = this.#named.get(local)
    if (found !== undefined) return found
    if (local.startsWith('#')) return refuse(path, `${reference} leads nowhere`)
    return refuse(path, `only references into the same schema (#/…) are supported, got ${JSON.stringify(reference)}`)
  }

  /** The nearest schema around a keyword that has an `$id`, or the root. */
  #resource(path: string): Located {
    let at: Located = { schema: this.#schema, path: '', key: '' }
    let nearest = at
    for (const name of path.split('/').slice(1, -1)) {
      const next = walk(at, [unescaped(name)])
      if (next === undefined) break
      at = next
      const { $id } = (typeof at.schema === 'object' && at.schema !== null ? at.schema : {}) as Json
      if (typeof $id === 'string' && !$id.startsWith('#')) nearest = at
    }
    return nearest
  }
}

/** What lies at the end of these steps; undefined when one of them is not there. */
function walk(from: Located, steps: readonly string[]): Located | undefined {
  let { schema, path } = from
  for (const name of steps) {
    if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, name)) return undefined
    schema = (schema as Json)[name]
    path += `/${escapePointer(name)}`
  }
  return { schema, path, key: path }
}

function unescaped(name: string): string {
  return name.replaceAll('~1', '/').replaceAll('~0', '~')
}

function named(schema: unknown): Map<string, Located> {
  const found = new Map<string, Located>()
  const open = [{ schema, path: '' }]
  for (const { schema: at, path } of open) {
    if (typeof at !== 'object' || at === null) continue
    const { $id, $anchor } = at as Json
    for (const name of [$id, typeof $anchor === 'string' ? `#${$anchor}` : undefined])
      if (typeof name === 'string' && !found.has(name)) found.set(name, { schema: at, path, key: path })
    for (const [name, value] of Object.entries(at)) open.push({ schema: value, path: `${path}/${escapePointer(name)}` })
  }
  return found
}
