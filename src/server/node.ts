/**
 * The server on Node: sockets, limits that only sockets have, files for the store. Everything else is app.ts, which this file wraps.
 * Source of the adapter: @hono/node-server; its global Request and Response stay out of the process.
 */
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import type { App } from './http/app.ts'
import { defaultLimits, type Limits } from './http/limits.ts'
import type { Directory } from './responses/store-directory.ts'

export interface ListenOptions {
  /** Default 127.0.0.1. A path that ends with `.sock`: a Unix socket. */
  host?: string
  /** Default 8080; 0: any free one. */
  port?: number
  /** A second port of the same host for /metrics and probes, without keys. 0: any free one. Default: none. */
  metricsPort?: number
  /** Serve HTTPS with this certificate chain and key, in PEM. */
  tls?: { cert: string; key: string }
  limits?: Partial<Limits>
}

export interface Listening {
  url: string
  /** Where /metrics has a port of its own. */
  metricsUrl: string | undefined
  server: Server
  app: App
  /**
   * Readiness fails at once. After `delayMs`, in which all work is still taken, no new work comes in; running answers may finish within
   * `graceMs`, the rest ends with an error. Then everything is closed.
   */
  close(graceMs?: number, delayMs?: number): Promise<void>
}

/**
 * Binds and listens. Rejects with the system's error when a port is taken.
 * @param given the app, or what makes it once the ports are bound
 */
export async function listen(given: App | (() => App), options: ListenOptions = {}): Promise<Listening> {
  const { host = '127.0.0.1', port = 8080, metricsPort, tls, limits } = options
  const { connections }: Limits = { ...defaultLimits, ...limits }
  const ready = Promise.withResolvers<App>()
  let leaving = false
  const listener = listenerOf(async (request) => (await ready.promise).fetch(request))
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (leaving) outgoing.shouldKeepAlive = false // so that proxies send the next request elsewhere
    return listener(incoming, outgoing)
  }
  const server = tls ? createTlsServer({ ...SERVER_LIMITS, ...tls }, answer) : createServer(SERVER_LIMITS, answer)
  server.on('clientError', refuse)
  boundConnections(server, connections)
  const operations = createServer(
    SERVER_LIMITS,
    listenerOf(async (request) => (await ready.promise).operations(request)),
  )
  operations.maxConnections = 64
  const url = await bind(server, host, port)
  let metricsUrl: string | undefined
  try {
    metricsUrl = metricsPort === undefined ? undefined : await bind(operations, isSocket(host) ? '127.0.0.1' : host, metricsPort)
    ready.resolve(typeof given === 'function' ? given() : given)
  } catch (error) {
    await Promise.all([shut(server), shut(operations)])
    throw error
  }
  const app = await ready.promise
  return {
    url,
    metricsUrl,
    server,
    app,
    async close(graceMs, delayMs = 0) {
      leaving = true
      app.leave()
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
      app.drain()
      await app.close(graceMs)
      // Probes may still ask /readyz while answers finish; only now the door closes.
      await Promise.all([shut(server), shut(operations)])
    },
  }
}

const SERVER_LIMITS = { maxHeaderSize: 16 * 1024, headersTimeout: 30_000, requestTimeout: 300_000, keepAliveTimeout: 65_000 }

/** A request of HTTP/1.0 may have no Host; it gets a name that only probes and metrics answer. */
const NO_HOST = 'host.invalid'

const listenerOf = (fetch: (request: Request) => Promise<Response>) =>
  getRequestListener(async (request: Request, { incoming }) => chunked(await fetch(request), incoming.httpVersion), {
    hostname: NO_HOST,
    overrideGlobalObjects: false,
    errorHandler: () => Response.json(errorBody('The request is malformed.'), { status: 400 }),
  })

export const isSocket = (host: string): boolean => host.endsWith('.sock')

async function bind(server: Server, host: string, port: number): Promise<string> {
  const place = isSocket(host) ? { path: host } : { host, port }
  if (isSocket(host)) await removeStale(host)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(place, () => {
      server.off('error', reject)
      resolve()
    })
  })
  if (isSocket(host)) {
    await chmod(host, 0o660)
    return `unix:${host}:`
  }
  const { address, family, port: bound } = server.address() as AddressInfo
  return `${server instanceof TlsServer ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${bound}`
}

/** A killed server leaves its socket behind. One that answers stays, and listening fails. */
async function removeStale(path: string): Promise<void> {
  const answers = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => resolve(true)).on('error', () => resolve(false))
    probe.on('connect', () => probe.destroy())
  })
  const found = answers ? undefined : await stat(path).catch(() => undefined)
  if (found?.isSocket()) await rm(path, { force: true })
}

async function shut(server: Server): Promise<void> {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const last = setTimeout(() => server.closeAllConnections(), 2_000)
  await closed
  clearTimeout(last)
}

/** One connection too many takes the place of the one that has waited longest without a whole request. */
function boundConnections(server: Server, most: number): void {
  /** The request that a connection is busy with. Who was active last comes last. */
  const connections = new Map<Socket, IncomingMessage | undefined>()
  const note = (socket: Socket, request?: IncomingMessage) => {
    connections.delete(socket)
    connections.set(socket, request)
  }
  server.on('connection', (socket) => {
    note(socket)
    socket.once('close', () => connections.delete(socket))
    if (connections.size <= most) return
    const idle = [...connections].find(([, request]) => !request?.complete)
    idle![0].destroy() // the new one is idle, too
  })
  server.on('request', (request, response) => {
    note(request.socket, request)
    response.once('close', () => {
      if (connections.has(request.socket)) note(request.socket)
    })
  })
}

/**
 * Streams must leave at once: without a length the adapter would look at the first pieces before it writes the headers. HTTP/1.0 has no
 * chunks; there the end of the connection ends the body.
 */
function chunked(response: Response, httpVersion: string): Response {
  const type = response.headers.get('content-type') ?? ''
  if (httpVersion === '1.0') return response
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
  for (const name of await readdir(path)) if (/^resp_.*\.tmp$/.test(name)) await rm(join(path, name), { force: true }).catch(() => {})
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
