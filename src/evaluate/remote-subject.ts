/**
 * Any server with OpenAI's API as what is evaluated. Answers come from /chat/completions and /completions. Log-probabilities need
 * /completions with `echo` and `logprobs` (Lineage, vLLM, SGLang). Ids come from a tokenizer on this machine, else from the server's /tokenize;
 * without either the characters of the answer say where a continuation begins.
 */

import type { SamplingOptions } from '../chat/messages.ts'
import { type Message, partsOf, textOf } from '../chat/messages.ts'
import { sleep } from '../files/sleep.ts'
import { asObject, describe, type Json } from '../json/json.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'
import { ItemError, TaskError } from './errors.ts'
import { type IdScorer, type Reply, type Request, type Score, type Subject, scorePair, scoreWindows } from './subject.ts'

export interface RemoteOptions {
  /** As the server's API names it, with its version: `http://127.0.0.1:8080/v1`. */
  url: string
  /** The name of the model in requests. */
  model: string
  apiKey?: string
  /** The tokenizer of the model, so that ids are sent instead of texts. */
  tokenizer?: Tokenizer
  /** Most ids of prompt and answer. Default: what the server says, else 2048. */
  context?: number
  /** Requests at once. Default 8. */
  parallel?: number
  /** How long one request may take. Default: an hour. */
  timeoutMs?: number
  fetch?: typeof fetch
}

const RETRIES = 4
const FIRST_WAIT_MS = 500

/** The server answered with an error. `status` is that of HTTP. */
export class RemoteError extends Error {
  override name = 'RemoteError'
  readonly status: number

  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

export function remoteSubject(options: RemoteOptions): Subject {
  const client = new Client(options)
  let scorer: Promise<IdScorer | undefined> | undefined
  const ids = () => {
    scorer ??= idScorer(client, options)
    return scorer
  }
  return {
    name: options.model,
    parallel: options.parallel ?? 8,
    async score(context, continuation, signal) {
      const known = await ids()
      return known ? scorePair(known, context, continuation, signal) : scoreByOffsets(client, context, continuation, signal)
    },
    async scoreText(text, rule, signal) {
      const known = await ids()
      if (known) return scoreWindows(known, text, rule, signal)
      throw new TaskError(
        `${options.url}: expected a tokenizer to cut texts into windows, and the server has no /tokenize; name a directory with the tokenizer's files (--tokenizer)`,
      )
    },
    answer: (request) => ask(client, request),
  }
}

/** Requests with retries. What a server says about one request is an ItemError; a server that cannot be used is another error. */
class Client {
  readonly model: string
  readonly url: string
  readonly #fetch: typeof fetch
  readonly #headers: Record<string, string>
  readonly #timeoutMs: number

  constructor({ url, model, apiKey, timeoutMs = 3_600_000, fetch: given = fetch }: RemoteOptions) {
    if (!/^https?:\/\/[^/]/.test(url)) throw new TaskError(`expected a URL such as http://127.0.0.1:8080/v1, got ${JSON.stringify(url)}`)
    this.url = url.replace(/\/+$/, '')
    this.model = model
    this.#fetch = given
    this.#timeoutMs = timeoutMs
    this.#headers = { 'content-type': 'application/json', ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }) }
  }

  /** @param path below the URL; from the root of the server with `//` in front */
  async send(path: string, body?: object, signal?: AbortSignal): Promise<Json> {
    const url = path.startsWith('//') ? new URL(path.slice(1), this.url).href : this.url + path
    for (let attempt = 0; ; attempt++) {
      const result = await this.#once(url, body, signal)
      if (!(result instanceof Error)) return result
      const temporary = !(result instanceof RemoteError) || result.status === 429 || result.status >= 500
      if (!temporary || attempt >= RETRIES || signal?.aborted) throw result
      await sleep(FIRST_WAIT_MS * 2 ** attempt, signal)
    }
  }

