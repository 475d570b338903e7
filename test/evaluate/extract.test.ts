/** The answer in a text, and whether it is right: one table per way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codeOf, EXTRACTIONS, isRight, numberOf, regexExtraction } from '../../src/evaluate/extract.ts'

const table = (
  name: string,
  extract: (text: string, options: number) => string | undefined,
  rows: [string, string | undefined][],
  options = 4,
) =>
  test(name, () => {
    for (const [text, expected] of rows) assert.equal(extract(text, options), expected, JSON.stringify(text))
  })

table('the last box', EXTRACTIONS.boxed, [
  ['so \\boxed{72}.', '72'],
  ['first \\boxed{1}, no: \\boxed{2}', '2'],
  ['\\boxed{\\frac{1}{2}}', '\\frac{1}{2}'],
  ['\\boxed{7} and an empty \\boxed{}', '7'],
  ['\\boxed {12}', '12'],
  ['\\fbox{9}', '9'],
  ['\\boxed{a \\} b}', 'a \\} b'],
  ['\\boxed{never closed', undefined],
  ['no box, 42', undefined],
])

table('the last number', EXTRACTIONS.number, [
  ['It is 42.', '42'],
  ['1 + 1 = 2', '2'],
  ['$1,234,567.50 in all', '1234567.50'],
  ['down to -3', '-3'],
  ['down to −3.', '-3'],
  ['a range of 1,2 things', '2'],
  ['version .5', '.5'],
  ['none', undefined],
])

table('a letter of four options', EXTRACTIONS.letter, [
  ['The answer is (C).', 'C'],
  ['Answer: B', 'B'],
  ['**Answer:** A', 'A'],
  ['**Answer: D**', 'D'],
  ['answer is: $B$', 'B'],
  ['The final answer is \\boxed{\\text{C}}', 'C'],
  ['\\boxed{A}', 'A'],
  ['\\boxed{\\textbf{(B) } 12}', 'B'],
  ['Option D fits best', 'D'],
  ['I weigh (A) and (B) … so (B)', 'B'],
  ['**C**', 'C'],
  ['D) because of the sign', 'D'],
  ['B', 'B'],
  ['The correct option is B.', 'B'],
  ['The best choice is A', 'A'],
  ['After elimination of A and B, the answer must be C', 'C'],
  ['Answer: $\\mathbf{B}$', 'B'],
  ["The right letter is 'A'.", 'A'],
  ['**Answer – B)** 12', 'B'],
  ['Answer: \\(\\boxed{B}\\)', 'B'],
  ['I choose C.', 'C'],
  ['The answer is B, because option A forgets the sign and (C) the unit.', 'B'],
  ["It's B", 'B'],
  ['First Answer: A. Wait. Answer: C', 'C'],
  ['A good question. The answer is unclear', undefined],
  ['the answer is a bit open', undefined],
  ['Answer: E', undefined],
  ['', undefined],
])
table(
  'a letter of ten options',
  EXTRACTIONS.letter,
  [
    ['Answer: J', 'J'],
    ['Answer: K', undefined],
  ],
  10,
)
table('the first line', EXTRACTIONS.line, [
  ['\n\n yes \nno', 'yes'],
  [' ', undefined],
])
table('a regular expression', regexExtraction(/#### (-?[0-9.,]+)/gsu, 1, 'first'), [
  ['x\n#### 12\n#### 13', '12'],
  ['12', undefined],
])
table('the last match, of alternatives', regexExtraction(/(-?[$0-9.,]{2,})|(-?[0-9]+)/gsu, 1, 'last'), [
  ['5 apples, then 7', '7'],
  ['then $18.00', '$18.00'],
])

test('numbers and texts are compared by what they mean', () => {
  const rows: [string, unknown, 'number' | 'text', boolean][] = [
    ['072', 72, 'number', true],
    ['72.0', '72', 'number', true],
    ['$1,000', 1000, 'number', true],
    ['336^\\circ', '336', 'number', true],
    ['m+n = 25', 25, 'number', true],
    ['\\frac{1}{2}', 0.5, 'number', true],
    ['−5', -5, 'number', true],
    ['1{,}000', 1000, 'number', true],
    ['73', 72, 'number', false],
    ['3 or 4', 4, 'number', false],
    ['Paris.', 'paris', 'text', true],
    [' "New  York" ', 'New York', 'text', true],
    ['London', 'Paris', 'text', false],
  ]
  for (const [given, right, compare, expected] of rows) assert.equal(isRight(given, right, compare), expected, `${given} against ${right}`)
  assert.equal(isRight(undefined, '', 'text'), false)
  assert.equal(numberOf('no number'), undefined)
})

test('the program in an answer', () => {
  assert.equal(codeOf('Here:\n```python\ndef f():\n    return 1\n```\nDone.'), 'def f():\n    return 1\n')
  // simple-evals' humaneval_eval.py takes the first block; here one that defines the function comes before others.
  assert.equal(codeOf('```\na\n```\nUse:\n```py\nb\n```'), 'a\n')
  const answer = '```sh\npip install x\n```\n```python\ndef f(x):\n    return x\n```\nExample:\n```python\nprint(f(1))\n```'
  assert.equal(codeOf(answer, 'f'), 'def f(x):\n    return x\n')
  assert.equal(codeOf(answer, 'g'), 'pip install x\n')
  assert.equal(codeOf('```python \ndef f():\n    return 1\n```'), 'def f():\n    return 1\n')
  assert.equal(codeOf('```python\r\ndef f(): pass\n```'), 'def f(): pass\n')
  assert.equal(codeOf('```python \ncut off'), 'cut off')
  assert.equal(codeOf('```python\ncut off'), 'cut off')
  assert.equal(codeOf('    return 1'), '    return 1')
})

test('a text of 100,000 blanks or brackets takes no time', () => {
  for (const filler of [' ', '*', '(', '{', 'answer ', '\\boxed{', '1,', '$']) {
    const text = `The answer is${filler.repeat(100_000 / filler.length)}`
    const started = performance.now()
    for (const extract of Object.values(EXTRACTIONS)) extract(text, 4)
    numberOf(text)
    codeOf(text)
    assert.ok(performance.now() - started < 2000, JSON.stringify(filler))
  }
})
