/**
 * Ollama's `keep_alive`: how long a model stays loaded after a request, in seconds or as a duration of Go (`5m`, `1h30m`). This server
 * keeps models until another needs the memory, so only zero has a meaning: the model is unloaded when the request is over.
 */

/** Whether a duration is zero: `0`, `"0"`, `"0s"`, `"0m"`, `"0h0m"`. */
export const isZeroDuration = (keepAlive: string | number | null | undefined): boolean =>
  typeof keepAlive === 'string' ? /^[+-]?(0+|(0+(\.0*)?(ns|us|µs|μs|ms|s|m|h))+)$/.test(keepAlive) : keepAlive === 0
