/**
 * Terminal input: line editing and history from Node's readline; in addition inputs of several lines (a
 * backslash at the end, a block in """, a paste), input typed during an answer, and Ctrl-C.
 */
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import { Writable } from 'node:stream'
import type { InputHistory } from './history.ts'

export interface TerminalStreams {
  input: Readable & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown }
  output: Writable & { isTTY?: boolean; columns?: number }
}

/** Shows a line break in a recalled input, because readline edits a single line. */
const LINE_BREAK = ' ⏎ '
const SECOND_INTERRUPT_MS = 2000
/** What ends the program also while an answer runs. */
const LEAVES = /^\s*\/(exit|quit|bye|q)\s*$/

export class ChatInput {
  /** Called on Ctrl-C while no input is being read. */
  onInterrupt: () => void = () => {}
  readonly #streams: TerminalStreams
  readonly #history: InputHistory
  readonly #lines: Interface & { history?: string[]; line: string }
  #echo = false
  #pasting = false
  /** Lines of the input so far; a block is open. */
  #pending: string[] = []
  #inBlock = false
  #finished: string[] = []
  #waiting: ((input: string | undefined) => void) | undefined
  #closed = false
  #left = false
  #interruptedAt = Number.NEGATIVE_INFINITY

  constructor(streams: TerminalStreams, history: InputHistory) {
    this.#streams = streams
    this.#history = history
    // Show readline's output only while a line is being read.
    const screen = new Writable({
      write: (chunk, _encoding, done) => {
        if (this.#echo) streams.output.write(chunk)
        done()
      },
    })
    Object.defineProperty(screen, 'columns', { get: () => streams.output.columns ?? 80 })
    this.#lines = createInterface({
      input: streams.input,
      output: screen,
      terminal: true,
      history: this.#recalled(),
      historySize: 1000,
      prompt: '> ',
    })
    streams.output.on('resize', () => screen.emit('resize'))
    streams.input.on('keypress', (_, key: { name?: string } | undefined) => {
      if (key?.name === 'paste-start') this.#pasting = true
      else if (key?.name === 'paste-end') this.#pasting = false
    })
    this.#lines.on('line', (line) => this.#take(line))
    this.#lines.on('SIGINT', () => this.interrupt())
    this.#lines.on('close', () => this.#finish())
    streams.output.write('\x1b[?2004h') // ask the terminal to mark pastes
  }

  /** The next input, or undefined when the user ends the program (Ctrl-D, or Ctrl-C twice). */
  async read(): Promise<string | undefined> {
    const ahead = this.#finished.shift()
    if (ahead !== undefined) {
      this.#streams.output.write(`> ${ahead}\n`)
      return ahead
    }
    if (this.#closed) return undefined
    this.#echo = true
    this.#prompt()
    const input = await new Promise<string | undefined>((resolve) => {
      this.#waiting = resolve
    })
    this.#echo = false
    return input
  }

  /** Ctrl-C, typed or sent as a signal. */
  interrupt(): void {
    if (this.#waiting === undefined) {
      this.onInterrupt()
      return
    }
    const isEmpty = this.#lines.line === '' && this.#pending.length === 0
    const again = isEmpty && performance.now() - this.#interruptedAt < SECOND_INTERRUPT_MS
    this.#interruptedAt = isEmpty ? performance.now() : Number.NEGATIVE_INFINITY
    if (again) {
      this.close()
      return
    }
    this.#pending = []
    this.#inBlock = false
    this.#streams.output.write(isEmpty ? '\n(Ctrl-C again leaves, or /exit)\n' : '\n')
    this.#lines.line = ''
    ;(this.#lines as unknown as { cursor: number }).cursor = 0
    this.#prompt()
  }

  /** Restores the terminal. */
  close(): void {
    if (!this.#closed) this.#lines.close()
    this.#finish()
    if (!this.#left) this.#streams.output.write('\x1b[?2004l')
    this.#left = true
  }

  #prompt(): void {
    this.#lines.setPrompt(this.#pending.length > 0 || this.#inBlock ? '… ' : '> ')
    this.#lines.prompt(true)
  }

  #take(line: string): void {
    this.#interruptedAt = Number.NEGATIVE_INFINITY
    const opens = !this.#inBlock && this.#pending.length === 0 && line.trimStart().startsWith('"""')
    const text = opens ? line.trimStart().slice(3) : line
    if (this.#pasting) this.#pending.push(line)
    else if ((opens || this.#inBlock) && !text.trimEnd().endsWith('"""')) {
      this.#inBlock = true
      if (!opens || text !== '') this.#pending.push(text)
    } else if (opens || this.#inBlock) {
      const last = text.trimEnd().slice(0, -3)
      this.#submit([...this.#pending, ...(last === '' ? [] : [last])].join('\n'))
      return
    } else if (line.endsWith('\\')) this.#pending.push(line.slice(0, -1))
    else {
      this.#submit([...this.#pending, line].join('\n'))
      return
    }
    if (this.#waiting) this.#prompt()
  }

  #submit(input: string): void {
    this.#pending = []
    this.#inBlock = false
    const restored = input.replaceAll(LINE_BREAK, '\n')
    this.#history.add(restored)
    this.#lines.history = this.#recalled()
    if (this.#waiting) {
      const resolve = this.#waiting
      this.#waiting = undefined
      resolve(restored)
    } else if (LEAVES.test(restored)) {
      this.close()
      this.#finished = []
      this.onInterrupt()
    } else this.#finished.push(restored)
  }

  #recalled(): string[] {
    return this.#history.entries.map((entry) => entry.replaceAll('\n', LINE_BREAK))
  }

  #finish(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#waiting) {
      this.#streams.output.write('\n')
      this.#waiting(undefined)
      this.#waiting = undefined
    } // else an answer is running; finish it and the waiting input first
  }
}
