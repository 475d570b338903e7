/**
 * Compiles schemas and other forms to constraints beside running answers, a few milliseconds at a time. The one cache of
 * constraints: agents send the same schemas with every request. Compiling ends early when its last caller has left, or
 * when it takes too long.
 */
import { writeJson } from '../json/lossless.ts'
import { type Constraint, compileConstraint, type Form } from '../structured/structured.ts'
import type { Tokenizer } from '../tokenizer/tokenizer.ts'

/**
 * Compiles a form for a tokenizer.
 * @throws UnsupportedSchemaError with a JSON pointer, UnsupportedTextError, SliceTimeoutError, or the signal's reason
 */
export type CompileConstraint = (form: Form, tokenizer: Tokenizer, signal?: AbortSignal) => Constraint | Promise<Constraint>

/** A single schema takes about a second at most; many that are compiled at once share the processor. */
const LIMIT_MS = 30_000

/** Keeps the constraints that were used last, at most `entries` per tokenizer. Equal forms at the same time are compiled once. */
export function cachedCompile(compile: CompileConstraint, entries = 128): CompileConstraint {
  const perTokenizer = new WeakMap<Tokenizer, Map<string, Compilation>>()
  return (form, tokenizer, signal) => {
    let cache = perTokenizer.get(tokenizer)
    if (!cache) perTokenizer.set(tokenizer, (cache = new Map()))
    const key = writeJson(form)
    const found = cache.get(key) ?? new Compilation((whileWanted) => compile(form, tokenizer, whileWanted))
    found.drop = () => {
      if (cache.get(key) === found) cache.delete(key)
    }
    cache.delete(key)
    cache.set(key, found)
    if (cache.size > entries) cache.delete(cache.keys().next().value!)
    return found.wait(signal)
  }
}

/** Compiles in slices and remembers: what the library, the server and the AI SDK share. */
export const constraints = cachedCompile((form, tokenizer, signal) => compileConstraint(form, tokenizer, { limitMs: LIMIT_MS, signal }))

/** A form that is being compiled, or was. */
class Compilation {
  readonly #wanted = new AbortController()
  readonly #result: Promise<Constraint>
  #waiting = 0
  #isOver = false
  /** Called when there will be no result to keep. */
  drop = () => {}

  constructor(compile: (whileWanted: AbortSignal) => Constraint | Promise<Constraint>) {
    this.#result = Promise.resolve()
      .then(() => compile(this.#wanted.signal))
      .finally(() => {
        this.#isOver = true
      })
    this.#result.catch(() => this.drop())
  }

  /** Rejects with the signal's reason. The last one who leaves ends the work. */
  async wait(signal: AbortSignal | undefined): Promise<Constraint> {
    signal?.throwIfAborted()
    let leave = () => {}
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal?.reason)
    })
    signal?.addEventListener('abort', leave, { once: true })
    this.#waiting++
    try {
      return await Promise.race([this.#result, left])
    } finally {
      signal?.removeEventListener('abort', leave)
      if (--this.#waiting === 0 && !this.#isOver) {
        this.drop()
        this.#wanted.abort(signal?.reason)
      }
    }
  }
}
