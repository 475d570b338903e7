/** The translation of tokenizers' expressions: what differs between Oniguruma and JavaScript, and what is refused. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { literalPattern, translatePattern } from '../../src/tokenizer/pattern.ts'

/** Whether the whole text matches. */
const matches = (pattern: string, text: string) => {
  const expression = translatePattern(pattern)
  expression.lastIndex = 0
  return expression.test(text) && expression.lastIndex === text.length
}

test('white space is Unicode White_Space', () => {
  for (const character of [
    '\t',
    '\n',
    '\v',
    '\f',
    '\r',
    ' ',
    '\x85',
    '\xa0',
    '\u1680',
    '\u2000',
    '\u200a',
    '\u2028',
    '\u2029',
    '\u202f',
    '\u205f',
    '\u3000',
  ]) {
    assert.ok(matches(String.raw`\s`, character) && matches(String.raw`[x\s]`, character))
    assert.ok(!matches(String.raw`\S`, character) && !matches(String.raw`[^x\s]`, character))
  }
  for (const character of ['\ufeff', '\u200b', 'a', '\x1c'])
    assert.ok(!matches(String.raw`\s`, character) && matches(String.raw`[\S]`, character))
})

test('inline case-insensitivity folds as Unicode does', () => {
  const contraction = "(?i:'s|'ll)"
  for (const text of ["'s", "'S", "'ſ", "'ll", "'Ll", "'LL"]) assert.ok(matches(contraction, text), text)
  for (const text of ["'z", 'S', '’s']) assert.ok(!matches(contraction, text), text)
  assert.ok(matches('(?i)[ks]', '\u212a') && !matches('[ks]', 'K') && matches('a(?i)b', 'aB') && !matches('a(?i)b', 'AB'))
})

test('classes, escapes, lines and possessive quantifiers', () => {
  assert.ok(matches(String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_{|}~]+`, `!"#$%&'()*+,-./:;<=>?@[\\]^_{|}~`))
  assert.ok(matches(String.raw`\p{N}{1,3}`, '123') && !matches(String.raw`\p{N}{1,3}`, '1234'))
  assert.ok(matches(String.raw`[^\r\n\p{L}\p{N}]?+\p{L}++`, '!héé') && matches(String.raw`\P{L}\p{^L}`, '11'))
  assert.ok(matches(String.raw`\x41\x{1F600}\u0042\/\'`, "A😀B/'") && matches(String.raw`[\x41-\x43]+`, 'ABC'))
  assert.ok(matches('.', '\r') && !matches('.', '\n') && matches('a$\nb', 'a\nb') && matches('a\n^b', 'a\nb') && !matches('a^b', 'ab'))
  assert.ok(matches(String.raw`\d\w\W\D`, '٣é !') && matches('[]a]+', ']a') && matches('[a-]+', 'a-'))
})

test('what cannot be translated is refused', () => {
  for (const pattern of [
    '(?>a)',
    '[a&&b]',
    '[a[b]]',
    String.raw`\b`,
    String.raw`\h`,
    String.raw`\R`,
    'a{2}+',
    '(a',
    'a)',
    '[a',
    'a**',
    '*a',
    String.raw`(\1)`,
    '(?<n>a)',
    String.raw`\p{Han`,
    '(?i:ß)',
    '(?i:[a-z])',
    '(?x)a',
    'a{,3}',
    'x\\',
  ])
    assert.throws(() => translatePattern(pattern), SyntaxError, pattern)
})

test('literal text matches itself only', () => {
  for (const text of [' ', '.', '(a|b)', '[x]', '▁', '😀', '\\s', '-']) {
    const expression = literalPattern(text)
    assert.ok(expression.test(text) && expression.lastIndex === text.length)
  }
  assert.ok(!literalPattern('.').test('a'))
})
