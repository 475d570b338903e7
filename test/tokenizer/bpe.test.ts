/** Merging, short and long, against the definition: merge the leftmost pair of lowest rank until none is left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MergeTable, mergePiece } from '../../src/tokenizer/bpe.ts'
import { random } from './mixed-text.ts'

type Pairs = Map<string, { rank: number; merged: number }>

function byDefinition(symbols: readonly number[], pairs: Pairs): number[] {
  const ids = [...symbols]
  for (;;) {
    let best = -1
    let lowest = Number.POSITIVE_INFINITY
    for (let i = 0; i + 1 < ids.length; i++) {
      const rank = pairs.get(`${ids[i]} ${ids[i + 1]}`)?.rank ?? Number.POSITIVE_INFINITY
      if (rank < lowest) [best, lowest] = [i, rank]
    }
    if (best === -1) return ids
    ids.splice(best, 2, pairs.get(`${ids[best]} ${ids[best + 1]}`)!.merged)
  }
}

test('3,000 random pieces of 1 to 200 symbols under random merges', () => {
  const next = random(11)
  const below = (limit: number) => Math.floor(next() * limit)
  for (let round = 0; round < 300; round++) {
    const letters = 2 + below(3)
    const count = 1 + below(40)
    const pairs: Pairs = new Map()
    const table = new MergeTable(count)
    for (let rank = 0; rank < count; rank++) {
      const [left, right] = [below(letters + rank), below(letters + rank)]
      pairs.set(`${left} ${right}`, { rank, merged: letters + rank })
      table.set(left, right, rank, letters + rank)
    }
    assert.equal(table.size, pairs.size)
    for (let piece = 0; piece < 10; piece++) {
      const symbols = Array.from({ length: 1 + below(piece < 5 ? 40 : 200) }, () => below(letters))
      const out: number[] = [-7]
      const expected = byDefinition(symbols, pairs)
      mergePiece([...symbols], table, out)
      assert.deepEqual(out, [-7, ...expected])
    }
  }
})

test('a table takes no more pairs than announced', () => {
  const table = new MergeTable(1)
  assert.throws(() => {
    for (let i = 0; i < 100; i++) table.set(i, i, i, i)
  }, RangeError)
  assert.equal(table.find(1000, 1), -1)
})
