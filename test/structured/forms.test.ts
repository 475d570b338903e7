/**
 * Regular expressions, choices and grammars: what they accept, that random texts under them have the wanted form, and
 * what is refused. JavaScript's own expressions check the regular ones.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { compileForm, constraint, type Form, matcher, tokenTrie, UnsupportedTextError } from '../../src/structured/structured.ts'
import { byteTokenizer } from '../chat/byte-tokenizer.ts'
import { random } from '../tokenizer/mixed-text.ts'
import { allowedIds, randomText } from './validator.ts'

const bytes = byteTokenizer(['<|endoftext|>'])

function accepts(form: Form, text: string): boolean {
  const at = constraint(form, bytes).matcher()
  return bytes.encode(text).every((id) => at.accept(id)) && at.isComplete()
}

interface Row {
  form: Form
  good: readonly string[]
  bad: readonly string[]
}

const arithmetic = `root ::= expr
expr ::= expr "+" term | expr "-" term | term   # begins with itself
term ::= term "*" factor | factor
factor ::= "(" expr ")" | [0-9]+`

/** llama.cpp's grammar of JSON, shortened. */
const json = String.raw`
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})
  )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9]{1,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
`

const rows: Record<string, Row> = {
  'a number': { form: { regex: '[+-]?(0|[1-9][0-9]*)' }, good: ['0', '-17', '12345678901234567890'], bad: ['', '01', '1.5', 'x'] },
  'anchors around all': { form: { regex: '^a+$' }, good: ['a', 'aaa'], bad: ['', 'ba', 'ab'] },
  'an anchored branch': { form: { regex: '^yes$|no' }, good: ['yes', 'no'], bad: ['yesno', 'noo', 'y'] },
  'the whole text, not a part': { form: { regex: 'cat' }, good: ['cat'], bad: ['a cat', 'cats', 'ca'] },
  'a date': { form: { regex: '\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])' }, good: ['2026-11-29'], bad: ['2026-13-01', '26-11-29'] },
  'quotes and line ends as they are': { form: { regex: '"[^"]*"\\n' }, good: ['"a\\b"\n', '"é\n"\n'], bad: ['"a"', '"a"\\n'] },
  'any characters': { form: { regex: '.{2}' }, good: ['ab', 'é😀', '名x'], bad: ['a', 'a\n', 'abc'] },
  'a set beyond ASCII': { form: { regex: '[à-ö]+[^a-z]' }, good: ['éà1', 'ö名', 'à😀'], bad: ['e1', 'éa', 'é'] },
  'many repetitions': { form: { regex: 'a{1,100000}b' }, good: ['ab', `${'a'.repeat(300)}b`], bad: ['b', 'a{1,100000}b'] },
  'an empty text': { form: { regex: 'a*' }, good: ['', 'a', 'aaaa'], bad: ['b'] },
  'repetitions of what may be empty': { form: { regex: '(a?b?)*c' }, good: ['c', 'abbac', 'bac'], bad: ['', 'ab', 'ca'] },
  'a named group': { form: { regex: '(?<year>\\d{4})' }, good: ['1999'], bad: ['199'] },
  "a named group in Python's spelling": { form: { regex: '(?P<year>\\d{4})' }, good: ['1999'], bad: ['199'] },
  choices: { form: { choice: ['yes', 'no', 'maybe'] }, good: ['yes', 'no', 'maybe'], bad: ['', 'y', 'yesno', 'may'] },
  'a choice that begins another': { form: { choice: ['a', 'ab', 'abc', 'b'] }, good: ['a', 'ab', 'abc', 'b'], bad: ['', 'abcd', 'c'] },
  'choices with signs and letters': {
    form: { choice: ['"', '\\n', 'ü.*', '😀'] },
    good: ['"', '\\n', 'ü.*', '😀'],
    bad: ['\n', 'ü', 'üx'],
  },
  'one choice': { form: { choice: ['only'] }, good: ['only'], bad: ['', 'onl'] },
  '3000 choices': {
    form: { choice: Array.from({ length: 3000 }, (_, i) => `id-${i}`) },
    good: ['id-0', 'id-7', 'id-77', 'id-777', 'id-2999'],
    bad: ['id-3000', 'id-', 'id-01'],
  },
  'rules on several lines': {
    form: { grammar: 'root ::= greeting " " name "!"\ngreeting ::=\n  "Hello" |\n  "Hi"\nname ::= [A-Z] [a-z]+' },
    good: ['Hello Ada!', 'Hi Bob!'],
    bad: ['hello Ada!', 'Hi !', 'Hi Ada'],
  },
  'a rule that begins with itself': { form: { grammar: arithmetic }, good: ['1', '1+2*3', '(1+2)*34-5'], bad: ['', '1+', '(1', '1 + 2'] },
  'nested brackets': { form: { grammar: 'root ::= "(" root? ")"' }, good: ['()', '((()))'], bad: ['', '(', '(()', '()()'] },
  JSON: {
    form: { grammar: json },
    good: ['{}', '{"a": [1, -2.5e3, null]}', '{"é\\u00e9": {"x": "\\""}}'],
    bad: ['[]', '{"a"}', '{"a": 01}', '{"a": "\n"}'],
  },
  escapes: {
    form: { grammar: String.raw`root ::= "\x41\u00e9\U0001F600\t\"" [\]\-\^]` },
    good: ['Aé😀\t"]', 'Aé😀\t"-', 'Aé😀\t"^'],
    bad: ['Aé😀\t"a', 'A'],
  },
  'sets and repetitions': {
    form: { grammar: 'root ::= [^0-9\\n]{2,3} .? ("ab"){2} [a-]*' },
    good: ['xxabab', 'xyz7abab-a-', '名é\nabab'],
    bad: ['x1abab', 'xxab', 'xxxxxabab'],
  },
  'a limit far away': { form: { regex: '([ab]c?){1,600}' }, good: ['a', 'abcb'.repeat(150)], bad: ['', 'a'.repeat(601), 'c'] },
  '300 alternatives of an expression': {
    form: { regex: `(${Array.from({ length: 300 }, (_, i) => `w${i}`).join('|')})( [ab])?` },
    good: ['w0', 'w29', 'w299 a'],
    bad: ['w300', 'w', 'w1 c'],
  },
  'a list that ends with itself': {
    form: { grammar: 'root ::= item ("," root)?\nitem ::= "x" | "y"' },
    good: ['x', 'x,y,x'],
    bad: ['x,', ','],
  },
  'one quote instead of two': { form: { grammar: "root ::= 'it''s' | 'a\"b' ;" }, good: ['its', 'a"b'], bad: ["it's"] },
  '400 keywords': {
    form: { grammar: `root ::= word+\nword ::= ${Array.from({ length: 400 }, (_, i) => `"k${i} " [0-9]`).join(' | ')}` },
    good: ['k0 1', 'k399 7k12 3'],
    bad: ['k400 1', 'k1 '],
  },
  'names of all sorts': { form: { grammar: 'root ::= a-b _c d1\na-b ::= "1"\n_c ::= "2"\nd1 ::= "3"' }, good: ['123'], bad: ['12'] },
  'a rule without an end is never taken': { form: { grammar: 'root ::= "a" | loop\nloop ::= "b" loop' }, good: ['a'], bad: ['b', 'bb'] },
  SQL: {
    form: {
      grammar: `root ::= "SELECT " column (", " column)* " FROM " table (" WHERE " condition)?
column ::= "id" | "name" | "price"
table ::= "users" | "orders"
condition ::= column " " ("=" | "<" | ">") " " ([0-9]+ | "'" [^']* "'")`,
    },
    good: ['SELECT id FROM users', "SELECT id, name FROM orders WHERE name = 'Bob'"],
    bad: ['SELECT * FROM users', 'SELECT id FROM users WHERE', 'select id FROM users'],
  },
}

