/** Tables, numbers and sizes as the commands print and read them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { binary, fitColumns, grouped, painter, parseBytes, parseTokens, short, table } from '../../src/cli/support/terminal.ts'

test('numbers for people', () => {
  assert.deepEqual([20914757184, 999, 1000, 124439808, 1557611200, 2.5e12].map(short), [
    '20.91B',
    '999',
    '1.00k',
    '124.4M',
    '1.56B',
    '2.50T',
  ])
  assert.deepEqual([512, 1024, 13761264768, 300 * 2 ** 20, 2 ** 41].map(binary), [
    '512 B',
    '1.00 KiB',
    '12.82 GiB',
    '300.0 MiB',
    '2.00 TiB',
  ])
  assert.equal(grouped(20914757184), '20,914,757,184')
})

test('sizes from people', () => {
  assert.deepEqual(['16GB', '16 gb', '16g', '12.5GiB', '800MB', '4096B', '1k'].map(parseBytes), [
    16e9,
    16e9,
    16e9,
    12.5 * 2 ** 30,
    800e6,
    4096,
    1000,
  ])
  assert.deepEqual(['8192', '128k', '1K'].map(parseTokens), [8192, 131072, 1024])
  for (const wrong of ['', '0', '-1', 'GB', '1e9', '16XB', '99999999TiB'])
    assert.throws(() => parseBytes(wrong), { name: /InvalidArgumentError|CommanderError|Error/ })
  for (const wrong of ['', '0', '-1', '1.5k', '9999999999']) assert.throws(() => parseTokens(wrong), /Expected a number of tokens/)
})

test('tables align and paint without moving', () => {
  const rows = [
    ['a', { text: 'long', styles: ['bold' as const] }, 'x'],
    ['name', '1', 'y'],
  ]
  assert.equal(table(rows, painter(false)), 'a     long  x\nname  1     y')
  assert.equal(table(rows, painter(false), [false, true]), 'a     long  x\nname     1  y')
  assert.equal(table(rows, painter(true)), 'a     \u001b[1mlong\u001b[22m  x\nname  1     y')
  // Han characters take two columns.
  assert.equal(
    table(
      [
        ['東京', 'x'],
        ['abcde', 'y'],
      ],
      painter(false),
    ),
    '東京   x\nabcde  y',
  )
})

test('long cells break at blanks until the table fits', () => {
  const rows = [['label', 'one two three four five six', 'short']]
  assert.deepEqual(fitColumns(rows, 100), rows)
  const fitted = fitColumns(rows, 34)
  assert.deepEqual(
    fitted.map((row) => row.map((cell) => (typeof cell === 'string' ? cell : cell.text))),
    [
      ['label', 'one two three four', 'short'],
      ['', 'five six', ''],
    ],
  )
  for (const line of table(fitted, painter(false)).split('\n')) assert.ok(line.length <= 34)
})
