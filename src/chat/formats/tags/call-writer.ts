/** Writes the calls of a block, and the warnings about them. */
import { parsed } from '../../../json/json.ts'
import type { ToolDefinition } from '../../messages.ts'
import { newCallId, type PartWriter } from '../part-writer.ts'
import type { CoderCall } from '../qwen/coder-reader.ts'

export class CallWriter {
  /** Calls so far. */
  count = 0
  readonly #out: PartWriter
  readonly #tools: readonly ToolDefinition[]

  constructor(out: PartWriter, tools: readonly ToolDefinition[]) {
    this.#out = out
    this.#tools = tools
  }

  begin(name: string): void {
    this.count++
    if (!this.#tools.some((tool) => tool.name === name))
      this.#out.warn('unknown-tool', `the model calls ${JSON.stringify(name)}, which was not offered`)
    this.#out.begin({ kind: 'tool-call', id: newCallId(), name })
  }

  write(args: string): void {
    this.#out.write(args)
  }

  /** Ends the open call. */
  end({ isRepaired = false, isCut = false }: { isRepaired?: boolean; isCut?: boolean } = {}): void {
    const written = this.#out.end()
    if (isCut) this.#out.warn('unfinished-tool-call', 'the answer ended inside a tool call')
    else if (parsed(written) === undefined)
      this.#out.warn('arguments-not-json', 'the arguments of a tool call are not JSON and are handed out as they are')
    else if (isRepaired) this.repaired('the arguments of a tool call were not JSON, and there was one way to read them')
  }

  whole(name: string, args: string, isRepaired = false): void {
    this.begin(name)
    this.write(args)
    this.end({ isRepaired })
  }

  coder({ name, arguments: args, problems, isCut }: CoderCall): void {
    this.begin(name)
    this.write(args)
    this.end({ isCut })
    for (const problem of problems) this.malformed(`${problem}; its value is handed out as text`)
  }

  text(text: string): void {
    if (text.trim() === '') return
    this.#out.begin(this.#tools.length === 0 ? { kind: 'reasoning' } : { kind: 'text', phase: 'final' })
    this.#out.write(text)
    this.#out.end()
  }

  repaired(message: string): void {
    this.#out.warn('repaired-tool-call', message)
  }

  malformed(message: string): void {
    this.#out.warn('malformed-tool-call', message)
  }

  notOffered(): void {
    this.#out.warn('unknown-tool', 'the model calls a tool, and none was offered')
  }
}
