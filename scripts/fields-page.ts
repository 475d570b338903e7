/**
 * Writes docs/fields.md: which fields of a request the server reads, which it refuses, and which it ignores because they do
 * not change an answer. The lists come from the code; a test writes the page again and compares.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { chatRequest } from '../src/server/schemas/chat.ts'
import { completionRequest } from '../src/server/schemas/completions.ts'
import { HARMLESS, REFUSED } from '../src/server/schemas/fields.ts'
import { messagesRequest } from '../src/server/schemas/messages.ts'
import { ollamaChatRequest, ollamaGenerateRequest } from '../src/server/schemas/ollama.ts'
import { responseRequest } from '../src/server/schemas/responses.ts'
import { root } from './sources.ts'

const ENDPOINTS: Record<string, z.ZodObject> = {
  'POST /v1/chat/completions': chatRequest,
  'POST /v1/responses': responseRequest,
  'POST /v1/messages': messagesRequest,
  'POST /v1/completions': completionRequest,
  'POST /api/chat': ollamaChatRequest,
  'POST /api/generate': ollamaGenerateRequest,
}

/** The fields of an object, with those of the objects in it: `options.seed`. */
function fieldsOf(schema: z.ZodObject, where = ''): string[] {
  return Object.entries(schema.shape).flatMap(([name, type]) => {
    let kind: unknown = type
    while (kind instanceof z.ZodOptional || kind instanceof z.ZodNullable) kind = kind.unwrap()
    const inner = kind instanceof z.ZodObject ? fieldsOf(kind, `${where}${name}.`) : []
    return [`\`${where}${name}\``, ...inner]
  })
}

const value = (neutral: unknown) => `\`${JSON.stringify(neutral)}\``

export function fieldsPage(): string {
  const all = Object.values(ENDPOINTS).map((schema) => fieldsOf(schema))
  const shared = all[0]!.filter((field) => all.every((fields) => fields.includes(field)))
  const read = Object.keys(ENDPOINTS).map((path, i) => `| \`${path}\` | ${all[i]!.filter((field) => !shared.includes(field)).join(', ')} |`)
  const refused = Object.entries(REFUSED).map(
    ([field, [instead, ...neutral]]) => `| \`${field}\` | ${instead} | ${neutral.map(value).join(', ')} |`,
  )
  return `# Fields of a request

\`node scripts/fields-page.ts\` writes this page from the schemas that check the requests. No field that would change an answer is ignored:

- A field that the server **reads** is checked; a value out of range is a 400.
- A field that it does not read and that would change the answer is **refused**: 400 with \`code: "unsupported_field"\` and the name of the field. \`null\`, \`""\`, \`[]\` and \`{}\` ask for
  nothing and pass, and so do the values of the last column, which ask for what happens anyway. The same holds for fields that the server never heard of, if their names speak of sampling,
  constraints, templates, tools or reasoning (\`guided_…\`, \`…_penalty\`, \`…format\`, \`min_…\`, \`top_…\`, and so on).
- A **harmless** field passes. Any other unknown field passes too, and the header \`x-ignored-fields\` of the answer and the log line name it.

\`GET /openapi.json\` has the types of the fields that are read.

## Read

On all of these endpoints: ${shared.join(', ')}.

| endpoint | more fields |
|-|-|
${read.join('\n')}

\`structured_outputs\`, \`guided_*\`, \`grammar\`, \`json_schema\`, \`regex\`, \`ebnf\` and the formats say what an answer must follow: a request uses one of them
([structured-output.md](structured-output.md)). Of the messages and tools, unknown fields are ignored; tools of other types than \`function\` are not offered to the model.

## Refused

Of an endpoint that reads the field, see above.

| field | instead | passes |
|-|-|-|
${refused.join('\n')}

## Harmless

They say how another server should work, what it should log, or what it should add to an answer:
${[...HARMLESS]
  .sort()
  .map((field) => `\`${field}\``)
  .join(', ')}.
`
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs/fields.md'), fieldsPage())
  console.log('docs/fields.md')
}
