/**
 * Cost of structured output per token: `node bench/structured.ts [REPEATS]`. Random texts under four schemas over o200k (js-tiktoken's
 * ranks). Each walk is repeated with cold caches, except for the vocabulary's index. The fastest repeat of a step counts, because other
 * programs can only slow it down. Prints one line of JSON per schema, times in milliseconds.
 */
import o200kRanks from 'js-tiktoken/ranks/o200k_base'
import { compileSchema, constraint, type Matcher, matcher as matcherOf, tokenTrie } from '../src/structured/structured.ts'
import { tokenizerFromJson } from '../src/tokenizer/tokenizer-json.ts'
import { allowedIds } from '../test/structured/validator.ts'
import { random } from '../test/tokenizer/mixed-text.ts'
import { o200kHarmonyJson } from '../test/tokenizer/ranks.ts'

const repeats = Number(process.argv[2] ?? 5)
const tokensPerText = 120
const texts = 10

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 60 },
    age: { type: 'integer', minimum: 0, maximum: 130 },
    email: { type: 'string', format: 'email' },
    tags: { type: 'array', items: { type: 'string', maxLength: 20 }, maxItems: 5 },
    address: {
      anyOf: [
        {
          type: 'object',
          properties: { street: { type: 'string' }, zip: { type: 'string', pattern: '^[0-9]{5}$' } },
          required: ['street', 'zip'],
          additionalProperties: false,
        },
        { type: 'null' },
      ],
    },
    score: { type: 'number', minimum: 0, maximum: 1 },
  },
  required: ['name', 'age', 'email', 'tags', 'address', 'score'],
  additionalProperties: false,
}
const schemas: Record<string, object> = {
  person,
  people: { type: 'array', items: person },
  tree: {
    $ref: '#/$defs/node',
    $defs: {
      node: {
        type: 'object',
        properties: { label: { type: 'string' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } },
        required: ['label', 'children'],
        additionalProperties: false,
      },
    },
  },
  json_object: { type: 'object' },
}

function cpuMs(run: () => void): number {
  const before = process.cpuUsage()
  run()
  return Math.round(process.cpuUsage(before).user / 1000)
}

const tokenizer = tokenizerFromJson(o200kHarmonyJson(o200kRanks), 'tokenizer.json')
console.log(
  JSON.stringify({
    trieMs: cpuMs(() => tokenTrie(tokenizer)),
    indexMs: cpuMs(() => constraint({ schema: { type: 'string' } }, tokenizer)),
    ids: tokenizer.vocabSize,
  }),
)

for (const [name, schema] of Object.entries(schemas)) {
  const fastest: number[] = []
  let compileMs = Number.POSITIVE_INFINITY
  for (let repeat = 0; repeat < repeats; repeat++) {
    const next = random(17)
    let step = 0
    const started = performance.now()
    const grammar = compileSchema(schema) // every repeat anew
    compileMs = Math.min(compileMs, performance.now() - started)
    for (let text = 0; text < texts; text++) {
      const matcher: Matcher = matcherOf(grammar, tokenTrie(tokenizer))
      for (let i = 0; i < tokensPerText; i++, step++) {
        const before = performance.now()
        const mask = matcher.mask(tokensPerText - i)
        const ms = performance.now() - before
        fastest[step] = Math.min(fastest[step] ?? Number.POSITIVE_INFINITY, ms)
        const allowed = allowedIds(mask)
        if (allowed.length === 0) break
        // Every fifth token comes from the single characters, so that strings end as they do with a real model.
        const ending = allowed.filter((id) => id < 256)
        const from = next() < 0.2 && ending.length > 0 ? ending : allowed
        const acceptStarted = performance.now()
        matcher.accept(from[Math.floor(next() * from.length)]!)
        fastest[step] = Math.min(fastest[step]!, ms + performance.now() - acceptStarted)
      }
    }
  }
  const sorted = fastest.filter((ms) => ms !== undefined).sort((a, b) => a - b)
  const at = (share: number) => Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!.toFixed(3))
  console.log(
    JSON.stringify({
      schema: name,
      compileMs: Number(compileMs.toFixed(2)),
      steps: sorted.length,
      median: at(0.5),
      p90: at(0.9),
      p99: at(0.99),
      most: at(1),
    }),
  )
}
