/** How published JSON files name special tokens. */
import { isObject } from '../json/json.ts'

/** The spelling of a token, which is given as a string or as a whole added token. */
export function spelling(value: unknown): string | undefined {
  const text = isObject(value) ? value.content : value
  return typeof text === 'string' ? text : undefined
}

/** One id or a list of ids; undefined for anything else. */
export function idsOf(value: unknown): number[] | undefined {
  const ids = Array.isArray(value) ? value : [value]
  return ids.length > 0 && ids.every((id) => Number.isInteger(id) && id >= 0) ? ids : undefined
}
