/**
 * The public API. `load` brings a model by name and gives back something that chats and generates; the rest are the parts for those
 * who compare, count or take things apart. Node.js; the rooms below `load` also run elsewhere.
 */

import type { ChatEvent, Message } from './chat/messages.ts'
import { type ChatModel, ChatSession, chat, type TurnOptions } from './chat/session.ts'
import type { GenerateOptions, GenerationResult } from './engine/engine.ts'
import type { PullEvent } from './hub/hub-node.ts'
import { locateModel } from './hub/locate-node.ts'
import { type LoadModelOptions, loadModel, type Model as ModelParts } from './load-model-node.ts'

export type { Architecture } from './architecture/architecture.ts'
export { configFromJson } from './architecture/config-json.ts'
export { preset, presetNames } from './architecture/presets.ts'
export { steps } from './architecture/steps.ts'
export type { ChatEvent, ChatOptions, Effort, FinishReason, Message, Sampling, Tool, ToolDefinition } from './chat/messages.ts'
export { ChatSession, type TurnOptions } from './chat/session.ts'
export { type Account, account } from './compare/account.ts'
export { diagram } from './compare/diagram.ts'
export { type Difference, difference } from './compare/difference.ts'
export { initialize } from './model/initialize.ts'
export { forward } from './model/transformer.ts'
export { weightSpecs } from './model/weights.ts'
export { createReferenceBackend } from './ops/reference/reference.ts'
export { createWasmBackend } from './ops/wasm/wasm.ts'
export { calculatorTool as calculator } from './train/abacus/calculator.ts'

export interface LoadOptions extends LoadModelOptions {
  /** What to do when the model is not on this machine: download it (default), or fail. */
  pull?: boolean
  /** Events of a download, for progress. */
  onPull?: (event: PullEvent) => void
}

/** Text as it is generated, and how it went. */
export interface TextGeneration extends AsyncIterable<string> {
  readonly result: Promise<GenerationResult>
}

/** A loaded model. `await using` or `dispose` ends its threads and frees its memory. */
export interface Model extends ModelParts, AsyncDisposable {
  /**
   * One turn on a given history: reasoning, text and tool calls as typed events; tools with `execute` are run.
   * @throws ChatError on a conversation that cannot be rendered or is too long
   */
  chat(messages: readonly Message[], options?: TurnOptions): AsyncGenerator<ChatEvent, Message[]>
  /** A conversation that keeps its history. */
  session(options?: TurnOptions, messages?: readonly Message[]): ChatSession
  /** Plain continuation of a text or of ids, without any chat format. Default: at most 256 ids. */
  generate(prompt: string | readonly number[], options?: GenerateOptions): TextGeneration
}

/**
 * Loads a model: a directory, a model of this package ('abacus'), a Hugging Face id ('openai/gpt-oss-20b') or a preset's name.
 * @throws ModelIdError, HubError and DiskSpaceError while locating and downloading; CheckpointError, ConfigError, MemoryError while loading; the signal's reason
 */
export async function load(name: string, options: LoadOptions = {}): Promise<Model> {
  const { pull = true, onPull, ...loading } = options
  const parts = await loadModel(await directoryOf(name, pull, onPull, options.signal), loading)
  return {
    ...parts,
    chat: (messages, turn) => chat(parts, messages, turn),
    session: (turn, messages) => new ChatSession(parts satisfies ChatModel, turn, messages),
    generate: (prompt, generation) => generateText(parts, prompt, generation),
    [Symbol.asyncDispose]: () => parts.dispose(),
  }
}

async function directoryOf(
  name: string,
  mayPull: boolean,
  onEvent: LoadOptions['onPull'],
  signal: AbortSignal | undefined,
): Promise<string> {
  const located = await locateModel(name)
  if ('directory' in located) return located.directory
  if (!mayPull)
    throw new Error(`${located.id} is not on this machine; download it with \`lineage pull ${located.id}\` or load it with { pull: true }`)
  const { pull } = await import('./hub/hub-node.ts')
  return (await pull(located.id, { onEvent, signal })).directory
}

function generateText(
  { engine, tokenizer }: ModelParts,
  prompt: string | readonly number[],
  options: GenerateOptions = {},
): TextGeneration {
  const ids = typeof prompt === 'string' ? tokenizer.encode(prompt) : prompt
  const generation = engine.generate(ids, { maxTokens: 256, ...options })
  return {
    result: generation.result,
    async *[Symbol.asyncIterator]() {
      const stream = tokenizer.stream()
      for await (const { id } of generation) {
        const text = tokenizer.isSpecial(id) ? '' : stream.push(id)
        if (text) yield text
      }
      const rest = stream.end()
      if (rest) yield rest
    },
  }
}
