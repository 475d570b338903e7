/** Where published numbers come from: what, where, and when it was published or read. Numbers and facts only, no sentences of the sources. */

export interface Source {
  title: string
  /** A public address. */
  address: string
  /** Day or month of publication; of pages that change the day of the state that is meant. */
  date: string
}

const paper = (title: string, number: string, date: string): Source => ({ title, address: `https://arxiv.org/abs/${number}`, date })

export const SOURCES = {
  article: {
    title: 'Raschka, From GPT-2 to gpt-oss: Analyzing the Architectural Advances',
    address: 'https://magazine.sebastianraschka.com/p/from-gpt-2-to-gpt-oss-analyzing-the',
    date: '2025-08-09',
  },
  modelCard: paper('gpt-oss-120b & gpt-oss-20b Model Card', '2508.10925', '2025-08-05'),
  announcement: { title: 'Introducing gpt-oss', address: 'https://openai.com/index/introducing-gpt-oss/', date: '2025-08-05' },
  gpt5: { title: 'Introducing GPT-5', address: 'https://openai.com/index/introducing-gpt-5/', date: '2025-08-07' },
  gpt2: { title: 'GPT-2, repository', address: 'https://github.com/openai/gpt-2', date: '2019-11-05' },
  qwenReadme: { title: 'Qwen3, README', address: 'https://github.com/QwenLM/Qwen3', date: '2025-07-30' },
  qwenReport: paper('Qwen3 Technical Report', '2505.09388', '2025-05-14'),
  olmo2: paper('2 OLMo 2 Furious', '2501.00656', '2024-12-31'),
  gemma2: paper('Gemma 2: Improving Open Language Models at a Practical Size', '2408.00118', '2024-07-31'),
  gemma3: paper('Gemma 3 Technical Report', '2503.19786', '2025-03-25'),
  llama3: { title: 'Llama 3 licence', address: 'https://www.llama.com/llama3/license/', date: '2024-04-18' },
  deepseek2: paper('DeepSeek-V2', '2405.04434', '2024-05-07'),
  deepseek3: paper('DeepSeek-V3 Technical Report', '2412.19437', '2024-12-27'),
  deepseekMoe: paper('DeepSeekMoE', '2401.06066', '2024-01-11'),
  transformer: paper('Attention Is All You Need', '1706.03762', '2017-06-12'),
  gpt3: paper('Language Models are Few-Shot Learners', '2005.14165', '2020-05-28'),
  sparse: paper('Generating Long Sequences with Sparse Transformers', '1904.10509', '2019-04-23'),
  longformer: paper('Longformer', '2004.05150', '2020-04-10'),
  gated: paper('Language Modeling with Gated Convolutional Networks', '1612.08083', '2016-12-23'),
  glu: paper('GLU Variants Improve Transformer', '2002.05202', '2020-02-12'),
  swish: paper('Searching for Activation Functions', '1710.05941', '2017-10-16'),
  dropout: paper('Drop Dropout on Single-Epoch Language Model Pretraining', '2505.24788', '2025-05-30'),
  offByOne: {
    title: 'Miller, Attention Is Off By One',
    address: 'https://www.evanmiller.org/attention-is-off-by-one.html',
    date: '2023-07-24',
  },
  streaming: paper('Efficient Streaming Language Models with Attention Sinks', '2309.17453', '2023-09-29'),
  keyBias: paper('Role of Bias Terms in Dot-Product Attention', '2302.08626', '2023-02-16'),
  nanochat: {
    title: 'nanochat, development log',
    address: 'https://github.com/karpathy/nanochat/blob/master/dev/LOG.md',
    date: '2026-03-04',
  },
  arena: { title: 'LM Arena, text leaderboard', address: 'https://lmarena.ai/leaderboard/text', date: '2025-08-08' },
  batchNorm: paper('Batch Normalization', '1502.03167', '2015-02-11'),
  layerNorm: paper('Layer Normalization', '1607.06450', '2016-07-21'),
} satisfies Record<string, Source>

export type SourceName = keyof typeof SOURCES

/** Where and under which condition a number was published. */
export interface From {
  source: SourceName
  /** Table, figure or section. */
  place: string
  /** What has to be the same for a comparison: model size, data, tools, day. */
  condition: string
}

/** One line that names source, place, condition and date. */
export function cite({ source, place, condition }: From): string {
  const { title, address, date } = SOURCES[source]
  return `${title} (${date}), ${place}; ${condition}; ${address}`
}
