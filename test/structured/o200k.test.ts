/** Structured output over a vocabulary of 200,000 ids, where most tokens cross several parts of the grammar. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import o200kRanks from 'js-tiktoken/ranks/o200k_base'
import { constraint } from '../../src/structured/structured.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { o200kHarmonyJson } from '../tokenizer/ranks.ts'
import { randomRoot } from './schemas.ts'
import { allowedIds, randomText, validator } from './validator.ts'

const harmony = tokenizerFromJson(o200kHarmonyJson(o200kRanks), 'tokenizer.json')

test('16 schemas over o200k_harmony: valid, within the budget, and no special token is ever allowed', () => {
  const next = random(77)
  for (let i = 0; i < 16; i++) {
    const schema = randomRoot(next)
    const verdict = validator(schema)
    const compiled = constraint({ schema }, harmony)
    for (let text = 0; text < 2; text++) {
      const written = randomText(compiled.matcher(), harmony, next, 200)
      assert.ok(written.complete, JSON.stringify(schema))
      assert.equal(verdict(written.text), undefined, `${JSON.stringify(schema)}\n${written.text}`)
    }
    assert.ok(allowedIds(compiled.matcher().mask()).every((id) => !harmony.isSpecial(id)))
  }
})

test('the tokens that a model would use are allowed', () => {
  const schema = {
    type: 'object',
    properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 14 }, unit: { enum: ['celsius', 'fahrenheit'] } },
    required: ['city', 'days', 'unit'],
    additionalProperties: false,
  }
  for (const text of ['{"city":"Zürich","days":10,"unit":"celsius"}', '{"city": "São Paulo 💖", "days": 3, "unit": "fahrenheit"}']) {
    const at = constraint({ schema }, harmony).matcher()
    for (const id of harmony.encode(text)) {
      assert.ok((at.mask()[id >> 5]! >>> (id & 31)) & 1, harmony.decode([id]))
      assert.ok(at.accept(id))
    }
    assert.ok(at.isComplete())
    assert.equal(allowedIds(at.mask()).length, 0)
  }
})
