/** A server over scripted engines, in process; and the same behind a port for clients that want one. */

import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import { harmonyFormat } from '../../src/chat/formats/harmony/harmony.ts'
import { plainFormat } from '../../src/chat/formats/plain.ts'
import { qwenFormat } from '../../src/chat/formats/qwen/qwen.ts'
import type { ChatFormat } from '../../src/chat/messages.ts'
import { type App, type AppOptions, createApp } from '../../src/server/http/app.ts'
import type { LogLine } from '../../src/server/http/context.ts'
import type { ModelEntry, ServedModel } from '../../src/server/models/model.ts'
import { byteTokenizer } from './byte-tokenizer.ts'
import { type Script, type ScriptedEngine, type ScriptedOptions, scriptedEngine } from './scripted-engine.ts'

export const tokenizer = byteTokenizer()
export const formats: Record<'harmony' | 'qwen' | 'plain', ChatFormat> = {
  harmony: harmonyFormat(tokenizer),
  qwen: qwenFormat(tokenizer, { thinking: 'switch', tools: 'json' }),
  plain: plainFormat(tokenizer, {}),
}

// biome-ignore lint/suspicious/noExplicitAny: answers are checked by their values
export type Json = any

export const jsonOf = async (response: Response | Promise<Response>): Promise<Json> => (await response).json()

export interface Scripted {
  app: App
  engine: ScriptedEngine
  log: LogLine[]
  /** POSTs JSON and returns the response. */
  post(path: string, body: unknown, headers?: Record<string, string>, signal?: AbortSignal): Promise<Response>
  get(path: string, headers?: Record<string, string>): Promise<Response>
}

export function scriptedModel(
  script: Script,
  format: keyof typeof formats = 'harmony',
  options: ScriptedOptions = {},
): { model: ServedModel; engine: ScriptedEngine } {
  const engine = scriptedEngine(tokenizer, script, options)
  const model: ServedModel = {
    tokenizer,
    format: formats[format],
    engine,
    architecture: { name: format, modelType: format, vocabSize: tokenizer.vocabSize, maxPositionEmbeddings: 131072, expertDtype: 'f32' },
    dispose() {},
  }
  return { model, engine }
}

export function scripted(
  script: Script,
  format: keyof typeof formats = 'harmony',
  options: Partial<AppOptions> & ScriptedOptions = {},
): Scripted {
  const { model, engine } = scriptedModel(script, format, options)
  const entry: ModelEntry = { id: 'scripted', created: 1, bytes: 1000, parameters: 1000, load: async () => model }
  const log: LogLine[] = []
  const app = createApp({ models: [entry], log: (line) => log.push(line), ...options })
  return {
    app,
    engine,
    log,
    post: (path, body, headers = {}, signal) =>
      app.fetch(
        new Request(`http://localhost${path}`, {
          method: 'POST',
          body: typeof body === 'string' ? body : JSON.stringify(body),
          headers: { 'content-type': 'application/json', ...headers },
          ...(signal ? { signal } : {}),
        }),
      ),
    get: (path, headers = {}) => app.fetch(new Request(`http://localhost${path}`, { headers })),
  }
}

/** The app behind a port of the loopback interface. */
export async function listen(app: App): Promise<{ url: string; close(): Promise<void> }> {
  const server = serve({ fetch: (request: Request) => app.fetch(request), port: 0, hostname: '127.0.0.1' })
  await new Promise<void>((resolve) => server.once('listening', () => resolve()))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      await app.close(0)
      if ('closeAllConnections' in server) server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** The events of a server-sent stream: `data` parsed, comments left out. */
export async function eventsOf(response: Response): Promise<{ event?: string; data: Json }[]> {
  const text = await response.text()
  return text
    .split('\n\n')
    .filter((block) => block !== '' && !block.startsWith(':'))
    .map((block) => {
      const event = /^event: (.*)$/m.exec(block)?.[1]
      const data = /^data: (.*)$/m.exec(block)![1]!
      return { ...(event === undefined ? {} : { event }), data: data === '[DONE]' ? data : JSON.parse(data) }
    })
}

// What a harmony model writes after `<|start|>assistant`.
export const analysis = (text: string) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant`
export const final = (text: string) => `<|channel|>final<|message|>${text}<|return|>`
export const call = (name: string, args: string) => `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>${args}<|call|>`
/** A long text that is no loop. */
export const counting = (count: number) => Array.from({ length: count }, (_, i) => i).join(' ')
