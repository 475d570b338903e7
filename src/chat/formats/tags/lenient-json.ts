/**
 * Reads one JSON value of a text that a model wrote. Valid JSON comes back unchanged, character by character. What small models get
 * wrong is repaired where only one reading exists: raw line breaks in strings, single quotes, keys without quotes, Python's True and
 * None, trailing commas, brackets that are missing or too many. Nothing is guessed: other text is no value.
 */

export interface Reading {
  /** JSON text. */
  json: string
  /** Index after the value. */
  end: number
  isRepaired: boolean
}

/** Deeper values are not read; reading is recursive. */
const DEEPEST = 256
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y
const WORD = /(?:true|false|null|True|False|None)(?!\w)/y
const BARE_KEY = /[\p{L}_$][\p{L}\p{N}_$-]*(?=\s*:)/uy
const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const PYTHON_WORDS: Record<string, string> = { True: 'true', False: 'false', None: 'null' }
/** Gemma's tokens around strings, whose text has no escapes. */
const DELIMITERS = ['<|"|>', '<escape>']

/**
 * @param at index of the value; whitespace before it is skipped
 * @param isWhole the text goes no further, so brackets that are missing at its end are added
 * @returns undefined when the text holds no value there, or only the beginning of one
 */
export function readJson(text: string, at = 0, isWhole = false): Reading | undefined {
  const reader = new JsonReader(text, at, isWhole)
  return reader.value() ? { json: reader.json.trimStart(), end: reader.at, isRepaired: reader.isRepaired } : undefined
}

class JsonReader {
  json = ''
  isRepaired = false
  at: number
  readonly #text: string
  readonly #isWhole: boolean
  #depth = 0

  constructor(text: string, at: number, isWhole: boolean) {
    this.#text = text
    this.at = at
    this.#isWhole = isWhole
  }

  /** @param outer the bracket that closes the container around this value */
  value(outer?: string): boolean {
    this.#space()
    const char = this.#text[this.at]
    if (char === '{' || char === '[') return this.#container(char, outer)
    const word = this.#match(NUMBER) ?? this.#match(WORD)
    if (word === undefined) return this.#string()
    this.json += PYTHON_WORDS[word] ?? word
    if (word in PYTHON_WORDS) this.isRepaired = true
    return true
  }

  #space(): void {
    this.json += this.#gap()
  }

  #gap(): string {
    const gap = this.#match(/\s*/y)!
    if (!/[^ \t\n\r]/.test(gap)) return gap
    this.isRepaired = true
    return ' '
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)?.[0]
    this.at += found?.length ?? 0
    return found
  }

  #container(open: '{' | '[', outer: string | undefined): boolean {
    if (++this.#depth > DEEPEST) return false
    const close = open === '{' ? '}' : ']'
    this.json += open
    this.at++
    for (let needsComma = false; ; ) {
      this.#space()
      const char = this.#text[this.at]
      if (char === undefined ? this.#isWhole : char === close || this.#closesOuter(char, close, outer)) {
        if (char === close) this.at++
        else this.isRepaired = true
        this.json += close
        this.#depth--
        return true
      }
      if (char === undefined) return false
      if (char === '}' || char === ']') {
        this.at++
        this.isRepaired = true // one too many
      } else if (needsComma) {
        if (char !== ',') return false
        this.at++
        needsComma = false
        const gap = this.#gap()
        const next = this.#text[this.at]
        if (next === '}' || next === ']' || (next === undefined && this.#isWhole)) {
          this.isRepaired = true // a trailing comma
          this.json += gap
          needsComma = true
        } else this.json += `,${gap}`
      } else {
        if (open === '{' && !this.#key()) return false
        if (!this.value(close)) return false
        needsComma = true
      }
    }
  }

  /** Whether a bracket of the wrong kind ends the container around this one, whose own bracket is missing; else it is one too many. */
  #closesOuter(char: string, close: string, outer: string | undefined): boolean {
    return char === outer && char !== close && !new RegExp(`^\\s*\\${close}`).test(this.#text.slice(this.at + 1, this.at + 64))
  }

  #key(): boolean {
    const bare = this.#match(BARE_KEY)
    if (bare !== undefined) {
      this.json += JSON.stringify(bare)
      this.isRepaired = true
    } else if (!this.#string()) return false
    this.#space()
    if (this.#text[this.at] !== ':') return false
    this.json += ':'
    this.at++
    return true
  }

  #string(): boolean {
    const delimiter = DELIMITERS.find((each) => this.#text.startsWith(each, this.at))
    if (delimiter !== undefined) {
      const start = this.at + delimiter.length
      const end = this.#text.indexOf(delimiter, start)
      if (end < 0) return false
      this.json += JSON.stringify(this.#text.slice(start, end))
      this.at = end + delimiter.length
      this.isRepaired = true
      return true
    }
    const quote = this.#text[this.at]
    if (quote !== '"' && quote !== "'") return false
    let json = '"'
    if (quote === "'") this.isRepaired = true
    for (let i = this.at + 1; i < this.#text.length; i++) {
      const char = this.#text[i]!
      if (char === quote && (quote === '"' || /^\s*(?:[,:)}\]]|$)/.test(this.#text.slice(i + 1, i + 64)))) {
        this.json += `${json}"`
        this.at = i + 1
        return true
      }
      if (char === '\\') {
        ESCAPE.lastIndex = i
        const valid = ESCAPE.exec(this.#text)?.[0]
        const next = this.#text[i + 1]
        if (next === undefined) return false
        json += valid ?? (next === "'" ? "'" : '\\\\')
        if (valid !== undefined) i += valid.length - 1
        else {
          this.isRepaired = true
          if (next === "'") i++
        }
      } else if (char < ' ' || char === '"') {
        json += JSON.stringify(char).slice(1, -1)
        this.isRepaired = true
      } else json += char
    }
    return false
  }
}
