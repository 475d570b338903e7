/**
 * One question and one answer, for scripts: the text on standard output and the rest on standard error,
 * or all events as JSON lines.
 */
import type { FinishReason } from '../../chat/messages.ts'
import type { ChatSession } from '../../chat/session.ts'
import type { Screen } from '../support/progress.ts'
import { coloured } from '../support/terminal.ts'
import { ChatView } from './view.ts'

export interface OnceOptions {
  session: ChatSession
  question: string
  json?: boolean
  quiet?: boolean
  /** Treat an incomplete answer as a failure (a JSON document, for example). */
  whole?: boolean
  folded?: boolean
  stdout: Screen
  stderr: Screen
  signal?: AbortSignal
}

/** @returns exit code: 0; 130 when the answer was stopped; 1 when `whole` is set and the answer is incomplete */
export async function chatOnce({ session, question, json, quiet, whole, folded, stdout, stderr, signal }: OnceOptions): Promise<number> {
  const view = new ChatView({ text: stdout, aside: stderr, colour: coloured(stderr), quiet, folded })
  let reason: FinishReason = 'stop'
  for await (const event of session.send(question, { signal })) {
    if (event.type === 'finish') reason = event.reason
    if (json) stdout.write(`${JSON.stringify(event)}\n`)
    else view.show(event)
  }
  if (reason === 'abort') return 130
  return whole && reason !== 'stop' ? 1 : 0
}
