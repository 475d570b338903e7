/**
 * Writes the published ranks of npm's js-tiktoken as the files that the Python packages tiktoken and openai-harmony read, so that
 * the other scripts of this folder need no download. openai-harmony checks the SHA-256 of its file. Development only.
 *   node scripts/oracles/ranks.ts FOLDER
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import gpt2 from 'js-tiktoken/ranks/gpt2'
import o200k from 'js-tiktoken/ranks/o200k_base'

const folder = process.argv[2]
if (!folder) throw new Error('expected the folder to write into')
mkdirSync(folder, { recursive: true })
for (const [name, ranks] of Object.entries({ gpt2, o200k_base: o200k })) {
  const lines: string[] = []
  for (const line of ranks.bpe_ranks.split('\n')) {
    const [, first, ...tokens] = line.split(' ')
    tokens.forEach((token, i) => {
      lines[Number(first) + i] = `${token} ${Number(first) + i}`
    })
  }
  writeFileSync(join(folder, `${name}.tiktoken`), `${lines.join('\n')}\n`)
}
