/** Tokenizer and chat format of a model read no weights, so their memory cannot grow with the weights. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { formatFor } from '../../src/chat/formats/format.ts'
import { formatFiles } from '../../src/chat/formats/format-files.ts'
import { tokenizerFiles } from '../../src/tokenizer/files.ts'

test('tokenizer and chat format never read weights', async () => {
  const directory = fileURLToPath(new URL('../../models/abacus', import.meta.url))
  const asked: string[] = []
  let bytes = 0
  const read = async (name: string) => {
    asked.push(name)
    const content = await readFile(join(directory, name)).catch(() => undefined)
    bytes += content?.length ?? 0
    return content
  }
  const tokenizer = await tokenizerFiles(read)
  const format = formatFor(await formatFiles(read, tokenizer))
  assert.ok(format.render([{ role: 'user', content: 'What is 47 + 85?' }], {}).length > 10)
  assert.ok(asked.length > 0)
  assert.deepEqual(
    asked.filter(
      (name) =>
        !/^(tokenizer|vocab|merges|special_tokens|added_tokens|generation_config|config|chat_template|additional_chat_templates|tokenizer_config)/.test(
          name,
        ),
    ),
    [],
  )
  assert.ok(bytes < 100_000, `${bytes} bytes read`)
})
