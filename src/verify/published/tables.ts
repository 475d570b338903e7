/** Published tables of measurements that claims and figures rest on. Every row or table names its condition. */
import type { From } from './sources.ts'

/** Gemma 2 at 9B, mean of four benchmarks. */
export const GEMMA_WIDTH_DEPTH = {
  wide: 50.8,
  deep: 52.0,
  source: 'gemma2',
  place: 'Table 9',
  condition: '9B, equal parameters, mean of 4 benchmarks',
} satisfies From & Record<'wide' | 'deep', number>

/** Gemma 2: heads of keys and values; DeepSeek-V2: the same at 7B. */
export const GROUPED_QUERIES = {
  gemma: { mha: 50.3, gqa: 50.8, source: 'gemma2', place: 'Table 8', condition: '9B, mean of 4 benchmarks' },
  bbh: {
    mha: 37.0,
    gqa: 35.6,
    mqa: 33.2,
    source: 'deepseek2',
    place: 'Table 8, BBH',
    condition: '7B, 1.33T tokens, layers adjusted to equal size',
  },
  mmlu: {
    mha: 45.2,
    gqa: 41.2,
    mqa: 37.9,
    source: 'deepseek2',
    place: 'Table 8, MMLU',
    condition: '7B, 1.33T tokens, layers adjusted to equal size',
  },
} satisfies Record<string, From & { mha: number; gqa: number; mqa?: number }>

/** Gemma 2, Table 10: perplexity of the same model read with smaller windows. */
export const GEMMA_WINDOWS = {
  4096: 1.63,
  2048: 1.63,
  1024: 1.64,
  source: 'gemma2',
  place: 'Table 10',
  condition: '9B, windows changed at inference only',
} satisfies From & Record<number, number>

/** Means over GLUE and SuperGLUE tasks at equal parameters and work. */
export const GLU_VARIANTS = {
  scores: { ReLU: 72.76, GELU: 72.98, Swish: 72.4, GLU: 73.95, GEGLU: 73.96, Bilinear: 73.81, SwiGLU: 74.56, ReGLU: 73.66 },
  /** Printed for the baseline. */
  deviation: 0.416,
  source: 'glu',
  place: 'Table 4, average',
  condition: 'T5 base, SuperGLUE, equal parameters; read through the figure of the article',
} satisfies From & { scores: Record<string, number>; deviation: number }

/** CIFAR-10 accuracy with each activation. Swish-1 is SiLU. */
export const SWISH_IMAGES = {
  rows: {
    'ResNet-164': { gelu: 94.3, swish: 94.5, silu: 94.7 },
    'Wide ResNet-28-10': { gelu: 95.5, swish: 95.5 },
    'DenseNet-100-12': { gelu: 94.8, swish: 94.8 },
  },
  source: 'swish',
  place: 'table of image models',
  condition: 'median of 5 runs, no error bars; read through the figure of the article',
} satisfies From & { rows: Record<string, { gelu: number; swish: number; silu?: number }> }

/** Loss on the Pile of 2B models. */
export const EXPERT_LOSSES = {
  losses: { dense: 2.06, 'Hash, top 1': 1.932, Switch: 1.881, GShard: 1.867, DeepSeekMoE: 1.808 },
  /** Shared experts -> loss. */
  shared: { 1: 1.808, 2: 1.806, 4: 1.811 },
  source: 'deepseekMoe',
  place: 'Table 1 and section 4.3',
  condition: '2B total, 0.2B to 0.3B active, 100B tokens of the Pile',
} satisfies From & { losses: Record<string, number>; shared: Record<number, number> }

/** Loss with the key bias and without. */
export const KEY_BIAS_LOSSES = {
  rows: { 'GPT-2': [2.9251, 2.925], 'RoBERTa base': [5.889, 5.8909] },
  source: 'keyBias',
  place: 'table of losses',
  condition: 'models with absolute positions, no sink; the key bias alone is removed',
} satisfies From & { rows: Record<string, [number, number]> }

/** Minutes to the quality of GPT-2 on one machine of eight GPUs, before and after a change of the data alone. */
export const NANOCHAT_DATA = {
  before: 166,
  after: 121,
  source: 'nanochat',
  place: 'entry of 2026-03-04',
  condition: 'same code, other training text; depth 26 before, 24 after',
} satisfies From & Record<'before' | 'after', number>

/** SwiGLU against squared ReLU in the same recipe: the sign of the change at equal width of work. */
export const NANOCHAT_GATE = {
  better: false,
  source: 'nanochat',
  place: 'entry of 2026-02-05',
  condition: 'depth 12 and 24, against squared ReLU',
} satisfies From & { better: boolean }

