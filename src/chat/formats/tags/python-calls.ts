/**
 * Calls that are written as Python: `weather(city="Bern", days=3)`, one or several, alone or in a list. OLMo 3 and Gemma 3 are asked
 * for these; Llama 3.1 writes `weather.call(…)` for built-in tools. Only literals are read, nothing is evaluated.
 */
import { asObject } from '../../../json/json.ts'
import type { ToolDefinition } from '../../messages.ts'
import { readJson } from './lenient-json.ts'

export interface WholeCall {
  name: string
  arguments: string
}

const HEAD = /([\p{L}_][\p{L}\p{N}_.-]*?)(?:\.call)?\(\s*/uy
const KEYWORD = /([\p{L}_][\p{L}\p{N}_-]*)\s*=\s*/uy
const NEXT = /\s*(?:,\s*)?/y
/** What may stand between calls. */
const BETWEEN = /[\s,;[\]]*/y

/** @returns undefined unless all of the text is calls of offered tools */
export function readPythonCalls(text: string, tools: readonly ToolDefinition[]): WholeCall[] | undefined {
  const calls: WholeCall[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text) ?? undefined
    at += found?.[0].length ?? 0
    return found
  }
  for (take(BETWEEN); at < text.length; take(BETWEEN)) {
    const name = take(HEAD)?.[1]
    const tool = tools.find((each) => each.name === name)
    if (tool === undefined) return undefined
    const positional = Object.keys(asObject(asObject(tool.parameters).properties))
    const args = new Map<string, string>()
    while (text[at] !== ')') {
      const key = take(KEYWORD)?.[1] ?? positional[args.size]
      const value = readJson(text, at)
      if (key === undefined || value === undefined || args.has(key)) return undefined
      args.set(key, value.json)
      at = value.end
      const separator = take(NEXT)![0]
      if (text[at] !== ')' && !separator.includes(',')) return undefined
    }
    at++
    calls.push({ name: tool.name, arguments: objectText(args) })
  }
  return calls.length > 0 ? calls : undefined
}

/** A JSON object of keys and JSON texts, spelled as models are trained on it. */
export function objectText(fields: Iterable<readonly [key: string, json: string]>): string {
  return `{${[...fields].map(([key, json]) => `${JSON.stringify(key)}: ${json}`).join(', ')}}`
}
