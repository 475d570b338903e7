/** Patterns as generators write them, against the platform's expressions as an independent reference. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { regexes } from 'zod'
import { compileSchema, type Grammar, matcher, tokenTrie } from '../../src/structured/structured.ts'
import { byteTokenizerJson } from '../../src/tokenizer/build.ts'
import { tokenizerFromJson } from '../../src/tokenizer/tokenizer-json.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { randomText } from './validator.ts'

const bytes = tokenizerFromJson(byteTokenizerJson(['<|end|>']), 'bytes')
const trie = tokenTrie(bytes)

/** Patterns, each with texts around its edge. */
const patterns: [pattern: string, texts: string[]][] = [
  ['^(?!\\.)(?!.*\\.\\.)([a-z.]*)[a-z]@[a-z]+$', ['a@b', '.a@b', 'a..b@c', 'a.b@c', 'a.@c', '@c']],
  ['^(?=.*\\d)(?=.*[A-Z])[A-Za-z\\d]{4,8}$', ['abcd', 'aB3d', 'aB3', 'AAAA1', 'aB3dddddd', 'aB3é']],
  ['^(?:(?!ab).)*$', ['', 'a', 'ab', 'ba', 'aab', 'xxabxx', 'a\nb']],
  ['^P(?!$)(\\d+Y)?(T(?=\\d)(\\d+H)?)?$', ['P', 'P1Y', 'PT', 'PT1H', 'P1YT2H', 'P1YT']],
  ['(^foo$)|(^ba(r|z$))', ['foo', 'foox', 'bar', 'barx', 'baz', 'bazx', 'xbar']],
  ['a(?=b)', ['ab', 'ac', 'a', 'xxabc']],
  ['(?!x)$', ['', 'x', 'abc']],
  ['^\\p{L}[\\p{L}\\p{N}_]*$', ['a', 'é1', 'ж_', '1a', '名2', 'a-b', '']],
  ['^\\P{L}+$', ['12', 'a', '!?', '']],
  ['^{"a": ?[0-9]}]?$', ['{"a":1}', '{"a": 1}]', '"a":1']],
  ['^[^\\r\\n]{0,3}$', ['', 'abc', 'abcd', 'a\n']],
  ['^.{2,500}$', ['a', 'ab', 'x'.repeat(500), 'x'.repeat(501)]],
  ['^(?:a|b$|^c)+$', ['a', 'ab', 'aba', 'c', 'ac', 'ca']],
  [String.raw`\$\{.*\}`, [`$\{a}`, '$a', `x$\{}y`]],
  ['^(?=[a-c]+$)(?!b)', ['abc', 'bac', 'abd', '']],
  ['.{1,256}', ['', 'a', '\n', '\na', 'x'.repeat(300)]],
  ['[\\s\\S]{1,2048}', ['', 'a', 'x'.repeat(3000)]],
  ['\\S{2,2048}', [' a ', ' ab', 'ab ', '']],
  ['a?[bc]{2,300}(?:d|e)?', ['a', 'ab', 'xabcx', 'bdbd']],
  ['[ab]{2,300}c{1,300}$', ['abc', 'bc', 'abcd', 'xabcc']],
  ['^a{1,300}', ['', 'ba', 'ab']],
  ['(?:^a|b){1,300}c', ['ac', 'abc', 'xac', 'xbc']],
  ['(?:a(?!x)){2,300}', ['aa', 'aax', 'axa', 'aaax']],
  ['x*', ['', 'y']],
  ['^a{1,100000}$', ['', 'a', 'a'.repeat(200)]],
  ['^[ab]{00000000000000000000000001,999999999}$', ['', 'b', 'ab', 'c']],
  ['^b{1,2$|^c{,3}$|^d{1 }$', ['b{1,2', 'c{,3}', 'd{1 }', 'bb', 'd']],
]

const grammars = new Map<string, Grammar>()

/** Whether a text, as a JSON string, is allowed and complete. */
function accepts(schema: unknown, text: string): boolean {
  const key = JSON.stringify(schema)
  const grammar = grammars.get(key) ?? compileSchema(schema)
  grammars.set(key, grammar)
  const at = matcher(grammar, trie)
  return bytes.encode(JSON.stringify(text)).every((id) => at.accept(id)) && at.isComplete()
}

