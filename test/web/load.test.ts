/** `load` of the web export on files that a user chose. The same in Node.js as in a page, so that it is tested where no browser runs. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { blobFolder, createReferenceBackend, load } from '../../src/web.ts'

const abacus = fileURLToPath(new URL('../../models/abacus/', import.meta.url))

/** A file of a chosen directory: browsers say where in the directory it was. */
const chosen = (path: string, content: Uint8Array<ArrayBuffer> | string): File =>
  Object.defineProperty(new File([content], path.split('/').at(-1)!), 'webkitRelativePath', { value: path })

test('a chosen directory answers on any backend; copies in its subdirectories do no harm', async () => {
  const files = readdirSync(abacus).map((name) => chosen(`abacus/${name}`, Uint8Array.from(readFileSync(abacus + name))))
  const folder = () => blobFolder([...files, chosen('abacus/original/config.json', '{}'), chosen('abacus/original/tokenizer.json', '{}')])
  const answers: string[] = []
  for (const options of [{ threads: 1 }, { backend: createReferenceBackend() }]) {
    await using model = await load(folder(), { ...options, context: 256, slots: 1 })
    let text = ''
    for await (const event of model.chat([{ role: 'user', content: 'What is 12 + 30?' }], { thinking: 'low' }))
      if (event.type === 'text-delta') text += event.delta
    answers.push(text)
  }
  assert.deepEqual(answers, ['42', '42'])
})
