/** How the next id is drawn; the fields of the chat's `Sampling` and, for servers, a bias per id. */
export interface SamplingOptions {
  /** 0 (the default) is greedy: the likeliest id, on ties the lowest. */
  temperature?: number
  /** Keep the k likeliest ids; 0 or missing: all. */
  topK?: number
  /** Keep the likeliest ids that together have at least this probability, (0, 1]. */
  topP?: number
  /** Keep ids at least this fraction as likely as the likeliest, [0, 1]. */
  minP?: number
  /** Divides positive logits of ids seen in prompt or answer, multiplies negative ones; 1 is off. */
  repetitionPenalty?: number
  /** Subtracted from logits of ids seen in the answer, once. */
  presencePenalty?: number
  /** Subtracted from logits of ids seen in the answer, once per occurrence. */
  frequencyPenalty?: number
  /** Added to logits, by id; -Infinity forbids. */
  logitBias?: ReadonlyMap<number, number>
  /** Same seed, same ids, whatever else runs. Integer; default: a random one, reported in the result. */
  seed?: number
}

/** An id and the natural logarithm of its probability in the model's own distribution (before penalties, masks and temperature). */
export interface TokenLogprob {
  id: number
  logprob: number
}
