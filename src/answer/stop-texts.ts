/** Stop texts in a stream. Text that may begin a stop text is held back until that is decided; a stop text never comes out. */
export class StopTexts {
  readonly #stops: readonly string[]
  #held = ''
  /** The stop text that appeared; nothing comes out afterwards. */
  found: string | undefined

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '')
  }

  /** The text that may come out now. */
  push(delta: string): string {
    if (this.found !== undefined || this.#stops.length === 0) return this.found === undefined ? delta : ''
    const text = this.#held + delta
    let end = text.length
    for (const stop of this.#stops) {
      const place = text.indexOf(stop)
      if (place < 0 || place >= end) continue
      end = place
      this.found = stop
    }
    if (this.found === undefined) end -= Math.max(...this.#stops.map((stop) => overlap(text, stop)))
    this.#held = this.found === undefined ? text.slice(end) : ''
    return text.slice(0, end)
  }

  /** What was held back: the text ended without a stop text. */
  rest(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  let length = Math.min(text.length, stop.length - 1)
  while (length > 0 && !text.endsWith(stop.slice(0, length))) length--
  return length
}
