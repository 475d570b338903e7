/** Wordings with single capital letters in the places of numbers, names and things. A letter after an underscore is a word: "_A bag has B nuts". */

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
