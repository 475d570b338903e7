/** Figures 1 and 2: models as stacks. */
import type { Figure } from './figure.ts'
import { stacks } from './stacks.ts'

const SOURCE = 'the published configurations; parameters are sums over the list of weights (lineage inspect).'

export const modelFigures: readonly Figure[] = [
  {
    id: 'F1',
    title: 'Figure 1: gpt-oss-20b and gpt-oss-120b',
    describes:
      'The two gpt-oss models as one stack of boxes from token ids to the output. Marked are the only differences: 24 against 36 layers, and 32 against 128 experts, of which 4 work on a token. Every other layer attends to a window of 128 tokens.',
    source: SOURCE,
    draw: (sheet) => stacks(sheet, ['gpt-oss-20b', 'gpt-oss-120b']),
  },
  {
    id: 'F2',
    title: 'Figure 2: GPT-2 XL and gpt-oss-20b',
    describes:
      'GPT-2 XL and gpt-oss-20b as one stack of boxes from token ids to the output, with the differing values of each part marked: learned positions against RoPE, LayerNorm against RMSNorm, a feed-forward against a mixture of experts, 48 layers against 24 wider ones.',
    source: SOURCE,
    draw: (sheet) => stacks(sheet, ['gpt2-xl', 'gpt-oss-20b']),
  },
]
