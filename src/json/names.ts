/** Names that people type: the closest known ones, and objects whose names are all known. */

/** The known names closest to a mistyped one, best first: those that begin with it, then those with the fewest other letters. */
export function closestNames(wanted: string, names: readonly string[], count = 3): string[] {
  const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')
  const target = plain(wanted)
  const begins = (name: string) => target.length > 1 && plain(name).startsWith(target)
  const distance = (name: string) =>
    plain(name) === target ? -2 : begins(name) ? -1 : editDistance(wanted.toLowerCase(), name.toLowerCase())
  return names
    .map((name) => ({ name, distance: distance(name) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ name }) => name)
}

/** How many letters must be changed, added or removed. Levenshtein, one row at a time. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]!
}

/** The first option that does not exist, and what to tell its writer. Options whose values are undefined do not count. */
export function unknownOption(options: object, known: Readonly<Record<string, unknown>>): { name: string; problem: string } | undefined {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(known, name)) continue
    const [closest] = closestNames(name, Object.keys(known), 1)
    const isClose = closest !== undefined && editDistance(name.toLowerCase(), closest.toLowerCase()) <= Math.max(2, name.length / 3)
    return { name, problem: `there is no such option${isClose ? `; did you mean ${closest}?` : ''}` }
  }
  return undefined
}
