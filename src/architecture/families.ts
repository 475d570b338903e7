/**
 * The families of models, the one list of them. A family is one file that says everything about it: model types, reading and writing of
 * config.json, tensor names, published sizes, special tokens. All other code is generic and asks this list.
 */
import type { Json } from '../json/json.ts'
import type { Architecture } from './architecture.ts'
import { deepseek } from './families/deepseek.ts'
import { gemma } from './families/gemma.ts'
import { general } from './families/general.ts'
import { gptNeox } from './families/gpt-neox.ts'
import { gptOss } from './families/gpt-oss.ts'
import { gpt2 } from './families/gpt2.ts'
import { gpt3 } from './families/gpt3.ts'
import { granite } from './families/granite.ts'
import { jamba } from './families/jamba.ts'
import { llama } from './families/llama.ts'
import { mamba } from './families/mamba.ts'
import { mistral } from './families/mistral.ts'
import { olmo } from './families/olmo.ts'
import { olmo1 } from './families/olmo1.ts'
import { phi3 } from './families/phi3.ts'
import { qwen2 } from './families/qwen2.ts'
import { qwen3 } from './families/qwen3.ts'
import { smollm3 } from './families/smollm3.ts'
import type { Fields } from './fields.ts'
import type { Preset } from './presets.ts'
import type { TensorTable } from './recipes.ts'

export interface Family {
  /** By published `model_type`, or by `tensorLayout` for a further published form of one. */
  modelTypes: Record<string, ModelType>
  presets: Preset[]
  /** Spellings of the special tokens by published id; ids beyond the vocabulary are left out. */
  specialTokens(architecture: Pick<Architecture, 'modelType' | 'vocabSize'>): Record<number, string>
  /** Added tokens that stay in decoded text, such as `<think>`. */
  textTokens?: Record<number, string>
  /** Whether the published tokenizer puts a token before every text. */
  beginsTexts?: boolean
}

/** One published form of a config.json with the tensors that go with it. */
export interface ModelType {
  /** @throws ConfigError */
  read(config: Fields): Described
  /** The fields of config.json that only this form has; the others are written by `toConfigJson`. */
  write(architecture: Architecture): Json
  tensors: TensorTable
  /** `model_type` of the multimodal files that carry this form as their `text_config`; only the text part is read. */
  wrapper?: string
  /** Values of fields that published files leave out, as transformers fills them in. */
  defaults?: Json
  /** Class in transformers; a form without one writes no common fields. */
  className?: string
  /** For a form without `model_type`: the model type, and how its file is told from others. */
  withoutType?: { modelType: string; recognizes(config: Fields): boolean }
}

/** An architecture but for the fields that all published files spell alike. */
export type Described = Omit<
  Architecture,
  'name' | 'modelType' | 'tensorLayout' | 'vocabSize' | 'initializerRange' | 'eosTokenIds' | 'bosTokenId'
>

export const FAMILIES: readonly Family[] = [
  gpt2,
  gptOss,
  qwen2,
  qwen3,
  llama,
  mistral,
  gemma,
  olmo1,
  olmo,
  smollm3,
  phi3,
  granite,
  gptNeox,
  gpt3,
  jamba,
  mamba,
  general,
  deepseek,
]

/** Every published form by its key. */
export const MODEL_TYPES: ReadonlyMap<string, ModelType> = new Map(FAMILIES.flatMap(({ modelTypes }) => Object.entries(modelTypes)))

/** The published form of an architecture; undefined for a model type of no family. */
export const formOf = ({ modelType, tensorLayout }: Architecture): ModelType | undefined => MODEL_TYPES.get(tensorLayout ?? modelType)

export const familyOf = (modelType: string): Family | undefined => FAMILIES.find(({ modelTypes }) => Object.hasOwn(modelTypes, modelType))