/** With code points, where the flag allows the pattern. */
function expression(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'u')
  } catch {
    return new RegExp(pattern)
  }
}

function compare(pattern: string, texts: readonly string[]): void {
  for (const text of texts)
    assert.equal(accepts({ type: 'string', pattern }, text), expression(pattern).test(text), `${JSON.stringify(text)} under ${pattern}`)
}

/** Texts that match, and the same with one character changed, added or removed. */
function around(schema: unknown, next: () => number, count: number): string[] {
  const grammar = compileSchema(schema)
  const texts: string[] = []
  for (let i = 0; i < count; i++) {
    const { text, complete } = randomText(matcher(grammar, trie), bytes, next, 120)
    if (!complete) continue
    const characters = [...(JSON.parse(text) as string)]
    texts.push(characters.join(''))
    const at = Math.floor(next() * (characters.length + 1))
    characters.splice(at, next() < 0.5 ? 1 : 0, '.a1-@:Zé\n"'[Math.floor(next() * 10)]!)
    texts.push(characters.join(''))
  }
  return texts
}

test('lookahead, anchors, Unicode properties and long repetitions', () => {
  const next = random(3)
  for (const [pattern, texts] of patterns) {
    compare(pattern, texts)
    compare(pattern, around({ type: 'string', pattern }, next, 10))
  }
})

test('every expression of zod', () => {
  const next = random(4)
  const found: RegExp[] = []
  for (const value of Object.values(regexes)) if (value instanceof RegExp && value.flags.replace('u', '') === '') found.push(value)
  found.push(regexes.uuid(4), regexes.uuid(7), regexes.time({ precision: 3 }), regexes.datetime({ offset: true }), regexes.mac('-'))
  assert.ok(found.length > 35)
  for (const { source } of found) {
    const schema = { type: 'string', pattern: source }
    for (const text of around(schema, next, 6))
      assert.equal(accepts(schema, text), expression(source).test(text), `${JSON.stringify(text)} under ${source}`)
  }
})

test('a length beside a pattern is exact and not limited by the size of the automaton', () => {
  for (const [schema, yes, no] of [
    [{ pattern: '^[a-z]+$', maxLength: 2000 }, ['a', 'z'.repeat(2000)], ['', 'z'.repeat(2001)]],
    [{ pattern: '^(ab)*$', minLength: 3, maxLength: 5 }, ['abab'], ['ab', 'ababab']],
    [{ format: 'email', maxLength: 254, minLength: 20 }, [`${'a'.repeat(240)}@example.org`], ['a@b.de', `${'a'.repeat(250)}@b.de`]],
    [{ pattern: 'é', minLength: 300 }, [`é${'💖'.repeat(299)}`], [`é${'💖'.repeat(298)}`]],
    [{ pattern: '^(?=.*x)[a-z]*$', minLength: 2, maxLength: 4 }, ['ax', 'xxxx'], ['x', 'aaaa', 'axaaa']],
    [{ pattern: '^\\n{2,9}$', maxLength: 3 }, ['\n\n', '\n\n\n'], ['\n', '\n\n\n\n']],
  ] as const) {
    for (const text of yes) assert.ok(accepts({ type: 'string', ...schema }, text), text)
    for (const text of no) assert.ok(!accepts({ type: 'string', ...schema }, text), text)
  }
})

test('what is not regular is refused by name', () => {
  for (const [pattern, reason] of [
    ['(a)\\1', /\\1 is not supported/],
    ['(?<=a)b', /lookbehind/],
    ['\\bword', /\\b is not supported/],
    ['(?i:a)', /flags/],
    ['^(?:ab){1,100000}$', /\/pattern: a pattern of this size is not supported/],
    ['^a{100000000}$', /a pattern with length limits of this size is not supported/],
    [`^a{${'9'.repeat(400)}}$`, /a count above 1000000000 is not supported/],
    ['^a{9,8}$', /the quantifier \{9,8\}/],
    ['\\p{Nonsense}', /the property Nonsense/],
    ['^(?=a)*b$', /quantifier of an assertion/],
    ['(a|b)*a(a|b){30}', /automaton has more than|cost too much/],
  ] as const)
    assert.throws(() => compileSchema({ type: 'string', pattern }), reason)
})
