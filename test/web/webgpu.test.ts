/** WebGPU in a real browser, on an adapter that computes on the CPU: two tiny checkpoints give their golden logits and greedy ids. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { bundle } from '../../scripts/web-graph.ts'
import { readGolden } from '../model/read-golden.ts'
import { noChromium, startChromium } from './chromium.ts'

const fixtures = fileURLToPath(new URL('../fixtures/checkpoints', import.meta.url))
/** Of the largest logit. */
const TOLERANCE = 1e-3

/** What the page does; its text is run there. */
const inThePage = async ([path, prompts, counts]: [string, number[][], number[]]) => {
  const { golden }: typeof import('./golden-entry.ts') = await import(`${location.origin}/golden.js`)
  return golden(`${location.origin}${path}`, prompts, counts)
}

test('tiny-gpt-oss and tiny-qwen3 in a page on WebGPU', { skip: noChromium }, async () => {
  const { outputFiles } = await bundle({ golden: 'test/web/golden-entry.ts' })
  const server = createServer((request, response) => {
    const path = request.url!
    if (path === '/') return void response.setHeader('content-type', 'text/html').end('<!doctype html><title>Lineage</title>')
    if (path === '/golden.js') return void response.setHeader('content-type', 'text/javascript').end(outputFiles[0]!.contents)
    const [, name] = /^\/(tiny-[a-z0-9-]+\/(?:config\.json|model\.safetensors))$/.exec(path) ?? []
    if (!name) return void response.writeHead(404).end()
    const bytes = readFileSync(`${fixtures}/${name}`)
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    if (!range) return void response.end(bytes)
    const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}` }).end(bytes.subarray(from, to + 1))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await startChromium({ webgpu: true })
  try {
    for (const name of ['tiny-gpt-oss', 'tiny-qwen3']) {
      const { ids, logits, greedy } = readGolden(`${fixtures}/${name}/golden.safetensors`)
      const page = await browser.newPage()
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      const prompts = ids.map((prompt) => [...prompt])
      const counts = ids.map((_, n) => greedy[n]?.length ?? 1)
      const found = await page.evaluate(inThePage, [`/${name}/`, prompts, counts] as [string, number[][], number[]])
      assert.equal(found.software, true)
      for (const [n, expected] of logits.entries()) {
        const largest = expected.reduce((a, b) => Math.max(a, Math.abs(b)), 0)
        // Of long prompts the golden values are those of the last rows.
        const actual = found.answers[n]!.logits.slice(-expected.length)
        assert.equal(actual.length, expected.length)
        const worst = expected.reduce((a, value, i) => Math.max(a, Math.abs(value - actual[i]!)), 0)
        assert.ok(worst <= TOLERANCE * largest, `${name}, prompt ${n}: differs by ${worst / largest} of the largest logit`)
        if (greedy[n]) assert.deepEqual(found.answers[n]!.greedy, [...greedy[n]], `${name}, prompt ${n}`)
      }
      await page.close()
    }
  } finally {
    await browser.close()
    server.close()
  }
})
