/** Random schemas of the supported subset, from a fixed source. */
type Random = () => number
type Schema = Record<string, unknown>

const names = ['name', 'age', 'id', 'value', 'tags', 'kind', 'é', 'a b', 'quote"d', 'x', 'data', '名']
const patterns = [
  '^[a-z]{2,8}$',
  '^(red|green|blue)-[0-9]+$',
  '[A-Z]',
  '^\\d{3}-\\d{4}$',
  '^[^"\\\\]{1,10}$',
  '^.{0,5}é+$',
  '^(a|ab|abc)*$',
  '\\.json$',
]
const formats = ['date', 'time', 'date-time', 'uuid', 'ipv4', 'email', 'hostname', 'uri']

/** @param depth levels of nesting that may still be opened */
export function randomSchema(next: Random, depth = 3): Schema {
  const below = (limit: number) => Math.floor(next() * limit)
  const one = <T>(list: readonly T[]): T => list[below(list.length)]!
  const maybe = (chance: number) => next() < chance
  const limits = (least: string, most: string, range: number): Schema => {
    const low = below(range)
    return { ...(maybe(0.4) ? { [least]: low } : {}), ...(maybe(0.5) ? { [most]: low + below(range) } : {}) }
  }
  const object = (): Schema => {
    const chosen = names.filter(() => maybe(0.3))
    const properties = Object.fromEntries(chosen.map((name) => [name, randomSchema(next, depth - 1)]))
    const required = chosen.filter(() => maybe(0.6))
    const additionalProperties = maybe(0.6) ? false : maybe(0.5) ? undefined : randomSchema(next, depth - 2)
    const counted = additionalProperties === false && maybe(0.3)
    return {
      type: 'object',
      ...(chosen.length > 0 ? { properties } : {}),
      ...(required.length > 0 ? { required } : {}),
      ...(additionalProperties === undefined ? {} : { additionalProperties }),
      ...(counted ? { minProperties: below(chosen.length + 1), maxProperties: Math.max(required.length, chosen.length) } : {}),
    }
  }
  const number = (): Schema => {
    const low = Math.round((next() - 0.5) * 10 ** below(7)) / (maybe(0.5) ? 1 : 100)
    const high = low + Math.ceil(next() * 10 ** below(6))
    return {
      ...(maybe(0.5) ? { [maybe(0.7) ? 'minimum' : 'exclusiveMinimum']: low } : {}),
      ...(maybe(0.5) ? { [maybe(0.7) ? 'maximum' : 'exclusiveMaximum']: high + 1 } : {}),
    }
  }
  const leaves: (() => Schema)[] = [
    () => ({ type: 'string', ...limits('minLength', 'maxLength', 12) }),
    () => ({ type: 'string', pattern: one(patterns) }),
    () => ({ type: 'string', format: one(formats) }),
    () => ({ type: 'integer', ...number() }),
    () => ({ type: 'number', ...number() }),
    () => ({ type: one(['boolean', 'null']) }),
    () => ({ enum: ['red', 'reddish', 'ré"d\n', 1, 12, 1.5, true, null, { a: [1, 'x'] }, ['y']].filter(() => maybe(0.4)).concat('z') }),
    () => ({ const: one<unknown>(['fixed', -7, { k: null }, 'a/b\\c']) }),
    () => ({ type: ['string', 'integer', 'null'].filter(() => maybe(0.6)).concat('boolean'), maxLength: 5, minimum: -3 }),
  ]
  const inner: (() => Schema)[] = [
    object,
    object,
    object,
    () => ({ type: 'array', items: randomSchema(next, depth - 1), ...limits('minItems', 'maxItems', 4) }),
    () => ({
      type: 'array',
      prefixItems: [randomSchema(next, depth - 1), randomSchema(next, depth - 1)],
      items: maybe(0.5) ? false : randomSchema(next, depth - 2),
      ...(maybe(0.5) ? { minItems: 1 + below(2) } : {}),
    }),
    () => ({ anyOf: [randomSchema(next, depth - 1), randomSchema(next, depth - 1), randomSchema(next, depth - 1)].slice(0, 1 + below(3)) }),
    () => ({
      oneOf: ['circle', 'square', 'dot'].map((kind) => ({
        type: 'object',
        properties: { kind: { const: kind }, size: randomSchema(next, depth - 2) },
        required: ['kind'],
        additionalProperties: false,
      })),
    }),
    () => ({ allOf: [randomSchema(next, depth - 1)], description: 'the same' }),
    () => ({}),
  ]
  return one(depth > 0 && maybe(0.75) ? inner : leaves)()
}

/** Sometimes with recursion through $defs. */
export function randomRoot(next: Random): Schema {
  if (next() < 0.85) return randomSchema(next)
  return {
    type: 'object',
    properties: { tree: { $ref: '#/$defs/node' }, other: randomSchema(next, 1) },
    required: ['tree'],
    additionalProperties: false,
    $defs: {
      node: {
        type: 'object',
        properties: {
          value: randomSchema(next, 1),
          children: { type: 'array', items: { $ref: '#/$defs/node' }, maxItems: 3 },
          next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] },
        },
        required: ['value'],
        additionalProperties: false,
      },
    },
  }
}