/** Dropout in one pass, as published: whether the model without it is better on language modelling. */
export const DROPOUT_ONE_PASS = {
  models: ['BERT', 'Pythia 160M', 'Pythia 1.4B'],
  betterWithout: 3,
  source: 'dropout',
  place: 'sections 4 and 5',
  condition: 'one pass, p = 0 against 0.1 and 0.3',
} satisfies From & { models: string[]; betterWithout: number }

/** Six outputs of a layer, which the article puts through LayerNorm and RMSNorm. */
export const NORM_INPUT = {
  values: [5.61, 14.32, 0, 34.88, 38.7, 11.29],
  source: 'article',
  place: 'figure 11',
  condition: 'as printed, with two decimals',
} satisfies From & { values: number[] }

/** Answers of a model that are wrong where it should have declined, in percent. */
export const PERSON_QA = {
  rates: { 'gpt-oss-120b': 49, 'gpt-oss-20b': 53, 'o4-mini': 36 },
  source: 'modelCard',
  place: 'section 4.5',
  condition: 'PersonQA, no browsing',
} satisfies From & { rates: Record<string, number> }

/** Text arena; `open`: the weights are public. */
export const LM_ARENA = {
  rows: [
    { model: 'gpt-5', score: 1481, open: false },
    { model: 'gemini-2.5-pro', score: 1460, open: false },
    { model: 'o3', score: 1450, open: false },
    { model: 'chatgpt-4o', score: 1442, open: false },
    { model: 'gpt-4.5', score: 1438, open: false },
    { model: 'grok-4', score: 1429, open: false },
    { model: 'qwen3-235b-instruct-2507', score: 1428, open: true },
    { model: 'claude-opus-4-thinking', score: 1420, open: false },
    { model: 'kimi-k2', score: 1420, open: true },
    { model: 'deepseek-r1-0528', score: 1417, open: true },
    { model: 'glm-4.5', score: 1416, open: true },
    { model: 'claude-opus-4', score: 1412, open: false },
    { model: 'qwen3-235b-thinking-2507', score: 1398, open: true },
  ],
  source: 'arena',
  place: 'overall, read through the figure of the article',
  condition: 'state of 2025-08-08; gpt-oss was not ranked yet',
} satisfies From & { rows: { model: string; score: number; open: boolean }[] }

/** Low, medium and high effort of gpt-oss. `tokens`: of reasoning, in thousands, read off the plot. */
export const EFFORT = {
  rows: [
    { model: 'gpt-oss-120b', task: 'AIME 2025', accuracy: [72.9, 91.6, 97.9], tokens: [1.5, 4.2, 13] },
    { model: 'gpt-oss-20b', task: 'AIME 2025', accuracy: [57.5, 90.4, 98.7], tokens: [1.5, 5.7, 20] },
    { model: 'gpt-oss-120b', task: 'GPQA Diamond', accuracy: [68.1, 73.5, 80.9], tokens: [0.8, 3.8, 19] },
    { model: 'gpt-oss-20b', task: 'GPQA Diamond', accuracy: [58, 67.1, 74.2], tokens: [0.7, 6.8, 32] },
  ],
  /** Where more effort is not better: 20b from medium to high. */
  worse: [
    { task: 'τ-bench airline', medium: 42.6, high: 38 },
    { task: 'HealthBench Hard', medium: 12.9, high: 10.8 },
  ],
  source: 'modelCard',
  place: 'Table 3; tokens from a figure, approximate',
  condition: 'with tools',
} satisfies From & {
  rows: { model: string; task: string; accuracy: number[]; tokens: number[] }[]
  worse: { task: string; medium: number; high: number }[]
}

export type Bench = 'AIME 2025' | 'GPQA Diamond' | 'HLE' | 'SWE-bench Verified'
export interface Score extends From {
  bench: Bench
  model: string
  score: number
  /** `own`: the task gives the model an environment of its own. */
  tools: 'tools' | 'no tools' | 'own'
  /** False: answered without thinking. */
  thinking: boolean
}

/** Where scores stand in their sources. Those of GPT-5 and Qwen3 are as the article prints them. */
const PLACES = {
  modelCard: (bench: Bench) => bench,
  gpt5: (bench: Bench) => `${bench}, read through figure 24 of the article`,
  article: (bench: Bench) => `figure ${bench === 'SWE-bench Verified' ? 24 : 23}, ${bench}`,
}

