/** A tool for openai-node's runTools. */
import { zodFunction } from 'openai/helpers/zod'
import type { z } from 'zod'
import type { Json } from './scripted-app.ts'

export function zodTool<T extends z.ZodType>(name: string, parameters: T, run: (args: z.infer<T>) => string): Json {
  return (zodFunction as Json)({ name, parameters, function: run })
}
