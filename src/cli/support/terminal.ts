/**
 * Shared by the commands: colour on terminals, aligned tables, numbers for people, and parsing of sizes.
 */
import { Writable } from 'node:stream'
import { styleText } from 'node:util'
import { InvalidArgumentError } from 'commander'
import { inUnits } from '../../numbers/bytes.ts'

export { binary } from '../../numbers/bytes.ts'

/** Wrong usage that is found after parsing. Exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/** Whether to colour what goes to a stream. Node decides: a terminal, NO_COLOR, FORCE_COLOR, TERM. */
export const coloured = (stream: object = process.stdout): boolean =>
  stream instanceof Writable && styleText('bold', '-', { stream }) !== '-'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan'

/** Adds styles to a text, or returns it unchanged. */
export type Paint = (text: string, ...styles: Style[]) => string

export const painter = (colour: boolean = coloured()): Paint =>
  colour ? (text, ...styles) => (styles.length ? styleText(styles, text, { validateStream: false }) : text) : (text) => text

export interface Cell {
  text: string
  styles?: Style[]
}

/** Characters that take two columns of a terminal. */
const WIDE = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}]/u

/** How many columns of a terminal a text takes. */
export const columnsOf = (text: string): number => [...text].reduce((sum, character) => sum + (WIDE.test(character) ? 2 : 1), 0)

/** Rows of cells as aligned text. `right` selects the columns to align right. */
export function table(rows: (string | Cell)[][], paint: Paint, right: readonly boolean[] = []): string {
  const cells = rows.map((row) => row.map((cell) => (typeof cell === 'string' ? { text: cell } : cell)))
  const widths: number[] = []
  for (const row of cells) {
    for (const [column, { text }] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, columnsOf(text))
  }
  return cells
    .map((row) =>
      row
        .map(({ text, styles = [] }, column) => {
          const gap = ' '.repeat(widths[column]! - columnsOf(text))
          const last = column === row.length - 1
          return right[column] ? gap + paint(text, ...styles) : paint(text, ...styles) + (last ? '' : gap)
        })
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** Columns of the terminal; without a terminal, COLUMNS or no limit. */
export const terminalWidth = (): number => process.stdout.columns || Number(process.env.COLUMNS) || Number.POSITIVE_INFINITY

/** Breaks long cells at spaces into further rows to fit `width`; never the first column. */
export function fitColumns(rows: (string | Cell)[][], width: number): (string | Cell)[][] {
  const textOf = (cell: string | Cell): string => (typeof cell === 'string' ? cell : cell.text)
  const columns = Math.max(...rows.map((row) => row.length))
  const longest = (column: number): number => Math.max(0, ...rows.map((row) => textOf(row[column] ?? '').length))
  const widths = Array.from({ length: columns }, (_, column) => longest(column))
  // Narrow the widest column first, down to a readable minimum.
  while (widths.reduce((sum, each) => sum + each + 2, -2) > width) {
    const widest = widths.indexOf(Math.max(...widths.slice(1)), 1)
    if (widest < 1 || widths[widest]! <= 12) break
    widths[widest]!--
  }
  return rows.flatMap((row) => {
    const lines = row.map((cell, column) => (column ? breakText(textOf(cell), widths[column]!) : [textOf(cell)]))
    const height = Math.max(1, ...lines.map((each) => each.length))
    return Array.from({ length: height }, (_, line) =>
      row.map((cell, column) => {
        const text = lines[column]![line] ?? ''
        return typeof cell === 'string' ? text : { ...cell, text }
      }),
    )
  })
}

function breakText(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(/(?<!×) /)) {
    // Keep '× 32' on one line.
    const joined = lines.length ? `${lines.at(-1)} ${word}` : word
    if (lines.length && joined.length <= width) lines[lines.length - 1] = joined
    else lines.push(word)
  }
  return lines
}

/** 20914757184 -> '20,914,757,184'. */
export const grouped = (count: number): string => count.toLocaleString('en-US')

/** 20914757184 -> '20.91B'; four significant digits at most. */
export const short = (count: number): string => inUnits(count, 1000, ['', 'k', 'M', 'B', 'T'])

const UNITS: Record<string, number> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, ki: 2 ** 10, mi: 2 ** 20, gi: 2 ** 30, ti: 2 ** 40 }

/** '16GB' -> 16e9, '16GiB' -> 2^34, '512B' -> 512. A number alone could mean any unit. For commander's argument parser. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt]i?)b?|b)$/i.exec(text.trim())
  const bytes = match ? Math.floor(Number(match[1]) * UNITS[(match[2] ?? '').toLowerCase()]!) : 0
  if (!bytes || !Number.isSafeInteger(bytes))
    throw new InvalidArgumentError('Expected a size with its unit, such as 16GB, 12.5GiB or 800MB.')
  return bytes
}

/** '131072' or '128k' (= 131072) -> tokens. For commander's argument parser. */
export function parseTokens(text: string): number {
  const match = /^(\d+)(k?)$/i.exec(text.trim())
  const tokens = match ? Number(match[1]) * (match[2] ? 1024 : 1) : 0
  if (!tokens || tokens > 2 ** 31) throw new InvalidArgumentError('Expected a number of tokens such as 8192 or 128k.')
  return tokens
}
