/** The grammar never changes a number: every value that a schema allows can be written, to its last digit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSchema, matcher, tokenTrie } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { randomText, validator } from './validator.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)
const integer = { type: 'integer' }
const number = { type: 'number' }

/** Whether a text is allowed and complete. */
function accepts(schema: unknown, text: string): boolean {
  const at = matcher(compileSchema(schema), trie)
  return bytes.encode(text).every((id) => at.accept(id)) && at.isComplete()
}

const cases: [schema: Record<string, unknown>, yes: string[], no: string[]][] = [
  [integer, ['1234567890123456789', '1700000000000000', '-9223372036854775808', '9'.repeat(308)], ['9'.repeat(309), '1e5', '1.0']],
  [{ ...integer, minimum: -9007199254740991, maximum: 9007199254740991 }, ['9007199254740991', '-9007199254740991'], ['9007199254740992']],
  [{ ...integer, minimum: 0 }, ['0', '18446744073709551615', '1234567890123456789012345678901234567890'], ['-1']],
  [{ ...integer, exclusiveMinimum: 2 ** 60 }, ['1152921504606846977', '11529215046068469760'], ['1152921504606846976', '7']],
  [{ ...integer, minimum: -(2 ** 63), maximum: 2 ** 63 }, ['9223372036854775807', '-9223372036854775808'], ['9223372036854775808']],
  [{ ...integer, maximum: 2 ** 64 }, ['18446744073709551615'], ['18446744073709551616']],
  [{ ...integer, maximum: 12345678901234567000 }, ['12345678901234567000', '-12345678901234567001'], ['12345678901234569000']],
  [{ ...integer, multipleOf: 3 }, ['0', '-3', '999999999999999999999'], ['4', '1000000000000000000000']],
  [{ ...integer, multipleOf: 7, minimum: 10, maximum: 20 }, ['14'], ['7', '21', '1']],
  [{ ...integer, multipleOf: 2.5 }, ['5', '10'], ['2', '5.0']],
  [{ ...number, multipleOf: 0.01 }, ['3', '4.25', '0.10', '12345678901234567890.25', '4.250'], ['4.255', '-0', '1e2']],
  [{ ...number, multipleOf: 5 }, ['10', '10.0'], ['11', '10.5']],
  [number, ['1e100', '-1.5E+300', '0.1e-400', '0.12345678901234567890123', '12345678901234567890.5', '0e7'], ['1e309', '-1e400', '01']],
  [{ ...number, minimum: 0, maximum: 1 }, ['1', '1.000', '0.00000000000000000001', '1e-7', '0.5'], ['1.01', '2', '5e-1']],
  [{ ...number, minimum: 0 }, ['1e300', '1e-300', '3.14159265358979323846264'], ['-1', '1e309']],
  [{ ...number, exclusiveMinimum: 0 }, ['1e-12', '0.0000000000000000000000001', '7e22'], ['0', '0.0', '0e1']],
  [{ ...number, exclusiveMaximum: 1, minimum: 0 }, ['0.999999999999999'], ['1', '0.99999999999999999999']],
  [{ ...number, minimum: -0.1, maximum: 5000 }, ['5e3', '50E2', '-0.1', '-0.1000'], ['-1e-1', '6e3', '-0.11', '5.1e3']],
  [{ ...number, minimum: 1e21 }, ['1e21', '1000000000000000000001'], ['999999999999999999999']],
]

test('what may be written, exactly', () => {
  for (const [schema, yes, no] of cases) {
    for (const text of yes) assert.ok(accepts(schema, text), `${text} under ${JSON.stringify(schema)}`)
    for (const text of no) assert.ok(!accepts(schema, text), `${text} under ${JSON.stringify(schema)}`)
  }
})

test('limits that no number satisfies are named', () => {
  for (const limits of [
    { minimum: 3, maximum: 2 },
    { exclusiveMinimum: 1, maximum: 1 },
    { multipleOf: 10, minimum: 11, maximum: 19 },
  ])
    for (const type of ['integer', 'number'])
      assert.throws(() => compileSchema({ type: 'object', properties: { n: { type, ...limits } } }), /\/properties\/n: no .* satisfies/)
})

test('a run of digits beyond every double never counts as complete, and does not end by force', () => {
  const at = matcher(compileSchema({ type: 'array', items: integer }), trie)
  for (const id of bytes.encode(`[${'7'.repeat(400)}`)) {
    assert.ok((at.mask(1000)[id >> 5]! >>> (id & 31)) & 1)
    assert.ok(at.accept(id))
  }
  assert.ok(!at.accept(bytes.encode(']')[0]!))
})

test('random limits: whatever is written validates', () => {
  const next = random(5)
  const size = () => Math.round((next() - 0.5) * 10 ** Math.floor(next() * 12)) / 10 ** Math.floor(next() * 4)
  for (let i = 0; i < 400; i++) {
    const low = size()
    const step = next() < 0.3 ? { multipleOf: Math.ceil(next() * 20) } : {}
    const from = next() < 0.7 ? { [next() < 0.5 ? 'minimum' : 'exclusiveMinimum']: low } : {}
    const to = next() < 0.7 ? { [next() < 0.5 ? 'maximum' : 'exclusiveMaximum']: low + Math.abs(size()) + 50 } : {}
    const schema = { type: next() < 0.5 ? 'integer' : 'number', ...step, ...from, ...to }
    const verdict = validator(schema)
    const grammar = compileSchema(schema)
    for (let text = 0; text < 10; text++) {
      const written = randomText(matcher(grammar, trie), bytes, next, 40)
      assert.ok(written.complete, JSON.stringify(schema))
      assert.equal(verdict(written.text), undefined, `${written.text} under ${JSON.stringify(schema)}`)
    }
  }
})
