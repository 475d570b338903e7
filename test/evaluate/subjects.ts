/** Things to evaluate that play a part: answers from a function, log-likelihoods from the text itself. */
import { ItemError } from '../../src/evaluate/errors.ts'
import type { Outcome } from '../../src/evaluate/plan.ts'
import type { DataFile } from '../../src/evaluate/records.ts'
import type { Request, Subject } from '../../src/evaluate/subject.ts'
import { readTask, type Task } from '../../src/evaluate/task.ts'

export const promptOf = (request: Request): string =>
  'prompt' in request ? request.prompt : request.messages.map(({ content }) => content as string).join('\n')

/** Answers by a function of prompt and request; a text has minus its length as its log-likelihood, and is greedy if it begins with a blank. */
export function scripted(
  answer: (prompt: string, request: Request) => string | Promise<string>,
  parallel = 3,
): Subject & { asked: Request[] } {
  const asked: Request[] = []
  const score = (text: string) => ({ logprob: -text.length, greedy: text.startsWith(' '), tokens: text.split(' ').length })
  return {
    name: 'scripted',
    parallel,
    asked,
    async score(_, continuation) {
      if (continuation.includes('unscorable')) throw new ItemError('too long')
      return score(continuation)
    },
    scoreText: async (text) => score(text),
    async answer(request) {
      request.signal?.throwIfAborted()
      asked.push(request)
      const text = await answer(promptOf(request), request)
      if (text === 'refused') throw new ItemError('refused')
      return { text, finish: text.endsWith('…') ? 'length' : 'stop', tokens: text.length, reasoningTokens: 1 }
    },
  }
}

export const taskOf = (description: object): Task => readTask({ name: 'test', ...description }, 'task.json')

export const lines = (records: readonly object[], name = 'data.jsonl'): DataFile => ({
  name,
  text: records.map((record) => JSON.stringify(record)).join('\n'),
})

export const byId = (outcomes: readonly Outcome[]): Record<string, Outcome> =>
  Object.fromEntries(outcomes.map((outcome) => [outcome.id, outcome]))
