/** Figures 11 and 12: LayerNorm and RMSNorm. */

import { preset } from '../../architecture/presets.ts'
import { stepsWith, walkSteps } from '../../architecture/steps.ts'
import { account } from '../../compare/account.ts'
import { EDGE, SHEET, type Sheet } from '../../drawing/sheet.ts'
import { line, path, rect, text } from '../../drawing/svg.ts'
import { mean, variance } from '../../numbers/statistics.ts'
import { NORM_INPUT } from '../published/tables.ts'
import type { Figure } from './figure.ts'

const { values: INPUT } = NORM_INPUT

/** Two decimals, with a real minus, and without one before zero. */
const said = (value: number): string => (Math.abs(value) < 0.005 ? '0.00' : value.toFixed(2).replace('-', '−'))

/** Six bars from a zero line, a number at each, and mean and variance. */
function row(sheet: Sheet, title: string, values: readonly number[], tone: number): void {
  sheet.part(title)
  const [low, high] = [Math.min(0, ...values), Math.max(...values)]
  const height = low < 0 ? 78 : 58
  const scale = height / (high - low)
  const step = (SHEET - 2 * EDGE) / values.length
  const zero = sheet.y + 16 + high * scale
  sheet.add(line(EDGE, zero, SHEET - EDGE, zero, 'axis'))
  values.forEach((value, i) => {
    const [x, length] = [EDGE + i * step + 8, Math.abs(value) * scale]
    sheet.add(rect(x, value < 0 ? zero : zero - length, step - 16, length, `a${tone}`, 1))
    sheet.add(text(x + step / 2 - 8, value < 0 ? zero + length + 12 : zero - length - 4, said(value), '', 'middle'))
  })
  sheet.y = zero - low * scale + (low < 0 ? 16 : 4)
  sheet.note(`mean ${said(mean(values))}, variance ${said(variance(values))}`)
  sheet.gap(4)
}

/** A chain of steps from top to bottom; marked ones read the whole row. */
function chain(sheet: Sheet, x: number, width: number, steps: readonly (readonly [words: string, marked?: boolean])[]): number {
  let y = sheet.y
  steps.forEach(([words, marked], i) => {
    if (i > 0) {
      sheet.add(path(`M${x + width / 2} ${y}v9`, 'wire'), path(`M${x + width / 2} ${y + 13}l-3.5 -6h7z`, 'tip'))
      y += 14
    }
    sheet.add(rect(x, y, width, 24, 'box', 5))
    if (marked) sheet.add(rect(x + 2, y + 2, width - 4, 20, 'mark', 4))
    sheet.add(text(x + width / 2, y + 16, words, marked ? 'marked' : '', 'middle'))
    y += 24
  })
  return y
}

export const normFigures: readonly Figure[] = [
  {
    id: 'F11',
    title: 'Figure 11: LayerNorm and RMSNorm on the same six numbers',
    describes:
      'Six outputs of a layer as bars, then the same after LayerNorm and after RMSNorm. LayerNorm moves the mean to 0 and makes the variance 1. RMSNorm only scales: zero stays zero, no sign changes, and mean squared plus variance is 1.',
    source: 'the ops layerNorm and rmsNorm of the reference backend; the six inputs are those of the article.',
    async draw(sheet, ops) {
      const six = INPUT.length
      const x = () => ops.upload(Float32Array.from(INPUT), [1, six])
      const vector = (value: number) => ops.upload(new Float32Array(six).fill(value), [six])
      const layer = await ops.run(() => ops.layerNorm(x(), vector(1), vector(0), 1e-5))
      const rms = await ops.run(() => ops.rmsNorm(x(), vector(1), 1e-5, 0))
      row(sheet, 'output of a layer', INPUT, 7)
      row(sheet, 'after LayerNorm', [...layer], 0)
      row(sheet, 'after RMSNorm', [...rms], 1)
      const [m, v] = [mean([...rms]), variance([...rms])]
      sheet.note(`RMSNorm: mean² + variance = ${(m * m + v).toFixed(4)}. Nothing is subtracted, so zero stays zero.`)
    },
  },
  {
    id: 'F12',
    title: 'Figure 12: what LayerNorm and RMSNorm do',
    describes:
      'Two chains of steps. LayerNorm: mean, subtract it, variance, divide by its root, multiply by a gain, add a bias. RMSNorm: mean of squares, divide by its root, multiply by a gain. Marked steps read the whole row: two in LayerNorm, one in RMSNorm.',
    source: 'the definitions of both ops; parameters from the lists of weights of GPT-2 and of GPT-2 after the step rmsnorm.',
    draw(sheet) {
      const width = (SHEET - 2 * EDGE - 16) / 2
      const right = EDGE + width + 16
      sheet.add(text(EDGE, sheet.y + 13, 'LayerNorm', 'part'), text(right, sheet.y + 13, 'RMSNorm', 'part'))
      sheet.y += 20
      const bottom = chain(sheet, EDGE, width, [
        ['m = mean(x)', true],
        ['c = x − m'],
        ['v = mean(c²)', true],
        ['y = c / √(v + ε)'],
        ['y · gain'],
        ['+ bias'],
      ])
      chain(sheet, right, width, [['s = mean(x²)', true], ['y = x / √(s + ε)'], ['y · gain']])
      sheet.y = bottom + 8
      sheet.note('Marked: a sum over the whole row. On several devices each such sum is an exchange between them.')
      const [gpt2, , rms] = walkSteps(preset('gpt2')!, stepsWith())
      const norms = (model: typeof gpt2): number => account(model!, { context: 1 }).parameters.byComponent.norm
      sheet.part('Sums over the row')
      sheet.bars([
        { label: 'LayerNorm', value: 2, tone: 0 },
        { label: 'RMSNorm', value: 1, tone: 1 },
      ])
      sheet.part('Norm parameters of GPT-2, 25 norms')
      sheet.bars([
        { label: 'LayerNorm', value: norms(gpt2), shown: norms(gpt2).toLocaleString('en-US'), tone: 0 },
        { label: 'RMSNorm', value: norms(rms), shown: norms(rms).toLocaleString('en-US'), tone: 1 },
      ])
    },
  },
]
