/** Small models of the steps from GPT-2 to gpt-oss with random weights, for checks that hold for any weights. */
import type { Architecture } from '../architecture/architecture.ts'
import { smallModels } from '../train/small-models.ts'

/** By the name of the step. */
export const smallSteps = ({
  layers,
  width,
  vocabSize = 32,
  heads = 4,
  block = 64,
}: Partial<Record<'vocabSize' | 'heads' | 'block', number>> & { layers: number; width: number }): Map<string, Architecture> =>
  new Map(smallModels({ vocabSize, block, layers, heads, width, dropout: 0 }).map(({ name, architecture }) => [name, architecture]))
