/**
 * GPT-3: the layout of GPT-2, with dense and locally banded attention in turn. Its weights, the width of its bands and the rest of its
 * configuration were never published, so it can be inspected and compared, and does not run.
 * Brown et al. 2020, "Language Models are Few-Shot Learners", arXiv 2005.14165, section 2.1 and Table 2.1. The keys of the configuration
 * are the symbols of that table.
 */
import type { Json } from '../../json/json.ts'
import type { Architecture, Layer, MultiHead } from '../architecture.ts'
import type { Described, Family } from '../families.ts'
import type { Fields } from '../fields.ts'
import type { Preset } from '../presets.ts'
import type { TensorTable } from '../recipes.ts'
import { multiHeadOf } from '../slots.ts'
import { readGpt2 } from './gpt2.ts'

function read(config: Fields): Described {
  const hiddenSize = config.size('d_model')
  const [printed, size] = [config.size('n_heads'), config.size('d_head')]
  const fits = printed * size === hiddenSize
  const described = readGpt2(
    config.with({
      n_embd: hiddenSize,
      n_head: fits ? printed : 1,
      n_inner: config.size('d_ff'),
      n_layer: config.layerCount('n_layers'),
      n_positions: config.size('n_ctx'),
      activation_function: 'gelu_new',
      layer_norm_epsilon: 1e-5,
      torch_dtype: 'float16',
      embd_pdrop: 0,
      attn_pdrop: 0,
      resid_pdrop: 0,
    }),
  )
  const layers = described.layers.map((layer, index): Layer => {
    const unpublished = { window: index % 2 === 1, heads: fits ? undefined : { printed, size } }
    return { ...layer, attention: { ...(layer.attention as MultiHead), unpublished } }
  })
  return { ...described, layers }
}

function write(a: Architecture): Json {
  const attention = multiHeadOf(a)
  const { feedForward } = a.layers[0]!
  return {
    model_type: 'gpt3',
    n_layers: a.layers.length,
    d_model: a.hiddenSize,
    n_heads: attention.unpublished?.heads?.printed ?? attention.heads,
    d_head: attention.unpublished?.heads?.size ?? attention.headDim,
    d_ff: feedForward.intermediateSize,
    n_ctx: a.maxPositionEmbeddings,
    vocab_size: a.vocabSize,
  }
}

const tensors: TensorTable = {
  prefixes: [''],
  layer: '',
  whole: {},
  unembed: [],
  inLayer() {
    throw new Error('gpt3: the weights of GPT-3 and the names of its tensors were never published; GPT-2 is its published relative')
  },
}

const size = (name: string, n_layers: number, d_model: number, n_heads: number, d_head: number, d_ff = 4 * d_model): Preset => ({
  name,
  repositories: [],
  config: { model_type: 'gpt3', n_layers, d_model, n_heads, d_head, d_ff, n_ctx: 2048, vocab_size: 50257 },
  source: 'Brown et al. 2020, arXiv 2005.14165, Table 2.1 and section 2.1; no published checkpoint',
})

export const gpt3: Family = {
  modelTypes: { gpt3: { read, write, tensors } },
  specialTokens: () => ({ 50256: '<|endoftext|>' }),
  presets: [
    size('GPT-3-Small', 12, 768, 12, 64),
    size('GPT-3-Medium', 24, 1024, 16, 64),
    size('GPT-3-Large', 24, 1536, 16, 96),
    size('GPT-3-XL', 24, 2048, 24, 128),
    size('GPT-3-2.7B', 32, 2560, 32, 80),
    size('GPT-3-6.7B', 32, 4096, 32, 128),
    size('GPT-3-13B', 40, 5140, 40, 128),
    size('GPT-3', 96, 12288, 96, 128),
  ],
}
