/**
 * The answer in a generated text, and whether it is the right one. The ways follow what the published evaluations do: gpt-oss' AIME and GPQA,
 * simple-evals' MMLU, lm-evaluation-harness' GSM8K.
 */

/** The answer, or undefined where the text has none. */
export type Extraction = (text: string, options: number) => string | undefined

const NUMBER = /-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+/g

/** The text with a hyphen for the minus of typesetting (U+2212). */
const withHyphens = (text: string): string => text.replaceAll('\u2212', '-')

export const EXTRACTIONS = {
  /** The whole text. */
  text: (text: string) => text.trim() || undefined,
  /** The last \boxed{…} (or \fbox, \framebox) that is not empty; braces may nest. */
  boxed,
  /** The last number, commas of thousands left out. The minus may be that of typesetting (U+2212). */
  number: (text: string) => lastOf(withHyphens(text).matchAll(NUMBER))?.replaceAll(',', ''),
  /** The last run of digits. */
  integer: (text: string) => lastOf(text.matchAll(/\d+/g)),
  /** The first line that is not empty. */
  line: (text: string) =>
    text
      .split('\n')
      .map((line) => line.trim())
      .find((line) => line !== ''),
  /** One of the letters A, B, C, … of the options. */
  letter,
} satisfies Record<string, Extraction>

export function regexExtraction(pattern: RegExp, group: number, which: 'first' | 'last'): Extraction {
  return (text) => {
    const found = [...text.matchAll(pattern)]
    const match = which === 'first' ? found[0] : found.at(-1)
    // Without such a group, the whole match counts; of alternatives the group that took part.
    return match && (match[group] ?? match.slice(1).find((each) => each !== undefined) ?? match[0]).trim()
  }
}

function lastOf(matches: Iterable<RegExpMatchArray>): string | undefined {
  return [...matches].at(-1)?.[0]
}

function boxed(text: string): string | undefined {
  const boxes = new Set([...text.matchAll(/\\?(?:boxed|framebox|fbox)\s{0,3}\{/g)].map((match) => match.index + match[0].length))
  let best = { from: -1, inner: undefined as string | undefined }
  const open: number[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '\\') at++
    else if (char === '{') open.push(at + 1)
    else if (char === '}') {
      const from = open.pop() ?? -1
      const inner = boxes.has(from) && from > best.from ? text.slice(from, at).trim() : ''
      if (inner !== '') best = { from, inner }
    }
  }
  return best.inner
}

/** From the plainest statement to the vaguest; of one kind the last one counts, because models correct themselves. */
function letter(text: string, options: number): string | undefined {
  const last = String.fromCharCode(64 + Math.min(26, Math.max(1, options || 4)))
  const L = `[A-${last}]`
  // Bounded gaps, because a model may repeat a blank without end.
  const gap = '[*_\\s]{0,6}'
  const said = (word: string) =>
    `\\b${word}s?\\b${gap}(?:is|are|(?:must|should|would) be)?${gap}[:\\-–]?${gap}(?:option|choice)?${gap}[($["'\\\\]{0,3}(?:\\\\?(?:boxed|text|math)[a-z]{0,3}\\{){0,2}[(\\s]?(${L})(?![A-Za-z0-9])`
  const ways = [
    said('answer'),
    `\\bboxed\\{[^}]{0,80}?(?<![A-Za-z])(${L})(?![A-Za-z])[^}]{0,400}\\}`,
    said('(?:option|choice|letter)'),
    `(?<![A-Za-z0-9])[([]\\s?(${L})\\s?[)\\]](?![A-Za-z0-9])`,
    `(?<![A-Za-z0-9*_])(?:\\*{1,2}|_{1,2})(${L})[).:]?(?:\\*{1,2}|_{1,2})(?![A-Za-z0-9])`,
    `^[ \\t]{0,8}(?:\\*{1,2}|_{1,2})?(${L})(?:\\*{1,2}|_{1,2})?[ \\t]{0,8}(?:[.):]|$)`,
    `(?<![A-Za-z0-9])(${L})["'*_).}\\s]{0,6}$`,
  ]
  for (const way of ways) {
    // The words may be written in any way; an answer is a capital.
    const found = [...text.matchAll(new RegExp(way, 'gim'))].filter(([, given]) => given === given!.toUpperCase())
    if (found.length > 0) return found.at(-1)![1]
  }
  return undefined
}

/** Whether an extracted answer is the right one. */
export function isRight(given: string | undefined, right: unknown, compare: 'number' | 'text'): boolean {
  if (given === undefined) return false
  return compare === 'number' ? sameNumber(given, String(right)) : canonical(given) === canonical(String(right))
}

/** The form in which answers are compared and counted: without case, outer blanks, quotes and a full stop. */
export const canonical = (text: string): string =>
  text
    .normalize('NFKC')
    .trim()
    .replace(/^["'`*_$]+|["'`*_$.]+$/g, '')
    .replace(/\s+/g, ' ')
    .toLowerCase()

function sameNumber(given: string, right: string): boolean {
  const [a, b] = [numberOf(given), numberOf(right)]
  if (a === undefined || b === undefined) return canonical(given) === canonical(right)
  return Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b))
}

/** '$1,234.50', '072', '42 apples', '\frac{1}{2}' -> a number; undefined where there is none, or more than one. */
export function numberOf(text: string): number | undefined {
  const plain = withHyphens(text)
    .replace(/\\[dt]?frac\{(-?\d+)\}\{(-?\d+)\}/g, '$1/$2')
    .replace(/\\[!,; ]|[$€£°\s]|\{,\}/g, '')
    .replace(/^.*=/s, '')
  const fraction = /^(-?\d+)\/(\d+)$/.exec(plain)
  if (fraction) return Number(fraction[1]) / Number(fraction[2])
  const numbers = [...plain.matchAll(NUMBER)]
  return numbers.length === 1 ? Number(numbers[0]![0].replaceAll(',', '')) : undefined
}

/**
 * The program in an answer: of the fenced blocks that are closed the first one that defines the function `entry`, else the first one
 * (simple-evals' humaneval_eval.py takes the first); without one what follows an open fence; else the whole text.
 */
export function codeOf(text: string, entry?: string): string {
  const blocks = [...text.matchAll(/```[\w+-]*[ \t\r]{0,8}\n(.*?)```/gs)].map(([, code]) => code!)
  if (blocks.length > 0) return blocks.find((code) => definesFunction(code, entry)) ?? blocks[0]!
  const open = /```[\w+-]*[ \t\r]{0,8}\n(.*)$/s.exec(text)
  return open ? open[1]! : text
}

/** Whether a program defines a function of this name at its outermost level. */
export function definesFunction(code: string, name: string | undefined): boolean {
  return name !== undefined && new RegExp(`^(?:async )?def ${name.replace(/\W/g, '')}\\b`, 'm').test(code)
}
