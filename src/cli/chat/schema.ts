/** The file of `lineage chat --schema`, read and checked before a model is loaded. */
import { readFile } from 'node:fs/promises'
import type { JsonSchema } from '../../chat/messages.ts'
import { compileSchema, UnsupportedSchemaError } from '../../structured/structured.ts'

/**
 * The schema, checked before a model is loaded.
 * @throws Error that names the file: unreadable, no JSON, or a schema that cannot be enforced, with
 * its JSON pointer
 */
export async function readSchemaFile(path: string): Promise<JsonSchema> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(`--schema: cannot read ${path}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`)
  })
  let schema: JsonSchema
  try {
    schema = JSON.parse(text) as JsonSchema
  } catch (error) {
    throw new Error(`--schema: ${path} is not JSON: ${(error as Error).message}`)
  }
  try {
    compileSchema(schema)
  } catch (error) {
    if (!(error instanceof UnsupportedSchemaError)) throw error
    throw new Error(`--schema: ${path} cannot be enforced: ${error.message}`)
  }
  return schema
}
