/**
 * Chooses the tokenizer of a checkpoint directory from the files in it. The caller reads the files, so
 * this works on a disk, over HTTP and in a browser.
 */
import { isObject } from '../json/json.ts'
import { parsePythonJson } from '../json/python.ts'
import { tokenizerFromGpt2 } from './gpt2-files.ts'
import { parseTokenizerJson } from './merge-text.ts'
import { spelling } from './special-tokens.ts'
import type { Tokenizer } from './tokenizer.ts'
import { tokenizerFromJson } from './tokenizer-json.ts'

/** The names that `tokenizerFiles` may read, in order. A downloader needs no other. */
export const tokenizerFileNames: readonly string[] = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'merges.txt',
  'encoder.json',
  'vocab.bpe',
]

/**
 * tokenizer.json if it exists, else GPT-2's vocab.json + merges.txt or OpenAI's encoder.json + vocab.bpe.
 * @param read the bytes of a file, undefined when it does not exist
 * @throws Error when none is there or one is malformed
 */
export async function tokenizerFiles(read: (name: string) => Promise<Uint8Array | undefined>): Promise<Tokenizer> {
  const config = await readJson(read, 'tokenizer_config.json')
  const json = await readJson(read, 'tokenizer.json')
  if (json !== undefined) return tokenizerFromJson(json, 'tokenizer.json', { bos: bosToken(config) })
  const own = await gpt2Files(read, config)
  if (own) return tokenizerFromGpt2(own.vocab, own.merges, own.file)
  throw new Error('no tokenizer: expected tokenizer.json, vocab.json + merges.txt, or encoder.json + vocab.bpe beside the weights')
}

/**
 * The vocabulary and the merges of GPT-2's or OpenAI's pair of files, and the names of both; undefined without such a pair.
 * @param config tokenizer_config.json
 * @throws Error when they are malformed, or written for another tokenizer
 */
export async function gpt2Files(
  read: (name: string) => Promise<Uint8Array | undefined>,
  config: unknown,
): Promise<{ vocab: unknown; merges: string; file: string } | undefined> {
  for (const [vocabName, mergesName] of [
    ['vocab.json', 'merges.txt'],
    ['encoder.json', 'vocab.bpe'],
  ] as const) {
    const vocab = await readJson(read, vocabName)
    const merges = await read(mergesName)
    if (vocab === undefined || merges === undefined) continue
    const kind = field(config, 'tokenizer_class')
    if (kind !== undefined && !/^GPT2Tokenizer(Fast)?$/.test(String(kind)))
      throw new Error(
        `${vocabName}: written for ${kind}; only GPT-2's can be used without tokenizer.json. Fetch the model's tokenizer.json`,
      )
    return { vocab, merges: new TextDecoder('utf-8', { fatal: true }).decode(merges), file: `${vocabName} and ${mergesName}` }
  }
  return undefined
}

/** The BOS spelling that a tokenizer_config.json asks for. */
function bosToken(config: unknown): string | undefined {
  return field(config, 'add_bos_token') === true ? spelling(field(config, 'bos_token')) : undefined
}

const field = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? (value[name] ?? undefined) : undefined

async function readJson(read: (name: string) => Promise<Uint8Array | undefined>, name: string): Promise<unknown> {
  const bytes = await read(name)
  if (bytes === undefined) return undefined
  try {
    return parseTokenizerJson(bytes, parsePythonJson)
  } catch (error) {
    throw new Error(`${name}: not valid JSON in UTF-8 (${(error as Error).message})`, { cause: error })
  }
}
