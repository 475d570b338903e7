/**
 * What this server counts: its own names, and the vLLM names that Kubernetes routers, autoscalers and dashboards read.
 * `finished_reason` and `model_name` are the only labels taken from requests, and both come from fixed sets.
 */
import type { FinishEvent } from '../../chat/messages.ts'
import type { EngineLoad } from '../../engine/engine.ts'
import type { ModelRegistry } from '../models/registry.ts'
import { Metrics } from './metrics.ts'

const seconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
const tokens = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]

export class ServerMetrics {
  readonly #metrics = new Metrics()
  readonly requests = this.#metrics.counter('lineage_http_requests_total', 'HTTP requests by route and status.')
  readonly rejected = this.#metrics.counter('lineage_rejected_total', 'Requests refused before the engine, by reason.')
  readonly aborted = this.#metrics.counter('lineage_aborted_total', 'Answers stopped by the client, by phase.')
  readonly slowReaders = this.#metrics.counter('lineage_slow_reader_total', 'Streams ended because the client did not read them.')
  readonly warnings = this.#metrics.counter('lineage_model_warnings_total', 'Model output that did not follow its chat format, by code.')
  readonly #prompt = this.#metrics.counter('vllm:prompt_tokens_total', 'Prompt tokens processed.')
  readonly #generated = this.#metrics.counter('vllm:generation_tokens_total', 'Tokens generated.')
  readonly #success = this.#metrics.counter('vllm:request_success_total', 'Answers finished, by reason.')
  readonly #queries = this.#metrics.counter('vllm:prefix_cache_queries_total', 'Prompt tokens looked up in the prefix cache.')
  readonly #hits = this.#metrics.counter('vllm:prefix_cache_hits_total', 'Prompt tokens found in the prefix cache.')
  readonly #firstToken = this.#metrics.histogram('vllm:time_to_first_token_seconds', 'From the request to the first token.', seconds)
  readonly #interToken = this.#metrics.histogram('vllm:inter_token_latency_seconds', 'Between tokens, mean of an answer.', seconds)
  readonly #endToEnd = this.#metrics.histogram('vllm:e2e_request_latency_seconds', 'From the request to the last token.', seconds)
  readonly #queue = this.#metrics.histogram('vllm:request_queue_time_seconds', 'Waiting for a slot.', seconds)
  readonly #prefill = this.#metrics.histogram('vllm:request_prefill_time_seconds', 'From the slot to the first token.', seconds)
  readonly #decode = this.#metrics.histogram('vllm:request_decode_time_seconds', 'From the first token to the last.', seconds)
  readonly #promptSize = this.#metrics.histogram('vllm:request_prompt_tokens', 'Prompt tokens per answer.', tokens)
  readonly #answerSize = this.#metrics.histogram('vllm:request_generation_tokens', 'Generated tokens per answer.', tokens)

  constructor(registry: ModelRegistry, storeEntries: () => number) {
    const loaded = () => registry.list().flatMap(({ entry, model }) => (model ? [{ id: entry.id, load: model.engine.load() }] : []))
    const perModel = (name: string, help: string, read: (load: EngineLoad) => number) =>
      this.#metrics.gauge(name, help, () => loaded().map(({ id, load }) => ({ labels: { model_name: id }, value: read(load) })))
    perModel('vllm:num_requests_running', 'Answers being generated.', ({ running }) => running)
    perModel('vllm:num_requests_waiting', 'Answers waiting for a slot.', ({ waiting }) => waiting)
    const usage = ({ cachedPositions, cachePositions }: EngineLoad) => cachedPositions / Math.max(1, cachePositions)
    perModel('vllm:kv_cache_usage_perc', 'Share of the KV cache in use, 0 to 1.', usage)
    this.#metrics.gauge('vllm:cache_config_info', 'Shape of the KV cache: one block per slot.', () =>
      loaded().map(({ id, load }) => ({
        labels: {
          model_name: id,
          block_size: String(Math.floor(load.cachePositions / Math.max(1, load.slots))),
          num_gpu_blocks: String(load.slots),
        },
        value: 1,
      })),
    )
    this.#metrics.gauge('lineage_store_entries', 'Stored responses.', () => [{ value: storeEntries() }])
    this.#metrics.gauge('lineage_models_loaded', 'Models in memory.', () => [{ value: loaded().length }])
  }

  /** One answer ended. */
  answered(model: string, finish: FinishEvent, totalMs: number): void {
    const labels = { model_name: model }
    const { usage, timings } = finish
    this.#prompt.add(labels, usage.promptTokens)
    this.#generated.add(labels, usage.completionTokens)
    this.#queries.add(labels, usage.promptTokens)
    this.#hits.add(labels, usage.cachedTokens)
    this.#queue.observe(labels, timings.queuedMs / 1000)
    this.#promptSize.observe(labels, usage.promptTokens)
    this.#answerSize.observe(labels, usage.completionTokens)
    if (finish.reason === 'abort') return
    const finished_reason = finish.reason === 'stop' || finish.reason === 'tool-calls' ? 'stop' : 'length'
    this.#success.add({ ...labels, finished_reason })
    this.#firstToken.observe(labels, timings.firstTokenMs / 1000)
    this.#prefill.observe(labels, (timings.firstTokenMs - timings.queuedMs) / 1000)
    this.#decode.observe(labels, timings.completionMs / 1000)
    if (usage.completionTokens > 1) this.#interToken.observe(labels, timings.completionMs / 1000 / (usage.completionTokens - 1))
    this.#endToEnd.observe(labels, totalMs / 1000)
  }

  text(): string {
    return this.#metrics.text()
  }
}
