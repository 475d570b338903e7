/**
 * Finds the spellings of added tokens in a text: leftmost first, longest on ties, as the published
 * tokenizers do. There are two kinds. Special tokens (markers of the chat format) are found only in
 * trusted text. Ordinary ones (Gemma's runs of newlines, HTML tags) are vocabulary entries that are
 * never split; they are found everywhere.
 */

export interface AddedToken {
  readonly id: number
  /** The spelling. */
  readonly content: string
  /** A token that untrusted text must never become. */
  readonly special: boolean
  /** Whether decoding with `skipSpecials` omits it. */
  readonly hidden: boolean
  /** Whether the token includes the white space to its left or right. */
  readonly lstrip: boolean
  readonly rstrip: boolean
  /** Whether it is only found between characters that are not part of a word. */
  readonly singleWord: boolean
}

/** A part of a text: plain text, or an added token. */
export type Segment = { readonly text: string } | { readonly id: number }

/** [start, end) in UTF-16 code units. */
export type Range = readonly [start: number, end: number]

interface Node {
  readonly next: Map<number, Node>
  token?: AddedToken
}

const spaceBefore = /[\p{White_Space}]*$/u
const spaceAfter = /[\p{White_Space}]*/uy
const wordCharacter = /[\p{L}\p{M}\p{Nd}\p{Pc}]/u

export class AddedTokens {
  readonly #root: Node = { next: new Map() }
  readonly #hasOrdinary: boolean

  constructor(tokens: readonly AddedToken[]) {
    this.#hasOrdinary = tokens.some(({ special }) => !special)
    for (const token of tokens) {
      let node = this.#root
      for (let i = 0; i < token.content.length; i++) {
        const unit = token.content.charCodeAt(i)
        let child = node.next.get(unit)
        if (child === undefined) node.next.set(unit, (child = { next: new Map() }))
        node = child
      }
      node.token = token
    }
  }

  /**
   * Cuts a text at its added tokens.
   * @param trusted whether specials are recognised at all
   * @param untrusted ranges, sorted and disjoint, that no special token may overlap
   */
  split(text: string, trusted: boolean, untrusted: readonly Range[] = []): Segment[] {
    if (!trusted && !this.#hasOrdinary) return text === '' ? [] : [{ text }]
    const segments: Segment[] = []
    let done = 0 // everything before is in `segments`
    let range = 0
    for (let at = 0; at < text.length; ) {
      while (range < untrusted.length && untrusted[range]![1] <= at) range++
      const token = this.#longest(text, at, trusted ? (untrusted[range]?.[0] ?? text.length) : 0)
      if (token === undefined) {
        at++
        continue
      }
      const end = at + token.content.length
      const head = text.slice(done, at)
      const kept = token.lstrip ? head.length - spaceBefore.exec(head)![0].length : head.length
      if (kept > 0) segments.push({ text: head.slice(0, kept) })
      segments.push({ id: token.id })
      spaceAfter.lastIndex = end
      at = done = token.rstrip ? end + spaceAfter.exec(text)![0].length : end
    }
    if (done < text.length) segments.push({ text: text.slice(done) })
    return segments
  }

  /** The longest token that begins at `start`; a special must end at or before `limit`. */
  #longest(text: string, start: number, limit: number): AddedToken | undefined {
    let best: AddedToken | undefined
    let node = this.#root.next.get(text.charCodeAt(start))
    for (let end = start + 1; node !== undefined; end++) {
      const token = node.token
      if (token !== undefined && (!token.special || end <= limit) && !(token.singleWord && insideWord(text, start, end))) best = token
      if (end >= text.length) break
      node = node.next.get(text.charCodeAt(end))
    }
    return best
  }
}

function insideWord(text: string, start: number, end: number): boolean {
  return (start > 0 && wordCharacter.test(text[start - 1]!)) || (end < text.length && wordCharacter.test(text[end]!))
}
