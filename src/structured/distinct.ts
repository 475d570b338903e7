/**
 * Texts that must differ from earlier ones: the elements of an array under `uniqueItems`, and undeclared
 * names that count toward `minProperties`. An item of such a text carries what was written so far, so it
 * is made anew for every text. Its mask is that of an equal item without memory (`shown`), and ends
 * before the next such text begins.
 */
import { choice, costOfSequence, type Draft, type Item, reader, type Sequence } from './item.ts'
import { type TextNode, textNodes } from './text-trie.ts'

const BACKSLASH = 0x5c
const utf8 = new TextDecoder()

/** Texts that must not come again, as JSON. */
export class Earlier {
  readonly nodes: readonly TextNode[]
  readonly #items = new Map<string, Item>()

  constructor(texts: readonly string[]) {
    this.nodes = textNodes(texts)
  }

  item(name: string, make: () => Draft): Item {
    let item = this.#items.get(name)
    if (item === undefined) this.#items.set(name, (item = fresh(make())))
    return item
  }
}

/** What follows a text. */
export interface Continuation {
  /** @param text the text as JSON.stringify writes it */
  following(text: string): Sequence
  /** What may follow within the same token. */
  readonly shown: Sequence
  /** Length in bytes of the shortest continuation. */
  readonly cost: number
}

let serial = -1

/** An item that is not interned. */
export const fresh = (draft: Draft): Item => ({ ...draft, id: serial-- })

/** Reads nothing: where a token has to end. `cost` is that of what really follows. */
export const barrier = (cost: number): Item =>
  fresh(
    reader(
      () => undefined,
      () => cost,
    ),
  )

/**
 * A text that differs from all earlier ones.
 * @param items what the text is; strings must be written without escapes as long as they may equal an earlier one
 */
export function distinct(items: Sequence, earlier: Earlier): Sequence {
  return differing(items, earlier, 0) ?? []
}

/** The same, with its text handed to what follows. */
export function recorded(items: Sequence, earlier: Earlier, after: Continuation): Sequence {
  return record(items, earlier, 0, [], after) ?? []
}

/** The shortest text that differs from all earlier ones, in bytes; undefined when there is none. */
export function shortest(items: Sequence, earlier: Earlier): number[] | undefined {
  if (leastCost(items, earlier, 0) === Number.POSITIVE_INFINITY) return undefined
  const bytes: number[] = []
  let index: number | undefined = 0
  for (let left = items; left.length > 0; ) {
    const [top, ...rest] = left as [Item, ...Item[]]
    const ways: { byte: number | undefined; to: Sequence; child: number | undefined }[] =
      top.alternatives !== undefined
        ? top.alternatives().map((to) => ({ byte: undefined, to, child: index }))
        : [...branches(top, index === undefined ? undefined : earlier.nodes[index]!)].map(([byte, to, child]) => ({ byte, to, child }))
    const costs = ways.map(({ to, child }) => leastCost([...to, ...rest], earlier, child))
    const { byte, to, child } = ways[costs.indexOf(Math.min(...costs))]!
    if (byte !== undefined) bytes.push(byte)
    index = child
    left = [...to, ...rest]
  }
  return bytes
}

/** Length in bytes of the shortest rest with which a text differs from all earlier ones. */
function leastCost(items: Sequence, earlier: Earlier, index: number | undefined): number {
  if (index === undefined) return costOfSequence(items)
  const [top, ...rest] = items
  const node = earlier.nodes[index]!
  if (top === undefined) return node.end === undefined ? 0 : Number.POSITIVE_INFINITY
  let best = Number.POSITIVE_INFINITY
  if (top.alternatives !== undefined)
    for (const sequence of top.alternatives()) best = Math.min(best, leastCost([...sequence, ...rest], earlier, index))
  else for (const [, to, child] of branches(top, node)) best = Math.min(best, 1 + leastCost([...to, ...rest], earlier, child))
  return best
}

/** The bytes that an item may read, and where they lead: each way along earlier texts, and the shortest that leaves them. */
function* branches(item: Item, node: TextNode | undefined): Generator<[byte: number, to: Sequence, child: number | undefined]> {
  let best: [number, Sequence, undefined] | undefined
  for (let byte = 0; byte < 256; byte++) {
    if (node !== undefined && byte === BACKSLASH) continue
    const to = item.next(byte)
    if (to === undefined) continue
    const child = node?.next.get(byte)
    if (child !== undefined) yield [byte, to, child]
    else if (best === undefined || costOfSequence(to) < costOfSequence(best[1])) best = [byte, to, undefined]
  }
  if (best !== undefined) yield best
}

/** @param index the node of the earlier texts; undefined once the text differs from all */
function differing(items: Sequence, earlier: Earlier, index: number | undefined): Sequence | undefined {
  if (index === undefined) return items
  const [top, ...rest] = items
  const node = earlier.nodes[index]!
  if (top === undefined) return node.end === undefined ? [] : undefined
  const cost = () => leastCost(items, earlier, index)
  const name = `${index} ${items.map(({ id }) => id).join()}`
  const item = earlier.item(name, () =>
    top.alternatives === undefined
      ? reader((byte) => {
          const to = byte === BACKSLASH ? undefined : top.next(byte)
          return to && possible(differing([...to, ...rest], earlier, node.next.get(byte)))
        }, cost)
      : choice(() => top.alternatives!().flatMap((sequence) => one(differing([...sequence, ...rest], earlier, index))), cost),
  )
  return [item]
}

function record(
  items: Sequence,
  earlier: Earlier,
  index: number | undefined,
  text: readonly number[],
  after: Continuation,
): Sequence | undefined {
  const [top, ...rest] = items
  const node = index === undefined ? undefined : earlier.nodes[index]!
  if (top === undefined) return node?.end === undefined ? after.following(canonical(text)) : undefined
  const cost = () => leastCost(items, earlier, index) + after.cost
  const draft =
    top.alternatives === undefined
      ? reader((byte) => {
          const to = node !== undefined && byte === BACKSLASH ? undefined : top.next(byte)
          return to && possible(record([...to, ...rest], earlier, node?.next.get(byte), [...text, byte], after))
        }, cost)
      : choice(() => top.alternatives!().flatMap((sequence) => one(record([...sequence, ...rest], earlier, index, text, after))), cost)
  const shown = top.alternatives === undefined ? [...differing(items, earlier, index)!, ...after.shown] : undefined
  return [fresh({ ...draft, shown })]
}

/** A sequence that has an end. */
function possible(sequence: Sequence | undefined): Sequence | undefined {
  return sequence !== undefined && costOfSequence(sequence) < Number.POSITIVE_INFINITY ? sequence : undefined
}

const one = (sequence: Sequence | undefined): Sequence[] => (possible(sequence) === undefined ? [] : [sequence!])

function canonical(text: readonly number[]): string {
  return JSON.stringify(JSON.parse(utf8.decode(Uint8Array.from(text))))
}
