/**
 * Tool names as identifiers, and back. APIs allow `web-search` or `fs.read`; harmony writes functions as TypeScript types,
 * so the model sees `web_search` and `fs_read`, and a call of these is handed out under the name that was given.
 */

export interface ToolNames {
  /** What the model sees. Names that were not offered are mapped by the same rule. */
  toIdentifier(name: string): string
  /** The given name, or undefined when nothing of that name was offered. Accepts a given name too, because models sometimes guess it. */
  toName(identifier: string): string | undefined
  /** The same for a name that the model may have misspelt: where only the prefix, the case or punctuation around it is wrong. */
  toLikelyName(text: string): string | undefined
  /** The most ids that one of the names can take: its bytes. */
  readonly longest: number
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
  const toName = (identifier: string) => originals.get(identifier) ?? (identifiers.has(identifier) ? identifier : undefined)
  const plain = new Map<string, string | undefined>()
  // Of two names that differ in their case only, neither is the likely one.
  for (const [identifier, name] of originals) plain.set(identifier.toLowerCase(), plain.has(identifier.toLowerCase()) ? undefined : name)
  return {
    toIdentifier: (name) => identifiers.get(name) ?? identifierOf(name),
    toName,
    toLikelyName(text) {
      let name = text.replace(/^[^\p{L}\p{N}_$]+|[^\p{L}\p{N}_$]+$/gu, '')
      for (;;) {
        const found = toName(name) ?? plain.get(identifierOf(name).toLowerCase())
        const shorter = name.replace(PREFIX, '')
        if (found !== undefined || shorter === name) return found
        name = shorter
      }
    },
    longest: Math.max(0, ...[...identifiers].flat().map((name) => new TextEncoder().encode(name).length)),
  }
}

/** Namespaces that models write in front of a name, and what they put between. */
const PREFIX = /^(?:functions?|tools?)[^\p{L}\p{N}$]+/iu

function identifierOf(name: string): string {
  const cleaned = name.replace(/[\s.-]/gu, '_').replace(/[^\p{L}\p{N}_$]/gu, '')
  if (cleaned === '') return 'unnamed'
  return /^\p{N}/u.test(cleaned) ? `_${cleaned}` : cleaned
}
