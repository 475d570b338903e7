/**
 * The part of the public API that is the same in Node.js and in a page: what a loaded model can do, and the parts for those who
 * compare, count or take things apart. index.ts and web.ts add `load`, each for its places. Nothing here needs Node.js.
 */
import { checkContinuation } from './answer/check.ts'
import { Continuation, type ContinuationAsk, promptOf } from './answer/continuation.ts'
import type { ChatEvent, Message } from './chat/messages.ts'
import { type ChatModel, ChatSession, chat, type TurnOptions } from './chat/session.ts'
import type { GenerationResult } from './engine/engine.ts'
import { type LookOptions as InspectOptions, look as inspect, type Look } from './inspect/look.ts'
import { type Model as ModelParts, withAdapter } from './load-model.ts'
import { type PromptOptions, speller } from './tokenizer/prompt.ts'

export type { Ask } from './answer/ask.ts'
export type { Architecture } from './architecture/architecture.ts'
export { configFromJson, quantizationFromJson } from './architecture/config-json.ts'
export { ConfigError } from './architecture/fields.ts'
export { preset, presetNames } from './architecture/presets.ts'
export { steps } from './architecture/steps.ts'
export {
  ChatError,
  type ChatEvent,
  type Effort,
  type FinishReason,
  type Message,
  type SamplingOptions,
  type Thinking,
  type Tool,
  type ToolChoice,
  type ToolDefinition,
} from './chat/messages.ts'
export { ChatSession, type TurnOptions } from './chat/session.ts'
export { CheckpointError } from './checkpoint/errors.ts'
export type { LoadProgress } from './checkpoint/load.ts'
export { blobFolder, type Folder, type Source } from './checkpoint/source.ts'
export { type HttpOptions, httpFolder } from './checkpoint/source-http.ts'
export { type Account, account } from './compare/account.ts'
export { diagram } from './compare/diagram.ts'
export { type Difference, difference } from './compare/difference.ts'
export { BusyError, SlotError, type SlotOptions, type SlotResult } from './engine/engine.ts'
export type { AttentionLook, AttentionRow, ExpertsLook, HeadLook, LayerLook, LensRow, Look, Sizes } from './inspect/look.ts'
export { lookSvg } from './inspect/look-svg.ts'
export { type AttentionMap, createProbe, type ExpertChoice, type NamedResult, type Observation } from './inspect/probe.ts'
export { initialize } from './model/initialize.ts'
export { forward } from './model/transformer.ts'
export { weightSpecs } from './model/weights.ts'
export { type Backend, BackendFailedError, MemoryError } from './ops/backend.ts'
export { createReferenceBackend } from './ops/reference/reference.ts'
export { createWasmBackend } from './ops/wasm/wasm.ts'
export { WrongResultsError } from './ops/webgpu/wrong-results.ts'
export { tokenizerFiles } from './tokenizer/files.ts'
export type { Tokenizer } from './tokenizer/tokenizer.ts'
export { calculatorTool as calculator } from './train/abacus/calculator.ts'
export { type Claim, claims, type Outcome, verify } from './verify/verify.ts'

/** What can be asked of `look`. */
export type LookOptions = InspectOptions & PromptOptions

/** What can be asked of a continuation, and how a text becomes ids. */
export type TextOptions = ContinuationAsk & PromptOptions

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
  /**
   * Plain continuation of a text or of ids, without any chat format, as /v1/completions gives it. Default: at most 256 ids. A text gets
   * the BOS of the tokenizer, and spellings of special tokens in it become these tokens unless `special` is false.
   * @throws ChatError on a prompt that is too long
   */
  generate(prompt: string | readonly number[], options?: TextOptions): TextGeneration
  /**
   * The same model with one of the adapters that it was loaded with (`load(id, { adapters })`). Weights, slots and queue are shared, and
   * are freed with the model itself.
   * @throws RangeError for an unknown name
   */
  withAdapter(name: string): Model
}

/** What happens inside a model while it reads a text or ids; see `look` of inspect/look.ts. A text becomes ids as in `generate`. */
export async function look(model: ModelParts, prompt: string | readonly number[], options: LookOptions = {}): Promise<Look> {
  const ids = typeof prompt === 'string' ? promptOf(model, prompt, 'prompt', options) : prompt
  return inspect(model, ids, { spell: speller(model.tokenizer), ...options })
}

/** The parts of a model with the methods of the public API. */
export const withMethods = (parts: ModelParts): Model => ({
  ...parts,
  chat: (messages, turn) => chat(parts, messages, turn),
  session: (turn, messages) => new ChatSession(parts satisfies ChatModel, turn, messages),
  withAdapter: (name) => withMethods({ ...withAdapter(parts, name), dispose: async () => {} }),
  generate: (prompt, generation) => generateText(parts, prompt, generation),
  [Symbol.asyncDispose]: () => parts.dispose(),
})

function generateText(model: ModelParts, prompt: string | readonly number[], ask: TextOptions = {}): TextGeneration {
  checkContinuation(ask, { special: true, bos: true })
  const ids = typeof prompt === 'string' ? promptOf(model, prompt, 'prompt', ask) : prompt
  const continuation = new Continuation(model, ids, { ...ask, maxTokens: ask.maxTokens ?? 256 })
  const generation = continuation.start()
  return {
    result: generation.result,
    async *[Symbol.asyncIterator]() {
      for await (const event of generation) if (event.type === 'text-delta') yield event.delta
      for (const event of continuation.finish(await generation.result)) if (event.type === 'text-delta') yield event.delta
    },
  }
}