  async #once(url: string, body: object | undefined, signal: AbortSignal | undefined): Promise<Json | Error> {
    const limits = [AbortSignal.timeout(this.#timeoutMs), ...(signal ? [signal] : [])]
    try {
      const response = await this.#fetch(url, {
        method: body ? 'POST' : 'GET',
        headers: this.#headers,
        body: body && JSON.stringify(body),
        signal: AbortSignal.any(limits),
      })
      const text = await response.text()
      if (!response.ok) return new RemoteError(`${url}: ${response.status} ${messageOf(text)}`, response.status)
      return asObject(JSON.parse(text))
    } catch (error) {
      signal?.throwIfAborted()
      const cause = (error as { cause?: unknown }).cause
      return new Error(`${url}: ${cause instanceof Error && cause.message ? cause.message : (error as Error).message}`, { cause: error })
    }
  }
}

function messageOf(text: string): string {
  try {
    const { error, message, detail } = asObject(JSON.parse(text))
    return String(asObject(error).message ?? error ?? message ?? detail ?? text).slice(0, 500)
  } catch {
    return text.slice(0, 500)
  }
}

// ---------------------------------------------------------------- log-probabilities

/** Undefined where neither a tokenizer nor /tokenize is there. */
async function idScorer(client: Client, { tokenizer, context }: RemoteOptions): Promise<IdScorer | undefined> {
  const { model } = client
  const tokenize = (text: string, special: boolean) =>
    client.send('//tokenize', { model, content: text, prompt: text, add_special: special, add_special_tokens: special })
  let encode: IdScorer['encode']
  let prefix: readonly number[]
  let longest = context
  if (tokenizer) {
    encode = (text) => tokenizer.encode(text)
    prefix = tokenizer.prefix ?? []
    longest ??= await listedContext(client)
  } else {
    const probe = await tokenize('a', false).catch((error) => {
      if (error instanceof RemoteError) return undefined
      throw error
    })
    if (probe === undefined || !Array.isArray(probe.tokens)) return undefined
    encode = async (text) => idsOf(await tokenize(text, false))
    const whole = idsOf(await tokenize('a', true))
    prefix = whole.slice(0, whole.length - idsOf(probe).length)
    longest ??= typeof probe.max_model_len === 'number' ? probe.max_model_len : await listedContext(client)
  }
  const start = prefix.at(-1) ?? tokenizer?.specials.get('<|endoftext|>') ?? (await endOfText(tokenize)) ?? 0
  // Some servers generate at least one id, which needs a place in the context.
  let least = 0
  const scorer: IdScorer = {
    encode,
    prefix,
    start,
    context: longest ?? 2048,
    async scoreIds(ids, from, signal) {
      const tried = least
      const table = await echoed(client, ids, tried, signal).catch((error) => {
        if (tried > 0 || !isRefusal(error)) throw itemError(error)
        least = 1
        return echoed(client, ids, 1, signal).catch((again) => {
          throw itemError(again)
        })
      })
      return ids.slice(from).map((_, i) => scoreAt(client, table, from + i))
    },
  }
  return scorer
}

async function listedContext(client: Client): Promise<number | undefined> {
  const list = await client.send('/models').catch(() => ({}) as Json)
  const models = Array.isArray(list.data) ? list.data.map(asObject) : []
  const length = (models.find(({ id }) => id === client.model) ?? models[0])?.max_model_len
  return typeof length === 'number' ? length : undefined
}

async function endOfText(tokenize: (text: string, special: boolean) => Promise<Json>): Promise<number | undefined> {
  const { tokens } = await tokenize('<|endoftext|>', true)
  return Array.isArray(tokens) && tokens.length === 1 ? tokens[0] : undefined
}

function idsOf({ tokens }: Json): number[] {
  if (Array.isArray(tokens) && tokens.every(Number.isInteger)) return tokens
  throw new TaskError(`/tokenize: expected "tokens" as a list of ids, got ${describe(tokens)}`)
}

interface EchoTable {
  readonly token_logprobs: readonly unknown[]
  readonly top_logprobs: readonly unknown[]
  readonly text_offset: readonly unknown[]
}

async function echoed(client: Client, prompt: readonly number[] | string, maxTokens: number, signal?: AbortSignal): Promise<EchoTable> {
  const body = { model: client.model, prompt, echo: true, logprobs: 1, max_tokens: maxTokens, temperature: 0 }
  const { choices } = await client.send('/completions', body, signal)
  const table = asObject(asObject(Array.isArray(choices) ? choices[0] : undefined).logprobs)
  const { token_logprobs, top_logprobs, text_offset } = table
  const least = typeof prompt === 'string' ? 1 : prompt.length
  if (!Array.isArray(token_logprobs) || token_logprobs.length < least)
    throw new TaskError(
      `${client.url}/completions: expected the log-probability of each token of the prompt, which this server does not give; it needs "echo" with "logprobs"`,
    )
  return { token_logprobs, top_logprobs: asArray(top_logprobs), text_offset: asArray(text_offset) }
}

