/**
 * Prints the events of an answer on a terminal: thinking dimmed or folded into one line, tool calls and
 * results shortened, warnings in colour. Text from models and tools is printed without control
 * characters, so that it cannot move the cursor or change the window's title.
 */
import type { ChatEvent, FinishReason } from '../../chat/messages.ts'
import { fit, type Screen } from '../support/progress.ts'
import { painter } from '../support/terminal.ts'

/** Text without control characters other than line breaks and tabs. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this is where they are taken out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '')
}

export interface ViewOptions {
  /** Output of the answer's text. */
  text: Screen
  /** Output of everything else. */
  aside: Screen
  colour: boolean
  /** Show thinking as one line with a count instead of its text. */
  folded?: boolean
  /** Print only the text. */
  quiet?: boolean
}

const endings: Partial<Record<FinishReason, string>> = {
  abort: 'stopped',
  length: 'the limit of --max-tokens is reached',
  repetition: 'stopped, because the answer went round in circles',
  context: 'the context is full; /clear starts anew, --context makes it longer',
  'tool-calls': 'the model waits for tools that nobody runs here',
}

export class ChatView {
  folded: boolean
  /** The thinking of the last answer, to show it later when it was folded. */
  reasoning = ''
  readonly #options: ViewOptions
  #atLineStart = { text: true, aside: true }
  #reasoningStart = 0
  #reasoningPieces = 0

  constructor(options: ViewOptions) {
    this.#options = options
    this.folded = options.folded ?? false
  }

  /** Starts a new answer. */
  begin(): void {
    this.reasoning = ''
  }

  show(event: ChatEvent): void {
    switch (event.type) {
      case 'reasoning-start':
        this.#reasoningStart = performance.now()
        this.#reasoningPieces = 0
        break
      case 'reasoning-delta':
        this.reasoning += event.delta
        this.#reasoningPieces++
        if (!this.folded) this.#aside(event.delta, 'dim')
        else if (this.#options.aside.isTTY) this.#status(`∙ thinking … ${this.#reasoningPieces}`)
        break
      case 'reasoning-end': {
        if (event.text === '') break
        if (this.folded) this.#status('')
        const seconds = ((performance.now() - this.#reasoningStart) / 1000).toFixed(1)
        if (this.folded) this.#line(`∙ thought for ${seconds} s`, 'dim')
        else this.#line('', 'dim')
        this.reasoning += '\n'
        break
      }
      case 'text-delta':
        this.#text(event.delta)
        break
      case 'text-end':
        this.#endLine()
        break
      case 'tool-call-end':
        this.#line(`→ ${event.name} ${shortened(event.arguments)}`, 'cyan')
        break
      case 'tool-result':
        this.#line(`← ${shortened(event.content)}`, event.isError ? 'red' : 'dim')
        break
      case 'warning':
        this.#line(`! ${event.message}`, 'yellow')
        break
      case 'finish':
        this.#endLine()
        if (endings[event.reason]) this.#line(`(${endings[event.reason]})`, 'yellow')
    }
  }

  /** Prints a line that the next one replaces; '' removes it. Does nothing where lines cannot be replaced. */
  #status(text: string): void {
    if (this.#options.quiet || !this.#options.aside.isTTY) return
    this.#options.aside.write(`\r\x1b[2K${painter(this.#options.colour)(fit(text, this.#options.aside), 'dim')}`)
  }

  #text(delta: string): void {
    const { text } = this.#options
    const shown = text.isTTY ? printable(delta) : delta
    if (shown === '') return
    text.write(shown)
    this.#atLineStart.text = shown.endsWith('\n')
  }

  #aside(delta: string, style: 'dim'): void {
    const shown = printable(delta)
    if (this.#options.quiet || shown === '') return
    this.#options.aside.write(painter(this.#options.colour)(shown, style))
    this.#atLineStart.aside = shown.endsWith('\n')
  }

  #line(text: string, style: 'dim' | 'cyan' | 'red' | 'yellow'): void {
    if (this.#options.quiet) return
    if (this.#options.aside === this.#options.text) this.#endLine()
    if (!this.#atLineStart.aside) this.#options.aside.write('\n')
    this.#atLineStart.aside = true
    if (text !== '') this.#options.aside.write(`${painter(this.#options.colour)(printable(text), style)}\n`)
  }

  #endLine(): void {
    if (!this.#atLineStart.text) this.#options.text.write('\n')
    this.#atLineStart.text = true
  }
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim()
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
