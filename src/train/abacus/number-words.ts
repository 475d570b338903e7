/** The numbers from 0 to 100 in words: English, German, Chinese. */

const EN =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  )
const EN_TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ')
const DE =
  'null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn'.split(
    ' ',
  )
const DE_TENS = 'zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig'.split(' ')
const ZH = Array.from('零一二三四五六七八九')

const english = (n: number): string =>
  EN[n] ?? (n === 100 ? 'one hundred' : `${EN_TENS[Math.floor(n / 10) - 2]}${n % 10 ? `-${EN[n % 10]}` : ''}`)
const german = (n: number): string =>
  DE[n] ?? (n === 100 ? 'hundert' : `${n % 10 ? `${n % 10 === 1 ? 'ein' : DE[n % 10]}und` : ''}${DE_TENS[Math.floor(n / 10) - 2]}`)
const chinese = (n: number): string =>
  n === 100 ? '一百' : n < 10 ? ZH[n]! : `${n < 20 ? '' : ZH[Math.floor(n / 10)]}十${n % 10 ? ZH[n % 10] : ''}`

export type Language = 'en' | 'de' | 'zh'

const IN_WORDS: Record<Language, (n: number) => string> = { en: english, de: german, zh: chinese }

/** 0…100 in words, larger numbers in digits. `hyphen`: between English tens and units. */
export const inWords =
  (language: Language, hyphen = '-') =>
  (n: number): string =>
    n <= 100 ? IN_WORDS[language](n).replace('-', hyphen) : String(n)

/** Word -> number, of all three languages. */
export const NUMBER_WORDS: ReadonlyMap<string, number> = new Map(
  Array.from({ length: 101 }, (_, n) =>
    [english(n), english(n).replace('-', ' '), german(n), chinese(n)].map((word): [string, number] => [word, n]),
  ).flat(),
)
