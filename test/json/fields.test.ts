/** Every kind of field: what it accepts, and the one line of the error when it does not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FieldError, Fields } from '../../src/json/fields.ts'
import { abbreviate, describe, isObject } from '../../src/json/json.ts'

const json = JSON.parse(
  '{"a": {"list": [{"n": 3}, {"n": -1}]}, "text": "x", "zero": 0, "none": null, "half": 0.5, "big": 1e300, "__proto__": {"inherited": 1}}',
)
const fields = new Fields(json, 'f.json')

test('values', () => {
  assert.equal(fields.below('a').list('list')[0]!.size('n'), 3)
  assert.equal(fields.string('text'), 'x')
  assert.equal(fields.integer('zero'), 0)
  assert.equal(fields.size('none', 7), 7)
  assert.equal(fields.optionalSize('none'), null)
  assert.equal(fields.inner('none'), undefined)
  assert.equal(fields.probability('half'), 0.5)
  assert.equal(fields.choice('text', { x: 5, y: 6 }), 5)
  assert.equal(fields.spelling('missing', 'half'), 'half')
  assert.equal(fields.has('none'), false)
  assert.equal(fields.mentions('none'), true)
  assert.equal(fields.has('inherited') || fields.has('constructor'), false)
})

test('defaults stand where a value is absent, null or undefined', () => {
  const own = new Fields({ one: 1, none: null, absent: undefined, nothing: null, gone: undefined }, 'f.json')
  assert.deepEqual(own.with({ one: 5, none: 6, absent: 7, more: 8 }).object, { one: 1, none: 6, absent: 7, more: 8, nothing: null })
})

test('errors name file, path, what was expected and what came', () => {
  const cases: [() => unknown, string][] = [
    [() => fields.below('a').list('list')[1]!.size('n'), 'a.list[1].n: expected a positive integer up to 67108864, got -1'],
    [() => fields.size('big'), 'big: expected a positive integer up to 67108864, got 1e+300'],
    [() => fields.flag('text'), 'text: expected true or false, got "x"'],
    [() => fields.string('missing'), 'missing: missing; expected a string'],
    [() => fields.choice('text', { y: 6 }), 'text: expected "y", got "x"'],
    [() => fields.array('a'), 'a: expected an array, got an object'],
    [() => fields.below('text'), 'text: expected an object, got "x"'],
    [() => fields.positive('zero'), 'zero: expected a number above 0, got 0'],
    [() => fields.probability('big'), 'big: expected a probability below 1, got 1e+300'],
    [() => fields.spelling('half', 'zero'), 'zero: contradicts half: 0 against 0.5'],
    [() => fields.refuse('text', 'why', 'y'), 'text: expected "y", got "x"; why'],
    [() => new Fields([1], 'f.json'), '(whole file): expected a JSON object, got an array of 1'],
  ]
  for (const [act, message] of cases)
    assert.throws(act, (error: Error) => {
      assert.ok(error instanceof FieldError)
      assert.equal(error.message, `f.json: ${message}`)
      return true
    })
})

test('values in messages are short and harmless', () => {
  assert.equal(describe('\u001b[31m'.repeat(100)).length < 100, true)
  assert.equal(abbreviate('a\nb'), 'a\u{fffd}b')
  assert.deepEqual([isObject(null), isObject([]), isObject({})], [false, false, true])
})
