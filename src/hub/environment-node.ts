/** What the environment says about the hub: the place of the cache, the address, the token, switches. The rules are those of huggingface_hub. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expandPath } from '../files/path-node.ts'
import { HubError } from './http.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
export function hubCacheDirectory(env: Environment = process.env): string {
  const given = env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE
  return given ? expandPath(given, env) : join(hubHome(env), 'hub')
}

const hubHome = (env: Environment): string => expandPath(env.HF_HOME || join(env.XDG_CACHE_HOME || '~/.cache', 'huggingface'), env)

/** HF_ENDPOINT without a slash at its end, else the public hub. @throws HubError without showing a password in it */
export function hubEndpoint(env: Environment = process.env): string {
  const endpoint = (env.HF_ENDPOINT?.trim() || 'https://huggingface.co').replace(/\/+$/, '')
  const url = URL.parse(endpoint)
  if (!url || !/^https?:$/.test(url.protocol))
    throw new HubError('HF_ENDPOINT: expected a URL such as https://mirror.example, got something else.')
  if (url.username || url.password) throw new HubError('HF_ENDPOINT holds a user name or a password. Remove it; HF_TOKEN gives access.')
  return endpoint
}

/**
 * HF_TOKEN, else the file that `hf auth login` writes.
 * @throws HubError for a token that cannot be sent; the message does not show it
 */
export async function hubToken(env: Environment = process.env): Promise<string | undefined> {
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const token = env[name]?.trim()
    if (token) return checkToken(token, name)
  }
  if (isOn(env.HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined
  const path = env.HF_TOKEN_PATH ? expandPath(env.HF_TOKEN_PATH, env) : join(hubHome(env), 'token')
  const token = (await readFile(path, 'utf8').catch(() => '')).trim()
  return token ? checkToken(token, path) : undefined
}

function checkToken(token: string, source: string): string {
  const problem = /[\r\n]/.test(token)
    ? 'a line break'
    : /\s/.test(token)
      ? 'a blank'
      : /^["']|["']$/.test(token)
        ? 'quotation marks'
        : /[^\x21-\x7e]/.test(token)
          ? 'a character that no token has'
          : undefined
  if (problem) throw new HubError(`${source} holds ${problem}: expected a token such as hf_… and nothing else.`)
  return token
}

/** Whether a switch in the environment is on. */
export const isOn = (value: string | undefined): boolean => /^(1|ON|YES|TRUE)$/i.test(value ?? '')
