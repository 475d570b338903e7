/**
 * Writes test/fixtures/schemas/generators.json: the JSON schemas of TypeBox, Valibot and ArkType. None of them is a
 * dependency of this project. In an empty folder: npm install @sinclair/typebox valibot @valibot/to-json-schema arktype,
 * then `node generated-schemas.mjs > …/test/fixtures/schemas/generators.json` from a copy of this file there.
 */
import { Type as T } from '@sinclair/typebox'
import { toJsonSchema } from '@valibot/to-json-schema'
import { type } from 'arktype'
import * as v from 'valibot'

const found = {}
const add = (name, make) => {
  try {
    found[name] = JSON.parse(JSON.stringify(make()))
  } catch (error) {
    console.error(`${name}: ${String(error.message).slice(0, 120)}`)
  }
}

const Person = T.Object({ name: T.String({ minLength: 1 }), age: T.Integer({ minimum: 0 }), email: T.Optional(T.String({ format: 'email' })) })
for (const [name, schema] of Object.entries({
  string: T.String(),
  'string limits': T.String({ minLength: 2, maxLength: 300, pattern: '^[a-z ]*$' }),
  'string formats': T.Tuple(['date-time', 'date', 'time', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uri-reference', 'uuid', 'json-pointer'].map((format) => T.String({ format }))),
  regexp: T.RegExp(/^foo|bar$/),
  number: T.Number({ exclusiveMinimum: 0, maximum: 1e21 }),
  integer: T.Integer({ minimum: 1, multipleOf: 5 }),
  boolean: T.Boolean(),
  null: T.Null(),
  any: T.Any(),
  unknown: T.Unknown(),
  never: T.Object({ a: T.Optional(T.Never()) }),
  literal: T.Literal('x'),
  literals: T.Union([T.Literal('a'), T.Literal(1), T.Literal(true)]),
  enum: T.Enum({ A: 'a', B: 'b' }),
  'enum numbers': T.Enum({ A: 0, B: 1 }),
  array: T.Array(T.String(), { minItems: 1, maxItems: 5 }),
  'array unique': T.Array(T.Integer(), { uniqueItems: true }),
  tuple: T.Tuple([T.String(), T.Number()]),
  'tuple empty': T.Tuple([]),
  object: Person,
  'object closed': T.Object({ a: T.String() }, { additionalProperties: false }),
  'object open': T.Object({ a: T.String() }, { additionalProperties: T.Number() }),
  partial: T.Partial(Person),
  required: T.Required(T.Partial(Person)),
  pick: T.Pick(Person, ['name']),
  omit: T.Omit(Person, ['email']),
  keyof: T.KeyOf(Person),
  intersect: T.Intersect([T.Object({ a: T.String() }), T.Object({ b: T.Number() })]),
  'intersect unevaluated': T.Intersect([T.Object({ a: T.String() }), T.Object({ b: T.Number() })], { unevaluatedProperties: false }),
  'intersect of union': T.Intersect([T.Object({ id: T.Integer() }), T.Union([T.Object({ a: T.String() }), T.Object({ b: T.String() })])]),
  composite: T.Composite([Person, T.Object({ id: T.String({ format: 'uuid' }) })]),
  union: T.Union([T.String(), T.Number(), T.Null()]),
  'union of objects': T.Union([T.Object({ k: T.Literal('a'), x: T.String() }), T.Object({ k: T.Literal('b'), y: T.Number() })]),
  record: T.Record(T.String(), T.Number()),
  'record of numbers': T.Record(T.Number(), T.String()),
  'record of literals': T.Record(T.Union([T.Literal('a'), T.Literal('b')]), T.Boolean()),
  'record of pattern': T.Record(T.String({ pattern: '^[a-z]+$' }), T.Integer()),
  recursive: T.Recursive((This) => T.Object({ id: T.String(), nodes: T.Array(This) }), { $id: 'Node' }),
  'template literal': T.TemplateLiteral('item-${1|2|3}-${number}'),
  readonly: T.Object({ a: T.Readonly(T.String()), b: T.ReadonlyOptional(T.Integer()) }),
  nullable: T.Object({ a: T.Union([T.String({ format: 'date' }), T.Null()]), b: T.Optional(T.Union([Person, T.Null()])) }),
  exclude: T.Exclude(T.Union([T.Literal('a'), T.Literal('b')]), T.Literal('a')),
  mapped: T.Mapped(T.Union([T.Literal('x'), T.Literal('y')]), () => T.Number()),
  module: T.Module({ A: T.Object({ b: T.Optional(T.Ref('B')) }), B: T.Object({ a: T.Optional(T.Ref('A')) }) }).Import('A'),
  'deep partial': T.Object({ a: T.Partial(T.Object({ b: T.Partial(T.Object({ c: T.String() })) })) }),
}))
  add(`typebox ${name}`, () => schema)

const p = (...args) => v.pipe(...args)
for (const [name, schema] of Object.entries({
  string: v.string(),
  email: p(v.string(), v.email()),
  url: p(v.string(), v.url()),
  uuid: p(v.string(), v.uuid()),
  ipv4: p(v.string(), v.ipv4()),
  ipv6: p(v.string(), v.ipv6()),
  ip: p(v.string(), v.ip()),
  isoDate: p(v.string(), v.isoDate()),
  isoDateTime: p(v.string(), v.isoDateTime()),
  isoTimestamp: p(v.string(), v.isoTimestamp()),
  isoTime: p(v.string(), v.isoTime()),
  base64: p(v.string(), v.base64()),
  ulid: p(v.string(), v.ulid()),
  nanoid: p(v.string(), v.nanoid()),
  cuid2: p(v.string(), v.cuid2()),
  hexColor: p(v.string(), v.hexColor()),
  hexadecimal: p(v.string(), v.hexadecimal()),
  decimal: p(v.string(), v.decimal()),
  digits: p(v.string(), v.digits()),
  emoji: p(v.string(), v.emoji()),
  bic: p(v.string(), v.bic()),
  imei: p(v.string(), v.imei()),
  mac: p(v.string(), v.mac()),
  octal: p(v.string(), v.octal()),
  rfcEmail: p(v.string(), v.rfcEmail()),
  slug: p(v.string(), v.slug()),
  regex: p(v.string(), v.regex(/^[a-z]+-\d+$/u)),
  lengths: p(v.string(), v.minLength(3), v.maxLength(30)),
  nonEmpty: p(v.string(), v.nonEmpty()),
  length: p(v.string(), v.length(5)),
  number: p(v.number(), v.minValue(0), v.maxValue(10)),
  gtLt: p(v.number(), v.gtValue(0), v.ltValue(10)),
  integer: p(v.number(), v.integer(), v.multipleOf(2)),
  boolean: v.boolean(),
  null: v.null(),
  any: v.any(),
  literal: v.literal('a'),
  picklist: v.picklist(['a', 'b', 'c']),
  enum: v.enum({ A: 'a', B: 2 }),
  array: p(v.array(v.string()), v.minLength(1), v.maxLength(4)),
  tuple: v.tuple([v.string(), v.number()]),
  strictTuple: v.strictTuple([v.string(), v.number()]),
  looseTuple: v.looseTuple([v.string()]),
  tupleWithRest: v.tupleWithRest([v.string()], v.boolean()),
  object: v.object({ a: v.string(), b: v.optional(v.number()) }),
  strictObject: v.strictObject({ a: v.string() }),
  looseObject: v.looseObject({ a: v.string() }),
  objectWithRest: v.objectWithRest({ a: v.string() }, v.number()),
  record: v.record(v.string(), v.number()),
  'record of picklist': v.record(v.picklist(['a', 'b']), v.number()),
  'record of email': v.record(p(v.string(), v.email()), v.number()),
  entries: p(v.record(v.string(), v.number()), v.minEntries(1), v.maxEntries(3)),
  nullable: v.nullable(v.string()),
  nullish: v.object({ a: v.nullish(v.string(), 'x') }),
  union: v.union([v.string(), v.number()]),
  variant: v.variant('type', [v.object({ type: v.literal('a'), x: v.number() }), v.object({ type: v.literal('b'), y: v.string() })]),
  intersect: v.intersect([v.object({ a: v.string() }), v.object({ b: v.number() })]),
  lazy: v.object({ name: v.string(), child: v.optional(v.lazy(() => v.object({ n: v.number() }))) }),
  described: p(v.object({ a: p(v.string(), v.description('A')) }), v.title('T'), v.description('D')),
}))
  add(`valibot ${name}`, () => toJsonSchema(schema))

for (const [name, definition] of Object.entries({
  string: 'string', email: 'string.email', uuid: 'string.uuid', url: 'string.url', ip: 'string.ip', date: 'string.date.iso', digits: 'string.digits',
  semver: 'string.semver', integer: 'number.integer', alpha: 'string.alpha', alphanumeric: 'string.alphanumeric', hex: 'string.hex', json: 'string.json', base64: 'string.base64',
  creditCard: 'string.creditCard', 'ip v4': 'string.ip.v4', 'ip v6': 'string.ip.v6', 'uuid v4': 'string.uuid.v4', lower: 'string.lower', upper: 'string.upper',
  'number limits': '0 < number <= 100', 'number divisor': 'number % 3', 'string length': '2 <= string <= 8', 'string exact': 'string == 4', regex: '/^a.*z$/',
  boolean: 'boolean', null: 'null', unknown: 'unknown', literal: "'a'", union: "'a' | 'b' | 1", 'string or number': 'string | number', array: 'string[]', 'array limits': '1 <= number[] < 5',
  object: { name: 'string', 'age?': 'number.integer >= 0' }, closed: { '+': 'reject', name: 'string' }, nested: { a: { b: { c: 'string[]' } } },
  index: { '[string]': 'number' }, 'index beside': { name: 'string', '[string]': 'unknown' }, tuple: ['string', 'number'], 'tuple rest': ['string', '...', 'number[]'],
  'tuple optional': ['string', 'number?'], optional: { 'a?': 'string.email' }, default: { a: 'string = "x"' }, nullable: { a: 'string | null' },
  variant: [{ kind: "'a'", x: 'number' }, '|', { kind: "'b'", y: 'string' }], intersection: [{ a: 'string' }, '&', { b: 'number' }], 'intersected string': 'string.email & string < 50',
}))
  add(`arktype ${name}`, () => type(definition).toJsonSchema())
add('arktype scope', () => type.module({ node: { name: 'string', children: 'node[]' } }).node.toJsonSchema())

process.stdout.write(JSON.stringify({ 'made with': 'TypeBox, Valibot and ArkType', schemas: found }, undefined, 1))
