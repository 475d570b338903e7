/**
 * Published tensor names, one table per layout: which published tensor, or which part of it, is which inner weight.
 * Data and string templates only: nothing is read, no shape is checked here. `checkpoint/` reads and writes through these tables.
 * Sources: the published safetensors headers and transformers' modeling files of each family; openai/gpt-oss torch/weights.py.
 */
import type { Architecture, DType, TensorLayout } from './architecture.ts'

/**
 * How an inner weight, row-major with its input axis last, lies in published tensors.
 * A `slice` is the part [from, from + own rows) of `total` output rows of a fused tensor.
 */
export type Recipe =
  /** The same bytes in the same order. */
  | { form: 'asStored'; tensor: string; slice?: Slice }
  /** Published [.., I, O] (GPT-2's Conv1D, dequantised gpt-oss experts) for inner [.., O, I]. */
  | { form: 'transposed'; tensor: string; slice?: Slice }
  /** One published tensor per expert for inner [E, ..]. */
  | { form: 'perExpert'; tensor: (expert: number) => string }
  /** Two published tensors [F, D] per expert for inner [E, 2F, D]: row 2j is gate j, row 2j + 1 is up j. */
  | { form: 'interleaved'; gate: (expert: number) => string; up: (expert: number) => string }
  /** Blocks U8 [.., O, I/32, 16] and scales U8 [.., O, I/32] for inner mxfp4 [.., O, I]. */
  | { form: 'mxfp4'; blocks: string; scales: string }

/** Whether a recipe is for weights of this dtype: the packed form for mxfp4, the others for everything else. */
export const suits = (recipe: Recipe, dtype: DType): boolean => (recipe.form === 'mxfp4') === (dtype === 'mxfp4')

export interface Slice {
  from: number
  total: number
}

/** The names of one checkpoint: the layout's table under one of its accepted prefixes. */
export interface TensorNames {
  readonly layout: TensorLayout
  /**
   * The forms in which an inner weight ('layers.3.attention.q') may be published, the canonical one first; which of them
   * a checkpoint uses is decided by name, never by shape. Empty when the layout has no name for this weight.
   */
  recipes(inner: string): Recipe[]
  /** Tensors that carry no weight of the model: causal masks, rotary tables, an output matrix although it is tied. */
  isIgnored(published: string): boolean
}

interface Layout {
  /** Accepted prefixes of everything but the output matrix, the canonical one first. */
  readonly prefixes: readonly string[]
  /** Prefix of layer N, `{N}` standing for its number. */
  readonly layer: string
  readonly ignored: RegExp
  /** Names outside of layers, after the prefix. */
  readonly whole: Readonly<Record<string, string>>
  readonly unembed: readonly string[]
  /** Recipes of a layer's weights by inner name, after the layer's prefix. */
  inLayer(architecture: Architecture, layer: number, at: (tail: string) => string): Readonly<Record<string, Recipe[]>>
}

/** The names of an architecture's checkpoint. `has` tells whether a published tensor exists, to find the prefix in use. */
export function tensorNames(architecture: Architecture, has: (published: string) => boolean = () => false): TensorNames {
  const layout = LAYOUTS[architecture.tensorLayout]
  const prefix = layout.prefixes.find((candidate) => has(candidate + layout.whole.embed!)) ?? layout.prefixes[0]!
  const tables = new Map<number, Readonly<Record<string, Recipe[]>>>()
  const tableOf = (layer: number) => {
    let table = tables.get(layer)
    if (!table) {
      const start = prefix + layout.layer.replace('{N}', String(layer))
      table = layout.inLayer(architecture, layer, (tail) => start + tail)
      tables.set(layer, table)
    }
    return table
  }
  return {
    layout: architecture.tensorLayout,
    recipes(inner) {
      if (inner === 'unembed') return layout.unembed.map(asStored)
      const [, layer, tail] = /^layers\.(\d+)\.(.+)$/.exec(inner) ?? []
      if (tail !== undefined) return tableOf(Number(layer))[tail] ?? []
      const name = layout.whole[inner]
      return name === undefined ? [] : [asStored(prefix + name)]
    },
    isIgnored: (published) => layout.ignored.test(published) || (architecture.tieWordEmbeddings && layout.unembed.includes(published)),
  }
}

const asStored = (tensor: string): Recipe => ({ form: 'asStored', tensor })
const transposed = (tensor: string): Recipe => ({ form: 'transposed', tensor })
const one = (...recipes: Recipe[]): Recipe[] => recipes

