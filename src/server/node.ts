/**
 * The server on Node: sockets, limits that only sockets have, files for the store. Everything else is app.ts, which this file wraps.
 * Source of the adapter: @hono/node-server; its global Request and Response stay out of the process.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import type { App } from './http/app.ts'
import { defaultLimits, type Limits } from './http/limits.ts'
import type { Directory } from './responses/store-directory.ts'

export interface ListenOptions {
  /** Default 127.0.0.1. */
  host?: string
  /** Default 8080; 0: any free one. */
  port?: number
  limits?: Partial<Limits>
}

export interface Listening {
  url: string
  server: Server
  /** No new connections; running answers may finish within `graceMs`, the rest ends with an error; then everything is closed. */
  close(graceMs?: number): Promise<void>
}

/** Binds and listens. Rejects with the system's error when the port is taken. */
export async function listen(app: App, { host = '127.0.0.1', port = 8080, limits: given }: ListenOptions = {}): Promise<Listening> {
  const limits: Limits = { ...defaultLimits, ...given }
  const listener = getRequestListener(async (request: Request) => chunked(await app.fetch(request)), {
    overrideGlobalObjects: false,
    errorHandler: () => Response.json(errorBody('The request is malformed.'), { status: 400 }),
  })
  const server = createServer(
    { maxHeaderSize: 16 * 1024, headersTimeout: 30_000, requestTimeout: 300_000, keepAliveTimeout: 65_000 },
    listener,
  )
  server.maxConnections = limits.connections
  server.on('clientError', refuse)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address() as AddressInfo
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return {
    url: `http://${name}:${address.port}`,
    server,
    async close(graceMs) {
      app.drain()
      await app.close(graceMs)
      // Probes may still ask /readyz while answers finish; only now the door closes.
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const last = setTimeout(() => server.closeAllConnections(), 2_000)
      await closed
      clearTimeout(last)
    },
  }
}

/** Streams must leave at once: without a length the adapter would look at the first pieces before it writes the headers. */
function chunked(response: Response): Response {
  const type = response.headers.get('content-type') ?? ''
  if (type.startsWith('text/event-stream') || type.startsWith('application/x-ndjson')) response.headers.set('transfer-encoding', 'chunked')
  return response
}

/** What Node's HTTP parser refuses never reaches the app; it gets the same error form. */
function refuse(error: NodeJS.ErrnoException, socket: Socket & { _httpMessage?: IncomingMessage }): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'The headers are larger than 16 KiB.']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'The request took too long to arrive.']
        : ['400 Bad Request', 'The request is not valid HTTP.']
  const body = JSON.stringify(errorBody(message))
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}

const errorBody = (message: string) => ({ error: { message, type: 'invalid_request_error', param: null, code: null } })

/** A directory for the store. Files are written aside, flushed and renamed; what a crash left half-written is removed on the next start. */
export async function nodeDirectory(path: string): Promise<Directory> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  for (const name of await readdir(path)) if (name.endsWith('.tmp')) await rm(join(path, name), { force: true })
  return {
    list: () => readdir(path),
    read: (name) => readFile(join(path, name), 'utf8'),
    async write(name, text) {
      const aside = join(path, `${name}.tmp`)
      const file = await open(aside, 'w', 0o600)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(aside, join(path, name))
    },
    remove: (name) => rm(join(path, name), { force: true }),
  }
}
