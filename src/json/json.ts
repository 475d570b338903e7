/** What every reader of JSON needs: parsing without an exception, whether a value is an object, how an error message shows it. */
import { readJson } from './lossless.ts'

export type Json = Record<string, unknown>

/** Whether a value is a JSON object: neither null nor an array. */
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

/** The value as an object; an empty one when it is none. */
export const asObject = (value: unknown): Json => (isObject(value) ? value : {})

/** The value of a JSON text, as lossless.ts reads it; undefined, which JSON cannot say, when it is none. */
export function parsed(text: string): unknown {
  try {
    return readJson(text)
  } catch {
    return undefined
  }
}

/** A short rendering of a value for error messages. Large values are named by their kind. */
export function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (isObject(value)) return 'an object'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'number') return String(value)
  return abbreviate(JSON.stringify(value) ?? String(value), 60)
}

/** Long hostile names must not flood a terminal. */
export function abbreviate(text: string, limit = 160): string {
  const clean = text.replace(/\p{Cc}/gu, '\u{fffd}')
  return clean.length <= limit ? clean : `${clean.slice(0, limit)}… (${text.length} characters)`
}
