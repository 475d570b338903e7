/** POST /v1/completions: texts continued, with log-probabilities of prompt and answer for those who score models with them. */
import { checkFits } from '../../answer/answer.ts'
import { Continuation, promptOf } from '../../answer/continuation.ts'
import { type FinishEvent, type FinishReason, NO_TIMINGS, NO_USAGE } from '../../chat/messages.ts'
import type { TokenLogprob } from '../../engine/logprobs.ts'
import type { Constraint } from '../../structured/structured.ts'
import { prefixLength, promptText, streamAfter } from '../../tokenizer/prompt.ts'
import type { TextStream, Tokenizer } from '../../tokenizer/tokenizer.ts'
import { finite, spelled } from '../chat-completions/logprobs.ts'
import { type ChoiceRun, respondWithChoices } from '../choices.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { badRequest } from '../http/errors.ts'
import { fingerprintOf, newChatId, unixSeconds } from '../http/names.ts'
import { checkLongTexts } from '../long-texts.ts'
import type { ServedModel } from '../models/model.ts'
import type { Lease } from '../models/registry.ts'
import { constraintOf, drawingOf, stopsOf } from '../prepare.ts'
import { chatUsage, openaiFinish, runAnswer, stopReason, withModel } from '../run.ts'
import { limitOf } from '../schemas/common.ts'
import { type CompletionRequest, completionRequest } from '../schemas/completions.ts'
import { formatForm, givenForm } from '../schemas/forms.ts'
import { fillPrompt } from './fill.ts'

export async function completions(ctx: ServerContext, scope: Scope, request: Request): Promise<Response> {
  const body = await readBody(ctx, scope, request, completionRequest)
  if (body.echo && body.stream) throw badRequest('echo cannot be streamed.', 'echo')
  if (body.max_tokens === 0 && !body.echo) throw badRequest('max_tokens 0 makes sense with echo only.', 'max_tokens')
  if (body.suffix && (typeof body.prompt !== 'string' || body.echo))
    throw badRequest('suffix: expected one text as prompt, without echo.', 'suffix')
  const given = givenForm(body, formatForm(body.response_format))
  return withModel(ctx, scope, body.model, async (lease) => {
    const constraint = await constraintOf(ctx, scope, lease.model, given)
    const texts = [body.prompt].flat().filter((prompt) => typeof prompt === 'string')
    for (const text of texts) await checkLongTexts([text], lease.model, 'prompt', scope.signal)
    const prompts = continuations(ctx, scope, lease.model, body, constraint)
    const head = {
      id: newChatId('cmpl'),
      object: 'text_completion',
      created: unixSeconds(),
      model: body.model,
      system_fingerprint: fingerprintOf(lease.entry),
    }
    const runs = prompts.map((prompt, i) => choiceRun(ctx, scope, lease, prompt, i, body))
    const totals = (finishes: readonly FinishEvent[]) => ({ usage: usageOf(finishes, body.n ?? 1) })
    return respondWithChoices(ctx, scope, lease, request, body, runs, { whole: head, chunk: head, totals })
  })
}

const logprobsAsked = (body: CompletionRequest) => body.logprobs !== null && body.logprobs !== undefined

/** A prompt with what continues it. */
interface Prompt {
  /** A text as it came, which `echo` repeats; undefined for ids. */
  text: string | undefined
  ids: readonly number[]
  /** How many ids at the start are a BOS that the text does not show. */
  hidden: number
  /** Undefined: nothing is to be generated. */
  task: Continuation | undefined
}

function continuations(
  ctx: ServerContext,
  scope: Scope,
  model: ServedModel,
  body: CompletionRequest,
  constraint: Constraint | undefined,
): Prompt[] {
  const { prompt } = body
  const prompts =
    typeof prompt === 'string' || typeof prompt[0] === 'number' ? [prompt as string | number[]] : (prompt as (string | number[])[])
  const read = { special: body.parse_special ?? true, bos: body.add_special_tokens ?? true }
  return prompts.flatMap((one, p) => {
    const param = prompts.length === 1 ? 'prompt' : `prompt[${p}]`
    const filled = body.suffix ? fillPrompt(model, { before: one as string, after: body.suffix }, 'suffix') : undefined
    const promptIds = filled?.ids ?? (typeof one === 'string' ? promptOf(model, one, param, read) : one)
    const unknown = promptIds.find((id) => id >= model.architecture.vocabSize)
    if (unknown !== undefined) throw badRequest(`Token ${unknown} is not in the vocabulary of ${model.architecture.vocabSize}.`, param)
    return Array.from({ length: body.n ?? 1 }, (_, i) => {
      const ask = {
        ...drawingOf(body, i),
        maxTokens: Math.min(limitOf(body.max_tokens ?? 16) ?? Number.MAX_SAFE_INTEGER, ctx.limits.outputTokens),
        stop: [...stopsOf(body.stop), ...(filled?.stops ?? [])],
        logprobs: body.logprobs ?? undefined,
        cacheKey: scope.tenant,
      }
      if (body.max_tokens !== 0) return promptFor(model, one, promptIds, new Continuation(model, promptIds, ask, param, constraint))
      // The last id is only predicted, so that one more than the context holds can be scored.
      if (promptIds.length > model.engine.context + 1) checkFits(promptIds.length, model.engine.context, param)
      return promptFor(model, one, promptIds)
    })
  })
}

