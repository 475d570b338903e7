/**
 * A smaller model cut out of a larger one: whole layers and whole experts go, what remains keeps its weights. Widths stay.
 * Sun et al. 2023 (arXiv:2306.11695) and Muralidharan et al. 2024 (arXiv:2407.14679) prune larger models so, and train on.
 */
import { byName } from './parameters.ts'
import type { Cut } from './small-run.ts'
import type { TrainingWorkers } from './workers.ts'

/**
 * Copies the weights of `from` that remain into `to`.
 * @throws RangeError where a weight of the smaller model has no source of its shape
 */
export function cutInto(
  from: Pick<TrainingWorkers, 'layout' | 'values'>,
  to: Pick<TrainingWorkers, 'layout' | 'values'>,
  cut: Pick<Cut, 'layers' | 'experts'>,
): void {
  const sources = byName(from.layout)
  for (const { spec, at, count } of to.layout.parameters) {
    const name = spec.name.replace(/^layers\.(\d+)\./, (_, layer: string) => `layers.${cut.layers[Number(layer)]}.`)
    const source = sources.get(name)
    const perExpert = /feedForward\.(router|gateUp|down)/.test(name) ? cut.experts : undefined
    if (source === undefined || (perExpert === undefined && source.count !== count))
      throw new RangeError(
        `${spec.name}: expected the same weight in the larger model as ${name}, got ${source ? `${source.count} values for ${count}` : 'none'}`,
      )
    if (perExpert === undefined) to.values.set(from.values.subarray(source.at, source.at + count), at)
    else {
      const size = count / perExpert.length
      for (const [index, expert] of perExpert.entries())
        to.values.set(from.values.subarray(source.at + expert * size, source.at + (expert + 1) * size), at + index * size)
    }
  }
}
