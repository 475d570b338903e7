/** Every limit of the server in one place, with its default. Requests are measured against these before an engine sees them. */

export interface Limits {
  /** Bytes of a request body, after decoding. */
  bodyBytes: number
  /** Bytes of all request bodies in memory, of one API key and of all. */
  bodyBytesPerKey: number
  bodyBytesInAll: number
  /** How long a body may stop arriving, in ms. */
  bodyIdleMs: number
  /** Nesting of arrays and objects in a request body. */
  jsonDepth: number
  /** Values in a request body: numbers, texts, objects and arrays. */
  jsonValues: number
  /** Characters of one JSON schema, and its nesting. */
  schemaChars: number
  schemaDepth: number
  /** `pattern` and `format` keywords in all schemas of a request: each becomes an automaton. */
  schemaPatterns: number
  /** Generated tokens of one answer; also bounded by the context. */
  outputTokens: number
  /** Reasoning tokens of one answer; Infinity leaves it to `outputTokens`. */
  reasoningTokens: number
  /** Wall clock of one answer, queue included, in ms. */
  requestMs: number
  /** Answers of one API key that wait for a slot of one model; one more gets 503. */
  queueLength: number
  /** Longest wait for a slot in ms, then 503. */
  queueWaitMs: number
  /** Requests at once of one API key, or of all callers without key; one more gets 429. A request counts when its body is whole. */
  concurrencyPerKey: number
  /** How long a client may leave a stream unread before its answer is stopped, in ms. */
  slowReaderMs: number
  /** Silence on a stream after which a comment is sent, in ms. */
  pingMs: number
  /** Stored responses: count of one API key, characters of all, and age in ms. */
  storedResponses: number
  storedChars: number
  storedMs: number
  /** Open connections (Node adapter). */
  connections: number
  /** Time given to running answers after SIGTERM, in ms. */
  drainMs: number
}

export const defaultLimits: Limits = {
  bodyBytes: 20 * 2 ** 20,
  bodyBytesPerKey: 128 * 2 ** 20,
  bodyBytesInAll: 256 * 2 ** 20,
  bodyIdleMs: 30_000,
  jsonDepth: 64,
  jsonValues: 1_200_000,
  schemaChars: 64 * 1024,
  schemaDepth: 24,
  schemaPatterns: 64,
  outputTokens: 2 ** 20,
  reasoningTokens: Number.POSITIVE_INFINITY,
  requestMs: 60 * 60_000,
  queueLength: 256,
  queueWaitMs: 5 * 60_000,
  concurrencyPerKey: 256,
  slowReaderMs: 60_000,
  pingMs: 15_000,
  storedResponses: 2_000,
  storedChars: 128 * 2 ** 20,
  storedMs: 24 * 3600_000,
  connections: 1_024,
  drainMs: 30_000,
}
