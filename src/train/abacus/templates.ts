/** Wordings with single capital letters in the places of numbers, names and things. A letter after an underscore is a word: "_A bag has B nuts". */

import { integer, pick, type Random } from '../../random/stream.ts'

/** One wording per line. */
export const lines = (text: string): string[] =>
  text
    .trim()
    .split('\n')
    .map((line) => line.trim())

/** Puts values into a wording; a function is called for every place. Letters without a value stay. */
export const fill = (text: string, values: Readonly<Record<string, string | (() => string)>>): string =>
  text
    .replace(/(?<![A-Za-zÀ-ÿ'_])[A-Z](?![A-Za-zÀ-ÿ'])/g, (letter) => {
      const value = values[letter] ?? letter
      return typeof value === 'function' ? value() : value
    })
    .replaceAll('_', '')

/** Sometimes as people type: without capitals and marks, with blanks around. */
export function casual(next: Random, text: string): string {
  const draw = next()
  if (draw < 0.12) return text.toLowerCase()
  if (draw < 0.2) return text.replace(/[?.!？。]$/, '')
  if (draw < 0.23) return `${text} `
  return draw < 0.24 ? ` ${text}` : text
}

/**
 * Chooses one of the words in {braces|like these}; a blank too many goes. All braces that begin with # choose the word of the same place:
 * "{#cats|dogs} and {#mice|bones}".
 */
export const vary = (next: Random, text: string): string => {
  let place: number | undefined
  const chosen = (linked: string, words: string[]) => {
    if (!linked) return pick(next, words)
    place ??= integer(next, 0, words.length - 1)
    return words[place]!
  }
  return text
    .replace(/\{(#?)([^}]*)\}/g, (_, linked: string, words: string) => chosen(linked, words.split('|')))
    .replace(/ +(?=[ ?.])/g, '')
}

export const capital = (text: string): string => text[0]!.toUpperCase() + text.slice(1)
