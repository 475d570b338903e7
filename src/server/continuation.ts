/** A text continued without any chat format: the completions endpoint and Ollama's raw mode. The same events as an answer, text only. */
import type { Sampling } from '../chat/messages.ts'
import { StopTexts } from '../chat/stop-texts.ts'
import { type AnswerEvent, type AnswerSource, finishEvent, type TextToken } from './answer-events.ts'
import { contextExceeded } from './http/errors.ts'
import type { ServedModel } from './models/model.ts'

export interface ContinuationRequest {
  promptIds: readonly number[]
  sampling: Sampling & { logitBias?: ReadonlyMap<number, number> }
  maxTokens: number | undefined
  stop: readonly string[]
  logprobs?: number
  cacheKey?: string
}

/** Ids of a text to continue, with what the published tokenizer puts first. Never empty. Throws 400 when it is too long. */
export function promptOf(model: ServedModel, text: string, param: string): number[] {
  const { context } = model.engine
  if (text.length > context * 24) throw contextExceeded(Math.ceil(text.length / 24), context, param)
  const ids = [...(model.tokenizer.prefix ?? []), ...model.tokenizer.encode(text)]
  if (ids.length > 0) return ids
  // A model must be given something to continue; a document begins after this.
  return [model.tokenizer.specials.get('<|endoftext|>') ?? model.format.stopIds[0] ?? 0]
}

export class Continuation implements AnswerSource {
  readonly promptIds: readonly number[]
  readonly #model: ServedModel
  readonly #request: ContinuationRequest

  constructor(model: ServedModel, request: ContinuationRequest, param = 'prompt') {
    if (request.promptIds.length >= model.engine.context) throw contextExceeded(request.promptIds.length, model.engine.context, param)
    this.promptIds = request.promptIds
    this.#model = model
    this.#request = request
  }

  async *events(signal: AbortSignal): AsyncGenerator<AnswerEvent> {
    const { engine, tokenizer, format } = this.#model
    const { sampling, maxTokens, stop, logprobs, cacheKey } = this.#request
    const asked = performance.now()
    const stops = new StopTexts(stop)
    const stream = tokenizer.stream()
    let firstTokenMs = 0
    let text = ''
    let out: AnswerEvent[] = [{ type: 'text-start', phase: 'final' }]
    let held: TextToken[] = []
    const write = (delta: string) => {
      if (delta === '') return
      out.push(...held, { type: 'text-delta', delta, phase: 'final' })
      held = []
      text += delta
    }
    const generation = engine.generate(this.promptIds, {
      maxTokens: Math.min(maxTokens ?? Number.POSITIVE_INFINITY, engine.context - this.promptIds.length),
      sampling: { ...format.sampling({}), ...sampling },
      stopIds: format.stopIds,
      signal,
      ...(logprobs === undefined ? {} : { logprobs }),
      ...(cacheKey === undefined ? {} : { cacheKey }),
      onToken: ({ id, logprob, top }) => {
        firstTokenMs ||= performance.now() - asked
        if (format.stopIds.includes(id)) return undefined
        if (logprob !== undefined) held.push({ type: 'text-token', id, bytes: tokenizer.bytes(id), logprob, top: top ?? [] })
        write(stops.push(stream.push(id)))
        return stops.found ? 'stop' : undefined
      },
    })
    generation.result.catch(() => {})
    for await (const _ of generation) {
      const ready = out
      out = []
      yield* ready
    }
    const result = await generation.result
    write(stops.push(stream.end()))
    write(stops.rest())
    yield* out
    yield { type: 'text-end', text, phase: 'final' }
    yield finishEvent(result, result.reason, firstTokenMs, 0)
  }
}
