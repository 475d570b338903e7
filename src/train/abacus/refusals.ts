/**
 * What the embedded model says about itself and what it declines: other arithmetic and everything that is no arithmetic (refused-questions.ts),
 * wordings that it half knows, and words without sense.
 */
import { integer, pick, type Random } from '../../random/stream.ts'
import { numberOf } from './expression.ts'
import type { Language } from './number-words.ts'
import { OTHER_ARITHMETIC, OTHER_LANGUAGES, REQUESTS, TOPICS } from './refused-questions.ts'
import { capital, casual, fill, lines, vary } from './templates.ts'

export const REFUSAL: Record<Language, string> = {
  en: 'Sorry, I cannot do that. I only add, subtract, multiply and compare whole numbers.',
  de: 'Das kann ich leider nicht. Ich addiere, subtrahiere, multipliziere und vergleiche nur ganze Zahlen.',
  zh: '抱歉，我不会。我只会整数的加、减、乘和比较大小。',
}
export const TOO_LARGE: Record<Language, string> = {
  en: 'Sorry, these numbers are too large for me. Offer me a calculator tool and I will use it.',
  de: 'Diese Zahlen sind leider zu groß für mich. Gib mir einen Taschenrechner als Werkzeug, dann nehme ich ihn.',
  zh: '抱歉，这些数字对我来说太大了。请给我计算器工具。',
}
export const WHO_ANSWER: Record<Language, string> = {
  en: 'I am Abacus, a very small gpt-oss trained with Lineage. I add, subtract, multiply and compare whole numbers.',
  de: 'Ich bin Abacus, ein sehr kleines gpt-oss, trainiert mit Lineage. Ich addiere, subtrahiere, multipliziere und vergleiche ganze Zahlen.',
  zh: '我是Abacus，一个用Lineage训练的很小的gpt-oss。我会整数的加、减、乘和比较大小。',
}

export const WHO: Record<Language, string[]> = {
  en: lines(`Who are you?
    What are you?
    What is your name?
    Who made you?
    Hello
    Hello!
    hello
    Hi
    Hi!
    hi
    Hey
    hey there
    What can you do?
    what can you do
    Help
    help
    Are you ChatGPT?
    Introduce yourself.
    Tell me about yourself.
    Good morning!
    How are you?
    What do you do?
    who are you
    What can I ask you?
    What are you good at?
    Are you a robot?
    Are you an AI?
    Which model are you?
    How can you help me?`),
  de: lines(`Wer bist du?
    Was bist du?
    Wie heißt du?
    Hallo
    Hallo!
    Guten Tag
    Was kannst du?
    Was kannst du alles?
    Hilfe
    Wie geht es dir?
    Bist du ChatGPT?
    Wer hat dich gemacht?
    Stell dich vor.`),
  zh: lines(`你是谁？
    你是什么？
    你叫什么名字？
    你好
    你好！
    你会什么？
    你能做什么？
    帮助
    你是ChatGPT吗？
    介绍一下你自己`),
}

const SYLLABLES =
  'ba be bo da de di do fa fe fo ga ge go ha he ho ja ka ke ko la le li lo ma me mi mo na ne ni no pa pe po qua ra re ri ro sa se si so ta te ti to tra tri va ve vo wa we wo za ze zi cha che sha she thi tho ein sch ung er en el in on an or st nd ck ing'.split(
    ' ',
  )
const HANZI = Array.from(
  '的一是不了人我在有他这中来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长',
)

/** A word that nobody knows. */
export function word(next: Random): string {
  const draw = next()
  if (draw < 0.25)
    return Array.from({ length: integer(next, 2, 8) }, () => pick(next, Array.from('abcdefghijklmnopqrstuvwxyzaeiouéüöä'))).join('')
  const made = Array.from({ length: integer(next, 1, 4) }, () => pick(next, SYLLABLES)).join('')
  return draw < 0.4 ? capital(made) : made
}

export const hanzi = (next: Random): string => Array.from({ length: integer(next, 1, 4) }, () => pick(next, HANZI)).join('')

/** A word of a language, known or not. */
export const topic = (next: Random, language: Language): string =>
  next() < 0.5 ? pick(next, TOPICS[language]) : language === 'zh' ? hanzi(next) : next() < 0.6 ? word(next) : `${word(next)} ${word(next)}`

