/** Which slot a prompt gets and how much of it is reused, on a cache that only records its calls. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commonPrefix, PrefixCache } from '../../src/engine/prefix-cache.ts'
import { type CacheSnapshot, type KvCache, MemoryError } from '../../src/ops/backend.ts'
import { someIds } from './model.ts'

function diary(window: number | null, slots: number, snapshotBytes = 1000, states: { state: number[] }[] = []) {
  const done: string[] = []
  const cache: KvCache = {
    spec: { layers: [{ kvHeads: 1, keyDim: 4, valueDim: 4, window }, ...states], slots, capacity: 10_000, maxRows: 64 },
    layers: [],
    bytes: 0,
    async snapshot(slot, position): Promise<CacheSnapshot> {
      if (snapshotBytes < 0) throw new MemoryError('no room')
      done.push(`snapshot ${slot} ${position}`)
      return { position, bytes: snapshotBytes }
    },
    restore: (slot, { position }) => void done.push(`restore ${slot} ${position}`),
    copy: (from, to, length) => void done.push(`copy ${from} ${to} ${length}`),
    dispose: () => void done.push('dispose'),
  }
  return { done, prefixes: new PrefixCache(cache) }
}

/** As the scheduler does: takes a slot, writes the rest of the ids, leaves. */
async function run(prefixes: PrefixCache, ids: number[], { prompt = ids.length, key = '' } = {}) {
  const lease = prefixes.acquire(ids.slice(0, prompt), key)
  prefixes.wrote(lease.slot, ids.slice(lease.cachedTokens))
  await prefixes.remember(lease.slot, prompt - 1)
  prefixes.release(lease.slot)
  return lease
}

test('the longest common prefix, never the whole prompt', () => {
  assert.equal(commonPrefix([1, 2, 3], [1, 2, 4], 9), 2)
  assert.equal(commonPrefix([1, 2, 3], [1, 2, 3], 2), 2)
  assert.equal(commonPrefix([], [1], 1), 0)
})

test('the least recently used slot is taken', async () => {
  const { prefixes } = diary(null, 3)
  const conversations = [1, 2, 3].map((seed) => someIds(50, 1000, seed))
  const slots: number[] = []
  for (const ids of conversations) slots.push((await run(prefixes, ids)).slot)
  assert.deepEqual(slots.toSorted(), [0, 1, 2])
  assert.equal((await run(prefixes, [...conversations[0]!, 7])).cachedTokens, 50)
  assert.equal((await run(prefixes, someIds(50, 1000, 4))).slot, slots[1])
  assert.equal(prefixes.reusable([...conversations[1]!, 7], ''), 0)
  assert.equal(prefixes.reusable([...conversations[2]!, 7], ''), 50)
  assert.equal(prefixes.reusable([...conversations[2]!, 7], 'somebody else'), 0)
})

test('a busy slot is copied, a continued conversation is not', async () => {
  const { prefixes, done } = diary(null, 2)
  const ids = someIds(80, 1000)
  const first = prefixes.acquire(ids, '')
  prefixes.wrote(first.slot, ids.slice(0, 60))
  const second = prefixes.acquire([...ids.slice(0, 40), 5, 6], '')
  assert.deepEqual([second.cachedTokens, second.slot === first.slot], [40, false])
  assert.deepEqual(done, [`copy ${first.slot} ${second.slot} 40`])
  prefixes.release(first.slot)
  prefixes.release(second.slot)
  const third = prefixes.acquire(ids, '')
  assert.deepEqual([third.slot, third.cachedTokens, done.length], [first.slot, 60, 1])
})

