/** All figures in order, and the drawing of one. */
import { Sheet } from '../drawing/sheet.ts'
import type { Backend } from '../ops/backend.ts'
import { activationFigures } from './figures/activations.ts'
import { attentionFigures } from './figures/attention.ts'
import { benchmarkFigures } from './figures/benchmarks.ts'
import { comparisonFigures } from './figures/comparisons.ts'
import { feedForwardFigures } from './figures/feed-forward.ts'
import type { Figure } from './figures/figure.ts'
import { mechanismFigures } from './figures/mechanisms.ts'
import { modelFigures } from './figures/models.ts'
import { normFigures } from './figures/norms.ts'

export type { Figure } from './figures/figure.ts'

export const figures: readonly Figure[] = [
  ...modelFigures,
  ...attentionFigures,
  ...activationFigures,
  ...feedForwardFigures,
  ...normFigures,
  ...comparisonFigures,
  ...mechanismFigures,
  ...benchmarkFigures,
].sort((a, b) => order(a) - order(b))

function order({ id }: Figure): number {
  return Number(id.slice(1))
}

/** An SVG document, 360 units wide, for light and dark pages. */
export async function drawFigure(figure: Figure, ops: Backend): Promise<string> {
  const sheet = new Sheet()
  await figure.draw(sheet, ops)
  return sheet.document(figure)
}