/** Words that make no sense, often with numbers and signs among them. */
function babble(next: Random, language: Language): string {
  const count = integer(next, 1, 9)
  const parts = Array.from({ length: count }, () => {
    const draw = next()
    if (draw < 0.18) return String(numberOf(next, integer(next, 1, 4)))
    if (draw < 0.24)
      return pick(next, [
        '+',
        '-',
        '*',
        '/',
        '=',
        '?',
        'plus',
        'and',
        'is',
        'what',
        'the',
        'of',
        'how',
        'much',
        'many',
        'or',
        'und',
        '和',
        '加',
        '多少',
        '是',
      ])
    return language === 'zh' && next() < 0.8 ? hanzi(next) : word(next)
  })
  if (parts.every((part) => !/\p{L}{2}|[一-龥]/u.test(part))) parts.push(word(next))
  return parts.join(language === 'zh' ? '' : ' ') + pick(next, ['', '', '.', '?', '?', '!'])
}

export interface Refused {
  text: string
  language: Language
}

/** A question to decline. `known` is a wording that the model answers, to be spoilt by words that change what is asked. */
export function drawRefusal(next: Random, language: Language, known: (language: Language) => string): Refused {
  const digits = () => numberOf(next, pick(next, [1, 1, 2, 2, 2, 3, 4]))
  const A = digits()
  const number = () => String(digits())
  const values = {
    A: () => String(A),
    B: number,
    C: number,
    X: () => topic(next, language),
    Y: () => topic(next, language),
    N: () => name(next, language),
    M: () => name(next, language),
    T: () => (language === 'zh' ? hanzi(next) : word(next)),
  }
  const draw = next()
  if (draw < 0.4) return { text: casual(next, fill(vary(next, pick(next, OTHER_ARITHMETIC[language])), values)), language }
  if (draw < 0.68) return { text: casual(next, fill(pick(next, REQUESTS[language]), values)), language }
  if (draw < 0.73) return { text: fill(pick(next, OTHER_LANGUAGES), values), language: 'en' }
  if (draw < 0.9) return { text: spoilt(next, known(language), language), language }
  return { text: babble(next, language), language }
}

const name = (next: Random, language: Language): string => {
  const made = word(next)
  return language === 'zh' ? hanzi(next) : capital(made)
}

const UNITS = [
  '%',
  ' percent',
  '€',
  '$',
  ' km',
  ' kg',
  '.5',
  ',5',
  '.25',
  ' am',
  ' hours',
  '²',
  ' Euro',
  '°',
  'x',
  '/2',
  '/3',
  ' dozen',
  ' million',
  '元',
  '点',
  '小时',
  '分之一',
]
const UNKNOWN_SIGNS = [
  '/',
  '÷',
  ':',
  '^',
  '**',
  '%',
  'mod',
  '&',
  '|',
  '@',
  'over',
  'per',
  'divided by',
  'to the power of',
  'geteilt durch',
  'durch',
  'hoch',
  '除以',
  '的',
  '=',
  'vs',
  '...',
  '~',
]

/** A wording that the model knows, with a unit, an unknown sign or an unknown word in it. */
export function spoilt(next: Random, text: string, language: Language): string {
  const numbers = [...text.matchAll(/\d+/g)]
  const draw = next()
  const words = [...text.matchAll(/[a-zäöüß]{3,}/gi)]
  if (words.length > 0 && draw < 0.25) {
    // A word that decides what is asked becomes one that nobody knows.
    const { index, 0: known } = pick(next, words)
    return `${text.slice(0, index)}${word(next)}${text.slice(index + known.length)}`
  }
  if (numbers.length > 1 && draw < 0.5) {
    const { index, 0: digits } = pick(next, numbers)
    const unit = pick(next, UNITS)
    const fraction = /^[.,]/.test(unit) && next() < 0.7 ? `${unit[0]}${integer(next, 1, 99)}` : unit
    return text.slice(0, index + digits.length) + fraction + text.slice(index + digits.length)
  }
  if (numbers.length > 1 && draw < 0.8) {
    // What stands between the first two numbers becomes another sign, or a word that nobody knows.
    const [first, second] = numbers as [RegExpMatchArray, RegExpMatchArray]
    const sign = next() < 0.6 ? pick(next, UNKNOWN_SIGNS) : language === 'zh' ? hanzi(next) : word(next)
    const space = next() < 0.7 || /\p{L}/u.test(sign) ? ' ' : ''
    return `${text.slice(0, first.index! + first[0].length)}${space}${sign}${space}${text.slice(second.index!)}`
  }
  return `${text} ${pick(next, ['In words, please.', 'As a fraction.', 'In binary.', 'Divided by two?', 'In Prozent?', '的一半', 'and then halve it', 'to the nearest ten', 'Explain it with a poem.', 'Then tell me a joke.', `And ${word(next)}?`])}`
}
