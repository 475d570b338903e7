/** The beginning of a call that is written as a JSON object: its name, and where its arguments begin. */
import { asObject, isObject, parsed } from '../../../json/json.ts'
import { writeJson } from '../../../json/lossless.ts'
import { readJson } from './lenient-json.ts'

export type Head =
  /** It goes on; perhaps what comes next are the arguments. */
  | { kind: 'open'; awaitsArguments?: boolean }
  /** The object is no call. */
  | { kind: 'none' }
  /** The arguments are an object or array that begins at this index. */
  | { kind: 'arguments'; name: string; at: number }
  /** All of it was read. */
  | { kind: 'call'; name: string; arguments: string; end: number; isRepaired: boolean }

const SPACE = /\s*/y
/** A quoted key with its colon. */
const KEY = /(?:"(\w+)"|'(\w+)'|(\w+))\s*:\s*/y
/** The beginning of a key, at the end of a text. */
const KEY_START = /^["']?(\w*)["']?\s*$/
const ARGUMENTS = ['arguments', 'parameters']
/** Fields that say nothing that the call does not say. */
const IGNORED = ['type', 'id', 'index', 'call_id']
const KEYS = ['name', 'function', ...ARGUMENTS, ...IGNORED]

/**
 * @param text begins with the bracket of the object
 * @param isName whether a name, or the beginning of one, may be that of a call
 * @param needsArguments whether an object without them is no call
 * @param isWhole the text goes no further
 */
export function readHead(
  text: string,
  isName: (name: string, isWhole: boolean) => boolean,
  needsArguments: boolean,
  isWhole: boolean,
): Head {
  let at = 1
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text) ?? undefined
    at += found?.[0].length ?? 0
    return found
  }
  let name: string | undefined
  let args: string | undefined
  let isRepaired = false
  for (;;) {
    take(SPACE)
    const key = take(KEY)
      ?.slice(1)
      .find((each) => each !== undefined)
    if (key === undefined) {
      if (text[at] === '}' && name !== undefined && (args !== undefined || !needsArguments))
        return { kind: 'call', name, arguments: args ?? '{}', end: at + 1, isRepaired }
      const begun = isWhole ? undefined : KEY_START.exec(text.slice(at, at + 64))?.[1]
      return begun !== undefined && KEYS.some((each) => each.startsWith(begun)) ? { kind: 'open' } : { kind: 'none' }
    }
    const isNamed = key === 'name' || key === 'function'
    if (!isNamed && !ARGUMENTS.includes(key) && !IGNORED.includes(key)) return { kind: 'none' }
    if (name !== undefined && ARGUMENTS.includes(key) && /[{[]/.test(text[at] ?? '')) return { kind: 'arguments', name, at }
    if (name !== undefined && ARGUMENTS.includes(key) && at >= text.length && !isWhole) return { kind: 'open', awaitsArguments: true }
    const reading = readJson(text, at)
    if (reading === undefined) {
      const begun = /^["'](\w*)$/.exec(text.slice(at, at + 128))
      const isPossible = !isNamed || begun === null || isName(begun[1]!, false)
      return isPossible && !isWhole ? { kind: 'open' } : { kind: 'none' }
    }
    at = reading.end
    isRepaired ||= reading.isRepaired
    const value = parsed(reading.json)
    if (isNamed) {
      // OpenAI's own nesting: {"type": "function", "function": {"name": …, "arguments": …}}.
      const inner = isObject(value) ? asObject(value) : { name: value }
      if (typeof inner.name !== 'string' || !isName(inner.name, true)) return { kind: 'none' }
      name = inner.name
      for (const each of ARGUMENTS) if (inner[each] !== undefined) args = argumentText(inner[each])
    } else if (ARGUMENTS.includes(key)) args = argumentText(value, reading.json)
    else if (key === 'type' && needsArguments && value !== 'function') return { kind: 'none' }
    take(SPACE)
    if (text[at] === ',') at++
    else if (at >= text.length) return { kind: isWhole ? 'none' : 'open' }
  }
}

/** Arguments that are JSON in a string are that JSON; none are an empty object. */
function argumentText(value: unknown, json = writeJson(value, { comma: ', ', colon: ': ' })): string {
  if (value === null || value === '') return '{}'
  return typeof value === 'string' ? value : json
}
