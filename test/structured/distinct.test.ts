/** Elements under `uniqueItems` and undeclared names that count: whatever is written differs, and every budget is kept. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileSchema, matcher, tokenTrie } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { allowedIds, randomText, validator } from './validator.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)

function accepts(schema: unknown, text: string): boolean {
  const at = matcher(compileSchema(schema), trie)
  return bytes.encode(text).every((id) => at.accept(id)) && at.isComplete()
}

const unique = { type: 'array', uniqueItems: true }
const map = { type: 'object', additionalProperties: { type: 'integer' } }
const cases: [schema: Record<string, unknown>, yes: string[], no: string[]][] = [
  [
    { ...unique, items: { type: 'string' } },
    ['[]', '["a","b"]', '["a","ab","b"]', '["a","b\\n"]', '["", "x"]'],
    ['["a","a"]', '["a","\\u0061"]', '["b","a","b"]'],
  ],
  [{ ...unique, items: { type: 'integer' } }, ['[1,10,-1]', '[1, 2, 3]'], ['[1,1]', '[10,1,10]']],
  [{ ...unique, items: { enum: ['a', 'ab', 'c', 1, null] } }, ['["a","ab",null,1]', '["c"]'], ['["a","a"]', '[null,null]']],
  [
    { ...unique, items: { type: 'boolean' }, minItems: 2 },
    ['[true,false]', '[false, true]'],
    ['[true]', '[true,true]', '[true,false,true]'],
  ],
  [{ ...unique, items: { type: 'integer', minimum: 1, maximum: 6 }, minItems: 6 }, ['[6,5,4,3,2,1]'], ['[1,2,3,4,5]', '[1,2,3,4,5,5]']],
  [
    { ...unique, items: { type: 'string', maxLength: 1, pattern: '^[ab]?$' }, minItems: 2, maxItems: 3 },
    ['["a","b",""]', '["","b"]'],
    ['["a","a"]', '[""]'],
  ],
  [{ ...unique, items: { type: ['string', 'integer'] } }, ['["1",1]'], ['[1,1]', '["1","1"]']],
  [
    { ...map, minProperties: 2 },
    ['{"a":1,"b":2}', '{"a":1,"ab":2,"a":3}', '{"": 1, "x": 2}'],
    ['{"a":1}', '{"a":1,"a":2}', '{}', '{"a":1,"\\u0061":2}'],
  ],
  [{ type: 'object', additionalProperties: true, minProperties: 3 }, ['{"a":1,"b":[],"c":{}}'], ['{"a":1,"b":2,"a":3}', '{"a":1,"b":2}']],
  [
    { ...map, properties: { k: { type: 'string' } }, minProperties: 3, maxProperties: 4 },
    ['{"k":"x","a":1,"b":2}', '{"a":1,"b":2,"c":3}', '{"a":1,"kk":2,"c":3,"d":4}'],
    ['{"k":"x","a":1}', '{"a":1,"k":2,"c":3}', '{"a":1,"b":2,"c":3,"d":4,"e":5}'],
  ],
]

test('what may be written', () => {
  for (const [schema, yes, no] of cases) {
    for (const text of yes) assert.ok(accepts(schema, text), `${text} under ${JSON.stringify(schema)}`)
    for (const text of no) assert.ok(!accepts(schema, text), `${text} under ${JSON.stringify(schema)}`)
  }
})

test('random texts validate, and the least budget suffices', () => {
  const next = random(8)
  for (const [schema] of cases) {
    const verdict = validator(schema)
    const grammar = compileSchema(schema)
    for (const budget of [grammar.start.cost, grammar.start.cost + 2, 60, 200]) {
      const { text, complete } = randomText(matcher(grammar, trie), bytes, next, Math.max(budget, grammar.start.cost))
      assert.ok(complete, `${text} under ${JSON.stringify(schema)}`)
      assert.equal(verdict(text), undefined, `${text} under ${JSON.stringify(schema)}`)
    }
  }
})

test('what the mask allows is accepted, and single bytes that are accepted are allowed', () => {
  const next = random(9)
  for (const [schema] of cases) {
    const at = matcher(compileSchema(schema), trie)
    for (let step = 0; step < 40; step++) {
      const allowed = allowedIds(at.mask())
      for (let id = 0; id < 256; id++) assert.equal(at.clone().accept(id), allowed.includes(id), `${id} under ${JSON.stringify(schema)}`)
      if (allowed.length === 0) break
      at.accept(allowed[Math.floor(next() * allowed.length)]!)
    }
  }
})

/** A vocabulary of these texts. */
function vocabulary(texts: readonly string[]): Parameters<typeof tokenTrie>[0] {
  const pieces = texts.map((text) => new TextEncoder().encode(text))
  const decode = (ids: readonly number[]) => ids.map((id) => texts[id]).join('')
  return { vocabSize: texts.length, isSpecial: () => false, bytes: (id: number) => pieces[id]!, decode } as unknown as Tokenizer
}

test('a token that ends an element and goes on is allowed exactly where another element is left', () => {
  const pieces = '[ ] " , "," ", "] ,1 1 2 3 1, 2, 3, 2] 3] true false true, false, false] red green a b \\n'.split(' ')
  const tokenizer = vocabulary(pieces)
  const next = random(10)
  let commas = 0
  for (const items of [
    { enum: ['red', 'green'] },
    { enum: ['a', 'b', 'ab', 1, 2] },
    { type: 'integer', minimum: 1, maximum: 3 },
    { type: 'string', pattern: '^(\\n|ab)$' },
    { type: 'string' },
    { type: 'boolean' },
  ])
    for (const limits of [{}, { minItems: 2 }, { maxItems: 2 }]) {
      const schema = { ...unique, items, ...limits }
      if (JSON.stringify(schema).includes('\\\\n') && 'minItems' in limits) continue // after "ab" nothing would be left
      const grammar = compileSchema(schema)
      for (let round = 0; round < 20; round++) {
        const at = matcher(grammar, tokenTrie(tokenizer))
        let text = ''
        for (let step = 0; step < 12; step++) {
          const allowed = allowedIds(at.mask())
          for (const [id, piece] of pieces.entries()) {
            const runsOn = piece.slice(0, -1).includes(',') // ends inside the next element; the mask never allows it
            if (allowed.includes(id)) assert.ok(at.clone().accept(id), `${piece} after ${text} under ${JSON.stringify(schema)}`)
            else if (!runsOn && !text.includes('\\'))
              assert.ok(!at.clone().accept(id), `no ${piece} after ${text} under ${JSON.stringify(schema)}`)
          }
          if (allowed.length === 0) break
          const id = allowed[Math.floor(next() * allowed.length)]!
          if (pieces[id]!.length > 1 && pieces[id]!.endsWith(',')) commas++
          at.accept(id)
          text += pieces[id]
        }
        const { complete } = randomText(matcher(grammar, tokenTrie(tokenizer)), tokenizer, next, grammar.start.cost + round)
        assert.ok(complete, `within ${grammar.start.cost + round} tokens under ${JSON.stringify(schema)}`)
      }
    }
  assert.ok(commas > 50)
})

test('too few different elements is an error that names the place', () => {
  assert.throws(() => compileSchema({ properties: { a: { ...unique, items: { enum: [1, 2] }, minItems: 3 } } }), {
    message: '/properties/a/uniqueItems: there are only 2 different elements, and minItems is 3',
  })
  assert.throws(() => compileSchema({ ...unique, items: { type: 'object' } }), /\/uniqueItems: only elements/)
})
