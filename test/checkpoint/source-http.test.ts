/**
 * Reading from a server: few requests, each byte once, readers that do not disturb each other, and named errors for everything that a
 * server or a connection can do wrong.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, describe, mock, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ReadFailedError, TruncatedFileError } from '../../src/checkpoint/errors.ts'
import { type HttpOptions, httpFolder, httpSource } from '../../src/checkpoint/source-http.ts'
import { loadModel } from '../../src/load-model-node.ts'

const closing: (() => void)[] = []
after(() => {
  for (const close of closing) close()
})

async function serve(listener: RequestListener): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  }
  closing.push(close)
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}

/** The range that a request asks for, both ends included, within `size` bytes. */
function rangeOf(request: IncomingMessage, size: number): [from: number, to: number] {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range!)!
  return [Number(from), Math.min(Number(to), size - 1)]
}

function answer(response: ServerResponse, [from, to]: [number, number], bytes: Uint8Array): void {
  response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}`, 'content-length': to - from + 1 })
  response.end(bytes.subarray(from, to + 1))
}

const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 2654435761) >>> 11)
const read = async (source: Awaited<ReturnType<typeof httpSource>>, offset: number, length: number, signal?: AbortSignal) => {
  const into = new Uint8Array(length)
  await source!.read(offset, into, signal)
  assert.ok(Buffer.from(into).equals(bytes.subarray(offset, offset + length)), `${length} bytes at ${offset}`)
}

describe('few requests', () => {
  test('abacus loads with fewer than 15, and asks for no byte twice', async () => {
    const asked: string[] = []
    const { url } = await serve((request, response) => {
      asked.push(`${request.url} ${request.headers.range}`)
      try {
        const bytes = readFileSync(fileURLToPath(new URL(`../../models/abacus${request.url}`, import.meta.url)))
        answer(response, rangeOf(request, bytes.length), bytes)
      } catch {
        response.writeHead(404).end()
      }
    })
    const model = await loadModel(httpFolder(url), { threads: 1, context: 64, slots: 1 })
    await model.dispose()
    assert.ok(asked.length < 15, asked.join('\n'))
    assert.equal(new Set(asked).size, asked.length, asked.join('\n'))
    assert.equal(asked.filter((one) => one.startsWith('/model.safetensors ')).length, 2)
  })

  test('reads that begin together share a window, small files are kept, windows of a closed file are not', async () => {
    let requests = 0
    const { url } = await serve((request, response) => {
      requests++
      if (request.url === '/absent') return void response.writeHead(404).end()
      const file = request.url === '/small' ? bytes.subarray(0, 900) : bytes
      answer(response, rangeOf(request, file.length), file)
    })
    const folder = httpFolder(url, { windowBytes: 10_000 })
    const source = await folder.open('large')
    assert.equal(requests, 1)
    await Promise.all([read(source, 10_000, 10), read(source, 19_000, 1000), read(source, 12_345, 7000), read(source, 5, 9)])
    assert.equal(requests, 2)
    await read(source, 9_999, 20_002) // the end of the first window, two more, the beginning of a fourth
    assert.equal(requests, 4)
    for (const file of ['small', 'small', 'absent', 'absent']) {
      const opened = await folder.open(file)
      assert.equal(opened?.size, file === 'small' ? 900 : undefined)
      if (opened) await read(opened, 100, 800)
      await opened?.close()
    }
    assert.equal(requests, 6)
    await source!.close()
    await read(source, 10_000, 10)
    assert.equal(requests, 7)
  })

  test('no more than 64 MB of windows are kept', async () => {
    const large = new Uint8Array(80 << 20)
    let requests = 0
    const { url } = await serve((request, response) => {
      requests++
      answer(response, rangeOf(request, large.length), large)
    })
    const source = (await httpSource(url))!
    const at = (megabyte: number) => source.read(megabyte << 20, new Uint8Array(1))
    for (let megabyte = 0; megabyte < 80; megabyte++) await at(megabyte)
    assert.equal(requests, 11)
    await at(79)
    await at(30)
    assert.equal(requests, 11)
    await at(1)
    assert.equal(requests, 12)
  })
})

describe('cancellation', () => {
  test('a reader that is aborted leaves the others their window; when the last one leaves, the request ends', async () => {
    let held: (() => void) | undefined
    let ended = Promise.withResolvers<void>()
    const { url } = await serve((request, response) => {
      const range = rangeOf(request, bytes.length)
      if (range[0] === 0) return answer(response, range, bytes)
      response.on('close', () => ended.resolve())
      held = () => answer(response, range, bytes)
    })
    const source = await httpSource(url, { windowBytes: 10_000 })
    const [one, two] = [new AbortController(), new AbortController()]
    const first = assert.rejects(read(source, 20_000, 10, one.signal), /enough of one/)
    const second = read(source, 20_005, 10, two.signal)
    while (!held) await new Promise((resolve) => setTimeout(resolve, 1))
    one.abort(new Error('enough of one'))
    await first
    held()
    await second

    held = undefined
    ended = Promise.withResolvers()
    const third = assert.rejects(read(source, 50_000, 10, two.signal), /enough of two/)
    while (!held) await new Promise((resolve) => setTimeout(resolve, 1))
    two.abort(new Error('enough of two'))
    await third
    await ended.promise
    const again = read(source, 50_000, 10)
    held = undefined
    while (!held) await new Promise((resolve) => setTimeout(resolve, 1))
    ;(held as () => void)()
    await again
  })
})

test('a file that several open is asked for until none of them waits', async () => {
  const ended = Promise.withResolvers<void>()
  const waiting: (() => void)[] = []
  let requests = 0
  const { url } = await serve((request, response) => {
    requests++
    if (requests === 2) response.on('close', () => ended.resolve())
    waiting.push(() => answer(response, rangeOf(request, bytes.length), bytes))
  })
  const arrived = async (count: number) => {
    while (requests < count) await new Promise((resolve) => setTimeout(resolve, 1))
  }
  const folder = httpFolder(url)
  const [one, two] = [new AbortController(), new AbortController()]
  const first = assert.rejects(folder.open('a', one.signal), /enough of one/)
  const second = folder.open('a', two.signal)
  await arrived(1)
  one.abort(new Error('enough of one'))
  await first
  waiting[0]!()
  assert.equal((await second)!.size, bytes.length)

  const third = assert.rejects(folder.open('b', two.signal), /enough of two/)
  await arrived(2)
  two.abort(new Error('enough of two'))
  await third
  await ended.promise
  await assert.rejects(folder.open('b', two.signal), /enough of two/)
  assert.equal(requests, 2)
  const again = folder.open('b')
  await arrived(3)
  waiting[2]!()
  await read(await again, 5, 100)
})

describe('tries', () => {
  /** The waits between the tries of what fails always, from the second request on where `opens`. */
  async function waits(options: HttpOptions, opens: boolean, fail: () => Response): Promise<number[]> {
    const found: number[] = []
    const { setTimeout } = globalThis
    const clock = mock.method(globalThis, 'setTimeout', (then: () => void, ms: number) => {
      if (ms > 1000) return setTimeout(then, ms) // of others
      found.push(ms)
      return setTimeout(then, 0)
    })
    let requests = 0
    const fetch = async () => {
      if (requests++ > 0 || !opens) return fail()
      return new Response(bytes.slice(0, 10), { status: 206, headers: { 'content-range': 'bytes 0-9/100' } })
    }
    try {
      const all = { ...options, fetch: fetch as typeof globalThis.fetch, windowBytes: 10 }
      const reading = httpSource('http://localhost/file', all).then((source) => source!.read(50, new Uint8Array(5)))
      await assert.rejects(reading, ReadFailedError)
      assert.equal(requests, (options.tries ?? 4) + Number(opens))
    } finally {
      clock.mock.restore()
    }
    return found
  }
  const offline = () => {
    throw new TypeError('no network')
  }

  for (const opens of [false, true])
    test(`${opens ? 'a part' : 'the first part'} is asked for as often as said, with waits that double`, async () => {
      assert.deepEqual(await waits({ retryMs: 100 }, opens, offline), [100, 200, 400])
      assert.deepEqual(await waits({ retryMs: 7, tries: 2 }, opens, () => new Response('', { status: 503 })), [7])
      assert.deepEqual(await waits({ tries: 1 }, opens, offline), [])
    })

  test('a server that is busy at first is asked again', async () => {
    let requests = 0
    const { url } = await serve((request, response) => {
      if (++requests < 3) return void response.writeHead(requests === 1 ? 429 : 503).end('busy')
      answer(response, rangeOf(request, bytes.length), bytes)
    })
    await read(await httpSource(url, { retryMs: 1 }), 7, 100)
    assert.equal(requests, 3)
  })
})

describe('what servers do wrong', () => {
  test('a flaky server is asked again where it broke off; a dead one is a named error', async () => {
    let drops = 6
    const { url, close } = await serve((request, response) => {
      const [from, to] = rangeOf(request, bytes.length)
      if (drops === 3 && drops--) return void response.writeHead(503).end()
      if (drops-- <= 0) return answer(response, [from, to], bytes)
      response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${bytes.length}`, 'content-length': to - from + 1 })
      response.write(bytes.subarray(from, from + 100), () => setTimeout(() => response.destroy(), 2))
    })
    const source = await httpSource(url, { retryMs: 1, windowBytes: 9_000 })
    await read(source, 77, 20_000)
    assert.ok(drops <= 0)
    await close()
    await assert.rejects(read(source, 60_000, 10), ReadFailedError)
    await read(source, 77, 20_000) // still here
  })

  test('a file that changed or a range of the wrong length is an error and no garbage', async () => {
    let wrong: 'size' | 'place' | 'long' | 'short' | undefined
    const { url } = await serve((request, response) => {
      const [from, to] = rangeOf(request, bytes.length)
      const shift = wrong === 'place' ? 1 : 0
      response.writeHead(206, { 'content-range': `bytes ${from + shift}-${to + shift}/${bytes.length + (wrong === 'size' ? 1 : 0)}` })
      response.end(bytes.subarray(from, wrong === 'long' ? to + 9 : wrong === 'short' ? from : to + 1))
    })
    const source = await httpSource(url, { retryMs: 1, windowBytes: 10_000 })
    for (const [kind, message] of [
      ['size', /a file of 100000, got bytes from 20000 of a file of 100001.*load again/],
      ['place', /the bytes from 20000 of a file of 100000, got bytes from 20001/],
      ['long', /10000 bytes at offset 20000, got "more bytes than the requested range"/],
      ['short', /at offset 20000, got "the connection closed after 0 of 10000 bytes"/],
    ] as const) {
      wrong = kind
      await assert.rejects(read(source, 25_000, 10), (error) => error instanceof ReadFailedError && message.test(error.message))
    }
    wrong = undefined
    await read(source, 25_000, 10)
    await assert.rejects(read(source, 99_990, 11), TruncatedFileError)
  })

  test('a server that ignores ranges is refused, and so is one that forbids', async () => {
    const plain = await serve((_, response) => void response.end(bytes))
    await assert.rejects(httpSource(plain.url), /status 200.*range requests/)
    const closed = await serve((_, response) => void response.writeHead(403).end())
    await assert.rejects(httpSource(closed.url), /status 403.*your access/)
    await closed.close()
    await assert.rejects(httpSource(closed.url, { retryMs: 1 }), ReadFailedError)
    const folder = httpFolder(closed.url, { retryMs: 1 })
    await assert.rejects(folder.open('config.json'), ReadFailedError)
  })

  test('an empty file is one', async () => {
    const { url } = await serve((_, response) => void response.writeHead(416).end())
    assert.equal((await httpSource(url))!.size, 0)
  })
})
