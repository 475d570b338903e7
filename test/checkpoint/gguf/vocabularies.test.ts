/**
 * Real vocabularies of llama.cpp with texts and the ids that it makes of them, where they lie beside the repository; and the answer of
 * a real model by its own tokenizer.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readGgufHeader } from '../../../src/checkpoint/gguf/header.ts'
import { tokenizerFromMetadata } from '../../../src/checkpoint/gguf/tokenizer.ts'
import { fileSource } from '../../../src/checkpoint/source-node.ts'
import { tokenizerFromJson } from '../../../src/tokenizer/tokenizer-json.ts'

const folder = fileURLToPath(new URL('../../../../shared/vectors/gguf/vocab/', import.meta.url))
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