for (const [what, { form, good, bad }] of Object.entries(rows))
  test(`${what}: ${good.length} texts fit, ${bad.length} do not`, () => {
    for (const text of good) assert.ok(accepts(form, text), `${JSON.stringify(text)} should fit`)
    for (const text of bad) assert.ok(!accepts(form, text), `${JSON.stringify(text)} should not fit`)
  })

test('the mask is what can be accepted, and random texts have the form and keep their budget', () => {
  const next = random(4)
  for (const [what, { form }] of Object.entries(rows)) {
    const grammar = compileForm(form)
    const expression = 'regex' in form ? new RegExp(`^(?:${form.regex.replace('?P<', '?<')})$`, 'u') : undefined
    for (let i = 0; i < 12; i++) {
      const budget = grammar.start.cost + 4 * i
      const { text, complete, tokens } = randomText(matcher(grammar, tokenTrie(bytes)), bytes, next, budget)
      assert.ok(complete && tokens <= budget, `${what}: ${JSON.stringify(text)} of ${tokens} tokens`)
      assert.ok(accepts(form, text), `${what}: ${JSON.stringify(text)}`)
      if (expression) assert.match(text, expression)
      if ('choice' in form) assert.ok(form.choice.includes(text))
      if (what === 'JSON') JSON.parse(text)
    }
    const at = constraint(form, bytes).matcher()
    for (let step = 0; step < 12; step++) {
      const allowed = allowedIds(at.mask().slice())
      for (let id = 0; id < bytes.vocabSize; id++) assert.equal(at.clone().accept(id), allowed.includes(id), `${what}: id ${id}`)
      if (allowed.length === 0) break
      at.accept(allowed[Math.floor(next() * allowed.length)]!)
    }
  }
})

