/** Schemas with which other programs met trouble, and what each must allow or refuse. One table for the library and for HTTP. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readJson } from '../../src/json/lossless.ts'
import { compileSchema, matcher, tokenTrie, UnsupportedSchemaError } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { final, jsonOf, scripted } from '../server/scripted-app.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)

function accepts(schema: unknown, text: string, undeclared?: 'open' | 'closed'): boolean {
  const at = matcher(compileSchema(schema, { undeclared }), trie)
  return bytes.encode(text).every((id) => at.accept(id)) && at.isComplete()
}

const string = { type: 'string' }
const integer = { type: 'integer' }
const object = (properties: object, required: string[] = Object.keys(properties)) => ({ type: 'object', properties, required })
const cat = { ...object({ kind: { const: 'cat' }, lives: integer }), additionalProperties: false }
const dog = { ...object({ kind: { const: 'dog' }, name: string }), additionalProperties: false }

const cases: [name: string, schema: unknown, yes: string[], no: string[]][] = [
  ['ids of 19 digits', object({ id: integer }), ['{"id":1234567890123456789}'], []],
  ['any object keeps numbers', { type: 'object' }, ['{"id":12345678901234567890.125}'], []],
  [
    'discriminator',
    { oneOf: [cat, dog], discriminator: { propertyName: 'kind' } },
    ['{"kind":"cat","lives":9}'],
    ['{"kind":"cat","name":"x"}'],
  ],
  [
    'annotations',
    {
      ...object({ a: { ...string, example: 'x', xml: { name: 'b' }, strict: true } }),
      propertyOrdering: ['a'],
      markdownDescription: 'A',
      externalDocs: {},
    },
    ['{"a":"b"}'],
    [],
  ],
  [
    'format beside pattern',
    { ...string, format: 'date', pattern: '^2024-' },
    ['"2024-02-29"'],
    ['"2023-01-01"', '"2024-02-30"', '"2024-"'],
  ],
  ['unknown format beside pattern', { ...string, format: 'starts_with', pattern: '^ab.*' }, ['"abc"'], ['"cab"']],
  [
    'lookahead beside email',
    { ...string, format: 'email', pattern: '^(?!\\.)(?!.*\\.\\.)[a-z.]+@[a-z.]+$' },
    ['"a.b@c.de"'],
    ['"a..b@c.de"', '"a@b"'],
  ],
  [
    'formats',
    { type: 'array', items: { anyOf: ['byte', 'duration', 'ipv6'].map((format) => ({ ...string, format })) } },
    ['["AAA=","P1DT2H","::1"]'],
    ['["P","1::2::3"]'],
  ],
  ['format with maxLength', { ...string, format: 'email', maxLength: 254 }, ['"o\'neil+x@example.org"'], ['"x"']],
  [
    'pattern with maxLength',
    { ...string, pattern: '^[^<>]*$', maxLength: 2000 },
    [`"${'é'.repeat(2000)}"`],
    [`"${'é'.repeat(2001)}"`, '"<"'],
  ],
  ['9,000 constants', { enum: Array.from({ length: 9000 }, (_, i) => `A${i}`) }, ['"A0"', '"A8999"'], ['"A9000"']],
  ['propertyNames says nothing', { type: 'object', propertyNames: string, additionalProperties: integer }, ['{"a":1}'], ['{"a":"b"}']],
  [
    'propertyNames of a list',
    { type: 'object', propertyNames: { enum: ['x', 'y'] }, additionalProperties: integer, required: ['x'] },
    ['{"x":1,"y":2}', '{"x":1}'],
    ['{"z":1}', '{"y":1}'],
  ],
  [
    'propertyNames of a list beside patternProperties',
    { type: 'object', propertyNames: { enum: ['a', 'b'] }, patternProperties: { '^x': integer } },
    ['{"a":1}'],
    ['{"xyz":1}'],
  ],
  [
    'propertyNames under a pattern',
    { type: 'object', propertyNames: { pattern: '^[a-z]{2,3}$' }, additionalProperties: integer },
    ['{"ab":1,"abc":2}'],
    ['{"a":1}', '{"abcd":1}'],
  ],
  [
    'patternProperties',
    { type: 'object', patternProperties: { '^x_': integer, _s$: string }, additionalProperties: false },
    ['{"x_a":1,"b_s":"c"}'],
    ['{"x_a":"b"}', '{"x_s":1}', '{"a":1}'],
  ],
  [
    'a declared name under a pattern',
    { ...object({ x_a: { minimum: 3 } }), patternProperties: { '^x_': integer } },
    ['{"x_a":3,"x_b":1}'],
    ['{"x_a":2}', '{"x_a":3.5}'],
  ],
  [
    'minProperties of a map',
    { type: 'object', additionalProperties: integer, minProperties: 2 },
    ['{"a":1,"b":2}'],
    ['{"a":1}', '{"a":1,"a":2}'],
  ],
  ['multipleOf', { type: 'number', multipleOf: 0.05 }, ['0.15', '3'], ['0.16']],
  ['uniqueItems', { type: 'array', items: string, uniqueItems: true }, ['["a","b"]'], ['["a","a"]']],
  [
    'required alternatives',
    { ...object({ a: string, b: integer }, []), anyOf: [{ required: ['a'] }, { required: ['b'] }] },
    ['{"a":"x"}', '{"b":1}', '{"a":"x","b":1}'],
    ['{}'],
  ],
  [
    'allOf with two arms',
    { allOf: [object({ a: string }), object({ b: { type: 'number' } }), { properties: { b: integer } }] },
    ['{"a":"x","b":1}'],
    ['{"a":"x"}', '{"a":"x","b":1.5}'],
  ],
  ['$ref with siblings', { $ref: '#/$defs/s', maxLength: 2, $defs: { s: string } }, ['"ab"'], ['"abc"', '1']],
  [
    'tuples of draft 7',
    { type: 'array', items: [string, integer], additionalItems: false, minItems: 2 },
    ['["a",1]'],
    ['["a"]', '["a",1,2]', '[1,"a"]'],
  ],
  [
    'limits of several schemas',
    { allOf: [{ ...integer, minimum: 3 }, { type: 'number', maximum: 5 }, { multipleOf: 2 }] },
    ['4'],
    ['3', '6', '4.0'],
  ],
  ['constants beside limits', { enum: ['a', 'abc', 5, 50], minLength: 2, maximum: 10 }, ['"abc"', '5'], ['"a"', '50']],
  [
    'unevaluatedProperties',
    { allOf: [object({ a: string }), object({ b: integer })], unevaluatedProperties: false },
    ['{"a":"x","b":1}'],
    ['{"a":"x","b":1,"c":2}'],
  ],
  [
    'an alternative that contradicts the limits beside it',
    {
      type: ['string', 'array', 'object'],
      ...{ minLength: 2, minItems: 2, minProperties: 2 },
      anyOf: [
        { maxLength: 1, maxItems: 1, maxProperties: 1 },
        { maxLength: 3, maxItems: 3, maxProperties: 3, pattern: '^a' },
      ],
    },
    ['"ab"', '"abc"', '[1,2]', '{"a":1,"b":2}'],
    ['"a"', '"bc"', '"abcd"', '[1]', '{"a":1}', '""'],
  ],
  [
    'an impossible alternative under uniqueItems',
    { type: 'array', uniqueItems: true, items: { type: 'string', minLength: 1, anyOf: [{ maxLength: 0 }, { pattern: '^a' }] } },
    ['["a","ab"]'],
    ['[""]', '["a","a"]', '["b"]'],
  ],
  ['constants beside contradictory lengths', { enum: ['a', 5], minLength: 1, anyOf: [{ maxLength: 0 }, {}] }, ['"a"', '5'], ['""']],
  ['a constant of a type of which no keyword speaks', { enum: ['a', 'abc', 5], minLength: 2 }, ['"abc"', '5'], ['"a"']],
  [
    'oneOf without type: no other values are written',
    { oneOf: [object({ k: { const: 1 } }), object({ k: { const: 2 } })].map(({ type: _, ...rest }) => rest) },
    ['{"k":1}', '{"k":2}'],
    ['{"k":3}', '"x"'],
  ],
  ['not {}', object({ a: string, b: { not: {} } }, ['a']), ['{"a":"x"}'], ['{"a":"x","b":1}']],
  [
    'OpenAPI 3.0',
    object({ a: { ...string, nullable: true }, b: { type: 'number', minimum: 0, exclusiveMinimum: true } }),
    ['{"a":null,"b":0.5}'],
    ['{"a":null,"b":0}'],
  ],
  [
    'references by name',
    { $defs: { n: { $id: 'n', ...object({ k: { type: 'array', items: { $ref: 'n' } } }) } }, $ref: 'n' },
    ['{"k":[{"k":[]}]}'],
    ['{"k":[1]}'],
  ],
  [
    'pointers inside an embedded schema with its own $id (JSON Schema 2020-12, bundled documents)',
    {
      $id: 'https://example.com/schemas/customer',
      ...object({ shipping: { $ref: '/schemas/address' }, next: { $ref: 'https://example.com/schemas/customer#/$defs/state' } }),
      $defs: {
        address: {
          $id: '/schemas/address',
          ...object({ 'a/b': { $ref: '#/$defs/state' }, old: { $ref: '#/$defs/old' }, root: { $ref: '#/$defs/zip' } }, ['a/b']),
          $defs: { state: { enum: ['CA', 'NY'] }, old: { type: 'array', items: { $ref: '#' } } },
        },
        state: integer,
        zip: { const: 8001 },
      },
    },
    ['{"shipping":{"a/b":"CA","old":[{"a/b":"NY"}],"root":8001},"next":3}'],
    [
      '{"shipping":{"a/b":3},"next":3}',
      '{"shipping":{"a/b":"CA","old":[{"shipping":1}]},"next":3}',
      '{"shipping":{"a/b":"CA"},"next":"CA"}',
    ],
  ],
  [
    'a property that is called $id is no embedded schema',
    { ...object({ $id: string, k: { $ref: '#/$defs/s' } }), $defs: { s: integer } },
    ['{"$id":"x","k":1}'],
    ['{"$id":"x","k":"y"}'],
  ],
  ['undeclared names are closed', object({ a: string }, []), ['{"a":"x"}', '{}'], ['{"b":1}', '{"a":"x","b":1}']],
  ['undeclared names that are allowed', { ...object({ a: string }), additionalProperties: true }, ['{"a":"x","b":1}'], []],
  ['an object without properties is open', { type: 'object' }, ['{"b":1}'], []],
  ['closing leaves what is required', { ...object({ a: string }), required: ['a', 'z'] }, ['{"a":"x","z":[1]}'], ['{"a":"x"}']],
  [
    'pieces of an array of records',
    object({ tasks: { type: 'array', items: object({ name: string, age: integer }) } }, []),
    ['{"tasks":[{"name":"Bob","age":31}]}'],
    ['{"Bob is 31 years old":1}', '{"tasks":[{"Bob":1}]}'],
  ],
]

test('what is allowed and what is not', () => {
  for (const [name, schema, yes, no] of cases) {
    for (const text of yes) assert.ok(accepts(schema, text), `${name}: ${text}`)
    for (const text of no) assert.ok(!accepts(schema, text), `${name}: ${text}`)
  }
})

test('the same over HTTP: the model writes an allowed text, and it comes back whole', async () => {
  for (const [name, schema, [text]] of cases) {
    if (!text!.startsWith('{') || text!.length > 200) continue
    const { post } = scripted(() => final(text!))
    const format = { type: 'json_schema', json_schema: { name: 'x', schema } }
    const body = { model: 'scripted', messages: [{ role: 'user', content: 'Go.' }], response_format: format }
    const { choices } = await jsonOf(post('/v1/chat/completions', body))
    assert.deepEqual([choices[0].message.content, choices[0].finish_reason], [text, 'stop'], name)
  }
})

test('names like integers keep their order over HTTP', async () => {
  const text = '{"b":1,"10":2,"2":3}'
  const { post } = scripted(() => final(text))
  const schema = '{"type":"object","properties":{"b":{},"10":{},"2":{}},"required":["b","10","2"]}'
  const body = `{"model":"scripted","messages":[{"role":"user","content":"Go."}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":${schema}}}}`
  const { choices } = await jsonOf(post('/v1/chat/completions', body))
  assert.deepEqual([choices[0].message.content, choices[0].finish_reason], [text, 'stop'])
})

test('undeclared names as an option', () => {
  const schema = object({ a: string })
  assert.ok(accepts(schema, '{"a":"x","b":1}', 'open'))
  assert.ok(!accepts(schema, '{"a":"x","b":1}', 'closed'))
  assert.ok(accepts({ ...schema, minProperties: 2 }, '{"a":"x","b":1}', 'closed'), 'a schema that needs other names stays open')
})

test('names like integers and limits beyond 2^53 are read from the text', () => {
  const keys = readJson('{"type":"object","properties":{"b":{},"10":{},"2":{}},"required":["b","10","2"]}')
  assert.ok(accepts(keys, '{"b":1,"10":2,"2":3}'))
  assert.ok(!accepts(keys, '{"2":3,"10":2,"b":1}'))
  const limits = readJson('{"type":"integer","minimum":9007199254740993,"maximum":9223372036854775806}')
  for (const text of ['9007199254740993', '9223372036854775806']) assert.ok(accepts(limits, text), text)
  for (const text of ['9007199254740992', '9223372036854775807']) assert.ok(!accepts(limits, text), text)
  const constant = readJson('{"const":12345678901234567891}')
  assert.ok(accepts(constant, '12345678901234567891'))
})

test('what is not supported fails with its path and a true reason', () => {
  for (const [schema, message] of [
    [{ type: 'object', properties: null }, '/properties: expected an object'],
    [object({ a: { ...string, format: 'regex' } }), '/properties/a/format: regex is not supported'],
    [
      {
        allOf: [
          { ...object({ a: string }), additionalProperties: false },
          { ...object({ b: string }), additionalProperties: false },
        ],
      },
      /no finite value satisfies it \(\/allOf\/0\/required: "a" is required but neither declared nor allowed\)/,
    ],
    [
      { allOf: [{ type: 'array', minItems: 3 }, { maxItems: 2 }] },
      'the schema: no finite value satisfies it (no value has at least 3 and at most 2)',
    ],
    [object({ a: { ...string, minLength: 3, maxLength: 2 } }), '/properties/a/minLength: no value has at least 3 and at most 2'],
    [{ oneOf: [string, { properties: { a: integer }, required: ['a'] }] }, /^\/oneOf\/1: oneOf is supported only where/],
    [{ oneOf: [{ enum: [1, 'x'] }, { required: ['a'] }] }, /^\/oneOf\/1: /],
    [{ oneOf: [string, { allOf: [{ required: ['a'] }, { properties: { a: false } }] }] }, /^\/oneOf\/1: /],
    [{ oneOf: [{ minLength: 1 }, { minimum: 1 }] }, /^\/oneOf\/1: /],
    [{ type: 'object', if: {} }, '/if: this keyword is not supported'],
    [
      { type: 'object', propertyNames: { pattern: '^a' }, minProperties: 3 },
      /\/minProperties: more than one name that only a pattern describes/,
    ],
    [{ type: 'array', items: { type: 'object' }, uniqueItems: true }, /\/uniqueItems: only elements/],
    [{ not: { type: 'null' } }, '/not: only {} is supported here, which no value satisfies'],
  ] as const)
    assert.throws(
      () => compileSchema(schema),
      (error) =>
        error instanceof UnsupportedSchemaError && (typeof message === 'string' ? error.message === message : message.test(error.message)),
      JSON.stringify(schema),
    )
})
