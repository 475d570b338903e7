/** What all endpoints ask of a model, in one form, and the answers made of it. Every refusal (400) happens here, before the queue. */
import type { Message, RenderOptions, Sampling } from '../chat/messages.ts'
import { Answer } from './answer.ts'
import { type ApiEffort, thinkingFor } from './effort.ts'
import type { Scope, ServerContext } from './http/context.ts'
import type { ServedModel } from './models/model.ts'
import { type Asked, planFor } from './plan.ts'

export interface Ask extends Omit<Asked, 'thinking' | 'reasoningBudget'> {
  messages: readonly Message[]
  effort: ApiEffort | undefined
  /** A plain thinking switch, if the request has one. */
  thinkingEnabled: boolean | undefined
  reasoningBudget: number | undefined
  sampling: Sampling & { logitBias?: ReadonlyMap<number, number> }
  maxTokens: number | undefined
  stop: readonly string[]
  logprobs: number | undefined
  answers: number
}

export interface Prepared {
  answers: Answer[]
  /** The reasoning is not for the client. */
  hideReasoning: boolean
}

/** @param ctx the server's, or as much of it as there is in process */
export async function prepare(
  ctx: Pick<ServerContext, 'limits' | 'compile' | 'currentDate'>,
  scope: Pick<Scope, 'tenant'> & { signal?: AbortSignal | undefined },
  model: ServedModel,
  ask: Ask,
): Promise<Prepared> {
  const thinking = thinkingFor(model.format, ask.effort, ask.thinkingEnabled)
  const { render: planned, plan } = await planFor(
    { ...ask, thinking: thinking.allowed, reasoningBudget: ask.reasoningBudget ?? Number.POSITIVE_INFINITY },
    model,
    ctx.limits,
    ctx.compile,
    scope.signal,
  )
  const render: RenderOptions = {
    ...thinking.render,
    ...planned,
    ...(ctx.currentDate === undefined ? {} : { currentDate: ctx.currentDate }),
  }
  const answers = Array.from(
    { length: ask.answers },
    (_, i) =>
      new Answer(model, {
        messages: ask.messages,
        render,
        sampling: { ...ask.sampling, ...(ask.sampling.seed === undefined ? {} : { seed: ask.sampling.seed + i }) },
        maxTokens: Math.min(ask.maxTokens ?? Number.POSITIVE_INFINITY, ctx.limits.outputTokens),
        stop: ask.stop,
        ...(ask.logprobs === undefined ? {} : { logprobs: ask.logprobs }),
        plan,
        cacheKey: scope.tenant,
      }),
  )
  return { answers, hideReasoning: thinking.hidden }
}

interface SamplingFields {
  temperature?: number | null
  top_p?: number | null
  top_k?: number | null
  min_p?: number | null
  frequency_penalty?: number | null
  presence_penalty?: number | null
  repetition_penalty?: number | null
  seed?: number | null
  logit_bias?: Record<string, number> | null
}

/** The sampling fields of a request; null and missing keep the format's defaults. */
export function samplingOf(body: SamplingFields): Ask['sampling'] {
  const sampling: Record<string, unknown> = {}
  const names = {
    temperature: 'temperature',
    top_p: 'topP',
    min_p: 'minP',
    frequency_penalty: 'frequencyPenalty',
    presence_penalty: 'presencePenalty',
    repetition_penalty: 'repetitionPenalty',
    seed: 'seed',
  } as const
  for (const [field, name] of Object.entries(names)) {
    const value = body[field as keyof typeof names]
    if (value !== null && value !== undefined) sampling[name] = value
  }
  if (body.top_k !== null && body.top_k !== undefined) sampling.topK = Math.max(0, body.top_k)
  const bias = Object.entries(body.logit_bias ?? {})
  if (bias.length > 0) sampling.logitBias = new Map(bias.map(([id, value]) => [Number(id), value]))
  return sampling as Ask['sampling']
}

export function stopsOf(stop: string | string[] | null | undefined): string[] {
  return stop === null || stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop
}
