/** Stop texts in a stream: text that could be the beginning of one is held back until it is decided; a stop text never comes out. */

export class StopTexts {
  readonly #stops: readonly string[]
  #held = ''
  /** Whether a stop text appeared; nothing comes out afterwards. */
  stopped = false

  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** Text that may be shown now. */
  push(delta: string): string {
    if (this.stopped) return ''
    if (this.#stops.length === 0) return delta
    const text = this.#held + delta
    let cut = -1
    for (const stop of this.#stops) {
      const found = text.indexOf(stop)
      if (found >= 0 && (cut < 0 || found < cut)) cut = found
    }
    if (cut >= 0) {
      this.stopped = true
      this.#held = ''
      return text.slice(0, cut)
    }
    const keep = Math.max(...this.#stops.map((stop) => overlap(text, stop)))
    this.#held = text.slice(text.length - keep)
    return text.slice(0, text.length - keep)
  }

  /** The rest: the text ended without a stop text. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}

/** Length of the longest end of `text` that is a proper beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length
  }
  return 0
}
