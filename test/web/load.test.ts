/** `load` of the web export on files that a user chose. The same in Node.js as in a page, so that it is tested where no browser runs. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
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
    for await (const event of model.chat([{ role: 'user', content: 'What is 12 + 30?' }], { thinking: 'high' }))
      if (event.type === 'text-delta') text += event.delta
    answers.push(text)
  }
  assert.deepEqual(answers, ['42', '42'])
})

test('a misspelt option is named; no chosen file is no model', async () => {
  await assert.rejects(
    load(blobFolder([]), { slotz: 3 } as object),
    /^TypeError: load: slotz: there is no such option; did you mean slots\?$/,
  )
  await assert.rejects(load(blobFolder(null)), /no tokenizer/)
})

test('a GGUF file that was chosen, and one on a server', async () => {
  const bytes = Uint8Array.from(readFileSync(new URL('../fixtures/gguf/tiny-qwen2.gguf', import.meta.url)))
  const server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (request.url !== '/models/tiny%20model.gguf' || !range) return void response.writeHead(404).end()
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}` }).end(bytes.subarray(from, to + 1))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/tiny%20model.gguf`
  const answers: string[] = []
  for (const place of [blobFolder([new File([bytes], 'tiny.gguf')]), url]) {
    await using model = await load(place, { backend: createReferenceBackend(), context: 64, slots: 1 })
    let text = ''
    for await (const piece of model.generate('the', { maxTokens: 5, sampling: { temperature: 0 } })) text += piece
    answers.push(text)
  }
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(answers[0])
  assert.equal(answers[1], answers[0])
})
