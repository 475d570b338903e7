/** Numbers in words: English, German, Chinese; from 0 to 9999. */

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

const english = (n: number): string => {
  if (n < 20) return EN[n]!
  if (n < 100) return `${EN_TENS[Math.floor(n / 10) - 2]}${n % 10 ? `-${EN[n % 10]}` : ''}`
  if (n < 1000) return `${EN[Math.floor(n / 100)]} hundred${n % 100 ? ` ${english(n % 100)}` : ''}`
  return `${EN[Math.floor(n / 1000)]} thousand${n % 1000 ? ` ${english(n % 1000)}` : ''}`
}
const german = (n: number): string => {
  const many = (count: number) => (count === 1 ? 'ein' : DE[count])
  if (n < 20) return DE[n]!
  if (n < 100) return `${n % 10 ? `${many(n % 10)}und` : ''}${DE_TENS[Math.floor(n / 10) - 2]}`
  if (n < 1000) return `${n < 200 ? '' : DE[Math.floor(n / 100)]}hundert${n % 100 ? german(n % 100) : ''}`
  return `${n < 2000 ? '' : DE[Math.floor(n / 1000)]}tausend${n % 1000 ? german(n % 1000) : ''}`
}
const chinese = (n: number): string => {
  if (n < 10) return ZH[n]!
  if (n < 20) return `十${n % 10 ? ZH[n % 10] : ''}`
  const unit = 10 ** Math.floor(Math.log10(n))
  const rest = n % unit
  const zero = rest > 0 && rest < unit / 10 ? '零' : ''
  const ten = rest >= 10 && rest < 20 ? '一' : ''
  return `${ZH[Math.floor(n / unit)]}${{ 10: '十', 100: '百', 1000: '千' }[unit]}${zero}${rest ? `${ten}${chinese(rest)}` : ''}`
}

export type Language = 'en' | 'de' | 'zh'

const IN_WORDS: Record<Language, (n: number) => string> = { en: english, de: german, zh: chinese }

/** Numbers in words, those above `most` in digits; `most` is at most 9999. `hyphen`: between English tens and units. */
export const inWords =
  (language: Language, hyphen = '-', most = 100) =>
  (n: number): string =>
    n <= most ? IN_WORDS[language](n).replace('-', hyphen) : String(n)

const NUMBERS = [...Array(1000).keys(), ...Array.from({ length: 9 }, (_, i) => 1000 * (i + 1))]

/** Word -> number, of all three languages: 0 to 999, and whole thousands. Other numbers are read as two: 1000 and what is beyond. */
export const NUMBER_WORDS: ReadonlyMap<string, number> = new Map(
  NUMBERS.flatMap((n) => [english(n), english(n).replace('-', ' '), german(n), chinese(n)].map((word): [string, number] => [word, n])),
)
