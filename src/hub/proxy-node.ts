/** Sends requests through the proxy of HTTP_PROXY, HTTPS_PROXY and ALL_PROXY (also in small letters), except to the hosts of NO_PROXY. */
import * as http from 'node:http'
import type { Environment } from './environment-node.ts'
import { HubError } from './http.ts'

/** In Node.js from 24.14 and 25.4 on. */
const { setGlobalProxyFromEnv } = http as { setGlobalProxyFromEnv?: (env: Record<string, string>) => () => void }

/** The proxy belongs to the process, so the tasks that use it at the same time count. */
let users = 0
let restore = () => {}

/** Runs a task whose requests go through the proxy of the environment, if there is one. */
export async function withProxy<T>(env: Environment, task: () => Promise<T>): Promise<T> {
  const settings = proxySettings(env)
  if (!settings || !setGlobalProxyFromEnv) return task()
  if (users++ === 0) restore = setGlobalProxyFromEnv(settings)
  try {
    return await task()
  } finally {
    if (--users === 0) restore()
  }
}

/** What to say about the proxy when a connection fails. Shows hosts, no passwords. */
export function proxyHint(env: Environment): string {
  const settings = proxySettings(env)
  if (!settings) return ''
  const hosts = [...new Set([settings.https_proxy, settings.http_proxy].flatMap((url) => (url ? [new URL(url).host] : [])))].join(', ')
  if (setGlobalProxyFromEnv) return ` Requests go through the proxy ${hosts} (HTTP_PROXY, HTTPS_PROXY), except to the hosts of NO_PROXY.`
  return ` The proxy ${hosts} is not used: set NODE_USE_ENV_PROXY=1, which this version of Node.js needs.`
}

function proxySettings(env: Environment): { http_proxy?: string; https_proxy?: string; no_proxy?: string } | undefined {
  const read = (name: string) => env[name.toLowerCase()] || env[name] || undefined
  const all = read('ALL_PROXY')
  const http_proxy = proxyUrl('HTTP_PROXY', read('HTTP_PROXY') ?? all)
  const https_proxy = proxyUrl('HTTPS_PROXY', read('HTTPS_PROXY') ?? all)
  if (!http_proxy && !https_proxy) return undefined
  return { ...(http_proxy && { http_proxy }), ...(https_proxy && { https_proxy }), no_proxy: read('NO_PROXY') ?? '' }
}

/** `host:port` means http://host:port, as for curl. */
function proxyUrl(name: string, value: string | undefined): string | undefined {
  if (!value) return undefined
  const url = /^[\w+.-]+:\/\//.test(value) ? value : `http://${value}`
  if (URL.parse(url)?.host) return url
  throw new HubError(`${name}: expected the address of a proxy such as http://proxy.example:3128, got something else.`)
}
