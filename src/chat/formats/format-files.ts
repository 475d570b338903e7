/**
 * What a checkpoint's files say about chatting: the template, the markers of beginning and end, published sampling defaults.
 * Reading is the caller's business, as for the tokenizer's files.
 */
import { readJson, templateFiles } from '../../jinja/template-files.ts'
import { idsOf, spelling } from '../../tokenizer/special-tokens.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import type { SamplingOptions } from '../messages.ts'
import type { FormatSource } from './format.ts'

type Fields = Record<string, unknown>

/** Special tokens besides beginning and end that templates may write. */
const OTHER_TOKENS = ['unk_token', 'pad_token', 'sep_token', 'cls_token', 'mask_token']

/** Published names of the sampling fields, and what they may be. */
const SAMPLING: [published: string, ours: Exclude<keyof SamplingOptions, 'logitBias'>, low: number, high: number][] = [
  ['temperature', 'temperature', 0, 100],
  ['top_k', 'topK', 0, 2 ** 31],
  ['top_p', 'topP', 1e-9, 1],
  ['min_p', 'minP', 0, 1],
  ['repetition_penalty', 'repetitionPenalty', 1e-3, 1e3],
]

/**
 * @param read the bytes of a file, undefined when it does not exist
 * @throws Error when a file is not JSON; fields of wrong types are ignored, since a model can be used without them
 */
export async function formatFiles(read: (name: string) => Promise<Uint8Array | undefined>, tokenizer: Tokenizer): Promise<FormatSource> {
  const [config, generation, tokenizerConfig] = await Promise.all(
    ['config.json', 'generation_config.json', 'tokenizer_config.json'].map((name) => readJson(read, name)),
  )
  const templates = await templateFiles(read, tokenizerConfig?.chat_template)
  const others = OTHER_TOKENS.flatMap((name) => {
    const text = spelling(tokenizerConfig?.[name])
    return text === undefined ? [] : [[name, text] as const]
  })
  return {
    tokenizer,
    chatTemplate: templates.get('default') ?? templates.values().next().value,
    toolTemplate: templates.get('tool_use'),
    bosToken: spelling(tokenizerConfig?.bos_token),
    eosToken: spelling(tokenizerConfig?.eos_token),
    otherTokens: Object.fromEntries(others),
    eosTokenIds: idsOf(generation?.eos_token_id) ?? idsOf(config?.eos_token_id),
    sampling: samplingOf(generation ?? {}),
  }
}

function samplingOf(generation: Fields): SamplingOptions | undefined {
  if (generation.do_sample === false) return { temperature: 0 }
  const sampling: SamplingOptions = {}
  for (const [published, ours, low, high] of SAMPLING) {
    const value = generation[published]
    if (typeof value === 'number' && value >= low && value <= high) sampling[ours] = value
  }
  return Object.keys(sampling).length > 0 ? sampling : undefined
}
