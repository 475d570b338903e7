/**
 * Fields of a request that no schema of this server reads. A field that would change the answer is refused, unless it asks
 * for what happens anyway; one that changes nothing is ignored; any other is ignored and named in a header of the answer.
 */
import { badRequest } from '../http/errors.ts'

/** Refused fields: what to do instead, and the values that ask for nothing. null, "", [] and {} never ask for anything. */
export const REFUSED: Readonly<Record<string, readonly [instead: string, ...neutral: unknown[]]>> = {
  add_generation_prompt: ['use it on /v1/chat/completions', true],
  allowed_token_ids: ['use logit_bias, or a grammar'],
  audio: ['this server answers with text'],
  bad_words: ['use logit_bias'],
  best_of: ['use n', 1],
  chat_template: ['templates are never taken from requests'],
  context: ['send the conversation to /api/chat'],
  context_management: ['shorten the input, or use truncation'],
  continue_final_message: ['use it on /v1/chat/completions', false],
  conversation: ['use it on /v1/responses'],
  documents: ['write the documents into a message'],
  dry_multiplier: ['use repetition_penalty', 0],
  dynatemp_range: ['use temperature', 0],
  enabled: ['use reasoning_effort', true],
  echo: ['use /v1/completions', false],
  enable_thinking: ['use chat_template_kwargs or reasoning_effort'],
  grammar_lazy: ['a grammar holds for the whole answer', false],
  grammar_triggers: ['a grammar holds for the whole answer'],
  guided_whitespace_pattern: ['a value has at most one space after a comma or a colon'],
  include_stop_str_in_output: ['a stop text is never part of the answer', false],
  length_penalty: ['there is no beam search', 1],
  container: ['the server runs no tools'],
  mcp_servers: ['the server runs no tools'],
  logits_processors: ['use logit_bias'],
  logprobs: ['this endpoint gives none; use /v1/chat/completions', false, 0],
  top_logprobs: ['this endpoint gives none; use /v1/chat/completions', 0],
  lora: ['this server loads no adapters by request'],
  mirostat: ['use temperature, top_p or min_p', 0],
  modalities: ['this server answers with text', ['text']],
  n_indent: ['use a grammar', 0],
  n_predict: ['use max_tokens', -1],
  n_probs: ['use logprobs', 0],
  no_repeat_ngram_size: ['use repetition_penalty', 0],
  penalize_newline: ['use logit_bias', true],
  penalize_nl: ['use logit_bias', false],
  plugins: ['the server runs no tools'],
  prompt: ['send messages or an input'],
  prompt_embeds: ['send a text or token ids'],
  prompt_logprobs: ['use /v1/completions with echo and logprobs', false, 0],
  reasoning_budget: ['use thinking_token_budget', -1],
  reasoning_format: ['reasoning comes in fields of its own', 'auto', 'deepseek'],
  repeat_last_n: ['repetition_penalty counts the whole context', -1],
  repeat_penalty: ['use repetition_penalty', 1],
  samplers: ['the order of the cuts is fixed'],
  separate_reasoning: ['reasoning comes in fields of its own', true],
  skip_special_tokens: ['special tokens are never part of the text', true],
  stop_token_ids: ['use stop'],
  structural_tag: ['use tools, or a grammar'],
  suffix: ['use it on /v1/completions, /api/generate or /infill'],
  system: ['use a message with the role system'],
  t_max_predict_ms: ['use max_tokens', 0, -1],
  template: ['templates are never taken from requests'],
  tfs_z: ['use top_p or min_p', 1],
  think: ['use reasoning_effort'],
  thinking: ['use reasoning_effort'],
  top_n_sigma: ['use min_p', -1, 0],
  transforms: ['use truncation of /v1/responses'],
  truncate_prompt_tokens: ['shorten the prompt'],
  typ_p: ['use top_p or min_p', 1],
  typical_p: ['use top_p or min_p', 1],
  use_beam_search: ['there is no beam search', false],
  verbosity: ['ask for a short or a long answer in a message', 'medium'],
  web_search_options: ['the server runs no tools'],
  xtc_probability: ['use top_p or min_p', 0],
}

/** Fields that say how another server should work, what to log, or what to add to an answer. */
export const HARMLESS: ReadonlySet<string> = new Set(
  `cache_prompt cache_salt client_metadata dry_allowed_length dry_base dry_penalty_last_n dry_sequence_breakers dynatemp_exponent
  f16_kv include_obfuscation continuous_usage_stats num_ctx cache_control inference_geo metadata speed user guided_decoding_backend id_slot keep_alive logits_all low_vram main_gpu max_retries mirostat_eta mirostat_tau mm_processor_kwargs
  n_discard n_keep num_batch num_gpu num_keep num_thread numa parse_tool_calls post_sampling_probs prediction priority
  prompt_cache_key prompt_cache_options prompt_cache_retention provider request_id return_progress return_tokens return_tokens_as_token_ids
  return_token_ids safety_identifier service_tier session_id shift spaces_between_special_tokens store stream_reasoning
  timings_per_token truncate use_mlock use_mmap vocab_only xtc_threshold`.split(/\s+/),
)

/** A name like these speaks of what the answer is, so it is refused although this server does not know it. */
const CHANGES_ANSWERS =
  /^(allow|ban|bad|beam|constrain|dry|dynatemp|force|guid|max_|min_|mirostat|no_repeat|parallel|reason|repeat|stop|structur|think|token|top_|xtc)|bias|choice|eos|format|function|grammar|image|logit|messages|penalty|prefix|prompt|regex|sampl|schema|suffix|system|temperature|template|_p$/

/**
 * The fields of `body` that nothing reads.
 * @param read the fields that are read
 * @param where the place of `body` in the request, such as `options.`
 * @throws 400 that names the first one that would change the answer
 */
export function ignoredFields(body: object, read: ReadonlySet<string>, where = ''): string[] {
  const ignored: string[] = []
  for (const [field, value] of Object.entries(body)) {
    if (read.has(field) || HARMLESS.has(field) || isNothing(value)) continue
    const refused = Object.hasOwn(REFUSED, field) ? REFUSED[field]! : undefined
    if (refused?.slice(1).some((neutral) => JSON.stringify(neutral) === JSON.stringify(value))) continue
    if (refused || CHANGES_ANSWERS.test(field)) {
      const instead = refused ? `; ${refused[0]}` : ' by this server'
      throw badRequest(`${where}${field}: this field is not supported${instead}.`, `${where}${field}`.slice(0, 200), 'unsupported_field')
    }
    ignored.push(`${where}${field}`)
  }
  return ignored
}

function isNothing(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0)
}
