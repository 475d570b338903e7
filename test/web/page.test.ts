/**
 * The web export in a real browser: a page loads the bundle and `abacus` from a server, and answers as Node.js does, to the last id.
 * With the headers that isolate a page it computes with threads, without them in one.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { bundle } from '../../scripts/web-graph.ts'
import { load } from '../../src/index.ts'
import { noChromium, startChromium } from './chromium.ts'

const QUESTION = 'What is 47 + 85?'
const PROMPT = 'What is 12 + 30?'
const abacus = fileURLToPath(new URL('../../models/abacus/', import.meta.url))

interface Answers {
  isolated: boolean
  threads: number
  reasoning: string
  text: string
  ids: number[]
  chosen: string
}

/** What the page does; its text is run there. `load` takes a URL, then files as a user would choose them. */
const inThePage = async ([question, prompt, names]: [string, string, string[]]): Promise<Answers> => {
  const { load, blobFolder }: typeof import('../../src/web.ts') = await import(`${location.origin}/web.js`)
  const answer = async (model: Awaited<ReturnType<typeof load>>) => {
    const said = { reasoning: '', text: '' }
    for await (const event of model.chat([{ role: 'user', content: question }])) {
      if (event.type === 'reasoning-delta') said.reasoning += event.delta
      if (event.type === 'text-delta') said.text += event.delta
    }
    return said
  }
  const model = await load('/abacus')
  const { ids } = await model.generate(prompt, { maxTokens: 12 }).result
  const answers = {
    isolated: crossOriginIsolated,
    threads: (model.backend as unknown as { threads: number }).threads,
    ...(await answer(model)),
    ids: [...ids],
  }
  await model.dispose()
  const files = await Promise.all(names.map(async (name) => new File([await (await fetch(`/abacus/${name}`)).blob()], name)))
  const chosen = await load(blobFolder(files), { threads: 1 })
  const { text } = await answer(chosen)
  await chosen.dispose()
  return { ...answers, chosen: text }
}

describe('a page', { skip: noChromium }, () => {
  const files = new Map<string, Uint8Array>()
  const requests: string[] = []
  /** A server of the page, with the headers that isolate it or without. */
  const server = (isolated: boolean) =>
    createServer((request, response) => {
      const path = request.url!
      requests.push(path)
      if (isolated)
        response.setHeaders(new Headers({ 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }))
      if (path === '/') return void response.setHeader('content-type', 'text/html').end('<!doctype html><title>Lineage</title>')
      const bytes = files.get(path)
      if (!bytes) return void response.writeHead(404).end()
      if (path.endsWith('.js')) response.setHeader('content-type', 'text/javascript')
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
      if (!range) return void response.end(bytes)
      const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
      response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}` }).end(bytes.subarray(from, to + 1))
    })
  const servers = [server(true), server(false)]
  const names = [
    'config.json',
    'generation_config.json',
    'chat_template.jinja',
    'tokenizer.json',
    'tokenizer_config.json',
    'model.safetensors',
  ]
  let browser: Browser
  let expected: Pick<Answers, 'reasoning' | 'text' | 'ids'>

  before(async () => {
    for (const { path, contents } of (await bundle()).outputFiles) files.set(`/${basename(path)}`, contents)
    for (const name of names) files.set(`/abacus/${name}`, readFileSync(abacus + name))
    for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    browser = await startChromium()
    await using model = await load('abacus', { threads: 1 })
    expected = { reasoning: '', text: '', ids: (await model.generate(PROMPT, { maxTokens: 12 }).result).ids }
    for await (const event of model.chat([{ role: 'user', content: QUESTION }])) {
      if (event.type === 'reasoning-delta') expected.reasoning += event.delta
      if (event.type === 'text-delta') expected.text += event.delta
    }
  })
  after(async () => {
    await browser?.close()
    for (const server of servers) server.close()
  })

  for (const isolated of [true, false])
    test(`answers ${isolated ? 'with threads where it is isolated' : 'in one thread where it is not'}`, async () => {
      const { port } = servers[isolated ? 0 : 1]!.address() as AddressInfo
      const page = await browser.newPage()
      const problems: string[] = []
      page.on('pageerror', (error) => problems.push(String(error)))
      await page.goto(`http://127.0.0.1:${port}/`)
      requests.length = 0
      const answers = await page.evaluate(inThePage, [QUESTION, PROMPT, names] as [string, string, string[]])
      assert.deepEqual(problems, [])
      assert.equal(expected.text, '132')
      assert.match(expected.reasoning, /\d/)
      const { threads, ...rest } = answers
      assert.deepEqual(rest, { ...expected, isolated, chosen: '132' })
      if (isolated) assert.ok(threads >= 1 && requests.includes('/worker.js'))
      else assert.ok(threads === 1 && !requests.includes('/worker.js'))
      await page.close()
    })
})
