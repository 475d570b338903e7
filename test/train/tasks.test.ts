import assert from 'node:assert/strict'
import { test } from 'node:test'
import { random } from '../../src/random/stream.ts'
import { story } from '../../src/train/data/stories.ts'
import type { Task } from '../../src/train/data/task.ts'
import { associativeRecall, copy, facts, induction } from '../../src/train/data/tasks.ts'

/** Scored pairs (context, answer) of a sample. */
function scored(task: Task, seed: number, length: number) {
  const { ids, scored } = task.sample(random(seed), length)
  assert.equal(ids.length, length)
  assert.ok(ids.every((id) => id >= 0 && id < task.vocabSize))
  assert.equal(scored.at(-1), 0)
  const pairs = [...scored.keys()].filter((t) => scored[t]).map((t) => ({ context: [...ids.slice(0, t + 1)], answer: ids[t + 1]! }))
  assert.ok(pairs.length > 0, `${task.name}: nothing scored`)
  return pairs
}

test('every task is a function of its seed', () => {
  for (const task of [associativeRecall({ keys: 8, values: 8, pairs: 4, gap: 5 }), copy(9, 6), induction(12, 4), facts(10, 2, 5, 1)]) {
    assert.deepEqual(task.sample(random(3), 64), task.sample(random(3), 64))
    assert.notDeepEqual(task.sample(random(3), 64).ids, task.sample(random(4), 64).ids)
  }
})

test('recall: the answer stands behind the first occurrence of its key', () => {
  for (const { context, answer } of scored(associativeRecall({ keys: 16, values: 16, pairs: 5, gap: 7 }), 1, 48)) {
    assert.equal(context[context.indexOf(context.at(-1)!) + 1], answer)
  }
})

test('recall: no key comes back before all were asked, gaps vary, absent keys have no answer', () => {
  const [keys, pairs] = [8, 4]
  for (let seed = 0; seed < 50; seed++) {
    const near = associativeRecall({ keys, values: 8, pairs, gap: 6, leastGap: 0 }).sample(random(seed), 30)
    const asked = [...near.scored.keys()].filter((t) => near.scored[t]).map((t) => near.ids[t]!)
    assert.equal(new Set(asked.slice(0, pairs)).size, pairs)
    const { ids, scored } = associativeRecall({ keys, values: 8, pairs, gap: 0, absent: 0.5 }).sample(random(seed), 21)
    assert.equal(ids[0], 0)
    const given = [1, 3, 5, 7].map((t) => ids[t]!)
    for (let t = 9; t < 20; t += 2) {
      assert.equal(scored[t], 1)
      assert.equal(ids[t + 1] === 1, !given.includes(ids[t]!))
    }
  }
  const lengths = new Set<number>()
  for (let seed = 0; seed < 50; seed++)
    lengths.add(
      [...associativeRecall({ keys, values: 8, pairs, gap: 6, leastGap: 2 }).sample(random(seed), 30).ids].filter((id) => id === 1).length,
    )
  assert.deepEqual([...lengths].sort(), [2, 3, 4, 5, 6])
  assert.throws(() => associativeRecall({ keys: 4, values: 8, pairs: 4, gap: 0, absent: 0.5 }), /no key is absent/)
})

test('copy and induction repeat what came before', () => {
  for (const { context, answer } of scored(copy(9, 6), 2, 30)) assert.equal(context[context.length - 7], answer)
  for (const { context, answer } of scored(induction(10, 4), 2, 60)) {
    // The first ten are all symbols in this sequence's order.
    assert.ok(context.length > 10)
    assert.equal(answer, context[context.indexOf(context.at(-1)!) + 1])
  }
})

test('facts agree with themselves in all samples', () => {
  const known = new Map<string, number>()
  for (let seed = 0; seed < 50; seed++) {
    for (const { context, answer } of scored(facts(6, 2, 30, 9), seed, 30)) {
      const key = context.slice(-2).join()
      assert.equal(known.get(key) ?? answer, answer)
      known.set(key, answer)
    }
  }
  assert.ok(new Set(known.values()).size > 3)
})

test('stories answer from what they said', () => {
  for (let seed = 0; seed < 200; seed++) {
    const text = story(random(seed))
    const [, who, where] = /"Where is (\w+)\?" asked a neighbour\. "In the (\w+)\."/.exec(text)!
    const moves = [...text.matchAll(new RegExp(`(?:${who} was in|${who} went to) the (\\w+)`, 'g'))]
    assert.equal(moves.at(-1)![1], where)
  }
})
