/**
 * Tool names as identifiers, and back. APIs allow `web-search` or `fs.read`; harmony writes functions as TypeScript types,
 * so the model sees `web_search` and `fs_read`, and a call of these is handed out under the name that was given.
 */

export interface ToolNames {
  /** What the model sees. Names that were not offered are mapped by the same rule. */
  toIdentifier(name: string): string
  /** The given name, or undefined when nothing of that name was offered. Accepts a given name too, because models sometimes guess it. */
  toName(identifier: string): string | undefined
}

export function toolNames(names: Iterable<string>): ToolNames {
  const identifiers = new Map<string, string>()
  const originals = new Map<string, string>()
  for (const name of names) {
    if (identifiers.has(name)) continue
    const base = identifierOf(name)
    let identifier = base
    for (let n = 2; originals.has(identifier); n++) identifier = `${base}_${n}`
    identifiers.set(name, identifier)
    originals.set(identifier, name)
  }
  return {
    toIdentifier: (name) => identifiers.get(name) ?? identifierOf(name),
    toName: (identifier) => originals.get(identifier) ?? (identifiers.has(identifier) ? identifier : undefined),
  }
}

function identifierOf(name: string): string {
  const cleaned = name.replace(/[\s.-]/gu, '_').replace(/[^\p{L}\p{N}_$]/gu, '')
  if (cleaned === '') return 'unnamed'
  return /^\p{N}/u.test(cleaned) ? `_${cleaned}` : cleaned
}
