/**
 * The embedded model as what is evaluated, against sums over plain scores of the engine: choices, empty prompts, contexts that are cut,
 * windows of both rules, answers and continuations.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { evaluate } from '../../src/evaluate/evaluate.ts'
import { localSubject } from '../../src/evaluate/local-subject.ts'
import type { Subject } from '../../src/evaluate/subject.ts'
import { harnessWindows, stridedWindows, type Window } from '../../src/evaluate/windows.ts'
import { load, type Model } from '../../src/index.ts'
import { byId, lines, taskOf } from './subjects.ts'

let model: Model
let subject: Subject
before(async () => {
  model = await load('abacus', { threads: 1, slots: 4, context: 96 })
  subject = localSubject(model, 'abacus')
})
after(() => model.dispose())

/** Sum and greedy flag of the ids from `from` on, from scores of all ids. */
async function plain(ids: readonly number[], from: number): Promise<[number, boolean]> {
  const scores = (await model.engine.score(ids, { top: 1 })).slice(from - 1)
  return [scores.reduce((sum, { logprob }) => sum + logprob, 0), scores.every(({ id, top }) => top[0]!.id === id)]
}

test('choices and last words: the ids of the continuation, given all before', async () => {
  const records = [
    { q: 'What is 4 + 5?', c: [' 9', ' ten', '   11  '], a: 0 },
    { q: '', c: ['47 + 85', '12'], a: 1 },
    { q: 'blanks at the end  ', c: ['1', '2'], a: 0 },
  ]
  const task = taskOf({ kind: 'choices', prompt: '{{ q }}', choices: 'c', answer: 'a', delimiter: '' })
  const outcomes = byId((await evaluate(task, subject, { data: [lines(records)] })).outcomes)
  const start = model.tokenizer.specials.get('<|endoftext|>') ?? model.format.stopIds[0]!
  for (const [i, { q, c }] of records.entries())
    for (const [n, choice] of c.entries()) {
      const text = q.trimEnd()
      const own = model.tokenizer.encode(text)
      const whole = model.tokenizer.encode(text === '' ? choice : q + choice)
      const ids = text === '' ? [start, ...whole] : [...own, ...whole.slice(own.length)]
      const [logprob, greedy] = await plain(ids, text === '' ? 1 : own.length)
      assert.deepEqual(
        [(outcomes[i]!.logprobs as number[])[n], (outcomes[i]!.greedy as boolean[])[n], (outcomes[i]!.tokens as number[])[n]],
        [logprob, greedy, ids.length - (text === '' ? 1 : own.length)],
        `${i} ${n}`,
      )
    }
})

test('a context that is too long is cut at its beginning and named; a continuation that is too long is an error of its item', async () => {
  const long = Array.from({ length: 60 }, (_, i) => `${i} + ${i + 1}`).join(' ')
  const task = taskOf({ kind: 'last-word', prompt: '{{ q }}', target: '{{ w }}' })
  const records = [
    { q: long, w: ' 7' },
    { q: 'short', w: ` ${long}` },
    { q: 'short', w: ' 7' },
  ]
  const outcomes = byId((await evaluate(task, subject, { data: [lines(records)] })).outcomes)
  const ids = model.tokenizer.encode(`${long} 7`)
  const count = ids.length - model.tokenizer.encode(long).length
  assert.deepEqual([outcomes[0]!.logprob, outcomes[0]!.cut], [(await plain(ids.slice(-97), 97 - count))[0], true])
  assert.match(String(outcomes[1]!.error), /expected a text of at most 96 tokens to score, got \d+/)
  assert.deepEqual([outcomes[2]!.cut, outcomes[2]!.error], [undefined, undefined])
})

