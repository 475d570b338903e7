/** The questions that the embedded model is measured with are written by hand, and most of their wordings are none that it is trained on. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { random } from '../../src/random/stream.ts'
import { drawDialogue, type Source } from '../../src/train/abacus/dialogues.ts'
import { drawRewarded } from '../../src/train/abacus/rewarded.ts'
import { drawUnfamiliar } from '../../src/train/abacus/unfamiliar.ts'

const questions = (name: string): { question: string; answer: string | null }[] =>
  readFileSync(new URL(`../fixtures/abacus/${name}.jsonl`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

/** A wording: without its numbers, marks at the end and capitals. */
const wording = (text: string) =>
  text
    .toLowerCase()
    .replace(/-?\d+/g, 'N')
    .replace(/[\s?.!？。]+/g, ' ')
    .trim()

test('at least 300 questions to decline and 100 to answer have wordings that training never shows', () => {
  const next = random(11)
  const known = new Set<string>()
  const draw = (count: number, source?: Source) => {
    for (let i = 0; i < count; i++) for (const { user } of drawDialogue(next, source).exchanges) known.add(wording(user))
  }
  draw(40_000)
  draw(10_000, drawUnfamiliar)
  draw(10_000, drawRewarded)
  const unknown = (name: string) => questions(name).filter(({ question }) => !known.has(wording(question)))
  const declined = unknown('out-of-scope')
  assert.ok(declined.length >= 300, `${declined.length}`)
  assert.ok(declined.every(({ answer }) => answer === null))
  const answered = unknown('wordings')
  assert.ok(answered.length >= 100, `${answered.length}`)
  assert.ok(answered.every(({ answer }) => answer !== null))
  for (const name of ['further', 'unseen']) assert.ok(questions(name).every(({ answer }) => answer !== null))
  for (const name of ['out-of-scope', 'wordings', 'further', 'unseen'])
    assert.equal(new Set(questions(name).map(({ question }) => question)).size, questions(name).length, `${name}: each question once`)
})