const asArray = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

function scoreAt(client: Client, { token_logprobs, top_logprobs }: EchoTable, at: number): { logprob: number; greedy: boolean } {
  const logprob = token_logprobs[at]
  if (typeof logprob !== 'number')
    throw new TaskError(`${client.url}/completions: token_logprobs[${at}]: expected a number, got ${describe(logprob)}`)
  const top = Object.values(asObject(top_logprobs[at])).filter((value) => typeof value === 'number')
  return { logprob, greedy: top.length > 0 && logprob >= Math.max(...top) }
}

/** Without a tokenizer: tokens whose text reaches beyond the context are the continuation's. */
async function scoreByOffsets(client: Client, context: string, continuation: string, signal?: AbortSignal): Promise<Score> {
  const text = context.trimEnd()
  const prompt = context + continuation
  const table = await echoed(client, prompt, 1, signal).catch((error) => {
    throw itemError(error)
  })
  const offsets = table.text_offset.map(Number)
  const [boundary, length] = [[...text].length, [...prompt].length]
  // The last token of the answer was generated, it does not belong to the prompt.
  const count = offsets.filter((offset) => offset < length).length
  const from = offsets.findIndex((_, i) => (offsets[i + 1] ?? length) > boundary)
  if (offsets.length === 0 || from < 0 || from >= count)
    throw new ItemError(`the server names no tokens of ${JSON.stringify(continuation)}`)
  if (from === 0)
    throw new ItemError(
      'the first token of a text has no log-probability on this server: a context is needed, or a tokenizer (--tokenizer)',
    )
  const scores = Array.from({ length: count - from }, (_, i) => scoreAt(client, table, from + i))
  return {
    logprob: scores.reduce((sum, { logprob }) => sum + logprob, 0),
    greedy: scores.every(({ greedy }) => greedy),
    tokens: scores.length,
  }
}

// ---------------------------------------------------------------- answers

async function ask(client: Client, request: Request): Promise<Reply> {
  const { maxTokens, stop, sampling = {}, effort, signal } = request
  // OpenAI's own reasoning models know only the new name; other servers may know only the old one.
  const limit = new URL(client.url).hostname === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens'
  const common = { model: client.model, [limit]: maxTokens, stop: stop?.length ? stop : undefined, ...named(sampling) }
  const isChat = 'messages' in request
  const body = isChat
    ? { ...common, messages: request.messages.map(wireMessage), reasoning_effort: effort }
    : { ...common, prompt: request.prompt }
  const answer = await client.send(isChat ? '/chat/completions' : '/completions', body, signal).catch((error) => {
    throw itemError(error)
  })
  const choice = asObject(Array.isArray(answer.choices) ? answer.choices[0] : undefined)
  const text = isChat ? (asObject(choice.message).content ?? '') : choice.text
  if (typeof text !== 'string') throw new TaskError(`${client.url}: expected an answer with a text, got ${describe(text)}`)
  const usage = asObject(answer.usage)
  const count = (value: unknown) => (typeof value === 'number' ? value : 0)
  return {
    text,
    finish: choice.finish_reason === 'stop' ? 'stop' : 'length',
    tokens: count(usage.completion_tokens),
    reasoningTokens: count(asObject(usage.completion_tokens_details).reasoning_tokens),
  }
}

const named = ({ temperature, topP, topK, minP, seed }: SamplingOptions) => ({
  temperature,
  top_p: topP,
  top_k: topK,
  min_p: minP,
  seed,
})

const wireMessage = (message: Message): object => ({
  role: message.role,
  content: message.role === 'assistant' ? textOf(partsOf(message), 'text') : message.content,
})

/** What a server says about one request (too long, not understood), unlike a missing key or route. */
const isRefusal = (error: unknown): boolean => error instanceof RemoteError && [400, 413, 422].includes(error.status)

/** The refusal of a request belongs to its item; every other error ends the run. */
const itemError = (error: unknown): unknown => (isRefusal(error) ? new ItemError((error as Error).message, { cause: error }) : error)
