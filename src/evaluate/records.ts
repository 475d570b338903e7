/**
 * The records of a data file: JSON Lines, a JSON array, CSV or TSV (RFC 4180), or plain text as one record. Files are untrusted: every error
 * names the file and the line.
 */
import { describe, isObject, type Json } from '../json/json.ts'
import { readJson } from '../json/lossless.ts'
import { TaskError } from './errors.ts'

export interface DataRecord {
  /** File and line, for errors. */
  readonly place: string
  readonly fields: Json
}

/** A data file as it was read; `name` ends in the extension that says its form. */
export interface DataFile {
  readonly name: string
  readonly text: string
}

/**
 * @param columns names of the columns of a CSV file without a header line
 * @throws TaskError
 */
export function readRecords({ name, text: given }: DataFile, columns?: readonly string[]): DataRecord[] {
  const text = given.startsWith('\ufeff') ? given.slice(1) : given
  const records = recordsOf(name, text, columns)
  if (records.length === 0) throw new TaskError(`${name}: expected at least one record, found none`)
  return records
}

function recordsOf(name: string, text: string, columns: readonly string[] | undefined): DataRecord[] {
  switch (/\.(\w+)$/.exec(name)?.[1]?.toLowerCase()) {
    case 'jsonl':
    case 'ndjson':
      return jsonLines(name, text)
    case 'json':
      return jsonArray(name, text)
    case 'csv':
      return table(name, text, ',', columns)
    case 'tsv':
      return table(name, text, '\t', columns)
    case 'txt':
    case 'raw':
    case 'tokens':
    case 'md':
      return [{ place: name, fields: { text } }]
    default:
      throw new TaskError(
        `${name}: expected a file that ends in .jsonl, .json, .csv, .tsv or .txt (all but .txt also with .gz), or .parquet`,
      )
  }
}

function jsonLines(name: string, text: string): DataRecord[] {
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return []
    const place = `${name}:${i + 1}`
    return [{ place, fields: fieldsOf(parse(line, place), place) }]
  })
}

function jsonArray(name: string, text: string): DataRecord[] {
  const value = parse(text, name)
  if (!Array.isArray(value)) throw new TaskError(`${name}: expected a JSON array of objects, got ${describe(value)}`)
  return value.map((item, i) => ({ place: `${name}[${i}]`, fields: fieldsOf(item, `${name}[${i}]`) }))
}

function parse(text: string, place: string): unknown {
  try {
    return readJson(text)
  } catch (error) {
    throw new TaskError(`${place}: expected JSON: ${(error as Error).message}`)
  }
}

function fieldsOf(value: unknown, place: string): Json {
  return isObject(value) ? value : fail(`${place}: expected a JSON object, got ${describe(value)}`)
}

function fail(message: string): never {
  throw new TaskError(message)
}

function table(name: string, text: string, separator: string, columns: readonly string[] | undefined): DataRecord[] {
  const rows = cells(name, text, separator)
  const header = columns ?? rows.shift()?.values ?? []
  const twice = header.find((column, i) => header.indexOf(column) < i)
  if (twice !== undefined) throw new TaskError(`${name}: expected different names of columns, found ${JSON.stringify(twice)} twice`)
  return rows.map(({ line, values }) => {
    const place = `${name}:${line}`
    if (values.length !== header.length)
      throw new TaskError(
        `${place}: expected ${header.length} cells (${header.join(', ')}), found ${values.length}${columns ? '' : '; a file without a header line needs "columns" in the task'}`,
      )
    return { place, fields: Object.fromEntries(header.map((column, i) => [column, values[i]!])) }
  })
}

/** The rows of a CSV text: quoted cells may hold separators, newlines and doubled quotes. Empty lines are left out. */
function cells(name: string, text: string, separator: string): { line: number; values: string[] }[] {
  const rows: { line: number; values: string[] }[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const row = { line, values: [] as string[] }
    for (;;) {
      let value = ''
      if (text[at] === '"') {
        for (;;) {
          const quote = text.indexOf('"', at + 1)
          if (quote < 0) throw new TaskError(`${name}:${row.line}: a quoted cell has no end`)
          value += text.slice(at + 1, quote)
          at = quote + 1
          if (text[at] !== '"') break
          value += '"'
        }
        line += value.split('\n').length - 1
      }
      const end = nextOf(text, at, separator)
      value += text.slice(at, end).replace(/\r$/, '')
      row.values.push(value)
      at = end + 1
      if (text[end] === separator) continue
      break
    }
    line++
    if (row.values.length > 1 || row.values[0] !== '') rows.push(row)
  }
  return rows
}

/** The index of the next separator or newline, or the end. */
function nextOf(text: string, from: number, separator: string): number {
  let at = from
  while (at < text.length && text[at] !== separator && text[at] !== '\n') at++
  return at
}
