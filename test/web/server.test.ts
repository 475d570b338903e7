/** `load` of the web export from a server: which addresses it asks for, and that it can be cancelled wherever the server stalls. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, test } from 'node:test'
import { loadIds } from '../../src/load-model.ts'
import { type Backend, createReferenceBackend, type Folder, httpFolder, load } from '../../src/web.ts'

const gguf = Uint8Array.from(readFileSync(new URL('../fixtures/gguf/tiny-qwen2.gguf', import.meta.url)))

/** The addresses that were asked for. */
const asked: string[] = []
const open = new Set<ServerResponse>()
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url!, 'http://localhost')
  asked.push(request.url!)
  open.add(response)
  response.on('close', () => open.delete(response))
  if (pathname.startsWith('/stalls/')) return
  if (!/\.gguf$/i.test(pathname)) return void response.writeHead(404).end()
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!
  const end = Math.min(Number(to), gguf.length - 1)
  response.writeHead(206, { 'content-range': `bytes ${from}-${end}/${gguf.length}` }).end(gguf.subarray(Number(from), end + 1))
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
after(() => {
  server.closeAllConnections()
  server.close()
})

/** A backend that counts how often it is disposed of. */
function counted(): { backend: Backend; disposed: () => number } {
  const base = createReferenceBackend()
  let count = 0
  const dispose = () => {
    count++
    return base.dispose()
  }
  return { backend: { ...base, dispose }, disposed: () => count }
}

describe('addresses', () => {
  const loaded = async (place: string | URL) => {
    asked.length = 0
    await using model = await load(place, { backend: createReferenceBackend(), context: 16, slots: 1 })
    return [model.architecture.modelType, ...asked]
  }

  test('the query of a GGUF file goes with its name', async () => {
    for (const place of [
      `${origin}/some%20model.GGUF?download=true&sig=a/b.c`,
      new URL(`${origin}/some%20model.GGUF?download=true&sig=a/b.c#top`),
    ])
      assert.deepEqual((await loaded(place)).slice(1), ['/some%20model.GGUF?download=true&sig=a/b.c'])
  })

  test('the query of a directory goes with every file', async () => {
    for (const place of [`${origin}/dir?sig=1`, `${origin}/dir/?sig=1`, `${origin}/dir?sig=m.gguf`]) {
      await assert.rejects(loaded(place))
      assert.ok(asked.length > 0)
      for (const url of asked) assert.match(url, /^\/dir\/[\w.]+\?sig=(1|m\.gguf)$/)
    }
  })

  test('relative ones are those of the page', async () => {
    await assert.rejects(load('m.gguf'), /^TypeError: load: expected the URL .*, got "m.gguf"; outside of a page it cannot be relative$/)
    Object.defineProperty(globalThis, 'location', { value: { href: `${origin}/page/index.html?x` }, configurable: true })
    try {
      assert.deepEqual((await loaded('m.gguf')).slice(1), ['/page/m.gguf'])
      assert.deepEqual((await loaded('../models/m.gguf?v=2')).slice(1), ['/models/m.gguf?v=2'])
    } finally {
      Reflect.deleteProperty(globalThis, 'location')
    }
  })
})

describe('cancellation', () => {
  const arrived = async () => {
    while (open.size === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const gone = async () => {
    while (open.size > 0) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  /** Cancels a load that waits for the server: the reason comes, the request ends, the backend is disposed of. */
  const cancelled = async (start: (backend: Backend, signal: AbortSignal) => Promise<unknown>) => {
    const stop = new AbortController()
    const { backend, disposed } = counted()
    const loading = assert.rejects(start(backend, stop.signal), /enough/)
    await arrived()
    stop.abort(new Error('enough'))
    await loading
    assert.equal(disposed(), 1)
    await gone()
  }
  const never = new Promise<never>(() => {})
  const deaf: Folder = { name: 'deaf', list: () => never, open: () => never }

  for (const [name, place] of [
    ['a directory', `${origin}/stalls/`],
    ['a GGUF file', `${origin}/stalls/m.gguf`],
  ] as const)
    test(`a server that stalls, ${name}: the reason comes at once, the request ends, the backend is disposed of`, async () => {
      await cancelled((backend, signal) => load(place, { backend, signal }))
    })

  test('before the configuration is there', async () => {
    await cancelled((backend, signal) => loadIds(httpFolder(`${origin}/stalls`), backend, { signal }))
  })

  test('a folder that knows no signals', async () => {
    for (const folder of [deaf, { ...deaf, list: async () => ['config.json'] }]) {
      const { backend, disposed } = counted()
      const stop = new AbortController()
      const loading = assert.rejects(load(folder, { backend, signal: stop.signal }), /enough/)
      await new Promise((resolve) => setTimeout(resolve, 5))
      stop.abort(new Error('enough'))
      await loading
      assert.equal(disposed(), 1)
    }
  })

  test('before the call: nothing is asked for', async () => {
    asked.length = 0
    for (const place of [`${origin}/stalls/`, `${origin}/stalls/m.gguf`, deaf]) {
      const { backend, disposed } = counted()
      await assert.rejects(load(place, { backend, signal: AbortSignal.abort(new Error('enough')) }), /enough/)
      assert.equal(disposed(), 1)
    }
    assert.deepEqual(asked, [])
  })
})
