/**
 * A prompt that asks for what stands between two texts (fill in the middle), for models that were trained for it. Bavarian et al. 2022
 * (arXiv:2207.14255); the markers are those of Qwen-Coder, StarCoder and Granite, DeepSeek-Coder, CodeLlama and Codestral.
 */

import type { ChatModel } from '../../answer/answer.ts'
import { checkLength } from '../../answer/answer.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'
import { badRequest } from '../http/errors.ts'

export interface Gap {
  before: string
  after: string
  /** Beginning of the answer. */
  begun?: string
  /** Other files of the project. */
  files?: readonly { name: string; text: string }[]
}

/** Spellings of the markers before the first text, the second one, and the answer. `suffixFirst`: the second text comes first. */
const MARKERS: { before: string; after: string; middle: string; suffixFirst?: true }[] = [
  { before: '<|fim_prefix|>', after: '<|fim_suffix|>', middle: '<|fim_middle|>' },
  { before: '<fim_prefix>', after: '<fim_suffix>', middle: '<fim_middle>' },
  { before: '<fim-prefix>', after: '<fim-suffix>', middle: '<fim-middle>' },
  { before: '<｜fim▁begin｜>', after: '<｜fim▁hole｜>', middle: '<｜fim▁end｜>' },
  { before: '▁<PRE>', after: '▁<SUF>', middle: '▁<MID>' },
  { before: '[PREFIX]', after: '[SUFFIX]', middle: '', suffixFirst: true },
]

/** Markers that end such an answer, where a model writes them: what follows belongs to another file. */
const ENDS = ['<|fim_pad|>', '<|file_sep|>', '<|repo_name|>', '<|fim_prefix|>', '<file_sep>', '<filename>', '<fim_pad>', '<EOT>', '▁<EOT>']

/**
 * @param field name of the text in the request, for errors
 * @returns the ids, and texts that end the answer
 * @throws 400 when the model has no markers for it, ChatError when the texts are too long
 */
export function fillPrompt({ tokenizer, engine }: ChatModel, gap: Gap, field: string): { ids: number[]; stops: string[] } {
  const { before, after, begun = '', files = [] } = gap
  const id = (marker: string) => tokenizer.specials.get(marker)
  const markers = MARKERS.find((each) => id(each.before) !== undefined && id(each.after) !== undefined)
  if (!markers) throw badRequest(`${field}: this model was not trained to fill in between two texts.`, field, 'not_supported')
  checkLength(before.length + after.length + files.reduce((sum, { text }) => sum + text.length, 0), engine.context, field)
  const piece = (marker: string, text: string) => [...(marker === '' ? [] : [id(marker)!]), ...tokenizer.encode(text)]
  const first = piece(markers.before, before)
  const second = piece(markers.after, after)
  const middle = piece(markers.middle, begun)
  const ids = markers.suffixFirst ? [...second, ...first, ...middle] : [...first, ...second, ...middle]
  const prefix = tokenizer.prefix ?? []
  return { ids: [...prefix, ...filesBefore(tokenizer, files), ...ids], stops: ENDS.filter((end) => id(end) !== undefined) }
}

/** Other files as Qwen-Coder reads a project, as llama-server writes it; for models without such markers they are text in front. */
function filesBefore(tokenizer: Tokenizer, files: NonNullable<Gap['files']>): number[] {
  const marker = (name: string) => tokenizer.specials.get(`<|${name}|>`) ?? tokenizer.specials.get(`<${name}>`)
  const [project, separator] = [marker('repo_name'), marker('file_sep')]
  if (files.length === 0) return []
  const own = [...files.map(({ name, text }) => `${name}\n${text}\n`), 'filename\n']
  if (separator === undefined) return own.slice(0, -1).flatMap((text) => tokenizer.encode(text))
  const head = project === undefined ? [] : [project, ...tokenizer.encode('myproject\n')]
  return [...head, ...own.flatMap((text) => [separator, ...tokenizer.encode(text)])]
}