test('a state is continued where it stands, and elsewhere from a snapshot only', async () => {
  const { prefixes, done } = diary(null, 2, 1000, [{ state: [8] }])
  const ids = someIds(100, 1000)
  const first = prefixes.acquire(ids, '')
  prefixes.wrote(first.slot, ids.slice(0, 99))
  await prefixes.remember(first.slot, 99)
  prefixes.wrote(first.slot, [ids[99]!, 7, 8])
  await prefixes.remember(first.slot, 100) // the state has passed it
  assert.deepEqual(done, [`snapshot ${first.slot} 99`])
  const reusable = (...prompt: number[]) => prefixes.reusable(prompt, '')
  assert.equal(reusable(...ids, 7, 8, 9), 102)
  assert.equal(reusable(...ids, 7, 8), 99)
  assert.equal(reusable(...ids), 99)
  assert.equal(reusable(...ids.slice(0, 99)), 0)
  // While the first one runs, another begins at the snapshot.
  const second = prefixes.acquire([...ids, 5], '')
  assert.deepEqual([second.cachedTokens, second.slot === first.slot], [99, false])
  assert.deepEqual(done.slice(1), [`copy ${first.slot} ${second.slot} 99`, `restore ${second.slot} 99`])
  prefixes.release(first.slot)
  prefixes.forget(second.slot)
  assert.equal(prefixes.acquire(someIds(60, 1000, 3), '').cachedTokens, 0)
})

test('sliding layers: the ring suffices near the end, a snapshot is needed further back', async () => {
  const { prefixes, done } = diary(16, 1)
  const ids = someIds(500, 1000)
  const { slot } = await run(prefixes, ids, { prompt: 200 })
  assert.equal(done.length, 0) // 199 is out of reach: the ring holds 79 positions
  assert.equal((await run(prefixes, [...ids.slice(0, 450), 1])).cachedTokens, 450)
  assert.equal(prefixes.reusable([...ids.slice(0, 300), 1], ''), 0)
  done.length = 0
  const again = prefixes.acquire(ids.slice(0, 200), '')
  assert.equal(again.cachedTokens, 0)
  prefixes.wrote(slot, ids.slice(0, 200))
  await prefixes.remember(slot, 199)
  prefixes.wrote(slot, ids.slice(200))
  prefixes.release(slot)
  assert.deepEqual(done, [`snapshot ${slot} 199`])
  assert.equal((await run(prefixes, [...ids.slice(0, 300), 1])).cachedTokens, 199)
  assert.ok(done.includes(`restore ${slot} 199`))
})

test('snapshots: a bounded number, spread over the prompt, within a bound of bytes', async () => {
  for (const [bytes, least, most] of [
    [1000, 15, 16],
    [100 << 20, 1, 2],
  ] as const) {
    const { prefixes } = diary(16, 1, bytes)
    const ids = someIds(9000, 1000)
    const { slot } = prefixes.acquire(ids, '')
    for (let at = 0; at < ids.length; at += 64) {
      prefixes.wrote(slot, ids.slice(at, at + 64))
      await prefixes.rememberOnTheWay(slot, Math.min(ids.length, at + 64))
    }
    prefixes.release(slot)
    const places = new Set<number>()
    for (let cut = 100; cut < 8900; cut += 50) places.add(prefixes.reusable([...ids.slice(0, cut), -1], ''))
    places.delete(0)
    assert.ok(places.size >= least && places.size <= most, `${[...places]}`)
    const gaps = [...places].toSorted((a, b) => a - b).map((place, i, all) => place - (all[i - 1] ?? 0))
    if (most === 16) assert.ok(Math.max(...gaps) <= 2000, `gaps ${gaps}`)
  }
})

test('without memory for snapshots less of a prefix is reused', async () => {
  const { prefixes } = diary(16, 1, -1)
  const ids = someIds(500, 1000)
  await run(prefixes, ids)
  assert.equal(prefixes.reusable([...ids, 1], ''), 500)
  assert.equal(prefixes.reusable([...ids.slice(0, 100), 1], ''), 0)
})

test('a forgotten slot is empty and free', () => {
  const { prefixes } = diary(null, 1)
  const ids = someIds(50, 1000)
  const { slot } = prefixes.acquire(ids, '')
  prefixes.wrote(slot, ids)
  assert.deepEqual([prefixes.freeSlots, prefixes.cachedPositions], [0, 50])
  prefixes.forget(slot)
  assert.deepEqual([prefixes.freeSlots, prefixes.cachedPositions, prefixes.reusable([...ids, 1], '')], [1, 0, 0])
})