const refused: Record<string, [Form, RegExp]> = {
  lookaround: [{ regex: '(?=a)b' }, /lookaround/],
  'a back reference': [{ regex: '(a)\\1' }, /\\1 is not supported/],
  'a word boundary': [{ regex: '\\bword' }, /\\b is not supported/],
  'an open group': [{ regex: '(a' }, /open group/],
  'an impossible expression': [{ regex: 'a[]' }, /no text of finite length/],
  'an ambiguous expression': [{ regex: '(a?){300}' }, /300 ways at one place; at most 256/],
  'an expression that explodes': [{ regex: '(((a?){900}){900}){900}' }, /too many ways at one place/],
  'no choices': [{ choice: [] }, /at least one text/],
  'too many choices': [{ choice: Array.from({ length: 10_001 }, (_, i) => String(i)) }, /10001 texts; at most 10000/],
  'no root': [{ grammar: 'start ::= "a"' }, /no rule "root"/],
  'an unknown rule': [{ grammar: 'root ::= a' }, /the rule "root" uses "a", which is not defined/],
  'a rule twice': [{ grammar: 'root ::= "a"\nroot ::= "b"' }, /"root" is defined twice \(line 2/],
  'an open text': [{ grammar: 'root ::= "a' }, /a text is not closed \(line 1, column 12\)/],
  'an open set': [{ grammar: 'root ::= [a' }, /a set is not closed/],
  'an open group of a grammar': [{ grammar: 'root ::= ("a"\nb ::= "c"' }, /a group is not closed/],
  'a stray bracket': [{ grammar: 'root ::= "a")' }, /"\)" without "\("/],
  'a rule around itself': [{ grammar: 'root ::= a "x"\na ::= b? root | "y"\nb ::= "z"' }, /begins with itself \(root -> a -> root\)/],
  'two rules that begin with each other': [{ grammar: 'root ::= a | "x"\na ::= root "y"' }, /root -> a -> root/],
  'no end': [{ grammar: 'root ::= "a" root' }, /no text of finite length/],
  'only itself': [{ grammar: 'root ::= root "a"' }, /no text of finite length/],
  'an unknown escape': [{ grammar: 'root ::= "\\q"' }, /the escape "\\q"/],
  'a code beyond Unicode': [{ grammar: 'root ::= "\\UFFFFFFFF"' }, /is no character/],
  'a range backwards': [{ grammar: 'root ::= [z-a]' }, /backwards/],
  'a token': [{ grammar: 'root ::= <think> "a"' }, /tokens in a grammar/],
  'a lookahead': [{ grammar: 'root ::= "a" (="b")' }, /lookahead/],
  'another notation': [{ grammar: 'start = "a" | "b"' }, /expected "name ::= …"/],
  'an empty grammar': [{ grammar: '  # nothing\n' }, /no rule "root"/],
  'a bad repetition': [{ grammar: 'root ::= "a"{3,2}' }, /not possible/],
  'deep groups': [{ grammar: `root ::= ${'('.repeat(60)}"a"${')'.repeat(60)}` }, /nested deeper than 50/],
}
for (const [what, [form, message]] of Object.entries(refused))
  test(`refused: ${what}`, () =>
    assert.throws(
      () => constraint(form, bytes),
      (error) => error instanceof UnsupportedTextError && message.test(error.message),
    ))
