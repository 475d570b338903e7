/** A trie of texts in UTF-8, for names and constants. */
import { clean, nextPhase } from './string-body.ts'

/** A trie of texts in UTF-8. Node 0 is the root; parents precede their children. */
export interface TextTrie {
  readonly name: string
  readonly nodes: readonly TextNode[]
}

export interface TextNode {
  /** Byte -> child. */
  readonly next: Map<number, number>
  /** If this item is inside a string: how much of the current character was read (see string-body.ts). */
  readonly phase: number
  /** Index of the text that ends at this node. */
  end: number | undefined
}

const utf8 = new TextEncoder()

export function textNodes(texts: readonly string[]): TextNode[] {
  const nodes: TextNode[] = [{ next: new Map(), phase: clean, end: undefined }]
  texts.forEach((text, number) => {
    let at = nodes[0]!
    for (const byte of utf8.encode(text)) {
      let child = at.next.get(byte)
      if (child === undefined) {
        child = nodes.push({ next: new Map(), phase: nextPhase[at.phase * 256 + byte]!, end: undefined }) - 1
        at.next.set(byte, child)
      }
      at = nodes[child]!
    }
    at.end = number
  })
  return nodes
}