function promptFor({ tokenizer }: ServedModel, given: string | readonly number[], ids: readonly number[], task?: Continuation): Prompt {
  if (typeof given !== 'string') return { text: undefined, ids, hidden: prefixLength(tokenizer, ids), task }
  const isSpelled = given.startsWith(tokenizer.decode(tokenizer.prefix ?? []))
  return { text: given, ids, hidden: isSpelled ? 0 : prefixLength(tokenizer, ids), task }
}

function choiceRun(ctx: ServerContext, scope: Scope, lease: Lease, prompt: Prompt, index: number, body: CompletionRequest): ChoiceRun {
  const { model } = lease
  const { ids, task } = prompt
  return {
    async whole(signal) {
      const table = new LogprobTable(model, body.logprobs ?? 0, prompt, body.echo ?? false)
      let text = ''
      let finish: FinishEvent | undefined
      if (body.echo) {
        text = prompt.text ?? promptText(model.tokenizer, ids)
        if (logprobsAsked(body)) {
          table.add(ids[0]!, null, [])
          const scores = ids.length > 1 ? await model.engine.score(ids, { top: body.logprobs!, signal, cacheKey: scope.tenant }) : []
          for (const { id, logprob, top } of scores) table.add(id, logprob, top)
        }
      }
      if (task) {
        for await (const event of runAnswer(ctx, scope, lease, task, signal, undefined, true)) {
          if (event.type === 'text-token') table.add(event.id, event.logprob, event.top)
          else if (event.type === 'text-end') text += event.text
          else if (event.type === 'finish') finish = event
        }
      }
      const usage = { ...NO_USAGE, promptTokens: ids.length }
      finish ??= { type: 'finish', reason: 'length', usage, timings: NO_TIMINGS }
      const logprobs = logprobsAsked(body) ? table.take() : null
      const { reason } = finish
      return { choice: { index, text, logprobs, finish_reason: openaiFinish(reason), stop_reason: stopReason(reason) }, finish }
    },
    async stream(signal, send, onPosition) {
      const table = new LogprobTable(model, body.logprobs ?? 0, prompt, false)
      const choice = (text: string, logprobs: object | null, reason?: FinishReason) =>
        send({ index, text, logprobs, finish_reason: reason ? openaiFinish(reason) : null, stop_reason: reason && stopReason(reason) })
      let finish!: FinishEvent
      for await (const event of runAnswer(ctx, scope, lease, task!, signal, onPosition, true)) {
        if (event.type === 'text-token') table.add(event.id, event.logprob, event.top)
        else if (event.type === 'text-delta') await choice(event.delta, logprobsAsked(body) ? table.take() : null)
        else if (event.type === 'finish') finish = event
      }
      const rest = table.take() // of ids whose text does not come out
      await choice('', rest.tokens.length > 0 ? rest : null, finish.reason)
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

/**
 * The legacy form of log-probabilities: parallel lists. `text_offset` counts the characters (code points, as Python does) of the choice's
 * text before each token. A token that is no whole character is spelled `bytes:\xf0\x9f`, as OpenAI does.
 */
class LogprobTable {
  readonly #tokenizer: Tokenizer
  readonly #alternatives: number
  readonly #stream: TextStream
  #offset = 0
  /** Ids to come whose text is not shown. */
  #hidden: number
  #table = emptyTable()

  /** @param echo the table begins with the ids of the prompt; otherwise its text goes on after them */
  constructor({ tokenizer }: ServedModel, alternatives: number, { ids, hidden }: Prompt, echo: boolean) {
    this.#tokenizer = tokenizer
    this.#alternatives = alternatives
    this.#stream = echo ? tokenizer.stream() : streamAfter(tokenizer, ids)
    this.#hidden = echo ? hidden : 0
  }

  add(id: number, logprob: number | null, top: readonly TokenLogprob[]): void {
    this.#table.tokens.push(this.#spell(id))
    this.#table.token_logprobs.push(logprob === null ? null : finite(logprob))
    const best = new Map<string, number>()
    // The chosen token is always among them, as OpenAI has it.
    for (const other of [...top.slice(0, this.#alternatives), { id, logprob: logprob ?? 0 }]) {
      const spelling = this.#spell(other.id)
      if (!best.has(spelling)) best.set(spelling, finite(other.logprob)) // of two tokens of one spelling the likelier
    }
    this.#table.top_logprobs.push(logprob === null ? null : Object.fromEntries(best))
    this.#table.text_offset.push(this.#offset)
    if (this.#hidden > 0) this.#hidden--
    else this.#offset += [...this.#stream.push(id)].length
  }

  take() {
    const table = this.#table
    this.#table = emptyTable()
    return table
  }

  #spell(id: number): string {
    const { text, isWhole } = spelled(this.#tokenizer.bytes(id))
    return isWhole ? text : `bytes:${text}`
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