function scores(bench: Bench, tools: Score['tools'], source: keyof typeof PLACES, rows: Record<string, number>, thinking = true): Score[] {
  const condition = tools === 'own' ? 'in the environment of the task' : `${tools}, ${thinking ? 'high effort' : 'without thinking'}`
  const shared = { bench, tools, thinking, source, place: PLACES[source](bench), condition }
  return Object.entries(rows).map(([model, score]) => ({ ...shared, model, score }))
}

/** Percent of problems solved, high effort where a model has efforts. */
export const SCORES: readonly Score[] = [
  ...scores('AIME 2025', 'tools', 'modelCard', { 'gpt-oss-120b': 97.9, 'gpt-oss-20b': 98.7, o3: 98.4, 'o4-mini': 99.5 }),
  ...scores('AIME 2025', 'no tools', 'modelCard', { 'gpt-oss-120b': 92.5, 'o3-mini': 86.5 }),
  ...scores('AIME 2025', 'no tools', 'article', { 'Qwen3-235B-Thinking-2507': 92.3 }),
  ...scores('AIME 2025', 'tools', 'gpt5', { 'GPT-5 pro': 100, 'GPT-5': 99.6 }),
  ...scores('AIME 2025', 'no tools', 'gpt5', { 'GPT-5 pro': 96.7, 'GPT-5': 94.6, o3: 88.9, 'GPT-4o': 42.1 }),
  ...scores('AIME 2025', 'tools', 'gpt5', { 'GPT-5': 71 }, false),
  ...scores('AIME 2025', 'no tools', 'gpt5', { 'GPT-5': 61.9 }, false),
  ...scores('GPQA Diamond', 'no tools', 'modelCard', {
    'gpt-oss-120b': 80.1,
    'gpt-oss-20b': 71.5,
    o3: 83.3,
    'o4-mini': 81.4,
    'o3-mini': 77,
  }),
  ...scores('GPQA Diamond', 'no tools', 'article', { 'Qwen3-235B-Thinking-2507': 81.1 }),
  ...scores('GPQA Diamond', 'tools', 'gpt5', { 'GPT-5 pro': 89.4, 'GPT-5': 87.3 }),
  ...scores('GPQA Diamond', 'no tools', 'gpt5', { 'GPT-5 pro': 88.4, 'GPT-5': 85.7, 'GPT-4o': 70.1 }),
  ...scores('GPQA Diamond', 'no tools', 'gpt5', { 'GPT-5': 77.8 }, false),
  ...scores('HLE', 'tools', 'gpt5', { 'GPT-5 pro': 42, 'GPT-5': 35.2, 'ChatGPT agent': 41.6, o3: 24.3, 'deep research': 26.6 }),
  ...scores('HLE', 'no tools', 'gpt5', { 'GPT-5 pro': 30.7, 'GPT-5': 24.8, 'ChatGPT agent': 23, o3: 14.7, 'GPT-4o': 5.3 }),
  ...scores('HLE', 'no tools', 'gpt5', { 'GPT-5': 6.3 }, false),
  ...scores('HLE', 'tools', 'modelCard', { 'gpt-oss-120b': 19, 'gpt-oss-20b': 17.3 }),
  ...scores('HLE', 'no tools', 'modelCard', { 'gpt-oss-120b': 14.9, 'gpt-oss-20b': 10.9 }),
  ...scores('SWE-bench Verified', 'own', 'gpt5', { 'GPT-5': 74.9, o3: 69.1, 'GPT-4o': 30.8 }),
  ...scores('SWE-bench Verified', 'own', 'gpt5', { 'GPT-5': 52.8 }, false),
  ...scores('SWE-bench Verified', 'own', 'modelCard', { 'gpt-oss-120b': 62.4, 'gpt-oss-20b': 60.7 }),
  ...scores('SWE-bench Verified', 'own', 'article', { 'Qwen3-Coder-480B': 69.6 }),
]

/** Numbers as the article prints them, where its sources print others. */
export const PRINTED = {
  gemmaWide: { value: 52, source: 'article', place: 'section 3.1', condition: 'its reading of Gemma 2, Table 9' },
  gemmaDeep: { value: 50.8, source: 'article', place: 'section 3.1', condition: 'its reading of Gemma 2, Table 9' },
  swe20b: { value: 60.4, source: 'article', place: 'figure 24', condition: 'gpt-oss-20b, SWE-bench Verified' },
} satisfies Record<string, From & { value: number }>

/** One published score of a model that thinks. @throws RangeError where there is none */
export function scoreOf(bench: Bench, model: string, tools: Score['tools']): Score {
  const found = SCORES.find((row) => row.bench === bench && row.model === model && row.tools === tools && row.thinking)
  if (!found) throw new RangeError(`no published score of ${model} on ${bench} with ${tools}`)
  return found
}
