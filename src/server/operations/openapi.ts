/** /openapi.json, made from the route table and the zod schemas that check the requests: it cannot disagree with the server. */
import { z } from 'zod'
import type { ServerContext } from '../http/context.ts'
import type { Route } from '../http/routes.ts'

export function openapi(ctx: ServerContext, routes: readonly Route[]): Response {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}')
    const names = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1]!)
    paths[path] ??= {}
    paths[path][route.method.toLowerCase()] = {
      summary: route.summary,
      security: route.open ? [] : undefined,
      parameters: names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      requestBody: route.body && {
        required: true,
        content: { 'application/json': { schema: z.toJSONSchema(route.body, { io: 'input', unrepresentable: 'any' }) } },
      },
      responses: {
        200: { description: 'Success.' },
        default: { description: 'An error.', content: { 'application/json': { schema: errorSchema } } },
      },
    }
  }
  return Response.json({
    openapi: '3.1.0',
    info: {
      title: 'Lineage',
      version: ctx.version,
      description: 'Server for clients of OpenAI, Anthropic, Ollama and llama.cpp: GPT-2 to gpt-oss and Qwen3.',
    },
    components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
    security: [{ key: [] }],
    paths,
  })
}

const errorSchema = {
  type: 'object',
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string' },
        type: { type: 'string' },
        param: { type: ['string', 'null'] },
        code: { type: ['string', 'null'] },
      },
    },
  },
}
