/** The slash commands of `lineage chat`: a table of names, help lines and actions on the conversation. */
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { toldBy } from '../../answer/plan.ts'
import { ChatError, type Effort, effortOf, type FinishEvent, type Thinking } from '../../chat/messages.ts'
import type { ChatSession } from '../../chat/session.ts'
import { binary } from '../support/terminal.ts'
import { isSaved, parseSaved } from './saved.ts'
import type { ChatView } from './view.ts'

/** What commands act on. */
export interface Conversation {
  session: ChatSession
  modelName: string
  /** Finishes of the turns so far, the last one at the end. */
  finishes: FinishEvent[]
  view: ChatView
  print(text: string): void
  /** Repeats the last question. */
  retry(): Promise<void>
  /** Memory of the backend in bytes, if known. */
  memoryBytes?(): number
}

interface Command {
  usage: string
  help: string
  /** Returns 'leave' to end the program. */
  run(conversation: Conversation, argument: string): unknown
}

const EFFORTS: Effort[] = ['low', 'medium', 'high']

export const commands: Record<string, Command> = {
  effort: {
    usage: '/effort low|medium|high',
    help: 'how much the model thinks',
    run({ session, print }, level) {
      const { reasoning, defaultEffort } = session.model.format.capabilities
      if (reasoning !== 'levels') print(`this model has no levels of effort${reasoning === 'switch' ? '; use /think and /no-think' : ''}`)
      else if (level === '') print(`effort: ${effortOf(session.options.thinking) ?? defaultEffort}`)
      else if (!EFFORTS.includes(level as Effort)) print(`effort is low, medium or high, not "${level}"`)
      else {
        const { thinking } = session.options
        const effort = level as Effort
        session.options = { ...session.options, thinking: typeof thinking === 'object' ? { ...thinking, effort } : effort }
      }
    },
  },
  think: {
    usage: '/think [TOKENS]',
    help: 'think before answering; with a number, at most so long',
    run(conversation, argument) {
      const budget = Number(argument)
      if (argument !== '' && !(Number.isInteger(budget) && budget > 0))
        conversation.print(`/think takes a number of tokens, not "${argument}"`)
      else setThinking(conversation, argument === '' ? true : { budget })
    },
  },
  'no-think': { usage: '/no-think', help: 'answer without thinking', run: (conversation) => setThinking(conversation, false) },
  fold: {
    usage: '/fold',
    help: 'show thinking as one line, or in full again',
    run({ view, print }) {
      view.folded = !view.folded
      print(view.folded ? 'thinking is folded; /reasoning shows the last one' : 'thinking is shown')
    },
  },
  reasoning: {
    usage: '/reasoning',
    help: 'the thinking behind the last answer',
    run: ({ view, print }) => print(view.reasoning.trimEnd() || 'no thinking yet'),
  },
  system: {
    usage: '/system [TEXT]',
    help: 'show or set the instructions; /system none removes them',
    run({ session, print }, text) {
      const [first] = session.messages
      const rest = first?.role === 'system' ? session.messages.slice(1) : session.messages
      if (text === '') print(first?.role === 'system' ? first.content : 'no instructions')
      else session.messages = text === 'none' ? rest : [{ role: 'system', content: text }, ...rest]
    },
  },
  tools: {
    usage: '/tools [on|off]',
    help: 'what the model may call',
    run({ session, print }, argument) {
      const { tools = [], toolChoice } = session.options
      if (tools.length === 0) print('no tools; start with --tools FILE or --tools calculator')
      else if (argument === 'on' || argument === 'off')
        session.options = { ...session.options, toolChoice: argument === 'off' ? 'none' : 'auto' }
      else
        print(
          [
            ...(toolChoice === 'none' ? ['(off)'] : []),
            ...tools.map(({ name, description = '' }) => `${name}  ${description.split('\n')[0]}`),
          ].join('\n'),
        )
    },
  },
  retry: { usage: '/retry', help: 'ask the last question again', run: ({ retry }) => retry() },
  clear: {
    usage: '/clear',
    help: 'forget the conversation, keep the instructions',
    run({ session, finishes }) {
      session.messages = session.messages.filter(({ role }, i) => i === 0 && role === 'system')
      finishes.length = 0
    },
  },
  save: {
    usage: '/save FILE',
    help: 'write the conversation to a file',
    async run({ session, modelName, print }, file) {
      if (file === '') return print('/save needs a file name')
      const isOther = await readFile(file, 'utf8').then(
        (text) => !isSaved(text),
        (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
      )
      if (isOther) return print(`${file} is there and no saved conversation; choose another name`)
      const temporary = `${file}.${process.pid}.tmp`
      await writeFile(temporary, `${JSON.stringify({ version: 1, model: modelName, messages: session.messages }, null, 2)}\n`, {
        mode: 0o600,
      })
      await chmod(temporary, 0o600)
      await rename(temporary, file)
      print(`saved ${session.messages.length} messages to ${file}`)
    },
  },
  load: {
    usage: '/load FILE',
    help: 'go on with a saved conversation',
    async run({ session, finishes, print }, file) {
      if (file === '') return print('/load needs a file name')
      session.messages = parseSaved(await readFile(file, 'utf8'), file)
      finishes.length = 0
      print(`loaded ${session.messages.length} messages`)
    },
  },
  stats: { usage: '/stats', help: 'speed, reuse, memory', run: (conversation) => conversation.print(stats(conversation)) },
  help: {
    usage: '/help',
    help: 'this list',
    run: ({ print }) => {
      const width = Math.max(...Object.values(commands).map(({ usage }) => usage.length))
      const lines = Object.values(commands).map(({ usage, help }) => `${usage.padEnd(width)}  ${help}`)
      print(
        [
          ...lines,
          '',
          'A backslash at the end of a line or """ around several makes an input of several lines.',
          'Ctrl-C stops an answer, twice leaves.',
        ].join('\n'),
      )
    },
  },
  exit: { usage: '/exit', help: 'leave', run: () => 'leave' },
}

const aliases: Record<string, string> = {
  quit: 'exit',
  bye: 'exit',
  q: 'exit',
  '?': 'help',
  nothink: 'no-think',
  no_think: 'no-think',
  reset: 'clear',
}

/** Runs one line that begins with a slash. Prints errors. Returns true when the program must end. */
export async function runCommand(conversation: Conversation, line: string): Promise<boolean> {
  const [, word = '', argument = ''] = /^\/(\S*)\s*(.*)$/s.exec(line.trim()) ?? []
  const name = aliases[word] ?? word
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) conversation.print(`unknown command /${word}; /help lists them`)
  try {
    return (await command?.run(conversation, argument.trim())) === 'leave'
  } catch (error) {
    if (!(error instanceof ChatError) && !(error instanceof Error && 'code' in error)) throw error
    conversation.print(error.message)
    return false
  }
}

