/** Learning BPE merges: the same as Hugging Face's tokenizers learns (scripts/oracles/bpe-training.py), and what is learned can be read. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { random } from '../../src/random/stream.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { trainBpe } from '../../src/tokenizer/train-bpe.ts'
import { stories } from '../../src/train/data/stories.ts'

const mixed = "Straße, naïve 東京 и мир! It's 3.14 — don't\n\n  tabs\tand  spaces   123456 123 12 aaaaaaaa aaaa 🙂🙂 e\u0301"
const cases: [name: string, text: string, size: number][] = [
  ['stories', stories(random(1), 20_000), 500],
  ['more stories', stories(random(2), 60_000), 1000],
  ['several scripts', `${mixed}\n`.repeat(7), 400],
  ['equally common pairs', 'ab cd ef gh ab cd ef gh ij kl ij kl', 270],
  ['repeats that overlap', 'aaaa aaaaa aaa aaaaaaa aa a '.repeat(5), 265],
  ['fewer pairs than asked for', 'one two three one two three', 2000],
  ['nothing to learn', 'x', 300],
]
if (process.env.TEXTS) writeFileSync(process.env.TEXTS, JSON.stringify(cases.map(([, text, size]) => [text, size])))
const golden = JSON.parse(readFileSync(new URL('../fixtures/bpe-merges.json', import.meta.url), 'utf8')) as [string, string][][]

describe('merges', () => {
  for (const [i, [name, text, size]] of cases.entries())
    test(name, () => {
      const json = trainBpe(text, size)
      assert.deepEqual((json.model as { merges: [string, string][] }).merges, golden[i])
      const tokenizer = tokenizerFromJson(JSON.parse(JSON.stringify(json)), 'tokenizer.json')
      assert.equal(tokenizer.vocabSize, 256 + golden[i]!.length + 1)
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text)
      assert.equal(tokenizer.decode(tokenizer.encode(mixed)), mixed)
    })
})

test('a size without room for the bytes is refused', () => {
  for (const size of [0, 256, Number.NaN, 2 ** 24]) assert.throws(() => trainBpe('text', size), /a BPE tokenizer has from 257 to/)
})
