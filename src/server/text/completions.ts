/** POST /v1/completions: texts continued, with log-probabilities of prompt and answer for those who score models with them. */
import { Continuation, promptOf } from '../../answer/continuation.ts'
import { type FinishEvent, NO_TIMINGS, NO_USAGE } from '../../chat/messages.ts'
import type { TokenLogprob } from '../../engine/logprobs.ts'
import { finite } from '../chat-completions/logprobs.ts'
import { type ChoiceRun, respondWithChoices } from '../choices.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { fingerprintOf, newChatId, unixSeconds } from '../http/names.ts'
import type { ServedModel } from '../models/model.ts'
import type { Lease } from '../models/registry.ts'
import { samplingOf, stopsOf } from '../prepare.ts'
import { chatUsage, openaiFinish, runAnswer, withModel } from '../run.ts'
import { type CompletionRequest, completionRequest } from '../schemas/completions.ts'

const utf8 = new TextDecoder()

export async function completions(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(request, completionRequest, ctx.limits)
  if (body.suffix) throw badRequest('This server continues texts; it cannot fill in before a suffix.', 'suffix')
  if (body.echo && body.stream) throw badRequest('echo cannot be streamed.', 'echo')
  if (body.max_tokens === 0 && !body.echo) throw badRequest('max_tokens 0 makes sense with echo only.', 'max_tokens')
  return withModel(ctx, scope, body.model, (lease) => {
    const tasks = continuations(ctx, scope, lease.model, body)
    ctx.admission.check(lease.model.engine.load(), tasks.length)
    const head = {
      id: newChatId('cmpl'),
      object: 'text_completion',
      created: unixSeconds(),
      model: body.model,
      system_fingerprint: fingerprintOf(lease.entry),
    }
    const runs = tasks.map((task, i) => choiceRun(ctx, scope, lease, task, i, body))
    const totals = (finishes: readonly FinishEvent[]) => ({ usage: usageOf(finishes, body.n ?? 1) })
    return respondWithChoices(ctx, scope, request, body, runs, { whole: head, chunk: head, totals })
  })
}

const logprobsAsked = (body: CompletionRequest) => body.logprobs !== null && body.logprobs !== undefined

function continuations(ctx: ServerContext, scope: Scope, model: ServedModel, body: CompletionRequest): Continuation[] {
  const { prompt } = body
  const prompts =
    typeof prompt === 'string' || typeof prompt[0] === 'number' ? [prompt as string | number[]] : (prompt as (string | number[])[])
  const read = { special: body.parse_special ?? true, bos: body.add_special_tokens ?? true }
  return prompts.flatMap((one, p) => {
    const param = prompts.length === 1 ? 'prompt' : `prompt[${p}]`
    const promptIds = typeof one === 'string' ? promptOf(model, one, param, read) : one
    const unknown = promptIds.find((id) => id >= model.architecture.vocabSize)
    if (unknown !== undefined) throw badRequest(`Token ${unknown} is not in the vocabulary of ${model.architecture.vocabSize}.`, param)
    return Array.from({ length: body.n ?? 1 }, (_, i) => {
      const ask = {
        sampling: samplingOf(body, i),
        maxTokens: Math.min(body.max_tokens ?? 16, ctx.limits.outputTokens),
        stop: stopsOf(body.stop),
        logprobs: body.logprobs ?? undefined,
        cacheKey: scope.tenant,
      }
      return new Continuation(model, promptIds, ask, param)
    })
  })
}

function choiceRun(ctx: ServerContext, scope: Scope, lease: Lease, task: Continuation, index: number, body: CompletionRequest): ChoiceRun {
  const { model } = lease
  return {
    async whole(signal) {
      const table = new LogprobTable(model, body.logprobs ?? 0)
      let text = ''
      let finish: FinishEvent | undefined
      if (body.echo) {
        text = model.tokenizer.decode(task.promptIds)
        if (logprobsAsked(body)) {
          const [first, ...rest] = task.promptIds
          table.add(first!, null, [])
          const scores = rest.length > 0 ? await model.engine.score(task.promptIds, { top: body.logprobs!, signal }) : []
          for (const { id, logprob, top } of scores) table.add(id, logprob, top)
        }
      }
      if (body.max_tokens !== 0) {
        for await (const event of runAnswer(ctx, scope, lease, task, signal)) {
          if (event.type === 'text-token') table.add(event.id, event.logprob, event.top)
          else if (event.type === 'text-end') text += event.text
          else if (event.type === 'finish') finish = event
        }
      }
      const usage = { ...NO_USAGE, promptTokens: task.promptIds.length }
      finish ??= { type: 'finish', reason: 'length', usage, timings: NO_TIMINGS }
      const logprobs = logprobsAsked(body) ? table.take() : null
      return { choice: { index, text, logprobs, finish_reason: openaiFinish(finish.reason) }, finish }
    },
    async stream(signal, send, onPosition) {
      const table = new LogprobTable(model, body.logprobs ?? 0)
      const choice = (text: string, logprobs: object | null, finish_reason: string | null) => send({ index, text, logprobs, finish_reason })
      let finish!: FinishEvent
      for await (const event of runAnswer(ctx, scope, lease, task, signal, onPosition)) {
        if (event.type === 'text-token') table.add(event.id, event.logprob, event.top)
        else if (event.type === 'text-delta') await choice(event.delta, logprobsAsked(body) ? table.take() : null, null)
        else if (event.type === 'finish') finish = event
      }
      await choice('', null, openaiFinish(finish.reason))
      return finish
    },
  }
}

/** Usage over all choices; each prompt counts once. */
function usageOf(finishes: readonly FinishEvent[], perPrompt: number) {
  const all = chatUsage(finishes)
  const prompts = finishes.filter((_, i) => i % perPrompt === 0)
  const prompt_tokens = prompts.reduce((sum, { usage }) => sum + usage.promptTokens, 0)
  const cached_tokens = prompts.reduce((sum, { usage }) => sum + usage.cachedTokens, 0)
  return { ...all, prompt_tokens, total_tokens: prompt_tokens + all.completion_tokens, prompt_tokens_details: { cached_tokens } }
}

/** The legacy form of log-probabilities: parallel lists. */
class LogprobTable {
  readonly #model: ServedModel
  readonly #alternatives: number
  #offset = 0
  #table = emptyTable()

  constructor(model: ServedModel, alternatives: number) {
    this.#model = model
    this.#alternatives = alternatives
  }

  add(id: number, logprob: number | null, top: readonly TokenLogprob[]): void {
    const spelled = this.#spell(id)
    this.#table.tokens.push(spelled)
    this.#table.token_logprobs.push(logprob === null ? null : finite(logprob))
    const best = top.slice(0, this.#alternatives).map((other): [string, number] => [this.#spell(other.id), finite(other.logprob)])
    this.#table.top_logprobs.push(logprob === null ? null : Object.fromEntries(best))
    this.#table.text_offset.push(this.#offset)
    this.#offset += spelled.length
  }

  take() {
    const table = this.#table
    this.#table = emptyTable()
    return table
  }

  #spell(id: number): string {
    return utf8.decode(this.#model.tokenizer.bytes(id))
  }
}

function emptyTable() {
  return {
    tokens: [] as string[],
    token_logprobs: [] as (number | null)[],
    top_logprobs: [] as (Record<string, number> | null)[],
    text_offset: [] as number[],
  }
}