function setThinking({ session, print }: Conversation, thinking: boolean | { budget: number }): void {
  const { reasoning } = session.model.format.capabilities
  if (reasoning === 'never' || (thinking === false && reasoning !== 'switch')) {
    print(
      reasoning === 'never'
        ? 'this model does not think'
        : reasoning === 'levels'
          ? 'this model always thinks; /effort low makes it brief'
          : 'this model always thinks',
    )
    return
  }
  // A level of effort that was set before stays.
  const effort = effortOf(session.options.thinking)
  const asked: Thinking = !effort || thinking === false ? thinking : thinking === true ? effort : { effort, ...thinking }
  session.options = { ...session.options, thinking: asked }
}

function stats({ session, finishes, memoryBytes }: Conversation): string {
  const last = finishes.at(-1)
  const memory = [
    `${binary(process.memoryUsage.rss())} resident`,
    ...(memoryBytes ? [`${binary(memoryBytes())} model and cache`] : []),
  ].join(', ')
  if (last === undefined) return `no answer yet\nmemory   ${memory}`
  const { usage, timings } = last
  const total = (read: (finish: FinishEvent) => number) => finishes.reduce((sum, finish) => sum + read(finish), 0)
  const rate = (perSecond: number) => (perSecond > 0 ? `${perSecond.toFixed(1)} tokens/s` : 'too short to measure')
  return [
    `prompt   ${usage.promptTokens} tokens, ${usage.cachedTokens} of them cached; the rest at ${rate(timings.promptTokensPerSecond)}`,
    `answer   ${usage.completionTokens} tokens, ${usage.reasoningTokens} of them thinking; ${rate(timings.completionTokensPerSecond)}`,
    `first    ${timings.firstTokenMs.toFixed(0)} ms to the first token`,
    `context  ${session.model.format.render(session.messages, toldBy(session.options, session.model.format)).length} of ${session.model.engine.context} tokens`,
    `turns    ${finishes.length}, with ${total((finish) => finish.usage.completionTokens)} tokens generated`,
    `memory   ${memory}`,
  ].join('\n')
}
