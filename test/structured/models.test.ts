/** Random models under random schemas: whatever they draw, a complete document is a valid one. `bench/structured-models.ts` does more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answersUnder, enforceable, models } from './random-models.ts'

for (const [i, model] of models.entries())
  test(`${model.family}, weights of deviation ${model.range}`, async () => {
    const { reasons } = await answersUnder(enforceable(50 + i, 10), model, i)
    assert.ok((reasons.stop ?? 0) >= 8, JSON.stringify(reasons))
  })
