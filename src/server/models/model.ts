/**
 * What the server needs of a loaded model: a tokenizer, a chat format, an engine on ids. It never sees weights or ops,
 * so tests serve scripted ids through the same interface.
 */
import type { ChatFormat } from '../../chat/messages.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Tokenizer } from '../../tokenizer/tokenizer.ts'

/** What a model is published for, beside answering. */
export type Purpose = 'embedding' | 'reranking'

export interface ServedModel {
  tokenizer: Tokenizer
  format: ChatFormat
  /** `embed` is needed by embedding models only, `slots` by those whose conversations are saved. */
  engine: Pick<Engine, 'context' | 'generate' | 'score' | 'load' | 'close'> & Partial<Pick<Engine, 'embed' | 'slots'>>
  /** Facts for /v1/models and the Ollama endpoints. */
  architecture: { name: string; modelType: string; vocabSize: number; maxPositionEmbeddings: number; expertDtype: string }
  /** Bytes of weights and KV cache now, for the memory budget; without it the entry's figures count. */
  memoryBytes?(): number
  /** Resolves when the model can answer no more; the next request loads it again. */
  readonly failed?: Promise<Error>
  /** Frees weights and device; the engine is closed first. */
  dispose(): void | Promise<void>
}

/** A model that can be served, loaded or not. */
export interface ModelEntry {
  /** The name clients use. May contain `/`. */
  id: string
  /** Other names of the same model, which /v1/models does not list. */
  aliases?: readonly string[]
  /** Other names that it lists. */
  listedAliases?: readonly string[]
  /** Unix seconds, for /v1/models. */
  created?: number
  /** The model whose weights it shares, if it is an adapter. */
  parent?: string
  /** Bytes of its weights, for the budget before it is loaded; 0 when unknown. */
  bytes?: number
  /** Bytes of the KV cache it will reserve, for the same purpose. */
  cacheBytes?: number
  parameters?: number
  /** Default: it generates only. */
  purpose?: Purpose
  /** Changes whenever weights or kernels do; part of `system_fingerprint`. */
  fingerprint?: string
  /** Whether its weights are in memory already, because another entry shares them. */
  inMemory?(): boolean
  load(): Promise<ServedModel>
}