/** Where q, k and v lie among the output rows of a fused projection, in this order. */
function fused(architecture: Architecture, layer: number): { q: Slice; k: Slice; v: Slice } {
  const { heads, kvHeads, headDim } = architecture.layers[layer]!.attention
  const query = heads * headDim
  const keyValue = kvHeads * headDim
  const total = query + 2 * keyValue
  return { q: { from: 0, total }, k: { from: query, total }, v: { from: query + keyValue, total } }
}

const gpt2: Layout = {
  prefixes: ['', 'transformer.'],
  layer: 'h.{N}.',
  ignored: /^(transformer\.)?h\.\d+\.attn\.(bias|masked_bias)$/,
  whole: { embed: 'wte.weight', position: 'wpe.weight', 'finalNorm.gain': 'ln_f.weight', 'finalNorm.bias': 'ln_f.bias' },
  unembed: ['lm_head.weight'],
  inLayer(architecture, layer, at) {
    const { q, k, v } = fused(architecture, layer)
    const weight = (slice: Slice): Recipe[] => [{ form: 'transposed', tensor: at('attn.c_attn.weight'), slice }]
    const bias = (slice: Slice): Recipe[] => [{ form: 'asStored', tensor: at('attn.c_attn.bias'), slice }]
    return {
      'attentionNorm.gain': one(asStored(at('ln_1.weight'))),
      'attentionNorm.bias': one(asStored(at('ln_1.bias'))),
      'attention.q': weight(q),
      'attention.k': weight(k),
      'attention.v': weight(v),
      'attention.qBias': bias(q),
      'attention.kBias': bias(k),
      'attention.vBias': bias(v),
      'attention.o': one(transposed(at('attn.c_proj.weight'))),
      'attention.oBias': one(asStored(at('attn.c_proj.bias'))),
      'feedForwardNorm.gain': one(asStored(at('ln_2.weight'))),
      'feedForwardNorm.bias': one(asStored(at('ln_2.bias'))),
      'feedForward.up': one(transposed(at('mlp.c_fc.weight'))),
      'feedForward.upBias': one(asStored(at('mlp.c_fc.bias'))),
      'feedForward.down': one(transposed(at('mlp.c_proj.weight'))),
      'feedForward.downBias': one(asStored(at('mlp.c_proj.bias'))),
    }
  },
}

/** What all layouts in the manner of Llama share; `experts` adds the feed-forward part of a mixture of experts. */
function llamaStyle(experts: (at: (tail: string) => string) => Record<string, Recipe[]>): Layout {
  return {
    // A language model inside a multimodal checkpoint carries one of the longer prefixes.
    prefixes: ['model.', 'language_model.model.', 'model.language_model.', ''],
    layer: 'layers.{N}.',
    ignored: /(^|\.)rotary_emb\.inv_freq$|^(model\.)?(vision_tower|multi_modal_projector)\./,
    whole: { embed: 'embed_tokens.weight', 'finalNorm.gain': 'norm.weight' },
    unembed: ['lm_head.weight', 'language_model.lm_head.weight'],
    inLayer(architecture, layer, at) {
      const { placement, feedForward } = architecture.layers[layer]!
      const matrix = (key: string, name: string) => ({
        [key]: one(asStored(at(`${name}.weight`))),
        [`${key}Bias`]: one(asStored(at(`${name}.bias`))),
      })
      return {
        'attentionNorm.gain': one(asStored(at('input_layernorm.weight'))),
        // Llama names the norm before the feed-forward after what precedes it; the sandwich of Gemma 2 has both.
        'attentionPostNorm.gain': one(asStored(at('post_attention_layernorm.weight'))),
        'feedForwardNorm.gain': one(
          asStored(at(placement === 'sandwich' ? 'pre_feedforward_layernorm.weight' : 'post_attention_layernorm.weight')),
        ),
        'feedForwardPostNorm.gain': one(asStored(at('post_feedforward_layernorm.weight'))),
        ...matrix('attention.q', 'self_attn.q_proj'),
        ...matrix('attention.k', 'self_attn.k_proj'),
        ...matrix('attention.v', 'self_attn.v_proj'),
        ...matrix('attention.o', 'self_attn.o_proj'),
        'attention.qNorm': one(asStored(at('self_attn.q_norm.weight'))),
        'attention.kNorm': one(asStored(at('self_attn.k_norm.weight'))),
        'attention.sinks': one(asStored(at('self_attn.sinks'))),
        ...(feedForward.kind === 'gated' && {
          ...matrix('feedForward.gate', 'mlp.gate_proj'),
          ...matrix('feedForward.up', 'mlp.up_proj'),
          ...matrix('feedForward.down', 'mlp.down_proj'),
        }),
        ...(feedForward.kind === 'moe' && experts(at)),
      }
    },
  }
}

