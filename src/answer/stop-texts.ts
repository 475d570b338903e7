/** Stop texts in a stream. Text that may begin a stop text is held back until that is decided; a stop text never comes out. */
export class StopTexts {
  readonly #stops: readonly string[]
  #held = ''
  /** A stop text appeared; nothing comes out afterwards. */
  found = false

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '')
  }

  /** The text that may come out now. */
  push(delta: string): string {
    if (this.found || this.#stops.length === 0) return this.found ? '' : delta
    const text = this.#held + delta
    const places = this.#stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0)
    this.found = places.length > 0
    const end = this.found ? Math.min(...places) : text.length - Math.max(...this.#stops.map((stop) => overlap(text, stop)))
    this.#held = this.found ? '' : text.slice(end)
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
