/** Text files that options name, and standard input. */
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { expandPath } from '../../files/path-node.ts'
import { type Fields, objectLines } from '../../json/fields.ts'
import { UsageError } from './terminal.ts'

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'expected a file, this is a directory',
  EACCES: 'it may not be read',
}

/** The text of a UTF-8 file, less a byte order mark. @throws UsageError that names the option and the path */
export function readOptionFile(option: string, path: string): string {
  const bytes = readBytes(option, path)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // A text that is too long for a string is another error.
    const isOtherText = code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
    throw new UsageError(`${option} ${path}: ${isOtherText ? 'expected text in UTF-8; convert the file first' : message}`)
  }
}

function readBytes(option: string, path: string): Uint8Array {
  try {
    return readFileSync(expandPath(path))
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    throw new UsageError(`${option} ${path}: ${PROBLEMS[code] ?? message}`)
  }
}

/** The text of a file that may not be empty. @throws UsageError */
export function readNonEmptyFile(option: string, path: string): string {
  const text = readOptionFile(option, path)
  if (text.trim() === '') throw new UsageError(`${option} ${path}: expected a text, the file has none`)
  return text
}

/** Standard input, less the newline with which programs end their output; '' where it is a terminal. */
export async function readStandardInput(): Promise<string> {
  return process.stdin.isTTY ? '' : (await text(process.stdin)).replace(/\r?\n$/, '')
}

/** The objects of a file of JSON Lines; errors of their fields name file and line. @throws UsageError for a line that is no JSON */
export function readOptionLines(option: string, path: string): Fields[] {
  const text = readOptionFile(option, path)
  try {
    return objectLines(text, path)
  } catch (error) {
    throw error instanceof SyntaxError ? new UsageError(`${option} ${error.message}`) : error
  }
}