/** Packed experts of models published in bf16 only: the names and the stacking of gpt-oss, which is the one published MXFP4 layout. */
const packed = (at: (tail: string) => string, name: string): Recipe => ({
  form: 'mxfp4',
  blocks: at(`${name}_blocks`),
  scales: at(`${name}_scales`),
})

const mixtral = llamaStyle((at) => ({
  'feedForward.router': one(asStored(at('block_sparse_moe.gate.weight'))),
  'feedForward.gateUp': [
    {
      form: 'interleaved',
      gate: (expert) => at(`block_sparse_moe.experts.${expert}.w1.weight`),
      up: (expert) => at(`block_sparse_moe.experts.${expert}.w3.weight`),
    },
    packed(at, 'block_sparse_moe.experts.gate_up_proj'),
  ],
  'feedForward.down': [
    { form: 'perExpert', tensor: (expert) => at(`block_sparse_moe.experts.${expert}.w2.weight`) },
    packed(at, 'block_sparse_moe.experts.down_proj'),
  ],
}))

const qwen3Moe = llamaStyle((at) => ({
  'feedForward.router': one(asStored(at('mlp.gate.weight'))),
  'feedForward.gateUp': [
    {
      form: 'interleaved',
      gate: (expert) => at(`mlp.experts.${expert}.gate_proj.weight`),
      up: (expert) => at(`mlp.experts.${expert}.up_proj.weight`),
    },
    packed(at, 'mlp.experts.gate_up_proj'),
  ],
  'feedForward.down': [
    { form: 'perExpert', tensor: (expert) => at(`mlp.experts.${expert}.down_proj.weight`) },
    packed(at, 'mlp.experts.down_proj'),
  ],
}))

/** MXFP4 as published, or the transposed bf16 tensors of dequantised community checkpoints: told apart by name (down is square). */
const gptOss = llamaStyle((at) => {
  const matrix = (name: string): Recipe[] => [packed(at, `mlp.experts.${name}`), transposed(at(`mlp.experts.${name}`))]
  return {
    'feedForward.router': one(asStored(at('mlp.router.weight'))),
    'feedForward.routerBias': one(asStored(at('mlp.router.bias'))),
    'feedForward.gateUp': matrix('gate_up_proj'),
    'feedForward.gateUpBias': one(asStored(at('mlp.experts.gate_up_proj_bias'))),
    'feedForward.down': matrix('down_proj'),
    'feedForward.downBias': one(asStored(at('mlp.experts.down_proj_bias'))),
  }
})

const gptOssOriginal: Layout = {
  prefixes: [''],
  layer: 'block.{N}.',
  ignored: /^$/,
  whole: { embed: 'embedding.weight', 'finalNorm.gain': 'norm.scale' },
  unembed: ['unembedding.weight'],
  inLayer(architecture, layer, at) {
    const { q, k, v } = fused(architecture, layer)
    const part = (tail: 'weight' | 'bias', slice: Slice): Recipe[] => [{ form: 'asStored', tensor: at(`attn.qkv.${tail}`), slice }]
    const matrix = (name: string): Recipe[] => [
      { form: 'mxfp4', blocks: at(`mlp.${name}_weight.blocks`), scales: at(`mlp.${name}_weight.scales`) },
      asStored(at(`mlp.${name}_weight`)),
    ]
    return {
      'attentionNorm.gain': one(asStored(at('attn.norm.scale'))),
      'attention.q': part('weight', q),
      'attention.k': part('weight', k),
      'attention.v': part('weight', v),
      'attention.qBias': part('bias', q),
      'attention.kBias': part('bias', k),
      'attention.vBias': part('bias', v),
      'attention.o': one(asStored(at('attn.out.weight'))),
      'attention.oBias': one(asStored(at('attn.out.bias'))),
      'attention.sinks': one(asStored(at('attn.sinks'))),
      'feedForwardNorm.gain': one(asStored(at('mlp.norm.scale'))),
      'feedForward.router': one(asStored(at('mlp.gate.weight'))),
      'feedForward.routerBias': one(asStored(at('mlp.gate.bias'))),
      'feedForward.gateUp': matrix('mlp1'),
      'feedForward.gateUpBias': one(asStored(at('mlp.mlp1_bias'))),
      'feedForward.down': matrix('mlp2'),
      'feedForward.downBias': one(asStored(at('mlp.mlp2_bias'))),
    }
  },
}

const LAYOUTS: Record<TensorLayout, Layout> = {
  gpt2,
  llama: llamaStyle(() => ({})),
  mixtral,
  'qwen3-moe': qwen3Moe,
  'gpt-oss': gptOss,
  'gpt-oss-original': gptOssOriginal,
}
