/** A model of this process as what is evaluated: its engine scores ids, and its chat format or plain continuation answers. */
import { AnswerCollector } from '../answer/collector.ts'
import { Continuation, promptOf } from '../answer/continuation.ts'
import { ChatError, type ChatEvent } from '../chat/messages.ts'
import { type ChatModel, chat } from '../chat/session.ts'
import type { Engine } from '../engine/engine.ts'
import { ItemError } from './errors.ts'
import { type IdScorer, type Reply, type Request, type Subject, scorePair, scoreWindows } from './subject.ts'

export interface LocalModel extends ChatModel {
  engine: Pick<Engine, 'generate' | 'context' | 'score' | 'load'>
}

export function localSubject(model: LocalModel, name: string): Subject {
  const { engine, tokenizer, format } = model
  const { prefix = [] } = tokenizer
  const scorer: IdScorer = {
    encode: (text) => tokenizer.encode(text),
    prefix,
    start: tokenizer.specials.get('<|endoftext|>') ?? format.stopIds[0] ?? 0,
    context: engine.context,
    async scoreIds(ids, from, signal) {
      const scores = await engine.score(ids, { from, top: 1, signal })
      return scores.map(({ id, logprob, top }) => ({ logprob, greedy: top[0]!.id === id }))
    },
  }
  return {
    name,
    parallel: engine.load().slots,
    score: (context, continuation, signal) => scorePair(scorer, context, continuation, signal),
    scoreText: (text, rule, signal) => scoreWindows(scorer, text, rule, signal),
    async answer(request) {
      try {
        return await replyOf(events(model, request))
      } catch (error) {
        if (error instanceof ChatError) throw new ItemError(error.message, { cause: error })
        throw error
      }
    },
  }
}

function events(model: LocalModel, request: Request): AsyncGenerator<ChatEvent, unknown> {
  const { maxTokens, stop, sampling, effort, signal } = request
  const ask = { maxTokens, stop, sampling, signal }
  if ('messages' in request) return chat(model, request.messages, { ...ask, thinking: effort })
  return new Continuation(model, promptOf(model, request.prompt, 'prompt', { special: false }), ask).events()
}

async function replyOf(events: AsyncGenerator<ChatEvent, unknown>): Promise<Reply> {
  const collector = new AnswerCollector()
  for await (const event of events) {
    collector.add(event)
    if (event.type !== 'finish') continue
    if (event.reason === 'abort') break
    const { completionTokens, reasoningTokens } = event.usage
    return { text: collector.text, finish: event.reason === 'stop' ? 'stop' : 'length', tokens: completionTokens, reasoningTokens }
  }
  throw new DOMException('the answer was cancelled', 'AbortError')
}
