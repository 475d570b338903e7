/** "How did you get this?": one sentence in three languages that says how a result was found, with the lines of the working in it. */
import type { Effort } from '../../chat/messages.ts'
import { workingOf } from './arithmetic.ts'
import { apply, type Expression, type Step, textOf } from './expression.ts'
import type { Language } from './number-words.ts'

export const HOW: Record<Language, readonly string[]> = {
  en: [
    'How did you get this?',
    'How did you get that?',
    'how did you get this',
    'How?',
    'Explain.',
    'Explain how you got that.',
    'Show your work.',
    'How do you know?',
    'How did you calculate that?',
    'Can you explain that?',
  ],
  de: [
    'Wie bist du darauf gekommen?',
    'Wie kommst du darauf?',
    'Wie hast du das gerechnet?',
    'Erkläre das.',
    'Wie geht das?',
    'Zeig mir den Rechenweg.',
  ],
  zh: ['怎么算的？', '你是怎么得到的？', '请解释一下', '怎么得出来的？', '为什么是这个答案？'],
}

interface Sentences {
  atOnce: string
  calculator: (expression: string) => string
  known: (line: string) => string
  sum: (lines: string) => string
  difference: (lines: string) => string
  product: (a: number, b: number, parts: string) => string
  signs: (line: string) => string
  several: (lines: string) => string
}

const SENTENCES: Record<Language, Sentences> = {
  en: {
    atOnce: 'I answered at once, without working; at high effort I write down every step.',
    calculator: (e) => `I asked the calculator for ${e}.`,
    known: (line) => `I know ${line} by heart.`,
    sum: (lines) => `I added the digits from the right and carried the tens: ${lines}.`,
    difference: (lines) => `I took the smaller number from the larger, digit by digit from the right (b: I borrowed ten): ${lines}.`,
    product: (a, b, parts) => `I multiplied ${a} by every digit of ${b} and added the products ${parts}.`,
    signs: (line) => `I looked at the signs first: ${line}.`,
    several: (lines) => `I did one step after the other: ${lines}.`,
  },
  de: {
    atOnce: 'Ich habe sofort geantwortet, ohne Rechenweg; bei hohem Aufwand schreibe ich jeden Schritt auf.',
    calculator: (e) => `Ich habe den Taschenrechner nach ${e} gefragt.`,
    known: (line) => `Ich weiß ${line} auswendig.`,
    sum: (lines) => `Ich habe die Ziffern von rechts addiert und die Zehner übertragen: ${lines}.`,
    difference: (lines) =>
      `Ich habe die kleinere Zahl von der größeren abgezogen, Ziffer für Ziffer von rechts (b: zehn geborgt): ${lines}.`,
    product: (a, b, parts) => `Ich habe ${a} mit jeder Ziffer von ${b} multipliziert und die Produkte addiert: ${parts}.`,
    signs: (line) => `Ich habe zuerst auf die Vorzeichen geschaut: ${line}.`,
    several: (lines) => `Ich habe einen Schritt nach dem anderen gerechnet: ${lines}.`,
  },
  zh: {
    atOnce: '我没有写步骤就直接回答了；高强度时我会写出每一步。',
    calculator: (e) => `我用计算器算了${e}。`,
    known: (line) => `我记得${line}。`,
    sum: (lines) => `我从右边起逐位相加并进位：${lines}。`,
    difference: (lines) => `我用大数减小数，从右边起逐位相减（b表示借位）：${lines}。`,
    product: (a, b, parts) => `我用${a}乘${b}的每一位，再把积相加：${parts}。`,
    signs: (line) => `我先看正负号：${line}。`,
    several: (lines) => `我一步一步地算：${lines}。`,
  },
}

const written = ({ op, a, b }: Step): string => `${textOf({ op, left: a, right: b })}=${apply(op, a, b)}`

/** The sentence about a result; null where there was no result. */
export function explanation(expression: Expression, effort: Effort, language: Language, tool: boolean): string | null {
  const say = SENTENCES[language]
  if (tool) return say.calculator(textOf(expression))
  const { text, complete, steps } = workingOf(expression, effort)
  if (!complete) return null
  if (effort === 'low') return say.atOnce
  if (steps.length > 1) return say.several(steps.map(written).join(', '))
  const { op, a, b } = steps[0]!
  if (a < 0 || b < 0) return say.signs(written(steps[0]!))
  if (a < 10 && b < 10) return say.known(written(steps[0]!))
  if (op === '*') {
    if (a < 10 || b < 10) return say.several(written(steps[0]!))
    return say.product(a, b, `${a * (b % 10)}, ${a * (b - (b % 10))}`)
  }
  const lines = [...text.matchAll(/\d[-+]\d(?:[-+]\d)?=-?\d+b?/g)].map(([line]) => line).join(', ')
  return op === '+' ? say.sum(lines) : say.difference(lines)
}
