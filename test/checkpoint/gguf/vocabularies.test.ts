/**
 * Real vocabularies of llama.cpp with texts and the ids that it makes of them, where they lie beside the repository; and the answer of
 * a real model by its own tokenizer.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { convertToGguf } from '../../../src/checkpoint/gguf/convert-node.ts'
import { readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { tokenizerFromMetadata } from '../../../src/checkpoint/gguf/tokenizer.ts'
import { fileSource } from '../../../src/checkpoint/source-node.ts'
import { load } from '../../../src/index.ts'
import { tokenizerFromJson } from '../../../src/tokenizer/tokenizer-json.ts'

const shared = (path: string) => fileURLToPath(new URL(`../../../../shared/${path}`, import.meta.url))
const folder = shared('vectors/gguf/vocab/')
const SEPARATOR = '\n__ggml_vocab_test__\n'

if (!existsSync(folder)) test('vocabularies', { skip: `no vectors in ${folder}` }, () => {})
else {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.gguf'))) {
    test(file, async () => {
      const source = (await fileSource(folder + file))!
      const { metadata } = await readGgufHeader(source)
      await source.close()
      const tokenizer = tokenizerFromJson(tokenizerFromMetadata(file, metadata), file)
      const texts = readFileSync(`${folder}${file}.inp`, 'utf8').split(SEPARATOR)
      const wanted = readFileSync(`${folder}${file}.out`, 'utf8').split('\n')
      assert.ok(texts.length > 40)
      for (const [n, text] of texts.entries()) {
        const ids = wanted[n]!.split(' ').filter((word) => word !== '')
        assert.deepEqual(tokenizer.encode(text), ids.map(Number), JSON.stringify(text))
        assert.equal(tokenizer.decode(tokenizer.encode(text)), text.toWellFormed())
      }
    })
  }
}

const [story, expected] = [shared('vectors/gguf/stories260K-f32.gguf'), shared('real/stories260K/expected-greedy-400.txt')]
const directory = shared('real/stories260K')
const missing = [story, expected, directory].find((path) => !existsSync(path))

for (const [from, file] of [
  ['the converter of llama.cpp', async () => story],
  ['safetensors by lineage quantize', async (to: string) => (await convertToGguf(directory, to)).files[0]!],
] as const)
  test(`stories260K from ${from}: 400 greedy ids, and the text by its tokenizer`, { skip: missing && `no ${missing}` }, async () => {
    const temporary = mkdtempSync(join(tmpdir(), 'lineage-story-'))
    const [, line] = /^all 1 ([\d ]+)$/m.exec(readFileSync(expected, 'utf8'))!
    const ids = line!.trim().split(' ').map(Number)
    await using model = await load(await file(join(temporary, 'story.gguf')), { threads: 1 })
    rmSync(temporary, { recursive: true })
    const generation = model.generate('', { maxTokens: 400, sampling: { temperature: 0 } })
    const text = (await Array.fromAsync(generation)).join('')
    assert.deepEqual((await generation.result).ids, ids)
    assert.match(text, /^Once upon a time, there was a little girl named Lily\./)
    const opening = model.tokenizer.decode(ids.slice(0, 40))
    assert.deepEqual(model.tokenizer.encode(opening), ids.slice(0, 40))
  })
