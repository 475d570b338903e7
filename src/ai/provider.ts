/**
 * The AI SDK (package `ai`) on a model in this process, without HTTP: `streamText({ model: lineage(await load('abacus')), … })`.
 * Reasoning, tools, forced tools, schemas and abort work as over HTTP, because both run answer/answer.ts.
 */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3Content,
  LanguageModelV3FinishReason,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
} from '@ai-sdk/provider'
import { Answer, type ChatModel } from '../answer/answer.ts'
import { planFor } from '../answer/plan.ts'
import { continued } from '../answer/prefill.ts'
import { ReasoningMemory } from '../answer/reasoning-memory.ts'
import type { ChatEvent, FinishEvent } from '../chat/messages.ts'
import { aiAsk, type LineageProviderOptions } from './prompt.ts'

export type { LineageProviderOptions }

/** What the provider needs of a loaded model; the result of `load` has it. */
export type LineageModel = ChatModel & { architecture: { name: string } }

export interface LineageSettings {
  /** Shown as the model's id. Default: the architecture's name. */
  modelId?: string
  /** YYYY-MM-DD, for formats that tell the model a date. Default: none. */
  currentDate?: string
}

/** A language model of the AI SDK over a loaded model. The caller disposes of the model. */
export function lineage(model: LineageModel, settings: LineageSettings = {}): LanguageModelV3 {
  return new LineageLanguageModel(model, settings)
}

class LineageLanguageModel implements LanguageModelV3 {
  readonly specificationVersion = 'v3'
  readonly provider = 'lineage'
  readonly modelId: string
  readonly supportedUrls = {}
  readonly #model: LineageModel
  readonly #currentDate: string | undefined
  readonly #memory = new ReasoningMemory()

  constructor(model: LineageModel, { modelId, currentDate }: LineageSettings) {
    this.modelId = modelId ?? model.architecture.name
    this.#model = model
    this.#currentDate = currentDate
  }

  async doGenerate(options: LanguageModelV3CallOptions): Promise<LanguageModelV3GenerateResult> {
    const { events, warnings } = await this.#start(options)
    const content: LanguageModelV3Content[] = []
    let finish!: FinishEvent
    for await (const event of events) {
      if (event.type === 'reasoning-end') content.push({ type: 'reasoning', text: event.text })
      else if (event.type === 'text-end') content.push({ type: 'text', text: event.text })
      else if (event.type === 'tool-call-end')
        content.push({ type: 'tool-call', toolCallId: event.id, toolName: event.name, input: event.arguments })
      else if (event.type === 'finish') finish = event
    }
    return { content, finishReason: finishReason(finish), usage: usage(finish), warnings, response: this.#response() }
  }

  async doStream(options: LanguageModelV3CallOptions): Promise<{ stream: ReadableStream<LanguageModelV3StreamPart> }> {
    const { events, warnings } = await this.#start(options)
    const parts = this.#parts(events, warnings)
    return {
      stream: new ReadableStream({
        async pull(controller) {
          try {
            const { done, value } = await parts.next()
            if (done) controller.close()
            else controller.enqueue(value)
          } catch (error) {
            controller.error(error)
          }
        },
        async cancel() {
          await parts.return(undefined)
        },
      }),
    }
  }

  async #start(options: LanguageModelV3CallOptions) {
    const asked = aiAsk(options, (callId) => this.#memory.recall('', callId))
    const { messages, ask } = continued(asked.messages, { ...asked.ask, currentDate: this.#currentDate })
    const plan = await planFor(ask, this.#model, undefined, options.abortSignal)
    return { events: this.#events(new Answer(this.#model, messages, ask, plan), options.abortSignal), warnings: asked.warnings }
  }

  /** Remembers reasoning for the calls it led to; an abort rejects, as the SDK expects. */
  async *#events(answer: Answer, signal: AbortSignal | undefined): AsyncGenerator<ChatEvent> {
    for await (const event of answer.events(signal)) {
      if (event.type === 'tool-call-end') this.#memory.remember('', event.id, answer.reasoning)
      else if (event.type === 'finish' && event.reason === 'abort') signal?.throwIfAborted()
      yield event
    }
  }

  async *#parts(
    events: AsyncGenerator<ChatEvent>,
    warnings: LanguageModelV3GenerateResult['warnings'],
  ): AsyncGenerator<LanguageModelV3StreamPart, undefined> {
    yield { type: 'stream-start', warnings }
    yield { type: 'response-metadata', ...this.#response() }
    let part = 0
    for await (const event of events) {
      const id = String(part)
      switch (event.type) {
        case 'text-start':
        case 'reasoning-start':
          yield { type: event.type, id }
          break
        case 'text-delta':
        case 'reasoning-delta':
          yield { type: event.type, id, delta: event.delta }
          break
        case 'text-end':
        case 'reasoning-end':
          part++
          yield { type: event.type, id }
          break
        case 'tool-call-start':
          yield { type: 'tool-input-start', id: event.id, toolName: event.name }
          break
        case 'tool-call-delta':
          yield { type: 'tool-input-delta', id: event.id, delta: event.argumentsDelta }
          break
        case 'tool-call-end':
          yield { type: 'tool-input-end', id: event.id }
          yield { type: 'tool-call', toolCallId: event.id, toolName: event.name, input: event.arguments }
          break
        case 'finish':
          yield { type: 'finish', finishReason: finishReason(event), usage: usage(event) }
      }
    }
  }

  #response() {
    return { id: crypto.randomUUID(), timestamp: new Date(), modelId: this.modelId }
  }
}

function finishReason({ reason }: FinishEvent): LanguageModelV3FinishReason {
  const unified = reason === 'stop' || reason === 'tool-calls' ? reason : reason === 'abort' ? 'other' : 'length'
  return { unified, raw: reason }
}

function usage({ usage: { promptTokens, cachedTokens, completionTokens, reasoningTokens } }: FinishEvent): LanguageModelV3Usage {
  return {
    inputTokens: { total: promptTokens, noCache: promptTokens - cachedTokens, cacheRead: cachedTokens, cacheWrite: undefined },
    outputTokens: { total: completionTokens, text: completionTokens - reasoningTokens, reasoning: reasoningTokens },
  }
}
