/** `$ref`: where in a schema it leads. References to other documents are refused. */
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
    const local = typeof root === 'string' && root !== '' && reference.startsWith(`${root}#`) ? reference.slice(root.length) : reference
    if (/^#(\/|$)/.test(local)) return this.#pointer(local, path)
    this.#named ??= named(this.#schema)
    const found = this.#named.get(local)
    if (found !== undefined) return found
    if (local.startsWith('#')) return refuse(path, `${reference} leads nowhere`)
    return refuse(path, `only references into the same schema (#/…) are supported, got ${JSON.stringify(reference)}`)
  }

  #pointer(reference: string, path: string): Located {
    let schema: unknown = this.#schema
    let at = ''
    for (const part of reference.split('/').slice(1)) {
      const name = attempt(path, () => decodeURIComponent(part))
        .replaceAll('~1', '/')
        .replaceAll('~0', '~')
      if (typeof schema !== 'object' || schema === null || !Object.hasOwn(schema, name)) return refuse(path, `${reference} leads nowhere`)
      schema = (schema as Json)[name]
      at += `/${escapePointer(name)}`
    }
    return { schema, path: at, key: at }
  }
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
