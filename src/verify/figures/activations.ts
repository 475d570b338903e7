/** Figure 5: activation functions. */

import type { Curve } from '../../drawing/sheet.ts'
import { activations, lowest } from '../single-ops.ts'
import type { Figure } from './figure.ts'

const curve = (name: string, grid: Float32Array, values: Float32Array, tone: number, dashed = false): Curve => ({
  name,
  points: Array.from(grid, (x, i) => [x, values[i]!] as const),
  tone,
  dashed,
})

export const activationFigures: readonly Figure[] = [
  {
    id: 'F5',
    title: 'Figure 5: ReLU, GELU and Swish (SiLU)',
    describes:
      'Curves from -4 to 3. ReLU is zero below zero. GELU and SiLU dip below zero, SiLU deeper and further left. The gate of gpt-oss, x times the sigmoid of 1.702 x, lies almost on GELU. A second plot shows the distance of each from GELU.',
    source: 'the ops gelu and gated of the reference backend, f32.',
    async draw(sheet, ops) {
      const grid = Float32Array.from({ length: 281 }, (_, i) => -4 + i * 0.025)
      const { gelu, tanh, silu, quick } = await activations(ops, grid)
      const relu = grid.map((x) => Math.max(0, x))
      sheet.plot({
        curves: [
          curve('ReLU', grid, relu, 7),
          curve('SiLU = Swish', grid, silu, 1),
          curve('GELU', grid, gelu, 0),
          curve('x·σ(1.702·x), gpt-oss', grid, quick, 2, true),
        ],
        xRange: [-4, 2],
        yRange: [-0.5, 2],
        height: 210,
      })
      sheet.gap(4)
      sheet.part('Distance from GELU')
      const minus = (values: Float32Array) => values.map((value, i) => value - gelu[i]!)
      sheet.plot({
        curves: [
          curve('SiLU', grid, minus(silu), 1),
          curve('x·σ(1.702·x)', grid, minus(quick), 2),
          curve('GELU by tanh, GPT-2', grid, minus(tanh), 3),
        ],
        height: 120,
      })
      sheet.part('Lowest points')
      const words = (values: Float32Array): string => {
        const { at, value } = lowest(grid, values)
        return `${value.toFixed(3)} at x = ${at.toFixed(2)}`.replaceAll('-', '−')
      }
      sheet.note(`SiLU ${words(silu)}; GELU ${words(gelu)}; x·σ(1.702·x) ${words(quick)}.`)
    },
  },
]
