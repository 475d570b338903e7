/**
 * Grammars in Lark's notation: which texts they allow, which of their parts are refused by name, and a text as the one property of a JSON
 * object, as custom tools write it.
 * The lark package of Python (1.3.1, Earley, complete dynamic lexer) agrees on all texts, but for the grammars that it does not read: patches, times in braces.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { compileForm, constraint, type Form, UnsupportedTextError } from '../../src/structured/structured.ts'
import { byteTokenizer } from '../chat/byte-tokenizer.ts'

const bytes = byteTokenizer(['<|endoftext|>'])

function accepts(form: Form, text: string): boolean {
  const at = constraint(form, bytes).matcher()
  return bytes.encode(text).every((id) => at.accept(id)) && at.isComplete()
}

/** Codex's grammar of patches. */
const PATCH = String.raw`
start: begin_patch hunk+ end_patch
begin_patch: "*** Begin Patch" LF
end_patch: "*** End Patch" LF?

hunk: add_hunk | delete_hunk | update_hunk
add_hunk: "*** Add File: " filename LF add_line+
delete_hunk: "*** Delete File: " filename LF
update_hunk: "*** Update File: " filename LF change_move? change?

filename: /(.+)/
add_line: "+" /(.*)/ LF -> line

change_move: "*** Move to: " filename LF
change: (change_context | change_line)+ eof_line?
change_context: ("@@" | "@@ " /(.+)/) LF
change_line: ("+" | "-" | " ") /(.*)/ LF
eof_line: "*** End of File" LF

%import common.LF
`

const ARITHMETIC = String.raw`
start: expr
?expr: term | expr "+" term -> add   // begins with itself
     | expr "-" term
?term: factor
  | term "*" factor
!factor: NUMBER | "(" expr ")"
%import common (NUMBER, WS_INLINE)
%ignore WS_INLINE
`

/** A dialect of SQL as tools describe it. */
const SQL = String.raw`
start: "select"i SP columns SP "FROM"i SP IDENTIFIER [SP "LIMIT"i SP LIMIT] ";"
columns: "*" | IDENTIFIER ("," SP? IDENTIFIER)~0..3
IDENTIFIER: /[a-z_][a-z0-9_]*/i
LIMIT: DIGIT~1..3
DIGIT: "0".."9"
SP: " "
`

const rows: Record<string, { grammar: string; good: readonly string[]; bad: readonly string[] }> = {
  patches: {
    grammar: PATCH,
    good: [
      '*** Begin Patch\n*** Add File: a b.txt\n+hello "x" \\\n+\n*** End Patch',
      '*** Begin Patch\n*** Update File: é.ts\n*** Move to: b\n@@\n@@ f()\n-a\n+b\n c\n*** End of File\n*** Delete File: z\n*** End Patch\n',
    ],
    bad: [
      '',
      '*** Begin Patch\n*** End Patch',
      '*** Begin Patch\n*** Add File: a\nhello\n*** End Patch',
      '*** Begin Patch\n*** Add File: \n+x\n*** End Patch',
    ],
  },
  'arithmetic with spaces': {
    grammar: ARITHMETIC,
    good: ['1', '1+2*3', ' ( 1 + 2 ) * 3.5e2 ', '((1))'],
    bad: ['', '1+', '(1', '1 2', '1\n'],
  },
  'capital letters, ranges, times': {
    grammar: SQL,
    good: ['select * from t;', 'SELECT a, B_2,c FROM x LIMIT 100;', 'SeLeCt a FrOm b lImIt 7;'],
    bad: ['select * from t', 'select a,b,c,d,e from t;', 'select * from 1t;', 'select * from t limit 1000;', 'select  * from t;'],
  },
  'terminals of common': {
    grammar: `start: CNAME "=" (SIGNED_NUMBER | ESCAPED_STRING | NAME) NEWLINE\n%import common.CNAME\n%import common.SIGNED_NUMBER\n%import common.ESCAPED_STRING\n%import common.WORD -> NAME\n%import common.NEWLINE`,
    good: ['a_1=-3\n', 'x=+.5e-7\r\n\n', 'x="a \\" b"\n', 'x=word\n'],
    bad: ['1a=3\n', 'x=3', 'x="a" b"\n', 'x=w1\n', 'x=1.e\n'],
  },
  'comments are ignored, but not inside a terminal': {
    grammar: `start: (WORD ";")+\nWORD: LETTER LETTER\n%import common (LETTER, WS, C_COMMENT, SH_COMMENT)\n%ignore WS\n%ignore C_COMMENT\n%ignore SH_COMMENT`,
    good: ['ab;', '/* ** */ab ; # x\n cd;', 'ab/*\n*/;'],
    bad: ['a b;', 'a/**/b;', 'ab', '/* ab;'],
  },
  'dots, sets and flags of expressions': {
    grammar: String.raw`start: /a.c/s "\x41" /[^\/\]]/ "é\u00e9\"" /\/[\/]/`,
    good: ['a\ncAxéé"//', 'abcAéé"//'.replace('Aé', 'Azé')],
    bad: ['abcA/éé"//', 'abcA]éé"//', 'ac'],
  },
  'alternatives over lines, groups over lines, windows line ends': {
    grammar: 'start: "a"\r\n  | "b"\r\n\r\n  | ("c"\r\n | "d") # end\r\n// all\r\n',
    good: ['a', 'b', 'c', 'd'],
    bad: ['ab', 'e', ''],
  },
  'times in braces': {
    grammar: 'start: "a"{2} "b"{1,2} "c"{,1} "d"{1,}',
    good: ['aabd', 'aabbcddd'],
    bad: ['abd', 'aabbbd', 'aabccd', 'aab'],
  },
}

