/**
 * Which chat format a checkpoint speaks, decided by what its files contain (special tokens, chat template), never by its name.
 */
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import type { ChatFormat, Sampling } from './messages.ts'

/** What formatFor looks at: all of it comes from the checkpoint's own files. */
export interface FormatSource {
  tokenizer: Tokenizer
  /** Text of the published Jinja template, if there is one. */
  chatTemplate?: string
  /** `bos_token` and `eos_token` of tokenizer_config.json, spelled out; Jinja templates use them. */
  bosToken?: string
  eosToken?: string
  /** `eos_token_id` of generation_config.json or config.json. */
  eosTokenIds?: readonly number[]
  /** Sampling fields of generation_config.json. */
  sampling?: Sampling
}

export type FormatName = ChatFormat['name']
