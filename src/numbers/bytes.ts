/** Amounts of bytes for people, everywhere in binary units. */

/** '12.82 GiB', '768 B'; four significant digits at most. */
export const binary = (bytes: number): string => inUnits(bytes, 1024, [' B', ' KiB', ' MiB', ' GiB', ' TiB'])

/** In the largest unit that the value reaches; in the first one as it is. */
export function inUnits(value: number, base: number, units: readonly string[]): string {
  let power = 0
  while (power + 1 < units.length && value >= base ** (power + 1)) power++
  return power === 0 ? `${value}${units[0]}` : `${significant(value / base ** power)}${units[power]}`
}

const significant = (x: number): string => (x >= 1000 ? x.toFixed(0) : x >= 100 ? x.toFixed(1) : x.toFixed(2))
