/**
 * Conversations: several answers in one turn, with the tools that the model calls run in between. `chat` is one turn on a given
 * history and keeps nothing; `ChatSession` keeps the history. What the model writes never throws; what a tool throws, the model reads.
 */
import { answer, type ChatModel } from '../answer/answer.ts'
import type { Ask, AskedTool } from '../answer/ask.ts'
import { AnswerCollector } from '../answer/collector.ts'
import { begunAnswer, joined } from '../answer/prefill.ts'
import {
  type AssistantMessage,
  type ChatEvent,
  type FinishEvent,
  type Message,
  NO_TIMINGS,
  NO_USAGE,
  type Tool,
  type ToolCallPart,
  type ToolMessage,
} from './messages.ts'

export type { ChatModel }

export interface TurnOptions extends Omit<Ask, 'tools'> {
  /** Those with `execute` are run here. A turn in which the model calls one without ends with reason `tool-calls`, for the caller to answer. */
  tools?: readonly (Tool | AskedTool)[]
  /** How often the model may call tools before it must be asked again. Default 8. */
  maxRounds?: number
}

/**
 * One turn: the events of all its answers, tool results among them, and one `finish` with the sums. The generator's return value
 * is what was added to the history; where the last message was continued, what follows it. Leaving the iteration, like the signal, ends the generation; a running tool is told by its signal.
 * @throws ChatError on a conversation that cannot be rendered or is too long
 */
export async function* chat(
  model: ChatModel,
  history: readonly Message[],
  options: TurnOptions = {},
): AsyncGenerator<ChatEvent, Message[]> {
  const { maxRounds = 8, signal } = options
  const added: Message[] = []
  const finishes: FinishEvent[] = []
  let round = options
  for (;;) {
    const collector = new AnswerCollector()
    for await (const event of answer(model, [...history, ...added], round)) {
      collector.add(event)
      if (event.type === 'finish') finishes.push(event)
      else yield event
    }
    const { reason } = finishes.at(-1)!
    const runnable = collector.toolCalls.every((call) => executable(call.name, options.tools))
    const finished = reason === 'stop' || reason === 'tool-calls'
    added.push(finished ? collector.message : withoutCalls(collector.message))
    if (reason !== 'tool-calls' || !runnable) break
    const results = await Promise.all(collector.toolCalls.map((call) => runTool(call, options.tools ?? [], signal)))
    for (const { message, isError } of results) {
      added.push(message)
      yield { type: 'tool-result', id: message.toolCallId, name: message.name!, content: message.content, isError }
    }
    if (signal?.aborted) {
      finishes.push({ ...finishes.at(-1)!, reason: 'abort', usage: NO_USAGE, timings: NO_TIMINGS })
      break
    }
    if (finishes.length >= maxRounds) {
      yield {
        type: 'warning',
        code: 'tool-rounds',
        message: `the model called tools ${finishes.length} times in one turn; ask again to let it go on`,
      }
      break
    }
    round = { ...options, toolChoice: afterCall(options.toolChoice), prefill: undefined }
  }
  yield summed(finishes)
  return added
}

/** A call that was demanded has been made; demanding it again in every round would never end. */
function afterCall(choice: Ask['toolChoice']): Ask['toolChoice'] {
  if (typeof choice === 'object' && 'allowed' in choice) return { ...choice, mode: 'auto' }
  return choice === 'none' ? 'none' : 'auto'
}

/** A conversation that goes on. One turn at a time; a turn that fails leaves the history as it was. */
export class ChatSession {
  readonly model: ChatModel
  /** Used in every turn, below those of the turn. */
  options: TurnOptions
  /** May be read, replaced and cut between turns. */
  messages: Message[]
  #running = false

  constructor(model: ChatModel, options: TurnOptions = {}, messages: readonly Message[] = []) {
    this.model = model
    this.options = options
    this.messages = [...messages]
  }

