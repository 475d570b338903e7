/**
 * Who may talk to this server: Host names against DNS rebinding, Origins against other sites, keys compared in constant time.
 * The checks run before every route and know nothing of routes but who may ask them.
 */
import { ApiError } from './errors.ts'

export interface Access {
  /** Host names beside the loopback ones; `*.name` accepts every name under it, `*` accepts all (behind a proxy that checks). */
  hosts: readonly string[]
  /** Origins beside the server's own and loopback; `*` accepts all, without credentials, `scheme://*` all of a scheme. */
  origins: readonly string[]
  apiKeys: readonly string[]
}

/** What a route asks of a request. */
export interface Openness {
  /** Needs no key, and answers every page. */
  open?: boolean
  /** Probes and metrics: asked by addresses and by names that nobody could list. */
  anyHost?: boolean
}

/** @returns a check that resolves to the tenant: whose data a request may see. A preflight carries no key, and needs none. */
export function guard(access: Access): (request: Request, route: Openness) => Promise<string> {
  const keys = access.apiKeys.map(digest)
  return async (request, { open, anyHost }) => {
    if (!anyHost) checkHost(request, access.hosts)
    if (open) return 'anonymous'
    if (!originAllowed(request, access.origins)) throw forbidden('Requests from this web page (Origin) are not allowed.')
    if (keys.length === 0 || request.method === 'OPTIONS') return 'anonymous' // browsers send no key with a preflight
    for (const given of await Promise.all(presentedKeys(request).map(digest))) {
      let matches = 0
      for (const key of await Promise.all(keys)) matches |= equal(given, key)
      if (matches !== 0) return [...given.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')
    }
    throw new ApiError(401, 'authentication_error', 'Send a valid key as "Authorization: Bearer KEY" or "X-Api-Key: KEY".', {
      code: 'invalid_api_key',
      headers: { 'www-authenticate': 'Bearer' },
    })
  }
}

function checkHost(request: Request, hosts: readonly string[]): void {
  if (hosts.includes('*')) return
  const host = hostName(request.headers.get('host') ?? new URL(request.url).host)
  if (host !== undefined && (isLoopbackName(host) || hosts.some((name) => isHost(name.toLowerCase(), host)))) return
  throw forbidden('This Host is not served here. Name it with --allow-host if it is yours.')
}

const isHost = (name: string, host: string): boolean => (name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name)

/** Lower-case name without port; undefined when it is not a host. */
function hostName(host: string): string | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host)
  return match?.[1]?.toLowerCase().replace(/\.$/, '')
}

/** Names that no stranger can answer for. Not those under .local: whoever is on the network can claim one by multicast DNS. */
function isLoopbackName(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host) || /\.(localhost|internal)$/.test(host)
}

/** Such as `vscode-webview://*`, whose origins are random. */
const ANY_OF_SCHEME = /^[a-z][a-z0-9+.-]*:\/\/\*$/

/** No Origin (not a browser), the server's own, loopback, or listed. */
export function originAllowed(request: Request, origins: readonly string[]): boolean {
  const origin = request.headers.get('origin')
  if (origin === null || origins.includes('*') || origins.includes(origin)) return true
  if (origins.some((each) => ANY_OF_SCHEME.test(each) && origin.startsWith(each.slice(0, -1)))) return true
  try {
    const { host, protocol } = new URL(origin)
    if (protocol !== 'http:' && protocol !== 'https:') return false
    const name = hostName(host)
    return (
      host === (request.headers.get('host') ?? new URL(request.url).host) ||
      (name !== undefined && isLoopbackName(name) && !name.endsWith('.internal'))
    )
  } catch {
    return false
  }
}

/** Headers that let an allowed page read the answer. */
export function corsHeaders(request: Request, origins: readonly string[]): Record<string, string> {
  const origin = request.headers.get('origin')
  if (origin === null || !originAllowed(request, origins)) return {}
  return {
    'access-control-allow-origin': origins.includes('*') ? '*' : origin,
    'access-control-expose-headers': 'x-request-id, openai-processing-ms, retry-after',
    vary: 'Origin',
  }
}

/** Which methods and headers a page may use. Its Origin is allowed already, so it may send the headers that it asks for. */
export const preflightHeaders = (request: Request): Record<string, string> => ({
  'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
  'access-control-allow-headers': request.headers.get('access-control-request-headers') ?? 'authorization, content-type, x-api-key',
  'access-control-max-age': '600',
})

/** Clients may send a placeholder in one header and the key in the other. */
function presentedKeys(request: Request): string[] {
  const bearer = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')
  return [bearer?.[1], request.headers.get('x-api-key')].filter((key) => typeof key === 'string')
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}

/** 1 or 0, after looking at every byte. */
function equal(a: Uint8Array, b: Uint8Array): number {
  let difference = a.length ^ b.length
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0 ? 1 : 0
}

const forbidden = (message: string) => new ApiError(403, 'permission_error', message, { code: 'forbidden' })
