/** A conversation in a terminal: reads a line, streams the answer or runs the command, and repeats. */
import { toldBy } from '../../answer/plan.ts'
import { ChatError, type FinishEvent } from '../../chat/messages.ts'
import type { ChatSession } from '../../chat/session.ts'
import { duration } from '../support/progress.ts'
import { painter } from '../support/terminal.ts'
import { type Conversation, runCommand } from './commands.ts'
import type { InputHistory } from './history.ts'
import { ChatInput, type TerminalStreams } from './input.ts'
import { ABOUT_DEFAULT, DEFAULT_MODEL } from './start.ts'
import { ChatView } from './view.ts'

/** The engine's state, for the progress of long prompts. With one slot, the cached positions count the rows read. */
export interface PromptMeter {
  load(): { cachedPositions: number; promptTokensPerSecond: number }
}

export interface ReplOptions {
  session: ChatSession
  modelName: string
  streams: TerminalStreams
  history: InputHistory
  colour: boolean
  folded?: boolean
  meter?: PromptMeter
  memoryBytes?: () => number
  /** Registers a listener for SIGINT and returns a function that removes it. */
  onSignal?: (interrupt: () => void) => () => void
}

/** Time without output after which the progress of a long prompt is shown. */
const SILENCE_MS = 500

/** @returns exit code: 0, or 130 when an answer was stopped twice */
export async function chatInTerminal(options: ReplOptions): Promise<number> {
  const { session, modelName, streams, colour } = options
  const { output } = streams
  const view = new ChatView({ text: output, aside: output, colour, folded: options.folded ?? false })
  const paint = painter(colour)
  const finishes: FinishEvent[] = []
  const input = new ChatInput(streams, options.history)
  const stopListening = options.onSignal?.(() => input.interrupt())
  let exitCode = 0

  /** Streams one turn; Ctrl-C stops it, and a second one leaves. */
  const turn = async (question: string) => {
    const controller = new AbortController()
    input.onInterrupt = () => {
      if (controller.signal.aborted) {
        exitCode = 130
        input.close()
      }
      controller.abort(new Error('interrupted'))
    }
    view.begin()
    const reading = showReading(options, question)
    try {
      for await (const event of session.send(question, { signal: controller.signal })) {
        reading.end()
        view.show(event)
        if (event.type === 'finish') finishes.push(event)
      }
    } catch (error) {
      if (!(error instanceof ChatError)) throw error
      output.write(`${paint(error.message, 'red')}\n`)
    } finally {
      reading.end()
      input.onInterrupt = () => {}
    }
  }

  const conversation: Conversation = {
    session,
    modelName,
    finishes,
    view,
    print: (text) => output.write(`${paint(text, 'dim')}\n`),
    memoryBytes: options.memoryBytes,
    async retry() {
      const last = session.messages.findLastIndex(({ role }) => role === 'user')
      const question = session.messages[last]
      if (question?.role !== 'user') return conversation.print('nothing to ask again')
      const before = session.messages
      session.messages = before.slice(0, last)
      await turn(question.content)
      // Where nothing came, the question and its first answer stay.
      if (session.messages.length <= last) session.messages = before
    },
  }

  try {
    output.write(`${paint(`${modelName}, context of ${session.model.engine.context} tokens; /help lists the commands`, 'dim')}\n`)
    if (modelName === DEFAULT_MODEL) output.write(`${paint(ABOUT_DEFAULT, 'dim')}\n`)
    for (let line = await input.read(); line !== undefined; line = await input.read()) {
      if (line.trim() === '') continue
      if (!line.startsWith('/')) await turn(line)
      else if (await runCommand(conversation, line)) break
    }
  } finally {
    stopListening?.()
    input.close()
  }
  return exitCode
}

/** Shows a progress line while a long prompt is read. */
function showReading({ session, streams: { output }, meter, colour }: ReplOptions, question: string): { end(): void } {
  let total: number | undefined
  let shown = false
  const timer = setInterval(() => {
    total ??= promptLength(session, question)
    const { cachedPositions = 0, promptTokensPerSecond = 0 } = meter?.load() ?? {}
    const read = Math.min(cachedPositions, total)
    const left = promptTokensPerSecond > 0 ? `, ${duration((total - read) / promptTokensPerSecond)} left` : ''
    output.write(`\r\x1b[2K${painter(colour)(`reading the prompt: ${read} of ${total} tokens${left}`, 'dim')}`)
    shown = true
  }, SILENCE_MS)
  return {
    end() {
      clearInterval(timer)
      if (shown) output.write('\r\x1b[2K')
      shown = false
    },
  }
}

function promptLength({ model, messages, options }: ChatSession, question: string): number {
  try {
    return model.format.render([...messages, { role: 'user', content: question }], toldBy(options, model.format)).length
  } catch {
    return 0 // the answer itself reports the error
  }
}
