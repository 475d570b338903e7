/** What each keyword lets through and keeps out, what is refused and how it is named, and the bounds on compiling. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anyObject, compileSchema, matcher, tokenTrie, UnsupportedSchemaError } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { validator } from './validator.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)

/** Whether a text, byte by byte, is allowed and complete. */
function accepts(schema: unknown, text: string): boolean {
  const at = matcher(compileSchema(schema), trie)
  return bytes.encode(text).every((id) => at.accept(id)) && at.isComplete()
}

const person = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' }, note: { type: 'string' } },
  required: ['name'],
  additionalProperties: false,
}

const cases: { schema: Record<string, unknown>; yes: string[]; no: string[] }[] = [
  {
    schema: person,
    yes: ['{"name":""}', '{"name": "Ada", "age": 36}', '{"name":"é\\n\\u00e9\\ud83d\\ude00💖","note":"x"}'],
    no: [
      '{}',
      '{"age":3}',
      '{"name":"a","x":1}',
      '{"name":1}',
      '{"name":"a",}',
      '{ "name":"a"}',
      '{"name":"a" }',
      '{"name":  "a"}',
      '{"name":"a"',
      ' {"name":"a"}',
      '{"name":"a"} ',
      '{"age":3,"name":"a"}',
    ],
  },
  {
    schema: { type: 'string' },
    yes: ['""', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\uD83D\\uDE00"', '"\u007f\u2028"'],
    no: [
      '"\n"',
      '"\t"',
      '"\\x"',
      '"\\ud83d"',
      '"\\ud83dx"',
      '"\\ud83d\\n"',
      '"\\ud83d\\ud83d"',
      '"\\udc00"',
      '"\\u12"',
      '"',
      "'a'",
      '"a"b',
    ],
  },
  {
    schema: { type: 'string', minLength: 2, maxLength: 3 },
    yes: ['"ab"', '"💖é€"', '"\\ud83d\\ude00a"', '"\\n\\u0041"'],
    no: ['"a"', '"abcd"', '"💖"', '"\\ud83d\\ude00"'],
  },
  { schema: { type: 'string', pattern: '^[a-z]+-\\d{2}$' }, yes: ['"ab-12"'], no: ['"-12"', '"ab-1"', '"ab-123"', '"Ab-12"', '"ab-1٣"'] },
  { schema: { type: 'string', pattern: 'é|["\\\\]|\\n' }, yes: ['"xéy"', '"\\""', '"a\\\\"', '"\\n"'], no: ['"x"', '""'] },
  { schema: { type: 'string', pattern: '^[^a-c]{2}$', maxLength: 5 }, yes: ['"xy"', '"é💖"', '"\\u0001d"'], no: ['"ax"', '"x"', '"xyz"'] },
  { schema: { type: 'string', pattern: '^(ab)*$', minLength: 3, maxLength: 5 }, yes: ['"abab"'], no: ['"ab"', '"ababab"', '""', '"aba"'] },
  {
    schema: { type: 'string', format: 'date' },
    yes: ['"2024-02-28"', '"1999-12-31"'],
    no: ['"2024-02-30"', '"2024-13-01"', '"2024-1-01"', '"x"'],
  },
  { schema: { type: 'string', format: 'email' }, yes: ['"ada.l+x@example.co-op.org"'], no: ['"a@b"', '"@b.de"', '"a@1.2"', '"a b@c.de"'] },
  {
    schema: { type: 'string', format: 'uri' },
    yes: ['"https://a.example.com/b/c.html"'],
    no: ['"a.com"', '"http://1.2.3.4.5"', '"ftp:a.com"'],
  },
  { schema: { type: 'string', format: 'hostname' }, yes: ['"a-1.b2.org"'], no: ['"-a.org"', '"a..org"', '"a--b.org"'] },
  { schema: { type: 'integer' }, yes: ['0', '-7', '1234567890123456789'], no: ['-0', '01', '1.0', '1e3', '+1', ''] },
  {
    schema: { type: 'integer', minimum: -12, maximum: 105 },
    yes: ['-12', '-1', '0', '9', '99', '100', '105'],
    no: ['-13', '-2.0', '106', '1000', '-120'],
  },
  { schema: { type: 'integer', exclusiveMinimum: 9, exclusiveMaximum: 11.5 }, yes: ['10', '11'], no: ['9', '12', '1', '110'] },
  { schema: { type: 'number' }, yes: ['0', '-0.5', '1.25e-10', '3E+2', '-0'], no: ['.5', '1.', '1e', '00', 'NaN', '1e400'] },
  {
    schema: { type: 'number', minimum: 0, exclusiveMaximum: 1 },
    yes: ['0', '0.0', '0.5', '0.99999999999999'],
    no: ['1', '-0.5', '1.0', '0.', '5e-1'],
  },
  {
    schema: { type: 'number', exclusiveMinimum: -0.25, maximum: 2.5 },
    yes: ['-0.2', '2.5', '2.50', '0', '-0.24999'],
    no: ['-0.25', '-0.250', '2.51', '3', '-0'],
  },
  {
    schema: { enum: ['a', 'ab', 'é"', 1, 12, null, { k: [1] }] },
    yes: ['"a"', '"ab"', '"é\\""', '1', '12', 'null', '{"k":[1]}'],
    no: ['"b"', '"', '2', '123', '"abc"', '{"k":[1]'],
  },
  { schema: { const: 'x', type: 'string' }, yes: ['"x"'], no: ['"y"', '""'] },
  { schema: { type: ['string', 'null'], enum: ['a', null, 3] }, yes: ['"a"', 'null'], no: ['3'] },
  {
    schema: { type: 'array', items: { type: 'boolean' }, minItems: 1, maxItems: 2 },
    yes: ['[true]', '[true, false]', '[true,false]'],
    no: ['[]', '[true,true,true]', '[1]', '[true,]', '[ true]'],
  },
  {
    schema: { type: 'array', prefixItems: [{ const: 1 }, { const: 2 }], items: { const: 3 } },
    yes: ['[]', '[1]', '[1,2,3,3]'],
    no: ['[2]', '[1,3]', '[1,2,4]'],
  },
  { schema: { type: 'array', prefixItems: [{ const: 1 }], items: false, minItems: 1 }, yes: ['[1]'], no: ['[]', '[1,1]'] },
  { schema: { anyOf: [{ type: 'integer' }, person] }, yes: ['3', '{"name":"a"}'], no: ['"a"', '{}'] },
  { schema: { type: 'integer', nullable: true }, yes: ['3', 'null'], no: ['"a"'] },
  {
    schema: { type: 'object', properties: { a: { type: 'integer' }, ab: {} }, additionalProperties: { type: 'boolean' } },
    yes: ['{}', '{"a":1,"b":true,"":false}', '{"abc":true,"aé":false}', '{"x\\n":true}'],
    no: ['{"a":true}', '{"\\u0061":true}', '{"b":1}', '{"b":true,"a":1}', '{"b":true,"a":true}', '{"x":true,"ab":true}'],
  },
  {
    schema: { type: 'object', properties: { a: {}, b: {}, c: {} }, minProperties: 2, maxProperties: 2, additionalProperties: false },
    yes: ['{"a":1,"b":2}', '{"a":[],"c":{}}', '{"b":1,"c":1}'],
    no: ['{"a":1}', '{"a":1,"b":1,"c":1}', '{}', '{"c":1}'],
  },
  { schema: { type: 'object', required: ['z'], minProperties: 2 }, yes: ['{"z":1,"y":2}'], no: ['{"z":1}', '{"y":1}'] },
  { schema: { ...anyObject }, yes: ['{}', '{"a":[1,{"b":null}],"c":"d"}'], no: ['[]', '1', '{"a"}', '{"a":1,}'] },
  {
    schema: { $ref: '#/$defs/t', $defs: { t: { type: 'array', items: { $ref: '#/$defs/t' } } } },
    yes: ['[]', '[[],[[]]]'],
    no: ['[1]', '['],
  },
  {
    schema: {
      oneOf: [
        { type: 'string' },
        { type: 'object', properties: { k: { const: 1 } }, required: ['k'] },
        { type: 'object', properties: { k: { const: 2 } }, required: ['k'] },
      ],
    },
    yes: ['"a"', '{"k":1}', '{"k":2}'],
    no: ['{"k":3}', '{}'],
  },
]

test('keywords: what is let through and kept out', () => {
  for (const { schema, yes, no } of cases) {
    const verdict = validator(schema)
    for (const text of yes) {
      assert.ok(accepts(schema, text), `${text} under ${JSON.stringify(schema)}`)
      assert.equal(verdict(text), undefined, `${text} under ${JSON.stringify(schema)}`)
    }
    for (const text of no) assert.ok(!accepts(schema, text), `${text} under ${JSON.stringify(schema)}`)
  }
})

test('true allows any value', () => {
  for (const text of ['1', '"a"', 'null', '[{"a":[]}]', '{"a":{}}']) assert.ok(accepts(true, text))
})

test('what is not enforced is refused with its path', () => {
  const property = (schema: unknown) => ({ type: 'object', properties: { 'a/b~': schema } })
  const refused: [unknown, string][] = [
    [property({ type: 'integer', multipleOf: 0 }), '/properties/a~1b~0/multipleOf'],
    [property({ type: 'string', format: 'regex' }), '/properties/a~1b~0/format'],
    [property({ type: 'string', pattern: '(?<=a)b' }), '/properties/a~1b~0/pattern'],
    [property({ type: 'string', pattern: '(a)\\1' }), '/properties/a~1b~0/pattern'],
    [property({ type: 'string', pattern: 'a', format: 'date' }), '/properties/a~1b~0/pattern'],
    [property({ type: 'string', pattern: '^a$', minLength: 2 }), '/properties/a~1b~0/pattern'],
    [property({ type: 'strnig' }), '/properties/a~1b~0/type'],
    [property({ type: 'string', minLenght: 3 }), '/properties/a~1b~0/minLenght'],
    [property({ type: 'integer', minimum: 3, maximum: 2 }), '/properties/a~1b~0'],
    [property({ type: 'integer', minimum: 1.2, maximum: 1.8 }), '/properties/a~1b~0'],
    [property({ type: 'integer', exclusiveMinimum: true }), '/properties/a~1b~0/exclusiveMinimum'],
    [{ type: 'array', uniqueItems: true }, '/uniqueItems'],
    [{ type: 'array', contains: {} }, '/contains'],
    [{ type: 'array', minItems: 3, maxItems: 2 }, '/minItems'],
    [{ type: 'object', required: ['x'], additionalProperties: false }, '/required'],
    [{ type: 'object', properties: { a: 7 } }, '/properties/a'],
    [{ not: {} }, ''],
    [{ not: { type: 'string' } }, '/not'],
    [{ if: {}, else: {} }, '/if'],
    [{ allOf: [] }, '/allOf'],
    [{ anyOf: [] }, '/anyOf'],
    [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, '/oneOf/1'],
    [{ oneOf: [{ const: 1 }, { enum: [1, 2] }] }, '/oneOf/1'],
    [{ $ref: 'http://example.com/x' }, '/$ref'],
    [{ $ref: '#/$defs/none' }, '/$ref'],
    [{ $ref: '#/$defs/__proto__', $defs: {} }, '/$ref'],
    [{ enum: ['a'], minLength: 3 }, ''],
    [{ enum: ['a'], type: 'integer' }, ''],
    [false, ''],
    ['string', ''],
    [{ $ref: '#' }, ''],
    [{ type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, ''],
    [{ type: 'object', properties: { a: {} }, minProperties: 2, additionalProperties: false }, ''],
  ]
  for (const [schema, path] of refused)
    assert.throws(
      () => compileSchema(schema),
      (error) => error instanceof UnsupportedSchemaError && error.path === path,
      `${JSON.stringify(schema)} at ${path}`,
    )
})

test('references may not lead too deep, nor be compared without end', () => {
  const chain = (length: number) => ({
    $defs: Object.fromEntries(
      Array.from({ length }, (_, i) => [
        `d${i}`,
        i + 1 < length ? { type: 'object', properties: { a: { $ref: `#/$defs/d${i + 1}` } } } : true,
      ]),
    ),
    $ref: '#/$defs/d0',
  })
  compileSchema(chain(150))
  assert.throws(() => compileSchema(chain(2000)), {
    name: 'UnsupportedSchemaError',
    message: /more than 400 levels, counted through \$ref/,
  })
  const nobody = { anyOf: Array.from({ length: 300 }, () => false) }
  const started = process.cpuUsage()
  assert.throws(
    () => compileSchema({ $defs: { nobody }, oneOf: Array.from({ length: 1000 }, () => ({ $ref: '#/$defs/nobody' })) }),
    /branches of oneOf are too many to tell apart/,
  )
  assert.ok(process.cpuUsage(started).user < 5_000_000)
})

test('any number of constants as alternatives, also through references; too many others are refused', () => {
  const list = <T>(count: number, entry: (i: number) => T) => Array.from({ length: count }, (_, i) => entry(i))
  const constants = list(600, (i) => ({ const: `zone-${i}`, title: `Zone ${i}` }))
  const $defs = Object.fromEntries(constants.map((constant, i) => [`c${i}`, constant]))
  const references = list(600, (i) => ({ $ref: `#/$defs/c${i}` }))
  const objects = (count: number) => list(count, (i) => ({ ...person, properties: { name: { const: `n${i}` } } }))
  for (const schema of [
    { oneOf: constants },
    { type: 'string', anyOf: constants },
    { $defs, anyOf: references },
    { anyOf: [{ anyOf: constants.slice(0, 300) }, { anyOf: constants.slice(300) }, ...objects(200), { type: 'null' }] },
  ]) {
    for (const text of ['"zone-0"', '"zone-255"', '"zone-256"', '"zone-599"']) assert.ok(accepts(schema, text), text)
    for (const text of ['"zone-600"', '"zone-"', '"x"', '1']) assert.ok(!accepts(schema, text), text)
  }
  assert.ok(accepts({ anyOf: [...constants, ...objects(255)] }, '{"name":"n254"}'))
  assert.ok(accepts({ anyOf: [...objects(256), ...list(300, () => false)] }, '{"name":"n255"}'), 'what has no value does not count')
  for (const [alternatives, count] of [
    [objects(257), 257],
    [[...constants, ...objects(256)], 257],
    [[{ anyOf: [...constants, ...objects(128)] }, { anyOf: [{ anyOf: constants }, ...objects(128)] }], 258],
    [[{ oneOf: objects(200) }, ...list(100, (i) => ({ type: 'array', maxItems: i }))], 300],
  ] as const)
    assert.throws(() => compileSchema({ properties: { a: { anyOf: alternatives } } }), {
      message: `/properties/a: ${count} alternatives of anyOf or oneOf; at most 256 are supported, all constants of a list counted as one`,
    })
})

test('compiling is bounded', () => {
  let deep: unknown = {}
  for (let i = 0; i < 5000; i++) deep = { type: 'array', items: deep }
  const hostile: unknown[] = [
    deep,
    { type: 'string', pattern: `(${'a?'.repeat(500)}){9999}` },
    { type: 'string', pattern: `^${'(a|b)*a'}${'(a|b)'.repeat(30)}$` },
    { type: 'string', pattern: '('.repeat(1000) },
    { type: 'string', pattern: 'a'.repeat(15_000) },
    { type: 'string', pattern: `^(${'ab'.repeat(40)})*$`, minLength: 60_000 },
    { type: 'array', minItems: 1e9 },
    { enum: Array.from({ length: 30_000 }, (_, i) => i) },
    { const: 'x'.repeat(1_000_000) },
    { anyOf: Array.from({ length: 900 }, () => ({ anyOf: Array.from({ length: 900 }, () => ({ type: 'null' })) })) },
  ]
  for (const schema of hostile) {
    const start = process.cpuUsage()
    assert.throws(() => compileSchema(schema), UnsupportedSchemaError)
    const ms = process.cpuUsage(start).user / 1000
    assert.ok(ms < 3000, `${ms} ms`)
  }
  // Allowed, and no trouble: many branches that look alike, deep recursion while writing.
  const branchy = { anyOf: Array.from({ length: 200 }, (_, i) => ({ type: 'array', items: { $ref: '#' }, maxItems: i + 1 })) }
  const at = matcher(compileSchema(branchy), trie)
  for (let i = 0; i < 12; i++) assert.ok(at.accept('['.charCodeAt(0)))
  assert.ok(at.mask(100).some((word) => word !== 0))
})

test('a compiled constant of a hundred thousand characters is written to its end', () => {
  const text = 'x'.repeat(100_000)
  assert.ok(accepts({ const: text }, JSON.stringify(text)))
})

test('the patterns of a schema share one budget of work, and equal ones cost once', () => {
  const many = (pattern: (i: number) => string) => ({
    type: 'object',
    properties: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`p${i}`, { type: 'string', pattern: pattern(i) }])),
  })
  for (const costly of [(i: number) => `(a|b)*a(a|b){9}x${i}`, (i: number) => `^(a${i}?){300}$`, (i: number) => `(.?){300}é${i}`]) {
    const before = process.cpuUsage()
    assert.throws(
      () => compileSchema(many(costly)),
      (error) =>
        error instanceof UnsupportedSchemaError && /^\/properties\/p\d+\/pattern: the patterns .* cost too much/.test(error.message),
    )
    const ms = process.cpuUsage(before).user / 1000
    assert.ok(ms < 4000, `${ms} ms`)
  }
  compileSchema(many(() => '(a|b)*a(a|b){9}x'))
  compileSchema(many((i) => `^[a-z]{2,8}${i}$`))
})
