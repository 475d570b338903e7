/** Text files that options name: what is read, and what is refused with the option and the path. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { readNonEmptyFile, readOptionFile, readOptionLines } from '../../src/cli/support/read-file.ts'
import { lineage } from './run.ts'

const directory = mkdtempSync(join(tmpdir(), 'lineage-read-'))
after(() => rmSync(directory, { recursive: true, force: true }))

function file(name: string, content: Uint8Array | string): string {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}

test('a byte order mark is no part of the text', () => {
  assert.equal(readOptionFile('--data', file('plain.txt', 'ä €\n')), 'ä €\n')
  assert.equal(readOptionFile('--data', file('mark.txt', '\ufeffä\ufeff')), 'ä\ufeff')
  assert.equal(readOptionLines('--data', file('mark.jsonl', '\ufeff{"a":1}\n')).length, 1)
})

test('a file that is not UTF-8, or not there, is refused by option and path', () => {
  const utf16 = file('utf16.txt', Buffer.from('\ufeffhello', 'utf16le'))
  const latin1 = file('latin1.txt', Buffer.from('caf\u00e9', 'latin1'))
  for (const path of [utf16, latin1])
    assert.throws(() => readOptionFile('--data', path), {
      name: 'UsageError',
      message: new RegExp(`^--data ${path}: expected text in UTF-8`),
    })
  assert.throws(() => readOptionFile('--data', join(directory, 'none')), /^UsageError: --data .*none: there is no such file/)
})

test('a text without words is refused by option and path where one is needed', () => {
  for (const content of ['', '\ufeff', ' \n\n'])
    assert.throws(() => readNonEmptyFile('--data', file('empty.txt', content)), /--data .*empty\.txt: expected a text, the file has none/)
  assert.equal(readNonEmptyFile('--data', file('one.txt', 'a\n')), 'a\n')
})

test('train refuses an empty text before it starts', () => {
  const data = file('nothing.txt', '')
  for (const what of [['gpt2'], ['--from', join(import.meta.dirname, '../fixtures/checkpoints/tiny-qwen3')]]) {
    const { code, err } = lineage(['train', ...what, '--data', data, '--out', join(directory, 'run')])
    assert.equal(code, 2, err)
    assert.match(err, /--data .*nothing\.txt: expected a text, the file has none/)
  }
})