test('windows: every id once, with the context that the rule gives it', async () => {
  const covers = (windows: Window[], length: number, first: number) => {
    const predicted = windows.map(({ ids, from }) => ids.slice(from))
    assert.deepEqual(
      predicted.flat(),
      Array.from({ length: length - first }, (_, i) => first + i),
    )
    for (const { from } of windows) assert.ok(from >= 1)
  }
  for (const length of [1, 2, 7, 8, 9, 15, 16, 17, 40]) {
    const text = Array.from({ length }, (_, i) => i)
    for (const overlap of [1, 3, 8]) {
      const windows = harnessWindows(text, [-1], 8, overlap)
      covers(windows, length, 0)
      assert.deepEqual(windows[0]!.ids[0], -1)
      // A window is full where there is enough text; at least `overlap` ids are in front of a prediction.
      for (const { ids, from } of windows.slice(1)) assert.ok(ids.length === 9 && from >= overlap)
    }
    for (const stride of [1, 3, 7]) covers(stridedWindows(text, 8, stride), length, 1)
  }
  assert.deepEqual(harnessWindows([], [-1], 8), [])
  assert.deepEqual(
    stridedWindows([0, 1, 2, 3, 4], 2, 2).map(({ ids, from }) => [...ids.slice(from)]),
    [[1], [3]],
    'without overlap the first id of a window is not predicted',
  )
  const text = Array.from({ length: 30 }, (_, i) => `${i} + ${2 * i} = ${3 * i}`).join('\n')
  const ids = model.tokenizer.encode(text)
  const start = model.tokenizer.specials.get('<|endoftext|>') ?? model.format.stopIds[0]!
  for (const [rule, windows] of [
    [{ length: 20, overlap: 5 }, harnessWindows(ids, [start], 20, 5)],
    [{ rule: 'strided', length: 20, stride: 6 }, stridedWindows(ids, 20, 6)],
    [{}, harnessWindows(ids, [start], 96)],
  ] as const) {
    const { outcomes } = await evaluate(taskOf({ kind: 'rolling', ...rule }), subject, { data: [{ name: 'a.txt', text }] })
    let expected = 0
    for (const { ids, from } of windows) expected += (await plain(ids, from))[0]
    assert.ok(Math.abs((outcomes[0]!.logprob as number) - expected) < 1e-9, `${outcomes[0]!.logprob}, expected ${expected}`)
  }
  const { outcomes } = await evaluate(taskOf({ kind: 'rolling', length: 97 }), subject, { data: [{ name: 'a.txt', text }] })
  assert.match(String(outcomes[0]!.error), /expected windows of at most 96 tokens, the context, got 97/)
})

test('answers of a chat and a text that goes on', async () => {
  const records = [{ q: 'What is 12 + 13?', a: 25 }]
  const shared = { kind: 'generate', prompt: '{{ q }}', extract: 'number', answer: 'a', compare: 'number', temperature: 0 }
  const { outcomes } = await evaluate(taskOf(shared), subject, { data: [lines(records)], efforts: ['high'] })
  assert.deepEqual([outcomes[0]!.extracted, outcomes[0]!.right, outcomes[0]!.finish], ['25', 1, 'stop'])
  assert.ok((outcomes[0]!.reasoningTokens as number) > 0)
  const cut = await evaluate(taskOf({ ...shared, maxTokens: 3 }), subject, { data: [lines(records)], efforts: ['high'] })
  assert.deepEqual([cut.outcomes[0]!.finish, cut.outcomes[0]!.right], ['length', 0])
  const going = taskOf({ ...shared, as: 'completion', maxTokens: 8, stop: ['9'] })
  const raw = await evaluate(going, subject, { data: [lines(records)] })
  const text = (
    await Array.fromAsync(model.generate('What is 12 + 13?', { maxTokens: 8, stop: ['9'], sampling: { temperature: 0 } }))
  ).join('')
  assert.equal(raw.outcomes[0]!.text, text)
  const tooLong = await evaluate(taskOf(shared), subject, { data: [lines([{ q: 'x y '.repeat(100), a: 0 }])] })
  assert.match(String(tooLong.outcomes[0]!.error), /context/)
})
