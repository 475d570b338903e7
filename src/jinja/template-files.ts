/** The chat templates of a checkpoint by name, from the files in which they are published. Reading is the caller's business. */
import { asObject, isObject } from '../json/json.ts'
import { parsePythonJson } from '../json/python.ts'

/** The bytes of a file, undefined when it does not exist. */
type Read = (name: string) => Promise<Uint8Array | undefined>

/**
 * Published are one text (`default`), a list of named texts, or files of their own; transformers takes `tool_use` for conversations with
 * tools.
 * @param inConfig `chat_template` of tokenizer_config.json
 */
export async function templateFiles(read: Read, inConfig: unknown): Promise<Map<string, string>> {
  const own = await read('chat_template.jinja')
  const templates = own ? new Map([['default', text(own)]]) : named((await readJson(read, 'chat_template.json'))?.chat_template ?? inConfig)
  const tools = await read('additional_chat_templates/tool_use.jinja')
  if (tools) templates.set('tool_use', text(tools))
  return templates
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

function named(value: unknown): Map<string, string> {
  if (typeof value === 'string') return new Map([['default', value]])
  const entries = Array.isArray(value) ? value.map((entry) => [entry?.name, entry?.template] as const) : Object.entries(asObject(value))
  return new Map(entries.filter((entry): entry is [string, string] => entry.every((part) => typeof part === 'string')))
}

/** @throws Error when a file is not JSON */
export async function readJson(read: Read, name: string): Promise<Record<string, unknown> | undefined> {
  const bytes = await read(name)
  if (!bytes) return undefined
  try {
    const value: unknown = parsePythonJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return isObject(value) ? value : undefined
  } catch (error) {
    throw new Error(`${name}: expected JSON in UTF-8: ${(error as Error).message}`, { cause: error })
  }
}