for (const [name, { grammar, good, bad }] of Object.entries(rows))
  test(name, () => {
    for (const text of good) assert.ok(accepts({ grammar, notation: 'lark' }, text), JSON.stringify(text))
    for (const text of bad) assert.ok(!accepts({ grammar, notation: 'lark' }, text), JSON.stringify(text))
    assert.ok(accepts({ grammar }, good[0]!), 'the notation is seen from the text')
    // The same texts as the property of an object, spelled as JSON.
    const form = { grammar, notation: 'lark', property: 'input' } as const
    for (const text of good) assert.ok(accepts(form, JSON.stringify({ input: text })), JSON.stringify(text))
    for (const text of bad) assert.ok(!accepts(form, JSON.stringify({ input: text })), JSON.stringify(text))
    assert.ok(!accepts(form, '{}') && !accepts(form, good[0]!))
  })

const REFUSED: [grammar: string, message: RegExp][] = [
  ['a: "x"', /no rule "start"/],
  ['start: b', /uses "b", which is not defined/],
  ['start: B', /"B", which is not defined/],
  ['start: "a"\nstart: "b"', /defined twice/],
  ['start.2: "a"', /priorities/],
  ['start: A\nA.5: "a"', /priorities/],
  ['start: pair{"a"}\npair{x}: x x', /templates/],
  ['pair{x}: x x\nstart: "a"', /templates/],
  ['start: A\n%declare A', /"%declare" is not supported/],
  ['start: "a"\n%import python.NAME', /"%import python.NAME" is not supported/],
  ['start: "a"\n%import .other.NAME', /is not supported/],
  ['start: "a"\n%import common.PI', /no terminal "PI"/],
  ['start: %json {}', /unexpected "%"/],
  ['%llguidance {}\nstart: "a"', /"%llguidance" is not supported/],
  ['start: <|im_end|>', /tokens in a grammar/],
  ['start: /(?=a)b/', /lookaround/],
  ['start: /(?<!a)b/', /lookbehind/],
  ['start: /a/x', /flag "x"/],
  ['start: /a(/', /not supported/],
  ['start: ("a"', /a group is not closed/],
  ['start: "a")', /was not opened/],
  ['start: "a', /a text is not closed/],
  ['start: /a', /an expression is not closed/],
  ['start: "ab".."c"', /one character/],
  ['start: "c".."a"', /backwards/],
  ['start: "a"~3..2', /not possible/],
  ['start: "a"~999999', /repetitions/],
  ['start: a "x"\na: start "y" | "z"', /begins with itself/],
  ['start: start', /begins with itself|no text/],
  ['start "a"', /expected ":"/],
  ['start: "\\q"', /escape/],
  [`start: ${'('.repeat(60)}"a"${')'.repeat(60)}`, /nested deeper/],
]

test('what cannot be enforced is refused by name', () => {
  for (const [grammar, message] of REFUSED)
    assert.throws(
      () => compileForm({ grammar, notation: 'lark' }),
      (error: Error) => error instanceof UnsupportedTextError && message.test(error.message),
      grammar,
    )
})