  /**
   * Asks, and keeps what was said. Of a cancelled answer the text so far is kept; if there is none, the question goes, too.
   * @param input the user's text, messages (tool results, for instance), or nothing to go on after the last message; text of the
   * assistant in last place is continued
   */
  async *send(input: string | readonly Message[] = [], options: TurnOptions = {}): AsyncGenerator<ChatEvent, void> {
    if (this.#running) throw new Error('this session is answering; wait for its end or abort it')
    const asked: readonly Message[] = typeof input === 'string' ? [{ role: 'user', content: input }] : input
    const turn = [...this.messages, ...asked]
    const begun = begunAnswer(turn, { ...this.options, ...options })
    this.#running = true
    const partial = new AnswerCollector()
    let added: Message[] | undefined
    let failed = false
    try {
      const events = chat(this.model, turn, { ...this.options, ...options })
      let next = await events.next()
      try {
        for (; !next.done; next = await events.next()) {
          partial.add(next.value)
          yield next.value
        }
        added = next.value
      } finally {
        await events.return([])
      }
    } catch (error) {
      failed = true
      throw error
    } finally {
      this.#running = false
      if (!failed) {
        const kept = (added ?? [withoutCalls(partial.message)]).filter(
          (message) => message.role !== 'assistant' || message.content.length > 0,
        )
        const [first, ...others] = kept
        if (begun && first?.role === 'assistant') this.messages = [...turn.slice(0, -1), joined(begun, first), ...others]
        else if (kept.length > 0) this.messages = [...turn, ...kept]
      }
    }
  }
}

/** Of an answer that was cut: its text. Thinking without an answer and calls without results would mislead the model. */
function withoutCalls({ content }: AssistantMessage): AssistantMessage {
  const parts = typeof content === 'string' ? [] : content
  const hasText = parts.some((part) => part.type === 'text')
  return { role: 'assistant', content: hasText ? parts.filter((part) => part.type !== 'tool-call') : [] }
}

function executable(name: string, tools: readonly (Tool | AskedTool)[] = []): boolean {
  const tool = tools.find((candidate) => candidate.name === name)
  // An unknown tool is answered here, too, unless the caller answers calls himself.
  return tool === undefined ? tools.some((candidate) => 'execute' in candidate) : 'execute' in tool
}

async function runTool(
  call: ToolCallPart,
  tools: readonly (Tool | AskedTool)[],
  signal: AbortSignal | undefined,
): Promise<{ message: ToolMessage; isError: boolean }> {
  const result = (content: string, isError: boolean) => ({
    message: { role: 'tool' as const, toolCallId: call.id, name: call.name, content },
    isError,
  })
  const tool = tools.find((candidate) => candidate.name === call.name)
  if (tool === undefined || !('execute' in tool)) {
    return result(`Error: there is no tool ${JSON.stringify(call.name)}; the tools are ${tools.map(({ name }) => name).join(', ')}`, true)
  }
  let args: unknown
  try {
    args = call.arguments.trim() === '' ? {} : JSON.parse(call.arguments)
  } catch (error) {
    return result(`Error: the arguments are not JSON: ${(error as Error).message}`, true)
  }
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Error('cancelled'))
    if (signal?.aborted) onAbort()
    else signal?.addEventListener('abort', onAbort)
  })
  try {
    const value = await Promise.race([aborted, (async () => tool.execute(args, { toolCallId: call.id, signal }))()])
    return result(typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value), false)
  } catch (error) {
    return result(`Error: ${error instanceof Error ? error.message : String(error)}`, true)
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The sums over the answers of a turn; the reason is the last one's, the rates are weighted by time. */
function summed(finishes: readonly FinishEvent[]): FinishEvent {
  const sum = (read: (finish: FinishEvent) => number) => finishes.reduce((total, finish) => total + read(finish), 0)
  const rate = (tokens: (finish: FinishEvent) => number, perSecond: (finish: FinishEvent) => number) => {
    const measured = finishes.filter((finish) => perSecond(finish) > 0)
    const seconds = measured.reduce((total, finish) => total + tokens(finish) / perSecond(finish), 0)
    return seconds > 0 ? measured.reduce((total, finish) => total + tokens(finish), 0) / seconds : 0
  }
  return {
    type: 'finish',
    reason: finishes.at(-1)!.reason,
    usage: {
      promptTokens: sum(({ usage }) => usage.promptTokens),
      cachedTokens: sum(({ usage }) => usage.cachedTokens),
      completionTokens: sum(({ usage }) => usage.completionTokens),
      reasoningTokens: sum(({ usage }) => usage.reasoningTokens),
    },
    timings: {
      queuedMs: sum(({ timings }) => timings.queuedMs),
      firstTokenMs: finishes[0]!.timings.firstTokenMs,
      completionMs: sum(({ timings }) => timings.completionMs),
      promptTokensPerSecond: rate(
        ({ usage }) => usage.promptTokens - usage.cachedTokens,
        ({ timings }) => timings.promptTokensPerSecond,
      ),
      completionTokensPerSecond: rate(
        ({ usage }) => usage.completionTokens,
        ({ timings }) => timings.completionTokensPerSecond,
      ),
    },
  }
}
