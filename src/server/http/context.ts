/** What the handlers share: the server's parts, and the facts of one request. */
import type { Answer } from '../../answer/answer.ts'
import type { CompileConstraint } from '../../answer/constraints.ts'
import type { ReasoningMemory } from '../../answer/reasoning-memory.ts'
import type { Thinking } from '../../chat/messages.ts'
import type { Admission } from '../models/admission.ts'
import type { Joins } from '../models/joins.ts'
import type { ModelManager } from '../models/manage.ts'
import type { ModelRegistry } from '../models/registry.ts'
import type { ServerMetrics } from '../operations/server-metrics.ts'
import type { SlotFiles } from '../operations/slots.ts'
import type { Conversations } from '../responses/conversations.ts'
import type { ResponseJobs } from '../responses/jobs.ts'
import type { Sealer } from '../responses/sealer.ts'
import type { ResponseStore } from '../responses/store.ts'
import type { Bodies } from './bodies.ts'
import type { Limits } from './limits.ts'

export interface ServerContext {
  registry: ModelRegistry
  admission: Admission
  limits: Limits
  bodies: Bodies
  metrics: ServerMetrics
  store: ResponseStore
  reasoning: ReasoningMemory
  conversations: Conversations
  /** Answers whose thinking may be ended while they run, by key and id. */
  running: Map<string, readonly Answer[]>
  /** How much to think where a request says nothing of it. */
  thinking?: Thinking
  jobs: ResponseJobs
  /** Missing: requests cannot download or delete models. */
  manager?: ModelManager
  /** Missing: conversations cannot be saved. */
  slotFiles?: SlotFiles
  joins: Joins
  sealer: Sealer
  compile: CompileConstraint
  version: string
  /** Unix ms when the server started. */
  startedAt: number
  /** Models that are being loaded before the server is ready. */
  loading: number
  /** One of them could not be loaded. */
  loadFailed: boolean
  /** Work that outlives its request; awaited by close. */
  background: Set<Promise<unknown>>
  /** Aborts when the server gives up what still runs. */
  stopping: AbortSignal
  /** YYYY-MM-DD for the formats that render a date; undefined (the default) keeps prompts the same every day. */
  currentDate?: string
  log(line: LogLine): void
}

/** One line per request, and one per internal error. Never contains prompts, answers or keys. */
export type LogLine = { time: string; level: 'info' | 'error' } & Record<string, string | number | boolean | undefined>

/** One HTTP request as the handlers see it. */
export interface Scope {
  id: string
  /** Whose prefixes, stored responses and remembered reasoning this request may use. */
  tenant: string
  /** Ends the work: the client is gone, the time is up, or the server stops. */
  signal: AbortSignal
  /** Ends the work of this request. */
  abort(reason: unknown): void
  /** Aborts when the client has disconnected; no response can be written any more. */
  client: AbortSignal
  /** Added to the request's log line. */
  facts: Record<string, string | number | boolean | undefined>
  /** Calls this when the request is over: answered, or its stream has ended. */
  atEnd(action: () => void): void
  /** Ends when the response is written: streams call it themselves, through `stream`. */
  done(): void
  /** Set by handlers whose response is a stream: `done` comes later. */
  streaming: boolean
}
