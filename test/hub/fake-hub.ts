/**
 * A local HTTP server that imitates the model hub as far as pulling needs it, and misbehaves on request: every answer to a file request
 * first goes through `misbehave`, which may take it over. Requests for the headers of weight files are counted apart.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'

export const COMMIT = '0123456789abcdef0123456789abcdef01234567'
export const MODEL = 'tests/tiny-qwen3-moe'

export interface FileRequest {
  name: string
  from: number
  /** Inclusive; undefined without a Range header. */
  to: number | undefined
  authorization: string | undefined
  /** Whether it came to the second host (a CDN). */
  elsewhere: boolean
}

export interface FakeHub {
  url: string
  /** The same server under another host name. */
  otherUrl: string
  files: Map<string, Buffer>
  requests: FileRequest[]
  bytesSent: number
  /** Requests for the first 64 KiB of a weight file, which is where its header is. */
  headerRequests: FileRequest[]
  /** What HEAD requests answer beside the size; {}: no hash. */
  head: (name: string, bytes: Buffer) => Record<string, string>
  /** Answers a file request itself and returns true, or leaves it alone. */
  misbehave: (request: FileRequest, response: ServerResponse, body: Buffer) => boolean | Promise<boolean>
  /** Answers the listing itself and returns true. */
  listing: (request: IncomingMessage, response: ServerResponse) => boolean
  close(): Promise<void>
}

const fixture = join(import.meta.dirname, '../fixtures/checkpoints/tiny-qwen3-moe')

export const hashes = {
  sha256: (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex'),
  git: (bytes: Buffer) => createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex'),
}

/** The headers with which the hub answers about a file. */
const headOf = (name: string, bytes: Buffer): Record<string, string> =>
  /\.(safetensors|bin|gguf)$/.test(name)
    ? { 'x-linked-size': String(bytes.byteLength), 'x-linked-etag': `"${hashes.sha256(bytes)}"`, etag: '"other"' }
    : { etag: `W/"${hashes.git(bytes)}"` }

export async function fakeHub(): Promise<FakeHub> {
  const files = new Map<string, Buffer>()
  for (const name of [
    'config.json',
    'model.safetensors.index.json',
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
  ]) {
    files.set(name, readFileSync(join(fixture, name)))
  }
  files.set('tokenizer.json', Buffer.from(JSON.stringify(byteTokenizerJson([]))))
  // Files that no pull needs.
  files.set('pytorch_model.bin', Buffer.alloc(1000))
  files.set('original/model.safetensors', Buffer.alloc(1000))
  files.set('README.md', Buffer.from('# tiny'))

  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, 'http://hub')
    if (url.pathname === `/api/models/${MODEL}/revision/main`) {
      if (hub.listing(request, response)) return
      const siblings = [...files].map(([rfilename, bytes]) => ({
        rfilename,
        size: bytes.byteLength,
        blobId: hashes.git(bytes),
        ...(/\.(safetensors|bin|gguf)$/.test(rfilename) && {
          lfs: { sha256: hashes.sha256(bytes), size: bytes.byteLength, pointerSize: 134 },
        }),
      }))
      response.setHeader('content-type', 'application/json')
      return void response.end(JSON.stringify({ id: MODEL, sha: COMMIT, siblings }))
    }
    const name = decodeURIComponent(/^\/(?:cdn\/)?tests\/tiny-qwen3-moe\/resolve\/[0-9a-f]+\/(.+)$/.exec(url.pathname)?.[1] ?? '')
    const bytes = files.get(name)
    if (!bytes) return void response.writeHead(404).end()
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
    const from = range ? Number(range[1]) : 0
    const to = range ? Number(range[2]) : undefined
    const elsewhere = request.headers.host !== new URL(hub.url).host
    const seen = { name, from, to, authorization: request.headers.authorization, elsewhere }
    if (request.method === 'HEAD')
      return void response.writeHead(200, { 'content-length': bytes.byteLength, ...hub.head(name, bytes) }).end()
    const isHeader = name.endsWith('.safetensors') && from === 0 && to === Math.min(bytes.byteLength, 65536) - 1 && to >= 32768
    if (isHeader) hub.headerRequests.push(seen)
    else hub.requests.push(seen)
    const body = bytes.subarray(from, to === undefined ? undefined : to + 1)
    if (!isHeader && (await hub.misbehave(seen, response, body))) return
    if (!isHeader) hub.bytesSent += body.byteLength
    if (to === undefined) return void response.writeHead(200, { 'content-length': body.byteLength }).end(body)
    response.writeHead(206, { 'content-length': body.byteLength, 'content-range': `bytes ${from}-${to}/${bytes.byteLength}` }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const hub: FakeHub = {
    url: `http://127.0.0.1:${port}`,
    otherUrl: `http://localhost:${port}/cdn`,
    files,
    requests: [],
    bytesSent: 0,
    headerRequests: [],
    head: headOf,
    misbehave: () => false,
    listing: () => false,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return hub
}
