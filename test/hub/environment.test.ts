/** What the environment says: paths, address, token, proxy. Secrets never stand in an error. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { historyPath } from '../../src/cli/chat/history.ts'
import { expandPath } from '../../src/files/path-node.ts'
import { hubCacheDirectory, hubEndpoint, hubToken } from '../../src/hub/environment-node.ts'
import { HubAccessError, HubError, HubUnreachableError } from '../../src/hub/http.ts'
import { pull } from '../../src/hub/hub-node.ts'
import { locateModel } from '../../src/hub/locate-node.ts'
import { fakeHub, MODEL } from './fake-hub.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-environment-'))
const hub = await fakeHub()
after(async () => {
  await hub.close()
  rmSync(temporary, { recursive: true, force: true })
})
beforeEach(() => {
  hub.requests.length = 0
  hub.listing = () => false
  hub.misbehave = () => false
})

const environment = (more: Record<string, string | undefined> = {}) => ({
  HF_HUB_CACHE: mkdtempSync(join(temporary, 'cache-')),
  HF_ENDPOINT: hub.url,
  HF_HUB_DISABLE_IMPLICIT_TOKEN: '1',
  ...more,
})
const run = (env: Record<string, string | undefined>) => pull(MODEL, { env, http: { tries: 2, retryMs: 2 } })

async function messageOf(promise: Promise<unknown>, kind: new (...args: never[]) => Error): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: Error) => reason,
  )
  assert.ok(error instanceof kind, `${error?.name}: ${error?.message}`)
  return error.message
}

describe('paths', () => {
  const home = homedir()
  for (const [text, env, expected] of [
    ['~/x', {}, join(home, 'x')],
    ['~', {}, home],
    ['~/x', { HOME: '/h' }, '/h/x'],
    ['$BASE/x', { BASE: '/b' }, '/b/x'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of an .env file
    ['${BASE}/x/$NAME', { BASE: '/b', NAME: 'n' }, '/b/x/n'],
    ['~/$NAME', { HOME: '/h', NAME: 'n' }, '/h/n'],
    ['$UNKNOWN/x', {}, '$UNKNOWN/x'],
    ['~other/x', {}, '~other/x'],
    ['/a/~/x', {}, '/a/~/x'],
    ['a b/ü', {}, 'a b/ü'],
  ] as const)
    test(text, () => assert.equal(expandPath(text, env), expected))

  test('every variable of a path is expanded', async () => {
    const HOME = mkdtempSync(join(temporary, 'home-'))
    for (const [env, expected] of [
      [{ HF_HUB_CACHE: '~/c' }, 'c'],
      [{ HUGGINGFACE_HUB_CACHE: '$HOME/c' }, 'c'],
      [{ HF_HOME: '~/hf' }, 'hf/hub'],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of an .env file
      [{ HF_HOME: '${HOME}/hf' }, 'hf/hub'],
      [{ XDG_CACHE_HOME: '~/xdg' }, 'xdg/huggingface/hub'],
      [{}, '.cache/huggingface/hub'],
    ] as const)
      assert.equal(hubCacheDirectory({ HOME, ...env }), join(HOME, expected), JSON.stringify(env))
    writeFileSync(join(HOME, 'my-token'), 'hf_path\n')
    assert.equal(await hubToken({ HOME, HF_TOKEN_PATH: '~/my-token' }), 'hf_path')
    mkdirSync(join(HOME, 'hf'))
    writeFileSync(join(HOME, 'hf/token'), 'hf_home\n')
    assert.equal(await hubToken({ HOME, HF_HOME: '~/hf' }), 'hf_home')
    assert.equal(historyPath({ HOME, LINEAGE_HISTORY: '~/h' }), join(HOME, 'h'))
    assert.equal(historyPath({ HOME, XDG_STATE_HOME: '~/s' }), join(HOME, 's/lineage/history'))
    assert.equal(historyPath({ HOME }), join(HOME, '.local/state/lineage/history'))
  })

  test('a quoted ~ in the name of a model', async () => {
    assert.deepEqual(await locateModel('~'), { directory: home })
    await assert.rejects(locateModel('~/surely-not-there'), /no such file or directory/)
  })
})

describe('secrets never stand in an error', () => {
  const secret = 'hf_geheim123'
  for (const [what, token] of [
    ['a line break', `${secret}\nrest456`],
    ['a line break', `${secret}\r\nX-Other: rest456`],
    ['a blank', `${secret} rest456`],
    ['quotation marks', `"${secret}"`],
    ['quotation marks', `'${secret}`],
    ['a character that no token has', `${secret}…`],
    ['a character that no token has', `${secret}\u0000x`],
  ] as const)
    test(`HF_TOKEN with ${JSON.stringify(token.replace(secret, 'T'))}`, async () => {
      const message = await messageOf(run(environment({ HF_TOKEN: token })), HubError)
      assert.match(message, new RegExp(`^HF_TOKEN holds ${what}`))
      assert.doesNotMatch(message, /geheim|rest456/)
      assert.equal(hub.requests.length, 0)
    })

  test('a token file with two lines', async () => {
    const path = join(temporary, 'two-lines')
    writeFileSync(path, `${secret}\n${secret}\n`)
    const message = await messageOf(hubToken({ HF_TOKEN_PATH: path }), HubError)
    assert.match(message, /two-lines holds a line break/)
    assert.doesNotMatch(message, /geheim/)
  })

  test('a hub that repeats the token in its answer', async () => {
    hub.listing = (request, response) => {
      response.writeHead(403, { 'x-error-message': `the token ${request.headers.authorization} is wrong` }).end()
      return true
    }
    const message = await messageOf(run(environment({ HF_TOKEN: secret })), HubAccessError)
    assert.match(message, /the token Bearer \*\*\* is wrong/)
    assert.doesNotMatch(message, /geheim/)
  })

  for (const [endpoint, expected] of [
    ['https://user:geheim@mirror.example', /holds a user name or a password/],
    ['http://geheim@mirror.example/', /holds a user name or a password/],
    ['mirror.example', /HF_ENDPOINT: expected a URL/],
    ['ftp://mirror.example', /HF_ENDPOINT: expected a URL/],
    ['https://', /HF_ENDPOINT: expected a URL/],
  ] as const)
    test(`HF_ENDPOINT=${endpoint}`, async () => {
      const message = await messageOf(run(environment({ HF_ENDPOINT: endpoint })), HubError)
      assert.match(message, expected)
      assert.doesNotMatch(message, /geheim/)
    })

  test('slashes at the end of HF_ENDPOINT do not matter', () => {
    assert.equal(hubEndpoint({ HF_ENDPOINT: 'https://mirror.example/hub//' }), 'https://mirror.example/hub')
    assert.equal(hubEndpoint({}), 'https://huggingface.co')
  })
})

describe('gated and private models', () => {
  for (const [status, code, token, messages] of [
    [403, 'GatedRepo', 'hf_x', [/tests\/tiny-qwen3-moe is gated/, /The token that was sent does not allow it/]],
    [401, 'GatedRepo', undefined, [/tests\/tiny-qwen3-moe is gated/, /No token was sent/]],
    [401, 'RepoNotFound', undefined, [/misspelled, private or gated/, /No token was sent/]],
    [403, undefined, 'hf_x', [/misspelled, private or gated/]],
    [401, undefined, 'hf_x', [/check the id/]],
  ] as const)
    test(`status ${status}, ${code ?? 'no code'}: says where to accept what`, async () => {
      hub.listing = (_, response) => {
        response.writeHead(status, code === undefined ? {} : { 'x-error-code': code }).end()
        return true
      }
      const message = await messageOf(run(environment({ HF_TOKEN: token })), HubAccessError)
      for (const expected of messages) assert.match(message, expected)
      assert.ok(message.includes(`${hub.url}/${MODEL}`), message)
      assert.ok(message.includes(`${hub.url}/settings/tokens`), message)
      assert.match(message, /accept its terms/)
      assert.doesNotMatch(message, /hf_x/)
    })

  test('a listing that is public and files that are not', async () => {
    hub.misbehave = (_, response) => {
      response.writeHead(403, { 'x-error-code': 'GatedRepo' }).end()
      return true
    }
    const message = await messageOf(run(environment()), HubAccessError)
    assert.ok(message.includes(`${MODEL} is gated: sign in at ${hub.url}/${MODEL}`), message)
  })
})

describe('proxies', () => {
  /** A proxy that knows where hub.example is. */
  const seen: { url: string; authorization: string | undefined }[] = []
  const proxy = createServer((incoming, response) => {
    seen.push({ url: incoming.url!, authorization: incoming.headers['proxy-authorization'] })
    const { pathname, search } = new URL(incoming.url!)
    // The proxy of this process must not be its own proxy.
    const outgoing = forward(hub.url + pathname + search, {
      agent: new Agent(),
      method: incoming.method,
      headers: { ...incoming.headers, host: new URL(hub.url).host },
    })
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    outgoing.end()
  })
  proxy.listen(0, '127.0.0.1')
  after(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  beforeEach(() => {
    seen.length = 0
  })
  const address = () => `127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const away = { HF_ENDPOINT: 'http://hub.example' }

  for (const [name, variables] of [
    ['HTTP_PROXY', () => ({ HTTP_PROXY: `http://${address()}` })],
    ['http_proxy', () => ({ http_proxy: `http://${address()}` })],
    ['ALL_PROXY', () => ({ ALL_PROXY: `http://${address()}` })],
    ['without a scheme', () => ({ HTTP_PROXY: address() })],
    ['with a slash', () => ({ HTTP_PROXY: `http://${address()}/` })],
    ['NO_PROXY of others', () => ({ HTTP_PROXY: `http://${address()}`, NO_PROXY: 'localhost,.internal' })],
  ] as const)
    test(`${name} is used`, async () => {
      await run(environment({ ...away, ...variables() }))
      assert.ok(seen.length > 0 && seen.every(({ url }) => url.startsWith('http://hub.example/')))
    })

  test('a proxy with a password', async () => {
    await run(environment({ ...away, HTTP_PROXY: `http://user:geheim@${address()}` }))
    assert.equal(seen[0]!.authorization, `Basic ${Buffer.from('user:geheim').toString('base64')}`)
  })

  test('the hosts of NO_PROXY, and everything after the pull, go directly', async () => {
    await run(environment({ HTTP_PROXY: `http://${address()}`, NO_PROXY: '127.0.0.1' }))
    assert.equal(seen.length, 0)
    await run(environment({ ...away, HTTP_PROXY: `http://${address()}` }))
    const before = seen.length
    await fetch(`${hub.url}/api/models/${MODEL}/revision/main`)
    assert.equal(seen.length, before)
  })

  test('a proxy that does not answer is named, without its password', async () => {
    const message = await messageOf(run(environment({ ...away, HTTP_PROXY: 'http://user:geheim@127.0.0.1:9' })), HubUnreachableError)
    assert.match(message, /through the proxy 127\.0\.0\.1:9 \(HTTP_PROXY, HTTPS_PROXY\)/)
    assert.doesNotMatch(message, /geheim/)
  })

  test('a variable that is no address is named, without its value', async () => {
    const message = await messageOf(run(environment({ ...away, HTTPS_PROXY: 'http://:geheim' })), HubError)
    assert.match(message, /^HTTPS_PROXY: expected the address of a proxy/)
    assert.doesNotMatch(message, /geheim/)
  })
})
