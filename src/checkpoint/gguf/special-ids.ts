/** Which ids end an answer: those that the metadata name, and tokens whose spellings are known to end turns. */
import type { MetadataFields } from './metadata.ts'

/** Kinds of tokens in `tokenizer.ggml.token_type`. */
export const TOKEN = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const

/** Keys of ids that end an answer, behind `tokenizer.ggml.`. */
export const END_KEYS = ['eos_token_id', 'eot_token_id', 'eom_token_id']
/** Spellings of control tokens that end a turn or an answer in published chat formats. */
const END_SPELLINGS = new Set([
  '<|eot_id|>',
  '<|eom_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|end_of_sentence|>',
  '<｜end▁of▁sentence｜>',
  '<EOT>',
  '[EOT]',
])

/** The ids that end an answer, the end of texts first. */
export function endIds(fields: MetadataFields): number[] {
  const tokens = fields.texts('tokenizer.ggml.tokens') ?? []
  const types = fields.numbers('tokenizer.ggml.token_type') ?? []
  const ids = new Set<number>()
  for (const key of END_KEYS) {
    const id = fields.number(`tokenizer.ggml.${key}`)
    if (id !== undefined && Number.isInteger(id) && id >= 0) ids.add(id)
  }
  tokens.forEach((token, id) => {
    if (types[id] === TOKEN.control && END_SPELLINGS.has(token)) ids.add(id)
  })
  // In harmony <|end|> ends a message, after which the answer goes on.
  if (tokens.includes('<|return|>') && tokens.includes('<|call|>')) ids.delete(tokens.indexOf('<|end|>'))
  return [...ids]
}
