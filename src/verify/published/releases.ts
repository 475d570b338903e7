/** Published models as releases: licence, day, what is open, whether a base model came with it, what is known of data and cost of training. */
import type { From } from './sources.ts'

export interface Release extends From {
  /** The preset, where there is one. */
  model: string
  by: string
  day: string
  licence: string
  /** `terms`: a licence of the developer's own with conditions of use. */
  open: 'weights' | 'weights, terms' | 'weights, data, training code'
  /** Whether the model before instruction tuning was released too; null: the release is itself a base model. */
  base: boolean | null
}

const page = (place: string): Pick<From, 'place' | 'condition'> => ({ place, condition: 'as released' })

export const RELEASES: readonly Release[] = [
  {
    model: 'gpt2-xl',
    by: 'OpenAI',
    day: '2019-11-05',
    licence: 'Modified MIT',
    open: 'weights',
    base: null,
    source: 'gpt2',
    ...page('LICENSE, README'),
  },
  {
    model: 'gpt-oss-20b',
    by: 'OpenAI',
    day: '2025-08-05',
    licence: 'Apache-2.0',
    open: 'weights',
    base: false,
    source: 'modelCard',
    ...page('section 1'),
  },
  {
    model: 'gpt-oss-120b',
    by: 'OpenAI',
    day: '2025-08-05',
    licence: 'Apache-2.0',
    open: 'weights',
    base: false,
    source: 'modelCard',
    ...page('section 1'),
  },
  {
    model: 'Qwen3-30B-A3B',
    by: 'Alibaba',
    day: '2025-04-29',
    licence: 'Apache-2.0',
    open: 'weights',
    base: true,
    source: 'qwenReadme',
    ...page('News, model list'),
  },
  {
    model: 'Qwen3-235B-A22B',
    by: 'Alibaba',
    day: '2025-04-29',
    licence: 'Apache-2.0',
    open: 'weights',
    base: false,
    source: 'qwenReadme',
    ...page('News, model list'),
  },
  {
    model: 'Qwen3-235B-A22B-Instruct-2507',
    by: 'Alibaba',
    day: '2025-07-21',
    licence: 'Apache-2.0',
    open: 'weights',
    base: false,
    source: 'qwenReadme',
    ...page('News'),
  },
  {
    model: 'Llama-3-8B',
    by: 'Meta',
    day: '2024-04-18',
    licence: 'Llama 3 Community',
    open: 'weights, terms',
    base: true,
    source: 'llama3',
    ...page('whole text'),
  },
  {
    model: 'Gemma-3-27B',
    by: 'Google',
    day: '2025-03-12',
    licence: 'Gemma Terms of Use',
    open: 'weights, terms',
    base: true,
    source: 'gemma3',
    ...page('section 1'),
  },
  {
    model: 'DeepSeek-V3',
    by: 'DeepSeek',
    day: '2024-12-26',
    licence: 'DeepSeek Model Licence',
    open: 'weights, terms',
    base: true,
    source: 'deepseek3',
    ...page('section 1'),
  },
  {
    model: 'OLMo-2-7B',
    by: 'Ai2',
    day: '2024-11-26',
    licence: 'Apache-2.0',
    open: 'weights, data, training code',
    base: true,
    source: 'olmo2',
    ...page('section 1'),
  },
]

/** @throws RangeError for a model that is not listed */
export function release(model: string): Release {
  const found = RELEASES.find((each) => each.model === model)
  if (!found) throw new RangeError(`no published release of ${model}`)
  return found
}

/** Days between two days, each as year-month-day. */
export const days = (from: string, to: string): number => (Date.parse(to) - Date.parse(from)) / 86_400_000

/** First publications of ideas that the article dates. */
export interface Idea extends From {
  day: string
}

const first = (source: From['source'], day: string, place: string): Idea => ({
  source,
  day,
  place,
  condition: 'first version',
})

export const IDEAS = {
  gatedUnit: first('gated', '2016-12-23', 'section 2'),
  gatedFeedForward: first('glu', '2020-02-12', 'section 2'),
  localBands: first('sparse', '2019-04-23', 'section 4'),
  longformer: first('longformer', '2020-04-10', 'section 3'),
  gpt3Bands: first('gpt3', '2020-05-28', 'section 2.1'),
  /** A constant in the denominator of the softmax. */
  offByOne: first('offByOne', '2023-07-24', 'whole text'),
  streaming: first('streaming', '2023-09-29', 'section 3'),
  transformer: first('transformer', '2017-06-12', 'section 3'),
  batchNorm: first('batchNorm', '2015-02-11', 'section 3'),
  layerNorm: first('layerNorm', '2016-07-21', 'section 3'),
}

/** Hours of GPUs, in millions. */
export const TRAINING_HOURS = {
  gptOss120b: {
    value: 2.1,
    source: 'modelCard',
    place: 'section 2.4',
    condition: 'H100, pre-training; the 20b took almost ten times fewer',
  },
  deepseekAll: { value: 2.788, source: 'deepseek3', place: 'Table 1', condition: 'H800, all of training' },
  deepseekPretraining: { value: 2.664, source: 'deepseek3', place: 'Table 1', condition: 'H800, pre-training alone' },
} satisfies Record<string, From & { value: number }>

/** What is known of the training data. */
export const TRAINING_DATA = {
  gptOss: {
    language: 'mostly English',
    focus: 'STEM, coding, general knowledge',
    published: 'none',
    source: 'announcement',
    place: 'section on pre-training',
    condition: 'both sizes',
  },
  qwen3: { language: '119 languages and dialects', source: 'qwenReport', place: 'section 3.1', condition: 'all sizes' },
} satisfies Record<string, From & { language: string; focus?: string; published?: string }>
